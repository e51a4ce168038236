// The one exception fude throws. Every message has three parts: what is wrong, where (file, tensor, option), what to do.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace fude {

enum class Code {
  bad_request,     // the request cannot be drawn as asked (exit 2)
  out_of_memory,   // it does not fit the memory there is (exit 3)
  bad_checkpoint,  // model missing, unreadable or not a model (exit 4)
  device,          // the device or its driver failed (exit 1)
  io,              // a file could not be read or written (exit 1)
  non_finite,      // a stage produced NaN or infinity (exit 1)
  cancelled,       // the caller asked to stop (exit 130)
};

class Error : public std::runtime_error {
 public:
  Error(Code code, std::string message) : std::runtime_error(std::move(message)), code_(code) {}
  Code code() const noexcept { return code_; }

 private:
  Code code_;
};

}  // namespace fude
