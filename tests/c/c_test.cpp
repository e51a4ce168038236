// The C interface as another language uses it: names and values, failures as data, callbacks, stopping, ownership.
#include "fude/c.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "core/noise.h"
#include "fude/fude.h"
#include "temporary.h"

namespace fude::test {
namespace {

using Json = nlohmann::json;

const std::string kModel = FUDE_SOURCE_DIR "/tests/fixtures/dual";

template <auto free>
struct Free {
  template <class T>
  void operator()(T* handle) const {
    free(handle);
  }
};
using OwnError = std::unique_ptr<fude_error, Free<fude_error_free>>;
using OwnOptions = std::unique_ptr<fude_options, Free<fude_options_free>>;
using OwnRequest = std::unique_ptr<fude_request, Free<fude_request_free>>;
using OwnEngine = std::unique_ptr<fude_engine, Free<fude_engine_free>>;
using OwnResult = std::unique_ptr<fude_result, Free<fude_result_free>>;
using OwnImage = std::unique_ptr<fude_image, Free<fude_image_free>>;
using OwnStop = std::unique_ptr<fude_stop, Free<fude_stop_free>>;
using OwnEmbeddings = std::unique_ptr<fude_embeddings, Free<fude_embeddings_free>>;
using OwnGenerator = std::unique_ptr<fude_generator, Free<fude_generator_free>>;

// What a call that succeeds made.
template <class T, class Call>
T* made(const Call& call) {
  T* handle = nullptr;
  fude_error* error = nullptr;
  EXPECT_EQ(call(&handle, &error), FUDE_OK) << fude_error_text(error);
  EXPECT_NE(handle, nullptr);
  fude_error_free(error);
  return handle;
}

// "bad_request steps: …", or what says that nothing was refused.
template <class Call>
std::string refusal_of(const Call& call) {
  fude_error* error = nullptr;
  const fude_code code = call(&error);
  const OwnError own(error);
  if (code == FUDE_OK) return "nothing was refused";
  EXPECT_EQ(fude_error_code(error), code);
  const Json json = Json::parse(fude_error_json(error));
  EXPECT_EQ(json["message"], fude_error_text(error));
  EXPECT_EQ(json["field"].is_null() ? "" : json["field"], fude_error_field(error));
  return json["code"].get<std::string>() + ' ' + fude_error_field(error) + ": " + fude_error_text(error);
}

std::string taken(char* text) {
  const std::string own = text ? text : "";
  fude_text_free(text);
  return own;
}

OwnRequest request_with(const std::string& json) {
  OwnRequest request(made<fude_request>(fude_request_new));
  fude_error* error = nullptr;
  EXPECT_EQ(fude_request_set_json(request.get(), json.c_str(), &error), FUDE_OK) << fude_error_text(error);
  fude_error_free(error);
  return request;
}

std::string json_of(const fude_request* request) {
  return taken(made<char>([&](char** text, fude_error** error) { return fude_request_json(request, text, error); }));
}

OwnOptions options_for(const std::string& model) {
  OwnOptions options(made<fude_options>(fude_options_new));
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"model", model}, {"device", "cpu"}, {"dtype", "f32"}, {"threads", "2"}})
    EXPECT_EQ(fude_options_set(options.get(), name.c_str(), value.c_str(), nullptr), FUDE_OK) << name;
  return options;
}

OwnEngine engine() {
  const OwnOptions options = options_for(kModel);
  return OwnEngine(made<fude_engine>(
      [&](fude_engine** engine, fude_error** error) { return fude_engine_new(options.get(), engine, error); }));
}

fude_code draw(fude_engine* engine, const fude_request* request, const fude_callbacks* callbacks, OwnResult& result,
               fude_error** error) {
  fude_result* drawn = nullptr;
  const fude_code code = fude_engine_generate(engine, &request, 1, callbacks, &drawn, error);
  result.reset(drawn);
  return code;
}

OwnResult drawn(fude_engine* engine, const fude_request* request, const fude_callbacks* callbacks = nullptr) {
  OwnResult result;
  fude_error* error = nullptr;
  EXPECT_EQ(draw(engine, request, callbacks, result, &error), FUDE_OK) << fude_error_text(error);
  fude_error_free(error);
  return result;
}

std::vector<uint8_t> pixels_of(const fude_image* image) {
  const uint8_t* rgb = fude_image_rgb(image);
  return {rgb, rgb + fude_image_width(image) * fude_image_height(image) * 3};
}

const char* const kSmall = R"({"prompt": "a red bicycle", "width": 64, "height": 64, "steps": 2, "seed": 7})";

// ---- names and values -------------------------------------------------------------------------------------------------------

TEST(CRequest, TakesEveryFieldByItsNamesAndTellsItAgain) {
  const Json fields = Json::parse(taken(made<char>(fude_request_fields)));
  EXPECT_EQ(fields.size(), 35u);
  for (const Json& field : fields) {
    const std::string type = field["type"];
    const std::string value = field["name"] == "noise" ? "torch-cuda"
                              : type == "text"         ? "beta"
                              : type == "boolean"      ? "true"
                              : type == "integers"     ? "2,3"
                              : type == "numbers"      ? "1,0.5"
                              : type == "number"       ? "0.5"
                                                       : "48";
    std::vector<std::string> names = field["other_names"];
    names.insert(names.begin(), field["name"]);
    std::string told;
    for (const std::string& name : names) {
      SCOPED_TRACE(name);
      const OwnRequest request(made<fude_request>(fude_request_new));
      const std::string before = json_of(request.get());
      EXPECT_EQ(fude_request_set(request.get(), name.c_str(), value.c_str(), nullptr), FUDE_OK);
      if (told.empty()) told = json_of(request.get());
      EXPECT_NE(told, before);
      EXPECT_EQ(json_of(request.get()), told);
      EXPECT_EQ(json_of(request_with(told).get()), told);
      if (type != "text") {
        EXPECT_EQ(fude_request_set(request.get(), name.c_str(), "", nullptr), FUDE_OK) << "the default";
      }
    }
  }
}

TEST(CRequest, TakesJsonWholeOrNotAtAll) {
  const OwnRequest request = request_with(R"({"prompt": "a cat", "guidance_scale": 5, "draft": {"width": 32, "height": 32}})");
  const std::string before = json_of(request.get());
  const auto refusal = [&](const char* json) {
    return refusal_of([&](fude_error** error) { return fude_request_set_json(request.get(), json, error); });
  };
  EXPECT_EQ(refusal(R"({"prompt": "a dog", "steps": "many"})"), "bad_request steps: steps cannot be \"many\"");
  EXPECT_EQ(refusal(R"({"seed": -1})"), "bad_request seed: seed cannot be -1");
  EXPECT_EQ(refusal(R"({"count": 9223372036854775808})"), "bad_request count: count cannot be 9223372036854775808");
  EXPECT_EQ(refusal(R"({"skip_layers": [7, "8"]})"), "bad_request skip_layers: skip layers cannot be [7,\"8\"]");
  EXPECT_EQ(refusal(R"({"noise": "brown"})"), "bad_request noise: noise cannot be \"brown\"");
  EXPECT_EQ(refusal(R"({"draft": {"wide": 3}})"), "bad_request : a request has no field \"draft.wide\"");
  EXPECT_EQ(refusal(R"({"stepz": 3})"), "bad_request : a request has no field \"stepz\"");
  EXPECT_EQ(refusal("[]"), "bad_request : a request is a JSON object, and this is none");
  EXPECT_EQ(refusal("{"), "bad_request : a request is a JSON object, and this is none");
  EXPECT_EQ(json_of(request.get()), before);
  EXPECT_EQ(fude_request_set_json(request.get(), R"({"draft": null, "guidance": null, "prompt": null})", nullptr), FUDE_OK);
  EXPECT_EQ(json_of(request.get()), json_of(OwnRequest(made<fude_request>(fude_request_new)).get()));
}

TEST(COptions, AreTakenByName) {
  const OwnOptions options(made<fude_options>(fude_options_new));
  const auto refusal = [&](const char* name, const char* value) {
    return refusal_of([&](fude_error** error) { return fude_options_set(options.get(), name, value, error); });
  };
  for (const char* name : {"model", "clip_l", "clip_g", "t5", "vae", "tokenizers", "hub_cache", "device", "dtype", "embeddings",
                           "calibration", "card"})
    EXPECT_EQ(refusal(name, "x"), "nothing was refused") << name;
  for (const char* name : {"threads", "vram", "ram"}) {
    EXPECT_EQ(refusal(name, "4"), "nothing was refused") << name;
    EXPECT_EQ(refusal(name, "-4"), std::string("bad_request ") + name + ": " + name + " cannot be \"-4\"");
  }
  EXPECT_EQ(refusal("no_t5", "true"), "nothing was refused");
  EXPECT_EQ(refusal("no_t5", "maybe"), "bad_request no_t5: no t5 cannot be \"maybe\"");
  EXPECT_EQ(refusal("threads", "5000"), "bad_request threads: threads cannot be \"5000\"");
  EXPECT_EQ(refusal("model_path", "x"), "bad_request : an engine has no option \"model_path\"");
}

TEST(CErrors, NameTheHandleThatIsNull) {
  const OwnRequest request = request_with(kSmall);
  fude_result* result = nullptr;
  const fude_request* const none[] = {nullptr};
  const OwnEngine own = engine();
  for (const auto& [what, refusal] : std::vector<std::pair<std::string, std::string>>{
           {"request", refusal_of([](fude_error** error) { return fude_request_set(nullptr, "steps", "3", error); })},
           {"name", refusal_of([&](fude_error** e) { return fude_request_set(request.get(), nullptr, "3", e); })},
           {"json", refusal_of([&](fude_error** e) { return fude_request_set_json(request.get(), nullptr, e); })},
           {"engine", refusal_of([&](fude_error** e) { return fude_engine_generate(nullptr, none, 0, nullptr, &result, e); })},
           {"a request",
            refusal_of([&](fude_error** e) { return fude_engine_generate(own.get(), none, 1, nullptr, &result, e); })},
           {"requests",
            refusal_of([&](fude_error** e) { return fude_engine_generate(own.get(), nullptr, 1, nullptr, &result, e); })},
           {"result",
            refusal_of([&](fude_error** e) { return fude_engine_generate(own.get(), none, 0, nullptr, nullptr, e); })},
           {"image", refusal_of([](fude_error** e) { return fude_image_save_png(nullptr, "x.png", e); })}})
    EXPECT_EQ(refusal, "bad_request : " + what + " is NULL");
  EXPECT_EQ(result, nullptr);
  EXPECT_EQ(fude_request_set(nullptr, "steps", "3", nullptr), FUDE_BAD_REQUEST) << "without a place for the error";
  EXPECT_EQ(fude_error_code(nullptr), FUDE_OK);
  EXPECT_STREQ(fude_error_text(nullptr), "");
  fude_request_free(nullptr);
  EXPECT_EQ(fude_result_count(nullptr), 0u);
  EXPECT_EQ(fude_result_image(nullptr, 0), nullptr);
}

TEST(CErrors, AreTheLibrarysOwn) {
  const OwnOptions nowhere = options_for("/nowhere");
  fude_engine* none = nullptr;
  const std::string refusal = refusal_of([&](fude_error** error) { return fude_engine_new(nowhere.get(), &none, error); });
  EXPECT_TRUE(refusal.starts_with("bad_checkpoint model: ")) << refusal;
  EXPECT_EQ(none, nullptr);
  const OwnEngine own = engine();
  const OwnRequest request = request_with(R"({"steps": 0})");
  OwnResult result;
  EXPECT_EQ(refusal_of([&](fude_error** error) { return draw(own.get(), request.get(), nullptr, result, error); }),
            "bad_request steps: steps is 0, outside 1 to 1000");
}

// ---- drawing ----------------------------------------------------------------------------------------------------------------

TEST(CEngine, DrawsWhatTheLibraryDraws) {
  const OwnEngine own = engine();
  const OwnRequest request = request_with(kSmall);
  const OwnResult result = drawn(own.get(), request.get());
  ASSERT_EQ(fude_result_count(result.get()), 1u);
  const fude_image* image = fude_result_image(result.get(), 0);

  Engine there({.model = kModel}, {.device = "cpu", .dtype = "f32", .threads = 2});
  const Image expected =
      there.generate({.prompt = "a red bicycle", .width = 64, .height = 64, .steps = 2, .seed = 7}).images[0];
  EXPECT_EQ(pixels_of(image), expected.rgb);
  int64_t shape[3] = {};
  const float* latents = fude_image_latents(image, shape);
  ASSERT_EQ(shape[0] * shape[1] * shape[2], std::ssize(expected.latents));
  EXPECT_TRUE(std::equal(expected.latents.begin(), expected.latents.end(), latents));
  EXPECT_EQ(fude_image_noise(image, nullptr)[5], expected.noise[5]);

  const Json told = Json::parse(fude_image_json(image));
  EXPECT_EQ(told["provenance"]["prompt"], "a red bicycle");
  EXPECT_EQ(Json::parse(fude_result_json(result.get()))[0]["device"], "cpu");
  const Json about =
      Json::parse(taken(made<char>([&](char** text, fude_error** error) { return fude_engine_json(own.get(), text, error); })));
  EXPECT_EQ(about["dtype"], "f32");
}

TEST(CEngine, PicturesOutliveTheirResultAndTheirEngineAndTellTheirRequest) {
  const std::string path = temporary("picture.png").string();
  OwnImage image;
  std::vector<uint8_t> pixels;
  {
    const OwnEngine own = engine();
    const OwnResult result = drawn(own.get(), request_with(kSmall).get());
    pixels = pixels_of(fude_result_image(result.get(), 0));
    image.reset(made<fude_image>([&](fude_image** copy, fude_error** error) {
      return fude_image_copy(fude_result_image(result.get(), 0), copy, error);
    }));
  }
  EXPECT_EQ(pixels_of(image.get()), pixels);
  ASSERT_EQ(fude_image_save_png(image.get(), path.c_str(), nullptr), FUDE_OK);
  uint8_t* bytes = nullptr;
  size_t size = 0;
  ASSERT_EQ(fude_image_encode_png(image.get(), &bytes, &size, nullptr), FUDE_OK);
  EXPECT_EQ(decode_png({bytes, size}).rgb, pixels);
  fude_bytes_free(bytes);
  const OwnRequest again(made<fude_request>(
      [&](fude_request** request, fude_error** error) { return fude_request_load(path.c_str(), request, error); }));
  EXPECT_EQ(Json::parse(json_of(again.get()))["seed"], 7);
}

struct Seen {
  fude_engine* engine = nullptr;
  std::vector<std::string> stages;
  int64_t pictures = 0;
  std::string refused;
  OwnImage kept;
};

TEST(CCallbacks, AreToldAndMayNotDraw) {
  const OwnEngine own = engine();
  const OwnRequest request = request_with(R"({"prompt": "a cat", "width": 64, "height": 64, "steps": 3, "count": 2})");
  Seen seen{.engine = own.get()};
  fude_callbacks callbacks{};
  callbacks.size = sizeof callbacks;
  callbacks.user = &seen;
  callbacks.progress = [](void* user, const fude_progress* at) {
    Seen& all = *static_cast<Seen*>(user);
    if (all.stages.empty() || all.stages.back() != at->stage) all.stages.emplace_back(at->stage);
    int64_t host = 0, device = 0;
    all.refused = refusal_of([&](fude_error** error) { return fude_engine_memory(all.engine, &host, &device, error); });
  };
  callbacks.finished = [](void* user, const fude_image* image) {
    Seen& all = *static_cast<Seen*>(user);
    ++all.pictures;
    all.kept.reset(
        made<fude_image>([&](fude_image** copy, fude_error** error) { return fude_image_copy(image, copy, error); }));
  };
  const OwnResult result = drawn(own.get(), request.get(), &callbacks);
  EXPECT_EQ(fude_result_count(result.get()), 0u) << "they went to the callback";
  EXPECT_EQ(seen.pictures, 2);
  EXPECT_EQ(Json::parse(fude_image_json(seen.kept.get()))["seed"], 1);
  EXPECT_NE(std::find(seen.stages.begin(), seen.stages.end(), "denoise"), seen.stages.end());
  EXPECT_TRUE(seen.refused.starts_with("bad_request : this Engine is at work already")) << seen.refused;
}

TEST(CCallbacks, OfAnOlderProgramAreShorter) {
  const OwnEngine own = engine();
  fude_callbacks callbacks{};
  callbacks.size = offsetof(fude_callbacks, preview);
  callbacks.preview = [](void*, const fude_preview*) { FAIL() << "an older program has nothing there"; };
  EXPECT_EQ(fude_result_count(drawn(own.get(), request_with(kSmall).get(), &callbacks).get()), 1u);
}

TEST(CStop, EndsACallFromAnotherThread) {
  const OwnEngine own = engine();
  const OwnRequest request = request_with(R"({"prompt": "a cat", "width": 64, "height": 64, "steps": 1000, "count": 1000})");
  const OwnStop stop(made<fude_stop>(fude_stop_new));
  fude_callbacks callbacks{};
  callbacks.size = sizeof callbacks;
  callbacks.stop = stop.get();
  std::thread other([&] { fude_stop_set(stop.get()); });
  OwnResult result;
  EXPECT_TRUE(refusal_of([&](fude_error** error) {
                return draw(own.get(), request.get(), &callbacks, result, error);
              }).starts_with("cancelled"));
  other.join();
  fude_stop_clear(stop.get());
  EXPECT_EQ(fude_result_count(drawn(own.get(), request_with(kSmall).get(), &callbacks).get()), 1u) << "usable again";
}

TEST(CLog, TellsWhatTheEngineDoes) {
  OwnOptions options = options_for(kModel);
  std::vector<std::string> events;
  const fude_log log = [](void* user, const char*, const char* event, const char*, int64_t, double) {
    static_cast<std::vector<std::string>*>(user)->emplace_back(event);
  };
  ASSERT_EQ(fude_options_log(options.get(), log, &events, nullptr), FUDE_OK);
  const OwnEngine own(made<fude_engine>(
      [&](fude_engine** engine, fude_error** error) { return fude_engine_new(options.get(), engine, error); }));
  options.reset();
  drawn(own.get(), request_with(kSmall).get());
  for (const char* event : {"opened", "planned", "drawn"})
    EXPECT_NE(std::find(events.begin(), events.end(), event), events.end()) << event;
}

TEST(CEmbeddings, DrawThePictureOfTheirPrompts) {
  const OwnEngine own = engine();
  const OwnRequest request = request_with(kSmall);
  const OwnEmbeddings encoded(made<fude_embeddings>([&](fude_embeddings** embeddings, fude_error** error) {
    return fude_engine_encode(own.get(), request.get(), nullptr, embeddings, error);
  }));
  int64_t shape[3];
  fude_embeddings_shape(encoded.get(), shape);
  const auto values = [&](const char* name) { return fude_embeddings_values(encoded.get(), name); };
  const OwnEmbeddings copied(made<fude_embeddings>([&](fude_embeddings** embeddings, fude_error** error) {
    return fude_embeddings_new(shape[0], shape[1], shape[2], values("prompt_embeds"), values("pooled_prompt_embeds"),
                               values("negative_prompt_embeds"), values("negative_pooled_prompt_embeds"), embeddings, error);
  }));
  const std::vector<uint8_t> expected = pixels_of(fude_result_image(drawn(own.get(), request.get()).get(), 0));
  ASSERT_EQ(fude_request_set_embeddings(request.get(), copied.get(), nullptr), FUDE_OK);
  EXPECT_EQ(pixels_of(fude_result_image(drawn(own.get(), request.get()).get(), 0)), expected);
  EXPECT_EQ(values("prompt"), nullptr);
  fude_embeddings* none = nullptr;
  EXPECT_EQ(fude_embeddings_new(int64_t{1} << 60, 8, 8, values("prompt_embeds"), nullptr, nullptr, nullptr, &none, nullptr),
            FUDE_BAD_REQUEST);
}

TEST(CGenerator, DrawsTorchsBits) {
  const OwnGenerator generator(
      made<fude_generator>([](fude_generator** made, fude_error** error) { return fude_generator_new(42, made, error); }));
  TorchGenerator expected(Noise::torch_cpu, 42);
  std::vector<float> values(1000);
  for (const Noise kind : {Noise::torch_cpu, Noise::torch_cpu_f16, Noise::torch_2_11_cpu_bf16}) {
    const std::string name(name_of(kind));
    ASSERT_EQ(fude_generator_randn(generator.get(), name.c_str(), values.data(), values.size(), nullptr), FUDE_OK);
    EXPECT_EQ(values, expected.draw(kind, 1000)) << name;
  }
  EXPECT_EQ(fude_generator_randn(generator.get(), "torch-cuda", values.data(), 1000, nullptr), FUDE_BAD_REQUEST);
  EXPECT_EQ(fude_generator_randn(generator.get(), "torch-cpu", values.data(), 15, nullptr), FUDE_BAD_REQUEST);
}

}  // namespace
}  // namespace fude::test
