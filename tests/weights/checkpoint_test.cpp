#include "weights/checkpoint.h"

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
  const Safetensors file = Safetensors::open(fixture("dual") / "transformer" / "diffusion_pytorch_model.safetensors");
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
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { c.t5(); }), "--t5"));
}

TEST(DiffusersFolder, NullLeavesAComponentOutAndAMissingFolderIsAnError) {
  const Folder folder;
  copy_fixture("dual", folder / "m");
  fs::remove_all(folder / "m" / "text_encoder_3");
  EXPECT_TRUE(has(open_error(only(folder / "m")), "--no-t5"));
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
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { bare.find(Component::clip_g, "x"); }), "Give its file with --clip-g"));
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { bare.tokenizer(Component::t5); }), "--tokenizers"));
  EXPECT_EQ(text_of(verify(bare)), "");

  files.clip_l = folder / "clip_l.safetensors";
  files.clip_g = folder / "clip_g.safetensors";
  files.t5 = folder / "t5xxl.safetensors";
  files.vae = folder / "vae.safetensors";
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
  EXPECT_FALSE(Checkpoint::open(files).has(Component::t5)) << "--no-t5 goes before --t5";
  files.no_t5 = false;
  files.t5 = folder / "vae.safetensors";
  EXPECT_TRUE(has(open_error(files), "holds no T5 text encoder"));
  files.t5.clear();
  files.vae = folder / "t5xxl.safetensors";
  EXPECT_TRUE(has(open_error(files), "Give another file with --vae"));
  files.vae.clear();
  files.clip_l = folder / "clip_g.safetensors";
  EXPECT_TRUE(has(open_error(files), "do not belong together")) << "256 pooled channels instead of 192";
}

TEST(SingleFile, TakesComponentFoldersBesideIt) {
  const Folder folder;
  Tensors model;
  add_transformer(model, "model.diffusion_model.");
  model.write(folder / "model.safetensors");
  CheckpointFiles files = only(folder / "model.safetensors");
  files.clip_l = fixture("dual") / "text_encoder";
  files.clip_g = fixture("dual") / "text_encoder_2";
  const Checkpoint c = Checkpoint::open(files);
  EXPECT_TRUE(c.contains(Component::clip_l, "text_projection.weight")) << "a folder's projection counts";
  EXPECT_EQ(text_of(verify(c)), "");
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
  files.clip_l = folder / "clip_g.safetensors";
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
  files.vae = folder / "vae.safetensors";
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
  EXPECT_TRUE(has(message, "huggingface-cli download stabilityai/stable-diffusion-3.5-medium"));

  fs::create_directories(model / "snapshots");
  copy_fixture("plain", model / "snapshots" / commit);  // plain files, as on Windows
  EXPECT_EQ(Checkpoint::open(files).path(), model / "snapshots" / commit) << "one snapshot needs no reference";
  write_text(model / "refs" / "main", commit + "\n");
  EXPECT_EQ(text_of(verify(Checkpoint::open(files))), "");

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

TEST(HubCache, OnlyIdsAreLookedUp) {
  const Folder folder;
  for (const char* text : {"../x", "a/b/c", "/a/b", "a//b", "a/..", "nope"}) {
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
  const Safetensors stored = Safetensors::open(fixture("plain") / "transformer" / "diffusion_pytorch_model.safetensors");
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
