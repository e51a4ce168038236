// Drawing the bar of one request, and the lines where there is no terminal.
#include "progress.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "terminal.h"

namespace fude {
namespace {

// Text and weights serve all pictures.
bool is_of_a_picture(const Progress& progress) {
  return progress.pictures > 1 && (progress.stage == Stage::denoise || progress.stage == Stage::decode);
}

constexpr auto kBetweenDraws = std::chrono::milliseconds(40);
constexpr int kWidestBar = 40;
constexpr int kNarrowestBar = 8;

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string repeated(std::string_view piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

}  // namespace

std::string bar_text(double part, int columns, bool unicode, bool color) {
  const int full = static_cast<int>(std::clamp(part, 0.0, 1.0) * columns);
  std::string done = repeated(unicode ? "━" : "#", full);
  std::string rest = repeated(unicode ? "─" : "-", columns - full);
  if (color) {
    done = "\x1b[36m" + done + "\x1b[0m";
    rest = "\x1b[2m" + rest + "\x1b[0m";
  }
  return done + rest;
}

ProgressBar::ProgressBar(const Console& console)
    : console_(console), in_terminal_(terminal::is_terminal(terminal::Stream::error)), unicode_(terminal::shows_unicode()) {}

void ProgressBar::update(const Progress& progress) {
  if (console_.quiet()) return;
  const Clock::time_point time = Clock::now();
  const bool new_stage = !started_ || progress.stage != now_.stage || progress.picture != now_.picture;
  if (new_stage) {
    finish();
    stage_began_ = last_step_ = time;
  }
  if (!new_stage && progress.step != now_.step) last_step_ = time;
  now_ = progress;
  started_ = true;
  if (!in_terminal_ || (drawn_ && !new_stage && progress.step < progress.steps && time - last_drawn_ < kBetweenDraws)) return;
  draw();
  last_drawn_ = time;
}

void ProgressBar::finish() {
  clear();
  if (started_ && !in_terminal_) console_.note(summary());
  started_ = false;
}

void ProgressBar::clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void ProgressBar::draw() {
  const std::string line = "\r" + text(terminal::width(terminal::Stream::error)) + "\x1b[K";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

double ProgressBar::seconds_per_step() const {
  return now_.step > 0 ? seconds_between(stage_began_, last_step_) / static_cast<double>(now_.step) : 0;
}

std::string ProgressBar::text(int width) const {
  std::string left = std::string(name_of(now_.stage)) + ' ';
  left.resize(std::max<size_t>(left.size(), 8), ' ');
  if (now_.pictures > 1)
    left = "picture " + std::to_string(now_.picture + 1) + '/' + std::to_string(now_.pictures) + "  " + left;

  std::string right;
  if (now_.steps > 0) right = "  " + std::to_string(now_.step) + '/' + std::to_string(now_.steps);
  if (now_.stage == Stage::denoise && now_.step > 0) {
    const double each = seconds_per_step();
    const int64_t steps_left = now_.steps - now_.step + (now_.pictures - now_.picture - 1) * now_.steps;
    right += "  " + text_of_seconds(each) + "/step";
    if (steps_left > 0) right += "  " + text_of_seconds(each * static_cast<double>(steps_left)) + " left";
  }

  const int room = width - 1 - columns_of(left) - columns_of(right);
  const int bar = std::min(kWidestBar, room);
  if (bar < kNarrowestBar) {
    const std::string line = left + right;
    return line.substr(0, static_cast<size_t>(std::max(0, width - 1)));
  }
  const double part = now_.steps > 0 ? static_cast<double>(now_.step) / static_cast<double>(now_.steps) : 0;
  return left + bar_text(part, bar, unicode_, console_.color()) + right;
}

std::string ProgressBar::summary() const {
  std::string line(name_of(now_.stage));
  line.resize(std::max<size_t>(line.size() + 1, 9), ' ');
  if (is_of_a_picture(now_)) {
    line += "picture " + std::to_string(now_.picture + 1) + '/' + std::to_string(now_.pictures) + ", ";
  }
  if (now_.stage == Stage::denoise) {
    line += std::to_string(now_.step) + " steps, " + text_of_seconds(seconds_per_step()) + "/step, ";
  }
  return line + text_of_seconds(seconds_between(stage_began_, Clock::now()));
}

}  // namespace fude
