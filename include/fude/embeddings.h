// Embeddings: what the text encoders make of prompts, as a value that can be kept, changed and given in the prompts' place.
//
// The functions here may be called from any thread at any time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fude {

// Of a prompt and, where guidance is on, of its negative prompt. Values are f32 whatever they were computed in, which keeps
// them exactly. In diffusers: prompt_embeds, pooled_prompt_embeds, negative_prompt_embeds, negative_pooled_prompt_embeds.
struct Embeddings {
  int64_t tokens = 0;                                  // 333: 77 of both CLIPs side by side, then 256 of T5
  int64_t width = 0;                                   // of a token: 4096
  int64_t pooled_width = 0;                            // 2048
  std::vector<float> prompt, pooled;                   // [tokens, width] and [pooled_width]
  std::vector<float> negative, negative_pooled;        // of the same shapes; both empty: there is no negative prompt
  bool operator==(const Embeddings&) const = default;  // by value
};

// 16 hexadecimal digits that tell embeddings apart; pictures drawn from them carry it.
std::string hash_of(const Embeddings& embeddings);

// As a safetensors file with diffusers' names, f32 [1, tokens, width] and [1, pooled_width]. It appears whole or not at all.
// Error: io; bad_request where the sizes of the value contradict each other.
void save_embeddings(const std::string& path, const Embeddings& embeddings);
// The file may be hostile; f32, f16 and bf16 are read. Error: io, bad_request.
Embeddings load_embeddings(const std::string& path);

}  // namespace fude
