// Asking of each kept thing whether it can be written, and giving up what fails.
#include "studio/bookkeeping.h"

#include "engine/file.h"
#include "fude/error.h"
#include "weights/quote.h"

namespace fude {

Bookkeeping::Bookkeeping(Reporter& reporter, const HistoryPlace& place, const EngineOptions& options) : reporter_(reporter) {
  NotKept lost;
  const auto look = [&](Kept what, const std::function<void()>& use) {
    try {
      use();
    } catch (const Error& error) {
      if (lost.what.empty()) lost.reason = error.message();
      lost.what.push_back(what);
    }
  };
  if (place.file.empty()) lost = {place.why_none, {Kept::history, Kept::embeddings, Kept::rates}, {}};
  else look(Kept::history, [&] { history_.emplace(place.file); });
  for (const std::string& folder : options.embeddings) look(Kept::embeddings, [&] { check_writable(path_of(folder)); });
  if (!options.calibration.empty()) look(Kept::rates, [&] { check_writable_file(path_of(options.calibration)); });
  if (!lost.what.empty()) report(lost);
}

Bookkeeping::~Bookkeeping() {
  if (!failed_.empty() && !told_) reporter_.not_kept({{}, {}, failed_});
}

void Bookkeeping::with_history(const std::function<void(History&)>& use) {
  const std::lock_guard lock(mutex_);
  if (!history_) return;
  try {
    use(*history_);
  } catch (const Error& error) {
    history_.reset();
    report({error.message(), {Kept::history}, failed_});
  }
}

void Bookkeeping::not_kept(const std::string& what) {
  const std::lock_guard lock(mutex_);
  failed_.push_back(what);
}

void Bookkeeping::report(const NotKept& lost) {
  told_ = true;
  reporter_.not_kept(lost);
}

}  // namespace fude
