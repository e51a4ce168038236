// The local time as text.
#include "studio/local_time.h"

#include <ctime>
#include <mutex>

namespace fude {

std::string local_time() {
  static std::mutex mutex;  // what localtime returns is shared
  const std::lock_guard lock(mutex);
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", std::localtime(&now));
  return text;
}

std::string today() { return local_time().substr(0, 10); }

}  // namespace fude
