// Trying the readers one after the other, and turning what they found into a request and a sentence.
#include "engine/foreign/foreign.h"

#include <algorithm>
#include <array>

#include "diffusion/samplers.h"
#include "engine/foreign/names.h"
#include "engine/foreign/readers.h"
#include "engine/request.h"
#include "engine/size_text.h"
#include "fude/error.h"
#include "weights/quote.h"

namespace fude {
namespace {

// The first with a prompt wins, so formats that only one program writes come before those of many.
constexpr std::array<ForeignReader, 6> kReaders = {read_swarmui, read_invokeai, read_novelai,
                                                   read_comfyui, read_a1111,    read_other_json};

// All keywords they read: checked for damage when no reader finds anything.
constexpr std::array<std::string_view, 7> kKeywords = {"parameters",  "prompt",  "invokeai_metadata", "sd-metadata",
                                                       "UserComment", "Comment", "ImageDescription"};

// The nearest side that can be drawn. Sizes out of all range stay as they are, so that the request is refused with them.
int64_t drawable_side(int64_t pixels) {
  constexpr int64_t kLargest = int64_t{1} << 20;
  return pixels < 16 || pixels > kLargest ? pixels : nearest_side(pixels, kLargest);
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

std::string text_of_number(double number) {
  std::string text = std::to_string(number);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

std::optional<ForeignPicture> foreign_picture_in(std::span<const PictureText> texts) {
  std::optional<ForeignPicture> without_prompt;
  for (const ForeignReader read : kReaders) {
    std::optional<ForeignPicture> picture = read(texts);
    if (picture && picture->prompt) return picture;
    if (!without_prompt) without_prompt = std::move(picture);
  }
  if (!without_prompt)
    for (const std::string_view keyword : kKeywords) static_cast<void>(text_under(texts, keyword));  // throws if it is damaged
  return without_prompt;
}

Provenance provenance_from(const ForeignPicture& picture) {
  Provenance provenance;
  Request& request = provenance.request;
  const auto take = [](const auto& stored, auto& value) {
    if (stored) value = *stored;
  };
  take(picture.prompt, request.prompt);
  take(picture.negative, request.negative);
  take(picture.steps, request.steps);
  take(picture.guidance, request.guidance);
  take(picture.seed, request.seed);
  take(picture.noise, request.noise);
  request.shift = picture.shift;
  request.variation = picture.variation;
  if (picture.size) {
    request.width = drawable_side(picture.size->width);
    request.height = drawable_side(picture.size->height);
  }
  request.sampler = sampler_from(picture.sampler).value_or(request.sampler);
  request.schedule = schedule_from(picture.schedule).value_or(request.schedule);
  return provenance;
}

std::string description_of(const ForeignPicture& picture, const std::string& name,
                           const std::function<bool(Field)>& overrides) {
  if (!picture.prompt && !overrides(Field::prompt)) {
    throw Error(Code::bad_request,
                {.what = name + " was drawn by " + picture.program +
                         ", and its prompt could not be found in what is stored in it; the rest can be taken from it",
                 .field = Field::prompt,
                 .remedies = {{Remedy::give, Field::prompt}}});
  }
  const Request request = provenance_from(picture).request;
  std::vector<std::string> taken, missing, dropped;
  const auto report = [&](bool stored, Field field, const std::string& what, const std::string& instead) {
    if (overrides(field)) return;
    if (stored) taken.push_back(what);
    else if (!instead.empty()) missing.push_back(instead);
  };
  const auto number = [](const auto& value) {
    return value ? ' ' + text_of_number(static_cast<double>(*value)) : std::string();
  };
  const bool empty_prompt = picture.prompt && picture.prompt->empty();
  report(picture.prompt.has_value(), Field::prompt, empty_prompt ? "the prompt, which is empty" : "the prompt", "");
  report(picture.negative && !picture.negative->empty(), Field::negative, "the negative prompt",
         picture.negative ? "" : "the negative prompt (none is used)");
  report(picture.steps.has_value(), Field::steps, "steps" + number(picture.steps), "the steps (the model's own are used)");
  report(picture.guidance.has_value(), Field::guidance, "guidance" + number(picture.guidance),
         "the guidance (the model's own is used)");
  report(picture.seed.has_value(), Field::seed, "seed " + std::to_string(request.seed), "the seed (a random one is drawn)");
  const bool rounded = picture.size && *picture.size != Size{request.width, request.height};
  report(picture.size.has_value(), Field::size,
         "size " + text_of_size(picture.size.value_or(Size{})) +
             (rounded ? " as " + text_of_size(request.width, request.height) : ""),
         "the size (the model's own is drawn)");
  report(picture.shift.has_value(), Field::shift, "shift" + number(picture.shift), "");
  report(picture.variation.has_value(), Field::variation_seed, "the variation seed", "");
  report(picture.noise.has_value(), Field::noise, "noise " + std::string(name_of(request.noise)), "");
  if (!overrides(Field::sampler) && !picture.sampler.empty()) {
    const Sampler* sampler = find_sampler(picture.sampler);
    if (sampler) taken.push_back("sampler " + request.sampler);
    else dropped.push_back("sampler " + brief(picture.sampler) + " (" + request.sampler + " is the nearest)");
    if (sampler && sampler->draws_noise) dropped.push_back("the noise it drew between steps");
  }
  if (!overrides(Field::schedule) && !picture.schedule.empty()) {
    if (!schedule_from(picture.schedule)) {
      if (!is_even_schedule(picture.schedule)) dropped.push_back("schedule " + brief(picture.schedule));
    } else if (request.schedule != Request{}.schedule) {
      taken.push_back("schedule " + request.schedule);
    }
  }
  dropped.insert(dropped.end(), picture.dropped.begin(), picture.dropped.end());

  std::string text = name + " was drawn by " + picture.program;
  if (!picture.model.empty()) text += " with the model " + shown(brief(picture.model));
  text += taken.empty() ? "." : ". Taken from it: " + listed(taken) + '.';
  if (!missing.empty()) text += " Not stored: " + listed(missing) + '.';
  if (!dropped.empty()) text += " Left out: " + listed(dropped) + '.';
  return text + " The picture will be alike, not the same.";
}

}  // namespace fude
