// Decoding in tiles: where tiles lie and how they are blended, in the memory that the dry run says.

#include "model/vae_tiling.h"

#include "model/vae.h"
#include "support.h"

namespace fude::test {
namespace {

using Picture = std::vector<float>;  // one value a pixel

Tensor map_of(Ops& op, int64_t height, int64_t width, const std::vector<float>& values) {
  return op.upload(values.data(), DType::f32, {1, 1, height, width});
}

// In tiles of 8 latents, each of which becomes one pixel, `decoded(latent, tile)` in all channels; a row at a time.
Picture drawn(int64_t height, int64_t width, const std::vector<float>& latents,
              const std::function<float(float, int)>& decoded) {
  ReferenceDevice device;
  RealRun run(device, DType::f32, int64_t{1} << 20, int64_t{1} << 20);
  Ops& op = run.op;
  int tile = 0;
  const auto decode = [&](const Tensor& part, const DrawRows& draw_rows) {
    const std::vector<float> values = values_of(op, part);
    const int64_t columns = part.dim(3);
    for (int64_t y = 0; y < part.dim(2); ++y) {
      Picture row;
      for (int64_t x = 0; x < columns; ++x)
        row.insert(row.end(), 3, decoded(values[static_cast<size_t>(y * columns + x)], tile));
      draw_rows(y, op.upload(row.data(), DType::f32, {1, 1, columns, 3}));
    }
    ++tile;
  };
  Picture picture;
  draw_in_tiles(op, map_of(op, height, width, latents), 8, 1, decode, [&](int64_t row, const Tensor& pixels) {
    EXPECT_EQ(row * width, std::ssize(picture));
    const std::vector<float> values = values_of(op, pixels);
    for (size_t i = 0; i < values.size(); i += 3) {
      picture.push_back(values[i]);
      EXPECT_EQ(values[i], values[i + 2]);
    }
  });
  EXPECT_EQ(tile, tile_count(height, width, 8));
  return picture;
}

TEST(Tiles, AreBlendedWithWhatIsAboveAndThenWithWhatIsToTheLeft) {
  // Two pixels overlap: the first is the neighbour's, the second half of each. Neighbours are blended already.
  const float of_tile[] = {8, 16, 32, 64};
  const Picture picture = drawn(9, 10, std::vector<float>(90), [&](float, int tile) { return of_tile[tile]; });
  const Picture upper = {8, 8, 8, 8, 8, 8, 8, 12, 16, 16};
  const Picture lower = {8,  8,  8,  8,  8,  8,  8,  10, 16, 16,  //
                         20, 20, 20, 20, 20, 20, 20, 29, 40, 40,  //
                         32, 32, 32, 32, 32, 32, 32, 48, 64, 64};
  Picture expected;
  for (int y = 0; y < 6; ++y) expected.insert(expected.end(), upper.begin(), upper.end());
  expected.insert(expected.end(), lower.begin(), lower.end());
  EXPECT_EQ(picture, expected);
}

TEST(Tiles, SmallerThanTheOverlapBlendOverTheirSize) {
  // The second tile is one pixel wide, so it is the first one's last.
  Picture columns;
  for (int y = 0; y < 9; ++y) columns.insert(columns.end(), {0, 1, 2, 3, 4, 5, 6});
  EXPECT_EQ(drawn(9, 7, columns, [](float latent, int tile) { return tile % 2 == 0 ? latent : 100; }), columns);
}

TEST(Tiles, ThatAgreeGiveTheWholePicture) {
  for (const auto& [height, width] : {std::pair{9, 1}, {1, 9}, {6, 9}, {7, 13}, {8, 14}, {12, 18}, {13, 15}, {31, 20}}) {
    std::vector<float> latents(static_cast<size_t>(height * width));
    for (size_t i = 0; i < latents.size(); ++i) latents[i] = static_cast<float>(i);
    EXPECT_EQ(drawn(height, width, latents, [](float latent, int) { return latent; }), latents) << height << "x" << width;
  }
}

TEST(Tiles, AreCounted) {
  EXPECT_EQ(tile_count(128, 128, kTileSide), 1);
  EXPECT_EQ(tile_count(96, 129, kTileSide), 2);
  EXPECT_EQ(tile_count(97, 129, kTileSide), 4);
  EXPECT_EQ(tile_count(136, 193, kTileSide), 6);
  EXPECT_EQ(tile_count(1000, 1000, kNoTiles), 1);
}

class TilesOn : public testing::TestWithParam<TestDevice> {
 protected:
  // Of the device and of the host, in a dry run.
  struct Peaks {
    int64_t device, host;
  };
  Peaks measure(Vae& vae, int64_t height, int64_t width, const DecodePlan& plan, int64_t side) {
    DryRun dry(device_, dtype_);
    decode(dry.op, vae, std::vector<float>(static_cast<size_t>(16 * height * width)), height, width, plan, side);
    return {dry.arena.peak(), dry.host_arena.peak()};
  }

  Picture decode(Ops& op, Vae& vae, const std::vector<float>& latents, int64_t height, int64_t width, const DecodePlan& plan,
                 int64_t side) {
    Picture picture;
    int64_t done = 0;
    const auto draw_rows = [&](int64_t, const Tensor& pixels) {
      if (op.measuring()) return;
      const std::vector<float> some = values_of(op, pixels);
      picture.insert(picture.end(), some.begin(), some.end());
    };
    vae_decode(op, vae.geometry, *OnDevice(op, vae.decoder), op.upload(latents.data(), DType::f32, {1, 16, height, width}),
               plan, draw_rows, {.tile_side = side, .tile_done = [&] { ++done; }});
    EXPECT_EQ(done, tile_count(height, width, side));
    return picture;
  }

  Device& device_ = *GetParam().device;
  const DType dtype_ = GetParam().dtype;
};
INSTANTIATE_TEST_SUITE_P(Vae, TilesOn, testing::ValuesIn(devices_under_test()),
                         [](const auto& test) { return test.param.name; });

TEST_P(TilesOn, TakeTheMemoryOfOneAndOfWhatIsBlended) {
  constexpr int64_t kSide = 4;
  constexpr int64_t kHeight = 7;
  constexpr int64_t kWidth = 10;
  constexpr int64_t kPixel = 3 * size_of(DType::f32);
  const Checkpoint checkpoint = Checkpoint::open({.model = fixture("dual")});
  Vae vae(device_, dense_format(dtype_), {checkpoint, Component::vae});
  std::vector<float> latents(16 * kHeight * kWidth);
  for (size_t i = 0; i < latents.size(); ++i) latents[i] = std::sin(static_cast<float>(i));
  Picture whole;
  for (const DecodePlan& plan : {DecodePlan{}, DecodePlan{.strips = 3}, DecodePlan{.strips = 4, .through_host = true}}) {
    const Peaks peaks = measure(vae, kHeight, kWidth, plan, kSide);
    const Peaks one = measure(vae, kSide, kSide, plan, kNoTiles);
    // All latents beside a tile's.
    EXPECT_LE(peaks.device, one.device + 16 * kHeight * kWidth * size_of(DType::f32) + Arena::kAlignment);
    // Three latents' rows of the picture; a row of each of four tiles above, and a column to the left; a tile as it comes.
    constexpr int64_t kBlended = 64 * kPixel * (3 * kWidth + 4 * kSide + kSide + kSide * kSide);
    EXPECT_LE(peaks.host, one.host + kBlended + 4 * Arena::kAlignment);
    RealRun run(device_, dtype_, peaks.device, peaks.host);
    const Picture picture = decode(run.op, vae, latents, kHeight, kWidth, plan, kSide);
    EXPECT_EQ(run.arena.peak(), peaks.device);
    EXPECT_EQ(run.host_arena.peak(), peaks.host);
    ASSERT_EQ(std::ssize(picture), 3 * 64 * kHeight * kWidth);
    if (whole.empty()) whole = picture;
    EXPECT_LE(nmse(picture.data(), whole.data(), whole.size()), GetParam().dtype == DType::f32 ? 1e-12 : 6e-4);
  }
}

}  // namespace
}  // namespace fude::test
