// A request as text and back: A1111's parameters and fude's own JSON, and the checks of what is read.
#include "engine/metadata.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "engine/request.h"
#include "fude/error.h"
#include "told.h"

namespace fude {
namespace {

Provenance full_provenance() {
  Provenance provenance;
  provenance.request.prompt = "温泉のカピバラ, \"quoted\"\nsecond line: with, marks";
  provenance.request.negative = "blurry\nugly";
  provenance.request.width = 512;
  provenance.request.height = 768;
  provenance.request.steps = 30;
  provenance.request.guidance = 4.5;
  provenance.request.seed = 18446744073709551615u;
  provenance.request.noise = Noise::torch_cpu_bf16;
  provenance.request.shift = 2.25;
  provenance.request.variation = {.seed = 17, .amount = 0.25};
  provenance.request.draft = {.width = 256, .height = 384, .steps = 12, .strength = 0.4};
  provenance.request.batch = 4;
  provenance.request.place = 3;
  provenance.request.vae_tiling = true;
  provenance.model = "my model: v1, \"best\"";
  provenance.model_hash = "0123456789";
  provenance.device = "cpu";
  provenance.dtype = "bf16";
  provenance.no_t5 = true;
  return provenance;
}

std::string dump(const Provenance& provenance) { return json_from(provenance).dump(); }

std::string refusal_of(const std::string& json) {
  try {
    provenance_from_json(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return told(error.message());
  }
  return {};
}

TEST(Parameters, AreWrittenAsA1111Does) {
  Provenance provenance;
  provenance.request.prompt = "a cat";
  provenance.request.width = provenance.request.height = 512;
  provenance.request.steps = 30;
  provenance.request.guidance = 7;
  provenance.request.seed = 42;
  provenance.model = "stable-diffusion-3.5-medium";
  provenance.model_hash = "0123456789";
  EXPECT_EQ(parameters_text(provenance),
            "a cat\nSteps: 30, Sampler: Euler, Schedule type: Simple, CFG scale: 7.0, Seed: 42, Size: 512x512, Model hash: "
            "0123456789, "
            "Model: stable-diffusion-3.5-medium, Noise: torch-cpu, Rules: 2, Version: fude " +
                version());
  provenance.request.negative = "dogs";
  provenance.model = "a, b: \"c\"";
  const std::string text = parameters_text(provenance);
  EXPECT_NE(text.find("\nNegative prompt: dogs\nSteps: 30"), std::string::npos);
  EXPECT_NE(text.find("Model: \"a, b: \\\"c\\\"\", Noise"), std::string::npos);
  provenance.model = "a:b";
  EXPECT_NE(parameters_text(provenance).find("Model: \"a:b\", Noise"), std::string::npos);
}

TEST(Parameters, ComeBack) {
  const Provenance provenance = full_provenance();
  const Provenance back = provenance_from(parse_parameters(parameters_text(provenance)));
  Provenance expected = provenance;
  expected.device = "";  // no reader of such text asks for it
  EXPECT_EQ(dump(back), dump(expected));
}

TEST(Parameters, TheLineOfFieldsHasThree) {
  const Parameters two = parse_parameters("a cat\nSteps: 3, Seed: 4");
  EXPECT_TRUE(two.fields.empty());
  EXPECT_EQ(two.prompt, "a cat\nSteps: 3, Seed: 4");
  const Parameters three =
      parse_parameters("  a cat \n more\nNegative prompt:  dogs\nbirds\nSteps: 3, Seed: 4, CFG scale: 5\n");
  ASSERT_EQ(three.fields.size(), 3u);
  EXPECT_EQ(three.prompt, "a cat\nmore");
  EXPECT_EQ(three.negative, "dogs\nbirds");
  EXPECT_EQ(three.field("CFG scale"), "5");
  EXPECT_EQ(three.field("Nothing"), "");
  EXPECT_EQ(parse_parameters("Steps: 3, Seed: 4, CFG scale: 5").prompt, "");
  EXPECT_EQ(parse_parameters("").prompt, "");
}

TEST(Parameters, LinesMayFollowTheFields) {
  const Parameters parameters = parse_parameters(
      "a cat\r\nNegative prompt: dogs\r\nSteps: 3, Seed: 4, CFG scale: 5\r\nTemplate: a {red|blue} cat, Ab: 1, Cd: "
      "2\r\nNegative Template: dogs");
  EXPECT_EQ(parameters.prompt, "a cat");
  EXPECT_EQ(parameters.negative, "dogs");
  EXPECT_EQ(parameters.field("CFG scale"), "5");
  EXPECT_EQ(parameters.rest, "Template: a {red|blue} cat, Ab: 1, Cd: 2\r\nNegative Template: dogs");
}

TEST(Parameters, AreNotMadeOfPromptsThatLookLikeThem) {
  for (const std::string prompt :
       {"time: noon, place: sea, mood: calm", "a ladder\nSteps: wooden", "subject: cat\ncolour: red, size: big, eyes: green"}) {
    EXPECT_EQ(parse_parameters(prompt).prompt, prompt);
    EXPECT_TRUE(parse_parameters(prompt).fields.empty());
    const Parameters both = parse_parameters(prompt + "\nSteps: 3, Seed: 4, CFG scale: 5");
    EXPECT_EQ(both.prompt, prompt);
    EXPECT_EQ(both.field("Steps"), "3");
  }
  // Of two such lines the last counts: programs write theirs behind the prompt.
  EXPECT_EQ(parse_parameters("Steps: 1, Seed: 1, CFG scale: 1\nSteps: 3, Seed: 4, CFG scale: 5").prompt,
            "Steps: 1, Seed: 1, CFG scale: 1");
}

// Each line's fields as Python's re.findall gives them for the pattern at the head of parameters.cpp.
TEST(Parameters, MatchThePatternOfA1111) {
  using Fields = std::vector<std::pair<std::string, std::string>>;
  const auto fields = [](const std::string& line) {
    Fields all = parse_parameters("Steps: 1, " + line + ", AA: 1, BB: 2, CC: 3").fields;
    EXPECT_EQ(all.front(), (Fields::value_type{"Steps", "1"}));
    all.erase(all.begin());
    return all;
  };
  const Fields tail = {{"AA", "1"}, {"BB", "2"}, {"CC", "3"}};
  const auto expect = [&](const std::string& line, Fields expected) {
    expected.insert(expected.end(), tail.begin(), tail.end());
    EXPECT_EQ(fields(line), expected) << line;
  };
  expect("Lora hashes: \"a: 1, b: 2\"", {{"Lora hashes", "a: 1, b: 2"}});
  expect("Path: \"a\\\\b\\\"c\"", {{"Path", "a\\b\"c"}});
  expect("Open: \"a", {{"Open", "\"a"}});
  expect("Empty:", {{"Empty", ""}});
  expect("X: 1", {});  // names have two characters at least
  expect("é: 1", {});
  expect("éa: 1", {{"éa", "1"}});
  expect("-Ab: 1", {{"Ab", "1"}});  // and start with a letter or digit
  expect("A/b - c: 1: 2", {{"A/b - c", "1: 2"}});
  expect("Quote: \"a\" b", {{"Quote", "\"a\" b"}});
  expect("no colon, Ab: 1", {{"Ab", "1"}});
  expect("Hires (x) upscale: 2", {{"upscale", "2"}});
}

// Pictures of fude before it had rules say nothing, and meant torch 2.11 by the names of the half types.
TEST(Provenances, OlderPicturesKeepTheirNoise) {
  for (const auto& [name, older, today] : {std::tuple{"torch-cpu-f16", Noise::torch_2_11_cpu_f16, Noise::torch_cpu_f16},
                                           {"torch-cpu-bf16", Noise::torch_2_11_cpu_bf16, Noise::torch_cpu_bf16},
                                           {"torch-cpu", Noise::torch_cpu, Noise::torch_cpu},
                                           {"torch-2.11-cpu-f16", Noise::torch_2_11_cpu_f16, Noise::torch_2_11_cpu_f16}}) {
    const std::string json = std::string("\"steps\": 3, \"noise\": \"") + name + '"';
    const std::string line = std::string("a cat\nSteps: 3, Seed: 4, Noise: ") + name;
    for (const Provenance& old : {provenance_from_json('{' + json + '}'), provenance_from(parse_parameters(line))}) {
      EXPECT_EQ(old.rules, 1) << name;
      EXPECT_EQ(old.request.noise, older) << name;
      EXPECT_EQ(provenance_from_json(dump(old)).request.noise, older) << name;  // as a history keeps it
      EXPECT_EQ(provenance_from_json(dump(old)).rules, 1) << name;
      EXPECT_EQ(provenance_from(parse_parameters(parameters_text(old))).request.noise, older) << name;
    }
    EXPECT_EQ(provenance_from_json('{' + json + ", \"rules\": 2}").request.noise, today) << name;
    EXPECT_EQ(provenance_from(parse_parameters(line + ", Rules: 2")).request.noise, today) << name;
  }
}

TEST(Parameters, HostileLinesTakeLinearTime) {
  const std::string words(size_t{1} << 20, 'a');
  EXPECT_TRUE(parse_parameters(words).fields.empty());
  std::string quotes;
  for (int i = 0; i < 100000; ++i) quotes += "Ab: \"";
  EXPECT_FALSE(parse_parameters("Steps: 1, " + quotes + ", Ab: 1, Ab: 1, Ab: 1").fields.empty());
  std::string lines;
  for (int i = 0; i < 100000; ++i) lines += "Steps: 1\n";
  EXPECT_TRUE(parse_parameters(lines).fields.empty());
}

TEST(Provenances, LeaveOpenWhatIsNotTold) {
  for (const Request& request :
       {provenance_from(parse_parameters("cat\nSampler: Euler, Seed: 4, Size: 512x512")).request,
        provenance_from_json("{}").request, provenance_from_json(R"({"steps": null, "guidance": null})").request}) {
    EXPECT_FALSE(request.steps.has_value()) << "it is the model's own";
    EXPECT_FALSE(request.guidance.has_value());
  }
}

TEST(Provenances, ComeBackFromJson) {
  const Provenance provenance = full_provenance();
  EXPECT_EQ(dump(provenance_from_json(dump(provenance))), dump(provenance));
  EXPECT_EQ(provenance_from_json(dump(provenance)).request.seed, 18446744073709551615u);
  EXPECT_EQ(dump(provenance_from_json("{\"rules\": 2}")), dump(Provenance{}));
  EXPECT_EQ(dump(Provenance{}).find("vae_tiling"), std::string::npos);  // pictures of earlier versions have no such field
  EXPECT_TRUE(provenance_from_json(dump(provenance)).request.vae_tiling);
  EXPECT_EQ(provenance_from_json("{\"steps\": 5, \"of a later version\": [1]}").request.steps, 5);
}

TEST(Provenances, RefuseWhatTheyCannotBe) {
  EXPECT_NE(refusal_of("not json"), "");
  EXPECT_NE(refusal_of("[1]"), "");
  EXPECT_NE(refusal_of("{\"steps\": \"4\"}").find("steps"), std::string::npos);
  EXPECT_NE(refusal_of("{\"steps\": 1e300}").find("steps"), std::string::npos);
  EXPECT_NE(refusal_of("{\"width\": 18446744073709551615}").find("width"), std::string::npos);
  EXPECT_NE(refusal_of("{\"seed\": -1}").find("seed"), std::string::npos);
  EXPECT_NE(refusal_of("{\"noise\": \"pink\"}").find("noise"), std::string::npos);
  EXPECT_NE(refusal_of("{\"prompt\": {}}").find("prompt"), std::string::npos);
  EXPECT_NE(refusal_of(std::string(100000, '[')), "");
  EXPECT_THROW(provenance_from(parse_parameters("cat\nSteps: many, Seed: 4, CFG scale: 5")), Error);
  EXPECT_THROW(provenance_from(parse_parameters("cat\nSteps: 4, Seed: -4, CFG scale: 5")), Error);
  EXPECT_THROW(provenance_from(parse_parameters("cat\nSteps: 4, Seed: 4, Size: 512")), Error);
}

std::string refusal_of(const Request& request) {
  try {
    check_request(request);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return told(error.message());
  }
  return {};
}

TEST(Requests, SizesNameTheNearestThatWorks) {
  const auto nearest = [](int64_t pixels) {
    Request request;
    request.width = pixels;
    const std::string text = refusal_of(request);
    const size_t at = text.rfind("[use_size width ");
    return at == std::string::npos ? "" : text.substr(at + 16);
  };
  EXPECT_EQ(nearest(512), "");
  EXPECT_EQ(nearest(0), "");  // the model's own
  EXPECT_EQ(nearest(500), "496]");
  EXPECT_EQ(nearest(504), "512]");
  EXPECT_EQ(nearest(1), "16]");
  EXPECT_EQ(nearest(-16), "16]");
  EXPECT_EQ(nearest(1000000000), "6144]");
  EXPECT_EQ(nearest(INT64_MAX), "6144]");
  EXPECT_EQ(nearest(INT64_MIN), "16]");
  EXPECT_THROW(check_side(Field::height, 0), Error);
}

TEST(Requests, RefuseWhatCannotBeDrawn) {
  const auto refused = [](auto change) {
    Request request;
    change(request);
    return !refusal_of(request).empty();
  };
  EXPECT_FALSE(refused([](Request&) {}));
  EXPECT_TRUE(refused([](Request& r) { r.prompt = "\xff"; }));
  EXPECT_TRUE(refused([](Request& r) { r.prompt = std::string("a\0b", 3); }));
  EXPECT_TRUE(refused([](Request& r) { r.negative = "\xc3"; }));
  EXPECT_TRUE(refused([](Request& r) { r.steps = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.steps = 1001; }));
  EXPECT_TRUE(refused([](Request& r) { r.count = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.guidance = 0.0 / 0.0; }));
  EXPECT_TRUE(refused([](Request& r) { r.shift = 0; }));
  EXPECT_TRUE(refused([](Request& r) { r.sampler = "magic"; }));
}

TEST(Requests, TakeSamplersAsOtherProgramsNameThem) {
  for (const std::string name :
       {"euler", "Euler", "EULER", "k_euler", "sample_euler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"}) {
    Request request;
    request.sampler = name;
    EXPECT_EQ(refusal_of(request), "") << name;
    EXPECT_EQ(sampler_from(name), "euler") << name;
  }
  for (const std::string name : {"", "Euler b", "euler_cfg_pp", "dpmpp_3m_sde", "DPM++ 2S a"})
    EXPECT_FALSE(sampler_from(name)) << name;
}

}  // namespace
}  // namespace fude
