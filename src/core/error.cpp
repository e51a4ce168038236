// Names of what an Error tells.
#include "fude/error.h"

#include <algorithm>
#include <array>
#include <utility>

namespace fude {
namespace {

constexpr std::array<std::string_view, 7> kCodes = {"bad_request", "out_of_memory", "bad_checkpoint", "device",
                                                    "io",          "non_finite",    "cancelled"};
constexpr std::array<std::string_view, 52> kFields = {"",
                                                      "prompt",
                                                      "negative",
                                                      "prompt_2",
                                                      "prompt_3",
                                                      "negative_2",
                                                      "negative_3",
                                                      "clip_skip",
                                                      "t5_tokens",
                                                      "width",
                                                      "height",
                                                      "size",
                                                      "steps",
                                                      "guidance",
                                                      "seed",
                                                      "count",
                                                      "noise",
                                                      "sampler",
                                                      "schedule",
                                                      "sigmas",
                                                      "shift",
                                                      "guidance_rescale",
                                                      "skip_layers",
                                                      "skip_scale",
                                                      "skip_start",
                                                      "skip_end",
                                                      "variation_seed",
                                                      "amount",
                                                      "draft_width",
                                                      "draft_height",
                                                      "draft_steps",
                                                      "strength",
                                                      "draft_batch",
                                                      "draft_place",
                                                      "batch",
                                                      "place",
                                                      "vae_tiling",
                                                      "embeddings",
                                                      "latents",
                                                      "model",
                                                      "clip_l",
                                                      "clip_g",
                                                      "t5",
                                                      "vae",
                                                      "tokenizers",
                                                      "no_t5",
                                                      "device",
                                                      "dtype",
                                                      "threads",
                                                      "vram",
                                                      "ram",
                                                      "card"};
constexpr std::array<std::string_view, 18> kRemedies = {
    "use_value",   "give",           "leave_out",    "raise",         "use_size",    "allow_memory", "close_other_programs",
    "check_model", "download_model", "free_space",   "choose_folder", "choose_home", "give_request", "go_on",
    "use_one_of",  "draw_gacha",     "give_another", "draw_elsewhere"};
static_assert(kCodes.size() == static_cast<size_t>(Code::cancelled) + 1);
static_assert(kFields.size() == static_cast<size_t>(Field::card) + 1);
static_assert(kRemedies.size() == static_cast<size_t>(Remedy::draw_elsewhere) + 1);

}  // namespace

std::string_view name_of(Code code) { return kCodes[static_cast<size_t>(code)]; }
std::string_view name_of(Field field) { return kFields[static_cast<size_t>(field)]; }
std::string_view name_of(Remedy::Kind kind) { return kRemedies[static_cast<size_t>(kind)]; }

std::string words_of(Field field) {
  std::string words(name_of(field));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string text_of(const Message& message) {
  std::string text = message.what;
  for (const Message& part : message.parts) text += (text.empty() ? "" : "\n") + text_of(part);
  return text;
}

Error::Error(Code code, Message message)
    : std::runtime_error(text_of(message)), code_(code), message_(std::make_shared<const Message>(std::move(message))) {}

}  // namespace fude
