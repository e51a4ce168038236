// What is kept for later besides the pictures, in FUDE_HOME: the history, embeddings of prompts, this machine's rates. None of
// it may cost a picture, whatever has become of its files; what cannot be kept is said in one warning.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "console.h"
#include "fude/fude.h"
#include "gallery/history.h"

namespace fude {

class Bookkeeping {
 public:
  // Looks at all of it before anything is drawn, and warns. `options`: what engines are made of.
  Bookkeeping(const Console& console, const EngineOptions& options);
  ~Bookkeeping();  // tells of what failed meanwhile
  Bookkeeping(const Bookkeeping&) = delete;
  Bookkeeping& operator=(const Bookkeeping&) = delete;

  // Not where there is none that can be used. From any thread, and so is what follows.
  void with_history(const std::function<void(History&)>& use);
  void not_kept(const std::string& what);  // as Callbacks::not_kept tells it

 private:
  void warn(const std::string& reason, const std::vector<std::string>& lost);

  const Console& console_;
  std::mutex mutex_;
  std::optional<History> history_;
  std::vector<std::string> failed_;  // since it was looked at
  bool told_ = false;
};

}  // namespace fude
