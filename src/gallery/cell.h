// A picture among many, read back from its file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "engine/metadata.h"

namespace fude {

struct Cell {
  int64_t number = 0;          // from 1, as people say it; in the order of requests_of
  std::filesystem::path file;  // the PNG
  Provenance provenance;
  RenderStats stats;          // as far as the file has them
  std::vector<uint8_t> jpeg;  // of its pixels, as jpeg_for_report makes it; empty: not made yet
};

// Reads the metadata of the PNG, not its pixels. Error: io, bad_request (no picture of fude's).
Cell read_cell(int64_t number, const std::filesystem::path& file);

// Its pixels. Error: io, bad_request (damaged).
Image read_pixels(const std::filesystem::path& file);

}  // namespace fude
