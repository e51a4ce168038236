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

std::string choices_of_sampler();                               // "euler, …"
void add_sampling_options(Options& options, Request& request);  // one value of each; a sweep takes lists
void add_noise_option(Options& options, std::string_view group, Noise& noise);
void add_tiling_option(Options& options, std::string_view group, bool& vae_tiling);

}  // namespace fude
