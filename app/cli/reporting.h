// What the studio reports, on a terminal and in the program's own words.
#pragma once

#include <string>

#include "console.h"
#include "fude/fude.h"
#include "progress.h"
#include "studio/reporter.h"

namespace fude {

class ConsoleReporter : public Reporter {
 public:
  explicit ConsoleReporter(const Console& console) : console_(console) {}

  void warning(const Message& message) override;
  void not_kept(const NotKept& lost) override;

  virtual void clear() {}  // takes off its line what stands on it, before anything else is written there

 protected:
  const Console& console() const { return console_; }

 private:
  const Console& console_;
};

// Of one request after the other: its bar.
class RequestReporter : public ConsoleReporter {
 public:
  explicit RequestReporter(const Console& console) : ConsoleReporter(console), bar_(console) {}

  void progress(const Progress& progress) override { bar_.update(progress); }
  void clear() override { bar_.clear(); }
  void finish() { bar_.finish(); }  // its last stage is over

 private:
  ProgressBar bar_;
};

std::string text_of_stages(const Seconds& seconds);  // "load 0.84 s, encode 0.10 s, denoise 34 s, decode 0.50 s"

}  // namespace fude
