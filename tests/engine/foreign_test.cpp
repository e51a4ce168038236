// Requests read from pictures of other programs: what is taken, what is left out and named, and how hostile files end.
#include "engine/foreign/foreign.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fude/error.h"
#include "made_texts.h"

namespace fude {
namespace {

using Json = nlohmann::ordered_json;
using Texts = std::vector<std::pair<std::string, std::string>>;

ForeignPicture read(const FileBytes& file) {
  const std::optional<ForeignPicture> picture = foreign_picture_in(read_picture_texts(file));
  EXPECT_TRUE(picture.has_value());
  return picture.value_or(ForeignPicture{});
}
ForeignPicture read(const Texts& texts) { return read(made_png(texts)); }

std::string description_of(const ForeignPicture& picture, std::vector<Field> given = {}) {
  return description_of(picture, "cat.png",
                        [&](Field field) { return std::find(given.begin(), given.end(), field) != given.end(); });
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
bool drops(const ForeignPicture& picture, const std::string& part) {
  return std::any_of(picture.dropped.begin(), picture.dropped.end(), [&](const std::string& one) { return has(one, part); });
}

const std::string kFields =
    "Steps: 3, Sampler: Euler, Schedule type: Simple, CFG scale: 4, Seed: 5, Size: 96x64, Model hash: abcdef1234, Model: "
    "sd3.5_medium, ";

// ---- A1111 and its kin ------------------------------------------------------------------------------------------------------

TEST(Foreign, ReadsWhatA1111Writes) {
  const ForeignPicture picture =
      read({{"parameters", "雪の中の猫 café\nsecond line\nNegative prompt: ぼやけた\n" + kFields + "Version: v1.10.1"}});
  EXPECT_EQ(picture.program, "AUTOMATIC1111");
  EXPECT_EQ(picture.prompt, "雪の中の猫 café\nsecond line");
  EXPECT_EQ(picture.negative, "ぼやけた");
  const Request request = provenance_from(picture).request;
  EXPECT_EQ(request.steps, 3);
  EXPECT_EQ(request.guidance, 4);
  EXPECT_EQ(request.seed, 5u);
  EXPECT_EQ(request.width, 96);
  EXPECT_EQ(request.height, 64);
  EXPECT_EQ(request.sampler, "euler");
  EXPECT_EQ(request.noise, Noise::torch_cuda);  // what these programs use, where they say nothing else
  EXPECT_TRUE(picture.dropped.empty());
  EXPECT_EQ(read({{"parameters", "a\n" + kFields + "RNG: CPU, Version: f2.0.1"}}).noise, Noise::torch_cpu);
  EXPECT_EQ(read({{"parameters", "a\n" + kFields + "RNG: CPU, Version: f2.0.1"}}).program, "Forge");
}

TEST(Foreign, ReadsItFromJpegAndWebp) {
  const std::u16string text = u"雪の猫\nNegative prompt: ぼけ\nSteps: 3, Sampler: Euler, CFG scale: 4, Seed: 5, Size: 96x64";
  for (const bool big : {true, false}) {
    const std::string exif = made_exif({user_comment_of(text, big)}, true);
    for (const FileBytes& file : {made_jpeg_with_exif(exif), made_webp(exif)}) {
      const ForeignPicture picture = read(file);
      EXPECT_EQ(picture.prompt, "雪の猫");
      EXPECT_EQ(picture.negative, "ぼけ");
      EXPECT_EQ(picture.seed, 5u);
    }
  }
  // Anything may be a comment: without settings it is no prompt.
  EXPECT_FALSE(foreign_picture_in(read_picture_texts(made_jpeg(made_segment(0xfe, "Created with an editor")))));
  EXPECT_FALSE(
      foreign_picture_in(read_picture_texts(made_png({{"Comment", "Created with an editor"}, {"Software", "editor"}}))));
}

TEST(Foreign, ReadsWhatStableDiffusionCppWrites) {
  const std::string text =
      "a cat\nNegative prompt: dogs\nSteps: 20, CFG scale: 4.500000, Guidance: 3.500000, Eta: 0.000000, Seed: 42, Size: "
      "512x512, Model: sd3.5.safetensors, "
      "RNG: cuda, Sampler RNG: cpu, Sampler: euler simple, TE: t5.safetensors, VAE: vae.safetensors, Version: "
      "stable-diffusion.cpp, SDCPP: {\"schema\":1,"
      "\"prompt\":\"Seed: 99, Steps: 1, Sampler: x, LoRA: y\"}";
  for (const FileBytes& file :
       {made_png({{"parameters", text}}), made_jpeg(made_segment(0xfe, std::string("parameters\0", 11) + text + '\0'))}) {
    const ForeignPicture picture = read(file);
    EXPECT_EQ(picture.program, "stable-diffusion.cpp");
    EXPECT_EQ(picture.prompt, "a cat");
    EXPECT_EQ(picture.seed, 42u);
    EXPECT_EQ(picture.guidance, 4.5);
    EXPECT_EQ(picture.noise, Noise::torch_cuda);
    EXPECT_EQ(picture.sampler, "euler");
    EXPECT_EQ(picture.schedule, "simple");
    EXPECT_EQ(picture.dropped, (std::vector<std::string>{"VAE vae.safetensors"}));
  }
}

TEST(Foreign, KeepsPromptsThatLookLikeSettings) {
  const ForeignPicture picture = read({{"parameters", "time: noon, place: sea, mood: calm"}});
  EXPECT_EQ(picture.prompt, "time: noon, place: sea, mood: calm");
  EXPECT_FALSE(picture.seed || picture.steps || picture.size);
  const std::string text = description_of(picture);
  EXPECT_TRUE(has(text, "Not stored: ")) << text;
  for (const char* part : {"the steps", "the seed (a random one is drawn)", "the size"}) EXPECT_TRUE(has(text, part)) << text;
}

TEST(Foreign, TakesNoSettingFromTheLinesBehind) {
  const ForeignPicture picture =
      read({{"parameters", "a red cat\nNegative prompt: blurry\n" + kFields +
                               "Version: f2.0.1\nTemplate: a {red|blue} cat\nNegative Template: blurry"}});
  EXPECT_EQ(picture.prompt, "a red cat");
  EXPECT_EQ(picture.negative, "blurry");
  EXPECT_EQ(picture.steps, 3);
  EXPECT_TRUE(drops(picture, "Template: a {red|blue} cat"));
}

TEST(Foreign, DrawsOneOfABatch) {
  const Request request = provenance_from(read({{"parameters", "cat\n" + kFields + "Batch size: 8, Batch pos: 3"}})).request;
  EXPECT_EQ(request.count, 1);
  EXPECT_EQ(request.batch, 1);
  EXPECT_EQ(request.place, 0);
}

TEST(Foreign, LeavesWhatIsNotStoredOpen) {
  for (const std::string seed : {"-1", "", "many", "1e30", "-5"}) {
    const ForeignPicture picture =
        read({{"parameters", "cat\nSteps: none, Seed: " + seed + ", CFG scale: , Size: x, Sampler: "}});
    EXPECT_EQ(picture.prompt, "cat");
    EXPECT_FALSE(picture.seed || picture.steps || picture.guidance || picture.size) << seed;
    EXPECT_EQ(provenance_from(picture).request.steps, Request{}.steps);
    EXPECT_TRUE(has(description_of(picture), "the seed (a random one is drawn)"));
    EXPECT_FALSE(has(description_of(picture, {Field::seed}), "the seed"));
  }
}

TEST(Foreign, TellsWhatItLeavesOut) {
  const ForeignPicture picture =
      read({{"parameters",
             "cat\n" + kFields +
                 "Clip skip: 2, VAE: other.safetensors, Denoising strength: 0.3, Hires upscale: 2, Hires upscaler: Latent, "
                 "Lora hashes: \"detail: abc, more: def\", ControlNet 0: \"Module: canny, Model: x\", Something: new, Version: "
                 "v1.10.1"}});
  for (const char* part :
       {"Clip skip 2", "VAE other.safetensors", "hires fix", "Lora hashes detail: abc", "ControlNet", "Something new"})
    EXPECT_TRUE(drops(picture, part)) << part;
  EXPECT_FALSE(drops(picture, "began from"));
  EXPECT_TRUE(drops(read({{"parameters", "cat\n" + kFields + "Denoising strength: 0.3"}}), "the picture it began from"));
}

TEST(Foreign, FindsTheNearestSampler) {
  struct Case {
    const char *sampler, *schedule;
    bool known, told_schedule;
    const char *own_sampler = "euler", *own_schedule = "checkpoint";
  };
  for (const Case& one : {Case{"Euler", "Simple", true, true, "euler", "simple"},
                          {"euler_simple", "", true, true, "euler", "simple"},
                          {"Euler Polyexponential", "", true, true},
                          {"DPM++ 3M SDE Karras", "", false, true, "euler", "karras"},
                          {"DPM++ 3M SDE", "Turbo", false, true},
                          {"DPM++ 2M Karras", "", true, true, "dpmpp_2m", "karras"},
                          {"euler_ancestral", "normal", true, true, "euler_ancestral", "normal"},
                          {"dpmpp_2m_sde_gpu", "sgm_uniform", true, true, "dpmpp_2m_sde", "sgm_uniform"},
                          {"Euler", "DDIM Uniform", true, false},
                          {"FlowMatchEulerDiscreteScheduler", "Automatic", true, false}}) {
    const ForeignPicture picture = read({{"parameters", std::string("cat\nSteps: 3, Seed: 5, CFG scale: 4, Sampler: ") +
                                                            one.sampler + ", Schedule type: " + one.schedule}});
    EXPECT_EQ(provenance_from(picture).request.sampler, one.own_sampler);
    EXPECT_EQ(provenance_from(picture).request.schedule, one.own_schedule);
    const std::string text = description_of(picture);
    EXPECT_EQ(has(text, "euler is the nearest"), !one.known) << text;
    EXPECT_EQ(has(text, "schedule"), one.told_schedule) << text;
    EXPECT_FALSE(has(description_of(picture, {Field::sampler}), "nearest"));
    EXPECT_FALSE(has(description_of(picture, {Field::schedule}), "schedule"));
  }
}

TEST(Foreign, RoundsSizesThatCannotBeDrawn) {
  const auto picture = [](const std::string& size) { return read({{"parameters", "cat\nSteps: 3, Seed: 5, Size: " + size}}); };
  const Request request = provenance_from(picture("520x500")).request;
  EXPECT_EQ(request.width, 528);
  EXPECT_EQ(request.height, 496);
  EXPECT_TRUE(has(description_of(picture("520x500")), "size 520x500 as 528x496"));
  EXPECT_EQ(provenance_from(picture("4000x4000")).request.width, 4000);  // refused, unless options give another
  EXPECT_EQ(provenance_from(picture("99999999999999999999x5")).request.width, 0);
}

// ---- JSON -------------------------------------------------------------------------------------------------------------------

TEST(Foreign, ReadsWhatSwarmUiWrites) {
  const std::string json = R"({
 "sui_image_params": {"prompt": "a cat", "negativeprompt": "dogs", "model": "sd3.5_medium", "seed": 42, "steps": 3,
            "cfgscale": 4.5,
  "width": 64, "height": 96, "sampler": "euler_ancestral", "scheduler": "karras", "sigmashift": 2.5,
            "loras": ["detail"], "refinerupscale": 1.5,
  "automaticvae": true, "swarm_version": "0.9.7"}, "sui_extra_data": {"date": "2026"}})";
  std::u16string wide(json.begin(), json.end());
  for (const FileBytes& file : {made_png({{"prompt", "{}"}, {"parameters", json}}),
                                made_jpeg_with_exif(made_exif({user_comment_of(wide, false)}, false)),
                                made_webp(made_exif({user_comment_of(wide, true)}, false))}) {
    const ForeignPicture picture = read(file);
    EXPECT_EQ(picture.program, "SwarmUI");
    EXPECT_EQ(picture.prompt, "a cat");
    EXPECT_EQ(picture.negative, "dogs");
    EXPECT_EQ(picture.steps, 3);
    EXPECT_EQ(picture.guidance, 4.5);
    EXPECT_EQ(picture.seed, 42u);
    EXPECT_EQ(picture.size, (Size{64, 96}));
    EXPECT_EQ(picture.shift, 2.5);
    EXPECT_EQ(picture.sampler, "euler_ancestral");
    EXPECT_EQ(picture.schedule, "karras");
    EXPECT_EQ(picture.dropped, (std::vector<std::string>{"LoRA", "refiner"}));
  }
}

TEST(Foreign, ReadsWhatInvokeAiWrites) {
  const ForeignPicture picture = read(
      {{"invokeai_metadata",
        R"({"generation_mode":"sd3_txt2img","positive_prompt":"a cat","negative_prompt":"dogs","width":64,"height":96,"seed":42,"rand_device":"cpu",
            "cfg_scale":4.5,"steps":3,"scheduler":"dpmpp_2m_k","model":{"name":"sd3.5","hash":"blake3:1"},"vae":{"name":"x"},"loras":[],"clip_skip":0})"}});
  EXPECT_EQ(picture.program, "InvokeAI");
  EXPECT_EQ(picture.prompt, "a cat");
  EXPECT_EQ(picture.negative, "dogs");
  EXPECT_EQ(picture.seed, 42u);
  EXPECT_EQ(picture.size, (Size{64, 96}));
  EXPECT_EQ(picture.model, "sd3.5");
  EXPECT_EQ(picture.sampler, "dpmpp_2m");
  EXPECT_EQ(picture.schedule, "karras");
  EXPECT_EQ(picture.dropped, (std::vector<std::string>{"VAE"}));

  const ForeignPicture old =
      read({{"sd-metadata", R"({"model": "stable diffusion", "model_weights": "sd-1.5", "image": {"prompt":
      [{"prompt": "a cat", "weight": 1.0}, {"prompt": "in snow [dogs] [birds]", "weight": 0.5}], "steps": 50,
            "cfg_scale": 7.5, "seed": 7, "width": 512,
      "height": 512, "sampler": "k_euler"}})"}});
  EXPECT_EQ(old.prompt, "a cat, in snow");
  EXPECT_EQ(old.negative, "dogs, birds");
  EXPECT_EQ(old.steps, 50);
  EXPECT_EQ(provenance_from(old).request.sampler, "euler");
  EXPECT_TRUE(drops(old, "weights"));
}

TEST(Foreign, ReadsWhatNovelAiWrites) {
  const std::string json =
      R"({"prompt": "a cat", "steps": 28, "height": 96, "width": 64, "scale": 5.0, "seed": 42, "uc": "dogs",
            "sampler": "k_euler",
      "noise_schedule": "karras", "controlnet_strength": 1.0, "v4_prompt": {"caption": {"base_caption": "a cat",
            "char_captions": [{"char_caption": "girl"}]}}})";
  const std::string within = Json{{"Comment", json}, {"Software", "NovelAI"}}.dump();
  const std::string exif = made_exif({{0x010e, std::string(4, '\0') + "a cat"},
                                      {0x0131, "NovelAI Diffusion V4.5"},
                                      {0x9286, std::string("ASCII\0\0\0", 8) + within, 7, true}});
  for (const FileBytes& file :
       {made_png({{"Title", "NovelAI generated image"}, {"Description", "a cat"}, {"Software", "NovelAI"}, {"Comment", json}}),
        made_webp(exif)}) {
    const ForeignPicture picture = read(file);
    EXPECT_EQ(picture.program, "NovelAI");
    EXPECT_EQ(picture.prompt, "a cat");
    EXPECT_EQ(picture.negative, "dogs");
    EXPECT_EQ(picture.steps, 28);
    EXPECT_EQ(picture.guidance, 5);
    EXPECT_EQ(picture.seed, 42u);
    EXPECT_EQ(picture.size, (Size{64, 96}));
    EXPECT_EQ(provenance_from(picture).request.sampler, "euler");
    EXPECT_EQ(picture.dropped, (std::vector<std::string>{"prompts of single characters"}));
  }
  EXPECT_EQ(read({{"Description", "a cat"}, {"Software", "NovelAI"}, {"Comment", R"({"steps": 28})"}}).prompt, "a cat");
}

TEST(Foreign, NeverDrawsJsonAsAPrompt) {
  const ForeignPicture picture = read({{"parameters",
                                        R"({"Prompt": "a cat", "Negative": "dogs", "steps": 30, "cfg": 8, "seed": "42",
            "sampler_name": "dpmpp_2m_sde_gpu", "scheduler": "karras"})"}});
  EXPECT_EQ(picture.prompt, "a cat");
  EXPECT_EQ(picture.negative, "dogs");
  EXPECT_EQ(picture.seed, 42u);
  EXPECT_EQ(picture.guidance, 8);
  const ForeignPicture unknown = read({{"parameters", R"({"what": [NaN, "is"], "this": {"seed": 5}})"}});
  EXPECT_FALSE(unknown.prompt);
  EXPECT_THROW(description_of(unknown), Error);
  EXPECT_NO_THROW(description_of(unknown, {Field::prompt}));
}

// ---- ComfyUI ----------------------------------------------------------------------------------------------------------------

// What ComfyUI's page for SD3.5 draws.
Json graph() {
  return Json::parse(R"({
    "3": {"class_type": "KSampler", "inputs": {"seed": 18446744073709551615, "steps": 20, "cfg": 4.01,
            "sampler_name": "euler", "scheduler": "sgm_uniform",
          "denoise": 1, "model": ["4", 0], "positive": ["16", 0], "negative": ["40", 0], "latent_image": ["53", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd3.5_medium.safetensors"}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]}},
    "16": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["43", 0]}},
    "40": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["43", 0]}},
    "43": {"class_type": "TripleCLIPLoader", "inputs": {"clip_name1": "g", "clip_name2": "l", "clip_name3": "t5"}},
    "53": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 768, "batch_size": 1}}})");
}

ForeignPicture read_graph(const Json& json) { return read({{"prompt", json.dump()}}); }

TEST(ForeignGraphs, AreFollowedFromTheSampler) {
  const std::string json = graph().dump();
  const std::string tag = "prompt:" + json + '\0', wrapped = R"({"prompt": )" + json + R"(, "workflow": {}})";
  for (const FileBytes& file : {made_png({{"workflow", std::string(2 << 20, 'x')}, {"prompt", json}}),
                                made_webp(made_exif({{0x010f, "workflow:{}"}, {0x0110, tag}})),
                                made_jpeg_with_exif(made_exif({{0x010e, "Workflow: {}"}, {0x010f, "Prompt: " + json}})),
                                made_jpeg_with_exif(made_exif({{0x9286, wrapped}}))}) {
    const ForeignPicture picture = read(file);
    EXPECT_EQ(picture.program, "ComfyUI");
    EXPECT_EQ(picture.prompt, "a cat");
    EXPECT_EQ(picture.negative, "");
    EXPECT_EQ(picture.seed, 18446744073709551615u);
    EXPECT_EQ(picture.steps, 20);
    EXPECT_EQ(picture.guidance, 4.01);
    EXPECT_EQ(picture.size, (Size{1024, 768}));
    EXPECT_EQ(picture.sampler, "euler");
    EXPECT_EQ(picture.schedule, "sgm_uniform");
    EXPECT_EQ(picture.noise, Noise::torch_cpu);
    EXPECT_EQ(picture.model, "sd3.5_medium.safetensors");
    EXPECT_TRUE(picture.dropped.empty());
  }
}

TEST(ForeignGraphs, OfSeparateNodesForEachThing) {
  Json json = graph();
  json["3"] = Json::parse(
      R"({"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["60", 0], "guider": ["61", 0], "sampler": ["62", 0],
                              "sigmas": ["63", 0], "latent_image": ["53", 0]}})");
  json["60"] = Json::parse(R"({"class_type": "RandomNoise", "inputs": {"noise_seed": ["70", 0]}})");
  json["61"] = Json::parse(
      R"({"class_type": "CFGGuider", "inputs": {"cfg": 5.5, "model": ["64", 0], "positive": ["16", 0],
            "negative": ["40", 0]}})");
  json["62"] = Json::parse(R"({"class_type": "KSamplerSelect", "inputs": {"sampler_name": "dpmpp_2m"}})");
  json["63"] = Json::parse(R"({"class_type": "SplitSigmas", "inputs": {"step": 3, "sigmas": ["65", 0]}})");
  json["64"] = Json::parse(R"({"class_type": "ModelSamplingSD3", "inputs": {"shift": 2.5, "model": ["66", 0]}})");
  json["65"] = Json::parse(
      R"({"class_type": "BasicScheduler", "inputs": {"scheduler": "beta", "steps": 12, "denoise": 1, "model": ["64", 0]}})");
  json["66"] = Json::parse(
      R"({"class_type": "LoraLoader", "inputs": {"lora_name": "detail.safetensors", "strength_model": 0.8,
            "model": ["4", 0], "clip": ["43", 0]}})");
  json["70"] = Json::parse(R"({"class_type": "PrimitiveInt", "inputs": {"value": 7}})");
  json["9"]["is_changed"] = Json::parse("[null]");
  std::string text = json.dump();
  text.replace(text.find("[null]"), 6, "[NaN]");  // as Python writes it
  const ForeignPicture picture = read({{"prompt", text}});
  EXPECT_EQ(picture.prompt, "a cat");
  EXPECT_EQ(picture.seed, 7u);
  EXPECT_EQ(picture.steps, 12);
  EXPECT_EQ(picture.guidance, 5.5);
  EXPECT_EQ(picture.shift, 2.5);
  EXPECT_EQ(picture.sampler, "dpmpp_2m");
  EXPECT_EQ(picture.schedule, "beta");
  EXPECT_EQ(picture.model, "sd3.5_medium.safetensors");
  EXPECT_TRUE(drops(picture, "LoRA detail.safetensors"));

  json["61"] = Json::parse(R"({"class_type": "BasicGuider", "inputs": {"model": ["64", 0], "conditioning": ["16", 0]}})");
  const ForeignPicture basic = read_graph(json);
  EXPECT_EQ(basic.prompt, "a cat");
  EXPECT_EQ(basic.negative, "");
  EXPECT_EQ(basic.guidance, 1);
}

TEST(ForeignGraphs, PassTextsAndConditionsOn) {
  Json json = graph();
  json["3"]["inputs"]["positive"] = {"20", 0};
  json["3"]["inputs"]["negative"] = {"20", 1};
  json["20"] = Json::parse(
      R"({"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["21", 0], "negative": ["22", 0],
            "control_net": ["4", 0]}})");
  json["21"] = Json::parse(R"({"class_type": "Reroute", "inputs": {"": ["16", 0]}})");
  json["22"] = Json::parse(
      R"({"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["23", 0], "conditioning_2": ["24", 0]}})");
  json["23"] = Json::parse(
      R"({"class_type": "ConditioningSetTimestepRange", "inputs": {"start": 0, "end": 0.1, "conditioning": ["40", 0]}})");
  json["24"] = Json::parse(
      R"({"class_type": "ConditioningSetTimestepRange", "inputs": {"start": 0.1, "end": 1, "conditioning": ["25", 0]}})");
  json["25"] = Json::parse(R"({"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["40", 0]}})");
  json["40"]["inputs"]["text"] = "dogs";
  json["16"]["inputs"]["text"] = {"26", 0};
  json["26"] = Json::parse(
      R"({"class_type": "StringConcatenate", "inputs": {"string_a": ["27", 0], "string_b": "in snow", "delimiter": ", "}})");
  json["27"] = Json::parse(R"({"class_type": "Text Multiline", "inputs": {"text": "a cat"}})");
  const ForeignPicture picture = read_graph(json);
  EXPECT_EQ(picture.prompt, "a cat, in snow");
  EXPECT_EQ(picture.negative, "dogs");
  EXPECT_TRUE(drops(picture, "ControlNet"));

  Json three = graph();
  three["16"] = Json::parse(
      R"({"class_type": "CLIPTextEncodeSD3", "inputs": {"clip_l": "cat", "clip_g": "cat", "t5xxl": "a cat in snow",
            "empty_padding": "none", "clip": ["43", 0]}})");
  EXPECT_EQ(read_graph(three).prompt, "a cat in snow");
  EXPECT_TRUE(drops(read_graph(three), "for each encoder"));
  three["16"]["inputs"]["t5xxl"] = "cat";
  EXPECT_EQ(read_graph(three).prompt, "cat");
  EXPECT_FALSE(drops(read_graph(three), "encoder"));

  Json two = graph();
  two["3"]["inputs"]["positive"] = {"20", 0};
  two["20"] = Json::parse(
      R"({"class_type": "ConditioningConcat", "inputs": {"conditioning_to": ["16", 0], "conditioning_from": ["21", 0]}})");
  two["21"] = Json::parse(R"({"class_type": "CLIPTextEncode", "inputs": {"text": "in snow", "clip": ["43", 0]}})");
  EXPECT_EQ(read_graph(two).prompt, "a cat, in snow");
  EXPECT_TRUE(drops(read_graph(two), "joined with commas"));
}

TEST(ForeignGraphs, BeginWithTheFirstPass) {
  Json json = graph();
  json["8"]["inputs"]["samples"] = {"30", 0};
  json["30"] = graph()["3"];
  json["30"]["inputs"].update({{"seed", 99}, {"steps", 5}, {"denoise", 0.4}, {"latent_image", {"31", 0}}});
  json["31"] = Json::parse(R"({"class_type": "LatentUpscaleBy", "inputs": {"scale_by": 1.5, "samples": ["3", 0]}})");
  const ForeignPicture picture = read_graph(json);
  EXPECT_EQ(picture.steps, 20);
  EXPECT_EQ(picture.size, (Size{1024, 768}));
  EXPECT_TRUE(drops(picture, "later passes"));
}

TEST(ForeignGraphs, SayWhatTheyBeganFrom) {
  Json json = graph();
  json["3"]["inputs"].update({{"denoise", 0.6}, {"latent_image", {"31", 0}}});
  json["31"] = Json::parse(R"({"class_type": "VAEEncode", "inputs": {"pixels": ["32", 0], "vae": ["4", 2]}})");
  json["32"] = Json::parse(R"({"class_type": "LoadImage", "inputs": {"image": "a.png"}})");
  EXPECT_TRUE(drops(read_graph(json), "the picture it began from"));
  EXPECT_FALSE(read_graph(json).size);
  Json batch = graph();
  batch["53"]["inputs"]["batch_size"] = 4;
  EXPECT_TRUE(drops(read_graph(batch), "the batch"));
  Json chosen = graph();
  chosen["53"] = Json::parse(
      R"_({"class_type": "SDXL Empty Latent Image (rgthree)", "inputs": {"dimensions": "1216 x 832   (landscape)"}})_");
  EXPECT_EQ(read_graph(chosen).size, (Size{1216, 832}));
  Json computed = graph();
  computed["53"]["inputs"]["width"] = {"54", 0};
  computed["54"] = Json::parse(R"({"class_type": "Integer Multiple", "inputs": {"integer": 512, "multiple": ["3", 0]}})");
  EXPECT_FALSE(read_graph(computed).size);
}

TEST(ForeignGraphs, DoNotGuessPrompts) {
  Json json = graph();
  json["16"]["inputs"]["text"] = {"26", 0};
  json["26"] = Json::parse(R"({"class_type": "Magic", "inputs": {"a": "one", "b": "two"}})");
  EXPECT_FALSE(read_graph(json).prompt);
  EXPECT_EQ(read_graph(json).steps, 20);
  EXPECT_THROW(description_of(read_graph(json)), Error);
  // Where another text has it, that one is read.
  EXPECT_EQ(read({{"prompt", json.dump()}, {"parameters", "a dog\n" + kFields}}).prompt, "a dog");
  EXPECT_EQ(read({{"prompt", graph().dump()}, {"parameters", "unknown\n" + kFields}}).prompt, "a cat");
  json["26"] =
      Json::parse(R"({"class_type": "StringReplace", "inputs": {"string": "a cat", "find": "cat", "replace": "dog"}})");
  EXPECT_FALSE(read_graph(json).prompt);
  json["26"] = Json::parse(R"({"class_type": "Text", "inputs": {"a": ["26", 0]}})");  // itself
  EXPECT_FALSE(read_graph(json).prompt);
}

TEST(ForeignGraphs, SurviveKnots) {
  Json json;
  for (int i = 0; i < 500; ++i) {
    Json inputs;
    for (int j = 0; j < 20; ++j) inputs["in" + std::to_string(j)] = {std::to_string((i * 7 + j * 13) % 500), 0};
    inputs.update({{"seed", {std::to_string(i + 1), 0}},
                   {"steps", 3},
                   {"latent_image", {std::to_string(i + 2), 0}},
                   {"positive", {std::to_string(i), 0}},
                   {"string_a", {std::to_string(i + 1), 0}},
                   {"string_b", {std::to_string(i + 1), 0}}});
    json[std::to_string(i)] = {{"class_type", "KSampler"}, {"inputs", inputs}};
  }
  json["end"] = Json::parse(R"({"class_type": "SaveImage", "inputs": {"images": ["0", 0]}})");
  EXPECT_FALSE(read_graph(json).prompt);
  EXPECT_FALSE(foreign_picture_in(read_picture_texts(made_png({{"prompt", std::string(500000, '[')}}))));
  EXPECT_FALSE(foreign_picture_in(read_picture_texts(made_png({{"prompt", "{" + std::string(500000, '{')}}))));
}

TEST(Foreign, TellsOfDamageOnlyWhereItMatters) {
  FileBytes file = made_png({{"parameters", "a cat\n" + kFields}, {"Comment", "an editor"}});
  const std::string all(file.begin(), file.end());
  FileBytes comment = file, parameters = file;
  comment.at(all.find("an editor")) ^= 1;
  parameters.at(all.find("a cat")) ^= 1;
  EXPECT_EQ(read(comment).prompt, "a cat");
  EXPECT_THROW(foreign_picture_in(read_picture_texts(parameters)), Error);
}

}  // namespace
}  // namespace fude
