// The time as pictures, folders and the history write it.
#pragma once

#include <string>

namespace fude {

// From any thread.
std::string local_time();  // "2026-11-24T22:51:07"
std::string today();       // "2026-11-24"

}  // namespace fude
