// What the library does, told to whoever asks (EngineOptions::log); silent otherwise. Pictures do not depend on it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fude {

enum class LogLevel { debug, info, warning };
std::string_view name_of(LogLevel level);  // "debug"

// All that is told.
enum class LogEvent {
  opened,     // the model's headers and tokenizers
  device,     // what is drawn on, and in which dtype
  fell_back,  // it is not the device or the dtype that was asked for
  measured,   // the rates of this machine, or read from their file
  planned,    // a request: `bytes` of the device, predicted `seconds`
  placed,     // memory for the weights that stay: `bytes`
  loaded,     // those weights, in `seconds`
  encoded,    // prompts, in `seconds`
  reused,     // embeddings that were kept or given: no encoder ran
  drawn,      // a picture, in `seconds`
  released,   // weights and memory: `bytes`
  not_kept,   // something for later, as Callbacks::not_kept tells
};
std::string_view name_of(LogEvent event);  // "fell_back"
LogLevel level_of(LogEvent event);

struct LogEntry {
  LogEvent event;
  std::string text;  // a sentence in English: "12 of 24 blocks stay, the others are streamed"
  int64_t bytes = 0;
  double seconds = 0;
};

// Calls come from the thread that called the engine, while its call is under way: none of that engine's functions that take
// turns may be called from it. What it throws ends that call.
using Log = std::function<void(const LogEntry&)>;

}  // namespace fude
