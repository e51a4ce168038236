// Other programs on the machine: how they are noticed, and that what was timed beside them is not kept and predicts with a
// word.
#include "engine/other_programs.h"

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <csignal>
#include <filesystem>
#include <memory>

#include "engine/calibrate.h"
#include "engine/engine_state.h"
#include "engine/model.h"
#include "engine/model_files.h"
#include "made_up_rates.h"
#include "support.h"
#include "temporary.h"

namespace fude::test {
namespace {

namespace fs = std::filesystem;

// A device on a machine of four processors. A step takes 0.1 s, in which other programs take as many processors as `busy`.
struct Machine {
  double time = 0, others = 0, own = 0;  // seconds
  double busy = 0;
  bool tells = true;

  void pass(double seconds) {
    time += seconds;
    others += busy * seconds;
    own += seconds;
  }
};
class OnMachine : public CpuDevice {
 public:
  OnMachine(Machine& machine, int threads) : CpuDevice(threads), machine_(machine) {}
  double now() const override { return machine_.time; }
  std::optional<ProcessorTime> processor_time() const override {
    if (!machine_.tells) return {};
    return ProcessorTime{.all = machine_.others + machine_.own, .own = machine_.own, .processors = 4};
  }

 protected:
  bool do_all_finite(const Tensor& x) override {  // once a step
    machine_.pass(0.1);
    return CpuDevice::do_all_finite(x);
  }

 private:
  Machine& machine_;
};

TEST(OtherPrograms, TakeWhatTheDeviceNeedsAndNotWhatIsLeftOver) {
  Machine machine;
  const OnMachine device(machine, 2);
  OtherPrograms others(device);
  EXPECT_FALSE(others.disturb());  // nothing is known yet
  machine = {.time = 1, .others = 2, .own = 2};
  EXPECT_DOUBLE_EQ(others.taken(), 0);
  EXPECT_FALSE(others.disturb());
  machine = {.time = 1, .others = 3, .own = 1};
  EXPECT_DOUBLE_EQ(others.taken(), 1);
  EXPECT_TRUE(others.disturb());
  machine = {.time = 1, .others = 9, .own = 0};  // ticks are not exact
  EXPECT_DOUBLE_EQ(others.taken(), 2);
  others.restart();
  machine = {.time = 1.01, .others = 9.04, .own = 0};  // four ticks may be an error of counting
  EXPECT_FALSE(others.disturb());
  machine.tells = false;
  EXPECT_DOUBLE_EQ(others.taken(), 0);
  EXPECT_FALSE(others.disturb());
}

#ifndef _WIN32
TEST(OtherPrograms, AreCountedByTheSystem) {
  const std::optional<ProcessorTime> before = processor_time();
  if (!before || before->all == 0) GTEST_SKIP() << "this system does not tell";
  const pid_t other = fork();
  if (other == 0)
    for (;;) {
    }
  std::optional<ProcessorTime> now;
  const auto others = [](const ProcessorTime& time) { return time.all - time.own; };
  do now = processor_time();
  while (others(*now) < others(*before) + 0.05 || now->own < before->own + 0.05);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  EXPECT_GE(now->processors, 1);
}
#endif

class BesideOthers : public testing::Test {
 protected:
  BesideOthers() { write_rates(options_.calibration, 1, 1e9); }
  ~BesideOthers() override { fs::remove(options_.calibration); }

  Engine engine() {
    return EngineParts::assemble(std::make_shared<const Model>(ModelFiles{.model = fixture("dual").string()}), options_,
                                 std::make_unique<OnMachine>(machine_, 1));
  }
  std::string kept() const {
    std::ifstream file(options_.calibration);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Machine machine_;
  const EngineOptions options_{.device = "cpu", .dtype = "f32", .threads = 1, .calibration = temporary("beside").string()};
  const Request request_{.prompt = "a cat", .width = 64, .height = 64, .steps = 6, .seed = 1};
};

TEST_F(BesideOthers, NothingIsLearntFromRequests) {
  const std::string before = kept();
  machine_.busy = 4;
  engine().generate(request_);
  EXPECT_EQ(kept(), before);
  machine_.busy = 3;  // one is free, which is enough
  engine().generate(request_);
  EXPECT_NE(kept(), before);
}

TEST_F(BesideOthers, NoRatesAreKept) {
  fs::remove(options_.calibration);
  const Checkpoint checkpoint = Checkpoint::open(checkpoint_files({.model = fixture("dual").string()}));
  const std::vector<Source> weights = large_weights(checkpoint);
  class Disturbed : public CpuDevice {
   public:
    Disturbed() : CpuDevice(1) {}
    std::optional<ProcessorTime> processor_time() const override { return ProcessorTime{.all = 1e6 * asked_++}; }

   private:
    mutable int asked_ = 0;
  } device;
  EXPECT_GT(rates_of(device, {}, {.description = "a machine"}, options_.calibration, weights, int64_t{1} << 40).launch, 0);
  EXPECT_FALSE(fs::exists(options_.calibration));
}

TEST_F(BesideOthers, APredictionSaysSo) {
  Engine engine = this->engine();
  EXPECT_TRUE(engine.plan(request_).advice.empty());
  machine_.busy = 4;
  machine_.pass(1);
  const Plan plan = engine.plan(request_);
  ASSERT_EQ(plan.advice.size(), 1u);
  EXPECT_NE(plan.advice[0].what.find("Other programs take 1.0 of the 1 processor"), std::string::npos) << plan.advice[0].what;
}

}  // namespace
}  // namespace fude::test
