// The advice for a plan that offloads, and the warning when steps take far longer than predicted.
#include "engine/advice.h"

#include "engine/engine_state.h"
#include "made_up_rates.h"
#include "made_up_time.h"
#include "support.h"
#include "temporary.h"
#include "told.h"

namespace fude::test {
namespace {

namespace fs = std::filesystem;

Plan plan_of(double denoise, const Request& request, Bytes budget) {
  return {.fits = true, .planned = {}, .process = {}, .budget = budget, .predicted = {.denoise = denoise}, .request = request};
}

TEST(RoundBudget, HoldsTheBytesAndAFewMore) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  EXPECT_EQ(round_budget(0), 16 * kMiB);
  EXPECT_EQ(round_budget(112 * kMiB), 128 * kMiB);
  EXPECT_EQ(round_budget(112 * kMiB + 1), 144 * kMiB);
  EXPECT_EQ(round_budget(992 * kMiB), 1008 * kMiB);
  EXPECT_EQ(round_budget(992 * kMiB + 1), 1024 * kMiB);
  EXPECT_EQ(round_budget(1024 * kMiB), 1280 * kMiB);
  EXPECT_EQ(round_budget(12288 * kMiB), 12544 * kMiB);
}

TEST(WhySlow, IsAskedOnlyWhereItMatters) {
  const Request request{.steps = 10};
  const Plan plan = plan_of(3, request, {.host = 1, .device = 1});  // 0.3 s a step
  EXPECT_FALSE(why_slow(plan, {}, 1, {}));
  EXPECT_FALSE(why_slow(plan, {}, 1, {0.31, 0.3, 0.8}));
  EXPECT_FALSE(why_slow(plan, {}, 1, {0.3, 5, 0.3}));  // once is a hiccup
  EXPECT_FALSE(why_slow(plan_of(0, request, plan.budget), {}, 1, {9, 9}));
  EXPECT_FALSE(why_slow(plan_of(0.03, request, plan.budget), {}, 1, {0.05, 0.05}));  // half a second in all
  EXPECT_NE(why_slow(plan, {}, 1, {2.4, 2.3, 2.5})->what.find("steps took 2.4 s instead of 0.3 s"), std::string::npos);
}

TEST(WhySlow, CountsBatchesAndTheStepsBehindADraft) {
  EXPECT_FALSE(why_slow(plan_of(40, {.steps = 10, .count = 8}, {.host = 1}), {}, 4, {4, 4}));
  EXPECT_TRUE(why_slow(plan_of(40, {.steps = 10, .count = 8}, {.host = 1}), {}, 1, {4, 4}));
  EXPECT_FALSE(why_slow(plan_of(6, {.steps = 10, .draft = Draft{.strength = 0.3}}, {.host = 1}), {}, 1, {4, 4}));
}

TEST(WhySlow, NamesWhatThePlanLeavesOpen) {
  const EngineOptions options{.calibration = "/home/me/calibration.json"};
  Plan plan = plan_of(3, {.steps = 10}, {.host = 1, .device = 1});
  const std::string on_card = told(why_slow(plan, options, 1, {3}).value());
  for (const char* word : {"[allow_memory vram]", "Prefer No Sysmem Fallback", "calibration.json"})
    EXPECT_NE(on_card.find(word), std::string::npos) << on_card;
  EXPECT_EQ(on_card.find("disk"), std::string::npos) << on_card;
  plan.streamed_per_step = 2;
  plan.components = {{.name = "transformer", .dtype = "f16", .in_host_memory = 1}};
  EXPECT_NE(told(why_slow(plan, options, 1, {3}).value()).find("the disk is slow"), std::string::npos);
  plan.budget.device = 0;
  const std::string on_host = told(why_slow(plan, options, 1, {3}).value());
  EXPECT_NE(on_host.find("[allow_memory ram]"), std::string::npos) << on_host;
  EXPECT_EQ(on_host.find("NVIDIA"), std::string::npos) << on_host;
}

class SlowSteps : public testing::Test {
 protected:
  SlowSteps() { fs::create_directories(folder_); }
  ~SlowSteps() override { fs::remove_all(folder_); }

  // The engine knows rates of so many FLOP and bytes a second.
  Engine engine_with(double rate) {
    const EngineOptions options{
        .device = "cpu", .dtype = "f32", .threads = 1, .calibration = (folder_ / "calibration.json").string()};
    write_rates(options.calibration, options.threads, rate);
    return EngineParts::assemble(std::make_shared<const Model>(ModelFiles{.model = fixture("dual").string()}), options,
                                 std::make_unique<MadeUpTime>(pause_));
  }
  void draw(Engine& engine) {
    const Request request{.prompt = "a cat", .width = 64, .height = 64, .steps = 6, .seed = 1};
    Callbacks callbacks;
    callbacks.warning = [&](const Message& warning) { warnings_.push_back(told(warning)); };
    callbacks.planned = [&](const Plan& plan) { plans_.push_back(plan); };
    callbacks.progress = [&](const Progress&) { EXPECT_FALSE(plans_.empty()); };
    engine.generate(request, callbacks);
  }

  fs::path folder_ = temporary("advice");
  double pause_ = 0;
  std::vector<std::string> warnings_;
  std::vector<Plan> plans_;
};

TEST_F(SlowSteps, AreToldOnceUntilTheyAreAsPlannedAgain) {
  Engine engine = engine_with(1e18);
  draw(engine);
  EXPECT_TRUE(warnings_.empty());
  pause_ = 0.3;
  draw(engine);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find((folder_ / "calibration.json").string()), std::string::npos) << warnings_[0];
  draw(engine);
  EXPECT_EQ(warnings_.size(), 1u);
  pause_ = 0;
  draw(engine);
  pause_ = 0.3;
  draw(engine);
  EXPECT_EQ(warnings_.size(), 2u);
  EXPECT_EQ(plans_.size(), 5u);
}

TEST_F(SlowSteps, AreNoWonderOnASlowMachine) {
  pause_ = 0.3;
  Engine engine = engine_with(1e6);
  draw(engine);
  EXPECT_TRUE(warnings_.empty());
}

}  // namespace
}  // namespace fude::test
