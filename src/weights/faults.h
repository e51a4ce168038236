// Collects faults to report them together, so that people can repair a model in one go.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fude/error.h"

namespace fude {

class Faults {
 public:
  void add(std::string fault) { texts_.push_back(std::move(fault)); }

  // False when it threw Error{bad_checkpoint}, which is kept. Other errors pass.
  template <class Try>
  bool attempt(const Try& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      if (error.code() != Code::bad_checkpoint) throw;
      add(error.what());
      return false;
    }
  }

  const std::vector<std::string>& texts() const { return texts_; }

  // Throws Error{bad_checkpoint} with all of them, when there are any.
  void raise() const {
    if (texts_.empty()) return;
    std::string all = texts_.size() == 1 ? "" : std::to_string(texts_.size()) + " things are wrong:";
    for (const std::string& text : texts_) all += (texts_.size() == 1 ? "" : "\n") + text;
    throw Error(Code::bad_checkpoint, all);
  }

 private:
  std::vector<std::string> texts_;
};

}  // namespace fude
