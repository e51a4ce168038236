// Growing the contact sheet seldom enough, and writing sheet and report.
#include "studio/album.h"

#include <future>
#include <utility>

#include "engine/file.h"
#include "engine/png.h"
#include "fude/error.h"
#include "gallery/report.h"
#include "session/sheet_layout.h"

namespace fude {
namespace {

constexpr double kSeldom = 20;  // of the time at most one part in so many is spent on sheets
constexpr auto kSoonest = std::chrono::seconds(2);

}  // namespace

Album::Album(const SessionFolder& session, std::string model, Warn warn)
    : session_(session), model_(std::move(model)), warn_(std::move(warn)) {}

// The sheet's places. A gacha whose count was not known at first gets new ones, and its pictures are read again.
void Album::prepare() {
  arrangement_ = layout_of(session_.spec(), model_);
  grown_ = true;
  sheet_.reset();
  try {
    sheet_ = std::make_unique<ContactSheet>(arrangement_, [this](const std::string& text) { warn_({.what = text}); });
  } catch (const Error& error) {
    if (error.code() != Code::bad_request) throw;
    Message message = error.message();
    message.what = "there will be no contact sheet: " + message.what;
    warn_(message);  // the pictures are no worse for it
  }
  for (const Cell& cell : cells_)
    if (sheet_) sheet_->add(cell, read_pixels(cell.file));
}

void Album::add(const Task& task, const Image& picture, std::vector<uint8_t> jpeg) {
  if (arrangement_.count == 0) prepare();
  cells_.push_back(read_cell(task.number, session_.picture(task)));
  cells_.back().jpeg = std::move(jpeg);
  grown_ = true;
  if (sheet_ && task.number <= arrangement_.count) sheet_->add(cells_.back(), picture);
}

void Album::grow() {
  if (Clock::now() < next_sheet_) return;
  const Clock::time_point begin = Clock::now();
  write_sheet();
  next_sheet_ = Clock::now() + std::max<Clock::duration>(
                                   kSoonest, std::chrono::duration_cast<Clock::duration>((Clock::now() - begin) * kSeldom));
}

void Album::write_sheet() {
  if (count_of(session_.spec()) != arrangement_.count) prepare();
  if (sheet_ && grown_ && !cells_.empty()) write_file(session_.sheet(), encode_png(sheet_->render(), {}));
  grown_ = false;
}

void Album::finish() {
  std::future<void> sheet =
      std::async(std::launch::async, [this] { write_sheet(); });  // both at once, since they are waited for
  if (!cells_.empty()) write_report(session_.path(), layout_of(session_.spec(), model_), cells_);
  sheet.get();
}

}  // namespace fude
