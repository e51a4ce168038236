// The history of drawn pictures, with all that is needed to repeat them: a SQLite database shared by several processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/metadata.h"
#include "fude/fude.h"

namespace fude {

inline constexpr int kMostStars = 5;

struct HistoryEntry {
  int64_t id = 0;              // given by the history
  std::filesystem::path path;  // absolute; the file may be gone since
  std::string kind;            // the command: "generate", "sweep", "gacha", "refine"
  Provenance provenance;
  RenderStats stats;
  ModelFiles files;               // where the weights were; never in the picture itself
  int threads = 0;                // as asked for, 0: the cores
  std::string sha256;             // of the file
  std::filesystem::path session;  // the folder of its sweep or gacha, absolute; empty: none
  int64_t number = 0;             // in that session
  int rating = 0;                 // 0 to kMostStars
};

// What a list shows; what is empty lets everything through.
struct HistoryFilter {
  std::string search;  // words that the prompt holds, each of them, in any order; case does not matter
  int rating = 0;      // at least
  std::string model;   // part of its name
  std::string kind;
  std::string since, until;  // of `created`: "2026-11-24", "2026-11-24T18:00:00"; until includes what starts with it
  std::filesystem::path session;
  int64_t limit = -1;  // the newest ones; below 0: all
};

struct Session {
  std::string kind;
  std::filesystem::path folder;  // absolute
  std::string created;
};

class History {
 public:
  // Makes the file and its folder when they are missing. Error{io}: it cannot be read or written, is no history, or was written
  // by a newer version of fude.
  explicit History(const std::filesystem::path& file);
  ~History();
  History(History&&) noexcept;
  History& operator=(History&&) noexcept;

  // All Error{io}.
  // The id. A path that is already there keeps its id; it keeps its stars too if the request is the same.
  int64_t add(const HistoryEntry& entry);
  std::vector<HistoryEntry> list(const HistoryFilter& filter = {}) const;  // newest first
  std::optional<HistoryEntry> find(int64_t id) const;
  std::optional<HistoryEntry> find(const std::filesystem::path& session, int64_t number) const;
  bool rate(int64_t id, int rating);  // false: there is no such entry
  void remove(int64_t id);            // its number is not given again

  void add_session(const Session& session);  // one that is there already becomes the last again
  std::optional<Session> last_session(const std::string& kind) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fude
