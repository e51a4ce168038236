// What to draw: Request, its parts, and grids of requests. Values: whoever holds one owns all of it. The functions here may be
// called from any thread at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fude/embeddings.h"

namespace fude {

// Whose random numbers the first latents are: the same bits as torch.randn for the same seed. torch draws f16 and bf16 on the
// CPU otherwise since 2.13, as f32 values rounded once; the torch_2_11 kinds are those of 2.1 to 2.11.
enum class Noise { torch_cpu, torch_cpu_f16, torch_cpu_bf16, torch_2_11_cpu_f16, torch_2_11_cpu_bf16, torch_cuda };
const std::vector<Noise>& all_noise();
std::string_view name_of(Noise noise);  // "torch-cpu", "torch-cpu-f16", "torch-2.11-cpu-f16" …
std::optional<Noise> noise_from(std::string_view name);
const std::vector<std::string>& sampler_names();  // the first is the default
// Ours for a name as A1111, ComfyUI or diffusers write it ("Euler", "k_euler", "FlowMatchEulerDiscreteScheduler"); requests
// take all.
std::optional<std::string> sampler_from(std::string_view name);
const std::vector<std::string>& schedule_names();  // the first is the default: the checkpoint's own
std::optional<std::string> schedule_from(std::string_view name);

struct Size {
  int64_t width = 0, height = 0;  // pixels
  bool operator==(const Size&) const = default;
};

// Skip-layer guidance: away from what the model draws without some of its layers. It mends hands and bodies of SD3.5-medium,
// with its layers 7, 8 and 9.
struct SkipLayers {
  std::vector<int64_t> layers;     // from 0; at least one
  double scale = 2.8;              // 0: none
  double start = 0.01, end = 0.2;  // the part of the steps in which it is done, without both ends
};

// Noise that is moved from the seed's towards another seed's, along the sphere both lie on.
struct Variation {
  uint64_t seed = 0;  // the other's; picture i of a request uses seed + i, and its own seed is the request's
  double amount = 0;  // 0: the request's own noise, 1: the other's
};

// A smaller picture that is drawn first. Its latents are enlarged, noised again and drawn to the end at the request's size.
struct Draft {
  int64_t width = 0, height = 0;  // pixels, multiples of 16
  std::optional<int64_t> steps;   // empty: the model's own
  double strength =
      0.3;  // above 0, at most 1: the part of the request's steps, its last, that the larger picture is drawn with
  int64_t batch = 1, place = 0;  // as the request's
};

struct Request {
  std::string prompt;
  std::string negative;
  // Other prompts for the second CLIP and for T5; empty: the same.
  std::string prompt_2, prompt_3, negative_2, negative_3;
  int64_t clip_skip = 0;    // CLIP's last layers that do not shape the prompt's tokens; as in diffusers they do the negative's
  int64_t t5_tokens = 256;  // 1–512: what of a prompt is beyond them is cut from what T5 reads
  int64_t width = 0, height = 0;   // pixels, multiples of 16; 0: the model's own size
  std::optional<int64_t> steps;    // 1–1000; empty: the model's own
  std::optional<double> guidance;  // ≤ 1 turns guidance off; empty: the model's own
  uint64_t seed = 0;               // picture i of a request uses seed + i
  int64_t count = 1;
  Noise noise = Noise::torch_cpu;
  std::string sampler = "euler";
  std::string schedule = "checkpoint";
  // Instead of the schedule, one for each step: above 0, at most 1, falling; the shift applies to them. Not with a draft.
  std::vector<double> sigmas;
  std::optional<double> shift;  // of the schedule; empty: the checkpoint's
  double guidance_rescale = 0;  // 0–1: how far guidance's contrast is brought back to that of the prompt alone
  std::optional<SkipLayers> skip_layers;
  std::optional<Variation> variation;
  std::optional<Draft> draft;
  // Pictures that are drawn at once; 0: as many as is faster and fits. A batch with fewer pictures left is filled up with ones
  // that are thrown away. A picture's last bits depend on the size of its batch and on its place there; `place` puts a single
  // one there.
  int64_t batch = 1, place = 0;
  // Decode as diffusers' enable_vae_tiling does: overlapped tiles of 1024 px, blended; faster in little memory, but the picture
  // is not that of an untiled decode. Nothing changes where no side is larger than 1024 px.
  bool vae_tiling = false;
  // Drawn from instead of prompt and negative prompt, which then only describe the picture. Shared by copies of the request and
  // never changed by the library. A picture keeps only their hash: no file of it draws it again without them.
  std::shared_ptr<const Embeddings> embeddings;
  // What pictures begin as, instead of their seeds' noise: f32 [count, channels, height/8, width/8]. Shared as embeddings are.
  // A picture keeps only their hash. Neither a variation nor a draft goes with them.
  std::shared_ptr<const std::vector<float>> latents;
};

// Requests that differ from one in the values listed; an empty list leaves what the request has.
struct Grid {
  Request request;
  std::vector<std::string> prompts, negatives, samplers, schedules;
  std::vector<Size> sizes;
  std::vector<double> shifts, guidances;
  std::vector<int64_t> steps;
  std::vector<uint64_t> seeds;
};
// Every combination; the last list changes fastest.
std::vector<Request> requests_of(const Grid& grid);

}  // namespace fude
