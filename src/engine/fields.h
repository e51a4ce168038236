// A request, described once: a row for each field says what it is called, what it may be, and who may change it. What reads,
// writes, checks or asks for requests goes over these rows, so that a new field is a new row.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "engine/request.h"
#include "fude/error.h"
#include "fude/fude.h"

namespace fude {

struct FieldRange {
  double least = 0, most = 0;
  bool beyond_least = false;                       // `least` itself is none
  std::string_view least_means = {}, remark = {};  // in messages, behind `least` and behind `most`
};

struct FieldInfo {
  Field field;
  std::string_view key;         // in JSON, within its part
  std::string_view a1111 = {};  // in the line of A1111's text; empty: it is not there
  int a1111_side = 0;           // 1, 2: before or behind the x of "512x768", which two fields share
  bool always_written = true;   // else only where it is not what a new request has
  bool always_in_text = false;  // of A1111, even so
  std::optional<FieldRange> range = {};
  bool is_side = false;           // pixels, multiples of 16
  std::string_view usual = {};    // what stands for an empty value, or for 0: "the model's own"
  std::string_view advised = {};  // instead of a value that is none; empty: the nearest, or none at all
  std::string_view help = {};
  std::string_view other_names = {};  // of diffusers and A1111, separated by commas: "guidance_scale,cfg_scale"
  bool shapes_latents = true;         // or only how they are decoded
};

template <class OwnerType, class ValueType>
struct FieldRow {
  using Owner = OwnerType;
  using Value = ValueType;
  Value Owner::*member;
  FieldInfo info;
  int64_t (*most)(const Owner&) = nullptr;  // where it depends on other fields; least is 0
};

template <class Owner, class Value>
constexpr FieldRow<Owner, Value> row(Value Owner::*member, const FieldInfo& info, int64_t (*most)(const Owner&) = nullptr) {
  return {member, info, most};
}

// A part of the request that is there or not. Where its first field is, it is.
template <class PartType, class Rows>
struct PartRow {
  using Part = PartType;
  std::optional<Part> Request::*member;
  std::string_view key;
  Rows rows;
};

template <class Part, class... Rows>
constexpr PartRow<Part, std::tuple<Rows...>> part(std::optional<Part> Request::*member, std::string_view key,
                                                  const Rows&... rows) {
  return {member, key, {rows...}};
}

inline constexpr FieldRange kStepsRange{1, double{kMostSteps}}, kPicturesRange{1, double{kMostPictures}};

// In the order of the JSON.
inline constexpr std::tuple kRequestFields{
    row(&Request::prompt, {.field = Field::prompt, .key = "prompt", .help = "what to draw"}),
    row(&Request::negative,
        {.field = Field::negative, .key = "negative", .help = "what to avoid", .other_names = "negative_prompt"}),
    row(&Request::prompt_2, {.field = Field::prompt_2,
                             .key = "prompt_2",
                             .a1111 = "Prompt 2",
                             .always_written = false,
                             .usual = "the prompt",
                             .help = "what the second CLIP reads"}),
    row(&Request::prompt_3, {.field = Field::prompt_3,
                             .key = "prompt_3",
                             .a1111 = "Prompt 3",
                             .always_written = false,
                             .usual = "the prompt",
                             .help = "what T5 reads"}),
    row(&Request::negative_2, {.field = Field::negative_2,
                               .key = "negative_2",
                               .a1111 = "Negative 2",
                               .always_written = false,
                               .usual = "the negative prompt",
                               .help = "what to avoid, for the second CLIP",
                               .other_names = "negative_prompt_2"}),
    row(&Request::negative_3, {.field = Field::negative_3,
                               .key = "negative_3",
                               .a1111 = "Negative 3",
                               .always_written = false,
                               .usual = "the negative prompt",
                               .help = "what to avoid, for T5",
                               .other_names = "negative_prompt_3"}),
    row(&Request::clip_skip, {.field = Field::clip_skip,
                              .key = "clip_skip",
                              .a1111 = "Skipped CLIP layers",
                              .always_written = false,
                              .range = FieldRange{0, 11},
                              .help = "leave out so many of CLIP's last layers, as diffusers counts them; default 0"}),
    row(&Request::t5_tokens, {.field = Field::t5_tokens,
                              .key = "t5_tokens",
                              .a1111 = "T5 tokens",
                              .always_written = false,
                              .range = FieldRange{1, 512},
                              .help = "of a prompt that T5 reads, 1 to 512; default 256",
                              .other_names = "max_sequence_length"}),
    row(&Request::width, {.field = Field::width,
                          .key = "width",
                          .a1111 = "Size",
                          .a1111_side = 1,
                          .is_side = true,
                          .usual = "the model's own size",
                          .help = "pixels, a multiple of 16"}),
    row(&Request::height, {.field = Field::height,
                           .key = "height",
                           .a1111 = "Size",
                           .a1111_side = 2,
                           .is_side = true,
                           .usual = "the model's own size",
                           .help = "pixels, a multiple of 16"}),
    row(&Request::steps, {.field = Field::steps,
                          .key = "steps",
                          .a1111 = "Steps",
                          .range = kStepsRange,
                          .usual = "the model's own",
                          .help = "1 to 1000",
                          .other_names = "num_inference_steps"}),
    row(&Request::guidance, {.field = Field::guidance,
                             .key = "guidance",
                             .a1111 = "CFG scale",
                             .range = FieldRange{-1000, 1000, false, {}, "1 or less turns guidance off"},
                             .usual = "the model's own",
                             .help = "how closely to follow the prompt; 1 or less is off",
                             .other_names = "guidance_scale,cfg_scale"}),
    row(&Request::seed,
        {.field = Field::seed,
         .key = "seed",
         .a1111 = "Seed",
         .help = "0 to 18446744073709551615, or random (the default) or -1; picture i of several uses seed + i"}),
    row(&Request::count, {.field = Field::count,
                          .key = "count",
                          .range = kPicturesRange,
                          .help = "pictures, default 1",
                          .other_names = "num_images_per_prompt"}),
    row(&Request::noise,
        {.field = Field::noise, .key = "noise", .a1111 = "Noise", .help = "whose random numbers the picture starts from"}),
    row(&Request::sampler, {.field = Field::sampler, .key = "sampler", .a1111 = "Sampler"}),
    row(&Request::schedule, {.field = Field::schedule,
                             .key = "schedule",
                             .a1111 = "Schedule type",
                             .always_written = false,
                             .always_in_text = true,
                             .help = "of the steps",
                             .other_names = "scheduler"}),
    row(&Request::sigmas, {.field = Field::sigmas,
                           .key = "sigmas",
                           .a1111 = "Sigmas",
                           .always_written = false,
                           .range = FieldRange{0, 1, true},
                           .help = "of the steps instead of a schedule, falling from 1, before the shift"}),
    row(&Request::shift, {.field = Field::shift,
                          .key = "shift",
                          .a1111 = "Shift",
                          .always_written = false,
                          .range = FieldRange{0, 1000, true},
                          .usual = "the checkpoint's",
                          .help = "of the schedule"}),
    row(&Request::guidance_rescale, {.field = Field::guidance_rescale,
                                     .key = "guidance_rescale",
                                     .a1111 = "CFG rescale",
                                     .always_written = false,
                                     .range = FieldRange{0, 1, false, "none", "as little contrast as without guidance"},
                                     .advised = "0.7",
                                     .help = "brings back the contrast that guidance adds; default 0"}),
    part(&Request::skip_layers, "skip_layers",
         row(&SkipLayers::layers,
             {.field = Field::skip_layers,
              .key = "layers",
              .a1111 = "Skip layers",
              .range = FieldRange{0, double{kMostLayers - 1}},
              .advised = "7,8,9",
              .help = "guides away from what the model draws without these layers, as 7,8,9 for the hands of "
                      "SD3.5-medium; default none",
              .other_names = "skip_guidance_layers"}),
         row(&SkipLayers::scale, {.field = Field::skip_scale,
                                  .key = "scale",
                                  .a1111 = "Skip layer scale",
                                  .range = FieldRange{-1000, 1000},
                                  .advised = "2.8",
                                  .help = "how strongly, default 2.8",
                                  .other_names = "skip_layer_guidance_scale"}),
         row(&SkipLayers::start, {.field = Field::skip_start,
                                  .key = "start",
                                  .a1111 = "Skip layer start",
                                  .range = FieldRange{0, 1},
                                  .advised = "0.01",
                                  .help = "the part of the steps before layers are skipped, default 0.01",
                                  .other_names = "skip_layer_guidance_start"}),
         row(&SkipLayers::end, {.field = Field::skip_end,
                                .key = "end",
                                .a1111 = "Skip layer end",
                                .range = FieldRange{0, 1},
                                .advised = "0.2",
                                .help = "the part of the steps at which it ends, default 0.2",
                                .other_names = "skip_layer_guidance_stop"})),
    part(&Request::variation, "variation",
         row(&Variation::seed, {.field = Field::variation_seed,
                                .key = "seed",
                                .a1111 = "Variation seed",
                                .help = "of the first variation, or random; default: the picture's seed + 1"}),
         row(&Variation::amount, {.field = Field::amount,
                                  .key = "amount",
                                  .a1111 = "Variation seed strength",
                                  .range = FieldRange{0, 1, false, "the same noise", "another picture"},
                                  .advised = "0.15",
                                  .help = "of a variation: 0 is the same picture, 1 another"})),
    part(
        &Request::draft, "draft",
        row(&Draft::width,
            {.field = Field::draft_width, .key = "width", .a1111 = "Draft size", .a1111_side = 1, .is_side = true}),
        row(&Draft::height,
            {.field = Field::draft_height, .key = "height", .a1111 = "Draft size", .a1111_side = 2, .is_side = true}),
        row(&Draft::steps, {.field = Field::draft_steps,
                            .key = "steps",
                            .a1111 = "Draft steps",
                            .range = kStepsRange,
                            .usual = "the model's own"}),
        row(&Draft::strength, {.field = Field::strength,
                               .key = "strength",
                               .a1111 = "Denoising strength",
                               .range = FieldRange{0, 1, true, "nothing is redrawn", "all is"},
                               .advised = "0.5",
                               .help = "of another size: the part of the steps that redraws it, default 0.3; less keeps more"}),
        row(&Draft::batch, {.field = Field::draft_batch, .key = "batch", .range = kPicturesRange}),
        row(
            &Draft::place, {.field = Field::draft_place, .key = "place"}, +[](const Draft& draft) { return draft.batch - 1; })),
    row(&Request::batch, {.field = Field::batch,
                          .key = "batch",
                          .a1111 = "Batch size",
                          .always_written = false,
                          .range = FieldRange{0, double{kMostPictures}},
                          .help = "pictures drawn at once, default 1; 0: as many as is faster and fits. A picture's last bits "
                                  "depend on it"}),
    row(
        &Request::place, {.field = Field::place, .key = "place", .a1111 = "Batch pos", .always_written = false},
        +[](const Request& request) { return request.count == 1 && request.batch > 0 ? request.batch - 1 : 0; }),
    row(&Request::vae_tiling,
        {.field = Field::vae_tiling,
         .key = "vae_tiling",
         .a1111 = "VAE tiling",
         .always_written = false,
         .help = "decode pictures larger than 1024 in blended tiles, as diffusers' enable_vae_tiling: faster in little "
                 "memory, but another picture",
         .shapes_latents = false}),
};

template <class Row>
inline constexpr bool kIsPart = requires {
  typename Row::Part;
};

template <class Rows, class Do>
constexpr void for_each_row(const Rows& rows, const Do& act) {
  std::apply([&](const auto&... each) { (act(each), ...); }, rows);
}

// visit(row, owner) for every field of the request and of the parts that it has. `Object`: Request, const or not.
template <class Object, class Visit>
void visit_fields(Object& request, const Visit& visit) {
  for_each_row(kRequestFields, [&](const auto& each) {
    if constexpr (kIsPart<std::decay_t<decltype(each)>>) {
      if (auto& owner = request.*each.member) for_each_row(each.rows, [&](const auto& inner) { visit(inner, *owner); });
    } else {
      visit(each, request);
    }
  });
}

// visit(row) for every field, whether its part is there or not.
template <class Visit>
constexpr void visit_rows(const Visit& visit) {
  for_each_row(kRequestFields, [&](const auto& each) {
    if constexpr (kIsPart<std::decay_t<decltype(each)>>) for_each_row(each.rows, visit);
    else visit(each);
  });
}

constexpr const FieldInfo& info_of(Field field) {
  const FieldInfo* found = nullptr;
  visit_rows([&](const auto& each) {
    if (each.info.field == field) found = &each.info;
  });
  return *found;
}

// The request that draws the draft of a picture of this one, as far as its latents are concerned: equal for equal latents.
Request request_of_draft(const Request& request, int64_t picture);

}  // namespace fude
