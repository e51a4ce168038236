#include "picture_options.h"

#include <iostream>
#include <iterator>
#include <optional>
#include <utility>

#include "engine/file.h"
#include "fude/error.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

constexpr uint64_t kLargestPromptFile = uint64_t{1} << 20;

std::string without_mark(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // Windows editors write it
  return text;
}

std::string choices_of_noise() {
  std::string names;
  for (const Noise noise : all_noise()) {
    names += (names.empty() ? "" : ", ") + std::string(name_of(noise));
  }
  return names;
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

Request completed(Engine& engine, const Request& asked) {
  try {
    return engine.complete(asked);
  } catch (const Error&) {
    return engine.plan(asked).request;  // refuses it too, and knows what fits
  }
}

std::string choices_of_sampler() {
  std::string names;
  for (const std::string& name : sampler_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

void add_noise_option(Options& options, std::string_view group, Noise& noise) {
  options.add(
      group, "--noise", "NAME", "whose random numbers the picture starts from: " + choices_of_noise() + "; default torch-cpu",
      [&noise](const std::string& text) {
        const std::optional<Noise> named = noise_from(text);
        if (!named)
          throw Error(Code::bad_request, "--noise " + shown(text) + " does not exist. Use one of: " + choices_of_noise() + ".");
        noise = *named;
      });
}

void add_tiling_option(Options& options, std::string_view group, bool& vae_tiling) {
  options.add_flag(group, "--vae-tiling",
                   "decode pictures larger than 1024 in blended tiles, as diffusers' enable_vae_tiling: faster in little "
                   "memory, but another picture",
                   vae_tiling);
}

void add_sampling_options(Options& options, Request& request) {
  const char* sampling = "Sampling";
  options.add(sampling, "--steps,--num-inference-steps", "N", "1 to 1000; default: the model's own",
              [&request](const std::string& text) { request.steps = integer_from("--steps", text); });
  options.add(sampling, "--guidance,--guidance-scale,--cfg-scale", "X",
              "how closely to follow the prompt; 1 or less is off; default: the model's own",
              [&request](const std::string& text) { request.guidance = number_from("--guidance", text); });
  add_noise_option(options, sampling, request.noise);
  options.add_text(sampling, "--sampler", "NAME", choices_of_sampler() + "; default " + sampler_names().front(),
                   request.sampler);
  options.add(sampling, "--shift", "X", "of the schedule, default: the checkpoint's",
              [&request](const std::string& text) { request.shift = number_from("--shift", text); });
  add_tiling_option(options, sampling, request.vae_tiling);
}

}  // namespace fude
