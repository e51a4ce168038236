// --from: a picture that is drawn again.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "console.h"
#include "options.h"
#include "saving.h"

namespace fude {

void add_from_option(Options& options, std::string_view group, std::string& picture);

// What is stored in the picture. Where another program drew it, or saved it again, one warning tells what is taken from it and
// what is not, besides what is given instead: `overrides` is asked for fields. Error{io, bad_request}.
StoredPicture stored_in(const std::string& picture, const std::function<bool(Field)>& overrides, const Console& console);
StoredPicture stored_in(const std::string& picture, const Options& line, const Console& console);

// Whether it tells a seed; otherwise a random one is drawn.
bool has_seed(const StoredPicture& picture);

}  // namespace fude
