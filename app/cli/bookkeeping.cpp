#include "bookkeeping.h"

#include "engine/file.h"
#include "fude/error.h"
#include "options.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

constexpr const char* kHistory = "the history (fude history will not know these pictures)";
constexpr const char* kEmbeddings = "embeddings of prompts (each is encoded anew)";
constexpr const char* kRates = "this machine's rates (they are measured anew)";

std::string joined(const std::vector<std::string>& texts, const char* between) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : between) + text;
  return all;
}

}  // namespace

Bookkeeping::Bookkeeping(const Console& console, const EngineOptions& options) : console_(console) {
  std::string reason;
  std::vector<std::string> lost;
  const auto look = [&](const char* what, const std::function<void()>& use) {
    try {
      use();
    } catch (const Error& error) {
      if (lost.empty()) reason = worded(error.message());
      lost.emplace_back(what);
    }
  };
  bool has_home = false;
  look(kHistory, [&] {
    const std::filesystem::path file = history_file();
    has_home = true;
    history_.emplace(file);
  });
  if (!has_home) lost = {kHistory, kEmbeddings, kRates};
  for (const std::string& folder : options.embeddings) look(kEmbeddings, [&] { check_writable(path_of(folder)); });
  if (!options.calibration.empty()) look(kRates, [&] { check_writable_file(path_of(options.calibration)); });
  if (!lost.empty()) warn(reason, lost);
}

Bookkeeping::~Bookkeeping() {
  if (!failed_.empty() && !told_) console_.warning("not kept for later: " + joined(failed_, " And "));
}

void Bookkeeping::with_history(const std::function<void(History&)>& use) {
  const std::lock_guard lock(mutex_);
  if (!history_) return;
  try {
    use(*history_);
  } catch (const Error& error) {
    history_.reset();
    std::vector<std::string> lost = {kHistory};
    lost.insert(lost.end(), failed_.begin(), failed_.end());
    warn(worded(error.message()), lost);
  }
}

void Bookkeeping::not_kept(const std::string& what) {
  const std::lock_guard lock(mutex_);
  failed_.push_back(what);
}

void Bookkeeping::warn(const std::string& reason, const std::vector<std::string>& lost) {
  told_ = true;
  console_.warning(reason + " Pictures are saved all the same; what is not kept: " + joined(lost, ", ") + '.');
}

}  // namespace fude
