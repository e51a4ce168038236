// Many pictures from one Engine: batches, variations, drafts, series of requests, and embeddings that are kept.

#include <fstream>
#include <random>

#include "engine/latents.h"
#include "support.h"
#include "temporary.h"

namespace fude::test {
namespace {

class Series : public testing::TestWithParam<std::string> {
 protected:
  Engine engine(std::vector<std::string> embeddings = {}) const {
    return Engine({.model = fixture("dual").string()},
                  {.device = GetParam(), .dtype = "f32", .embeddings = std::move(embeddings)});
  }
  static Request request() {
    Request request = request_of("dual");
    request.count = 1;
    return request;
  }
  static std::vector<std::vector<uint8_t>> pixels_of(const Result& result) {
    EXPECT_EQ(result.planned.host, result.used.host);
    EXPECT_EQ(result.planned.device, result.used.device);
    std::vector<std::vector<uint8_t>> pixels;
    for (const Image& image : result.images) pixels.push_back(image.rgb);
    return pixels;
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, Series, testing::ValuesIn(engine_devices()), [](const auto& test) { return test.param; });

TEST_P(Series, APictureOfABatchIsRepeatedAlone) {
  Engine engine = this->engine();
  Request request = this->request();
  request.count = 5;
  const auto alone = pixels_of(engine.generate(request));
  request.batch = 3;
  const Result together = engine.generate(request);
  const auto batched = pixels_of(together);
  ASSERT_EQ(batched.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(together.images[i].batch, 3);
    EXPECT_EQ(together.images[i].seed, request.seed + i);
    EXPECT_LE(largest_difference(batched[i], alone[i]), 1) << i;  // another order of sums
  }
  request.count = 1;  // each alone in its batch, which is filled up
  for (size_t i = 0; i < 5; ++i, ++request.seed) {
    request.place = together.images[i].place;
    EXPECT_EQ(request.place, static_cast<int64_t>(i) % 3);
    EXPECT_TRUE(pixels_of(engine.generate(request))[0] == batched[i]) << i;
  }
}

TEST_P(Series, WithoutGuidanceABatchHasOneRowAPicture) {
  Engine engine = this->engine();
  Request request = this->request();
  request.guidance = 1;
  request.count = 2;
  const auto alone = pixels_of(engine.generate(request));
  request.batch = 2;
  const auto batched = pixels_of(engine.generate(request));
  for (size_t i = 0; i < 2; ++i) EXPECT_LE(largest_difference(batched[i], alone[i]), 1) << i;
  EXPECT_GT(largest_difference(alone[0], alone[1]), 1);
}

TEST_P(Series, AnOpenBatchDrawsEachPictureOnce) {
  Engine engine = this->engine();
  Request request = this->request();
  request.count = 3;
  request.batch = 0;
  int64_t finished = 0;
  Callbacks callbacks;
  callbacks.finished = [&](const Image& image) { EXPECT_EQ(image.seed, request.seed + static_cast<uint64_t>(finished++)); };
  const Result result = engine.generate(request, callbacks);
  EXPECT_EQ(finished, 3);
  EXPECT_TRUE(result.images.empty());
}

TEST_P(Series, AVariationGoesFromOneNoiseToAnother) {
  Engine engine = this->engine();
  const Request own = request();
  Request other = own, varied = own;
  other.seed = 77;
  const auto first = pixels_of(engine.generate(own));
  const auto last = pixels_of(engine.generate(other));
  varied.variation = {.seed = 77, .amount = 0};
  EXPECT_EQ(pixels_of(engine.generate(varied)), first);
  varied.variation->amount = 1;
  EXPECT_EQ(pixels_of(engine.generate(varied)), last);
  varied.variation->amount = 0.3;
  varied.variation->seed = 76;
  varied.count = 2;
  const Result result = engine.generate(varied);
  const auto between = pixels_of(result);
  EXPECT_EQ(result.images[1].seed, own.seed);
  EXPECT_NE(between[1], first[0]);
  varied.variation->seed = 77;
  varied.count = 1;
  EXPECT_EQ(pixels_of(engine.generate(varied))[0], between[1]);
}

TEST(Slerp, KeepsTheEnergyOfNoise) {
  std::vector<float> a(4096), b(4096);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (auto* noise : {&a, &b})
    for (float& value : *noise) value = normal(random);
  const auto energy = [](const std::vector<float>& x) {
    double sum = 0;
    for (const float v : x) sum += double{v} * v;
    return sum / static_cast<double>(x.size());
  };
  EXPECT_NEAR(energy(slerp(a, b, 0.5)), 1, 0.05);  // a straight line would leave half
  EXPECT_EQ(slerp(a, b, 0), a);
  EXPECT_EQ(slerp(a, a, 0.4), a);
}

TEST(Resized, IsTorchsBilinear) {
  // torch.nn.functional.interpolate(torch.tensor([[[[0., 1.], [2., 3.]]]]), size=(4, 3), mode="bilinear")
  const std::vector<float> expected = {0, 0.5f, 1, 0.5f, 1, 1.5f, 1.5f, 2, 2.5f, 2, 2.5f, 3};
  const std::vector<float> out = resized({0, 1, 2, 3}, 1, {2, 2}, {3, 4});
  ASSERT_EQ(out.size(), expected.size());
  for (size_t i = 0; i < out.size(); ++i) EXPECT_FLOAT_EQ(out[i], expected[i]) << i;
}

TEST(FirstStep, IsThatOfImg2img) {
  EXPECT_EQ(first_step(50, 0.6), 20);
  EXPECT_EQ(first_step(28, 0.6), 11);  // 17 steps are done
  EXPECT_EQ(first_step(4, 1), 0);
  EXPECT_EQ(first_step(4, 0.01), 3);  // never none
  EXPECT_EQ(first_step(4, 1e-18), 3);
}

TEST_P(Series, ADraftIsEnlargedAndDrawnToTheEnd) {
  Engine engine = this->engine();
  const Request small = request();
  Request large = small;
  large.width = small.width * 2;
  large.height = small.height * 2;
  const auto plain = pixels_of(engine.generate(large));
  large.draft = {.width = small.width, .height = small.height, .steps = small.steps, .strength = 1};
  EXPECT_EQ(pixels_of(engine.generate(large)), plain);  // all steps are done again, from nothing but noise
  large.draft->strength = 0.5;
  const Result drawn = engine.generate(large);
  EXPECT_EQ(static_cast<int64_t>(drawn.images[0].step_seconds.size()), *large.steps - first_step(*large.steps, 0.5));
  const auto redrawn = pixels_of(drawn);
  EXPECT_NE(redrawn, plain);

  // Latents at hand save the draft, and change nothing.
  Engine another = this->engine();
  const Image draft = another.generate(small).images[0];
  another.remember(small, draft.latents);
  int64_t denoised = 0;
  Callbacks callbacks;
  callbacks.progress = [&](const Progress& p) { denoised += p.stage == Stage::denoise && p.step > 0; };
  EXPECT_EQ(pixels_of(another.generate(large, callbacks)), redrawn);
  EXPECT_EQ(denoised, *large.steps - first_step(*large.steps, 0.5));
  large.vae_tiling = true;  // they do not depend on how they are decoded
  denoised = 0;
  another.generate(large, callbacks);
  EXPECT_EQ(denoised, *large.steps - first_step(*large.steps, 0.5));
}

TEST_P(Series, RequestsAreNumberedAndCountedTogether) {
  Engine engine = this->engine();
  Grid grid{.request = request(), .guidances = {1, 5}, .seeds = {4, 5}};
  std::vector<Request> requests = requests_of(grid);
  ASSERT_EQ(requests.size(), 4u);
  requests[3].count = 2;
  std::vector<std::tuple<int64_t, uint64_t>> finished;
  int64_t last_picture = 0, encoded = 0;
  Callbacks callbacks;
  callbacks.finished = [&](const Image& image) { finished.emplace_back(image.request, image.seed); };
  callbacks.progress = [&](const Progress& p) {
    EXPECT_EQ(p.pictures, 5);
    EXPECT_GE(p.picture, p.stage == Stage::decode ? last_picture : 0);
    if (p.stage == Stage::decode) last_picture = p.picture;
    encoded += p.stage == Stage::encode && p.step == 0;
  };
  EXPECT_EQ(engine.generate(requests, callbacks).size(), 4u);
  EXPECT_EQ(finished, (std::vector<std::tuple<int64_t, uint64_t>>{{0, 4}, {1, 5}, {2, 4}, {3, 5}, {3, 6}}));
  EXPECT_EQ(last_picture, 4);
  EXPECT_EQ(encoded, 2);  // with and without the negative prompt
}

TEST(Grid, TheLastListChangesFastest) {
  const std::vector<Request> all =
      requests_of({.request = {.prompt = "a"}, .negatives = {"b", "c"}, .sizes = {{32, 16}}, .shifts = {}, .steps = {1, 2, 3}});
  ASSERT_EQ(all.size(), 6u);
  EXPECT_EQ(all[0].negative, "b");
  EXPECT_EQ(all[1].steps, 2);
  EXPECT_EQ(all[3].negative, "c");
  EXPECT_EQ(all[5].width, 32);
  EXPECT_EQ(all[5].prompt, "a");
  EXPECT_FALSE(all[5].shift);
}

TEST_P(Series, ManyStepsArePlannedWithTheDecoderBehindThem) {
  Engine engine = this->engine();
  Request request = this->request();
  request.width = request.height = 192;  // so that decoding takes more memory than a step
  request.guidance = 1;
  request.steps = 1;
  pixels_of(engine.generate(request));
  request.steps = 66;  // in two parts of the loop
  EXPECT_EQ(pixels_of(engine.generate(request)).size(), 1u);
}

TEST_P(Series, EmbeddingsAreKept) {
  const auto folder = temporary("embeddings");
  const auto encodes = [&](const Request& request, std::vector<std::vector<uint8_t>>& pixels) {
    bool encoded = false;
    Callbacks callbacks;
    callbacks.progress = [&](const Progress& p) { encoded |= p.stage == Stage::encode; };
    Engine engine = this->engine({folder.string()});
    pixels = pixels_of(engine.generate(request, callbacks));
    return encoded;
  };
  std::vector<std::vector<uint8_t>> first, again, another;
  Request request = this->request();
  EXPECT_TRUE(encodes(request, first));
  EXPECT_FALSE(encodes(request, again));
  EXPECT_EQ(again, first);
  request.prompt += " and a dog";
  EXPECT_TRUE(encodes(request, another));
  EXPECT_NE(another, first);

  // Prompts that are known from other pairs make a pair that is known, in either order.
  Request pair = this->request();
  pair.prompt = "a cat";
  pair.negative = "a dog";
  EXPECT_TRUE(encodes(pair, again));
  pair.prompt = "a bird";
  pair.negative = "a cat";
  EXPECT_TRUE(encodes(pair, first));
  pair.negative = "a dog";
  EXPECT_FALSE(encodes(pair, again));
  std::vector<std::vector<uint8_t>> encoded_together;
  Engine without_folder = this->engine();
  encoded_together = pixels_of(without_folder.generate(pair));
  EXPECT_EQ(again, encoded_together);
  std::swap(pair.prompt, pair.negative);
  EXPECT_FALSE(encodes(pair, again));
  EXPECT_EQ(again, pixels_of(this->engine().generate(pair)));
  pair.guidance = 1;  // encoded alone, a prompt's bytes are others
  EXPECT_TRUE(encodes(pair, again));
  encodes(this->request(), first);

  // What was damaged is encoded and written again.
  for (const auto& file : std::filesystem::directory_iterator(folder)) std::ofstream(file.path(), std::ios::trunc) << "nothing";
  EXPECT_TRUE(encodes(this->request(), again));
  EXPECT_EQ(again, first);
  EXPECT_FALSE(encodes(this->request(), again));
  EXPECT_EQ(again, first);
  std::filesystem::remove_all(folder);
  std::ofstream(folder) << "a file where the folder would be";
  EXPECT_TRUE(encodes(this->request(), again));
  std::filesystem::remove(folder);
}

}  // namespace
}  // namespace fude::test
