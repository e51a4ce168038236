// What the machine has. The only file that asks the operating system about memory, cores, libraries and other processes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace fude {

struct HostMemory {       // as a container limits it
  int64_t total = 0;      // bytes
  int64_t available = 0;  // could be used now without pushing other programs out
};

HostMemory host_memory();
int usable_cores();  // at least 1: those that this process may run on, no more than its container has time for

struct ProcessorTime {  // seconds, since whenever
  double all = 0;       // that processors have worked for any program, summed up
  double own = 0;       // of it, for this process
  int processors = 1;   // that `all` is of: the machine's, also within a container
};
std::optional<ProcessorTime> processor_time();  // none where the system does not tell

int64_t process_id();       // another one in a process that was forked
int64_t resident_memory();  // bytes of it that this process has in use; 0 where the system does not tell
int64_t peak_memory();      // the most that it had in use at one time, mapped files included; 0 where the system does not tell
// A function of a library that may not be there; then null. The library stays loaded.
void* library_function(const char* library, const char* name);
std::string processor_name();  // "AMD EPYC …"
// Asks for the registers of a processor that has AMX, which a process must before it uses them. False: the system does not let
// it.
bool may_use_tiles();

// A folder that one process writes to at a time, until it lets go of it or ends, however it ends.
class HeldFolder {
 public:
  // None while another process holds it. A folder that cannot be held, as on some network drives, is everybody's.
  static std::optional<HeldFolder> take(const std::filesystem::path& folder);
  HeldFolder(HeldFolder&& other) noexcept : handle_(std::exchange(other.handle_, kNone)) {}
  HeldFolder& operator=(HeldFolder&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~HeldFolder();

 private:
  static constexpr intptr_t kNone = -1;
  explicit HeldFolder(intptr_t handle) : handle_(handle) {}
  intptr_t handle_;
};

}  // namespace fude
