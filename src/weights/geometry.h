// The sizes of a model. They are read from its tensors; the rest comes from config.json, else from the released SD3.5.
// Where both have a value they must agree. Every value is bounded, so that products of a few of them cannot overflow.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/activation.h"
#include "weights/component_tensors.h"
#include "weights/config.h"

namespace fude {

struct ClipGeometry {
  int64_t hidden = 0, intermediate = 0, layers = 0, heads = 0;
  int64_t vocab = 0, positions = 0;
  int64_t projection = 0;  // size of the pooled output
  Activation activation = Activation::gelu_erf;
  float eps = 1e-5f;
};

struct T5Geometry {
  int64_t d_model = 0, d_ff = 0, d_kv = 0, heads = 0, layers = 0;
  int64_t vocab = 0;
  int64_t buckets = 0, max_distance = 128;  // of the relative positions
  float eps = 1e-6f;
};

struct MmditGeometry {
  int64_t width = 0, heads = 0, head_dim = 0, layers = 0;
  int64_t patch = 0, channels = 0, out_channels = 0;
  int64_t context_width = 0, pooled_width = 0;
  int64_t pos_embed_max = 0;  // side of the table of positions
  std::vector<bool> dual;     // per block: the image also attends to itself
  bool qk_norm = false;
  int64_t sample_size = 128;  // the model's own picture side, in latents
};

struct VaeGeometry {
  std::vector<int64_t> block_out_channels;  // from the pixels inwards
  int64_t layers_per_block = 0, groups = 0;
  int64_t channels = 0, latent_channels = 0;
  bool mid_attention = false;
  float scaling_factor = 1.5305f, shift_factor = 0.0609f;

  int64_t scale_factor() const { return int64_t{1} << (block_out_channels.size() - 1); }  // pixels of a latent's side
};

enum class TimeShift { exponential, linear };
enum class SigmaSpacing { plain, karras, exponential, beta };

// scheduler_config.json of FlowMatchEulerDiscreteScheduler.
struct ScheduleConfig {
  int64_t train_timesteps = 1000;
  double shift = 3.0;
  bool use_dynamic_shifting = false;
  double base_shift = 0.5, max_shift = 1.15;
  int64_t base_image_seq_len = 256, max_image_seq_len = 4096;
  TimeShift time_shift = TimeShift::exponential;
  SigmaSpacing spacing = SigmaSpacing::plain;
  std::optional<double> shift_terminal;
  bool invert_sigmas = false, stochastic_sampling = false;
};

// All throw Error{bad_checkpoint}.
ClipGeometry clip_geometry(const ComponentTensors& tensors, const Config& config);
T5Geometry t5_geometry(const ComponentTensors& tensors, const Config& config);
MmditGeometry mmdit_geometry(const ComponentTensors& tensors, const Config& config);
VaeGeometry vae_geometry(const ComponentTensors& tensors, const Config& config);
ScheduleConfig schedule_config(const Config& config);

}  // namespace fude
