// A picture in memory, and what draws it again. Values: whoever holds one owns all of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fude/plan.h"
#include "fude/request.h"

namespace fude {

// The rules by which a request becomes token ids and noise. They change when Hugging Face's and torch's do, since fude draws
// what today's diffusers draws. 1: transformers 4, torch 2.11; what says nothing is that. 2: transformers 5, torch 2.13 or
// newer.
inline constexpr int64_t kRules = 2;

// What draws a picture again. Every field is stored in the picture's file.
struct Provenance {
  Request request;    // count 1, the picture's own seed and the batch it was drawn in
  std::string model;  // name, not a path: pictures are shown to others
  std::string model_hash;
  std::string device;
  std::string dtype;
  bool no_t5 = false;
  int64_t rules = kRules;
  std::string embeddings;  // hash of those it was drawn from; empty: from its prompts
  std::string latents;     // hash of those it began as; empty: its seed's noise
};

struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // rows top to bottom, 3 bytes a pixel
  uint64_t seed = 0;
  int64_t request = 0;               // of several requests: whose it is
  int64_t batch = 1, place = 0;      // pictures that were drawn at once, and which of them it was
  Seconds seconds;                   // its own: load and encode where it waited for them, a share of a batch's denoise
  std::vector<double> step_seconds;  // of the whole batch
  Bytes planned, used;
  std::vector<float> noise, latents;     // f32 [channels, height/8, width/8]: what it began as, and what was decoded
  std::optional<Provenance> provenance;  // of each picture that an Engine drew; save_png writes it into the file
};

}  // namespace fude
