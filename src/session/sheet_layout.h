// How the pictures of a sweep or a gacha are laid out and named.
#pragma once

#include <string>

#include "gallery/arrangement.h"
#include "session/spec.h"

namespace fude {

// `model` is its name. Axes with a single value are left out.
Arrangement layout_of(const SessionSpec& spec, const std::string& model);

// The caption that distinguishes this picture: "30 steps, guidance 7"; of a gacha its seed, and its prompt where there are
// several.
std::string label_of(const SessionSpec& spec, const Arrangement& layout, const Task& task);

}  // namespace fude
