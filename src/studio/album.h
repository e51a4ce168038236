// What is made of a session's pictures together: the contact sheet, which grows with them, and the report.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fude/fude.h"
#include "gallery/cell.h"
#include "gallery/contact_sheet.h"
#include "session/session.h"

namespace fude {

class Album {
 public:
  using Warn = std::function<void(const Message&)>;

  // `model` is its name.
  Album(const SessionFolder& session, std::string model, Warn warn);

  // Lays the sheet out, which reads fonts: best done while something else goes on.
  void prepare();
  // A picture whose file is written, and what jpeg_for_report made of it.
  void add(const Task& task, const Image& picture, std::vector<uint8_t> jpeg);
  // Writes the sheet unless that was done a moment ago: it is made again less and less often, so that all of them together take
  // little time. Error{io}.
  void grow();
  // Sheet and report of all pictures there are. Error{io}.
  void finish();

  const std::string& model() const { return model_; }
  const std::vector<Cell>& cells() const { return cells_; }

 private:
  using Clock = std::chrono::steady_clock;

  void write_sheet();

  const SessionFolder& session_;
  const std::string model_;
  const Warn warn_;
  std::vector<Cell> cells_;
  Arrangement arrangement_;  // of the sheet; none of its pictures: it is not laid out
  bool grown_ = false;       // since the sheet was written
  std::unique_ptr<ContactSheet> sheet_;
  Clock::time_point next_sheet_;
};

}  // namespace fude
