// Finding and opening checkpoints: folders, single files, variants, shards, the Hugging Face cache, and all that can be wrong.
#include "weights/checkpoint.h"

#ifdef __linux__
#include <unistd.h>
#endif

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "tiny_model.h"
#include "weights/inspect.h"

namespace fude {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& f : findings) text += std::string(name_of(f.kind)) + " " + f.tensor + " " + f.detail + "\n";
  return text;
}

std::vector<float> read(const Checkpoint& checkpoint, Component component, const std::string& name) {
  const Source source = checkpoint.find(component, name);
  std::vector<float> values(static_cast<size_t>(source.rows() * source.row_elements()));
  read_rows(source, 0, source.rows(), DType::f32, values.data());
  return values;
}

std::string open_error(const CheckpointFiles& files) {
  return error_of(Code::bad_checkpoint, [&] { Checkpoint::open(files); });
}

void edit_json(const fs::path& path, const std::string& key, const nlohmann::json& value) {
  nlohmann::json json = nlohmann::json::parse(read_text(path));
  json[key] = value;
  write_text(path, json.dump());
}

class Fixture : public testing::TestWithParam<const char*> {};

TEST_P(Fixture, OpensAndVerifiesClean) {
  const Checkpoint checkpoint = Checkpoint::open(only(fixture(GetParam())));
  EXPECT_EQ(checkpoint.layout(), "diffusers folder");
  EXPECT_EQ(text_of(verify(checkpoint)), "");
  const nlohmann::json config = nlohmann::json::parse(read_text(fixture(GetParam()) / "transformer" / "config.json"));
  EXPECT_EQ(checkpoint.mmdit().width,
            config["num_attention_heads"].get<int64_t>() * config["attention_head_dim"].get<int64_t>());
  EXPECT_EQ(checkpoint.mmdit().sample_size, config["sample_size"]);
  EXPECT_TRUE(checkpoint.contains(Component::clip_l, "text_projection.weight"));
  EXPECT_TRUE(fs::exists(checkpoint.tokenizer(Component::clip_g) / "vocab.json"));
}

INSTANTIATE_TEST_SUITE_P(All, Fixture, testing::Values("dual", "plain", "no_t5", "odd", "turbo"));

TEST(DiffusersFolder, ReadsTheGeometryOfDual) {
  const Checkpoint c = Checkpoint::open(only(fixture("dual")));
  EXPECT_EQ(c.clip(Component::clip_l).hidden, 64);
  EXPECT_EQ(c.clip(Component::clip_l).activation, Activation::quick_gelu);
  EXPECT_EQ(c.clip(Component::clip_g).hidden, 128);
  EXPECT_EQ(c.clip(Component::clip_g).heads, 2);
  EXPECT_EQ(c.clip(Component::clip_g).activation, Activation::gelu_erf);
  EXPECT_EQ(c.t5().d_model, 200);
  EXPECT_EQ(c.t5().d_kv, 32);
  EXPECT_EQ(c.mmdit().layers, 2);
  EXPECT_EQ(c.mmdit().dual, (std::vector<bool>{true, false}));
  EXPECT_EQ(c.mmdit().pos_embed_max, 12);
  EXPECT_EQ(c.mmdit().context_width, 200);
  EXPECT_EQ(c.mmdit().pooled_width, 192);
  EXPECT_EQ(c.vae().block_out_channels, (std::vector<int64_t>{8, 16, 16, 16}));
  EXPECT_EQ(c.vae().groups, nlohmann::json::parse(read_text(fixture("dual") / "vae" / "config.json"))["norm_num_groups"]);
  EXPECT_EQ(c.vae().layers_per_block, 1);
  EXPECT_FLOAT_EQ(c.vae().scaling_factor, 1.5305f);
  EXPECT_EQ(c.schedule().shift, 3.0);
}

TEST(DiffusersFolder, FusesRowsOfTheStoredTensors) {
  const Checkpoint c = Checkpoint::open(only(fixture("dual")));
  const TensorFile file = TensorFile::open(fixture("dual") / "transformer" / "diffusion_pytorch_model.safetensors");
  const auto raw = [&](const std::string& name) {
    const StoredTensor& t = *file.find(name);
    std::vector<float> values(static_cast<size_t>(t.elements()));
    to_f32(*t.dtype, t.bytes.data(), values.data(), t.elements());
    return values;
  };
  std::vector<float> fused;
  for (const char* part : {"add_q_proj", "add_k_proj", "add_v_proj"})
    for (const float value : raw(std::string("transformer_blocks.1.attn.") + part + ".weight")) fused.push_back(value);
  EXPECT_EQ(read(c, Component::transformer, "joint_blocks.1.context_block.attn.qkv.weight"), fused);
  std::vector<float> swapped = raw("transformer_blocks.1.norm1_context.linear.weight");
  EXPECT_NE(read(c, Component::transformer, "joint_blocks.1.context_block.adaLN_modulation.1.weight"), swapped);
  std::rotate(swapped.begin(), swapped.begin() + static_cast<std::ptrdiff_t>(swapped.size() / 2), swapped.end());
  EXPECT_EQ(read(c, Component::transformer, "joint_blocks.1.context_block.adaLN_modulation.1.weight"), swapped);
  EXPECT_EQ(read(c, Component::transformer, "joint_blocks.0.context_block.adaLN_modulation.1.weight"),
            raw("transformer_blocks.0.norm1_context.linear.weight"));
}

TEST(DiffusersFolder, WithoutT5) {
  EXPECT_FALSE(Checkpoint::open(only(fixture("no_t5"))).has(Component::t5));
  CheckpointFiles files = only(fixture("dual"));
  files.no_t5 = true;
  const Checkpoint c = Checkpoint::open(files);
  EXPECT_FALSE(c.has(Component::t5));
  EXPECT_EQ(text_of(verify(c)), "");
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { c.t5(); }), "[give t5]"));
}

TEST(DiffusersFolder, NullLeavesAComponentOutAndAMissingFolderIsAnError) {
  const Folder folder;
  copy_fixture("dual", folder / "m");
  fs::remove_all(folder / "m" / "text_encoder_3");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "[use_value no_t5 true]"));
  edit_json(folder / "m" / "model_index.json", "text_encoder_3", {nullptr, nullptr});
  EXPECT_FALSE(Checkpoint::open(only(folder / "m")).has(Component::t5));
  fs::remove_all(folder / "m" / "vae");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "lists \"vae\", but that folder is missing"));
}

TEST(DiffusersFolder, RefusesOtherModelsAndOtherFolders) {
  const Folder folder;
  copy_fixture("dual", folder / "m");
  edit_json(folder / "m" / "model_index.json", "_class_name", "FluxPipeline");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "FluxPipeline"));
  edit_json(folder / "m" / "model_index.json", "_class_name", 3);
  EXPECT_TRUE(has(open_error(only(folder / "m")), "not text"));
  write_text(folder / "m" / "model_index.json", "[]");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "is not a JSON object"));
  write_text(folder / "m" / "model_index.json", "");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "is not valid JSON"));
  fs::remove(folder / "m" / "model_index.json");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "no model_index.json"));
  EXPECT_TRUE(has(open_error(only(folder / "nothing")), "there is no model"));
}

TEST(DiffusersFolder, TakesTheVariantThatIsThere) {
  const Folder folder;
  copy_fixture("dual", folder / "m");
  const fs::path place = folder / "m" / "text_encoder";
  fs::rename(place / "model.safetensors", place / "model.fp16.safetensors");
  EXPECT_EQ(Checkpoint::open(only(folder / "m")).files(Component::clip_l), std::vector{place / "model.fp16.safetensors"});
  fs::copy(place / "model.fp16.safetensors", place / "model.safetensors");
  EXPECT_EQ(Checkpoint::open(only(folder / "m")).files(Component::clip_l), std::vector{place / "model.safetensors"});
  fs::remove(place / "model.safetensors");
  fs::remove(place / "model.fp16.safetensors");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "there are no weights"));
  write_text(place / "pytorch_model.bin", "x");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "PyTorch's format only"));
}

TEST(DiffusersFolder, TakesShardedVariantsByTheirIndex) {
  const Folder folder;
  copy_fixture("turbo", folder / "m");
  const fs::path place = folder / "m" / "transformer";
  std::string index = read_text(place / "diffusion_pytorch_model.safetensors.index.json");
  for (size_t at = 0; (at = index.find("model-0", at)) != std::string::npos; at += 6) index.replace(at, 7, "model.fp16-0");
  write_text(place / "diffusion_pytorch_model.safetensors.index.fp16.json", index);
  fs::remove(place / "diffusion_pytorch_model.safetensors.index.json");
  for (const char* i : {"1", "2", "3"})
    fs::rename(place / (std::string("diffusion_pytorch_model-0000") + i + "-of-00003.safetensors"),
               place / (std::string("diffusion_pytorch_model.fp16-0000") + i + "-of-00003.safetensors"));
  const Checkpoint c = Checkpoint::open(only(folder / "m"));
  EXPECT_EQ(c.files(Component::transformer).size(), 3u);
  EXPECT_EQ(text_of(verify(c)), "");
}

// The shards of the fixture's transformer under other names, and an index of them.
void rename_shards(const fs::path& place, const std::function<std::string(const std::string&)>& named) {
  for (const char* i : {"1", "2", "3"}) {
    const std::string number = std::string("-0000") + i + "-of-00003";
    fs::rename(place / ("diffusion_pytorch_model" + number + ".safetensors"), place / named(number));
  }
}

TEST(DiffusersFolder, TakesTheVariantThatIsWhole) {
  const Folder folder;
  copy_fixture("turbo", folder / "m");
  const fs::path place = folder / "m" / "transformer";
  std::string index = read_text(place / "diffusion_pytorch_model.safetensors.index.json");
  for (size_t at = 0; (at = index.find("model-0", at)) != std::string::npos; at += 6) index.replace(at, 7, "model.fp16-0");
  rename_shards(place, [](const std::string& number) { return "diffusion_pytorch_model.fp16" + number + ".safetensors"; });
  const auto expect_whole = [&] {
    const Checkpoint c = Checkpoint::open(only(folder / "m"));
    const std::vector<fs::path> files = c.files(Component::transformer);
    EXPECT_EQ(files.size(), 3u);
    EXPECT_NE(std::find(files.begin(), files.end(), place / "diffusion_pytorch_model.fp16-00001-of-00003.safetensors"),
              files.end());
    EXPECT_EQ(text_of(verify(c)), "");
  };
  expect_whole();  // the other's index is there, its shards are not
  write_text(place / "diffusion_pytorch_model.safetensors.index.fp16.json", index);
  expect_whole();
  fs::remove(place / "diffusion_pytorch_model.fp16-00002-of-00003.safetensors");
  const std::string message = open_error(only(folder / "m"));
  EXPECT_TRUE(has(message, "names 3 files that are missing: \"diffusion_pytorch_model-00001-of-00003.safetensors\""));
  EXPECT_TRUE(has(message, "names the file \"diffusion_pytorch_model.fp16-00002-of-00003.safetensors\", which is missing"));
}

TEST(DiffusersFolder, TakesAVariantOfAnyName) {
  const Folder folder;
  copy_fixture("dual", folder / "m");
  const fs::path place = folder / "m" / "text_encoder";
  fs::rename(place / "model.safetensors", place / "model.fp8_e4m3fn.safetensors");
  EXPECT_EQ(Checkpoint::open(only(folder / "m")).files(Component::clip_l).size(), 1u);
  fs::rename(place / "model.fp8_e4m3fn.safetensors", place / "clip_l.safetensors");
  EXPECT_EQ(Checkpoint::open(only(folder / "m")).files(Component::clip_l).size(), 1u) << "there is only one it could be";
  fs::copy(place / "clip_l.safetensors", place / "other.safetensors");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "there are no weights"));
}

TEST(DiffusersFolder, TakesShardsWithoutTheirIndex) {
  const Folder folder;
  copy_fixture("turbo", folder / "m");
  const fs::path place = folder / "m" / "transformer";
  fs::remove(place / "diffusion_pytorch_model.safetensors.index.json");
  EXPECT_EQ(text_of(verify(Checkpoint::open(only(folder / "m")))), "");
  rename_shards(place, [](const std::string& number) { return "diffusion_pytorch_model" + number + ".fp16.safetensors"; });
  EXPECT_EQ(text_of(verify(Checkpoint::open(only(folder / "m")))), "");
  fs::remove(place / "diffusion_pytorch_model-00002-of-00003.fp16.safetensors");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "of the 3 shards"));
  EXPECT_TRUE(has(open_error(only(folder / "m")), "only 2 are there"));
}

TEST(DiffusersFolder, TellsAllThatIsWrongAtOnce) {
  const Folder folder;
  copy_fixture("dual", folder / "m");
  fs::remove_all(folder / "m" / "vae");
  fs::remove_all(folder / "m" / "text_encoder_2");
  fs::remove_all(folder / "m" / "tokenizer");
  write_text(folder / "m" / "text_encoder" / "model.safetensors", "Entry not found");
  const fs::path shard = folder / "m" / "transformer" / "diffusion_pytorch_model.safetensors";
  fs::resize_file(shard, fs::file_size(shard) - 1000);
  const std::string message = open_error(only(folder / "m"));
  for (const char* fault : {"4 things are wrong", "lists \"text_encoder_2\" and \"vae\", but those folders are missing",
                            "\"Entry not found\"", "1000 bytes are missing at its end", "lacks tokenizers (tokenizer)"})
    EXPECT_TRUE(has(message, fault));
  EXPECT_FALSE(has(message, "lacks a VAE")) << "told once";
}

TEST(DiffusersFolder, WhatMayNotBeReadIsNotAbsent) {
  if (kIsWindows) GTEST_SKIP() << "links and permissions are POSIX's";
  const Folder folder;
  copy_fixture("dual", folder / "m");
  const fs::path config = folder / "m" / "vae" / "config.json",
                 weights = folder / "m" / "vae" / "diffusion_pytorch_model.safetensors";
  fs::remove(config);
  fs::create_symlink("config.json", config);  // a ring of one link
  EXPECT_TRUE(
      has(open_error(only(folder / "m")), "cannot read \"" + config.string() + "\": Too many levels of symbolic links"));
  fs::remove(config);
  fs::rename(weights, folder / "kept");
  fs::create_symlink(weights.filename(), weights);
  EXPECT_TRUE(has(open_error(only(folder / "m")), "cannot read \"" + weights.string()));
  fs::remove(weights);
  fs::rename(folder / "kept", weights);
#ifdef __linux__
  const fs::path vae = folder / "m" / "vae";
  const bool is_root = geteuid() == 0;
  fs::permissions(folder.path(), fs::perms::all);
  fs::permissions(vae, fs::perms::none);
  if (is_root && seteuid(65534) != 0) GTEST_SKIP() << "cannot become another user here";
  const std::string message = open_error(only(folder / "m"));
  if (is_root) {
    EXPECT_EQ(seteuid(0), 0);
  }
  fs::permissions(vae, fs::perms::owner_all);
  EXPECT_TRUE(has(message, "Permission denied"));
  EXPECT_FALSE(has(message, "no weights"));
#endif
}

TEST(DiffusersFolder, IndexAttacksAreErrors) {
  const Folder folder;
  copy_fixture("turbo", folder / "m");
  const fs::path path = folder / "m" / "transformer" / "diffusion_pytorch_model.safetensors.index.json";
  const nlohmann::json good = nlohmann::json::parse(read_text(path));
  const std::string tensor = good["weight_map"].begin().key();
  write_text(folder / "m" / "secret.safetensors", "x");

  const std::pair<nlohmann::json, std::string> shards[] = {
      {"gone.safetensors", "names the file \"gone.safetensors\", which is missing"},
      {"../secret.safetensors", "names \"../secret.safetensors\", which is not"},
      {"..\\secret.safetensors", "which is not a safetensors file beside it"},
      {"/etc/passwd", "names \"/etc/passwd\", which is not"},
      {"C:x.safetensors", "which is not a safetensors file beside it"},
      {"config.json", "which is not a safetensors file beside it"},
      {"..", "which is not a safetensors file beside it"},
      {"", "which is not a safetensors file beside it"},
      {7, "gives no file name"},
      {nullptr, "gives no file name"},
  };
  for (const auto& [shard, says] : shards) {
    nlohmann::json bad = good;
    bad["weight_map"][tensor] = shard;
    write_text(path, bad.dump());
    EXPECT_TRUE(has(open_error(only(folder / "m")), says)) << shard;
  }
  for (const char* whole : {"{}", R"({"weight_map":{}})", R"({"weight_map":[]})", R"({"weight_map":null})"}) {
    write_text(path, whole);
    EXPECT_TRUE(has(open_error(only(folder / "m")), "has no weight_map"));
  }
  nlohmann::json moved = good;
  for (auto& [name, shard] : moved["weight_map"].items())
    if (name == tensor)
      shard = shard == "diffusion_pytorch_model-00001-of-00003.safetensors"
                  ? "diffusion_pytorch_model-00002-of-00003.safetensors"
                  : "diffusion_pytorch_model-00001-of-00003.safetensors";
  write_text(path, moved.dump());
  EXPECT_TRUE(has(open_error(only(folder / "m")), "holds \"" + tensor + "\", but it does not"));
}

TEST(DiffusersFolder, ATruncatedShardSaysHowMuchIsMissing) {
  const Folder folder;
  copy_fixture("turbo", folder / "m");
  const fs::path shard = folder / "m" / "transformer" / "diffusion_pytorch_model-00002-of-00003.safetensors";
  fs::resize_file(shard, fs::file_size(shard) - 1000);
  const std::string message = open_error(only(folder / "m"));
  EXPECT_TRUE(has(message, "00002-of-00003.safetensors\" is incomplete: 1000 bytes are missing"));
  EXPECT_TRUE(has(message, "Download it again"));
}

TEST(SingleFile, HoldsAllComponents) {
  const Folder folder;
  Tensors t;
  add_transformer(t, "model.diffusion_model.");
  add_vae(t, "first_stage_model.");
  add_encoders(t);
  t.write(folder / "all.safetensors");
  const Checkpoint c = Checkpoint::open(only(folder / "all.safetensors"));
  EXPECT_EQ(c.layout(), "single file");
  for (const Component component : kComponents) EXPECT_TRUE(c.has(component)) << name_of(component);
  EXPECT_EQ(text_of(verify(c)), "");
  EXPECT_FALSE(c.contains(Component::clip_l, "text_projection.weight")) << "the identity, whatever the file says";
  EXPECT_TRUE(c.contains(Component::clip_g, "text_projection.weight"));
  EXPECT_EQ(read(c, Component::t5, "encoder.block.1.layer.0.SelfAttention.q.weight")[5], 1) << "2 × 0.5";
  EXPECT_EQ(c.mmdit().pos_embed_max, 70);
  EXPECT_EQ(c.mmdit().dual, (std::vector<bool>{true, false}));
  EXPECT_EQ(c.mmdit().sample_size, 128);
  EXPECT_EQ(c.clip(Component::clip_g).heads, 2);
  EXPECT_EQ(c.clip(Component::clip_l).activation, Activation::quick_gelu);
  EXPECT_EQ(c.vae().block_out_channels, (std::vector<int64_t>{32, 64}));
  EXPECT_EQ(c.vae().shift_factor, 0.0609f);
  EXPECT_EQ(c.schedule().shift, 3);

  CheckpointFiles files = only(folder / "all.safetensors");
  files.no_t5 = true;
  const Checkpoint without = Checkpoint::open(files);
  EXPECT_FALSE(without.has(Component::t5));
  EXPECT_EQ(text_of(verify(without)), "");
}

TEST(SingleFile, TakesSeparateEncodersAndTokenizers) {
  const Folder folder;
  Tensors model, clip_l, clip_g, t5, vae;
  add_transformer(model, "", DType::bf16);  // names without a prefix
  add_vae(vae, "");
  clip_l.add_all(expected_tensors(tiny_clip(64)), "");
  clip_l.remove("text_projection.weight");
  clip_g.add_all(expected_tensors(tiny_clip(128)), "");
  t5.add_all(expected_tensors(tiny_t5()), "");
  model.write(folder / "model.safetensors");
  clip_l.write(folder / "clip_l.safetensors");
  clip_g.write(folder / "clip_g.safetensors");
  t5.write(folder / "t5xxl.safetensors");
  vae.write(folder / "vae.safetensors");

  CheckpointFiles files = only(folder / "model.safetensors");
  const Checkpoint bare = Checkpoint::open(files);
  EXPECT_TRUE(bare.has(Component::transformer));
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { bare.find(Component::clip_g, "x"); }), "[give clip_g]"));
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { bare.tokenizer(Component::t5); }), "[give tokenizers]"));
  EXPECT_EQ(text_of(verify(bare)), "");

  files.of(Component::clip_l) = folder / "clip_l.safetensors";
  files.of(Component::clip_g) = folder / "clip_g.safetensors";
  files.of(Component::t5) = folder / "t5xxl.safetensors";
  files.of(Component::vae) = folder / "vae.safetensors";
  files.tokenizers = fixture("dual");
  const Checkpoint c = Checkpoint::open(files);
  EXPECT_EQ(c.layout(), "single file with separate components");
  for (const Component component : kComponents) EXPECT_TRUE(c.has(component)) << name_of(component);
  EXPECT_EQ(text_of(verify(c)), "");
  EXPECT_EQ(c.tokenizer(Component::clip_g), fixture("dual") / "tokenizer_2");

  fs::create_directories(folder / "tokens" / "clip");
  fs::create_directories(folder / "tokens" / "t5");
  files.tokenizers = folder / "tokens";
  const Checkpoint short_names = Checkpoint::open(files);
  EXPECT_EQ(short_names.tokenizer(Component::clip_l), folder / "tokens" / "clip");
  EXPECT_EQ(short_names.tokenizer(Component::clip_g), folder / "tokens" / "clip");
  EXPECT_EQ(short_names.tokenizer(Component::t5), folder / "tokens" / "t5");
  files.tokenizers = folder / "nowhere";
  EXPECT_TRUE(has(open_error(files), "there are no tokenizers"));

  files.tokenizers.clear();
  files.no_t5 = true;
  EXPECT_FALSE(Checkpoint::open(files).has(Component::t5)) << "no_t5 goes before t5";
  files.no_t5 = false;
  files.of(Component::t5) = folder / "vae.safetensors";
  EXPECT_TRUE(has(open_error(files), "holds no T5 text encoder"));
  files.of(Component::t5).clear();
  files.of(Component::vae) = folder / "t5xxl.safetensors";
  EXPECT_TRUE(has(open_error(files), "[give_another vae]"));
  files.of(Component::vae).clear();
  files.of(Component::clip_l) = folder / "clip_g.safetensors";
  EXPECT_TRUE(has(open_error(files), "do not belong together")) << "256 pooled channels instead of 192";
}

TEST(SingleFile, TakesComponentFoldersBesideIt) {
  const Folder folder;
  Tensors model;
  add_transformer(model, "model.diffusion_model.");
  model.write(folder / "model.safetensors");
  CheckpointFiles files = only(folder / "model.safetensors");
  files.of(Component::clip_l) = fixture("dual") / "text_encoder";
  files.of(Component::clip_g) = fixture("dual") / "text_encoder_2";
  const Checkpoint c = Checkpoint::open(files);
  EXPECT_TRUE(c.contains(Component::clip_l, "text_projection.weight")) << "a folder's projection counts";
  EXPECT_EQ(text_of(verify(c)), "");
}

// The tiny model's file, with its VAE.
void write_single(const fs::path& path) {
  Tensors t;
  add_transformer(t, "model.diffusion_model.");
  add_vae(t, "first_stage_model.");
  t.write(path);
}

TEST(SingleFile, IsFoundInAFolderThatHoldsNoOther) {
  const Folder folder;
  write_single(folder / "repository" / "sd3.5_medium.safetensors");
  write_text(folder / "repository" / "README.md", "a model");
  const Checkpoint bare = Checkpoint::open(only(folder / "repository"));
  EXPECT_EQ(bare.path(), folder / "repository" / "sd3.5_medium.safetensors");
  EXPECT_EQ(bare.layout(), "single file");
  EXPECT_EQ(bare.name(), "sd3.5_medium");

  Tensors clip_l, clip_g, t5;
  clip_l.add_all(expected_tensors(tiny_clip(64)), "");
  clip_g.add_all(expected_tensors(tiny_clip(128)), "");
  t5.add_all(expected_tensors(tiny_t5()), "");
  clip_l.write(folder / "repository" / "text_encoders" / "clip_l.safetensors");
  clip_g.write(folder / "repository" / "text_encoders" / "clip_g.safetensors");
  t5.write(folder / "repository" / "text_encoders" / "t5xxl_fp16.safetensors");
  write_text(folder / "repository" / "text_encoders" / "t5xxl_fp8_e4m3fn.safetensors", "is not looked at");
  fs::copy(fixture("dual") / "tokenizer", folder / "repository" / "tokenizer");
  write_text(folder / "repository" / "model_index.json",
             R"({"_class_name":"StableDiffusion3Pipeline","vae":["diffusers","AutoencoderKL"]})");
  const Checkpoint c = Checkpoint::open(only(folder / "repository"));
  for (const Component component : kComponents) EXPECT_TRUE(c.has(component)) << name_of(component);
  EXPECT_EQ(c.files(Component::t5).front().filename(), "t5xxl_fp16.safetensors");
  EXPECT_TRUE(c.has_tokenizer(Component::clip_l)) << "the folder's";
  EXPECT_EQ(text_of(verify(c)), "") << "what is not used is no part of it";

  write_single(folder / "repository" / "sd3.5_large.safetensors");
  const std::string message = open_error(only(folder / "repository"));
  EXPECT_TRUE(has(message, "holds several models"));
  EXPECT_TRUE(has(message, "sd3.5_large.safetensors"));

  write_text(folder / "saved" / "sd3.5_medium.safetensors", "Access denied by the server");
  EXPECT_TRUE(has(open_error(only(folder / "saved")), "it begins \"Access denied by the server\""));
}

TEST(SingleFile, IsFoundInTheFoldersOfComfyUI) {
  const Folder folder;
  write_single(folder / "ComfyUI" / "models" / "checkpoints" / "sd35.safetensors");
  Tensors other, clip_l;
  other.add("model.diffusion_model.input_blocks.0.0.weight", DType::f32, {1});
  other.write(folder / "ComfyUI" / "models" / "checkpoints" / "sdxl.safetensors");
  clip_l.add_all(expected_tensors(tiny_clip(64)), "");
  clip_l.write(folder / "ComfyUI" / "models" / "clip" / "clip_l.safetensors");
  const Checkpoint c = Checkpoint::open(only(folder / "ComfyUI"));
  EXPECT_EQ(c.path().filename(), "sd35.safetensors");
  EXPECT_TRUE(c.has(Component::clip_l));
}

TEST(SingleFile, TellsAllThatItLacks) {
  const Folder folder;
  write_single(folder / "m.safetensors");
  const Checkpoint c = Checkpoint::open(only(folder / "m.safetensors"));
  ASSERT_EQ(c.lacks().size(), 3u);
  EXPECT_TRUE(has(told(c.lacks()[0]), "CLIP-L text encoder [give clip_l]"));
  EXPECT_TRUE(has(told(c.lacks()[1]), "[give clip_g]"));
  EXPECT_TRUE(has(told(c.lacks()[2]), "tokenizers (tokenizer, tokenizer_2) [give tokenizers]"))
      << "none for T5, which is not there";
  EXPECT_TRUE(c.misses_t5());
  CheckpointFiles files = only(folder / "m.safetensors");
  files.no_t5 = true;
  EXPECT_FALSE(Checkpoint::open(files).misses_t5());
}

// A model of which the tensor `name` is in fp8, with others beside it.
template <class Add>
Checkpoint with_fp8(const Folder& folder, const std::string& name, Add&& add) {
  Tensors t;
  add_transformer(t, "model.diffusion_model.");
  const std::string stored = "model.diffusion_model." + name;
  const std::vector<int64_t> shape = t.at(stored).shape;
  t.remove(stored);
  int64_t n = 1;
  for (const int64_t extent : shape) n *= extent;
  t.add_bytes(stored, "F8_E4M3", shape, std::string(static_cast<size_t>(n), '\x38'));  // 1
  add(t);
  t.write(folder / "fp8.safetensors");
  return Checkpoint::open(only(folder / "fp8.safetensors"));
}

const std::string kFp8Stem = "joint_blocks.1.x_block.mlp.fc1", kFp8 = kFp8Stem + ".weight";
const std::string kStoredStem = "model.diffusion_model." + kFp8Stem;

TEST(Fp8, RefusesWhatHangsOnAWeightAndIsNotUnderstood) {
  for (const char* suffix : {".weight_scale_inv", ".weight_scale_2", ".scale", ".weight.scale", "_scale", ".weight.absmax",
                             ".weight_zero_point", ".weight.quant_state.bitsandbytes__nf4", ".qscale", ".SCB"}) {
    const Folder folder;
    const Checkpoint c = with_fp8(folder, kFp8, [&](Tensors& t) { t.add(kStoredStem + suffix, DType::f32, {1}, {0.5f}); });
    const std::string message = error_of(Code::bad_checkpoint, [&] { c.find(Component::transformer, kFp8); });
    EXPECT_TRUE(has(message, '"' + kStoredStem + suffix + '"'));
    EXPECT_TRUE(has(text_of(verify(c)), "not understood " + kStoredStem + suffix));
    ASSERT_EQ(inspect(c).not_understood.size(), 1u);
    EXPECT_TRUE(has(inspect(c).not_understood[0], suffix));
  }
}

TEST(Fp8, TakesWhatIsUnderstoodOrChangesNothing) {
  const Folder folder;
  const auto note = [](const std::string& json) {
    return [json](Tensors& t) { t.add_bytes(kStoredStem + ".comfy_quant", "U8", {static_cast<int64_t>(json.size())}, json); };
  };
  const Checkpoint c = with_fp8(folder, kFp8, [&](Tensors& t) {
    t.add(kStoredStem + ".weight_scale", DType::f32, {}, {0.5f});
    t.add(kStoredStem + ".input_scale", DType::f32, {}, {3});
    t.add_bytes("model.diffusion_model.scaled_fp8", "F8_E4M3", {0}, "");
    note(R"({"format":"float8_e4m3fn"})")(t);
  });
  EXPECT_EQ(read(c, Component::transformer, kFp8)[0], 0.5f);
  EXPECT_EQ(text_of(verify(c)), "");
  for (const char* other :
       {R"({"format":"mxfp8"})", R"({"format":"float8_e4m3fn","convrot":true})", R"({"format":1})", "{}", "not JSON"}) {
    const Folder another;
    EXPECT_TRUE(
        has(error_of(Code::bad_checkpoint, [&] { with_fp8(another, kFp8, note(other)).find(Component::transformer, kFp8); }),
            "comfy_quant"))
        << other;
  }
}

TEST(Fp8, RefusesTwoScalesThatDiffer) {
  const Folder folder;
  const Checkpoint c = with_fp8(folder, kFp8, [&](Tensors& t) {
    t.add(kStoredStem + ".weight_scale", DType::f32, {}, {0.5f});
    t.add(kStoredStem + ".scale_weight", DType::f32, {}, {0.25f});
  });
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { c.find(Component::transformer, kFp8); }), "they differ"));
}

TEST(Fp8, WhatHangsOnOtherWeightsIsOnlyUnexpected) {
  const Folder folder;
  const Checkpoint c = with_fp8(folder, kFp8, [&](Tensors& t) {
    t.add("model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.lora", DType::f32, {1}, {1});
  });
  c.find(Component::transformer, kFp8);
  EXPECT_TRUE(has(text_of(verify(c)), "unexpected"));
  EXPECT_TRUE(inspect(c).not_understood.empty());
}

MmditGeometry released(int64_t layers, int64_t width, int64_t dual) {
  MmditGeometry g;
  g.layers = layers, g.width = width, g.dual.assign(static_cast<size_t>(layers), false);
  std::fill_n(g.dual.begin(), dual, true);
  return g;
}

TEST(Defaults, AreTheReleasedModels) {
  const MmditGeometry medium = released(24, 1536, 13);
  const MmditGeometry large = released(38, 2432, 0);
  struct Row {
    const MmditGeometry& geometry;
    std::string name, kind;
    int64_t steps;
    double guidance;
    int64_t most_side;
  };
  for (const Row& row :
       {Row{medium, "m", "medium", 28, 7, 1440}, Row{large, "stable-diffusion-3.5-large", "large", 28, 7, 1024},
        Row{large, "stable-diffusion-3.5-large-turbo", "large turbo", 4, 1, 1024},
        Row{large, "sd3.5_large_Turbo_fp8", "large turbo", 4, 1, 1024}, Row{medium, "sd3.5m_turbo", "medium turbo", 4, 1, 1440},
        Row{released(2, 64, 1), "dual", "", 28, 7, 0}}) {
    const ModelDefaults own = model_defaults(row.geometry, {row.name}, {});
    EXPECT_EQ(own.kind, row.kind);
    EXPECT_EQ(own.steps, row.steps) << row.name;
    EXPECT_EQ(own.guidance, row.guidance) << row.name;
    EXPECT_EQ(own.most_side, row.most_side) << row.name;
  }
  const ModelDefaults own = model_defaults(large, {"large"}, {});
  EXPECT_TRUE(own.was_trained_for(1024, 1024));
  EXPECT_TRUE(own.was_trained_for(1344, 768));
  EXPECT_TRUE(own.was_trained_for(512, 512));
  EXPECT_FALSE(own.was_trained_for(1440, 1440));
  EXPECT_FALSE(own.was_trained_for(256, 256));
  EXPECT_TRUE(model_defaults(medium, {}, {}).was_trained_for(1440, 1440));
}

TEST(Defaults, AreWhatTheFolderSays) {
  const Folder folder;
  copy_fixture("dual", folder / "m");
  EXPECT_EQ(Checkpoint::open(only(folder / "m")).defaults().steps, 28);
  edit_json(folder / "m" / "model_index.json", "_name_or_path", "someone/sd3.5-turbo");
  EXPECT_EQ(Checkpoint::open(only(folder / "m")).defaults().steps, 4) << "a copy that a program saved";
  write_text(folder / "m" / "fude.json", R"({"kind":"mine","steps":12,"guidance":2.5,"least_side":64,"most_side":64})");
  const ModelDefaults own = Checkpoint::open(only(folder / "m")).defaults();
  EXPECT_EQ(own.kind, "mine");
  EXPECT_EQ(own.steps, 12);
  EXPECT_EQ(own.guidance, 2.5);
  EXPECT_FALSE(own.was_trained_for(128, 128));
  EXPECT_TRUE(own.latent_rgb.empty());
  std::string rows = "[-0.5,0.25,1]";
  for (int channel = 0; channel < 16; ++channel) rows += ",[0,0,0.5]";
  write_text(folder / "m" / "fude.json", R"({"latent_rgb":[)" + rows + "]}");
  const LatentRgb colors = Checkpoint::open(only(folder / "m")).defaults().latent_rgb;
  ASSERT_EQ(colors.size(), 17u);
  EXPECT_EQ(colors[0], (std::array<float, 3>{-0.5f, 0.25f, 1}));
  const std::string words = R"({"latent_rgb":["red")" + rows.substr(13) + "]}",
                    many = R"({"latent_rgb":[)" + rows + ",[0,0,0]]}";
  for (const char* bad : {R"({"steps":0})", R"({"steps":"many"})", R"({"guidance":1e9})", R"({"most_side":-1})", "[]", "28",
                          R"({"latent_rgb":[[0,0,0]]})", R"({"latent_rgb":7})", words.c_str(), many.c_str()}) {
    write_text(folder / "m" / "fude.json", bad);
    EXPECT_TRUE(has(open_error(only(folder / "m")), "fude.json")) << bad;
  }
}

TEST(SingleFile, TellsTheTwoClipsApart) {
  const Folder folder;
  Tensors model, clip;
  add_transformer(model, "model.diffusion_model.");
  model.write(folder / "model.safetensors");
  clip.add("text_model.embeddings.token_embedding.weight", DType::f32, {2, 2});
  clip.add("text_model.encoder.layers.30.mlp.fc1.weight", DType::f32, {2, 2});
  clip.write(folder / "clip_g.safetensors");
  CheckpointFiles files = only(folder / "model.safetensors");
  files.of(Component::clip_l) = folder / "clip_g.safetensors";
  EXPECT_TRUE(has(open_error(files), "is a CLIP-G text encoder"));
}

TEST(SingleFile, ReplacesPartsOfAFolder) {
  const Folder folder;
  Tensors vae;
  VaeGeometry g = tiny_vae();
  g.latent_channels = 16;
  vae.add_all(expected_tensors(g), "");
  vae.write(folder / "vae.safetensors");
  CheckpointFiles files = only(fixture("dual"));
  files.of(Component::vae) = folder / "vae.safetensors";
  const Checkpoint c = Checkpoint::open(files);
  EXPECT_EQ(c.vae().block_out_channels, g.block_out_channels);
  EXPECT_EQ(c.layout(), "diffusers folder with separate components");
  EXPECT_EQ(text_of(verify(c)), "");
  copy_fixture("dual", folder / "m");
  fs::remove_all(folder / "m" / "vae");
  files.model = folder / "m";
  EXPECT_TRUE(Checkpoint::open(files).has(Component::vae)) << "what is replaced need not be there";
}

TEST(SingleFile, RefusesWhatIsNoSuchModel) {
  const Folder folder;
  Tensors other;
  other.add("model.diffusion_model.input_blocks.0.0.weight", DType::f32, {1});
  other.write(folder / "sdxl.safetensors");
  const std::string message = open_error(only(folder / "sdxl.safetensors"));
  EXPECT_TRUE(has(message, "holds no transformer of Stable Diffusion 3.5"));
  EXPECT_TRUE(has(message, "joint_blocks.0.x_block.attn.qkv.weight"));
  write_text(folder / "model.gguf", "GGUF\3\0\0\0");
  EXPECT_TRUE(has(open_error(only(folder / "model.gguf")), "GGUF"));

  Tensors damaged;  // the VAE is there, but without the tensor that tells it
  add_transformer(damaged, "model.diffusion_model.");
  damaged.add("first_stage_model.decoder.conv_in.weight", DType::f32, {1});
  damaged.write(folder / "damaged.safetensors");
  EXPECT_TRUE(has(open_error(only(folder / "damaged.safetensors")), "holds no VAE"));
}

TEST(HubCache, FollowsReferencesAndLinks) {
  const Folder folder;
  const std::string commit(40, 'a');
  const fs::path model = folder / "models--stabilityai--stable-diffusion-3.5-medium";
  CheckpointFiles files = only("stabilityai/stable-diffusion-3.5-medium");
  files.hub_cache = folder.path();
  std::string message = open_error(files);
  EXPECT_TRUE(has(message, "[download_model model stabilityai/stable-diffusion-3.5-medium]"));

  fs::create_directories(model / "snapshots");
  copy_fixture("plain", model / "snapshots" / commit);  // plain files, as on Windows
  EXPECT_EQ(Checkpoint::open(files).path(), model / "snapshots" / commit) << "one snapshot needs no reference";
  write_text(model / "refs" / "main", commit + "\n");
  EXPECT_EQ(text_of(verify(Checkpoint::open(files))), "");

  if (kIsWindows) return;  // where the cache holds no links
  const fs::path weights = model / "snapshots" / commit / "transformer" / "diffusion_pytorch_model.safetensors";
  fs::create_directories(model / "blobs");
  fs::rename(weights, model / "blobs" / "0123");
  fs::create_symlink("../../../blobs/0123", weights);
  EXPECT_EQ(text_of(verify(Checkpoint::open(files))), "");
  fs::remove(model / "blobs" / "0123");
  EXPECT_TRUE(has(open_error(files), "there are no weights")) << "a link to nothing";

  write_text(model / "refs" / "main", std::string(40, 'b'));
  EXPECT_TRUE(has(open_error(files), "was not downloaded whole"));
  for (const char* attack : {"../../..", "..", "", "/etc"}) {
    write_text(model / "refs" / "main", attack);
    EXPECT_TRUE(has(open_error(files), "damaged reference")) << attack;
  }
  fs::remove(model / "refs" / "main");
  fs::create_directories(model / "snapshots" / std::string(40, 'c'));
  EXPECT_TRUE(has(open_error(files), "in several versions"));
}

TEST(HubCache, TheAddressOfTheModelsPageMeansTheModel) {
  const Folder folder;
  const fs::path model = folder / "models--someone--sd3.5-small", snapshot = model / "snapshots" / "abc";
  fs::create_directories(model / "snapshots");
  copy_fixture("dual", snapshot);
  write_single(snapshot / "files" / "a b.safetensors");
  write_text(model / "refs" / "main", "abc");
  CheckpointFiles files;
  files.hub_cache = folder.path();
  const auto opened = [&](const std::string& text) {
    files.model = text;
    return Checkpoint::open(files).path();
  };
  for (const char* text :
       {"someone/sd3.5-small", "someone/sd3.5-small/", "https://huggingface.co/someone/sd3.5-small",
        "https://huggingface.co/someone/sd3.5-small/", "http://www.huggingface.co/someone/sd3.5-small/tree/main",
        "huggingface.co/someone/sd3.5-small?library=diffusers#usage", "https://hf.co/someone/sd3.5-small"})
    EXPECT_EQ(opened(text), snapshot) << text;
  EXPECT_EQ(opened("https://huggingface.co/someone/sd3.5-small/blob/main/files/a%20b.safetensors"),
            snapshot / "files" / "a b.safetensors");
  EXPECT_EQ(opened(model.string()), snapshot) << "the folder of the cache itself";
  EXPECT_EQ(opened(snapshot.string() + "/"), snapshot / "");
  EXPECT_EQ(opened("file://" + snapshot.string()), snapshot);
  EXPECT_EQ(opened("file://localhost" + (snapshot / "files" / "a%20b.safetensors").string()),
            snapshot / "files" / "a b.safetensors");

  files.model = "https://huggingface.co/someone/sd3.5-small/blob/main/../../../etc/passwd";
  EXPECT_TRUE(has(open_error(files), "is an address"));
  files.model = "https://huggingface.co/someone/sd3.5-small/resolve/main/other.safetensors";
  EXPECT_TRUE(has(open_error(files), "but without \"other.safetensors\""));
  files.model = "https://huggingface.co/someone/else";
  EXPECT_TRUE(has(open_error(files), "[download_model model someone/else]"));
  files.model = "https://civitai.com/models/878387";
  EXPECT_TRUE(has(open_error(files), "fude downloads nothing"));
  files.model = "file:///no/such/model";
  EXPECT_TRUE(has(open_error(files), "there is no model"));
}

TEST(HubCache, OnlyIdsAreLookedUp) {
  const Folder folder;
  for (const char* text : {"../x", "a/b/c", "/a/b", "a//b", "a/..", "nope"}) {
    if (kIsWindows && fs::path(text) == "a/..") continue;  // the current folder, whether there is an "a" or not
    CheckpointFiles files = only(text);
    files.hub_cache = folder.path();
    EXPECT_TRUE(has(open_error(files), "there is no model")) << text;
  }
  EXPECT_TRUE(has(open_error(only("a/b")), "there is no model")) << "no cache given";
}

TEST(Checkpoint, IdentityFollowsTheWeights) {
  const Folder folder;
  copy_fixture("plain", folder / "m");
  const Checkpoint original = Checkpoint::open(only(fixture("plain")));
  EXPECT_EQ(original.identity(), Checkpoint::open(only(folder / "m")).identity());
  const fs::path path = folder / "m" / "transformer" / "diffusion_pytorch_model.safetensors";
  std::string bytes = read_text(path);
  const TensorFile stored = TensorFile::open(fixture("plain") / "transformer" / "diffusion_pytorch_model.safetensors");
  const auto tensor = stored.find("context_embedder.weight")->bytes;
  bytes[static_cast<size_t>(tensor.data() - stored.file().bytes().data()) + tensor.size() / 2] ^= 1;
  write_text(path, bytes);
  const Checkpoint changed = Checkpoint::open(only(folder / "m"));
  EXPECT_NE(original.identity(Component::transformer), changed.identity(Component::transformer));
  EXPECT_NE(original.identity(), changed.identity());
  EXPECT_EQ(original.identity(Component::vae), changed.identity(Component::vae));
}

TEST(Checkpoint, NamesFileAndTensorThatIsAbsent) {
  const Checkpoint c = Checkpoint::open(only(fixture("plain")));
  const std::string message =
      error_of(Code::bad_checkpoint, [&] { c.find(Component::transformer, "joint_blocks.0.x_block.attn2.qkv.weight"); });
  EXPECT_TRUE(has(message, "transformer_blocks.0.attn2.to_k.weight"));
  EXPECT_TRUE(has(message, "diffusion_pytorch_model.safetensors"));
}

TEST(Checkpoint, ReadingAFileThatWasCutShortIsAnError) {
  if (kIsWindows) GTEST_SKIP() << "Windows lets nobody change a file that is in use";
  const Folder folder;
  copy_fixture("plain", folder / "m");
  const Checkpoint c = Checkpoint::open(only(folder / "m"));
  fs::resize_file(folder / "m" / "transformer" / "diffusion_pytorch_model.safetensors", 4096);
  EXPECT_TRUE(has(error_of(Code::io, [&] { read(c, Component::transformer, "context_embedder.weight"); }),
                  "was changed while it was in use"));
  EXPECT_TRUE(has(error_of(Code::io, [&] { verify(c); }), "was changed while it was in use"));
}

}  // namespace
}  // namespace fude
