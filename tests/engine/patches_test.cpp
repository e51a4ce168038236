// Requests with patched weights: what is stale is loaded again, and nothing else; going back gives the old bytes.
#include <filesystem>

#include "engine/worker.h"
#include "support.h"
#include "temporary.h"

namespace fude::test {
namespace {

// Counts the matrices that are loaded.
class CountingDevice : public CpuDevice {
 public:
  explicit CountingDevice(int64_t& packed) : CpuDevice(1), packed_(packed) {}
  std::unique_ptr<Transfer> begin_transfer(Side side) override {
    return std::make_unique<Counting>(CpuDevice::begin_transfer(side), packed_);
  }

 private:
  struct Counting : Transfer {
    Counting(std::unique_ptr<Transfer> real, int64_t& count) : transfer(std::move(real)), packed(count) {}
    Weight pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* memory) override {
      ++packed;
      return transfer->pack(shape, format, read, memory);
    }
    Tensor pack_vector(int64_t n, const ReadRows& read, void* memory) override {
      return transfer->pack_vector(n, read, memory);
    }
    void copy(void* device, const void* host, int64_t bytes) override { transfer->copy(device, host, bytes); }
    void wait() override { transfer->wait(); }

    std::unique_ptr<Transfer> transfer;
    int64_t& packed;
  };

  int64_t& packed_;
};

WeightSource adding(float constant, const Model& model, Component component, const std::string& vector) {
  const auto patch = std::make_shared<Patch>(Patch{vector, 1, [constant](int64_t begin, int64_t end, float* rows) {
                                                     for (int64_t i = begin; i < end; ++i) rows[i - begin] += constant;
                                                   }});
  return {model.checkpoint(), component, {patch}};
}

class PatchedWeights : public testing::Test {
 protected:
  std::vector<uint8_t> draw() {
    packed_ = 0;
    return worker_.generate(request_, {}, {}, 0, false).images[0].rgb;
  }

  const std::shared_ptr<const Model> model_ = std::make_shared<const Model>(ModelFiles{.model = fixture("dual").string()});
  const ResolvedRequest request_ = model_->resolve(request_of("dual"));
  const std::filesystem::path embeddings_ = temporary("embeddings");
  int64_t packed_ = 0;
  Worker worker_{model_, {.dtype = "f32", .embeddings = {embeddings_.string()}}, std::make_unique<CountingDevice>(packed_)};
};

TEST_F(PatchedWeights, OfABlockLoadThatBlockAgainAndNoOther) {
  const std::vector<uint8_t> plain = draw();
  ASSERT_EQ(draw(), plain);
  const int64_t again = packed_;  // what comes from the file for each request
  std::vector<ExpectedTensor> block;
  Loader recording(block);
  load_joint_block(recording, model_->checkpoint().mmdit(), 0);
  const int64_t matrices =
      std::count_if(block.begin(), block.end(), [](const ExpectedTensor& tensor) { return tensor.shape.size() == 2; });
  ASSERT_GT(matrices, 0);

  worker_.use(adding(1, *model_, Component::transformer, "joint_blocks.0.x_block.mlp.fc2.bias"));
  const std::vector<uint8_t> patched = draw();
  EXPECT_NE(patched, plain);
  EXPECT_EQ(packed_, again + matrices);
  EXPECT_EQ(draw(), patched);
  EXPECT_EQ(packed_, again);
  worker_.use({model_->checkpoint(), Component::transformer});
  EXPECT_EQ(draw(), plain);
  EXPECT_EQ(packed_, again + matrices);
}

TEST_F(PatchedWeights, OfAnEncoderEncodePromptsAnewUnderKeysOfTheirOwn) {
  const auto kept = [&] { return std::distance(std::filesystem::directory_iterator(embeddings_), {}); };
  const std::vector<uint8_t> plain = draw();
  const auto prompts = kept();
  ASSERT_GT(prompts, 0);
  draw();
  const int64_t again = packed_;
  worker_.use({model_->checkpoint(), Component::clip_l});
  EXPECT_EQ(draw(), plain);
  EXPECT_EQ(packed_, again) << "no patch is the same key";

  worker_.use(adding(1, *model_, Component::clip_l, "text_model.final_layer_norm.bias"));
  EXPECT_NE(draw(), plain);
  EXPECT_GT(packed_, again);
  EXPECT_EQ(kept(), 2 * prompts);
  worker_.use({model_->checkpoint(), Component::clip_l});
  EXPECT_EQ(draw(), plain);
  EXPECT_EQ(packed_, again) << "the old embeddings are at hand";
}

TEST_F(PatchedWeights, OfATableAreLookedUpInIt) {
  const std::vector<uint8_t> plain = draw();
  const auto patch = std::make_shared<Patch>(
      Patch{"pos_embed", 1, [width = model_->checkpoint().mmdit().width](int64_t begin, int64_t end, float* rows) {
              for (int64_t i = 0; i < (end - begin) * width; ++i) rows[i] += static_cast<float>(i % 2);  // norms undo constants
            }});
  worker_.use({model_->checkpoint(), Component::transformer, {patch}});
  EXPECT_NE(draw(), plain);
  worker_.use({model_->checkpoint(), Component::transformer});
  EXPECT_EQ(draw(), plain);
}

}  // namespace
}  // namespace fude::test
