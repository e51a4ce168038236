// The host's part of drawing on cards, on a driver that stands in for NVIDIA's: what is said where there is none, what is
// launched, and that every failure of the driver is one clear error.
#include "cuda/cuda.h"

#include <dlfcn.h>

#include <thread>

#include "cuda/device.h"
#include "cuda/fake_driver.h"
#include "cuda/kernel_lists.h"
#include "cuda/machine_code.h"
#include "engine/made_up_rates.h"
#include "support.h"
#include "temporary.h"
#include "told.h"

namespace fude::test {
namespace {

std::map<std::string, FakeKernel> all_kernels() {
  using namespace cuda;  // lists name their kernels so
  return {
#define FUDE_KERNEL(name, ...) {#name, {parameters<__VA_ARGS__>(), __VA_ARGS__::kThreads}},
#define FUDE_FILE(file, LIST) LIST(FUDE_KERNEL)
      FUDE_KERNEL_FILES(FUDE_FILE)
#undef FUDE_FILE
#undef FUDE_KERNEL
  };
}

// A machine with the stand-in, as it was made.
class Cuda : public testing::Test {
 protected:
  void SetUp() override {
    void* const library = dlopen(FUDE_FAKE_DRIVER, RTLD_NOW);
    ASSERT_NE(library, nullptr) << dlerror();
    function_ = reinterpret_cast<FakeDriverFunction>(dlsym(library, "fake_driver"));
    ASSERT_NE(function_, nullptr);
    renew();
    cuda::replace_driver(FUDE_FAKE_DRIVER);
  }

  void TearDown() override { EXPECT_EQ(driver().wrong, ""); }

  FakeDriver& driver() { return function_(); }
  FakeDriver& renew() {
    const int live = driver().live;
    driver() = {};
    driver().version = cuda::kNeededDriver.cuda;
    driver().kernels = all_kernels();
    driver().live = live;
    return driver();
  }

  // With rates that nothing has to be measured for.
  static EngineOptions options(const std::string& dtype = "bf16", const std::string& device = "cuda") {
    const std::filesystem::path rates = temporary("cuda");
    write_rates(rates, 0, 1e15, device, dtype);
    return {.device = device, .dtype = dtype, .calibration = rates.string()};
  }
  static Request request() { return {.prompt = "a red bicycle", .width = 64, .height = 64, .steps = 4, .seed = 3}; }
  static ModelFiles model() { return {.model = fixture("dual").string()}; }
  // With few bytes for weights, so that they are streamed too.
  static Result draw(EngineOptions options) { return Engine(model(), options).generate(request()); }

 private:
  FakeDriverFunction function_ = nullptr;
};

int count(const std::vector<FakeLaunch>& launches, const std::string& kernel) {
  return static_cast<int>(
      std::count_if(launches.begin(), launches.end(), [&](const FakeLaunch& l) { return l.kernel.starts_with(kernel); }));
}

TEST_F(Cuda, SaysWhyThereIsNoCard) {
  EXPECT_EQ(why_no_cuda(), "");
  EXPECT_NE(cuda_driver().find("CUDA " + cuda::version_text(cuda::kNeededDriver.cuda)), std::string::npos);

  driver().cards = 0;
  EXPECT_NE(why_no_cuda().find("sees no card"), std::string::npos);
  renew().fails = "cuInit";
  driver().failing = 1;
  driver().with = cuda::CUresult(999);
  EXPECT_NE(why_no_cuda().find("CUDA_ERROR_OF_THE_TEST (a made-up failure)"), std::string::npos);

  renew().version = 11040;
  cuda::replace_driver(FUDE_FAKE_DRIVER);
  EXPECT_NE(why_no_cuda().find("too old"), std::string::npos) << why_no_cuda();
  EXPECT_NE(why_no_cuda().find("CUDA 11.4"), std::string::npos) << why_no_cuda();
  EXPECT_NE(why_no_cuda().find(" or newer"), std::string::npos) << why_no_cuda();

  cuda::replace_driver("no-such-library");
  EXPECT_NE(why_no_cuda().find("no NVIDIA driver was found"), std::string::npos) << why_no_cuda();
  EXPECT_NE(cuda_driver().find("not found"), std::string::npos);
  EXPECT_TRUE(cuda_card_names().empty());
  try {
    make_cuda_device(0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::device);
    EXPECT_NE(told(error.message()).find("[use_value device cpu]"), std::string::npos);
  }
}

TEST_F(Cuda, ListsCards) {
  driver().cards = 2;
  ASSERT_EQ(cuda_card_names(), (std::vector<std::string>{"cuda", "cuda:1"}));
  const DeviceInfo second = cuda_card(1);
  EXPECT_EQ(second.name, "cuda:1");
  EXPECT_EQ(second.description, "Made-up card 1, compute capability 8.9");
  EXPECT_EQ(second.memory, int64_t{1} << 30);
  EXPECT_THROW(make_cuda_device(2), Error);
}

struct Machine {
  std::string name;
  int compiled_for, shared_bytes;
  std::string dtype, linear, attention;
  friend void PrintTo(const Machine& machine, std::ostream* out) { *out << machine.name; }
};
class CudaMachines : public Cuda, public testing::WithParamInterface<Machine> {};
INSTANTIATE_TEST_SUITE_P(All, CudaMachines,
                         testing::Values(Machine{"turing_f16", 75, 64 << 10, "f16", "linear_f16", "attention_mma"},
                                         Machine{"ada_bf16", 89, 99 << 10, "bf16", "linear_bf16", "attention_mma"},
                                         Machine{"ada_f32", 89, 99 << 10, "f32", "linear_f32", "attention_any_f32"},
                                         Machine{"hopper_f16", 90, 227 << 10, "f16", "linear_sm90_f16", "attention_sm90"},
                                         Machine{"hopper_bf16", 90, 227 << 10, "bf16", "linear_sm90_bf16", "attention_sm90"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(CudaMachines, DrawWithTheirKernels) {
  const int live = driver().live;
  driver().compiled_for = GetParam().compiled_for;
  driver().shared_bytes = GetParam().shared_bytes;
  const Result result = draw(options(GetParam().dtype));
  EXPECT_EQ(result.images.size(), 1u);
  EXPECT_GT(driver().graph_launches, 0);
  EXPECT_GT(count(driver().launches, GetParam().linear), 0);
  EXPECT_GT(count(driver().launches, GetParam().attention), 0);
  EXPECT_GT(count(driver().launches, "combine"), 3);  // in the graph as well
  EXPECT_EQ(driver().live, live);                     // all was given back
}

TEST_F(Cuda, DrawsOnTheCardThatIsNamed) {
  driver().cards = 2;
  draw(options("bf16", "cuda:1"));
  ASSERT_FALSE(driver().launches.empty());
  for (const FakeLaunch& launch : driver().launches) EXPECT_EQ(launch.card, 1) << launch.kernel;
}

TEST_F(Cuda, StreamsWeightsWithinABudget) {
  driver().memory = size_t{1} << 30;
  Engine whole(model(), options());
  const Plan plan = whole.plan(request());
  EXPECT_EQ(plan.streamed_per_step, 0);
  EngineOptions little = options();
  for (little.vram = int64_t{32} << 20; little.vram > 0; little.vram -= 1 << 18) {
    Engine engine(model(), little);
    const Plan small = engine.plan(request());
    if (!small.fits) break;
    if (small.streamed_per_step == 0) continue;
    EXPECT_LE(engine.generate(request()).used.device, small.planned.device);
    return;
  }
  ADD_FAILURE() << "no budget made it stream";
}

TEST_F(Cuda, GivesBackFromAnyThread) {
  const int live = driver().live;
  auto engine = std::make_unique<Engine>(model(), options());
  engine->generate(request());
  std::thread([&] { engine.reset(); }).join();
  EXPECT_EQ(driver().live, live);
}

TEST_F(Cuda, SaysThatItHasNoCodeForTheCard) {
  driver().fails = "cuLibraryGetGlobal";
  driver().failing = 1;
  driver().with = cuda::CUDA_ERROR_NO_BINARY_FOR_GPU;
  try {
    draw(options());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::device);
    EXPECT_NE(told(error.message()).find("no code for the card"), std::string::npos) << error.what();
  }
}

TEST_F(Cuda, SaysThatTheCardIsFull) {
  driver().fails = "cuMemAlloc";
  driver().failing = 2;  // the first is a few bytes
  driver().lasts = true;
  driver().with = cuda::CUDA_ERROR_OUT_OF_MEMORY;
  try {
    draw(options());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::out_of_memory);
    EXPECT_NE(told(error.message()).find("[close_other_programs]"), std::string::npos);
  }
}

// Every function's first and last call fails, and one between as the first of all that follow.
TEST_F(Cuda, EveryFailureOfTheDriverIsOneClearError) {
  struct Failure {
    int call;
    bool lasts;
  };
  draw(options());
  const std::map<std::string, int> calls = driver().calls;
  EXPECT_GT(calls.size(), 30u);
  for (const auto& [function, times] : calls)
    for (const auto& [call, lasts] : {Failure{1, false}, {times, false}, {(times + 1) / 2, true}}) {
      SCOPED_TRACE(function + " " + std::to_string(call) + (lasts ? " and all that follow" : ""));
      const int live = renew().live;
      driver().fails = function;
      driver().failing = call;
      driver().with = cuda::CUresult(719);  // as where a kernel failed
      driver().lasts = lasts;
      try {
        draw(options());
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::device) << error.what();
        EXPECT_TRUE(told(error.message()).find("card") != std::string::npos ||
                    told(error.message()).find("driver") != std::string::npos)
            << error.what();
      }
      EXPECT_EQ(driver().wrong, "");
      if (!lasts) {
        EXPECT_EQ(driver().live, live);
      }
    }
  renew();
  draw(options());
}

}  // namespace
}  // namespace fude::test
