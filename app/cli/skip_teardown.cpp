// Leaving at once, without giving back memory that the system takes anyway.
#include "skip_teardown.h"

#include "terminal.h"

namespace fude {
namespace {

Engine* left = nullptr;

}  // namespace

SkipTeardown::~SkipTeardown() {
  if (engine_ && *engine_ && (*engine_)->device() != "cpu") left = engine_->release();
}

int ended_with(int code) {
  if (!left) return code;
  terminal::end_at_once(code);
}

}  // namespace fude
