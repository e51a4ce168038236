// Is a picture of the history, drawn again, the same picture? And if not, what has changed since?
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fude/fude.h"
#include "gallery/history.h"

namespace fude {

bool is_missing(const HistoryEntry& entry);  // its file was moved or deleted

// The pixels of its file. Error{io}.
Image stored_image(const HistoryEntry& entry);

struct Change {
  std::string what, then, now;  // "threads", "4", "all"
};
// Of what the entry was drawn with and what is drawn with now. `options`: what the engine was made of; `libraries`: as
// PictureSource has them.
std::vector<Change> changes_since(const HistoryEntry& entry, const Engine& engine, const EngineOptions& options,
                                  const std::string& libraries);

struct Comparison {
  Size before, now;
  bool bit_equal = false;
  std::optional<double> psnr;  // dB, of pictures of one size that differ
};
Comparison comparison_of(const Image& before, const Image& now);

nlohmann::ordered_json json_from(const HistoryEntry& entry, const Comparison& comparison, const std::vector<Change>& changes);

}  // namespace fude
