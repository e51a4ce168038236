// --from: a picture that is drawn again.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "console.h"
#include "engine/metadata.h"
#include "engine/stored_picture.h"
#include "fude/fude.h"
#include "options.h"
#include "studio/reporter.h"

namespace fude {

void add_from_option(Options& options, std::string_view group, std::string& picture);

// What is stored in the picture. Where another program drew it, or saved it again, one warning tells what is taken from it and
// what is not, besides what is given instead: `overrides` is asked for fields. Error{io, bad_request}.
StoredPicture stored_in(const std::string& picture, const std::function<bool(Field)>& overrides, const Console& console);
StoredPicture stored_in(const std::string& picture, const Options& line, const Console& console);

// What draws it again, where nothing else is given.
void take_from(const Provenance& drawn, Request& request, ModelFiles& files, EngineOptions& engine);
// Where another model is about to draw again what is called `name`.
void warn_of_another_model(const std::string& name, const Provenance& drawn, const Engine& engine, Reporter& reporter);

}  // namespace fude
