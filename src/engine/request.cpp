#include "engine/request.h"

#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "fude/error.h"
#include "model/vae_tiling.h"

namespace fude {
namespace {

// `predicate` tells what is wrong with the field's value, as in "1500 is too large".
[[noreturn]] void refuse(Field field, const std::string& predicate, Remedy remedy) {
  throw Error(Code::bad_request, {.what = words_of(field) + ' ' + predicate, .field = field, .remedies = {std::move(remedy)}});
}

void check_text(Field field, const std::string& name, std::string_view text) {
  const auto* next = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t character = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(next, left, &character);
    const std::string at = "the " + name + " (byte " + std::to_string(static_cast<utf8proc_ssize_t>(text.size()) - left) + ") ";
    const char* fault = used <= 0        ? "is not UTF-8 text. Save it as UTF-8."
                        : character == 0 ? "holds a zero byte. Give text."
                                         : nullptr;
    if (fault) throw Error(Code::bad_request, {.what = at + fault, .field = field});
    next += used;
    left -= used;
  }
}

void check_range(Field field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  refuse(field, "is " + std::to_string(value) + ", outside " + std::to_string(least) + " to " + std::to_string(most),
         {Remedy::use_value, field, {std::to_string(std::clamp(value, least, most))}});
}

// "500 is not a multiple of 16", or empty where it is a side that can be drawn.
std::string why_no_side(int64_t pixels, int64_t largest) {
  if (pixels == nearest_side(pixels, largest)) return {};
  return std::to_string(pixels) + " is " +
         (pixels < 16        ? "too small: the smallest is 16"
          : pixels > largest ? "too large: the largest is " + std::to_string(largest)
                             : "not a multiple of 16");
}

}  // namespace

int64_t nearest_side(int64_t pixels, int64_t largest) {
  if (pixels >= largest) return largest / 16 * 16;
  return std::max<int64_t>(16, (std::max<int64_t>(pixels, 0) + 8) / 16 * 16);
}

void check_side(Field side, int64_t pixels, int64_t largest) {
  const std::string why = why_no_side(pixels, largest);
  if (why.empty()) return;
  const int64_t nearest = nearest_side(pixels, largest);
  if (side == Field::width) refuse(side, why, {.kind = Remedy::use_size, .width = nearest});
  if (side == Field::height) refuse(side, why, {.kind = Remedy::use_size, .height = nearest});
  refuse(side, why, {Remedy::use_value, side, {std::to_string(nearest)}});
}

void refuse_size(const Request& request, int64_t largest, const Size& nearest) {
  const std::string width = why_no_side(request.width, largest), height = why_no_side(request.height, largest);
  if (width.empty() && height.empty()) return;
  Message message;
  message.field = height.empty() ? Field::width : width.empty() ? Field::height : Field::size;
  if (message.field == Field::size) message.what = "the width " + width + ", and the height " + height;
  else message.what = words_of(message.field) + ' ' + width + height;
  message.remedies.push_back({.kind = Remedy::use_size,
                              .width = nearest.width == request.width ? 0 : nearest.width,
                              .height = nearest.height == request.height ? 0 : nearest.height});
  throw Error(Code::bad_request, std::move(message));
}

void check_sizes(const Request& request, int64_t largest_side) {
  if (request.width != 0) check_side(Field::width, request.width, largest_side);
  if (request.height != 0) check_side(Field::height, request.height, largest_side);
  if (request.draft) {
    check_side(Field::draft_width, request.draft->width, largest_side);
    check_side(Field::draft_height, request.draft->height, largest_side);
  }
}

void check_request(const Request& request) {
  check_settings(request);
  check_sizes(request, kLargestSide);
}

void check_settings(const Request& request) {
  check_text(Field::prompt, "prompt", request.prompt);
  check_text(Field::negative, "negative prompt", request.negative);
  if (request.steps) check_range(Field::steps, *request.steps, 1, kMostSteps);
  check_range(Field::count, request.count, 1, kMostPictures);
  if (request.guidance && !(std::abs(*request.guidance) <= 1000)) {
    refuse(Field::guidance, "must be a number from -1000 to 1000 (1 or less turns guidance off)",
           {Remedy::leave_out, Field::guidance});
  }
  if (request.shift && !(*request.shift > 0 && *request.shift <= 1000)) {
    refuse(Field::shift, "must be above 0 and at most 1000", {Remedy::leave_out, Field::shift});
  }
  check_range(Field::batch, request.batch, 0, kMostPictures);
  check_range(Field::place, request.place, 0, request.count == 1 ? std::max<int64_t>(0, request.batch - 1) : 0);
  if (request.variation && !(request.variation->amount >= 0 && request.variation->amount <= 1)) {
    refuse(Field::amount, "must be from 0 (the same noise) to 1 (another picture)",
           {Remedy::use_value, Field::amount, {"0.15"}});
  }
  if (const std::optional<Draft>& draft = request.draft) {
    if (draft->steps) check_range(Field::draft_steps, *draft->steps, 1, kMostSteps);
    check_range(Field::draft_batch, draft->batch, 1, kMostPictures);
    check_range(Field::draft_place, draft->place, 0, draft->batch - 1);
    if (!(draft->strength > 0 && draft->strength <= 1)) {
      refuse(Field::strength, "must be above 0 (nothing is redrawn) and at most 1 (all is)",
             {Remedy::use_value, Field::strength, {"0.5"}});
    }
  }
  if (!sampler_from(request.sampler)) {
    refuse(Field::sampler, request.sampler + " does not exist", {Remedy::use_one_of, Field::sampler, sampler_names()});
  }
}

int64_t tile_side(const Request& request) { return request.vae_tiling ? kTileSide : kNoTiles; }

}  // namespace fude
