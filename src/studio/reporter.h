// What work of the studio tells whoever asked for it, and asks of them. A command line words it for a terminal, a server for
// its clients; what is not overridden is left unsaid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fude/fude.h"
#include "session/session.h"
#include "studio/saved_picture.h"

namespace fude {

// What is kept for later besides the pictures.
enum class Kept { history, embeddings, rates };

struct NotKept {
  Message reason;                      // empty: the pictures are drawn, and only `meanwhile` is to be told
  std::vector<Kept> what;              // from now on
  std::vector<std::string> meanwhile;  // what could not be kept since the work began, as Callbacks::not_kept told it
};

// The picture of a session that is drawn next.
struct Upcoming {
  int64_t number = 0, pictures = 0;  // of all
  std::string label;
  double seconds = 0, seconds_left = 0;  // predicted, of it and of those that come after it; 0: unknown
};

struct FinishedPicture {
  int64_t number = 0;  // in its session
  std::string label;   // what it is, "candidate 7"
  double seconds = 0;  // that it was drawn in
  SavedPicture file;
};

// Of a session.
struct Extent {
  int64_t pictures = 0, steps = 0;
  double seconds = 0;
  int64_t bytes = 0;            // of disk, about
  std::optional<int64_t> free;  // bytes there
};

// Calls come from the thread that draws, and those of warning, not_kept and saved also from one that saves meanwhile.
class Reporter {
 public:
  virtual ~Reporter() = default;

  virtual void warning(const Message&) {}
  virtual void not_kept(const NotKept&) {}
  virtual void progress(const Progress&) {}
  virtual void saved(const FinishedPicture&) {}

  // Of a session: it begins, or goes on where so many of its pictures are finished.
  virtual void begun(const SessionFolder&, int64_t /*finished*/) {}
  virtual void upcoming(const Upcoming&) {}
  virtual void skipped(int64_t /*number*/, const std::string& /*label*/, const Error& /*why*/) {}
  // Whether so much is to be drawn. An Error where nobody can be asked, which ends the session as a no does.
  virtual bool agrees(const Extent&) { return true; }
};

}  // namespace fude
