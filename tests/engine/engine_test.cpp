// A whole request through the public API against diffusers: tokens, embeddings, noise, latents of each step, the picture.

#include <set>

#include "support.h"
#include "temporary.h"
#include "weights/locate.h"

namespace fude::test {
namespace {

struct Traced {
  std::map<std::string, std::vector<float>> tensors;
  Result result;
};

Traced run(const std::string& pipeline, const Request& request, const std::string& device) {
  Traced traced;
  Engine engine({.model = fixture(pipeline).string()}, {.device = device, .dtype = "f32", .threads = 2});
  Callbacks callbacks;
  callbacks.trace = [&](const TraceTensor& t) {
    size_t n = 1;
    for (int64_t d : t.shape) n *= static_cast<size_t>(d);
    std::vector<float>& values = traced.tensors[std::string(t.name)];
    values.resize(n);
    for (size_t i = 0; i < n; ++i) {
      if (t.dtype == "f32") values[i] = static_cast<const float*>(t.data)[i];
      if (t.dtype == "i32") values[i] = static_cast<float>(static_cast<const int32_t*>(t.data)[i]);
      if (t.dtype == "u8") values[i] = static_cast<const uint8_t*>(t.data)[i];
    }
  };
  traced.result = engine.generate(request, callbacks);
  return traced;
}

class EngineGoldens : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(EngineGoldens, SamePictureAsDiffusers) {
  const auto& [pipeline, device] = GetParam();
  const Goldens goldens(pipeline);
  const Request request = request_of(pipeline);
  const Traced traced = run(pipeline, request, device);
  ASSERT_EQ(traced.result.images.size(), static_cast<size_t>(request.count));
  for (const auto& [name, values] : traced.tensors) {
    if (!goldens.contains(name)) continue;
    const Golden golden = goldens[name];
    ASSERT_GE(golden.values.size(), values.size()) << name;  // the trace has picture 0 only
    if (name.starts_with("tokens") || name == "noise") {
      for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], golden.values[i]) << name << " at " << i;
    } else if (name != "image") {
      EXPECT_LE(nmse(values.data(), golden.values.data(), values.size()), device == "cpu" ? 1e-9 : 1e-8) << name;
    }
  }
  const Golden pictures = goldens["image"];
  size_t equal = 0, i = 0;
  for (const Image& image : traced.result.images)
    for (uint8_t value : image.rgb) {
      EXPECT_NEAR(value, pictures.values[i], 1.0f);
      equal += value == pictures.values[i++];
    }
  EXPECT_EQ(i, pictures.values.size());
  EXPECT_GE(static_cast<double>(equal), 0.999 * static_cast<double>(i));
}

TEST_P(EngineGoldens, PlannedBytesAreUsedBytes) {
  const auto& [pipeline, device] = GetParam();
  const Traced traced = run(pipeline, request_of(pipeline), device);
  EXPECT_GT(traced.result.planned.host + traced.result.planned.device, 0);
  EXPECT_EQ(traced.result.planned.host, traced.result.used.host);
  EXPECT_EQ(traced.result.planned.device, traced.result.used.device);
}

INSTANTIATE_TEST_SUITE_P(Pipelines, EngineGoldens,
                         testing::Combine(testing::ValuesIn(kPipelines), testing::ValuesIn(engine_devices())),
                         [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param); });

TEST(ModelName, IsTheFoldersOrTheRepositorys) {
  const auto root = temporary("names");
  const auto snapshot = root / "models--stabilityai--stable-diffusion-3.5-medium" / "snapshots" / "0123abcd";
  std::filesystem::create_directories(snapshot);
  std::filesystem::create_directories(root / "stable-diffusion-3.5-large");
  EXPECT_EQ(name_of_model(snapshot), "stable-diffusion-3.5-medium");
  EXPECT_EQ(name_of_model(root / "stable-diffusion-3.5-large"), "stable-diffusion-3.5-large");
  EXPECT_EQ(name_of_model(root / "stable-diffusion-3.5-large" / ""), "stable-diffusion-3.5-large");
  EXPECT_EQ(name_of_model(root / "sd3.5_medium.safetensors"), "sd3.5_medium");
  std::filesystem::remove_all(root);
}

class EngineGuidance : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, EngineGuidance, testing::ValuesIn(engine_devices()),
                         [](const auto& test) { return test.param; });

// tools/export_guidance_goldens.py draws the same.
TEST_P(EngineGuidance, SameLatentsAsDiffusers) {
  const Goldens goldens(TensorFile::open(fixture("guidance.safetensors")));
  for (const std::string name : {"skip", "rescale", "both"}) {
    Request request = request_of("dual");
    if (name != "rescale") request.skip_layers = SkipLayers{.layers = {1}, .start = 0.01, .end = 0.7};
    if (name != "skip") request.guidance_rescale = 0.7;
    const Traced traced = run("dual", request, GetParam());
    for (int64_t step = 0; step < *request.steps; ++step) {
      const std::string digits = "00" + std::to_string(step);
      const std::vector<float>& latents = traced.tensors.at("latents." + digits);
      const Golden golden = goldens[name + '.' + digits];
      ASSERT_EQ(latents.size(), golden.values.size());
      EXPECT_LE(nmse(latents.data(), golden.values.data(), latents.size()), GetParam() == "cpu" ? 1e-9 : 1e-8)
          << name << " at step " << step;
    }
    EXPECT_EQ(traced.result.planned.host, traced.result.used.host) << name;
    EXPECT_EQ(traced.result.planned.device, traced.result.used.device) << name;
  }
}

TEST_P(EngineGuidance, LayersThatDoNotExistAreRefused) {
  Engine engine({.model = fixture("dual").string()}, {.device = GetParam(), .dtype = "f32"});
  Request request = request_of("dual");
  for (const std::vector<int64_t>& layers : {std::vector<int64_t>{}, {2}, {0, -1}}) {
    request.skip_layers = SkipLayers{.layers = layers};
    try {
      engine.generate(request);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.message().field, Field::skip_layers) << error.what();
    }
  }
}

class EngineOn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, EngineOn, testing::ValuesIn(engine_devices()), [](const auto& test) { return test.param; });

TEST_P(EngineOn, RepeatsARequestBitForBit) {
  Engine engine({.model = fixture("dual").string()}, {.device = GetParam(), .dtype = "f32"});
  const Request request = request_of("dual");
  const Result first = engine.generate(request);
  const Result second = engine.generate(request);
  EXPECT_EQ(first.images[0].rgb, second.images[0].rgb);
  EXPECT_EQ(second.planned.host, second.used.host);
  EXPECT_EQ(second.planned.device, second.used.device);  // with the weights that the first request left loaded
}

TEST_P(EngineOn, EachPictureOfACountIsThatSeedsPicture) {
  Engine engine({.model = fixture("dual").string()}, {.device = GetParam(), .dtype = "f32"});
  Request request = request_of("dual");
  request.count = 2;
  const Result both = engine.generate(request);
  request.count = 1;
  request.seed += 1;
  EXPECT_EQ(both.images[1].rgb, engine.generate(request).images[0].rgb);
  EXPECT_NE(both.images[0].rgb, both.images[1].rgb);
}

TEST_P(EngineOn, LongRequestsComputeModulationInParts) {
  // 70 steps run in two parts; the last step's timestep comes from the second.
  Engine engine({.model = fixture("no_t5").string()}, {.device = GetParam(), .dtype = "f32"});
  Request request = request_of("no_t5");
  request.steps = 70;
  request.count = 2;
  const Result result = engine.generate(request);
  EXPECT_EQ(result.images.front().step_seconds.size(), 70u);
  EXPECT_EQ(result.images.size(), 2u);
}

// Whatever a sampler asks and keeps, the plan knows, and pictures of a batch are those of the same seeds alone.
TEST_P(EngineOn, DrawsWithEverySampler) {
  Engine engine({.model = fixture("dual").string()}, {.device = GetParam(), .dtype = "f32"});
  std::set<std::vector<uint8_t>> pictures;
  for (const std::string& sampler : sampler_names()) {
    SCOPED_TRACE(sampler);
    Request request = request_of("dual");
    request.sampler = sampler;
    request.count = 3;
    request.batch = 2;
    request.skip_layers = SkipLayers{.layers = {0}, .end = 0.5};
    int64_t told = 0;
    Callbacks callbacks;
    callbacks.progress = [&](const Progress& p) {
      if (p.stage == Stage::denoise && p.picture == 2) told = p.step;
      EXPECT_TRUE(p.stage != Stage::denoise || p.steps == *request.steps);
    };
    const Result all = engine.generate(request, callbacks);
    EXPECT_EQ(told, *request.steps);
    EXPECT_EQ(all.planned.host, all.used.host);
    EXPECT_EQ(all.planned.device, all.used.device);
    EXPECT_EQ(std::ssize(all.images[0].step_seconds), *request.steps);
    pictures.insert(all.images[0].rgb);
    Request last = request;
    last.seed += 2;
    last.count = 1;
    last.place = all.images[2].place;
    EXPECT_EQ(engine.generate(last).images[0].rgb, all.images[2].rgb);
  }
  EXPECT_EQ(pictures.size(), sampler_names().size());
}

// Slots wait between two runs of steps, each picture's apart from the others'.
TEST_P(EngineOn, LongRequestsKeepWhatSamplersRemember) {
  Engine engine({.model = fixture("no_t5").string()}, {.device = GetParam(), .dtype = "f32"});
  for (const std::string sampler : {"heun", "uni_pc", "er_sde"}) {
    Request request = request_of("no_t5");
    request.sampler = sampler;
    request.steps = 70;
    request.count = 2;
    const Result both = engine.generate(request);
    EXPECT_EQ(both.planned.host, both.used.host);
    EXPECT_EQ(both.planned.device, both.used.device);
    EXPECT_EQ(both.images[0].step_seconds.size(), 70u);
    request.count = 1;
    request.seed += 1;
    EXPECT_EQ(engine.generate(request).images[0].rgb, both.images[1].rgb) << sampler;
    request.steps = 71;
    EXPECT_LT(largest_difference(engine.generate(request).images[0].rgb, both.images[1].rgb), 40) << sampler;
  }
}

// A picture's noise between steps goes on with its own seed's numbers, or lies between two seeds', as its first latents do.
TEST_P(EngineOn, VariationsOfStochasticSamplersLieBetweenTwoSeeds) {
  Engine engine({.model = fixture("dual").string()}, {.device = GetParam(), .dtype = "f32"});
  Request request = request_of("dual");
  request.sampler = "euler_ancestral";
  const std::vector<uint8_t> own = engine.generate(request).images[0].rgb;
  request.variation = Variation{.seed = request.seed + 1, .amount = 1};
  const std::vector<uint8_t> all = engine.generate(request).images[0].rgb;
  request.variation.reset();
  request.seed += 1;
  EXPECT_EQ(all, engine.generate(request).images[0].rgb);
  EXPECT_NE(all, own);
}

TEST_P(EngineOn, StopsWhenAskedAndGoesOnAfterwards) {
  Engine engine({.model = fixture("dual").string()}, {.device = GetParam(), .dtype = "f32"});
  const Request request = request_of("dual");
  std::atomic<bool> stop = false;
  Callbacks callbacks;
  callbacks.stop = &stop;
  callbacks.progress = [&](const Progress& p) { stop = p.stage == Stage::denoise && p.step == 2; };
  try {
    engine.generate(request, callbacks);
    FAIL() << "it went on to the end";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cancelled);
  }
  EXPECT_EQ(engine.generate(request).images.size(), 1u);
}

// A copy of a fixture in which the first value of one f16 tensor is NaN.
class BrokenModel {
 public:
  BrokenModel(const std::string& pipeline, const std::string& file, const std::string& tensor) : folder_(temporary("broken")) {
    std::filesystem::copy(fixture(pipeline), folder_, std::filesystem::copy_options::recursive);
    std::ptrdiff_t offset = 0;
    {
      const TensorFile weights = TensorFile::open(folder_ / file);
      const StoredTensor* found = weights.find(tensor);
      if (!found || found->dtype != DType::f16) throw std::runtime_error("no f16 tensor " + tensor);
      offset = found->bytes.data() - weights.file().bytes().data();
    }
    std::fstream stream(folder_ / file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(offset);
    stream.write("\x00\x7e", 2);
  }
  ~BrokenModel() { std::filesystem::remove_all(folder_); }
  BrokenModel(const BrokenModel&) = delete;
  BrokenModel& operator=(const BrokenModel&) = delete;
  std::string path() const { return folder_.string(); }

 private:
  std::filesystem::path folder_;
};

TEST_P(EngineOn, WeightsThatAreNotNumbersNameTheirComponent) {
  for (const auto& [file, tensor, word] :
       {std::tuple{"text_encoder/model.safetensors", "text_model.encoder.layers.0.mlp.fc1.weight", "CLIP-L"},
        std::tuple{"transformer/diffusion_pytorch_model.safetensors", "transformer_blocks.1.ff.net.2.weight", "transformer"},
        std::tuple{"vae/diffusion_pytorch_model.safetensors", "decoder.conv_out.weight", "VAE"}}) {
    const BrokenModel model("dual", file, tensor);
    Engine engine({.model = model.path()}, {.device = GetParam(), .dtype = "f32"});
    try {
      engine.generate(request_of("dual"));
      FAIL() << word << " was drawn";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::non_finite);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }
}

TEST_P(EngineOn, BadRequestsAreNamed) {
  Engine engine({.model = fixture("dual").string()}, {.device = GetParam()});
  for (const auto& [change, word] :
       std::vector<std::pair<std::function<void(Request&)>, std::string>>{{[](Request& r) { r.width = 50; }, "width"},
                                                                          {[](Request& r) { r.height = 1000000000; }, "height"},
                                                                          {[](Request& r) { r.steps = 0; }, "steps"},
                                                                          {[](Request& r) { r.count = -1; }, "count"},
                                                                          {[](Request& r) { r.guidance = NAN; }, "guidance"},
                                                                          {[](Request& r) { r.sampler = "magic"; }, "sampler"},
                                                                          {[](Request& r) { r.prompt = "\xff"; }, "UTF-8"}}) {
    Request request = request_of("dual");
    change(request);
    try {
      engine.generate(request);
      FAIL() << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::bad_request);
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace fude::test
