// The option --from, and what is taken from the picture it names.
#include "from_picture.h"

#include <algorithm>

#include "engine/file.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {

void add_from_option(Options& options, std::string_view group, std::string& picture) {
  options.add_text(
      group, "--from", "FILE",
      "take the request stored in a picture (PNG, JPEG, WebP) by fude, A1111, Forge, ComfyUI, SwarmUI, InvokeAI, NovelAI or "
      "stable-diffusion.cpp; other options override it",
      picture);
}

StoredPicture stored_in(const std::string& picture, const Options& line, const Console& console) {
  const auto overrides = [&](Field field) {
    const std::vector<std::string> options = options_that_give(field);
    return std::any_of(options.begin(), options.end(),
                       [&](const std::string& option) { return line.given(option).has_value(); });
  };
  return stored_in(picture, overrides, console);
}

StoredPicture stored_in(const std::string& picture, const std::function<bool(Field)>& overrides, const Console& console) {
  StoredPicture stored = read_picture(path_of(picture));
  if (stored.foreign) {
    console.warning(description_of(*stored.foreign, shown(picture), overrides));
  } else if (!stored.exact) {
    console.warning(shown(picture) + " was saved again by another program, so only what its text tells is taken from it.");
  }
  return stored;
}

void take_from(const Provenance& drawn, Request& request, ModelFiles& files, EngineOptions& engine) {
  if (!drawn.embeddings.empty())
    throw Error(Code::bad_request,
                {.what = "the picture was drawn from embeddings that a program gave, not from its prompt, and "
                         "holds only their hash, " +
                         drawn.embeddings,
                 .remedies = {{Remedy::give_request}}});
  request = drawn.request;
  files.no_t5 = drawn.no_t5;
  if (!drawn.dtype.empty()) engine.dtype = drawn.dtype;
}

void warn_of_another_model(const std::string& name, const Provenance& drawn, const Engine& engine, Reporter& reporter) {
  if (drawn.model_hash.empty() || drawn.model_hash == engine.model_hash()) return;
  reporter.warning({.what = name + " was drawn with the model " + shown(drawn.model) + ", this is " +
                            shown(engine.model_name()) + ": the picture will differ. Name the model with --model."});
}

}  // namespace fude
