// Decoding in strips: the numbers of an undivided decode, in the memory that the dry run says, which is less.

#include <cstring>
#include <random>

#include "model/vae.h"
#include "support.h"
#include "temporary.h"

namespace fude::test {
namespace {

Tensor latents_of(Ops& op, int64_t height, int64_t width) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(16 * height * width));
  for (float& value : values) value = normal(random);
  return op.upload(values.data(), DType::f32, {1, 16, height, width});
}

// Rows one below the other, each given once.
std::vector<float> decode(Ops& op, Vae& vae, const Tensor& latents, const DecodePlan& plan, int64_t tile_side = kNoTiles) {
  std::vector<float> picture;
  int64_t next = 0;
  const auto draw_rows = [&](int64_t row, const Tensor& pixels) {
    if (op.measuring()) return;
    EXPECT_EQ(row, next);
    next += pixels.dim(1);
    const std::vector<float> some = values_of(op, pixels);
    picture.insert(picture.end(), some.begin(), some.end());
  };
  vae_decode(op, vae.geometry, *OnDevice(op, vae.decoder), latents, plan, draw_rows, {.tile_side = tile_side});
  return picture;
}

// What a decode takes, found out by a dry run.
struct Peaks {
  int64_t device, host;
};
Peaks measure(Device& device, DType dtype, Vae& vae, int64_t height, int64_t width, const DecodePlan& plan,
              int64_t tile_side = kNoTiles) {
  DryRun dry(device, dtype);
  decode(dry.op, vae, dry.op.empty({1, 16, height, width}, DType::f32), plan, tile_side);
  return {dry.arena.peak(), dry.host_arena.peak()};
}

class Strips : public testing::TestWithParam<TestDevice> {
 protected:
  // In exactly the memory that was measured.
  std::vector<float> decode_in_place(Vae& vae, int64_t height, int64_t width, const DecodePlan& plan) {
    const Peaks peaks = measure(device_, dtype_, vae, height, width, plan);
    RealRun run(device_, dtype_, peaks.device, peaks.host);
    const std::vector<float> picture = decode(run.op, vae, latents_of(run.op, height, width), plan);
    EXPECT_EQ(run.arena.peak(), peaks.device);
    EXPECT_EQ(run.host_arena.peak(), peaks.host);
    EXPECT_EQ(peaks.host > 0, plan.through_host);
    return picture;
  }

  Device& device_ = *GetParam().device;
  const DType dtype_ = GetParam().dtype;
};

TEST_P(Strips, GiveTheSamePictureAsTheWhole) {
  using Counts = std::vector<int64_t>;
  for (const auto& [pipeline, height, width, all_counts] :
       {std::tuple{"odd", 6, 10, Counts{1, 2, 3, 7}}, {"dual", 5, 3, Counts{6, 1000}}}) {
    const Checkpoint checkpoint = Checkpoint::open({.model = fixture(pipeline)});
    Vae vae(device_, dense_format(dtype_), {checkpoint, Component::vae});
    const std::vector<float> whole = decode_in_place(vae, height, width, {});
    ASSERT_EQ(static_cast<int64_t>(whole.size()), 3 * 64 * height * width);
    for (const int64_t strips : all_counts)
      for (const bool through_host : {false, true}) {
        const std::vector<float> picture =
            decode_in_place(vae, height, width, {.strips = strips, .through_host = through_host});
        ASSERT_EQ(picture.size(), whole.size());
        EXPECT_EQ(nmse(picture.data(), whole.data(), whole.size()), 0)
            << pipeline << ", strips: " << strips << ", " << through_host;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Vae, Strips, testing::ValuesIn(devices_under_test()),
                         [](const auto& test) { return test.param.name; });

// The released VAE's tensors, without contents: a file of holes.
std::filesystem::path released_vae() {
  VaeGeometry g;
  g.block_out_channels = {128, 256, 512, 512}, g.layers_per_block = 2, g.groups = 32, g.channels = 3, g.latent_channels = 16;
  g.mid_attention = true;
  nlohmann::json header;
  int64_t end = 0;
  for (const ExpectedTensor& tensor : expected_tensors(g)) {
    int64_t bytes = 2;
    for (const int64_t extent : tensor.shape) bytes *= extent;
    header[tensor.name] = {{"dtype", "BF16"}, {"shape", tensor.shape}, {"data_offsets", {end, end + bytes}}};
    end += bytes;
  }
  const std::string text = header.dump();
  const uint64_t size = text.size();
  const auto path = temporary("vae.safetensors");
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&size), sizeof size);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  std::filesystem::resize_file(path, sizeof size + size + static_cast<uint64_t>(end));
  return path;
}

TEST(BandsOfTheReleasedVae, TakeLittleMemory) {
  const std::filesystem::path file = released_vae();
  {
    CheckpointFiles files{.model = fixture("plain")};
    files.of(Component::vae) = file;
    const Checkpoint checkpoint = Checkpoint::open(files);
    CpuDevice cpu(2);
    Vae vae(cpu, WeightFormat::f16, {checkpoint, Component::vae});
    vae.decoder.keep(1);  // its weights are counted apart
    constexpr int64_t kMiB = int64_t{1} << 20;
    const auto device = [&](int64_t size, const DecodePlan& plan) {
      return measure(cpu, DType::f16, vae, size / 8, size / 8, plan).device;
    };
    // Whole: two maps of 256 and 128 channels, and a normalised one of 256. In strips, the strips in flight and the middle's
    // attention.
    EXPECT_LE(device(1024, {}), 1290 * kMiB);
    EXPECT_LE(device(1024, {.strips = 8}), 840 * kMiB);
    EXPECT_LE(device(1024, {.strips = 8, .through_host = true}), 165 * kMiB);
    EXPECT_LE(device(1024, {.strips = 16, .through_host = true}), 100 * kMiB);
    EXPECT_LE(device(512, {.strips = 8, .through_host = true}), 45 * kMiB);
    // In tiles that of one, beside all latents. On the host 768 rows of the picture, 256 of each of six tiles above, as many
    // columns to the left, and a tile as it comes.
    for (const DecodePlan& plan : {DecodePlan{}, DecodePlan{.strips = 16, .through_host = true}}) {
      const Peaks tiled = measure(cpu, DType::f16, vae, 512, 512, plan, kTileSide);
      const Peaks tile = measure(cpu, DType::f16, vae, 128, 128, plan);
      EXPECT_LE(tiled.device, tile.device + 16 * kMiB);
      EXPECT_LE(tiled.host, tile.host + (36 + 18 + 3 + 12) * kMiB);
    }
  }
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace fude::test
