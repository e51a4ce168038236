// Samplers and schedules without a model: against diffusers and published formulas (tests/fixtures/samplers.json, which
// tools/export_sampler_goldens.py writes) and against the exact solution of velocities that are known.
#include "diffusion/samplers.h"

#include <array>
#include <fstream>
#include <set>

#include "core/noise.h"
#include "diffusion/schedule.h"
#include "support.h"

namespace fude::test {
namespace {

using Values = std::vector<float>;

nlohmann::json goldens() {
  std::ifstream file(fixture("samplers.json"));
  return nlohmann::json::parse(file);
}

// Pictures whose elements are normal numbers, each with its own mean.
struct Pictures {
  std::vector<double> mean;
  double deviation;

  double spread(double sigma) const { return std::sqrt((1 - sigma) * (1 - sigma) * deviation * deviation + sigma * sigma); }
  // The mean of noise − picture for latents (1 − sigma)·picture + sigma·noise.
  Values velocity(const Values& x, double sigma) const {
    const double kept = 1 - sigma, factor = (sigma - kept * deviation * deviation) / (spread(sigma) * spread(sigma));
    Values v;
    for (size_t i = 0; i < x.size(); ++i) v.push_back(static_cast<float>(-mean[i] + factor * (x[i] - kept * mean[i])));
    return v;
  }
  // Where the straight ways lead from `x` at sigma.
  Values solution(const Values& x, double sigma) const {
    Values end;
    for (size_t i = 0; i < x.size(); ++i)
      end.push_back(static_cast<float>(mean[i] + (x[i] - (1 - sigma) * mean[i]) * deviation / spread(sigma)));
    return end;
  }
};

Pictures pictures() {
  const nlohmann::json json = goldens();
  return {json["mean"], json["deviation"]};
}

Values sigmas_of(const std::string& schedule, int64_t steps) { return find_schedule(schedule)->sigmas(steps, {.shift = 3}); }

// Latents after each step, by the operation that draws.
std::vector<Values> drawn(Device& device, const Sampler& sampler, const Values& sigmas) {
  RealRun run(device, DType::f32, int64_t{1} << 20, 0);
  Ops& op = run.op;
  const Pictures known = pictures();
  const auto n = static_cast<int64_t>(known.mean.size());
  const int64_t parts = 1 + sampler.slots, terms = parts + (sampler.draws_noise ? 2 : 1);
  TorchGenerator generator(Noise::torch_cpu, goldens()["seed"]);
  const Tensor state = op.empty({parts, n}, DType::f32), x = state.batch(0, 1);
  op.copy(x, op.noise(generator, {1, n}));
  std::vector<Values> latents;
  for (const Evaluation& evaluation : sampler.evaluations(sigmas)) {
    auto scratch = op.scope();
    const Values v = known.velocity(values_of(op, x), evaluation.sigma);
    const Tensor noise = evaluation.draws_noise() ? op.noise(generator, {1, n}) : op.empty({1, n}, DType::f32);
    op.combine(
        {.state = state,
         .v = op.upload(v.data(), DType::f32, {1, n}),
         .noise = sampler.draws_noise ? noise : Tensor(),
         .coefficients = op.upload(coefficients_of(evaluation, sampler.draws_noise).data(), DType::f32, {parts, terms})});
    latents.resize(static_cast<size_t>(evaluation.step) + 1);
    latents.back() = values_of(op, x);
  }
  return latents;
}

double distance(const Values& a, const Values& b) { return nmse(a.data(), b.data(), a.size()); }

TEST(Samplers, DrawTheLatentsOfTheirReference) {
  std::set<std::string> tested;
  const nlohmann::json all = goldens();
  for (const auto& golden : all["cases"]) {
    const std::string name = golden["sampler"];
    const Sampler* sampler = find_sampler(name);
    ASSERT_TRUE(sampler) << name;
    tested.insert(name);
    const Values sigmas = golden["sigmas"];
    for (const TestDevice& device : devices_under_test()) {
      if (device.dtype != DType::f32) continue;
      const std::vector<Values> latents = drawn(*device.device, *sampler, sigmas);
      ASSERT_EQ(latents.size(), golden["latents"].size()) << name;
      for (size_t step = 0; step < latents.size(); ++step)
        EXPECT_LE(distance(latents[step], golden["latents"][step].get<Values>()), 1e-11)
            << name << " on " << device.name << " at step " << step << " from sigma " << sigmas[0];
    }
  }
  EXPECT_EQ(tested.size(), samplers().size());
}

TEST(Samplers, SayWhatTheyKeepAndDraw) {
  for (const Sampler& sampler : samplers()) {
    SCOPED_TRACE(sampler.names.name);
    for (const int64_t steps : {1, 2, 3, 30}) {
      const Values sigmas = sigmas_of("checkpoint", steps);
      int64_t step = 0, draws = 0;
      for (const Evaluation& evaluation : sampler.evaluations(sigmas)) {
        EXPECT_TRUE(evaluation.step == step || evaluation.step == step + 1);
        step = evaluation.step;
        draws += evaluation.draws_noise();
        EXPECT_EQ(std::ssize(evaluation.slots), sampler.slots);
        for (const float factor : coefficients_of(evaluation, true)) EXPECT_TRUE(std::isfinite(factor));
        for (const Sum& kept : evaluation.slots) EXPECT_EQ(kept[kNoiseTerm], 0);
      }
      EXPECT_EQ(step, steps - 1);
      EXPECT_EQ(draws, sampler.draws_noise ? steps - 1 : 0);
    }
    EXPECT_EQ(evaluations_of_a_step(sampler), sampler.names.name == "heun" ? 2 : 1);
  }
}

// What is left over of the error when steps are half as long says of which order a sampler is.
TEST(Samplers, ComeToTheExactPicture) {
  ReferenceDevice device;
  const Pictures known = pictures();
  for (const Sampler& sampler : samplers()) {
    if (sampler.draws_noise) continue;
    SCOPED_TRACE(sampler.names.name);
    std::array<double, 2> errors{};
    for (size_t i = 0; i < 2; ++i) {
      Values sigmas;  // even, and not from pure noise, where the logarithms of multi-step samplers begin
      const int64_t steps = i == 0 ? 16 : 32;
      for (int64_t step = 0; step < steps; ++step)
        sigmas.push_back(static_cast<float>(0.9 - 0.8 * static_cast<double>(step) / static_cast<double>(steps)));
      sigmas.push_back(0.1f);
      TorchGenerator generator(Noise::torch_cpu, goldens()["seed"]);
      const Values start = generator.randn(std::ssize(known.mean));
      const Values end = drawn(device, sampler, sigmas).back();
      errors[i] = std::sqrt(distance(known.solution(end, 0.1), known.solution(start, 0.9)));
    }
    EXPECT_LT(errors[1], 0.02);
    EXPECT_GT(errors[0] / errors[1], sampler.names.name == "euler" ? 1.8 : 3.3) << errors[0] << ' ' << errors[1];
  }
}

// Formulas with logarithms hold at sigma 1, where schedules begin, as limits.
TEST(Samplers, BeginAtNoiseAsJustBehindIt) {
  ReferenceDevice device;
  for (const Sampler& sampler : samplers()) {
    Values sigmas = sigmas_of("checkpoint", 8);
    const std::vector<Values> at = drawn(device, sampler, sigmas);
    sigmas[0] = 1 - 0x1p-24f;
    const std::vector<Values> behind = drawn(device, sampler, sigmas);
    for (size_t step = 0; step < at.size(); ++step) EXPECT_LE(distance(at[step], behind[step]), 1e-8) << sampler.names.name;
  }
}

TEST(Schedules, AreThoseOfTheirReference) {
  std::set<std::string> tested;
  const nlohmann::json all = goldens();
  for (const auto& golden : all["schedules"]) {
    const std::string name = golden["schedule"];
    ASSERT_TRUE(find_schedule(name)) << name;
    tested.insert(name);
    const Values expected = golden["sigmas"], sigmas = sigmas_of(name, golden["steps"]);
    ASSERT_EQ(sigmas.size(), expected.size());
    for (size_t i = 0; i < sigmas.size(); ++i) EXPECT_NEAR(sigmas[i], expected[i], 1e-6) << name << " at " << i;
  }
  EXPECT_EQ(tested.size(), schedules().size());
}

TEST(Schedules, GoDownFromNoiseToTheEndInAnyNumberOfSteps) {
  for (const Schedule& schedule : schedules())
    for (const int64_t steps : {1, 2, 3, 7, 1000})
      for (const double shift : {0.5, 1.0, 3.0, 12.0}) {
        SCOPED_TRACE(schedule.names.name + ", " + std::to_string(steps) + " steps, shift " + std::to_string(shift));
        const Values sigmas = schedule.sigmas(steps, {.shift = shift});
        ASSERT_EQ(std::ssize(sigmas), steps + 1);
        EXPECT_EQ(sigmas.front(), 1.0f);
        EXPECT_EQ(sigmas.back(), 0.0f);
        for (size_t i = 1; i < sigmas.size(); ++i) ASSERT_LT(sigmas[i], sigmas[i - 1]) << i;
      }
}

}  // namespace
}  // namespace fude::test
