// A machine's rates: how they are measured, where they are kept, and the seconds they predict for a request.
#include "core/rates.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/calibrate.h"
#include "engine/cards.h"
#include "engine/devices.h"
#include "engine/engine_state.h"
#include "engine/model_files.h"
#include "engine/prediction.h"
#include "engine/stopwatch.h"
#include "fude/error.h"
#include "made_up_rates.h"
#include "made_up_time.h"
#include "quiet.h"
#include "support.h"
#include "temporary.h"
#include "told.h"

namespace fude::test {
namespace {

namespace fs = std::filesystem;

TEST(RateTable, InterpolatesOverLogarithmsAndEndsWithItsPoints) {
  const RateTable table{{1, 100}, {10, 1000}, {1, 100, 10, 1000}};
  EXPECT_DOUBLE_EQ(table.at(1, 10), 1);
  EXPECT_DOUBLE_EQ(table.at(100, 1000), 1000);
  EXPECT_NEAR(table.at(10, 10), 10, 1e-9);
  EXPECT_NEAR(table.at(10, 100), std::sqrt(10. * 100.), 1e-9);
  EXPECT_DOUBLE_EQ(table.at(0.01, 1), 1);
  EXPECT_DOUBLE_EQ(table.at(1e9, 1e9), 1000);
  EXPECT_DOUBLE_EQ((RateTable{{1}, {1}, {7}}.at(123, 0.5)), 7);
}

TEST(Rates, OnlyWhatIsMeasuredIsPredicted) {
  const RateTable one{{1}, {1}, {1e9}};
  const Rates rates{.gemm = one, .attention = one, .convolutions = one, .passes = one, .launch = 1e-3, .load = 1};
  CpuDevice device(1);
  Arena measuring = Arena::measuring();
  Ops op(device, measuring, {.rates = &rates});
  const Tensor x = op.empty({100, 64});
  const Tensor y = op.empty({100, 64});
  op.add(x, y);
  EXPECT_DOUBLE_EQ(op.work().seconds, 1e-3 + 3 * 100 * 64 * 4 / 1e9);
  const double before = op.work().seconds;
  op.linear(x, Linear{.weight = {x.data, WeightFormat::f32, {.out = 1000, .in = 64}}, .bias = {}});
  EXPECT_NEAR(op.work().seconds - before, 1e-3 + 2. * 100 * 64 * 1000 / 1e9, 1e-12);

  const Buffer memory = host_buffer(1 << 20);
  Arena arena(memory);
  Ops real(device, arena, {.rates = &rates});
  const std::vector<float> zeros(64);
  real.add(real.upload(zeros.data(), DType::f32, {64}), real.upload(zeros.data(), DType::f32, {64}));
  EXPECT_EQ(real.work().seconds, 0);
}

TEST(Ops, ADryRunDoesOnceAndCountsEachTime) {
  const RateTable one{{1}, {1}, {1e9}};
  const Rates rates{.gemm = one, .attention = one, .convolutions = one, .passes = one, .launch = 1e-3, .load = 1};
  CpuDevice device(1);
  Arena measuring = Arena::measuring();
  Ops op(device, measuring, {.rates = &rates});
  const Tensor x = op.empty({8});
  int done = 0;
  op.repeat(3, [&](int64_t) {
    op.repeat(5, [&](int64_t) {
      op.add(x, x);
      ++done;
    });
    op.repeat(0, [&](int64_t) { ++done; });
  });
  EXPECT_EQ(done, 1);
  EXPECT_DOUBLE_EQ(op.work().seconds, 15 * (1e-3 + 3 * 8 * 4 / 1e9));
}

using Ratios = std::vector<double>;

class Calibration : public testing::Test {
 protected:
  Calibration() : folder_(temporary("rates")), file_(folder_ / "calibration.json") { fs::create_directories(folder_); }
  ~Calibration() override { fs::remove_all(folder_); }

  Rates rates() {
    return rates_of(device_, {}, {.description = "a machine", .library = "a library"}, file_.string(), weights_,
                    int64_t{1} << 40);
  }
  std::string text() const {
    std::ifstream file(file_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& text) const { std::ofstream(file_) << text; }

  fs::path folder_, file_;
  Quiet<CpuDevice> device_{1};
  const Checkpoint checkpoint_ = Checkpoint::open(checkpoint_files({.model = fixture("dual").string()}));
  const std::vector<Source> weights_ = large_weights(checkpoint_);
};

TEST_F(Calibration, IsMeasuredOnceAndAgainWhenItsFileIsNone) {
  const Rates first = rates();
  EXPECT_GT(first.load, 0);
  EXPECT_EQ(first.upload, 0);
  const std::string kept = text();

  nlohmann::json document = nlohmann::json::parse(kept);
  auto& mine = document["machines"].begin().value();
  mine["launch"] = 12.5;
  mine["upload"] = 7;
  mine["host"] = 3;
  document["machines"]["another machine"] = mine;
  write(document.dump());
  EXPECT_EQ(rates().launch, 12.5);  // not measured again
  EXPECT_EQ(rates().upload, 7);

  mine["gemm"]["rates"][0] = -1;
  write(document.dump());
  EXPECT_NE(rates().launch, 12.5);
  EXPECT_NE(text().find("another machine"), std::string::npos);  // of which nothing was wrong

  for (const std::string& damaged : {kept.substr(0, kept.size() / 2), std::string(R"({"something": "else"})")}) {
    write(damaged);
    EXPECT_NE(rates().launch, 12.5);
    EXPECT_TRUE(nlohmann::json::parse(text()).contains("machines"));
  }
}

// Tells how much was asked for at a time.
class Counting : public CpuDevice {
 public:
  Counting() : CpuDevice(1) {}
  Buffer allocate(int64_t bytes) override {
    most = std::max(most, bytes);
    return CpuDevice::allocate(bytes);
  }
  int64_t most = 0;
};

TEST_F(Calibration, KeepsWithinItsRoom) {
  Counting device;
  constexpr int64_t kRoom = int64_t{20} << 20;
  const Rates rates = calibrate(device, {}, weights_, kRoom);
  EXPECT_LE(device.most, kRoom);
  EXPECT_GT(device.most, kRoom / 2);
  EXPECT_GT(rates.convolutions.rates.back(), 0);
  EXPECT_THROW(calibrate(device, {}, weights_, 1000), Error);
}

TEST_F(Calibration, LearnsFromRequests) {
  Rates known = rates();
  const Seconds predicted{.load = 1, .encode = 0, .denoise = 10, .decode = 2};
  EXPECT_TRUE(learn(known, predicted, {.load = 0, .encode = 3, .denoise = 12, .decode = 5}, false));
  EXPECT_EQ(known.stage_ratios.load, Ratios());    // was loaded before
  EXPECT_EQ(known.stage_ratios.encode, Ratios());  // was not predicted
  EXPECT_EQ(known.stage_ratios.denoise, Ratios{1.2});
  EXPECT_EQ(known.stage_ratios.decode, Ratios());  // disturbed
  keep_rates({.description = "a machine", .library = "a library"}, DType::f32, file_.string(), known);
  EXPECT_EQ(rates().stage_ratios.denoise, Ratios{1.2});
  EXPECT_TRUE(learn(known, {.denoise = 12}, {.denoise = 6}, false));  // of what is predicted now
  EXPECT_EQ(known.stage_ratios.denoise, (Ratios{1.2, 0.6}));
  EXPECT_NEAR(median_of(known.stage_ratios.denoise), std::sqrt(1.2 * 0.6), 1e-9);
  EXPECT_FALSE(learn(known, {}, {.denoise = 6}, false));
  EXPECT_FALSE(learn(known, {.denoise = INFINITY}, {.denoise = 6}, false));
  EXPECT_TRUE(learn(known, {.load = 1}, {.load = 1.5}, true));  // host-offloaded weights are loaded at another rate
  EXPECT_EQ(known.stage_ratios.load, Ratios());
  EXPECT_EQ(known.stage_ratios.host_offloaded, Ratios{1.5});
}

// Each picture is drawn by a process of its own, which knows what was written.
TEST_F(Calibration, IsMovedBySeveralRequestsAndNotByOne) {
  const auto draw = [&](double seconds) {
    Rates known = rates();
    const bool worth = learn(known, {.denoise = median_of(known.stage_ratios.denoise)}, {.denoise = seconds}, false);
    if (worth) keep_rates({.description = "a machine", .library = "a library"}, DType::f32, file_.string(), known);
    return worth;
  };
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(draw(0.5));
  EXPECT_FALSE(draw(0.501));  // as predicted: nothing is written
  EXPECT_TRUE(draw(0.9));
  EXPECT_TRUE(draw(0.02));
  EXPECT_EQ(median_of(rates().stage_ratios.denoise), 0.5);
  for (int i = 0; i < 3; ++i) draw(0.8);
  EXPECT_EQ(median_of(rates().stage_ratios.denoise), 0.8);
  EXPECT_EQ(std::ssize(rates().stage_ratios.denoise), 5);
}

// Resident and host-offloaded weights are loaded at rates of their own; what pictures showed about one says nothing about the
// other.
TEST(Prediction, TellsWeightsThatAreHostOffloadedFromThoseThatStay) {
  Rates rates;
  rates.upload = 1000;
  rates.load = 100;
  rates.host = 10;
  rates.stage_ratios = {.load = {3}, .host_offloaded = {2}, .encode = {}, .denoise = {}, .decode = {}};
  Plan plan;
  plan.components = {{.name = "transformer", .weights = 500, .resident = 200, .in_host_memory = 300}};
  EXPECT_TRUE(has_host_offloaded(plan));
  EXPECT_DOUBLE_EQ(predicted_seconds({}, rates, plan).load, 2 * (200. / 100 + 300. / 10));
  plan.components[0] = {.name = "transformer", .weights = 500, .resident = 500};
  EXPECT_FALSE(has_host_offloaded(plan));
  EXPECT_DOUBLE_EQ(predicted_seconds({}, rates, plan).load, 3 * 500. / 100);
}

TEST_F(Calibration, AsksForWeightsOfOneShape) {
  for (const char* name : {"dual", "no_t5"}) {
    const Checkpoint checkpoint = Checkpoint::open(checkpoint_files({.model = fixture(name).string()}));
    const std::vector<Source> weights = large_weights(checkpoint);
    ASSERT_FALSE(weights.empty());
    for (const Source& each : weights) EXPECT_EQ(each.shape, weights.front().shape);
  }
}

TEST(Prediction, FollowsWhatPicturesTook) {
  const fs::path file = temporary("learnt");
  write_rates(file, 1, 1e9);  // slow
  const EngineOptions options{.device = "cpu", .dtype = "f32", .threads = 1, .calibration = file.string()};
  const double pause = 0.01;
  Engine engine = EngineParts::assemble(std::make_shared<const Model>(ModelFiles{.model = fixture("dual").string()}), options,
                                        std::make_unique<MadeUpTime>(pause));
  const Request request{.prompt = "a cat", .width = 64, .height = 64, .steps = 12};
  Result result = engine.generate(request);
  EXPECT_GT(result.plan.predicted.denoise, 2 * result.seconds.denoise);
  for (int i = 0; i < 5; ++i) result = engine.generate(request);
  EXPECT_NEAR(result.seconds.denoise, 12 * pause, 1e-9);
  EXPECT_NEAR(result.plan.predicted.denoise, result.seconds.denoise, 1e-3);
  fs::remove(file);
}

TEST_F(Calibration, CostsOnlyTimeWhereNothingCanBeWritten) {
  write("no folder");
  file_ /= "calibration.json";
  EXPECT_GT(rates().load, 0);
  EXPECT_EQ(nlohmann::json::accept(text()), false);
}

// Counts the arithmetic that it is asked for, and not again what a kernel does by means of another.
class CountingFlops : public CpuDevice {
 public:
  explicit CountingFlops(double& flops) : CpuDevice(1), flops_(flops) {}

 protected:
  void do_linears(const std::vector<LinearCall>& calls, void* workspace) override {
    double flops = 0;
    for (const LinearCall& call : calls)
      flops += 2. * static_cast<double>(call.x.numel()) * static_cast<double>(call.w.weight.shape.out);
    count(flops, [&] { CpuDevice::do_linears(calls, workspace); });
  }
  void do_attention(const AttentionCall& call, void* workspace) override {
    count(4. * static_cast<double>(call.q.numel()) * static_cast<double>(call.k.dim(1)),
          [&] { CpuDevice::do_attention(call, workspace); });
  }
  void do_conv2d(const ConvCall& call, void* workspace) override {
    count(2. * static_cast<double>(call.out.numel()) * static_cast<double>(call.w.weight.shape.row()),
          [&] { CpuDevice::do_conv2d(call, workspace); });
  }

 private:
  template <class Kernel>
  void count(double flops, const Kernel& kernel) {
    const double before = flops_;
    kernel();
    flops_ = before + flops;
  }

  double& flops_;
};

// Rates turn this into seconds, which are compared with real ones in bench/RESULTS.md.
TEST(Prediction, CountsTheWorkThatDrawingDoes) {
  const Request three_steps{.prompt = "a cat", .width = 64, .height = 96, .steps = 3, .count = 2};
  Request drafted = three_steps;
  drafted.draft = Draft{.width = 32, .height = 48, .steps = 2, .strength = 0.5};
  Request many_steps = three_steps;  // more than have their modulation computed at a time
  many_steps.steps = 70;
  many_steps.count = 1;
  Request batches = three_steps;
  batches.count = 5;
  batches.batch = 2;
  Request twice_a_step = three_steps;
  twice_a_step.sampler = "heun";
  Request skipping = three_steps;  // in its second step
  skipping.guidance = 3;
  skipping.skip_layers = SkipLayers{.layers = {0}, .end = 0.5};
  for (const char* model : {"dual", "no_t5"})
    for (const Request& asked : {three_steps, drafted, many_steps, batches, twice_a_step, skipping}) {
      double drawn = 0;
      Worker worker(std::make_shared<const Model>(ModelFiles{.model = fixture(model).string()}),
                    {.device = "cpu", .dtype = "f32", .threads = 1}, std::make_unique<CountingFlops>(drawn));
      const ResolvedRequest request = worker.model().resolve(asked);
      const StageCosts costs = worker.costs_of(worker.job_of(request));
      EXPECT_EQ(drawn, 0);
      worker.generate(request, {}, {}, 0, true);
      const double steps = asked.draft               ? 2 * 2
                           : asked.batch == 2        ? 3 * 3
                           : asked.sampler == "heun" ? (2 * 3 - 1) * 2
                                                     : static_cast<double>(*asked.steps * asked.count);
      EXPECT_EQ(costs.steps.count, steps) << model;
      EXPECT_EQ(costs.drafts.count, asked.draft ? 2 * 2 : 0) << model;
      for (const Work& stage : {costs.encode, costs.conditioning, costs.steps.work, costs.decode}) EXPECT_GT(stage.flops, 0);
      EXPECT_DOUBLE_EQ(drawn, costs.encode.flops + costs.conditioning.flops + costs.steps.work.flops + costs.drafts.work.flops +
                                  costs.decode.flops)
          << model;
    }
}

TEST(Stopwatch, TellsHowLongACallTakes) {
  const double pause = 0.002;
  MadeUpTime device(pause);
  const BenchCase item{.name = "looking", .shape = "8", .bytes = 32, .copies = 3, .prepare = [](const BenchInputs& inputs) {
                         return BenchCase::Call([&op = inputs.op, x = inputs.vector(8)](int64_t) { op.all_finite(x); });
                       }};
  Stopwatch stopwatch(device, {});
  EXPECT_NEAR(stopwatch.time(item).seconds, pause, 1e-9);
  EXPECT_NEAR(stopwatch.peaks().bytes, 32 / pause, 1e-3);
}

TEST(Cards, HaveSoundRatesAndAreNamedWhenMistyped) {
  for (const std::string& name : card_names()) {
    const Rates rates = expected_rates(card_sheet(name));
    EXPECT_GT(rates.gemm.at(4096, 1536), 5e12) << name;
    EXPECT_LT(rates.gemm.at(4096, 6144), card_sheet(name).flops) << name;
    EXPECT_LE(rates.load, rates.upload) << name;
  }
  try {
    card_sheet("rtx4600");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(told(error.message()).find("rtx4060"), std::string::npos);
  }
}

TEST(Cards, AreMeasuredForWithoutBeingHere) {
  const std::unique_ptr<Device> card = make_device({.card = "rtx4060"});
  EXPECT_EQ(card->name(), "rtx4060");
  EXPECT_EQ(card->device_memory().total, int64_t{8188} << 20);
  EXPECT_THROW(card->allocate(1), Error);
  const Checkpoint checkpoint = Checkpoint::open(checkpoint_files({.model = fixture("dual").string()}));
  DryRun dry(*card, card->compute_dtype(DType::bf16));
  Vae vae(*card, dense_format(dry.op.dtype()), {checkpoint, Component::vae});
  vae_decode(dry.op, vae.geometry, *OnDevice(dry.op, vae.decoder),
             dry.op.empty({1, checkpoint.mmdit().channels, 64, 64}, DType::f32), {}, [](int64_t, const Tensor&) {});
  EXPECT_GT(dry.arena.peak(), 512 * 512 * 3 * 4);
}

}  // namespace
}  // namespace fude::test
