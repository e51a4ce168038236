// The request stored in a picture of another program, in whatever format that program writes it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/containers/texts.h"
#include "engine/metadata.h"
#include "fude/fude.h"

namespace fude {

// What is not stored is empty.
struct ForeignPicture {
  std::string program;  // "ComfyUI"
  std::optional<std::string> prompt, negative;
  std::optional<int64_t> steps;
  std::optional<double> guidance, shift;
  std::optional<uint64_t> seed;
  std::optional<Size> size;
  std::optional<Noise> noise;
  std::optional<Variation> variation;
  std::string sampler, schedule;     // as their program calls them
  std::string model;                 // a name
  std::vector<std::string> dropped;  // what fude does not draw with: "LoRA detail", "clip skip 2"
};

// From the first reader that finds a prompt; else from the first that recognises a text. None when no reader does.
// Error{bad_request} when a text is there that only that program writes, and it cannot be read.
std::optional<ForeignPicture> foreign_picture_in(std::span<const PictureText> texts);

// The nearest request: what is not stored is left to the model, and sizes are rounded to ones that can be drawn.
Provenance provenance_from(const ForeignPicture& picture);

// A sentence or two on what is used of it and what is not. `overrides` says whether a field is given instead.
// Error{bad_request} when there is no prompt.
std::string description_of(const ForeignPicture& picture, const std::string& name, const std::function<bool(Field)>& overrides);

}  // namespace fude
