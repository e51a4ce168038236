// How what an engine tells reaches a reporter.
#pragma once

#include <atomic>
#include <string>

#include "studio/bookkeeping.h"
#include "studio/reporter.h"

namespace fude {

// `stop` may be null, and so may `books`, where nothing is kept. Who draws adds what becomes of the pictures.
inline Callbacks callbacks_for(Reporter& reporter, const std::atomic<bool>* stop, Bookkeeping* books) {
  Callbacks callbacks;
  callbacks.stop = stop;
  callbacks.progress = [&reporter](const Progress& progress) { reporter.progress(progress); };
  callbacks.warning = [&reporter](const Message& warning) { reporter.warning(warning); };
  if (books) callbacks.not_kept = [books](const std::string& what) { books->not_kept(what); };
  return callbacks;
}

}  // namespace fude
