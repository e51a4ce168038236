// The sizes of a model as its tensors give them, checked against its configs.
#include "weights/geometry.h"

#include <nlohmann/json.hpp>

#include "tiny_model.h"

namespace fude {
namespace {

// config.json says something else than the tensors, or something absurd.
struct Lie {
  const char* file;
  const char* key;
  nlohmann::json value;
  const char* says;
};

const std::vector<Lie>& lies() {
  static const std::vector<Lie> list = {
      {"transformer/config.json", "num_layers", 24, "\"num_layers\" is 24, but the tensors say 2"},
      {"transformer/config.json", "num_layers", -1, "\"num_layers\" is -1, but the tensors say 2"},
      {"transformer/config.json", "num_layers", "2", "not a whole number"},
      {"transformer/config.json", "num_layers", 2.0, "not a whole number"},
      {"transformer/config.json", "num_attention_heads", 24, "is 24, but the tensors say 1"},
      {"transformer/config.json", "attention_head_dim", 0, "is 0, but the tensors say 64"},
      {"transformer/config.json", "attention_head_dim", 18446744073709551615u, "not a whole number between"},
      {"transformer/config.json", "in_channels", 4, "is 4, but the tensors say 16"},
      {"transformer/config.json", "out_channels", 32, "is 32, but the tensors say 16"},
      {"transformer/config.json", "patch_size", 1, "is 1, but the tensors say 2"},
      {"transformer/config.json", "joint_attention_dim", 4096, "is 4096, but the tensors say 200"},
      {"transformer/config.json", "pooled_projection_dim", 2048, "is 2048, but the tensors say 192"},
      {"transformer/config.json", "caption_projection_dim", 1536, "is 1536, but the tensors say 64"},
      {"transformer/config.json", "pos_embed_max_size", 384, "is 384, but the tensors say 12"},
      {"transformer/config.json", "sample_size", 1000000000, "not a whole number between 2 and 24"},
      {"transformer/config.json", "sample_size", 0, "not a whole number between 2 and 24"},
      {"transformer/config.json", "qk_norm", nullptr, "but the tensors say \"rms_norm\""},
      {"transformer/config.json", "qk_norm", "layer_norm", "is \"layer_norm\", but the tensors say"},
      {"transformer/config.json", "dual_attention_layers", {0, 1}, "names block 1, whose tensors say one attention"},
      {"transformer/config.json", "dual_attention_layers", nlohmann::json::array(), "leaves out block 0"},
      {"transformer/config.json", "dual_attention_layers", {1000000000}, "not a whole number between 0 and 1"},
      {"transformer/config.json", "dual_attention_layers", "0", "not a short list"},
      {"vae/config.json", "latent_channels", 4, "is 4, but the tensors say 16"},
      {"vae/config.json", "block_out_channels", {128, 256, 512, 512}, "is [128, 256, 512, 512], but the tensors say ["},
      {"vae/config.json", "layers_per_block", 2, "is 2, but the tensors say 1"},
      {"vae/config.json", "norm_num_groups", 3, "into 3 groups"},
      {"vae/config.json", "norm_num_groups", 0, "not a whole number between 1"},
      {"vae/config.json", "scaling_factor", 0, "is 0, not between"},
      {"vae/config.json", "scaling_factor", "1.5", "not a number"},
      {"vae/config.json", "shift_factor", 1e300, "not between"},
      {"vae/config.json", "mid_block_add_attention", false, "is false, but the tensors say otherwise"},
      {"vae/config.json", "use_post_quant_conv", true, "no VAE of Stable Diffusion 3.5"},
      {"vae/config.json", "act_fn", "relu", "fude knows silu"},
      {"vae/config.json", "latents_mean", {0.0}, "no VAE of Stable Diffusion 3.5"},
      {"text_encoder/config.json", "hidden_size", 768, "is 768, but the tensors say 64"},
      {"text_encoder/config.json", "num_attention_heads", 3, "into 3 heads"},
      {"text_encoder/config.json", "num_attention_heads", 0, "not a whole number between 1 and 64"},
      {"text_encoder/config.json", "num_hidden_layers", 12, "is 12, but the tensors say 2"},
      {"text_encoder/config.json", "intermediate_size", 1, "is 1, but the tensors say"},
      {"text_encoder/config.json", "max_position_embeddings", 78, "is 78, but the tensors say 77"},
      {"text_encoder/config.json", "vocab_size", 49408, "is 49408, but the tensors say"},
      {"text_encoder/config.json", "projection_dim", 1, "is 1, but the tensors say 64"},
      {"text_encoder/config.json", "hidden_act", "swish", "fude knows quick_gelu and gelu"},
      {"text_encoder/config.json", "layer_norm_eps", -1, "is -1, not between"},
      {"text_encoder_3/config.json", "d_model", 4096, "is 4096, but the tensors say 200"},
      {"text_encoder_3/config.json", "d_kv", 64, "is 64, but the tensors say 32"},
      {"text_encoder_3/config.json", "num_heads", 64, "is 64, but the tensors say 2"},
      {"text_encoder_3/config.json", "num_layers", 24, "is 24, but the tensors say 2"},
      {"text_encoder_3/config.json", "relative_attention_num_buckets", 64, "is 64, but the tensors say"},
      {"text_encoder_3/config.json", "relative_attention_max_distance", 0, "not a whole number between"},
      {"text_encoder_3/config.json", "feed_forward_proj", "relu", "fude knows gated-gelu"},
      {"scheduler/scheduler_config.json", "_class_name", "DDIMScheduler", "fude knows FlowMatchEulerDiscreteScheduler"},
      {"scheduler/scheduler_config.json", "num_train_timesteps", 0, "not a whole number between 1"},
      {"scheduler/scheduler_config.json", "shift", 0, "is 0, not between"},
      {"scheduler/scheduler_config.json", "time_shift_type", "cubic", "fude knows exponential and linear"},
      {"scheduler/scheduler_config.json", "use_dynamic_shifting", "yes", "not true or false"},
  };
  return list;
}

class LyingConfig : public testing::TestWithParam<size_t> {};

TEST_P(LyingConfig, IsAnErrorThatNamesFileAndValues) {
  const Lie& lie = lies()[GetParam()];
  const Folder folder;
  copy_fixture("dual", folder / "m");
  nlohmann::json json = nlohmann::json::parse(read_text(folder / "m" / lie.file));
  json[lie.key] = lie.value;
  write_text(folder / "m" / lie.file, json.dump());
  const std::string message = error_of(Code::bad_checkpoint, [&] { Checkpoint::open(only(folder / "m")); });
  EXPECT_TRUE(has(message, lie.says)) << lie.key;
}

INSTANTIATE_TEST_SUITE_P(All, LyingConfig, testing::Range<size_t>(0, lies().size()));

// Opens a single file of which one tensor has another shape (or is away: no shape).
std::string error_with(const std::string& name, std::optional<std::vector<int64_t>> shape) {
  const Folder folder;
  Tensors t;
  add_transformer(t, "");
  t.remove(name);
  if (shape) t.add(name, DType::f16, *shape);
  t.write(folder / "m.safetensors");
  return error_of(Code::bad_checkpoint, [&] { Checkpoint::open(only(folder / "m.safetensors")); });
}

TEST(Geometry, OfDamagedTransformersIsAnError) {
  EXPECT_TRUE(has(error_with("x_embedder.proj.weight", {}), "lacks the tensor \"x_embedder.proj.weight\""));
  EXPECT_TRUE(has(error_with("x_embedder.proj.weight", {{64, 4, 2}}), "impossible shape [64, 4, 2]"));
  EXPECT_TRUE(has(error_with("x_embedder.proj.weight", {{64, 4, 2, 3}}), "patches of the impossible shape"));
  EXPECT_TRUE(has(error_with("x_embedder.proj.weight", {{0, 4, 2, 2}}), "impossible shape"));
  EXPECT_TRUE(has(error_with("x_embedder.proj.weight", {{65, 4, 2, 2}}), "cannot split 65 channels into 64"));
  EXPECT_TRUE(has(error_with("pos_embed", {{1, 50, 64}}), "50 positions, not a square"));
  EXPECT_TRUE(has(error_with("pos_embed", {{0, 4611686018427387904, 64}}), "impossible shape"));
  EXPECT_TRUE(has(error_with("final_layer.linear.weight", {{15, 64}}), "cannot split 15 channels into 4 pixels"));
  EXPECT_TRUE(has(error_with("joint_blocks.999999999.x", {{1}}), "1000000000 blocks, not between 1 and 512"));
}

TEST(Geometry, WithoutConfigsIsThatOfTheReleasedModel) {
  const ScheduleConfig schedule = schedule_config(Config());
  EXPECT_EQ(schedule.shift, 3);
  EXPECT_EQ(schedule.train_timesteps, 1000);
  EXPECT_FALSE(schedule.use_dynamic_shifting);
}

TEST(Geometry, ReadsEveryFieldOfTheSchedule) {
  const Folder folder;
  write_text(folder / "s.json",
             R"({"_class_name":"FlowMatchEulerDiscreteScheduler","num_train_timesteps":500,"use_dynamic_shifting":true,
    "base_shift":0.25,"max_shift":1.5,"base_image_seq_len":128,"max_image_seq_len":2048,"time_shift_type":"linear",
    "use_karras_sigmas":true,"shift_terminal":0.1,"invert_sigmas":true,"stochastic_sampling":true})");
  const ScheduleConfig s = schedule_config(Config::read(folder / "s.json"));
  EXPECT_EQ(s.train_timesteps, 500);
  EXPECT_EQ(s.shift, 1.0) << "the scheduler's default";
  EXPECT_TRUE(s.use_dynamic_shifting);
  EXPECT_EQ(s.base_shift, 0.25);
  EXPECT_EQ(s.max_shift, 1.5);
  EXPECT_EQ(s.base_image_seq_len, 128);
  EXPECT_EQ(s.max_image_seq_len, 2048);
  EXPECT_EQ(s.time_shift, TimeShift::linear);
  EXPECT_EQ(s.spacing, SigmaSpacing::karras);
  EXPECT_EQ(s.shift_terminal, 0.1);
  EXPECT_TRUE(s.invert_sigmas);
  EXPECT_TRUE(s.stochastic_sampling);
}

TEST(Geometry, ExpectedTensorsHaveTheSpecifiedNumbers) {
  // Specification 1.4 and 1.5: 197, 517, 219 and 244 tensors.
  ClipGeometry l, g;
  l.layers = 12, g.layers = 32;
  EXPECT_EQ(expected_tensors(l).size(), 197u);
  EXPECT_EQ(expected_tensors(g).size(), 517u);
  T5Geometry t5;
  t5.layers = 24;
  EXPECT_EQ(expected_tensors(t5).size(), 219u);
  VaeGeometry vae;
  vae.block_out_channels = {128, 256, 512, 512}, vae.layers_per_block = 2, vae.channels = 3, vae.latent_channels = 16,
  vae.mid_attention = true;
  EXPECT_EQ(expected_tensors(vae).size(), 244u);
  MmditGeometry medium;
  medium.width = 1536, medium.heads = 24, medium.head_dim = 64, medium.layers = 24, medium.patch = 2,
  medium.channels = medium.out_channels = 16;
  medium.context_width = 4096, medium.pooled_width = 2048, medium.pos_embed_max = 384, medium.qk_norm = true;
  for (int i = 0; i < 24; ++i) medium.dual.push_back(i < 13);
  int64_t parameters = 0;
  for (const ExpectedTensor& e : expected_tensors(medium)) {
    int64_t n = 1;
    for (const int64_t extent : e.shape) n *= extent;
    parameters += n;
  }
  EXPECT_EQ(parameters, 2'469'663'936);
}

}  // namespace
}  // namespace fude
