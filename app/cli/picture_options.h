// Options that say what a picture is like, as several commands have them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fude/fude.h"
#include "options.h"

namespace fude {

// "-" is standard input, which is there for one text, "@file" a file, anything else the text itself. Error{bad_request}.
std::string text_from(const std::string& text);
// The same, and not empty: whatever was to fill it did not.
std::string prompt_from(const std::string& text);
// One prompt a line; empty lines are left out, and so are those that start with #. Error{bad_request}.
std::vector<std::string> prompts_in(const std::string& file);

// Width and height; `usual`: what they are where they are not given.
void add_side_options(Options& options, std::string_view group, const std::string& usual, Request& request);
void add_size_options(Options& options, std::string_view group, const std::string& usual, Request& request);  // and --size
void add_sampling_options(Options& options, Request& request);  // one value of each; a sweep takes lists

}  // namespace fude
