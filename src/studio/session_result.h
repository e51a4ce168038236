// What a session came to: for a person's last lines, and as JSON for programs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fude/fude.h"
#include "studio/saved_picture.h"

namespace fude {

struct SessionCell {
  int64_t number = 0;
  SavedPicture file;
  bool of_before = false;  // drawn by an earlier process: only its path and seed are told
};

struct SessionResult {
  std::string kind;
  std::filesystem::path folder, report;
  std::filesystem::path sheet;  // empty: there is none
  int64_t pictures = 0;         // in all
  int64_t drawn = 0;            // now
  int64_t finished = 0;         // with those of before
  std::vector<Code> skipped;    // why pictures could not be drawn; the others are
  Seconds seconds;              // of the pictures that were drawn now; total: of the whole session
  std::vector<SessionCell> cells;
  std::optional<Error> stopped;  // why it went no further: what is finished is kept, and it can be gone on with
};

nlohmann::ordered_json json_from(const SessionResult& result);

}  // namespace fude
