// Request::vae_tiling: no change where a picture is no larger than a tile, else another picture, in the planned memory.

#include "support.h"
#include "wide_model.h"

namespace fude::test {
namespace {

Request request() {
  return {.prompt = "a bright park with a puppy", .width = 1104, .height = 64, .steps = 2, .seed = 2, .vae_tiling = true};
}

double psnr_between(const Image& a, const Image& b) {
  double error = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) error += (a.rgb[i] - b.rgb[i]) * (a.rgb[i] - b.rgb[i]);
  return 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / error);
}

class Tiling : public testing::TestWithParam<std::string> {
 protected:
  WideModel model_;
  Engine engine_{{.model = model_.path()}, {.device = GetParam(), .dtype = "f32"}};
};
INSTANTIATE_TEST_SUITE_P(Devices, Tiling, testing::ValuesIn(engine_devices()), [](const auto& test) { return test.param; });

TEST_P(Tiling, ChangesNothingUpToATile) {
  Request tiled = request();
  Request whole = request();
  tiled.width = whole.width = 1024;
  whole.vae_tiling = false;
  EXPECT_EQ(engine_.plan(tiled).decode_tiles, 1);
  EXPECT_EQ(engine_.generate(tiled).images[0].rgb, engine_.generate(whole).images[0].rgb);
}

TEST_P(Tiling, OfALargerPictureGivesNearlyTheSame) {
  Request tiled = request();
  Request whole = request();
  whole.vae_tiling = false;
  EXPECT_EQ(engine_.plan(tiled).decode_tiles, 2);
  std::vector<std::pair<int64_t, int64_t>> steps;
  Callbacks callbacks;
  callbacks.progress = [&](const Progress& p) {
    if (p.stage == Stage::decode) steps.emplace_back(p.step, p.steps);
  };
  const Result result = engine_.generate(tiled, callbacks);
  EXPECT_EQ(steps, (std::vector<std::pair<int64_t, int64_t>>{{0, 2}, {1, 2}, {2, 2}}));
  const Result expected = engine_.generate(whole);
  for (const Result* one : {&result, &expected}) {
    EXPECT_EQ(one->planned.host, one->used.host);
    EXPECT_EQ(one->planned.device, one->used.device);
    EXPECT_EQ(one->images[0].planned.host, one->images[0].used.host);
    EXPECT_EQ(one->images[0].planned.device, one->images[0].used.device);
  }
  EXPECT_EQ(result.images[0].latents, expected.images[0].latents);
  EXPECT_NE(result.images[0].rgb, expected.images[0].rgb);
  const double psnr = psnr_between(result.images[0], expected.images[0]);
  EXPECT_GT(psnr, 20);
  RecordProperty("psnr", std::to_string(psnr));
}

TEST_P(Tiling, StopsBetweenTiles) {
  std::atomic<bool> stop = false;
  int64_t done = 0;
  Callbacks callbacks;
  callbacks.stop = &stop;
  callbacks.progress = [&](const Progress& p) {
    if (p.stage != Stage::decode) return;
    done = p.step;
    stop = done == 1;
  };
  try {
    engine_.generate(request(), callbacks);
    FAIL() << "it went on to the end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cancelled);
  }
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace fude::test
