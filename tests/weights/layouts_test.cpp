// The layout tables: stored names become canonical ones, rows are fused and swapped, fp8 is widened.
#include "weights/layouts.h"

#include <cmath>
#include <set>

#include "made_files.h"
#include "weights/component_tensors.h"
#include "weights/pattern.h"

namespace fude {
namespace {

TEST(Pattern, BindsItsPlaceholders) {
  Bindings bound;
  ASSERT_TRUE(match("a.{i}.{s}.{j}.{t}", "a.12.word.0.rest.of it", bound));
  EXPECT_EQ(bound.i, 12);
  EXPECT_EQ(bound.s, "word");
  EXPECT_EQ(bound.j, 0);
  EXPECT_EQ(bound.t, "rest.of it");
  EXPECT_EQ(fill("{j}/{i}/{s}/{t}", bound), "0/12/word/rest.of it");
}

TEST(Pattern, CountsFromTheEnd) {
  Bindings bound;
  bound.last = 3;
  ASSERT_TRUE(match("up.{i}.x", "up.1.x", bound));
  EXPECT_EQ(fill("up.{last-i}.x", bound), "up.2.x");
  EXPECT_EQ(fill("{last}", bound), "3");
  EXPECT_TRUE(match("up.{last}.x", "up.3.x", bound));
  EXPECT_FALSE(match("up.{last}.x", "up.2.x", bound));
}

TEST(Pattern, RefusesOtherTexts) {
  for (const char* text : {"", "a", "a.", "a.x.b", "a.01.b", "a.-1.b", "a.1.", "a.1.bb", "b.1.b", "a.9999999999.b"}) {
    Bindings bound;
    EXPECT_FALSE(match("a.{i}.b", text, bound)) << text;
  }
  Bindings bound;
  EXPECT_FALSE(match("a.{t}", "a.", bound)) << "the rest may not be empty";
}

// A component's tensors in memory.
struct Made {
  Tensors tensors;
  std::optional<ComponentTensors> recognise(Component component, Origin origin = Origin::file, bool bare = true) {
    pointers.clear();
    for (StoredTensor& tensor : tensors.list()) {
      for (const auto& known : {DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::i64, DType::f64})
        if (stored_tensor("", known, {}, {}).type == tensor.type) tensor.dtype = known;
      pointers.push_back(&tensor);
    }
    return ComponentTensors::recognise(component, origin, bare, pointers);
  }
  std::vector<const StoredTensor*> pointers;
};

std::vector<float> read(const ComponentTensors& tensors, const std::string& name) {
  const auto source = tensors.find(name);
  if (!source) throw std::out_of_range(name);
  std::vector<float> values(static_cast<size_t>(source->rows() * source->row_elements()));
  read_rows(*source, 0, source->rows(), DType::f32, values.data());
  return values;
}

void add_transformer_diffusers(Tensors& t) {
  t.add("pos_embed.pos_embed", DType::f32, {1, 2, 2}, {1, 2, 3, 4});
  for (const char* i : {"0", "1"}) {
    const std::string block = std::string("transformer_blocks.") + i;
    t.add(block + ".attn.to_q.weight", DType::f32, {2, 2}, {1, 2, 3, 4});
    t.add(block + ".attn.to_k.weight", DType::f16, {2, 2}, {5, 6, 7, 8});
    t.add(block + ".attn.to_v.weight", DType::bf16, {2, 2}, {9, 10, 11, 12});
    t.add(block + ".norm1_context.linear.bias", DType::f32, {4}, {1, 2, 3, 4});
  }
  t.add("norm_out.linear.weight", DType::f32, {4, 1}, {1, 2, 3, 4});
}

TEST(Layouts, DiffusersTransformerBecomesOurs) {
  Made made;
  add_transformer_diffusers(made.tensors);
  const auto t = made.recognise(Component::transformer, Origin::folder);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->layout().name, "diffusers");
  EXPECT_EQ(t->blocks(), 2);
  EXPECT_EQ(t->find("pos_embed")->shape, (std::vector<int64_t>{2, 2})) << "without the batch of 1";
  EXPECT_EQ(t->find("joint_blocks.0.x_block.attn.qkv.weight")->shape, (std::vector<int64_t>{6, 2}));
  EXPECT_EQ(read(*t, "joint_blocks.0.x_block.attn.qkv.weight"), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(read(*t, "final_layer.adaLN_modulation.1.weight"), (std::vector<float>{3, 4, 1, 2}))
      << "scale, shift -> shift, scale";
  EXPECT_EQ(read(*t, "joint_blocks.0.context_block.adaLN_modulation.1.bias"), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(read(*t, "joint_blocks.1.context_block.adaLN_modulation.1.bias"), (std::vector<float>{3, 4, 1, 2}))
      << "the last block";
  EXPECT_FALSE(t->contains("joint_blocks.1.x_block.attn2.qkv.weight"));
  EXPECT_FALSE(t->contains("no.such.tensor"));
}

TEST(Layouts, RowsAreReadInAnyRange) {
  Made made;
  add_transformer_diffusers(made.tensors);
  const auto t = made.recognise(Component::transformer, Origin::folder);
  for (const char* name : {"joint_blocks.0.x_block.attn.qkv.weight", "joint_blocks.1.context_block.adaLN_modulation.1.bias"}) {
    const auto source = t->find(name);
    const std::vector<float> whole = read(*t, name);
    const int64_t width = source->row_elements();
    for (int64_t begin = 0; begin <= source->rows(); ++begin)
      for (int64_t end = begin; end <= source->rows(); ++end) {
        std::vector<float> rows(static_cast<size_t>((end - begin) * width));
        read_rows(*source, begin, end, DType::f32, rows.data());
        EXPECT_EQ(rows, std::vector<float>(whole.begin() + begin * width, whole.begin() + end * width)) << name << begin << end;
      }
  }
}

TEST(Layouts, DiffusersRowsFitEveryTensorOfAMedium) {
  // Counts of the specification: 909 stored tensors become our 665.
  MmditGeometry g;
  g.width = 1, g.heads = 1, g.head_dim = 1, g.layers = 24, g.patch = 1, g.channels = 1, g.out_channels = 1;
  g.context_width = 1, g.pooled_width = 1, g.pos_embed_max = 1, g.qk_norm = true;
  for (int i = 0; i < 24; ++i) g.dual.push_back(i < 13);
  const Layout* diffusers = nullptr;
  for (const Layout& layout : type_of(Component::transformer).layouts)
    if (layout.name == "diffusers") diffusers = &layout;
  std::set<std::string> stored;
  const auto expected = expected_tensors(g);
  for (const ExpectedTensor& e : expected) {
    const auto ways = recipes(*diffusers, e.name, g.layers);
    ASSERT_FALSE(ways.empty()) << e.name;
    for (const std::string& name : ways.front().names) EXPECT_TRUE(stored.insert(name).second) << name << " is used twice";
  }
  EXPECT_EQ(expected.size(), 665u);
  EXPECT_EQ(stored.size(), 909u);
  EXPECT_TRUE(stored.count("transformer_blocks.23.attn.norm_added_k.weight"));
  EXPECT_TRUE(stored.count("transformer_blocks.12.attn2.to_out.0.bias"));
}

TEST(Layouts, LargeHas923And1227Tensors) {
  MmditGeometry g;
  g.width = 1, g.head_dim = 1, g.layers = 38, g.patch = 1, g.channels = 1, g.out_channels = 1, g.pos_embed_max = 1,
  g.qk_norm = true;
  g.dual.resize(38);
  const auto expected = expected_tensors(g);
  EXPECT_EQ(expected.size(), 923u);
  size_t stored = 0;
  for (const ExpectedTensor& e : expected) stored += recipes(kMmditLayouts[0], e.name, g.layers).front().names.size();
  EXPECT_EQ(stored, 1227u);
}

TEST(Layouts, OriginalVaeCountsItsDecoderFromTheOtherEnd) {
  Made made;
  Tensors& t = made.tensors;
  const std::string p = "first_stage_model.";
  t.add(p + "decoder.mid.block_1.conv1.weight", DType::f32, {1}, {1});
  t.add(p + "decoder.mid.block_2.norm2.bias", DType::f32, {1}, {2});
  t.add(p + "decoder.mid.attn_1.q.weight", DType::f32, {2, 2, 1, 1}, {1, 2, 3, 4});
  t.add(p + "decoder.mid.attn_1.proj_out.bias", DType::f32, {2}, {5, 6});
  t.add(p + "decoder.up.0.block.2.nin_shortcut.weight", DType::f32, {1}, {30});
  t.add(p + "decoder.up.3.block.1.conv2.bias", DType::f32, {1}, {7});
  t.add(p + "decoder.up.1.upsample.conv.bias", DType::f32, {1}, {8});
  t.add(p + "encoder.down.1.block.0.nin_shortcut.bias", DType::f32, {1}, {9});
  t.add(p + "encoder.down.2.downsample.conv.bias", DType::f32, {1}, {10});
  t.add(p + "decoder.norm_out.bias", DType::f32, {1}, {11});
  const auto vae = made.recognise(Component::vae);
  ASSERT_TRUE(vae);
  EXPECT_EQ(vae->layout().name, "original");
  EXPECT_EQ(vae->blocks(), 4);
  EXPECT_EQ(vae->find("decoder.mid_block.attentions.0.to_q.weight")->shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(read(*vae, "decoder.mid_block.attentions.0.to_out.0.bias"), (std::vector<float>{5, 6}));
  EXPECT_EQ(read(*vae, "decoder.mid_block.resnets.1.norm2.bias")[0], 2);
  EXPECT_EQ(read(*vae, "decoder.up_blocks.3.resnets.2.conv_shortcut.weight")[0], 30);
  EXPECT_EQ(read(*vae, "decoder.up_blocks.0.resnets.1.conv2.bias")[0], 7);
  EXPECT_EQ(read(*vae, "decoder.up_blocks.2.upsamplers.0.conv.bias")[0], 8);
  EXPECT_EQ(read(*vae, "encoder.down_blocks.1.resnets.0.conv_shortcut.bias")[0], 9);
  EXPECT_EQ(read(*vae, "encoder.down_blocks.2.downsamplers.0.conv.bias")[0], 10);
  EXPECT_EQ(read(*vae, "decoder.conv_norm_out.bias")[0], 11);
  EXPECT_FALSE(vae->contains("decoder.up_blocks.4.resnets.0.conv1.weight"));
}

TEST(Layouts, ClipLProjectionCountsInFoldersOnly) {
  Made made;
  made.tensors.add("text_model.embeddings.token_embedding.weight", DType::f32, {2, 2});
  made.tensors.add("text_projection.weight", DType::f32, {2, 2});
  EXPECT_TRUE(made.recognise(Component::clip_l, Origin::folder)->contains("text_projection.weight"));
  const auto file = made.recognise(Component::clip_l, Origin::file);
  EXPECT_FALSE(file->contains("text_projection.weight"));
  EXPECT_TRUE(file->unexpected({"text_model.embeddings.token_embedding.weight"}).empty()) << "but it is no surprise";
  EXPECT_TRUE(made.recognise(Component::clip_g, Origin::file)->contains("text_projection.weight"));
}

TEST(Layouts, T5TakesEitherNameOfItsEmbedding) {
  Made one, both;
  for (Made* made : {&one, &both}) {
    made->tensors.add("encoder.final_layer_norm.weight", DType::f32, {1}, {1});
    made->tensors.add("encoder.embed_tokens.weight", DType::f32, {1, 1}, {5});
  }
  both.tensors.add("shared.weight", DType::f32, {1, 1}, {6});
  EXPECT_EQ(read(*one.recognise(Component::t5), "shared.weight")[0], 5);
  const auto t5 = both.recognise(Component::t5);
  EXPECT_EQ(read(*t5, "shared.weight")[0], 6);
  EXPECT_TRUE(t5->unexpected({"shared.weight", "encoder.final_layer_norm.weight"}).empty());
}

TEST(Layouts, PlainFp8ReadsAll256Values) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  Made made;
  made.tensors.add_bytes("encoder.final_layer_norm.weight", "F8_E4M3", {256}, bytes);
  made.tensors.add_bytes("shared.weight", "F8_E4M3", {16, 16}, bytes);
  const auto t5 = made.recognise(Component::t5);
  const std::vector<float> values = read(*t5, "encoder.final_layer_norm.weight");
  const std::vector<float> embedding = read(*t5, "shared.weight");
  for (int i = 0; i < 256; ++i) {
    // The format by its definition: 1-4-3 bits, bias 7.
    const int exponent = i >> 3 & 15, mantissa = i & 7;
    const double magnitude =
        exponent == 0 ? mantissa / 8.0 * std::pow(2.0, -6) : (1 + mantissa / 8.0) * std::pow(2.0, exponent - 7);
    const double value = i >= 128 ? -magnitude : magnitude;
    const auto at = static_cast<size_t>(i);
    if ((i & 127) == 127) {
      EXPECT_TRUE(std::isnan(values[at])) << i;
      EXPECT_EQ(embedding[at], 0) << "ComfyUI replaces NaN in looked-up embeddings";
    } else {
      EXPECT_EQ(values[at], value) << i;
      EXPECT_EQ(embedding[at], value) << i;
    }
  }
  EXPECT_EQ(values[0x7e], 448);
}

TEST(Layouts, ScaledFp8MultipliesByTheScaleBesideTheWeight) {
  Made made;
  Tensors& t = made.tensors;
  const std::string p = "model.diffusion_model.";
  t.add_bytes(p + "scaled_fp8", "F8_E4M3", {2}, std::string(2, '\0'));
  t.add_bytes(p + "joint_blocks.0.x_block.attn.qkv.weight", "F8_E4M3", {1, 2}, "\x38\x7e");  // 1, 448
  t.add(p + "joint_blocks.0.x_block.attn.qkv.scale_weight", DType::f32, {}, {0.25f});
  t.add(p + "joint_blocks.0.x_block.attn.qkv.scale_input", DType::f32, {1}, {3});
  t.add(p + "joint_blocks.0.x_block.attn.qkv.bias", DType::f16, {1}, {2});
  t.add(p + "joint_blocks.0.x_block.attn.proj.weight", DType::f16, {1, 1}, {2});
  t.add(p + "joint_blocks.0.x_block.mlp.fc1.weight", DType::f16, {1, 1}, {2});
  t.add(p + "joint_blocks.0.x_block.mlp.fc1.weight_scale", DType::f32, {1}, {8});
  const auto found = made.recognise(Component::transformer);
  ASSERT_TRUE(found);
  EXPECT_EQ(read(*found, "joint_blocks.0.x_block.attn.qkv.weight"), (std::vector<float>{0.25f, 112}));
  EXPECT_EQ(read(*found, "joint_blocks.0.x_block.attn.qkv.bias")[0], 2) << "scales are the weights' only";
  EXPECT_EQ(read(*found, "joint_blocks.0.x_block.attn.proj.weight")[0], 2);
  EXPECT_EQ(read(*found, "joint_blocks.0.x_block.mlp.fc1.weight")[0], 16);
  EXPECT_TRUE(found
                  ->unexpected({"joint_blocks.0.x_block.attn.qkv.weight", "joint_blocks.0.x_block.attn.qkv.bias",
                                "joint_blocks.0.x_block.attn.proj.weight", "joint_blocks.0.x_block.mlp.fc1.weight"})
                  .empty());
}

TEST(Layouts, ScalesMustBeOneFiniteNumber) {
  const std::vector<std::vector<float>> scales = {{0}, {INFINITY}, {NAN}, {1, 2}, {}};
  for (const auto& scale : scales) {
    Made made;
    made.tensors.add("joint_blocks.0.x_block.attn.qkv.weight", DType::f32, {1, 2});
    made.tensors.add("joint_blocks.0.x_block.attn.qkv.scale_weight", DType::f32, {static_cast<int64_t>(scale.size())}, scale);
    const auto found = made.recognise(Component::transformer);
    EXPECT_TRUE(
        has(error_of(Code::bad_checkpoint, [&] { found->find("joint_blocks.0.x_block.attn.qkv.weight"); }), "scale_weight"));
  }
}

TEST(Layouts, TypesWithoutFractionsAreNamedWhenUsed) {
  for (const char* type : {"I64", "BOOL", "F8_E5M2", "U8"}) {
    Made made;
    made.tensors.add_bytes("joint_blocks.0.x_block.attn.qkv.weight", type, {0, 2}, "");
    const auto found = made.recognise(Component::transformer);
    ASSERT_TRUE(found) << "it may be listed";
    EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { found->find("joint_blocks.0.x_block.attn.qkv.weight"); }), type));
  }
}

TEST(Layouts, PartsThatDoNotGoTogetherAreAnError) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{2, 3}, {2}, {2, 2, 1}, {}}) {
    Made made;
    add_transformer_diffusers(made.tensors);
    made.tensors.remove("transformer_blocks.0.attn.to_k.weight");
    made.tensors.add("transformer_blocks.0.attn.to_k.weight", DType::f32, shape);
    const auto found = made.recognise(Component::transformer);
    EXPECT_TRUE(
        has(error_of(Code::bad_checkpoint, [&] { found->find("joint_blocks.0.x_block.attn.qkv.weight"); }), "to_k.weight"));
  }
  Made made;
  add_transformer_diffusers(made.tensors);
  made.tensors.remove("norm_out.linear.weight");
  made.tensors.add("norm_out.linear.weight", DType::f32, {3, 1});
  const auto found = made.recognise(Component::transformer);
  EXPECT_TRUE(
      has(error_of(Code::bad_checkpoint, [&] { found->find("final_layer.adaLN_modulation.1.weight"); }), "odd number of rows"));
}

}  // namespace
}  // namespace fude
