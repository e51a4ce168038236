// ComfyUI: the graph that was run, as JSON under "prompt":
//   {"3": {"class_type": "KSampler", "inputs": {"seed": 5, "model": ["4", 0]}}},
// where an input is a value or a link, [node, output]. Save nodes for JPEG and WebP put it into tags of EXIF as "prompt:{…}"
// (comfy_extras/nodes_images.py), or {"prompt": {…}} into EXIF's comment. The request is found by following links up from the
// picture to its first sampler, and from there to what that is fed with. Anybody may write nodes, so nodes are
// recognised by the names of their inputs. Nothing recurses, and every walk visits a node once.
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "diffusion/samplers.h"
#include "engine/foreign/json.h"
#include "engine/foreign/names.h"
#include "engine/foreign/readers.h"

namespace fude {
namespace {

constexpr size_t kMostNodes = 2000;
constexpr int kMostHops = 64;    // from link to link, until a value is given up
constexpr int kMostPasses = 16;  // samplers in a chain
constexpr size_t kMostEnds = 64;

struct Node {
  std::string type;
  const ForeignJson* inputs = nullptr;  // an object

  const ForeignJson* input(std::string_view name) const {
    const auto found = inputs->find(name);
    return found == inputs->end() ? nullptr : &*found;
  }
  bool has(std::string_view part) const { return type.find(part) != std::string::npos; }
};

class Graph {
 public:
  explicit Graph(const ForeignJson& json) {
    for (const auto& [id, value] : json.items()) {
      if (nodes_.size() == kMostNodes) break;
      if (!value.is_object()) continue;
      const auto type = value.find("class_type");
      const auto inputs = value.find("inputs");
      if (type == value.end() || !type->is_string() || inputs == value.end() || !inputs->is_object()) continue;
      if (nodes_.emplace(id, Node{type->get<std::string>(), &*inputs}).second) order_.push_back(id);
    }
  }

  bool empty() const { return nodes_.empty(); }

  const Node* at(const ForeignJson* link) const {  // nullptr: it is none
    if (!link || !link->is_array() || link->size() != 2 || !(*link)[0].is_string()) return nullptr;
    const auto found = nodes_.find((*link)[0].get<std::string>());
    return found == nodes_.end() ? nullptr : &found->second;
  }

  // Nodes without consumers, save nodes first.
  std::vector<const Node*> ends() const {
    std::set<const Node*> feeding;
    for (const auto& [id, node] : nodes_)
      for (const ForeignJson& input : *node.inputs) feeding.insert(at(&input));
    std::vector<const Node*> ends;
    for (const bool save : {true, false})
      for (const std::string& id : order_) {
        const Node& node = nodes_.at(id);
        if (feeding.count(&node) == 0 && node.has("Save") == save && ends.size() < kMostEnds) ends.push_back(&node);
      }
    return ends;
  }

  // The node and all its ancestors, nearest first.
  std::vector<const Node*> upstream(const Node& from) const {
    std::vector<const Node*> all = {&from};
    std::set<const Node*> seen = {&from};
    for (size_t i = 0; i < all.size(); ++i)
      for (const ForeignJson& input : *all[i]->inputs)
        if (const Node* node = at(&input); node && seen.insert(node).second) all.push_back(node);
    return all;
  }

 private:
  std::map<std::string, Node> nodes_;
  std::vector<std::string> order_;
};

bool is_sampler(const Node& node) {
  const bool seeded = node.input("seed") || node.input("noise_seed") || node.input("noise");
  const bool stepped = node.input("steps") || node.input("sigmas");
  const bool from_latent = node.input("latent_image") || node.input("latent") || node.input("samples") || node.has("Sampler");
  return seeded && stepped && from_latent;
}

// ---- values: written at an input, or in a node that it is linked with -------------------------------------------------------

using Names = std::initializer_list<std::string_view>;

// Whether the output of a node differs from its input.
bool computes(const Node& node) {
  constexpr std::array<std::string_view, 9> kKinds = {"Math",      "Expression", "Multiple", "Replace", "Regex",
                                                      "Substring", "Format",     "Switch",   "Generate"};
  return std::any_of(kKinds.begin(), kKinds.end(), [&](std::string_view kind) { return node.has(kind); });
}

// The input through which a value passes: of that name, of a usual name, or the only one there is.
const ForeignJson* passed_on(const Node& node, std::string_view name, bool is_text) {
  if (computes(node)) return nullptr;
  const auto fits = [&](const ForeignJson& value) {
    return value.is_array() || (is_text ? value.is_string() : value.is_number());
  };
  if (const ForeignJson* same = node.input(name); same && fits(*same)) return same;
  std::vector<std::string_view> usual = {"value"};
  if (is_text) usual = {"populatedtext", "text", "string", "value", "prompt"};
  else if (name.ends_with("seed")) usual = {"seed", "noiseseed", "value"};
  for (const std::string_view wanted : usual)
    for (const auto& [key, value] : node.inputs->items())
      if (folded(key) == wanted && fits(value)) return &value;
  const ForeignJson* only = nullptr;
  for (const ForeignJson& value : *node.inputs) {
    if (!fits(value)) continue;
    if (only) return nullptr;
    only = &value;
  }
  return only;
}

// nullptr: computed by a node that cannot be evaluated here.
const ForeignJson* value_of(const Graph& graph, const ForeignJson* input, std::string_view name, bool is_text = false) {
  for (int hop = 0; input && hop < kMostHops; ++hop) {
    if (!input->is_array()) return input;
    const Node* node = graph.at(input);
    if (!node) return nullptr;
    if (node->input("string_a") || node->input("string_b")) return nullptr;  // joins two, see text_of
    input = passed_on(*node, name, is_text);
  }
  return nullptr;
}

template <class Read>
auto number_of(const Graph& graph, const Node* node, Names names, Read read) -> decltype(read(ForeignJson())) {
  for (const std::string_view name : names)
    if (const ForeignJson* input = node ? node->input(name) : nullptr)
      if (const ForeignJson* value = value_of(graph, input, name)) return read(*value);
  return {};
}

std::string word_of(const Graph& graph, const Node* node, Names names) {
  for (const std::string_view name : names)
    if (const ForeignJson* input = node ? node->input(name) : nullptr)
      if (const ForeignJson* value = value_of(graph, input, name, true); value && value->is_string())
        return value->get<std::string>();
  return {};
}

// Texts that are joined on the way are joined here.
std::optional<std::string> text_of(const Graph& graph, const ForeignJson* input, std::string_view name) {
  std::string text;
  std::vector<const ForeignJson*> waiting = {input};  // the next is at the back
  std::vector<ForeignJson> delimiters;                // owns what `waiting` points to: no more of them than hops, so none moves
  delimiters.reserve(kMostHops);
  for (int hop = 0; !waiting.empty(); ++hop) {
    if (hop == kMostHops || text.size() > kLargestText) return std::nullopt;
    const ForeignJson* next = waiting.back();
    waiting.pop_back();
    if (next && next->is_string()) {
      text += next->get_ref<const std::string&>();
      continue;
    }
    const Node* node = graph.at(next);
    if (!node) return std::nullopt;
    if (node->input("string_a") || node->input("string_b")) {
      delimiters.push_back(word_of(graph, node, {"delimiter"}));
      if (const ForeignJson* b = node->input("string_b")) waiting.push_back(b);
      waiting.push_back(&delimiters.back());
      if (const ForeignJson* a = node->input("string_a")) waiting.push_back(a);
    } else {
      waiting.push_back(passed_on(*node, name, true));
    }
  }
  return text;
}

// ---- prompts ----------------------------------------------------------------------------------------------------------------

struct Texts {
  std::vector<std::string> found;
  bool zeroed = false;   // at least one is zeroed out
  bool unknown = false;  // at least one is computed by a node that cannot be evaluated here
};

// fude has one prompt for all encoders. If there are several, that is reported.
std::optional<std::string> text_of_encoder(const Graph& graph, const Node& node, ForeignPicture& picture, bool& is_encoder) {
  std::vector<std::string> texts;
  is_encoder = false;
  bool unknown = false;
  for (const std::string_view name : {"t5xxl", "clip_g", "clip_l", "text_g", "text_l", "text", "prompt"}) {
    const ForeignJson* input = node.input(name);
    if (!input || !(input->is_string() || graph.at(input))) continue;
    is_encoder = true;
    const std::optional<std::string> text = text_of(graph, input, name);
    if (!text) unknown = true;
    else if (!stripped(*text).empty() && std::find(texts.begin(), texts.end(), *text) == texts.end()) texts.push_back(*text);
  }
  if (texts.empty()) return unknown ? std::nullopt : std::optional<std::string>("");
  if (texts.size() > 1) drop(picture, "a text of its own for each encoder (the first is taken)");
  return texts.front();
}

// Follows links through nodes that combine or change conditionings. `role`: "positive" or "negative".
Texts texts_at(const Graph& graph, const ForeignJson* link, std::string_view role, ForeignPicture& picture) {
  Texts texts;
  std::vector<const ForeignJson*> waiting = {link};
  std::set<const Node*> seen;
  while (!waiting.empty()) {
    const Node* node = graph.at(waiting.back());
    waiting.pop_back();
    if (!node) texts.unknown = true;
    if (!node || !seen.insert(node).second) continue;
    if (node->has("ZeroOut")) {
      texts.zeroed = true;
      continue;
    }
    if (const ForeignJson* own = node->input(role)) {
      if (own->is_string()) texts.found.push_back(own->get<std::string>());
      else waiting.push_back(own);
      continue;
    }
    bool is_encoder = false;
    const std::optional<std::string> text = text_of_encoder(graph, *node, picture, is_encoder);
    if (is_encoder) {
      if (!text) texts.unknown = true;
      else if (std::find(texts.found.begin(), texts.found.end(), *text) == texts.found.end()) texts.found.push_back(*text);
      continue;
    }
    std::vector<const ForeignJson*> next, links;
    for (const auto& [key, value] : node->inputs->items()) {
      if (!graph.at(&value)) continue;
      links.push_back(&value);
      if (key.starts_with("cond")) next.push_back(&value);
    }
    if (next.empty() && links.size() == 1) next = links;  // a reroute
    if (next.empty()) texts.unknown = true;
    waiting.insert(waiting.end(), next.rbegin(), next.rend());
  }
  return texts;
}

std::optional<std::string> prompt_at(const Graph& graph, const ForeignJson* link, std::string_view role,
                                     ForeignPicture& picture) {
  const Texts texts = texts_at(graph, link, role, picture);
  if (texts.unknown || (texts.found.empty() && !texts.zeroed)) return std::nullopt;
  std::string prompt;
  size_t parts = 0;
  for (const std::string& text : texts.found) {
    if (stripped(text).empty()) continue;
    prompt += (parts++ ? ", " : "") + text;
  }
  if (parts > 1) drop(picture, "the combination of several prompts (joined with commas)");
  return prompt;
}

// ---- the rest ---------------------------------------------------------------------------------------------------------------

// "1216 x 832   (landscape)"
std::optional<Size> size_in(std::string_view text) {
  const auto number = [&](size_t& at) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    at = error == std::errc() ? static_cast<size_t>(end - text.data()) : text.size();
    return value;
  };
  size_t at = std::min(text.find_first_of("0123456789"), text.size());
  const int64_t width = number(at);
  while (at < text.size() && (text[at] == ' ' || text[at] == 'x' || text[at] == '*')) ++at;
  const int64_t height = number(at);
  if (width < 16 || height < 16) return std::nullopt;
  return Size{width, height};
}

void take_size(const Graph& graph, const Node& sampler, ForeignPicture& picture) {
  const Node* node = &sampler;
  std::set<const Node*> seen;
  while (node && seen.insert(node).second) {
    if (node->has("VAEEncode") || node->has("LoadImage")) return drop(picture, "the picture it began from");
    for (const auto& [w, h] : {std::pair{"width", "height"}, std::pair{"empty_latent_width", "empty_latent_height"}}) {
      const std::optional<int64_t> width = number_of(graph, node, {w}, integer_in);
      const std::optional<int64_t> height = number_of(graph, node, {h}, integer_in);
      if (width && height) picture.size = Size{*width, *height};
    }
    for (const std::string_view name : {"dimensions", "resolution"})
      if (const std::string text = word_of(graph, node, {name}); !picture.size && !text.empty()) picture.size = size_in(text);
    if (picture.size) {
      if (number_of(graph, node, {"batch_size"}, integer_in).value_or(1) > 1)
        drop(picture, "the batch it was drawn in (its first picture is drawn)");
      return;
    }
    const Node* next = nullptr;
    for (const std::string_view name : {"latent_image", "optional_latent", "latent", "samples", "image", "pixels", "pipe"})
      if (!next) next = graph.at(node->input(name));
    node = next;
  }
}

void take_model(const Graph& graph, const Node* node, ForeignPicture& picture) {
  std::set<const Node*> seen;
  while (node && seen.insert(node).second) {
    if (node->has("ModelSamplingSD3")) picture.shift = number_of(graph, node, {"shift"}, number_in);
    if (picture.model.empty()) picture.model = word_of(graph, node, {"ckpt_name", "unet_name", "model_name"});
    const Node* next = nullptr;
    for (const std::string_view name : {"model", "MODEL", "pipe"})
      if (!next) next = graph.at(node->input(name));
    node = next;
  }
}

void take_dropped(const std::vector<const Node*>& nodes, ForeignPicture& picture) {
  for (const Node* node : nodes) {
    const std::string what = name_of_dropped(node->type);
    if (what.empty()) continue;
    const ForeignJson* name = node->input("lora_name");
    drop(picture, what == "LoRA" && name && name->is_string() ? "LoRA " + brief(name->get<std::string>()) : what);
  }
}

// The first sampler of the picture: the one without another sampler upstream.
const Node* first_sampler(const Graph& graph, const Node& end, ForeignPicture& picture) {
  const Node* sampler = nullptr;
  std::set<const Node*> passed;
  const Node* from = &end;
  for (int pass = 0; pass < kMostPasses; ++pass) {
    const Node* above = nullptr;
    for (const Node* node : graph.upstream(*from))
      if (!above && node != from && passed.count(node) == 0 && is_sampler(*node)) above = node;
    if (!above && sampler == nullptr && is_sampler(end)) return &end;
    if (!above) return sampler;
    if (sampler) drop(picture, "later passes (hires fix)");
    passed.insert(above);
    from = sampler = above;
  }
  return sampler;
}

void take_sampling(const Graph& graph, const Node& sampler, ForeignPicture& picture) {
  const auto linked = [&](std::string_view name) { return graph.at(sampler.input(name)); };
  const Node* noise = linked("noise");
  const Node* sigmas = linked("sigmas");
  for (int hop = 0; sigmas && !sigmas->input("steps") && hop < kMostHops; ++hop) sigmas = graph.at(sigmas->input("sigmas"));
  const Node* solver = linked("sampler");
  const Node* guider = linked("guider");
  const Node* conditions = guider ? guider : &sampler;
  picture.seed = number_of(graph, noise ? noise : &sampler, {"seed", "noise_seed"}, seed_in);
  picture.steps = number_of(graph, sigmas ? sigmas : &sampler, {"steps"}, integer_in);
  picture.guidance = number_of(graph, conditions, {"cfg", "cfg_conds"}, number_in);
  if (guider && guider->has("BasicGuider")) picture.guidance = 1;
  const Node* named = solver ? solver : &sampler;
  const SamplerNames names = split_sampler(word_of(graph, named, {"sampler_name", "sampler"}));
  picture.sampler = names.sampler.empty() && solver ? solver->type : names.sampler;
  picture.schedule = word_of(graph, sigmas ? sigmas : &sampler, {"scheduler"});
  if (picture.schedule.empty()) picture.schedule = sigmas ? sigmas->type : names.schedule;
  const double denoise = number_of(graph, sigmas ? sigmas : &sampler, {"denoise"}, number_in).value_or(1);
  if (denoise < 1 || number_of(graph, &sampler, {"start_at_step"}, integer_in).value_or(0) > 0)
    drop(picture, "the picture it began from");
  picture.noise = Noise::torch_cpu;
  take_model(graph, guider ? guider : &sampler, picture);
  take_size(graph, sampler, picture);

  for (const std::string_view role : {"positive", "negative"}) {
    const ForeignJson* link = nullptr;
    for (const std::string_view name : {role, std::string_view("conditioning"), std::string_view("cond1"),
                                        std::string_view("pipe"), std::string_view("basic_pipe")}) {
      const bool only_positive = name == "conditioning" || name == "cond1";
      if (!link && !(only_positive && role == "negative")) link = conditions->input(name);
    }
    std::optional<std::string>& text = role == "positive" ? picture.prompt : picture.negative;
    if (link) text = prompt_at(graph, link, role, picture);
    else if (role == "negative") text = "";  // BasicGuider has none
  }
}

std::optional<ForeignJson> graph_in(std::span<const PictureText> texts) {
  const auto with_nodes = [](std::optional<ForeignJson> json) -> std::optional<ForeignJson> {
    if (json && !Graph(*json).empty()) return json;
    return std::nullopt;
  };
  if (auto json = with_nodes(json_object_in(sound_text(texts, "prompt")))) return json;
  for (const std::string_view tag : {"Model", "Make", "ImageDescription"}) {
    const std::string_view text = sound_text(texts, tag);
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos || folded(text.substr(0, std::min<size_t>(colon, 16))) != "prompt") continue;
    if (auto json = with_nodes(json_object_in(text.substr(colon + 1)))) return json;
  }
  std::optional<ForeignJson> json = json_object_in(sound_text(texts, "UserComment"));
  if (!json) return std::nullopt;
  if (const auto within = json->find("prompt"); within != json->end() && within->is_object())
    return with_nodes(std::make_optional<ForeignJson>(*within));
  return with_nodes(std::move(json));
}

}  // namespace

std::optional<ForeignPicture> read_comfyui(std::span<const PictureText> texts) {
  const std::optional<ForeignJson> json = graph_in(texts);
  if (!json) return std::nullopt;
  const Graph graph(*json);
  ForeignPicture picture{.program = "ComfyUI"};
  for (const Node* end : graph.ends()) {
    const Node* sampler = first_sampler(graph, *end, picture);
    if (!sampler) continue;
    take_sampling(graph, *sampler, picture);
    take_dropped(graph.upstream(*end), picture);
    break;
  }
  return picture;
}

}  // namespace fude
