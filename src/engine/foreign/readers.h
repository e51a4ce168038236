// The readers, one for each format in which programs store a request. A new one is a file with one function, and a row of the
// table in foreign.cpp.
#pragma once

#include <optional>
#include <span>

#include "engine/foreign/foreign.h"

namespace fude {

// None: the picture is not in this format.
using ForeignReader = std::optional<ForeignPicture> (*)(std::span<const PictureText> texts);

std::optional<ForeignPicture> read_swarmui(std::span<const PictureText> texts);
std::optional<ForeignPicture> read_invokeai(std::span<const PictureText> texts);
std::optional<ForeignPicture> read_novelai(std::span<const PictureText> texts);
std::optional<ForeignPicture> read_comfyui(std::span<const PictureText> texts);
std::optional<ForeignPicture> read_a1111(
    std::span<const PictureText> texts);  // AUTOMATIC1111, Forge, SD.Next, stable-diffusion.cpp
std::optional<ForeignPicture> read_other_json(std::span<const PictureText> texts);  // of a program that is not known

}  // namespace fude
