// Every stage of the model against diffusers, given diffusers' inputs of that stage.

#include "diffusion/schedule.h"
#include "model/clip.h"
#include "model/mmdit.h"
#include "model/t5.h"
#include "model/vae.h"
#include "support.h"

namespace fude::test {
namespace {

constexpr double kTolerance = 1e-9, kCudaTolerance = 1e-8;  // in f32

std::vector<std::string> f32_devices() {
  std::vector<std::string> names;
  for (const TestDevice& device : devices_under_test())
    if (device.dtype == DType::f32) names.push_back(device.name);
  return names;
}

using Ids = std::vector<std::vector<int32_t>>;

class Stages : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  Stages() {
    for (const TestDevice& device : devices_under_test())
      if (device.name == std::get<1>(GetParam())) device_ = device.device;
    run_ = std::make_unique<RealRun>(*device_, DType::f32);
  }

  Ids ids(const std::string& name) const {
    const Golden golden = goldens_[name];
    const auto columns = static_cast<size_t>(golden.shape[1]);
    return {{golden.values.end() - static_cast<std::ptrdiff_t>(columns), golden.values.end()}};  // the positive prompt
  }

  Tensor upload(const Golden& golden) {
    const auto& s = golden.shape;
    if (s.size() == 4) return run_->op.upload(golden.values.data(), DType::f32, {s[0], s[1], s[2], s[3]});
    if (s.size() == 3) return run_->op.upload(golden.values.data(), DType::f32, {s[0], s[1], s[2]});
    return run_->op.upload(golden.values.data(), DType::f32, {s[0], s[1]});
  }

  void expect_near(const std::string& name, const std::vector<float>& values) const {
    if (!goldens_.contains(name)) return;  // left out of this fixture, present in another
    const Golden golden = goldens_[name];
    ASSERT_EQ(values.size(), golden.values.size()) << name;
    EXPECT_LE(nmse(values.data(), golden.values.data(), values.size()), tolerance()) << name;
  }
  double tolerance() const { return device_->on_host() ? kTolerance : kCudaTolerance; }
  void expect_near(const std::string& name, const Tensor& x) const { expect_near(name, values_of(run_->op, x)); }

  // Channels last -> channels first, as the goldens have pictures.
  std::vector<float> planes(const Tensor& x) const { return planes(values_of(run_->op, x), static_cast<size_t>(x.dim(3))); }
  static std::vector<float> planes(const std::vector<float>& values, size_t c) {
    std::vector<float> out(values.size());
    const size_t plane = values.size() / c;
    for (size_t i = 0; i < values.size(); ++i) out[i % c * plane + i / c] = values[i];
    return out;
  }

  std::string pipeline_ = std::get<0>(GetParam());
  Checkpoint checkpoint_ = Checkpoint::open({.model = fixture(pipeline_)});
  Goldens goldens_{pipeline_};
  std::shared_ptr<Device> device_;
  std::unique_ptr<RealRun> run_;
};

TEST_P(Stages, TextEncoders) {
  for (const auto& [component, name] : {std::pair{Component::clip_l, std::string("clip_l")}, {Component::clip_g, "clip_g"}}) {
    Clip clip(*device_, WeightFormat::f32, WeightSource(checkpoint_, component));
    ClipLayers layers(run_->op, clip);
    const ClipOutput out = clip_forward(run_->op, clip, layers, ids("tokens." + name));
    expect_near(name + ".hidden", out.hidden);
    expect_near(name + ".pooled", out.pooled);
  }
  if (!checkpoint_.has(Component::t5)) return;
  T5 t5(*device_, WeightFormat::f32, {checkpoint_, Component::t5});
  T5Layers layers(run_->op, t5);
  expect_near("t5.hidden", t5_forward(run_->op, t5, layers, ids("tokens.t5")));
}

TEST_P(Stages, Schedule) {
  const Request request = request_of(pipeline_);
  const FlowSchedule flow{checkpoint_.schedule().shift, checkpoint_.schedule().train_timesteps};
  std::vector<float> sigmas = schedules().front().sigmas(*request.steps, flow);
  EXPECT_EQ(sigmas, goldens_["sigmas"].values);
  sigmas.pop_back();
  for (float& sigma : sigmas) sigma *= static_cast<float>(flow.train_timesteps);
  EXPECT_EQ(sigmas, goldens_["timesteps"].values);
}

TEST_P(Stages, Denoiser) {
  const Request request = request_of(pipeline_);
  const Golden noise = goldens_["noise"];
  // The last picture of the request (the goldens of the text stream are of the last row), both halves of CFG.
  const int64_t pictures = noise.shape[0];
  const int64_t b = request.guidance > 1 ? 2 : 1, c = noise.shape[1], h = noise.shape[2], w = noise.shape[3];
  Tensor latents = run_->op.empty({b, c, h, w}, DType::f32);
  Tensor picture = upload(noise).batch(pictures - 1, pictures);
  for (int64_t i = 0; i < b; ++i) run_->op.copy(latents.batch(i, i + 1), picture);

  Mmdit mmdit(*device_, WeightFormat::f32, {checkpoint_, Component::transformer});
  mmdit.keep(1);  // the other blocks are streamed
  Arena measuring = Arena::measuring();
  mmdit.place(measuring);
  const Buffer memory = device_->allocate(measuring.peak());
  Arena weights(memory);
  mmdit.place(weights);
  const OnDevice embedders(run_->op, mmdit.embedders);
  const Conditioning conditioning = condition(run_->op, mmdit, *embedders, upload(goldens_["embeddings"]), h, w);
  expect_near("mmdit.context", conditioning.context.batch(b - 1, b));
  const std::vector<float> timesteps = {goldens_["timesteps"].values[0]};
  const Tensor temb = embed_timesteps(run_->op, *embedders, timesteps, upload(goldens_["pooled"]));
  const auto compare = [&](const std::string& name, const Tensor& x, bool last_row) {
    if (!goldens_.contains(name)) return;
    const Golden golden = goldens_[name];
    const size_t row = golden.values.size() / static_cast<size_t>(golden.shape[0]);
    const std::vector<float> values = values_of(run_->op, x);
    // Goldens have all pictures, negative half first; the one computed here is the last.
    for (int64_t i = last_row ? b - 1 : 0; i < b; ++i) {
      const auto theirs = static_cast<size_t>(last_row ? 0 : i * pictures + pictures - 1);
      EXPECT_LE(nmse(values.data() + static_cast<size_t>(i) * row, golden.values.data() + theirs * row, row), tolerance())
          << name;
    }
  };
  compare("mmdit.temb", temb[0], false);
  LayerStream modulations(run_->op, mmdit.modulation, 1);
  const Tensor modulation = modulate(run_->op, mmdit.geometry, *embedders, modulations, temb);
  MmditLayers layers(run_->op, mmdit, 1);
  const Tensor velocity =
      mmdit_forward(run_->op, mmdit.geometry, layers, modulation, conditioning, latents, {},
                    [&](const std::string& name, const Tensor& x) { compare("mmdit." + name, x, name.ends_with("context")); });
  compare("mmdit.raw.000", velocity, false);
}

TEST_P(Stages, Decoder) {
  const Request request = request_of(pipeline_);
  const std::string last = std::to_string(*request.steps - 1);
  const Golden latents = goldens_["latents." + std::string(3 - last.size(), '0') + last];
  Vae vae(*device_, WeightFormat::f32, {checkpoint_, Component::vae});
  const Golden golden = goldens_["decoded"];
  for (const DecodePlan& plan : {DecodePlan{}, DecodePlan{.strips = 5}, DecodePlan{.strips = 3, .through_host = true}}) {
    std::vector<float> pixels;
    const auto draw_rows = [&](int64_t, const Tensor& rows) {
      const std::vector<float> values = values_of(run_->op, rows);
      pixels.insert(pixels.end(), values.begin(), values.end());
    };
    vae_decode(run_->op, vae.geometry, *OnDevice(run_->op, vae.decoder), upload(latents).batch(0, 1), plan, draw_rows,
               {.probe = [&](const std::string& name, const Tensor& x) { expect_near("vae." + name, planes(x)); }});
    const std::vector<float> values = planes(pixels, 3);
    ASSERT_LE(values.size(), golden.values.size());  // which are of every picture
    EXPECT_LE(nmse(values.data(), golden.values.data(), values.size()), tolerance());
  }
}

TEST_P(Stages, DecoderInTiles) {
  if (!goldens_.contains("decoded.tiles")) return;  // as above
  constexpr int64_t kSide = 4;                      // latents, as tools/export_goldens.py sets it
  const Request request = request_of(pipeline_);
  Vae vae(*device_, WeightFormat::f32, {checkpoint_, Component::vae});
  const std::string last = std::to_string(*request.steps - 1);
  std::vector<float> pixels;
  vae_decode(run_->op, vae.geometry, *OnDevice(run_->op, vae.decoder),
             upload(goldens_["latents." + std::string(3 - last.size(), '0') + last]).batch(0, 1), {},
             [&](int64_t, const Tensor& rows) {
               const std::vector<float> values = values_of(run_->op, rows);
               pixels.insert(pixels.end(), values.begin(), values.end());
             },
             {.tile_side = kSide});
  expect_near("decoded.tiles", planes(pixels, 3));
  const std::vector<float> whole = goldens_["decoded"].values;
  EXPECT_GT(nmse(planes(pixels, 3).data(), whole.data(), pixels.size()), 1e-4);  // it is another picture
}

INSTANTIATE_TEST_SUITE_P(Goldens, Stages, testing::Combine(testing::ValuesIn(kPipelines), testing::ValuesIn(f32_devices())),
                         [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param); });

}  // namespace
}  // namespace fude::test
