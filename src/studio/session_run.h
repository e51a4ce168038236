// A sweep or a gacha from where it is to its end: draws what is missing, saves each picture while the next is drawn, keeps to
// the time it was given, and leaves everything so that it can be gone on with.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "fude/fude.h"
#include "session/session.h"
#include "studio/bookkeeping.h"
#include "studio/reporter.h"
#include "studio/session_result.h"

namespace fude {

inline constexpr int64_t kManyPictures = 1000;    // more are drawn only where the reporter agrees,
inline constexpr double kManySeconds = 2 * 3600;  // and so are those that take longer

double steady_seconds();  // of a clock that is never set

struct SessionSetting {
  HistoryPlace history;
  std::string libraries;                    // PictureSource::libraries
  const std::atomic<bool>* stop = nullptr;  // as Callbacks::stop
  bool asks = true;                         // before large work
  std::function<double()> now = steady_seconds;
};

// What follows returns with `engine` holding the last one that drew, which the caller takes apart or leaves. An Error is thrown
// where no picture was begun, or everything finished is as it was; later ones are in SessionResult::stopped.

// A new session for this spec, in a folder of its own in `parent`.
SessionResult begin_session(SessionSpec spec, const std::filesystem::path& parent, const SessionSetting& setting,
                            Reporter& reporter, std::unique_ptr<Engine>& engine);
// Goes on with one that is held. Error{cancelled} when it is stopped while it looks for what is finished.
SessionResult resume_session(SessionFolder session, const SessionSetting& setting, Reporter& reporter,
                             std::unique_ptr<Engine>& engine);

}  // namespace fude
