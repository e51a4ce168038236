// The components of a model, a row each: all that goes over components derives from this table.
//
// A component's own file in weights/components/ has its sizes, its weights, and how files name and order them.
#pragma once

#include <any>
#include <cstdint>
#include <span>
#include <string_view>

#include "fude/error.h"
#include "weights/layouts.h"

namespace fude {

class ComponentTensors;
class Config;
class Loader;

enum class Component { clip_l, clip_g, t5, transformer, vae };

struct ComponentType {
  Component component;
  std::string_view name;             // in traces, JSON, plans, and of the member of ModelFiles
  std::string_view short_name;       // for people: "CLIP-L"
  std::string_view title;            // "CLIP-L text encoder"
  bool is_optional;                  // pictures can be drawn without
  Field field;                       // by which it is given
  std::string_view folder;           // in a diffusers model
  std::string_view file;             // how the name of its own file begins in ComfyUI's folders; empty: it is not looked for
  std::string_view tokenizer;        // the folder of its tokenizer in a diffusers model; empty: it reads no text
  std::string_view plain_tokenizer;  // the same in a folder of tokenizers alone
  std::span<const Layout> layouts;
  // Its sizes, as the struct that its own file has for them. Throws Error{bad_checkpoint}.
  std::any (*geometry)(const ComponentTensors& tensors, const Config& config);
  void (*load)(Loader& file, const std::any& geometry);  // everything there is
};

std::span<const ComponentType> component_types();  // in the order of Component
const ComponentType& type_of(Component component);

inline constexpr Component kComponents[] = {Component::clip_l, Component::clip_g, Component::t5, Component::transformer,
                                            Component::vae};
constexpr size_t index_of(Component component) { return static_cast<size_t>(component); }
inline std::string_view name_of(Component component) { return type_of(component).name; }
inline bool encodes_text(Component component) { return !type_of(component).tokenizer.empty(); }

}  // namespace fude
