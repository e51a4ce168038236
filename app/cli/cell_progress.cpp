// Drawing the bar of many pictures, and the lines where there is no terminal.
#include "cell_progress.h"

#include <algorithm>
#include <cstdio>

#include "progress.h"
#include "terminal.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr auto kBetweenDraws = std::chrono::milliseconds(40);
constexpr int kWidestBar = 24;
constexpr int kNarrowestBar = 8;
constexpr int kNarrowestLabel = 12;

}  // namespace

CellProgress::CellProgress(const Console& console, std::string noun)
    : console_(console),
      noun_(std::move(noun)),
      in_terminal_(terminal::is_terminal(terminal::Stream::error)),
      unicode_(terminal::shows_unicode()) {}

void CellProgress::begin(const Upcoming& picture) {
  const std::lock_guard lock(mutex_);
  picture_ = picture;
  picture_.label = one_line(picture.label);
  now_ = {};
}

void CellProgress::update(const Progress& progress) {
  const std::lock_guard lock(mutex_);
  const bool new_stage = progress.stage != now_.stage || progress.picture != now_.picture;
  now_ = progress;
  if (console_.quiet() || !in_terminal_) return;
  const Clock::time_point time = Clock::now();
  if (drawn_ && !new_stage && progress.step < progress.steps && time - last_drawn_ < kBetweenDraws) return;
  draw();
  last_drawn_ = time;
}

void CellProgress::finished(const FinishedPicture& picture) {
  const std::lock_guard lock(mutex_);
  take_off();
  if (in_terminal_) return;
  console_.note(noun_ + ' ' + std::to_string(picture.number) + '/' + std::to_string(picture_.pictures) + "  " +
                shortened(one_line(picture.label), 200) + "  " + text_of_seconds(picture.seconds) + "  " +
                text_of(picture.file.path.filename()));
}

void CellProgress::clear() {
  const std::lock_guard lock(mutex_);
  take_off();
}

void CellProgress::take_off() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void CellProgress::draw() {
  const std::string line = "\r" + text(terminal::width(terminal::Stream::error)) + "\x1b[K";
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

std::string CellProgress::text(int width) const {
  const bool denoises = now_.stage == Stage::denoise && now_.steps > 0;
  const double part = denoises                      ? static_cast<double>(now_.step) / static_cast<double>(now_.steps)
                      : now_.stage == Stage::decode ? 1
                                                    : 0;
  const std::string count =
      noun_ + ' ' + std::to_string(picture_.number + now_.picture) + '/' + std::to_string(picture_.pictures) + "  ";
  std::string right =
      "  " + (denoises ? std::to_string(now_.step) + '/' + std::to_string(now_.steps) : std::string(name_of(now_.stage)));
  const double left = picture_.seconds_left + picture_.seconds * (1 - part);
  if (left > 0) right += "  " + text_of_seconds(left) + " left";

  const int room = width - 1 - columns_of(count) - columns_of(right);
  const int bar = std::min(kWidestBar, room - std::min(columns_of(picture_.label) + 2, kNarrowestLabel));
  if (bar < kNarrowestBar) return shortened(count + picture_.label + right, width - 1);
  return count + shortened(picture_.label, room - bar - 2) + "  " + bar_text(part, bar, unicode_, console_.color()) + right;
}

}  // namespace fude
