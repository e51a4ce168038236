// The names of an engine's options.
#include "c/named_options.h"

#include <charconv>
#include <limits>
#include <string>

#include "engine/json_text.h"
#include "fude/error.h"

namespace fude {
namespace {

constexpr int kMostThreads = 4096;

template <class Owner>
struct Named {
  Field field;
  std::string Owner::*text;
};
constexpr Named<ModelFiles> kFiles[] = {{Field::model, &ModelFiles::model},   {Field::clip_l, &ModelFiles::clip_l},
                                        {Field::clip_g, &ModelFiles::clip_g}, {Field::t5, &ModelFiles::t5},
                                        {Field::vae, &ModelFiles::vae},       {Field::tokenizers, &ModelFiles::tokenizers}};
constexpr Named<EngineOptions> kMachine[] = {
    {Field::device, &EngineOptions::device}, {Field::dtype, &EngineOptions::dtype}, {Field::card, &EngineOptions::card}};

[[noreturn]] void refuse(Field field, std::string_view text) {
  throw Error(Code::bad_request, {.what = words_of(field) + " cannot be " + text_of_json(text), .field = field});
}

template <class Number>
Number number_from(Field field, std::string_view text, Number most = std::numeric_limits<Number>::max()) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > most) refuse(field, text);
  return number;
}

}  // namespace

void set_by_name(NamedOptions& options, std::string_view name, std::string_view text) {
  for (const auto& each : kFiles)
    if (name_of(each.field) == name) return void(options.files.*each.text = text);
  for (const auto& each : kMachine)
    if (name_of(each.field) == name) return void(options.engine.*each.text = text);
  if (name == "hub_cache") options.files.hub_cache = text;
  else if (name == "calibration") options.engine.calibration = text;
  else if (name == name_of(Field::embeddings)) options.engine.embeddings.emplace_back(text);
  else if (name == name_of(Field::threads)) options.engine.threads = number_from(Field::threads, text, kMostThreads);
  else if (name == name_of(Field::vram)) options.engine.vram = number_from<int64_t>(Field::vram, text);
  else if (name == name_of(Field::ram)) options.engine.ram = number_from<int64_t>(Field::ram, text);
  else if (name == name_of(Field::no_t5) && (text == "true" || text == "false")) options.files.no_t5 = text == "true";
  else if (name == name_of(Field::no_t5)) refuse(Field::no_t5, text);
  else throw Error(Code::bad_request, "an engine has no option " + text_of_json(name));
}

}  // namespace fude
