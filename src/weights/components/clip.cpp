// CLIP on disk and in memory.
#include "weights/components/clip.h"

#include <string>

#include "weights/component.h"
#include "weights/geometry.h"
#include "weights/quote.h"

namespace fude {

namespace {

constexpr std::string_view kIgnored[] = {kScaledMarker, "logit_scale", "text_model.embeddings.position_ids"};
constexpr std::string_view kIgnoredLFile[] = {kScaledMarker, "logit_scale", "text_model.embeddings.position_ids",
                                              "text_projection.{t}"};
constexpr std::string_view kLPrefixes[] = {"text_encoders.clip_l.transformer.", ""};
constexpr std::string_view kGPrefixes[] = {"text_encoders.clip_g.transformer.", ""};
constexpr Row kLFile[] = {{"text_model.{t}", {"text_model.{t}"}}};  // its projection is the identity
constexpr std::string_view kSignature = "text_model.embeddings.token_embedding.weight";
constexpr std::string_view kBlocks = "text_model.encoder.layers.{i}.{t}";

constexpr Layout kL[] = {
    {"transformers", kFolder, kBare, kSignature, kBlocks, kAsOurs, kIgnored},
    {"single file", kFile, kLPrefixes, kSignature, kBlocks, kLFile, kIgnoredLFile},
};
constexpr Layout kG[] = {{"transformers", kAnywhere, kGPrefixes, kSignature, kBlocks, kAsOurs, kIgnored}};

}  // namespace

const std::span<const Layout> kClipLLayouts = kL;
const std::span<const Layout> kClipGLayouts = kG;

ClipGeometry clip_geometry(const ComponentTensors& tensors, const Config& config) {
  const bool is_l = tensors.component() == Component::clip_l;
  ClipGeometry g;
  const auto tokens = shape_of(tensors, "text_model.embeddings.token_embedding.weight", 2);
  g.vocab = tokens[0];
  g.hidden = tokens[1];
  g.positions = shape_of(tensors, "text_model.embeddings.position_embedding.weight", 2)[0];
  g.layers = blocks_of(tensors);
  g.intermediate = shape_of(tensors, "text_model.encoder.layers.0.mlp.fc1.weight", 2)[0];
  g.projection = tensors.maps("text_projection.weight") ? shape_of(tensors, "text_projection.weight", 2)[0] : g.hidden;
  g.heads = config.integer("num_attention_heads", g.hidden / kReleasedHeadSize, 1, g.hidden);
  check_divides(tensors, g.heads, g.hidden, "heads");
  g.eps = static_cast<float>(config.number("layer_norm_eps", 1e-5, 0, 0.1));
  const std::string act = config.text("hidden_act", is_l ? "quick_gelu" : "gelu");
  if (act == "quick_gelu") g.activation = Activation::quick_gelu;
  else if (act == "gelu") g.activation = Activation::gelu_erf;
  else config.fail("hidden_act", "is " + shown(act) + "; fude knows quick_gelu and gelu");
  config.expect("vocab_size", g.vocab);
  config.expect("hidden_size", g.hidden);
  config.expect("max_position_embeddings", g.positions);
  config.expect("num_hidden_layers", g.layers);
  config.expect("intermediate_size", g.intermediate);
  if (tensors.maps("text_projection.weight")) config.expect("projection_dim", g.projection);
  return g;
}

ClipBlock load_clip_block(Loader& file, const ClipGeometry& g, int64_t i) {
  Loader layer = file.at("text_model.encoder.layers." + std::to_string(i) + ".");
  return {.norm1 = layer.norm("layer_norm1", g.hidden),
          .norm2 = layer.norm("layer_norm2", g.hidden),
          .qkv = layer.linear({"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, g.hidden, g.hidden),
          .out = layer.linear("self_attn.out_proj", g.hidden, g.hidden),
          .fc1 = layer.linear("mlp.fc1", g.intermediate, g.hidden),
          .fc2 = layer.linear("mlp.fc2", g.hidden, g.intermediate)};
}

ClipEnds load_clip_ends(Loader& file, const ClipGeometry& g) {
  ClipEnds ends{.final_norm = file.norm("text_model.final_layer_norm", g.hidden), .projection = {}};
  if (file.maps("text_projection.weight")) ends.projection = file.linear("text_projection", g.projection, g.hidden, Bias::none);
  return ends;
}

ClipTables load_tables(Loader& file, const ClipGeometry& g) {
  return {.tokens = file.table("text_model.embeddings.token_embedding.weight", {g.vocab, g.hidden}),
          .positions = file.table("text_model.embeddings.position_embedding.weight", {g.positions, g.hidden})};
}

void load_all(Loader& file, const ClipGeometry& g) {
  load_tables(file, g);
  for (int64_t i = 0; i < g.layers; ++i) load_clip_block(file, g, i);
  load_clip_ends(file, g);
}

}  // namespace fude
