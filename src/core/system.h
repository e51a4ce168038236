// What the machine has. The only file that asks the operating system about memory and libraries.
#pragma once

#include <cstdint>
#include <string>

namespace fude {

struct HostMemory {       // as a container limits it
  int64_t total = 0;      // bytes
  int64_t available = 0;  // could be used now without pushing other programs out
};

HostMemory host_memory();
int64_t resident_memory();  // bytes of it that this process has in use; 0 where the system does not tell
// A function of a library that may not be there; then null. The library stays loaded.
void* library_function(const char* library, const char* name);
std::string processor_name();  // "AMD EPYC …"
// Asks for the registers of a processor that has AMX, which a process must before it uses them. False: the system does not let it.
bool may_use_tiles();

}  // namespace fude
