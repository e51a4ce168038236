// How a process ends that has drawn on a card.
#pragma once

#include <memory>

#include "fude/fude.h"

namespace fude {

// A command's last engine. On a card it is not taken apart when this goes: a driver needs half a second for that, and less when
// the process ends.
class SkipTeardown {
 public:
  explicit SkipTeardown(std::unique_ptr<Engine>* engine) : engine_(engine) {}  // null: none
  ~SkipTeardown();
  SkipTeardown(const SkipTeardown&) = delete;
  SkipTeardown& operator=(const SkipTeardown&) = delete;

 private:
  std::unique_ptr<Engine>* engine_;
};

// What main returns; does not return where an engine was left, since what runs after main would take its card apart.
int ended_with(int code);

}  // namespace fude
