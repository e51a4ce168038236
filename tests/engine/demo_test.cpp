// The shipped model, prompt in, picture out: against the picture diffusers draws (tests/fixtures/demo, made by
// tools/export_demo_reference.py), and against what the prompt says.

#include <png.h>

#include <cstring>

#include "support.h"

namespace fude::test {
namespace {

const std::filesystem::path kDemo = kSource / "models" / "demo";

std::vector<uint8_t> read_rgb(const std::filesystem::path& path, int64_t width, int64_t height) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path.string().c_str())) throw std::runtime_error(image.message);
  EXPECT_EQ(image.width, width);
  EXPECT_EQ(image.height, height);
  image.format = PNG_FORMAT_RGB;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(image));
  if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) throw std::runtime_error(image.message);
  return pixels;
}

Request park() {
  return {.prompt = "a bright park scene with a boy and a girl sitting on a bench, between them a cute puppy",
          .steps = 10,
          .guidance = 5,
          .seed = 2};
}

// Mean colour of some rows.
std::array<double, 3> mean_colour(const Image& image, int64_t first, int64_t last) {
  std::array<double, 3> sum{};
  for (int64_t i = first * image.width; i < last * image.width; ++i)
    for (size_t c = 0; c < 3; ++c) sum[c] += image.rgb[static_cast<size_t>(i) * 3 + c];
  for (double& s : sum) s /= static_cast<double>((last - first) * image.width);
  return sum;
}

class Demo : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, Demo, testing::ValuesIn(engine_devices()), [](const auto& test) { return test.param; });

TEST_P(Demo, DrawsWhatDiffusersAndThePromptSay) {
  Engine engine({.model = kDemo.string()}, {.device = GetParam(), .dtype = "f32"});
  const Image image = engine.generate(park()).images[0];
  const std::vector<uint8_t> expected = read_rgb(fixture("demo") / "park.png", image.width, image.height);
  size_t equal = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(image.rgb[i], expected[i], 1);
    equal += image.rgb[i] == expected[i];
  }
  EXPECT_GE(static_cast<double>(equal), 0.999 * static_cast<double>(expected.size()));

  // Whatever diffusers does, the prompt asked for a bright park.
  const auto sky = mean_colour(image, 0, image.height / 8);
  const auto meadow = mean_colour(image, image.height * 7 / 8, image.height);
  EXPECT_GT(sky[2], sky[0] + 20);        // blue
  EXPECT_GT(meadow[1], meadow[0] + 10);  // green
  EXPECT_GT(meadow[1], meadow[2] + 20);
}

TEST_P(Demo, DrawsNearlyTheSameInNarrowTypes) {
  for (const auto& [dtype, decibels] : {std::pair{"bf16", 30}, {"f16", 40}}) {
    Engine engine({.model = kDemo.string()}, {.device = GetParam(), .dtype = dtype});
    const Result result = engine.generate(park());
    const Image& image = result.images[0];
    const std::vector<uint8_t> expected = read_rgb(fixture("demo") / "park.png", image.width, image.height);
    double error = 0;
    for (size_t i = 0; i < expected.size(); ++i) error += std::pow(static_cast<double>(image.rgb[i]) - expected[i], 2);
    const double psnr = 10 * std::log10(255.0 * 255.0 * static_cast<double>(expected.size()) / std::max(error, 1e-9));
    EXPECT_GE(psnr, decibels) << dtype << " asked for, " << result.dtype << " computed";
    RecordProperty(std::string("psnr_") + dtype, std::to_string(psnr));
  }
}

TEST_P(Demo, TheSeedAndThePromptMatter) {
  Engine engine({.model = kDemo.string()}, {.device = GetParam()});
  Request request = park();
  request.steps = 4;
  request.width = request.height = 128;
  const auto first = engine.generate(request).images[0].rgb;
  request.seed = 3;
  EXPECT_NE(engine.generate(request).images[0].rgb, first);
  request.seed = 2;
  request.prompt = "a red apple on a table at night";
  EXPECT_NE(engine.generate(request).images[0].rgb, first);
}

}  // namespace
}  // namespace fude::test
