#include "engine/request.h"

#include <utf8proc.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "fude/error.h"
#include "model/vae_tiling.h"

namespace fude {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::bad_request, message); }

void check_text(const std::string& name, std::string_view text) {
  const auto* next = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t character = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(next, left, &character);
    const std::string at = "the " + name + " (byte " + std::to_string(static_cast<utf8proc_ssize_t>(text.size()) - left) + ") ";
    if (used <= 0) refuse(at + "is not UTF-8 text. Save it as UTF-8.");
    if (character == 0) refuse(at + "holds a zero byte. Give text.");
    next += used;
    left -= used;
  }
}

void check_range(const std::string& option, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return;
  refuse("--" + option + " is " + std::to_string(value) + ", outside " + std::to_string(least) + " to " + std::to_string(most) +
         ". Use --" + option + " " + std::to_string(std::clamp(value, least, most)) + ".");
}

}  // namespace

int64_t nearest_side(int64_t pixels, int64_t largest) {
  if (pixels >= largest) return largest / 16 * 16;
  return std::max<int64_t>(16, (std::max<int64_t>(pixels, 0) + 8) / 16 * 16);
}

std::string why_no_side(const std::string& side, int64_t pixels, int64_t largest) {
  if (pixels == nearest_side(pixels, largest)) return {};
  return "--" + side + ' ' + std::to_string(pixels) + " is " +
         (pixels < 16        ? "too small: the smallest is 16"
          : pixels > largest ? "too large: the largest is " + std::to_string(largest)
                             : "not a multiple of 16") +
         ". ";
}

void check_side(const std::string& side, int64_t pixels, int64_t largest) {
  if (const std::string why = why_no_side(side, pixels, largest); !why.empty())
    refuse(why + "The nearest size that works is --" + side + " " + std::to_string(nearest_side(pixels, largest)) + ".");
}

void check_sizes(const Request& request, int64_t largest_side) {
  if (request.width != 0) check_side("width", request.width, largest_side);
  if (request.height != 0) check_side("height", request.height, largest_side);
  if (request.draft) {
    check_side("draft width", request.draft->width, largest_side);
    check_side("draft height", request.draft->height, largest_side);
  }
}

void check_request(const Request& request) {
  check_settings(request);
  check_sizes(request, kLargestSide);
}

void check_settings(const Request& request) {
  check_text("prompt", request.prompt);
  check_text("negative prompt", request.negative);
  if (request.steps) check_range("steps", *request.steps, 1, kMostSteps);
  check_range("count", request.count, 1, kMostPictures);
  if (request.guidance && !(std::abs(*request.guidance) <= 1000)) {
    refuse(
        "--guidance must be a number from -1000 to 1000 (1 or less turns guidance off). Leave it out to use the model's own.");
  }
  if (request.shift && !(*request.shift > 0 && *request.shift <= 1000)) {
    refuse("--shift must be above 0 and at most 1000. Leave it out to use the model's own.");
  }
  check_range("batch", request.batch, 0, kMostPictures);
  check_range("place", request.place, 0, request.count == 1 ? std::max<int64_t>(0, request.batch - 1) : 0);
  if (request.variation && !(request.variation->amount >= 0 && request.variation->amount <= 1)) {
    refuse("--amount must be from 0 (the same noise) to 1 (another picture). Use --amount 0.15.");
  }
  if (const std::optional<Draft>& draft = request.draft) {
    if (draft->steps) check_range("draft steps", *draft->steps, 1, kMostSteps);
    check_range("draft batch", draft->batch, 1, kMostPictures);
    check_range("draft place", draft->place, 0, draft->batch - 1);
    if (!(draft->strength > 0 && draft->strength <= 1)) {
      refuse("--strength must be above 0 (nothing is redrawn) and at most 1 (all is). Use --strength 0.5.");
    }
  }
  if (!sampler_from(request.sampler)) {
    std::string names;
    for (const std::string& name : sampler_names()) names += (names.empty() ? "" : ", ") + name;
    refuse("--sampler " + request.sampler + " does not exist. Use one of: " + names + ".");
  }
}

int64_t tile_side(const Request& request) { return request.vae_tiling ? kTileSide : kNoTiles; }

}  // namespace fude
