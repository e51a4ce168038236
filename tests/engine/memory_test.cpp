// Requests with offloaded weights: the same bytes, never more than the budget, and a sound engine after every failure.

#include <future>
#include <latch>
#include <utility>

#include "core/system.h"
#include "engine/engine_state.h"
#include "fake_card.h"
#include "made_up_rates.h"
#include "support.h"
#include "temporary.h"
#include "told.h"
#include "wide_model.h"

namespace fude::test {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

// The shipped model: it has more blocks than fixtures have.
const std::string kDemo = (kSource / "models" / "demo").string();
constexpr int64_t kOutside = 0;  // of the process; else it would be what tests before this one took

EngineOptions in_f32(EngineOptions options) {
  // Measuring rates would take memory of the GPU.
  static const std::string rates = [] {
    const auto file = temporary("memory");
    write_rates(file, 0, 1e15);
    return file.string();
  }();
  options.dtype = "f32";
  options.calibration = rates;
  return options;
}

Engine engine_on(Card& card, const EngineOptions& options, const std::string& model = kDemo) {
  return EngineParts::assemble(std::make_shared<const Model>(ModelFiles{.model = model}), in_f32(options),
                               std::make_unique<FakeCard>(card), kOutside);
}

Request request() { return {.prompt = "a red bicycle", .width = 64, .height = 64, .steps = 2, .seed = 3}; }

// Of a plan that does not fit, what it would take at least.
int64_t least_memory() {
  Card none{.capacity = 0};
  return engine_on(none, {}).plan(request()).planned.device;
}

class LittleMemory : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Copies, LittleMemory, testing::Bool(), [](const auto& test) { return test.param ? "late" : "early"; });

TEST_P(LittleMemory, GivesTheSameBytesWithinTheBudget) {
  Card roomy{.copies_late = GetParam()};
  Engine whole = engine_on(roomy, {});
  const Result expected = whole.generate(request());
  const Plan all = whole.plan(request());
  EXPECT_EQ(all.streamed_per_step, 0);

  int64_t least = 0, streamed = -1;
  int tried = 0, partial = 0;
  for (int64_t budget = all.planned.device; budget > 0; budget -= all.planned.device / 16) {
    Card card{.copies_late = GetParam()};
    Engine engine = engine_on(card, {.vram = budget});
    const Plan plan = engine.plan(request());
    if (!plan.fits) {
      least = budget;
      break;
    }
    ++tried;
    EXPECT_GE(plan.streamed_per_step, streamed) << budget;  // less memory, more copies
    streamed = plan.streamed_per_step;
    const ComponentPlan& transformer = plan.components[plan.components.size() - 3];
    EXPECT_EQ(transformer.name, "transformer");
    partial += transformer.resident_parts > 2 && transformer.resident_parts < transformer.parts;
    const Result result = engine.generate(request());
    EXPECT_EQ(result.images[0].latents, expected.images[0].latents) << budget;
    EXPECT_EQ(result.images[0].rgb, expected.images[0].rgb) << budget;
    EXPECT_EQ(result.planned.device, plan.planned.device);
    EXPECT_EQ(result.planned.device, result.used.device);
    EXPECT_EQ(result.planned.device, card.most);
    EXPECT_LE(card.most, budget);
    if (tried % 4 == 0) {
      EXPECT_EQ(engine.generate(request()).images[0].rgb, expected.images[0].rgb);  // with the resident weights already there
    }
  }
  EXPECT_GE(tried, 5);
  EXPECT_GE(partial, 1);
  EXPECT_GT(least, 0);
  EXPECT_GT(streamed, 0);
}

TEST_P(LittleMemory, OfTheHostReadsWhatDoesNotStayFromTheFile) {
  Card roomy;
  const Result expected = engine_on(roomy, {}).generate(request());
  const int64_t vram = least_memory();
  const int64_t least_ram = [&] {
    Card card;
    const Plan plan = engine_on(card, {.vram = vram, .ram = 1}).plan(request());
    return plan.planned.host + Worker::kHostWork;
  }();
  for (const bool has_room : {true, false}) {
    Card card{.copies_late = GetParam()};
    // Room for the decoder's maps, and not for a block.
    Engine engine = engine_on(card, {.vram = vram, .ram = has_room ? 0 : least_ram});
    const Plan plan = engine.plan(request());
    ASSERT_TRUE(plan.fits);
    const ComponentPlan& transformer = plan.components[plan.components.size() - 3];
    EXPECT_EQ(transformer.in_host_memory, has_room ? transformer.weights - transformer.resident : 0);
    const Result result = engine.generate(request());
    EXPECT_EQ(result.images[0].rgb, expected.images[0].rgb);
    EXPECT_EQ(result.used.host, plan.planned.host);
  }
}

TEST_P(LittleMemory, IsWholeAgainAfterEveryFailure) {
  Card card{.copies_late = GetParam()};
  const Result expected = engine_on(card, {}).generate(request());
  const int64_t vram = least_memory() + kMiB / 4;
  card.events = 0;
  engine_on(card, {.vram = vram}).generate(request());
  const int64_t events = card.events;
  ASSERT_GT(events, 100);
  for (int64_t fails_at = 0; fails_at < events; fails_at += fails_at < 16 ? 1 : events / 12) {
    Engine engine = engine_on(card, {.vram = vram});
    card.events = 0;
    card.fails_at = fails_at;
    bool failed = false;
    try {
      engine.generate(request());
    } catch (const Error& error) {
      failed = true;
      EXPECT_NE(std::string(error.what()).find("the test's card failed"), std::string::npos) << error.what();
    }
    EXPECT_TRUE(failed || fails_at < 3) << fails_at;  // memory that was taken meanwhile is planned without
    card.fails_at = -1;
    EXPECT_EQ(engine.generate(request()).images[0].rgb, expected.images[0].rgb) << fails_at;
  }
  EXPECT_EQ(card.live, 0);
}

TEST_P(LittleMemory, IsGivenBackWhenAsked) {
  Card card{.copies_late = GetParam()};
  Engine engine = engine_on(card, {.vram = least_memory() + 2 * kMiB});  // most of the model is offloaded
  const std::vector<uint8_t> expected = engine.generate(request()).images[0].rgb;
  const int64_t taken = card.live;
  EXPECT_EQ(engine.memory().device, taken);
  EXPECT_GT(engine.memory().host, 0);
  engine.release();
  EXPECT_EQ(card.live, 0);
  EXPECT_EQ(engine.memory().device, 0);
  EXPECT_EQ(engine.memory().host, 0);
  EXPECT_EQ(engine.generate(request()).images[0].rgb, expected);
  EXPECT_EQ(card.live, taken);
}

// The transformer's blocks and the decoder, all of which are offloaded where there is the least memory.
class TwoWorkers : public testing::TestWithParam<bool> {
 protected:
  Worker worker(Card& card, const EngineOptions& options) const {
    return {model_, in_f32(options), std::make_unique<FakeCard>(card), kOutside};
  }
  Result draw(Worker& worker) const { return worker.generate(model_->resolve(request()), {}, {}, 0, true); }
  int64_t packed() const { return model_->packed_host().bytes("cpu", WeightFormat::f32); }

  const std::shared_ptr<const Model> model_ = std::make_shared<const Model>(ModelFiles{.model = kDemo});
};
INSTANTIATE_TEST_SUITE_P(Copies, TwoWorkers, testing::Bool(), [](const auto& test) { return test.param ? "late" : "early"; });

TEST_P(TwoWorkers, ShareNothingThatPatchesMadeOtherwise) {
  const WeightSource plain(model_->checkpoint(), Component::transformer);
  const WeightSource patched(
      model_->checkpoint(), Component::transformer,
      {std::make_shared<Patch>(Patch{"joint_blocks.1.x_block.mlp.fc2.bias", 1, [](int64_t begin, int64_t end, float* rows) {
                                       for (int64_t i = begin; i < end; ++i) rows[i - begin] += static_cast<float>(i % 2);
                                     }})});
  Card roomy;
  Worker whole = worker(roomy, {});
  const std::vector<uint8_t> expected = draw(whole).images[0].rgb;
  whole.use(patched);
  const std::vector<uint8_t> expected_patched = draw(whole).images[0].rgb;
  EXPECT_NE(expected_patched, expected);

  const int64_t vram = least_memory();
  Card cards[] = {{.copies_late = GetParam()}, {.copies_late = GetParam()}};
  Worker one = worker(cards[0], {.vram = vram});
  Worker other = worker(cards[1], {.vram = vram});
  const std::vector<ComponentPlan> components = draw(one).plan.components;
  const int64_t block = components[components.size() - 3].weights / one.model().checkpoint().mmdit().layers;
  EXPECT_EQ(draw(other).images[0].rgb, expected);
  const int64_t shared = packed();
  EXPECT_EQ(cards[1].packed_to_host, 0);
  other.use(patched);
  EXPECT_EQ(draw(other).images[0].rgb, expected_patched);
  EXPECT_EQ(draw(one).images[0].rgb, expected);
  EXPECT_GT(cards[1].packed_to_host, 0);
  EXPECT_LT(cards[1].packed_to_host, 2 * block) << "one block";
  EXPECT_GT(packed(), shared);
  other.use(plain);
  EXPECT_EQ(packed(), shared);
  EXPECT_EQ(draw(other).images[0].rgb, expected);
  EXPECT_LT(cards[1].packed_to_host, 2 * block) << "the other's copy is at hand";
}

TEST_P(TwoWorkers, ShareOnePackedCopy) {
  Card roomy;
  const Result expected = engine_on(roomy, {}).generate(request());
  const int64_t vram = least_memory();
  Card cards[] = {{.copies_late = GetParam()}, {.copies_late = GetParam()}};
  std::vector<std::unique_ptr<Worker>> workers;
  for (Card& card : cards) workers.emplace_back(new Worker(worker(card, {.vram = vram})));
  std::latch both(2);
  std::vector<std::future<void>> drawn;
  for (size_t i = 0; i < 2; ++i)
    drawn.push_back(std::async(std::launch::async, [&, i] {
      both.arrive_and_wait();
      for (int again = 0; again < 2; ++again) {
        const Result result = draw(*workers[i]);
        EXPECT_EQ(result.images[0].rgb, expected.images[0].rgb);
        EXPECT_EQ(result.planned.device, result.used.device);
        EXPECT_EQ(result.planned.host, result.used.host);
        EXPECT_EQ(result.planned.device, cards[i].most);
        int64_t offloaded = 0;
        for (const ComponentPlan& component : result.plan.components) offloaded += component.in_host_memory;
        EXPECT_GT(offloaded, 0);
        EXPECT_EQ(packed(), offloaded);  // each counts what both hold
      }
    }));
  for (std::future<void>& one : drawn) one.get();
  // Weights are aligned in the copy; nothing of them was packed twice.
  const int64_t weights = cards[0].packed_to_host + cards[1].packed_to_host;
  EXPECT_LE(weights, packed());
  EXPECT_GT(weights, packed() * 9 / 10);

  workers[0].reset();
  EXPECT_GT(packed(), 0);  // the other still holds it, whoever packed it
  EXPECT_EQ(draw(*workers[1]).images[0].rgb, expected.images[0].rgb);
  workers[1].reset();
  EXPECT_EQ(packed(), 0);
}

TEST_P(TwoWorkers, PackWhatTheOtherCouldNot) {
  const int64_t vram = least_memory();
  Card failing{.copies_late = GetParam()}, sound{.copies_late = GetParam()};
  Worker one = worker(failing, {.vram = vram}), other = worker(sound, {.vram = vram});
  failing.fails_packing = true;
  EXPECT_THROW(draw(one), Error);
  const Result expected = draw(other);
  failing.fails_packing = false;
  EXPECT_EQ(draw(one).images[0].rgb, expected.images[0].rgb);
}

TEST_P(LittleMemory, HoldsTilesAsPlanned) {
  const WideModel model;
  Request tiled = request();
  tiled.width = 1104;
  tiled.vae_tiling = true;
  Card roomy{.copies_late = GetParam()};
  const Result expected = engine_on(roomy, {}, model.path()).generate(tiled);
  Card none{.capacity = 0};
  const int64_t least = engine_on(none, {}, model.path()).plan(tiled).planned.device;
  for (const int64_t vram : {int64_t{0}, least}) {
    Card card{.copies_late = GetParam()};
    Engine engine = engine_on(card, {.vram = vram}, model.path());
    const Plan plan = engine.plan(tiled);
    ASSERT_TRUE(plan.fits);
    EXPECT_EQ(plan.decode_tiles, 2);
    EXPECT_EQ(plan.decode_through_host, vram > 0);
    const Result result = engine.generate(tiled);
    EXPECT_EQ(result.images[0].latents, expected.images[0].latents);
    EXPECT_EQ(result.images[0].rgb, expected.images[0].rgb);
    for (const Bytes& used : {result.used, result.images[0].used}) {
      EXPECT_EQ(used.device, plan.planned.device);
      EXPECT_EQ(used.host, plan.planned.host);
    }
    EXPECT_EQ(card.most, plan.planned.device);
  }
}

TEST(Plan, ChangesNothing) {
  Card card;
  Request large = request();
  large.width = large.height = 256;
  const int64_t vram = engine_on(card, {}).plan(large).planned.device;
  Engine engine = engine_on(card, {.vram = vram - kMiB});
  const Result first = engine.generate(request());
  const int64_t live = card.live;
  card.events = 0;
  engine.generate(request());
  const int64_t events = card.events;
  card.events = 0;
  EXPECT_TRUE(engine.plan(large).fits);  // placed otherwise
  EXPECT_EQ(card.events, 0);
  EXPECT_EQ(card.live, live);
  EXPECT_EQ(engine.generate(request()).images[0].rgb, first.images[0].rgb);
  EXPECT_EQ(card.events, events);  // what was loaded is still there
}

TEST(Generate, LeavesWhatIsLoadedWhereNothingIsDrawn) {
  Card card;
  Request large = request();
  large.width = large.height = 512;
  Engine engine = engine_on(card, {.vram = least_memory() + 4 * kMiB});
  const Result first = engine.generate(request());
  card.events = 0;
  engine.generate(request());
  const int64_t events = card.events;
  card.events = 0;
  EXPECT_THROW(engine.generate(large), Error);  // does not fit
  std::atomic<bool> stop = true;
  EXPECT_THROW(engine.generate(request(), {.stop = &stop}), Error);
  EXPECT_EQ(card.events, 0);
  EXPECT_EQ(engine.generate(request()).images[0].rgb, first.images[0].rgb);
  EXPECT_EQ(card.events, events);
}

TEST(Plan, SaysWhatDoesNotFitAndWhatWould) {
  Card card{.capacity = 64 * kMiB};
  const int64_t small = [&] {
    Card none{.capacity = 0};
    Request least = request();
    least.width = least.height = 256;
    return engine_on(none, {}).plan(least).planned.device;
  }();
  Request large = request();
  large.width = large.height = 512;
  Engine engine = engine_on(card, {.vram = small});
  const Plan plan = engine.plan(large);
  EXPECT_FALSE(plan.fits);
  ASSERT_TRUE(plan.nearest);
  EXPECT_LT(plan.nearest->width, 512);
  EXPECT_GE(plan.nearest->width, 256);
  EXPECT_TRUE(engine.plan(*plan.nearest).fits);
  try {
    engine.generate(large);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::out_of_memory);
    EXPECT_NE(told(error.message()).find("[use_size width "), std::string::npos) << told(error.message());
  }
  EXPECT_EQ(engine.generate(*plan.nearest).images.size(), 1u);
}

TEST(Plan, SaysInHowMuchMemoryAllWouldStay) {
  Card card;
  const Plan plan = engine_on(card, {.vram = least_memory() + kMiB}).plan(request());
  ASSERT_GT(plan.streamed_per_step, 0);
  ASSERT_FALSE(plan.advice.empty());
  const std::string advice = told(plan.advice.front());
  ASSERT_EQ(plan.advice.front().remedies.size(), 1u) << advice;
  const Remedy& remedy = plan.advice.front().remedies.front();
  EXPECT_EQ(remedy.kind, Remedy::allow_memory) << advice;
  EXPECT_EQ(remedy.field, Field::vram) << advice;
  EXPECT_EQ(remedy.bytes % kMiB, 0) << advice;
  const int64_t mib = remedy.bytes / kMiB;
  const Plan roomy = engine_on(card, {.vram = mib * kMiB}).plan(request());
  EXPECT_EQ(roomy.streamed_per_step, 0) << advice;
  EXPECT_LT(roomy.planned.device, mib * kMiB);
  EXPECT_EQ(engine_on(card, {.vram = (mib - 24) * kMiB}).plan(request()).streamed_per_step > 0, true)
      << advice;  // it is not much too large
  EXPECT_TRUE(engine_on(card, {}).plan(request()).advice.empty());

  Card small{.capacity = least_memory() + 2 * kMiB};
  const Plan tight = engine_on(small, {.vram = small.capacity}).plan(request());
  ASSERT_FALSE(tight.advice.empty());
  EXPECT_NE(tight.advice.front().what.find("too small"), std::string::npos) << tight.advice.front().what;
}

}  // namespace
}  // namespace fude::test
