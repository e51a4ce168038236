// Wording what the studio reports.
#include "reporting.h"

#include <vector>

#include "wording.h"

namespace fude {
namespace {

std::string text_of(Kept what) {
  switch (what) {
    case Kept::history: return "the history (fude history will not know these pictures)";
    case Kept::embeddings: return "embeddings of prompts (each is encoded anew)";
    case Kept::rates: return "this machine's rates (they are measured anew)";
  }
  return {};
}

std::string joined(const std::vector<std::string>& texts, const char* between) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : between) + text;
  return all;
}

}  // namespace

void ConsoleReporter::warning(const Message& message) {
  clear();
  console_.warning(worded(message));
}

void ConsoleReporter::not_kept(const NotKept& lost) {
  if (lost.what.empty()) return warning({.what = "not kept for later: " + joined(lost.meanwhile, " And ")});
  std::vector<std::string> all;
  for (const Kept what : lost.what) all.push_back(text_of(what));
  all.insert(all.end(), lost.meanwhile.begin(), lost.meanwhile.end());
  warning({.what = worded(lost.reason) + " Pictures are saved all the same; what is not kept: " + joined(all, ", ") + '.'});
}

std::string text_of_stages(const Seconds& seconds) {
  return "load " + text_of_seconds(seconds.load) + ", encode " + text_of_seconds(seconds.encode) + ", denoise " +
         text_of_seconds(seconds.denoise) + ", decode " + text_of_seconds(seconds.decode);
}

}  // namespace fude
