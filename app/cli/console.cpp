// Messages wrapped to the terminal, the log, and numbers as text.
#include "console.h"

#include <utf8proc.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <limits>

#include "fude/error.h"
#include "terminal.h"

namespace fude {
namespace {

constexpr int kWidestText = 100;  // longer lines are tiring to read

std::string fixed(double number, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, number);
  return buffer;
}

struct Character {
  std::string_view bytes;
  int columns = 1;  // also of a byte that is no UTF-8
  bool is_control = false;
};

Character take_character(std::string_view& utf8) {
  utf8proc_int32_t code = 0;
  const utf8proc_ssize_t used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(utf8.data()),
                                                 static_cast<utf8proc_ssize_t>(utf8.size()), &code);
  Character character{utf8.substr(0, used > 0 ? static_cast<size_t>(used) : 1)};
  if (used > 0) character.columns = utf8proc_charwidth(code);
  if (used > 0) character.is_control = utf8proc_category(code) == UTF8PROC_CATEGORY_CC;
  utf8.remove_prefix(character.bytes.size());
  return character;
}

std::string two_digits(int64_t number) { return (number < 10 ? "0" : "") + std::to_string(number); }

}  // namespace

Console::Console(bool quiet, bool no_color)
    : quiet_(quiet),
      color_(!no_color && terminal::is_terminal(terminal::Stream::error) && terminal::environment("NO_COLOR").empty() &&
             terminal::environment("TERM") != "dumb") {}

void Console::say(std::string_view label, std::string_view color, std::string_view message) const {
  const bool in_terminal = terminal::is_terminal(terminal::Stream::error);
  const int width =
      in_terminal ? std::min(kWidestText, terminal::width(terminal::Stream::error)) : std::numeric_limits<int>::max();
  const int indent = label.empty() ? 0 : static_cast<int>(label.size()) + 2;
  std::string text = wrapped(std::string(static_cast<size_t>(indent), ' ') + std::string(message), width, indent);
  if (!label.empty()) {
    const std::string shown = std::string(label) + ": ";
    text.replace(0, shown.size(), color_ ? std::string(color) + shown + "\x1b[0m" : shown);
  }
  text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void Console::error(std::string_view message) const { say("error", "\x1b[1;31m", message); }
void Console::warning(std::string_view message) const { say("warning", "\x1b[1;33m", message); }
bool Console::confirmed(std::string_view question) const {
  const std::string text =
      wrapped(std::string(question) + " [y/N] ", std::min(kWidestText, terminal::width(terminal::Stream::error)), 0);
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  return answer.starts_with('y') || answer.starts_with('Y');
}
void Console::note(std::string_view message) const {
  if (!quiet_) say("", "", message);
}

int columns_of(std::string_view utf8) {
  int columns = 0;
  while (!utf8.empty()) columns += take_character(utf8).columns;
  return columns;
}

std::string one_line(std::string_view utf8) {
  std::string line;
  while (!utf8.empty()) {
    const Character character = take_character(utf8);
    line += character.is_control ? " " : character.bytes;
  }
  return line;
}

std::string shortened(std::string_view utf8, int columns) {
  if (columns_of(utf8) <= columns) return std::string(utf8);
  std::string text;
  for (int left = columns - 1;;) {  // one is the mark's
    const Character character = take_character(utf8);
    left -= character.columns;
    if (left < 0) return text + "…";
    text += character.bytes;
  }
}

std::string wrapped(std::string_view text, int width, int indent) {
  std::string out;
  int column = 0;
  bool starts_line = true;
  while (!text.empty()) {
    const size_t begin = std::min(text.find_first_not_of(' '), text.size());
    const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    const std::string_view spaces = text.substr(0, begin);
    const std::string_view word = text.substr(begin, end - begin);
    const int word_columns = columns_of(word);
    const bool breaks = !starts_line && column + static_cast<int>(spaces.size()) + word_columns > width;
    if (breaks) {
      out += '\n' + std::string(static_cast<size_t>(indent), ' ');
      column = indent;
    } else {
      out += spaces;
      column += static_cast<int>(spaces.size());
    }
    out += word;
    column += word_columns;
    starts_line = false;
    text.remove_prefix(end);
    if (!text.empty() && text.front() == '\n') {
      out += '\n' + std::string(static_cast<size_t>(indent), ' ');
      column = indent;
      starts_line = true;
      text.remove_prefix(1);
    }
  }
  return out;
}

void print(std::string_view text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written && errno != EPIPE)
    throw Error(Code::io, "cannot write to standard output. Check where it is sent: the disk may be full.");
}

void log_to_console(const LogEntry& entry) {
  std::string text = std::string(name_of(entry.event)) + ": " + entry.text;
  std::string amounts = entry.bytes > 0 ? text_of_bytes(entry.bytes) : "";
  if (entry.seconds > 0) amounts += (amounts.empty() ? "" : ", ") + text_of_seconds(entry.seconds);
  text = one_line(text) + (amounts.empty() ? "" : " (" + amounts + ')') + '\n';
  if (terminal::is_terminal(terminal::Stream::error)) text = "\r\x1b[K" + text;  // where a bar may stand
  std::fwrite(text.data(), 1, text.size(), stderr);
}

std::string text_of_seconds(double seconds) {
  if (seconds < 9.95) return fixed(seconds, seconds < 0.995 ? 2 : 1) + " s";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return std::to_string(whole / 60) + " min " + two_digits(whole % 60) + " s";
  const int64_t minutes = (whole + 30) / 60;
  return std::to_string(minutes / 60) + " h " + two_digits(minutes % 60) + " min";
}

std::string text_of_bytes(int64_t bytes) {
  const double mib = static_cast<double>(bytes) / (1 << 20);
  if (mib < 9.95) return fixed(mib, 1) + " MiB";
  if (mib < 1000) return fixed(mib, 0) + " MiB";
  return fixed(mib / 1024, 1) + " GiB";
}

}  // namespace fude
