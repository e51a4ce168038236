// Declaring the options of a picture: prompts, sizes, steps and the other fields.
#include "picture_options.h"

#include <iostream>
#include <iterator>
#include <utility>

#include "engine/file.h"
#include "engine/request.h"
#include "field_options.h"
#include "fude/error.h"
#include "session/ranges.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

constexpr uint64_t kLargestPromptFile = uint64_t{1} << 20;

std::string without_mark(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // Windows editors write it
  return text;
}

}  // namespace

std::string text_from(const std::string& text) {
  std::string prompt = text;
  if (text == "-") {
    static bool taken = false;
    if (std::exchange(taken, true))
      throw Error(Code::bad_request,
                  "- stands for standard input, which is read once. Give the other text in a file, as @FILE.");
    prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else if (text.starts_with('@')) {
    try {
      const std::vector<uint8_t> bytes = read_file(path_of(std::string_view(text).substr(1)), kLargestPromptFile);
      prompt.assign(bytes.begin(), bytes.end());
    } catch (const Error& error) {
      throw Error(Code::bad_request, "the prompt names a file with @, and fude " + worded(error.message()) +
                                         " To write a prompt that starts with @, put a space before it.");
    }
  } else {
    return prompt;
  }
  prompt = without_mark(std::move(prompt));
  while (!prompt.empty() && (prompt.back() == '\n' || prompt.back() == '\r')) prompt.pop_back();
  return prompt;
}

std::string prompt_from(const std::string& text) {
  std::string prompt = text_from(text);
  if (prompt.empty())
    throw Error(Code::bad_request, "the prompt is empty" +
                                       std::string(text == "-"             ? ": standard input holds nothing"
                                                   : text.starts_with('@') ? ": " + shown(text.substr(1)) + " holds nothing"
                                                                           : "") +
                                       ". Write what to draw. To draw without a prompt, give a space: -p \" \"");
  return prompt;
}

std::vector<std::string> prompts_in(const std::string& file) {
  std::vector<std::string> prompts;
  try {
    const std::vector<uint8_t> bytes = read_file(path_of(file), kLargestPromptFile);
    const std::string text = without_mark({bytes.begin(), bytes.end()});
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      std::string line = text.substr(begin, end - begin);
      if (line.ends_with('\r')) line.pop_back();
      if (line.find_first_not_of(" \t") != std::string::npos && line[0] != '#') prompts.push_back(line);
      begin = end + 1;
    }
  } catch (const Error& error) {
    throw Error(Code::bad_request, "--prompts: " + worded(error.message()));
  }
  if (prompts.empty())
    throw Error(Code::bad_request, "--prompts " + shown(file) +
                                       " holds no prompt. Write one prompt a line; a line that starts with # is a comment.");
  return prompts;
}

void add_side_options(Options& options, std::string_view group, const std::string& usual, Request& request) {
  for (const Field side : {Field::width, Field::height}) add_field_option(options, group, side, request, usual);
}

void add_size_options(Options& options, std::string_view group, const std::string& usual, Request& request) {
  add_side_options(options, group, usual, request);
  options.add(group, "--size", "WxH", "both at once, such as 768x512", [&](const std::string& text) {
    if (options.given("--width") || options.given("--height"))
      throw Error(Code::bad_request, "--size says what --width and --height say too. Give one or the other.");
    const Size size = size_in("--size", text);
    request.width = size.width;
    request.height = size.height;
    for (const auto& [side, pixels] : {std::pair{Field::width, size.width}, std::pair{Field::height, size.height}})
      if (pixels < 16) check_side(side, pixels);
  });
}

void add_sampling_options(Options& options, Request& request) {
  for (const Field field :
       {Field::steps, Field::guidance, Field::noise, Field::sampler, Field::schedule, Field::sigmas, Field::shift,
        Field::guidance_rescale, Field::skip_layers, Field::skip_scale, Field::skip_start, Field::skip_end, Field::vae_tiling})
    add_field_option(options, "Sampling", field, request);
}

}  // namespace fude
