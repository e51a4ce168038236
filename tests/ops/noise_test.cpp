// torch's random numbers, against values and fingerprints taken from torch itself: tests/fixtures/noise.json of the CPU's
// (AVX2), which tools/check_newest.py compares with the torch that is installed, and an H100's.

#include "core/noise.h"

#include <fstream>
#include <set>

#include "core/fused.h"
#include "studio/sha256.h"
#include "support.h"

namespace fude::test {
namespace {

// The SHA-256 of the values' little-endian bytes in their own dtype.
std::string fingerprint(const std::vector<float>& values, DType dtype) {
  std::vector<uint8_t> bytes(values.size() * static_cast<size_t>(size_of(dtype)));
  from_f32(dtype, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
  return sha256_of(bytes);
}

std::vector<float> torch_randn(Noise kind, uint64_t seed, int64_t n) { return TorchGenerator(kind, seed).randn(n); }

TEST(Fused, RoundsOnce) {
  EXPECT_EQ(fused(0x1.001p0f, 0x1.001p0f, -0x1.002p0f), 0x1p-24f);
  // Halfway between two floats, but for what a double does not hold.
  for (const float sign : {1.0f, -1.0f}) {
    EXPECT_EQ(fused(sign * 0x1.001p0f, 0x1.001p0f, sign * 0x1p-80f), sign * 0x1.002002p0f);
    EXPECT_EQ(fused(sign * 0x1.001p0f, 0x1.001p0f, sign * -0x1p-80f), sign * 0x1.002p0f);
  }
}

TEST(Noise, EveryKindOfTorchsCpuIsBitEqual) {
  std::ifstream file(kSource / "tests" / "fixtures" / "noise.json");
  std::set<std::string> kinds;
  for (const auto& row : nlohmann::json::parse(file)) {
    const std::string name = row.at("noise");
    const std::optional<Noise> kind = noise_from(name);
    ASSERT_TRUE(kind) << name;
    const DType dtype = name.ends_with("-bf16") ? DType::bf16 : name.ends_with("-f16") ? DType::f16 : DType::f32;
    const std::vector<float> values = torch_randn(*kind, row.at("seed"), row.at("n"));
    EXPECT_EQ(fingerprint(values, dtype), row.at("sha256").get<std::string>()) << row;
    kinds.insert(name);
  }
  EXPECT_EQ(kinds.size(), all_noise().size() - 1);  // torch-cuda is another matter
}

TEST(Noise, SeedsAreTakenModulo2To32OnTheCpu) {
  EXPECT_EQ(torch_randn(Noise::torch_cpu, 42, 64), torch_randn(Noise::torch_cpu, (uint64_t{7} << 32) + 42, 64));
  EXPECT_NE(torch_randn(Noise::torch_cuda, 42, 64), torch_randn(Noise::torch_cuda, (uint64_t{7} << 32) + 42, 64));
}

TEST(Noise, TheTailIsDrawnAfresh) {
  const std::vector<float> values = torch_randn(Noise::torch_cpu, 0, 20);
  const std::vector<float> expected = {-1.12584f, -1.15236f, -0.250579f, -0.433879f, 0.598839f, -1.555095f};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-5f);
}

TEST(Noise, TorchCudaIsWithinRoundingOfTheCard) {
  const auto expect_near = [](const std::vector<float>& values, size_t at, std::initializer_list<float> expected) {
    for (float e : expected) EXPECT_NEAR(values[at++], e, 2e-6f);
  };
  const std::vector<float> zero = torch_randn(Noise::torch_cuda, 0, 65536);
  expect_near(zero, 0, {-0.924662f, -0.425344f, -2.643846f, 0.145184f, -0.120867f, -0.579726f, -0.622852f, -0.328387f});
  expect_near(zero, 65535, {-0.796137f});
  expect_near(torch_randn(Noise::torch_cuda, 42, 65536), 0,
              {0.194019f, 2.161374f, -0.172051f, 0.849060f, -1.924399f, 0.652985f});
  expect_near(torch_randn(Noise::torch_cuda, 1234, 65536), 0, {-1.616490f, 0.568455f, -0.510225f, -0.911339f});
  // Past one value for each thread of the GPU.
  expect_near(torch_randn(Noise::torch_cuda, 0, 524288), 270335, {0.277412f, 0.991138f, 1.067590f});
}

// Samplers draw f32 after the latents, whatever type those have. The fingerprints are those of torch 2.15, of the third draw.
TEST(Noise, GoesOnWhereTheLatentsEnded) {
  struct Third {
    Noise kind;
    int64_t n;
    const char* fingerprint;
  };
  const char *whole = "09e3c4f8483f77c607b47192be9a0c169f9ed3b351478472fd3b611a5d114bb2",
             *of_groups = "33031b7e748fe9d7bc328390f1ca2742339943fe664245f37b87cee5a8a7704b";  // half types draw whole ones
  for (const Third& third : {Third{Noise::torch_cpu, 65536, whole},
                             {Noise::torch_cpu_f16, 65536, whole},
                             {Noise::torch_2_11_cpu_bf16, 65536, whole},
                             {Noise::torch_cpu, 40, "fd83cb621515b036f19269c1c86c6ac37237ed1c311e4e0fb23408e688dc37b9"},
                             {Noise::torch_cpu_f16, 40, of_groups},
                             {Noise::torch_cpu_bf16, 40, of_groups}}) {
    TorchGenerator generator(third.kind, 7);
    generator.randn(third.n);
    generator.randn(third.n);
    EXPECT_EQ(fingerprint(generator.randn(third.n), DType::f32), third.fingerprint) << name_of(third.kind) << ", " << third.n;
  }
  TorchGenerator cuda(Noise::torch_cuda, 0);
  cuda.randn(65536);
  const std::vector<float> second = cuda.randn(65536);
  const std::vector<float> expected = {0.180826f, -0.552263f, 0.923813f, -0.734970f};  // on an H100
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(second[i], expected[i], 2e-6f);
}

TEST(DTypes, ConversionsRoundToNearestEven) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto b = static_cast<uint16_t>(bits);
    if (std::isfinite(from_f16(b))) {
      EXPECT_EQ(to_f16(from_f16(b)), b);
    }
    if (std::isfinite(from_bf16(b))) {
      EXPECT_EQ(to_bf16(from_bf16(b)), b);
    }
  }
  EXPECT_EQ(to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(to_f16(1.0f + 0x1p-11f), 0x3c00);  // a tie goes to the even neighbour
  EXPECT_EQ(to_f16(1.0f + 0x1.8p-10f), 0x3c02);
  EXPECT_EQ(to_f16(0x1p-25f), 0x0000);  // half of the smallest subnormal
  EXPECT_EQ(to_f16(0x1.8p-25f), 0x0001);
  EXPECT_EQ(to_bf16(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(to_bf16(1.0f + 0x1.8p-7f), 0x3f82);
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(NAN))) && std::isnan(from_f16(to_f16(NAN))));
  EXPECT_EQ(from_f8_e4m3(0x7e), 448.0f);
  EXPECT_EQ(from_f8_e4m3(0x01), 0x1p-9f);
  EXPECT_EQ(from_f8_e4m3(0x88), -0x1p-6f);
  EXPECT_TRUE(std::isnan(from_f8_e4m3(0xff)));
}

}  // namespace
}  // namespace fude::test
