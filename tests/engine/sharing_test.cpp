// Engines and threads: one Engine does one thing at a time and says so, several go on side by side.
#include <future>
#include <latch>
#include <memory>
#include <thread>

#include "cpu/cpu_device.h"
#include "engine/devices.h"
#include "engine/engine_state.h"
#include "engine/worker.h"
#include "quiet.h"
#include "support.h"
#include "temporary.h"
#include "told.h"

namespace fude::test {
namespace {

Engine engine_of(const std::string& pipeline) {
  return Engine({.model = fixture(pipeline).string()}, {.device = "cpu", .dtype = "f32", .threads = 1});
}

template <class Call>
std::string refusal_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return told(error.message());
  }
  return {};
}

void expect_busy(Engine& engine, const Request& request) {
  const std::string word = "at work already";
  EXPECT_NE(refusal_of([&] { engine.generate(request); }).find(word), std::string::npos);
  EXPECT_NE(refusal_of([&] { engine.generate(std::vector{request}); }).find(word), std::string::npos);
  EXPECT_NE(refusal_of([&] { engine.encode(request); }).find(word), std::string::npos);
  EXPECT_NE(refusal_of([&] { engine.plan(request); }).find(word), std::string::npos);
  EXPECT_NE(refusal_of([&] { engine.remember(request, {}); }).find(word), std::string::npos);
  EXPECT_NE(refusal_of([&] { engine.keep_embeddings_in("nowhere"); }).find(word), std::string::npos);
  EXPECT_EQ(engine.complete(request).prompt, request.prompt);
  EXPECT_EQ(engine.device() + engine.dtype() + engine.model_name(), "cpuf32dual");
}

TEST(OneEngine, RefusesAnotherThreadAndGoesOnUnharmed) {
  Engine engine = engine_of("dual");
  const Request request = request_of("dual");
  const std::vector<uint8_t> expected = engine.generate(request).images[0].rgb;
  std::latch drawing(1), refused(1);
  Callbacks callbacks;
  callbacks.progress = [&](const Progress& progress) {
    if (progress.stage != Stage::denoise || progress.step != 1) return;
    drawing.count_down();
    refused.wait();
  };
  auto drawn = std::async(std::launch::async, [&] { return engine.generate(request, callbacks); });
  drawing.wait();
  expect_busy(engine, request);
  refused.count_down();
  EXPECT_EQ(drawn.get().images[0].rgb, expected);
  EXPECT_EQ(engine.generate(request).images[0].rgb, expected);  // the turn is over
}

TEST(OneEngine, RefusesItsOwnCallbacks) {
  Engine engine = engine_of("dual");
  const Request request = request_of("dual");
  Callbacks callbacks;
  int asked = 0;
  callbacks.planned = [&](const Plan&) {
    expect_busy(engine, request);
    ++asked;
  };
  EXPECT_EQ(engine.generate(request, callbacks).images.size(), 1u);
  EXPECT_EQ(asked, 1);
}

TEST(OneEngine, IsFreeAgainAfterAnError) {
  Engine engine = engine_of("dual");
  Request request = request_of("dual");
  request.width = 50;
  EXPECT_NE(refusal_of([&] { engine.generate(request); }).find("[use_size width 48]"), std::string::npos);
  EXPECT_NE(refusal_of([&] { engine.plan(request); }).find("[use_size width 48]"), std::string::npos);
  EXPECT_EQ(engine.generate(request_of("dual")).images.size(), 1u);
}

TEST(SeveralEngines, DrawAtTheSameTimeWhatTheyDrawAlone) {
  const std::vector<std::string> pipelines = {"dual", "plain", "dual"};
  const auto home = temporary("sharing");  // they share what is kept
  const auto draw = [&](const std::string& pipeline, std::latch* all) {
    Engine engine({.model = fixture(pipeline).string()}, {.device = "cpu",
                                                          .dtype = "f32",
                                                          .threads = 1,
                                                          .embeddings = {(home / "embeddings").string()},
                                                          .calibration = (home / "rates").string()});
    if (all) all->arrive_and_wait();
    std::vector<std::vector<uint8_t>> pictures;
    for (int i = 0; i < 2; ++i) {
      Request request = request_of(pipeline);
      request.seed += static_cast<uint64_t>(i);
      pictures.push_back(engine.generate(request).images[0].rgb);
    }
    return pictures;
  };
  std::latch all(static_cast<std::ptrdiff_t>(pipelines.size()));
  std::vector<std::future<std::vector<std::vector<uint8_t>>>> drawn;
  for (const std::string& pipeline : pipelines) drawn.push_back(std::async(std::launch::async, draw, pipeline, &all));
  for (size_t i = 0; i < pipelines.size(); ++i) EXPECT_EQ(drawn[i].get(), draw(pipelines[i], nullptr)) << i;
  std::filesystem::remove_all(home);
}

// Threads of the machine that are always at work.
class BusyMachine {
 public:
  explicit BusyMachine(int threads) {
    for (int i = 0; i < threads; ++i)
      busy_.emplace_back([](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
        }
      });
  }

 private:
  std::vector<std::jthread> busy_;
};

TEST(TheSameThreads, MakeTheSameBytesWhicheverThreadAsks) {
  const BusyMachine busy(3);
  for (const std::string dtype : {"f32", "bf16"}) {
    const EngineOptions options{.device = "cpu", .dtype = dtype, .threads = 3};
    const auto make = [&] { return std::make_unique<Engine>(ModelFiles{.model = fixture("dual").string()}, options); };
    const auto elsewhere = [](const auto& work) { return std::async(std::launch::async, work).get(); };
    const std::vector<uint8_t> expected = make()->generate(request_of("dual")).images[0].rgb;
    const std::unique_ptr<Engine> engine = elsewhere(make);
    for (int i = 0; i < 25; ++i)
      ASSERT_EQ(elsewhere([&] { return engine->generate(request_of("dual")).images[0].rgb; }), expected) << i;
  }
}

TEST(WhatIsNotKept, IsToldOnceAndCostsNoPicture) {
  const auto file = temporary("file");
  std::ofstream(file) << "in the way";
  const EngineOptions options{.device = "cpu",
                              .dtype = "f32",
                              .threads = 1,
                              .embeddings = {(file / "embeddings").string()},
                              .calibration = (file / "rates").string()};
  Engine engine = EngineParts::assemble(std::make_shared<const Model>(ModelFiles{.model = fixture("dual").string()}), options,
                                        std::make_unique<Quiet<CpuDevice>>(1));
  std::vector<std::string> told;
  Callbacks callbacks;
  callbacks.not_kept = [&](const std::string& what) { told.push_back(what); };
  Request request = request_of("dual");
  // Rates are learnt from requests that nothing disturbed: on a busy machine the first may not be one.
  for (int i = 0; i < 20 && told.size() < 2; ++i) {
    request.prompt = "prompt " + std::to_string(i);
    EXPECT_EQ(engine.generate(request, callbacks).images.size(), 1u);
  }
  request.prompt = "another";
  EXPECT_EQ(engine.generate(request, callbacks).images.size(), 1u);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(told[0].starts_with("the embeddings of this prompt: ")) << told[0];
  EXPECT_TRUE(told[1].starts_with("the rates of this machine: ")) << told[1];
  for (const std::string& what : told) EXPECT_NE(what.find(file.string()), std::string::npos) << what;
  std::filesystem::remove(file);
}

TEST(TwoWorkers, ShareAModel) {
  const auto model = std::make_shared<const Model>(ModelFiles{.model = fixture("dual").string()});
  const EngineOptions options{.device = "cpu", .dtype = "f32", .threads = 1};
  const std::vector<uint8_t> expected = engine_of("dual").generate(request_of("dual")).images[0].rgb;
  const auto draw = [&] {
    Worker worker(model, options, make_device(options));
    return worker.generate(model->resolve(request_of("dual")), {}, {}, 0, true).images[0].rgb;
  };
  auto one = std::async(std::launch::async, draw);
  auto other = std::async(std::launch::async, draw);
  EXPECT_EQ(one.get(), expected);
  EXPECT_EQ(other.get(), expected);
}

}  // namespace
}  // namespace fude::test
