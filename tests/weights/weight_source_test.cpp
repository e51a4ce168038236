// What patches do to the rows of a tensor, and how epochs tell them apart.
#include "weights/weight_source.h"

#include "tiny_model.h"

namespace fude {
namespace {

const std::string kName = "joint_blocks.0.x_block.attn.qkv.weight";
const std::vector<int64_t> kShape = {192, 64};

// Adds `what` and the number of its row to every element.
std::shared_ptr<const Patch> patch(float what, uint64_t epoch, const std::string& tensor = kName) {
  return std::make_shared<Patch>(Patch{tensor, epoch, [what](int64_t begin, int64_t end, float* rows) {
                                         for (int64_t r = begin; r < end; ++r)
                                           for (int64_t i = 0; i < kShape[1]; ++i) *rows++ += what + static_cast<float>(r);
                                       }});
}

class Patched : public testing::Test {
 protected:
  Patched() {
    Tensors t;
    add_transformer(t, "", DType::f32);
    t.write(folder_ / "m.safetensors");
    checkpoint_.emplace(Checkpoint::open(only(folder_ / "m.safetensors")));
  }
  WeightSource source(Patches patches = {}) const { return {*checkpoint_, Component::transformer, std::move(patches)}; }

  Folder folder_;
  std::optional<Checkpoint> checkpoint_;
};

TEST_F(Patched, RowsAreTheFilesAndWhatPatchesAddInAnyRange) {
  const Source plain = source().find(kName, kShape);
  const Source patched = source({patch(0.5f, 1), patch(2, 2), patch(9, 3, "another")}).find(kName, kShape);
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 192}, {63, 65}, {191, 192}, {5, 5}}) {
    std::vector<float> stored(static_cast<size_t>((end - begin) * 64)), given(stored.size());
    read_rows(plain, begin, end, DType::f32, stored.data());
    read_rows(patched, begin, end, DType::f32, given.data());
    for (size_t i = 0; i < given.size(); ++i) {
      const auto row = static_cast<float>(begin + static_cast<int64_t>(i) / 64);
      ASSERT_EQ(given[i], stored[i] + (0.5f + row) + (2 + row));
    }
  }
  std::vector<float> row(64);
  std::vector<uint16_t> narrow(64);
  read_rows(patched, 7, 8, DType::f32, row.data());
  read_rows(patched, 7, 8, DType::bf16, narrow.data());
  for (size_t i = 0; i < row.size(); ++i) ASSERT_EQ(narrow[i], to_bf16(row[i])) << "rounded once, after the patches";
}

TEST_F(Patched, EpochsAreOfWhatATensorYields) {
  EXPECT_EQ(source().epoch(), 0u);
  EXPECT_EQ(source().epoch(kName), 0u);
  const WeightSource one = source({patch(1, 1)});
  EXPECT_NE(one.epoch(kName), 0u);
  EXPECT_NE(one.epoch(), 0u);
  EXPECT_EQ(one.epoch("pos_embed"), 0u);
  EXPECT_EQ(one.epoch(kName), source({patch(1, 1), patch(1, 2, "another")}).epoch(kName));
  EXPECT_NE(one.epoch(), source({patch(1, 1), patch(1, 2, "another")}).epoch());
  EXPECT_NE(one.epoch(kName), source({patch(2, 2)}).epoch(kName));
  EXPECT_NE(one.epoch(kName), source({patch(1, 1), patch(1, 1)}).epoch(kName)) << "twice is more";
}

}  // namespace
}  // namespace fude
