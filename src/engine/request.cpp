// Checking the fields of a request against their rows, and sizes against a model.
#include "engine/request.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string_view>
#include <type_traits>

#include "diffusion/samplers.h"
#include "diffusion/schedule.h"
#include "engine/fields.h"
#include "fude/error.h"
#include "model/vae_tiling.h"

namespace fude {
namespace {

// `predicate` tells what is wrong with the field's value, as in "1500 is too large".
[[noreturn]] void refuse(Field field, const std::string& predicate, Remedy remedy) {
  throw Error(Code::bad_request, {.what = words_of(field) + ' ' + predicate, .field = field, .remedies = {std::move(remedy)}});
}

void check_text(Field field, std::string_view text) {
  const auto* next = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t character = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(next, left, &character);
    const char* fault = used <= 0        ? "is not UTF-8 text. Save it as UTF-8."
                        : character == 0 ? "holds a zero byte. Give text."
                                         : nullptr;
    if (fault)
      throw Error(Code::bad_request,
                  {.what = (field == Field::negative ? "the negative prompt" : "the " + words_of(field)) + " (byte " +
                           std::to_string(static_cast<utf8proc_ssize_t>(text.size()) - left) + ") " + fault,
                   .field = field});
    next += used;
    left -= used;
  }
}

std::string text_of(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

// ---- a field's value --------------------------------------------------------------------------------------------------------

void check(const FieldInfo& info, const std::string& value, std::optional<int64_t>) {
  const std::vector<Names>* names = names_for(info.field);
  if (!names) return check_text(info.field, value);
  if (find_name(*names, value)) return;
  Remedy remedy{Remedy::use_one_of, info.field};
  for (const Names& row : *names) remedy.values.push_back(row.name);
  refuse(info.field, value + " does not exist", std::move(remedy));
}

// `most`: where it depends on other fields.
void check(const FieldInfo& info, int64_t value, std::optional<int64_t> most) {
  if (!info.range && !most) return;
  const int64_t first = info.range ? static_cast<int64_t>(info.range->least) : 0;
  const int64_t last = most ? *most : static_cast<int64_t>(info.range->most);
  if (value >= first && value <= last) return;
  refuse(info.field, "is " + std::to_string(value) + ", outside " + std::to_string(first) + " to " + std::to_string(last),
         {Remedy::use_value, info.field, {std::to_string(std::clamp(value, first, last))}});
}

void check(const FieldInfo& info, double value, std::optional<int64_t>) {
  if (!info.range) return;
  const FieldRange& range = *info.range;
  const bool is_above = range.beyond_least ? value > range.least : value >= range.least;
  if (is_above && value <= range.most) return;
  const auto meant = [](std::string_view meaning) { return meaning.empty() ? "" : " (" + std::string(meaning) + ')'; };
  refuse(info.field,
         std::string(range.beyond_least ? "must be a number above " : "must be a number from ") + text_of(range.least) +
             meant(range.least_means) + (range.beyond_least ? " and at most " : " to ") + text_of(range.most) +
             meant(range.remark),
         info.advised.empty() ? Remedy{Remedy::leave_out, info.field}
                              : Remedy{Remedy::use_value, info.field, {std::string(info.advised)}});
}

void check(const FieldInfo& info, const std::vector<int64_t>& values, std::optional<int64_t> most) {
  if (values.empty()) refuse(info.field, "are missing", {Remedy::use_value, info.field, {std::string(info.advised)}});
  for (const int64_t value : values) check(info, value, most);
}

// What has a range of its own, or none at all.
void check(const FieldInfo&, uint64_t, std::optional<int64_t>) {}
void check(const FieldInfo&, Noise, std::optional<int64_t>) {}
void check(const FieldInfo&, bool, std::optional<int64_t>) {}

void check(const FieldInfo& info, const std::vector<double>& values, std::optional<int64_t> most) {
  for (const double value : values) check(info, value, most);
  if (std::ssize(values) > kMostSteps || std::adjacent_find(values.begin(), values.end(), std::less_equal<>()) != values.end())
    refuse(info.field, "must fall from one to the next, and be at most " + std::to_string(kMostSteps),
           {Remedy::leave_out, info.field});
}

template <class Value>
void check(const FieldInfo& info, const std::optional<Value>& value, std::optional<int64_t> most) {
  if (value) check(info, *value, most);
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
  if (message.field == Field::size) message.what = "width " + width + ", and height " + height;
  else message.what = words_of(message.field) + ' ' + width + height;
  message.remedies.push_back({.kind = Remedy::use_size,
                              .width = nearest.width == request.width ? 0 : nearest.width,
                              .height = nearest.height == request.height ? 0 : nearest.height});
  throw Error(Code::bad_request, std::move(message));
}

void check_sizes(const Request& request, int64_t largest_side) {
  visit_fields(request, [&](const auto& row, const auto& owner) {
    if constexpr (std::is_same_v<typename std::decay_t<decltype(row)>::Value, int64_t>) {
      const int64_t pixels = owner.*row.member;
      const bool is_models_own = pixels == 0 && !row.info.usual.empty();
      if (row.info.is_side && !is_models_own) check_side(row.info.field, pixels, largest_side);
    }
  });
}

void check_request(const Request& request) {
  check_settings(request);
  check_sizes(request, kLargestSide);
}

void check_settings(const Request& request) {
  visit_fields(request, [](const auto& row, const auto& owner) {
    check(row.info, owner.*row.member, row.most ? std::optional(row.most(owner)) : std::nullopt);
  });
}

Request request_of_draft(const Request& request, int64_t picture) {
  Request small = request;
  for_each_row(kRequestFields, [&](const auto& own) {
    using Row = std::decay_t<decltype(own)>;
    if constexpr (!kIsPart<Row>) {
      if (!own.info.shapes_latents) small.*own.member = Request{}.*own.member;
      visit_fields(request, [&](const auto& row, const auto& owner) {
        using Other = std::decay_t<decltype(row)>;
        if constexpr (std::is_same_v<typename Other::Owner, Draft> &&
                      std::is_same_v<typename Other::Value, typename Row::Value>)
          if (row.info.key == own.info.key) small.*own.member = owner.*row.member;
      });
    }
  });
  small.draft.reset();
  small.count = 1;
  (small.variation ? small.variation->seed : small.seed) += static_cast<uint64_t>(picture);
  return small;
}

const std::vector<Names>* names_for(Field field) {
  return field == Field::sampler ? &names_of_samplers() : field == Field::schedule ? &names_of_schedules() : nullptr;
}

Guidance guidance_of(const Request& request) {
  Guidance guidance{.scale = static_cast<float>(request.guidance.value_or(1)),
                    .rescale = static_cast<float>(request.guidance_rescale)};
  if (const std::optional<SkipLayers>& skip = request.skip_layers) {
    guidance.skipped_layers = skip->layers;
    guidance.skip_scale = static_cast<float>(skip->scale);
    guidance.skip_start = skip->start;
    guidance.skip_end = skip->end;
  }
  return guidance;
}

double rows_of_steps(const Request& request) {
  const Sampler* sampler = find_sampler(request.sampler);
  const int64_t steps = request.steps.value_or(0);
  if (!sampler) return 0;
  const Guidance guidance = guidance_of(request);
  int64_t rows = 0;
  for (int64_t step = 0; step < steps; ++step) rows += guidance.kinds(guidance.skips_at(step, steps));
  return static_cast<double>(rows * evaluations_of_a_step(*sampler));
}

int64_t tile_side(const Request& request) { return request.vae_tiling ? kTileSide : kNoTiles; }

}  // namespace fude
