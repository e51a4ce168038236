// What a picture file tells of itself: the request that draws it again, and what drawing it cost.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>

#include "engine/foreign/foreign.h"
#include "engine/metadata.h"

namespace fude {

inline constexpr uint64_t kLargestPicture = uint64_t{512} << 20;  // bytes of a file that is read

struct StoredPicture {
  Provenance provenance;
  std::optional<RenderStats> stats;
  bool exact = true;                      // false: fude's own JSON is not there, and only what texts tell is known
  std::optional<ForeignPicture> foreign;  // of another program: what it tells. The provenance is the nearest to it

  bool has_seed() const;  // otherwise a random one is drawn
};

// Of a PNG, JPEG or WebP. Error{bad_request} when no request is stored in it, and of a path Error{io} when it cannot be read.
StoredPicture read_picture(std::span<const uint8_t> file);
StoredPicture read_picture(const std::filesystem::path& path);

}  // namespace fude
