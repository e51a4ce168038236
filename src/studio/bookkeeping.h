// What is kept for later besides the pictures: the history, embeddings of prompts, this machine's rates. None of it may cost a
// picture, whatever has become of its files; what cannot be kept is told once.
#pragma once

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fude/fude.h"
#include "gallery/history.h"
#include "studio/reporter.h"

namespace fude {

// Where the history is, or why there is no place for it and anything else that is kept.
struct HistoryPlace {
  std::filesystem::path file;
  Message why_none;
};

class Bookkeeping {
 public:
  // Looks at all of it before anything is drawn, and tells what is amiss. `options`: what engines are made of.
  Bookkeeping(Reporter& reporter, const HistoryPlace& place, const EngineOptions& options);
  ~Bookkeeping();  // tells of what failed meanwhile
  Bookkeeping(const Bookkeeping&) = delete;
  Bookkeeping& operator=(const Bookkeeping&) = delete;

  // Not where there is none that can be used. From any thread, and so is what follows.
  void with_history(const std::function<void(History&)>& use);
  void not_kept(const std::string& what);  // as Callbacks::not_kept tells it

 private:
  void report(const NotKept& lost);

  Reporter& reporter_;
  std::mutex mutex_;
  std::optional<History> history_;
  std::vector<std::string> failed_;  // since it was looked at
  bool told_ = false;
};

}  // namespace fude
