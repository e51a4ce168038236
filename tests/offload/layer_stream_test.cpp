// Streams of layers: each with its own weights, wherever it lies, in the memory that a dry run says.

#include "offload/layer_stream.h"

#include <cstring>

#include "fake_card.h"
#include "support.h"

namespace fude::test {
namespace {

// Large and small layers in turn.
struct Part {
  Linear linear;
};

constexpr int64_t kLayers = 8;

Part load_part(Loader& file, int64_t i) {
  Loader block = file.at("joint_blocks." + std::to_string(i / 2) + ".x_block.");
  return {.linear = i % 2 ? block.linear("attn.proj", 256, 256) : block.linear("mlp.fc1", 1024, 256)};
}

// A card that remembers, as a GPU does, what the host has to do while a graph is replayed.
class GraphCard : public FakeCard {
 public:
  using FakeCard::FakeCard;

  void replay(std::unique_ptr<DeviceGraph>& graph, const std::function<void()>& work) override {
    if (!graph) {
      graph = std::make_unique<Callbacks>();
      return work();
    }
    auto& callbacks = static_cast<Callbacks&>(*graph);
    if (!callbacks.all.empty()) {
      for (const auto& callback : callbacks.all) callback();
      return;
    }
    capturing_ = &callbacks;
    work();
    capturing_ = nullptr;
  }
  void host_callback(const std::function<void()>& action) override {
    if (capturing_) capturing_->all.push_back(action);
    action();
  }

 private:
  struct Callbacks : DeviceGraph {
    std::vector<std::function<void()>> all;
  };
  Callbacks* capturing_ = nullptr;
};

// Layers, of which so many stay and so many bytes lie in host memory; the others come from the file.
struct Case {
  int64_t resident;
  int64_t host_bytes;
  bool copies_late;
};

class Streams : public testing::TestWithParam<Case> {
 protected:
  Streams() {
    layers_.keep(GetParam().resident, {&store_, GetParam().host_bytes});
    memory_ = device_.allocate(layers_.resident_bytes());
    Arena residents(memory_);
    layers_.place(residents);
    for (int64_t i = 0; i < kLayers; ++i) expected_.push_back(bytes_of_file(i));
  }

  // Of one layer, loaded by itself.
  std::vector<std::byte> bytes_of_file(int64_t i) {
    std::vector<std::byte> memory(static_cast<size_t>(layers_.residency().bytes(i)));
    Arena arena(memory.data(), std::ssize(memory));
    CpuDevice host(1);
    const std::unique_ptr<Transfer> transfer = host.begin_transfer(Side::device);
    const WeightSource source(checkpoint_, Component::transformer);
    Loader loader(host, WeightFormat::f32, source, arena, transfer.get());
    const Part part = load_part(loader, i);
    transfer->wait();
    return bytes_of(part);
  }
  static std::vector<std::byte> bytes_of(const Part& part) {
    const auto* data = static_cast<const std::byte*>(part.linear.weight.data);
    return {data, data + part.linear.weight.shape.numel() * size_of(DType::f32)};
  }
  void expect_next(LayerStream<Part>& stream, int64_t i) { EXPECT_EQ(bytes_of(stream.next()), expected_[at(i)]) << i; }
  static size_t at(int64_t i) { return static_cast<size_t>(i % kLayers); }

  const Checkpoint checkpoint_ = Checkpoint::open({.model = kSource / "models" / "demo"});
  PackedHost store_;
  Card card_{.copies_late = GetParam().copies_late};
  GraphCard device_{card_};
  Layers<Part> layers_{device_, WeightFormat::f32, {checkpoint_, Component::transformer}, kLayers, load_part};
  Buffer memory_;
  std::vector<std::vector<std::byte>> expected_;
};
constexpr int64_t kAll = int64_t{1} << 40, kSome = int64_t{1} << 20;
INSTANTIATE_TEST_SUITE_P(Layers, Streams,
                         testing::Values(Case{0, 0, false}, Case{0, 0, true}, Case{0, kAll, false}, Case{0, kAll, true},
                                         Case{0, kSome, true}, Case{3, kSome, true}, Case{5, kAll, true}, Case{6, 0, true},
                                         Case{kLayers - 1, kAll, true}, Case{kLayers, 0, true}),
                         [](const auto& test) {
                           const Case& each = test.param;
                           return std::to_string(each.resident) + "_stay_" +
                                  (each.host_bytes == 0      ? "none"
                                   : each.host_bytes == kAll ? "all"
                                                             : "some") +
                                  "_on_host_copied_" + (each.copies_late ? "late" : "early");
                         });

TEST_P(Streams, GiveAllLayersInOrderPassAfterPass) {
  RealRun run(device_, DType::f32);
  LayerStream stream(run.op, layers_, 3);
  for (int64_t i = 0; i < 3 * kLayers; ++i) expect_next(stream, i);
}

TEST_P(Streams, GiveTheSameToAGraphThatIsReplayed) {
  RealRun run(device_, DType::f32);
  LayerStream stream(run.op, layers_, 5);
  std::vector<std::vector<std::byte>> seen;
  const auto pass = [&] {
    for (int64_t i = 0; i < kLayers; ++i) {
      const Part& part = stream.next();
      run.op.host_callback([&seen, part] { seen.push_back(bytes_of(part)); });  // what a kernel would read at this address
    }
  };
  std::unique_ptr<DeviceGraph> graph;
  for (int i = 0; i < 5; ++i) run.op.replay(graph, pass);
  ASSERT_EQ(std::ssize(seen), 5 * kLayers);
  for (int64_t i = 0; i < 5 * kLayers; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], expected_[at(i)]) << i;
}

TEST_P(Streams, TakeTheMemoryOfTheirDryRun) {
  test::DryRun dry(device_, DType::f32);
  {
    Layers<Part> without_contents = layers_;
    LayerStream stream(dry.op, without_contents, 2);
    for (int64_t i = 0; i < 2 * kLayers; ++i) EXPECT_EQ(stream.next().linear.weight.shape.row() > 0, true);
  }
  EXPECT_EQ(dry.arena.peak(), layers_.ring().bytes);
  EXPECT_EQ(card_.events, 1);  // the residents' memory: nothing is loaded for it
  RealRun run(device_, DType::f32, dry.arena.peak());
  {
    LayerStream stream(run.op, layers_, 2);
    for (int64_t i = 0; i < 2 * kLayers; ++i) expect_next(stream, i);
  }
  EXPECT_EQ(run.arena.peak(), dry.arena.peak());
  EXPECT_EQ(store_.bytes("cpu", WeightFormat::f32), layers_.host_bytes());
}

TEST_P(Streams, AreInterleavedWithOthersOfTheSameLayers) {
  RealRun run(device_, DType::f32);
  LayerStream all(run.op, layers_, 2);
  LayerStream behind(run.op, layers_, 1);
  for (int64_t i = 0; i < 2 * kLayers; ++i) {
    expect_next(all, i);
    if (i % 2) expect_next(behind, i / 2);
  }
}

TEST_P(Streams, CanBeLeftInTheMiddle) {
  RealRun run(device_, DType::f32);
  for (int64_t left = 0; left < kLayers; ++left) {
    LayerStream stream(run.op, layers_, 2);
    for (int64_t i = 0; i < left; ++i) expect_next(stream, i);
  }
}

TEST_P(Streams, AreWholeAfterAFailure) {
  RealRun run(device_, DType::f32);
  const int64_t begun = card_.events;
  {
    LayerStream stream(run.op, layers_, 2);
    for (int64_t i = 0; i < 2 * kLayers; ++i) expect_next(stream, i);
  }
  const int64_t events = card_.events - begun;
  for (int64_t fails_at = 0; fails_at < events; ++fails_at) {
    layers_.keep(GetParam().resident, {&store_, GetParam().host_bytes});
    Arena residents(memory_);
    layers_.place(residents);
    card_.events = 0;
    card_.fails_at = fails_at;
    EXPECT_THROW(
        {
          LayerStream stream(run.op, layers_, 2);
          for (int64_t i = 0; i < 2 * kLayers; ++i) stream.next();
        },
        Error)
        << fails_at;
    card_.fails_at = -1;
    LayerStream stream(run.op, layers_, 1);
    for (int64_t i = 0; i < kLayers; ++i) expect_next(stream, i);
  }
}

#ifndef NDEBUG
TEST(AStream, HasNoMoreLayersThanItWasMadeFor) {
  Card card;
  FakeCard device(card);
  const Checkpoint checkpoint = Checkpoint::open({.model = kSource / "models" / "demo"});
  Layers<Part> layers(device, WeightFormat::f32, {checkpoint, Component::transformer}, kLayers, load_part);
  RealRun run(device, DType::f32);
  LayerStream stream(run.op, layers, 1);
  for (int64_t i = 0; i < kLayers; ++i) stream.next();
  EXPECT_DEATH(stream.next(), "next_ < passes_");
}
#endif

}  // namespace
}  // namespace fude::test
