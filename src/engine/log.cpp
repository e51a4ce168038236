// Names and levels of what is logged: one row for each event.
#include "fude/log.h"

#include <array>

namespace fude {
namespace {

struct Row {
  LogEvent event;
  std::string_view name;
  LogLevel level;
};

constexpr std::array<Row, 12> kEvents = {{{LogEvent::opened, "opened", LogLevel::info},
                                          {LogEvent::device, "device", LogLevel::info},
                                          {LogEvent::fell_back, "fell_back", LogLevel::info},
                                          {LogEvent::measured, "measured", LogLevel::debug},
                                          {LogEvent::planned, "planned", LogLevel::debug},
                                          {LogEvent::placed, "placed", LogLevel::debug},
                                          {LogEvent::loaded, "loaded", LogLevel::debug},
                                          {LogEvent::encoded, "encoded", LogLevel::debug},
                                          {LogEvent::reused, "reused", LogLevel::debug},
                                          {LogEvent::drawn, "drawn", LogLevel::debug},
                                          {LogEvent::released, "released", LogLevel::debug},
                                          {LogEvent::not_kept, "not_kept", LogLevel::warning}}};

constexpr bool are_in_order() {
  for (size_t i = 0; i < kEvents.size(); ++i)
    if (static_cast<size_t>(kEvents[i].event) != i) return false;
  return kEvents.size() == static_cast<size_t>(LogEvent::not_kept) + 1;
}
static_assert(are_in_order());

}  // namespace

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
  }
  return "?";
}

std::string_view name_of(LogEvent event) { return kEvents[static_cast<size_t>(event)].name; }
LogLevel level_of(LogEvent event) { return kEvents[static_cast<size_t>(event)].level; }

}  // namespace fude
