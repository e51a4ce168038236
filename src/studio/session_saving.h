// Saves the pictures of a session while others are drawn: encoded side by side, written in their order, then told of and laid
// out together.
#pragma once

#include <cstdint>
#include <vector>

#include "fude/fude.h"
#include "gallery/arrangement.h"
#include "session/session.h"
#include "studio/album.h"
#include "studio/background.h"
#include "studio/reporter.h"
#include "studio/saving.h"
#include "studio/session_result.h"

namespace fude {

class SessionSaving {
 public:
  // What it is given outlives it; the session's spec and its layout change only after wait().
  SessionSaving(const SessionFolder& session, const Arrangement& layout, Album& album, Reporter& reporter)
      : session_(session), layout_(layout), album_(album), reporter_(reporter) {}

  void prepare_album();
  // A finished picture; the saver stays until wait() or settle(). Waits while many
  // are not written yet. Throws what saving an earlier one threw.
  void add(PictureSaver& saver, const Task& task, const Image& image);

  void check() { background_.check(); }
  void wait() { background_.wait(); }
  void settle() noexcept { background_.settle(); }

  const std::vector<SessionCell>& cells() const { return cells_; }  // after wait() or settle()

 private:
  struct Encoded {  // in the formats that it is kept in
    EncodedPicture file;
    std::vector<uint8_t> jpeg;  // for the report
  };

  void save(PictureSaver& saver, const Task& task, const Image& image, Encoded encoded);

  const SessionFolder& session_;
  const Arrangement& layout_;
  Album& album_;
  Reporter& reporter_;
  std::vector<SessionCell> cells_;
  Background background_;  // last: its pieces use the others
};

}  // namespace fude
