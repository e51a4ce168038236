// What programs do with the library beside drawing: embeddings in and out, previews, the log, giving memory back, PNG files.
#include <cmath>
#include <fstream>
#include <limits>

#include "diffusion/samplers.h"
#include "engine/png.h"
#include "engine/preview.h"
#include "support.h"
#include "temporary.h"
#include "told.h"

namespace fude::test {
namespace {

const std::string kDemo = (kSource / "models" / "demo").string();

class Library : public testing::TestWithParam<std::string> {
 protected:
  Engine engine(const std::string& dtype = "f32", const Log& log = {}) const {
    return Engine({.model = fixture("dual").string()}, {.device = GetParam(), .dtype = dtype, .threads = 2, .log = log});
  }
  Request request() const { return request_of("dual"); }
};
INSTANTIATE_TEST_SUITE_P(Devices, Library, testing::ValuesIn(engine_devices()), [](const auto& test) { return test.param; });

template <class Call>
std::string refusal_of(const Call& call, Code code = Code::bad_request) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return told(error.message());
  }
  return "nothing was refused";
}

Request drawn_from(Request request, Embeddings embeddings) {
  request.embeddings = std::make_shared<const Embeddings>(std::move(embeddings));
  return request;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Version, IsOneInHeadersAndLibrary) {
  EXPECT_EQ(version(), FUDE_VERSION);
  EXPECT_EQ(version(), std::to_string(FUDE_VERSION_MAJOR) + '.' + std::to_string(FUDE_VERSION_MINOR) + '.' +
                           std::to_string(FUDE_VERSION_PATCH));
}

// ---- embeddings -------------------------------------------------------------------------------------------------------------

TEST_P(Library, EmbeddingsDrawThePictureOfTheirPrompts) {
  for (const std::string dtype : {"f32", "bf16"}) {
    Engine engine = this->engine(dtype);
    const Image expected = engine.generate(request()).images[0];
    const Embeddings embeddings = engine.encode(request());
    EXPECT_EQ(embeddings.prompt.size(), static_cast<size_t>(embeddings.tokens * embeddings.width));
    EXPECT_EQ(embeddings.negative_pooled.size(), static_cast<size_t>(embeddings.pooled_width));
    Engine fresh = this->engine(dtype);
    EXPECT_EQ(fresh.encode(request()), embeddings) << dtype;  // also where no picture was drawn before
    Request given = drawn_from(request(), embeddings);
    given.prompt = given.negative = "only words";
    const Result result = fresh.generate(given);
    EXPECT_EQ(result.images[0].rgb, expected.rgb) << dtype;
    EXPECT_EQ(result.planned.host, result.used.host);
    EXPECT_EQ(result.planned.device, result.used.device);
    EXPECT_EQ(result.images[0].provenance->embeddings, hash_of(embeddings));
    EXPECT_EQ(expected.provenance->embeddings, "");
  }
}

TEST_P(Library, EmbeddingsOfDiffusersDrawItsPicture) {
  const Goldens goldens("dual");
  const Golden tokens = goldens["embeddings"], pooled = goldens["pooled"];
  ASSERT_EQ(tokens.shape[0], 2);
  Embeddings embeddings{.tokens = tokens.shape[1], .width = tokens.shape[2], .pooled_width = pooled.shape[1]};
  const auto half = [](const Golden& golden, size_t i) {
    const auto n = static_cast<std::ptrdiff_t>(golden.values.size() / 2);
    const auto begin = golden.values.begin() + static_cast<std::ptrdiff_t>(i) * n;
    return std::vector<float>(begin, begin + n);
  };
  embeddings.negative = half(tokens, 0);
  embeddings.negative_pooled = half(pooled, 0);
  embeddings.prompt = half(tokens, 1);
  embeddings.pooled = half(pooled, 1);
  const Golden picture = goldens["image"];
  const Image image = engine().generate(drawn_from(request(), embeddings)).images[0];
  for (size_t i = 0; i < image.rgb.size(); ++i) ASSERT_NEAR(image.rgb[i], picture.values[i], 1.0f) << i;
}

TEST_P(Library, EmbeddingsMayBeShorterAndAlone) {
  Engine engine = this->engine();
  Request unguided = request();
  unguided.guidance = 1;
  Embeddings embeddings = engine.encode(unguided);
  EXPECT_TRUE(embeddings.negative.empty());
  embeddings.tokens = 77;  // of the CLIPs
  embeddings.prompt.resize(static_cast<size_t>(77 * embeddings.width));
  const Result result = engine.generate(drawn_from(unguided, embeddings));
  EXPECT_EQ(result.planned.host, result.used.host);
  EXPECT_NE(result.images[0].rgb, engine.generate(unguided).images[0].rgb);
}

TEST_P(Library, EmbeddingsThatAreNoneAreRefused) {
  Engine engine = this->engine();
  const Embeddings sound = engine.encode(request());
  const auto refusal = [&](const auto& spoil) {
    Embeddings embeddings = sound;
    spoil(embeddings);
    return refusal_of([&] { engine.generate(drawn_from(request(), embeddings)); });
  };
  EXPECT_TRUE(contains(refusal([](Embeddings& e) { e.prompt.pop_back(); }), "values of the prompt"));
  EXPECT_TRUE(contains(refusal([](Embeddings& e) { e.pooled.clear(); }), "pooled prompt"));
  EXPECT_TRUE(contains(refusal([](Embeddings& e) { e.tokens = 0; }), "tokens"));
  EXPECT_TRUE(contains(refusal([](Embeddings& e) { e.tokens = int64_t{1} << 60; }), "tokens"));
  EXPECT_TRUE(
      contains(refusal([](Embeddings& e) { e.negative.clear(), e.negative_pooled.clear(); }), "[use_value guidance 1]"));
  EXPECT_TRUE(contains(refusal([](Embeddings& e) { e.negative_pooled.clear(); }), "pooled negative"));
  EXPECT_TRUE(contains(refusal([](Embeddings& e) { e.prompt[3] = std::nanf(""); }), "prompt_embeds"));
  EXPECT_TRUE(contains(refusal([](Embeddings& e) { e.negative_pooled[0] = std::numeric_limits<float>::infinity(); }),
                       "negative_pooled_prompt_embeds"));
  const auto halve = [](Embeddings& e) {
    e.width /= 2;
    for (std::vector<float>* values : {&e.prompt, &e.negative}) values->resize(values->size() / 2);
  };
  EXPECT_TRUE(contains(refusal(halve), "this model's are"));
  EXPECT_EQ(engine.generate(request()).images.size(), 1u);
}

TEST_P(Library, EmbeddingsGoThroughFiles) {
  const auto folder = temporary("embeddings");
  const std::string file = (folder / "deep" / "筆.safetensors").string();
  Embeddings embeddings = engine().encode(request());
  save_embeddings(file, embeddings);
  EXPECT_EQ(load_embeddings(file), embeddings);
  EXPECT_EQ(hash_of(load_embeddings(file)), hash_of(embeddings));
  const std::string before = hash_of(embeddings);
  embeddings.negative[0] = -embeddings.negative[0];
  EXPECT_NE(hash_of(embeddings), before);
  embeddings.negative.clear();
  embeddings.negative_pooled.clear();
  save_embeddings(file, embeddings);
  EXPECT_EQ(load_embeddings(file), embeddings);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 4);
  EXPECT_TRUE(contains(refusal_of([&] { load_embeddings(file); }), "cannot be read"));
  std::ofstream(file, std::ios::trunc) << "nothing";
  EXPECT_TRUE(contains(refusal_of([&] { load_embeddings(file); }), "cannot be read"));
  embeddings.pooled.pop_back();
  EXPECT_TRUE(contains(refusal_of([&] { save_embeddings(file, embeddings); }), "pooled"));
  std::filesystem::remove_all(folder);
}

// ---- what encoders read -----------------------------------------------------------------------------------------------------

TEST_P(Library, EncodersMayReadDifferentPrompts) {
  Engine engine = this->engine();
  Request request = this->request();
  const auto encoded = [&](const std::string& one, const std::string& two, const std::string& three) {
    request.prompt = one;
    request.prompt_2 = two;
    request.prompt_3 = three;
    return engine.encode(request);
  };
  const Embeddings cat = encoded("a cat", "", ""), dog = encoded("a dog", "", ""), both = encoded("a cat", "a dog", "a dog");
  EXPECT_EQ(encoded("a cat", "a cat", "a cat"), cat);
  EXPECT_EQ(both.negative, cat.negative);
  const auto same = [&](const Embeddings& other, int64_t first, int64_t last) {  // values of the tokens' rows
    return std::equal(both.prompt.begin() + first, both.prompt.begin() + last, other.prompt.begin() + first);
  };
  EXPECT_TRUE(same(dog, 77 * both.width, both.tokens * both.width)) << "T5's";
  EXPECT_FALSE(same(cat, 77 * both.width, both.tokens * both.width));
  EXPECT_FALSE(same(cat, 0, 77 * both.width));
  EXPECT_FALSE(same(dog, 0, 77 * both.width));
  EXPECT_EQ(both.pooled.front(), cat.pooled.front()) << "the first CLIP's";
  EXPECT_EQ(both.pooled.back(), dog.pooled.back()) << "the second CLIP's";
  Request negatives = this->request();
  negatives.negative_2 = "snow";
  EXPECT_EQ(engine.encode(negatives).prompt, engine.encode(this->request()).prompt);
  EXPECT_NE(engine.encode(negatives).negative, engine.encode(this->request()).negative);
}

TEST_P(Library, TokensOfT5AndLayersOfClipAreChosen) {
  Engine engine = this->engine();
  const Embeddings usual = engine.encode(request());
  Request request = this->request();
  request.t5_tokens = 20;
  const Embeddings fewer = engine.encode(request);
  EXPECT_EQ(fewer.tokens, 97);
  const Result drawn = engine.generate(request);
  EXPECT_EQ(drawn.planned.host, drawn.used.host);
  EXPECT_EQ(drawn.planned.device, drawn.used.device);
  request = this->request();
  request.clip_skip = 1;
  const Embeddings skipped = engine.encode(request);
  EXPECT_NE(skipped.prompt, usual.prompt);
  EXPECT_EQ(skipped.negative, usual.negative) << "as in diffusers";
  EXPECT_EQ(skipped.pooled, usual.pooled);
  EXPECT_EQ(engine.encode(this->request()), usual) << "what is kept is told apart";
  request.clip_skip = 11;
  EXPECT_TRUE(contains(refusal_of([&] { engine.encode(request); }), "[use_value clip_skip "));
}

// ---- latents and sigmas -----------------------------------------------------------------------------------------------------

TEST_P(Library, PicturesMayBeginAsGivenLatents) {
  Engine engine = this->engine();
  Request request = this->request();
  request.count = 2;
  const Result expected = engine.generate(request);
  auto latents = std::make_shared<std::vector<float>>(expected.images[0].noise);
  latents->insert(latents->end(), expected.images[1].noise.begin(), expected.images[1].noise.end());
  request.latents = latents;
  request.seed = 12345;
  const Result given = engine.generate(request);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(given.images[i].rgb, expected.images[i].rgb);
  EXPECT_EQ(given.images[0].provenance->latents.size(), 16u);
  EXPECT_EQ(given.planned.host, given.used.host);
  const auto refusal = [&](const auto& spoil) {
    Request other = request;
    spoil(other);
    return refusal_of([&] { engine.generate(other); });
  };
  EXPECT_TRUE(contains(refusal([](Request& r) { r.count = 3; }), "latents hold "));
  EXPECT_TRUE(contains(refusal([](Request& r) { r.variation = Variation{.seed = 1, .amount = 0.5}; }), "a variation"));
  EXPECT_TRUE(contains(refusal([&](Request& r) {
                         auto broken = *latents;
                         broken[7] = std::nanf("");
                         r.latents = std::make_shared<const std::vector<float>>(broken);
                       }),
                       "not numbers"));
}

TEST_P(Library, SigmasTakeTheSchedulesPlace) {
  Engine engine = this->engine();
  Request request = this->request();
  const Image expected = engine.generate(request).images[0];
  request.steps.reset();
  request.sigmas = {1, 0.7, 0.2};
  const Result drawn = engine.generate(request);
  EXPECT_EQ(drawn.request.steps, 3);
  EXPECT_NE(drawn.images[0].rgb, expected.rgb);
  request.steps = 4;
  EXPECT_TRUE(contains(refusal_of([&] { engine.generate(request); }), "[use_value steps 3]"));
  request.steps.reset();
  request.sigmas = {0.5, 0.5};
  EXPECT_TRUE(contains(refusal_of([&] { engine.generate(request); }), "sigmas must fall"));
  request.sigmas = {1, 0.5};
  request.draft = Draft{.width = 32, .height = 32, .steps = 2};
  EXPECT_TRUE(contains(refusal_of([&] { engine.generate(request); }), "sigmas do not go with a draft"));
}

TEST_P(Library, LatentsOfAStepMayBeChanged) {
  Engine engine = this->engine();
  Request request = this->request();
  std::vector<std::vector<float>> kept;
  std::vector<float> timesteps;
  Callbacks callbacks;
  callbacks.step = [&](const StepLatents& step) {
    EXPECT_EQ(step.pictures * step.channels * step.height * step.width, std::ssize(step.values));
    kept.push_back(step.values);
    timesteps.push_back(step.timestep);
  };
  const Image expected = engine.generate(request, callbacks).images[0];
  EXPECT_EQ(std::ssize(kept), *request.steps);
  EXPECT_EQ(kept.back(), expected.latents);
  EXPECT_EQ(timesteps.front(), 1000);
  EXPECT_EQ(engine.generate(request).images[0].rgb, expected.rgb) << "looking changes nothing";
  request.seed = 99;
  size_t at = 0;
  callbacks.step = [&](const StepLatents& step) { step.values = kept[at++]; };
  EXPECT_EQ(engine.generate(request, callbacks).images[0].rgb, expected.rgb);
  callbacks.step = [](const StepLatents& step) { step.values.pop_back(); };
  EXPECT_TRUE(contains(refusal_of([&] { engine.generate(request, callbacks); }), "latents of a step"));
}

// ---- previews ---------------------------------------------------------------------------------------------------------------

TEST_P(Library, PreviewsComeAfterStepsAndChangeNothing) {
  Engine engine = this->engine();
  Request request = this->request();
  request.steps = 5;
  request.count = 2;
  request.batch = 2;
  const Result expected = engine.generate(request);
  std::vector<Preview> all;
  Callbacks callbacks;
  callbacks.preview = [&](const Preview& preview) { all.push_back(preview); };
  callbacks.preview_every = 2;
  const Result result = engine.generate(request, callbacks);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(result.images[i].rgb, expected.images[i].rgb);
  EXPECT_EQ(result.planned.host, result.used.host);
  EXPECT_EQ(result.planned.device, result.used.device);
  ASSERT_EQ(all.size(), 4u);  // two steps of two pictures
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(all[i].at.step, i < 2 ? 2 : 4);
    EXPECT_EQ(all[i].at.steps, 5);
    EXPECT_EQ(all[i].at.picture, static_cast<int64_t>(i % 2));
    EXPECT_EQ(all[i].at.pictures, 2);
    EXPECT_EQ(all[i].width, request.width / 8);
    EXPECT_EQ(all[i].height, request.height / 8);
    EXPECT_EQ(all[i].rgb.size(), static_cast<size_t>(3 * all[i].width * all[i].height));
  }
  EXPECT_NE(all[0].rgb, all[1].rgb);
  const std::vector<Preview> some = std::exchange(all, {});
  callbacks.preview_every = 1;
  engine.generate(request, callbacks);
  ASSERT_EQ(all.size(), 10u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(all[i < 2 ? 2 + i : 4 + i].rgb, some[i].rgb) << i;
}

TEST_P(Library, TheLastPreviewIsOfTheFinishedLatents) {
  Engine engine = this->engine();
  std::vector<Preview> all;
  Callbacks callbacks;
  callbacks.preview = [&](const Preview& preview) { all.push_back(preview); };
  const Image image = engine.generate(request(), callbacks).images[0];
  const LatentRgb colors = *latent_rgb_of(Checkpoint::open({.model = fixture("dual").string()}));
  ASSERT_EQ(all.size(), static_cast<size_t>(*request().steps));
  EXPECT_EQ(all.back().rgb, rgb_of(image.latents, image.width * image.height / 64, colors));
}

TEST(Previews, FollowAStraightWayToItsEnd) {
  // From noise 5 at sigma 1 to 2 at sigma 0: whatever steps are done of the way.
  const auto end = [](float from, float to) {
    std::vector<float> latents{2 + 3 * from};
    follow_to_the_end(latents, {2 + 3 * to}, from, to);
    return latents[0];
  };
  EXPECT_NEAR(end(1, 0.9f), 2, 1e-5);
  EXPECT_EQ(end(0.5f, 0), 2);
}

TEST(Previews, LeaveOutTheNoiseThatAStepAdds) {
  for (const Sampler& sampler : samplers()) {
    if (!sampler.draws_noise || sampler.slots > 0) continue;
    const std::vector<float> sigmas = {0.8f, 0.5f, 0}, noise = {1.5f, -2};
    const Evaluation step = sampler.evaluations(sigmas)[0];
    std::vector<float> before = {1, 2}, after;
    const std::vector<float> v = {0.5f, -0.25f};
    for (size_t i = 0; i < 2; ++i)
      after.push_back(static_cast<float>(step.x[0] * before[i] + step.x[kVelocityTerm] * v[i] + step.x[kNoiseTerm] * noise[i]));
    take_back(before, after, noise, step);
    EXPECT_NEAR(before[0], 1 - 0.8 * 0.5, 1e-5) << sampler.names.name;
    EXPECT_NEAR(before[1], 2 + 0.8 * 0.25, 1e-5) << sampler.names.name;
  }
}

TEST(Previews, AreLinearInTheChannelsAndClamped) {
  const LatentRgb colors = {{1, 0, 0}, {0, 0.5f, 9}, {-1, 0, 0}};
  const std::vector<float> latents = {1, 0, 0, 1};  // two channels of two pixels
  EXPECT_EQ(rgb_of(latents, 2, colors), (std::vector<uint8_t>{128, 128, 128, 0, 191, 255}));
}

// Mean distance in levels between a preview and the picture it is of, each latent beside its 8×8 pixels.
double distance(const std::vector<uint8_t>& preview, const Image& image) {
  double sum = 0;
  const int64_t width = image.width / 8, height = image.height / 8;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        double mean = 0;
        for (int64_t i = 0; i < 64; ++i)
          mean += image.rgb[static_cast<size_t>(((y * 8 + i / 8) * image.width + x * 8 + i % 8) * 3 + c)] / 64.0;
        sum += std::abs(mean - preview[static_cast<size_t>((y * width + x) * 3 + c)]);
      }
  return sum / static_cast<double>(3 * width * height);
}

TEST(Previews, OfTheShippedModelHaveItsColours) {
  Engine engine({.model = kDemo}, {.device = "cpu", .dtype = "f32"});
  std::vector<Preview> all;
  Callbacks callbacks;
  callbacks.preview = [&](const Preview& preview) { all.push_back(preview); };
  const Image image = engine.generate({.prompt = "a red car on a beach", .steps = 10, .seed = 1234}, callbacks).images[0];
  EXPECT_LT(distance(all.back().rgb, image), 12);
  EXPECT_LT(distance(all[4].rgb, image), 30);  // halfway it is no noise any more
}

// ---- the log ----------------------------------------------------------------------------------------------------------------

TEST_P(Library, TheLogTellsWhatIsDoneInItsOrder) {
  std::vector<LogEvent> events;
  Engine engine = this->engine("f32", [&](const LogEntry& entry) {
    EXPECT_FALSE(entry.text.empty());
    events.push_back(entry.event);
  });
  const auto told = [&] { return std::exchange(events, {}); };
  using enum LogEvent;
  std::vector<LogEvent> opening = told();
  EXPECT_EQ(opening.front(), device);
  EXPECT_EQ(opening.back(), opened);
  engine.generate(request());
  EXPECT_EQ(told(), (std::vector{placed, planned, encoded, drawn, loaded}));
  engine.generate(request());
  EXPECT_EQ(told(), (std::vector{planned, reused, drawn}));
  engine.release();
  EXPECT_EQ(told(), (std::vector{released}));
  engine.release();  // of nothing
  EXPECT_EQ(told(), std::vector<LogEvent>());
  engine.encode(request());
  EXPECT_EQ(told(), (std::vector{placed, encoded}));
}

TEST(Log, HasANameForEachEvent) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(LogEvent::not_kept); ++i) names.insert(name_of(static_cast<LogEvent>(i)));
  EXPECT_EQ(names.size(), static_cast<size_t>(LogEvent::not_kept) + 1);
  EXPECT_EQ(name_of(level_of(LogEvent::not_kept)), "warning");
}

// ---- memory -----------------------------------------------------------------------------------------------------------------

TEST_P(Library, ReleaseFreesAllMemoryAndTheEngineDrawsOn) {
  Engine engine = this->engine();
  const auto total = [&] { return engine.memory().host + engine.memory().device; };
  EXPECT_EQ(total(), 0);
  const Image expected = engine.generate(request()).images[0];
  const int64_t taken = total();
  EXPECT_GT(taken, 0);
  engine.release();
  EXPECT_EQ(total(), 0);
  EXPECT_EQ(engine.generate(request()).images[0].rgb, expected.rgb);
  EXPECT_EQ(total(), taken);
  Callbacks callbacks;
  callbacks.progress = [&](const Progress&) {
    EXPECT_TRUE(contains(refusal_of([&] { engine.release(); }), "at work already"));
    EXPECT_TRUE(contains(refusal_of([&] { engine.memory(); }), "at work already"));
  };
  engine.generate(request(), callbacks);
}

// ---- PNG --------------------------------------------------------------------------------------------------------------------

TEST_P(Library, APngHoldsThePictureAndItsRequest) {
  Engine engine = this->engine();
  Request request = this->request();
  request.count = 2;
  request.batch = 2;
  request.prompt = "a red bicycle, 自転車";
  const Image image = engine.generate(request).images[1];
  const std::vector<uint8_t> png = encode_png(image);
  EXPECT_EQ(decode_png(png).rgb, image.rgb);
  const StoredRequest stored = read_request(png);
  EXPECT_TRUE(stored.exact);
  EXPECT_TRUE(stored.has_seed);
  EXPECT_EQ(stored.program, "fude");
  EXPECT_EQ(stored.provenance.request.prompt, request.prompt);
  EXPECT_EQ(stored.provenance.request.seed, request.seed + 1);
  EXPECT_EQ(stored.provenance.request.place, 1);
  EXPECT_EQ(stored.provenance.model_hash, engine.model_hash());
  EXPECT_EQ(engine.generate(stored.provenance.request).images[0].rgb, image.rgb);

  const auto folder = temporary("png");
  const std::string file = (folder / "deep" / "絵.png").string();
  save_png(file, image);
  EXPECT_EQ(load_png(file).rgb, image.rgb);
  EXPECT_EQ(load_request(file).provenance.request.seed, request.seed + 1);
  std::filesystem::remove_all(folder);
}

TEST_P(Library, APngTellsOfEmbeddings) {
  Engine engine = this->engine();
  const Embeddings embeddings = engine.encode(request());
  const std::vector<uint8_t> png = encode_png(engine.generate(drawn_from(request(), embeddings)).images[0]);
  EXPECT_EQ(read_request(png).provenance.embeddings, hash_of(embeddings));
  EXPECT_TRUE(contains(std::string(text_under(read_png_text(png), "parameters")), "Embeddings: " + hash_of(embeddings)));
}

TEST(PngFiles, WithoutARequestArePixels) {
  Image image{.width = 2, .height = 1, .rgb = {1, 2, 3, 4, 5, 6}};
  const std::vector<uint8_t> png = encode_png(image);
  EXPECT_EQ(decode_png(png).rgb, image.rgb);
  EXPECT_TRUE(contains(refusal_of([&] { read_request(png); }), "no request"));
  image.rgb.pop_back();
  EXPECT_TRUE(contains(refusal_of([&] { encode_png(image); }), "5 bytes"));
  image.width = int64_t{1} << 62;
  EXPECT_TRUE(contains(refusal_of([&] { encode_png(image); }), "pixels"));
}

TEST(PngFiles, OfOtherProgramsNameThem) {
  const Image image{.width = 1, .height = 1, .rgb = {1, 2, 3}};
  const std::vector<PngText> texts = {
      {"parameters", "a cat <lora:detail:1>\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 5, Size: 512x512"}};
  const StoredRequest stored = read_request(encode_png(image, texts));
  EXPECT_FALSE(stored.exact);
  EXPECT_NE(stored.program, "fude");
  EXPECT_EQ(stored.provenance.request.seed, 5u);
}

TEST(PngFiles, ThatAreNoneAreNamed) {
  const auto file = temporary("no_png");
  std::ofstream(file) << "nothing";
  EXPECT_TRUE(contains(refusal_of([&] { load_png(file.string()); }), file.string()));
  EXPECT_TRUE(contains(refusal_of([&] { load_request(file.string()); }), file.string()));
  std::filesystem::remove(file);
  refusal_of([&] { load_png(file.string()); }, Code::io);
}

}  // namespace
}  // namespace fude::test
