// Collects faults to report them together, so that people can repair a model in one go.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fude/error.h"

namespace fude {

class Faults {
 public:
  void add(Message fault) { all_.push_back(std::move(fault)); }

  // False when it threw Error{bad_checkpoint}, which is kept. Other errors pass.
  template <class Try>
  bool attempt(const Try& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      if (error.code() != Code::bad_checkpoint) throw;
      add(error.message());
      return false;
    }
  }

  const std::vector<Message>& all() const { return all_; }

  // Throws Error{bad_checkpoint} with all of them, when there are any.
  void raise() const {
    if (all_.empty()) return;
    if (all_.size() == 1) throw Error(Code::bad_checkpoint, all_.front());
    throw Error(Code::bad_checkpoint, {.what = std::to_string(all_.size()) + " things are wrong:", .parts = all_});
  }

 private:
  std::vector<Message> all_;
};

}  // namespace fude
