// What the program says to a person, on standard error: errors, warnings, notes.
#pragma once

#include <string>
#include <string_view>

#include "fude/log.h"

namespace fude {

class Console {
 public:
  // Colours only on a terminal, and not when --no-color or NO_COLOR is given.
  Console(bool quiet, bool no_color);

  void error(std::string_view message) const;
  void warning(std::string_view message) const;
  void note(std::string_view message) const;  // not when quiet

  bool confirmed(std::string_view question) const;  // asks on the terminal; only an answer that starts with y is one

  bool quiet() const { return quiet_; }
  bool color() const { return color_; }

 private:
  void say(std::string_view label, std::string_view color, std::string_view message) const;
  bool quiet_ = false;
  bool color_ = false;
};

// Columns the text takes on a terminal: a kanji takes two.
int columns_of(std::string_view utf8);

std::string one_line(std::string_view utf8);  // control characters become spaces: line breaks, and what would steer a terminal
std::string shortened(std::string_view utf8, int columns);  // cut, with … at its end, where it takes more

// Breaks text at spaces so that no line is wider than `width`; every line but the first starts with `indent` spaces.
std::string wrapped(std::string_view text, int width, int indent);

// Prints to standard output. Error{io} when it cannot be written, as on a full disk. Who stopped reading, as `head` does, wants
// no more.
void print(std::string_view text);

// A line of the library's log, on standard error: "loaded: the weights that stay are loaded (310 MiB, 0.21 s)".
void log_to_console(const LogEntry& entry);

std::string text_of_seconds(double seconds);  // "0.84 s", "34 s", "3 min 05 s", "1 h 05 min"
std::string text_of_bytes(int64_t bytes);     // "512 MiB", "7.4 GiB"

}  // namespace fude
