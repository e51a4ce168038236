// What the program asks of the operating system: its console and Ctrl-C. With trash.h the only header of the program whose
// functions differ between systems: NAME_posix.cpp and NAME_windows.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace fude::terminal {

enum class Stream { input, output, error };

// The arguments as UTF-8. Also readies the streams: a Windows console for UTF-8 and colours, elsewhere for being closed or no
// longer read. Called once, first.
std::vector<std::string> arguments(int argc, char** argv);

// A library that lies beside the program and is not there; empty when all are. Only Windows starts a program without them.
std::string missing_library();

// Ends the process without giving back memory; what was printed is written, and the console is as it was before.
[[noreturn]] void end_at_once(int code);

bool is_terminal(Stream stream);
bool shows_unicode();      // of what is printed on standard error
int width(Stream stream);  // columns; asked again each time, since windows are resized. 80 when unknown.

// Becomes true at the first Ctrl-C, request to terminate, hang-up, or closing of the window. A second Ctrl-C ends the process
// at once with exit code 130.
const std::atomic<bool>& stop_requested();

// An environment variable; empty when it is not set.
std::string environment(const char* name);

// What a report of a problem should tell about the system: names and values, such as {"Windows", "10.0.22631"}.
std::vector<std::pair<std::string, std::string>> facts();

// Where this program's file lies, links followed; empty when the system does not tell.
std::filesystem::path program_folder();

}  // namespace fude::terminal
