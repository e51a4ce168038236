// Entries of the history as commands name, take and show them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "commands.h"
#include "fude/fude.h"
#include "gallery/history.h"
#include "options.h"
#include "studio/bookkeeping.h"

namespace fude {

// For those that draw, whom it may cost no picture that there is no folder for it.
HistoryPlace history_place();

// The entry with the number that was typed. Error{bad_request} when there is none.
HistoryEntry entry_named(const std::string& id);

// The option that names it.
void add_entry_option(Options& options, std::string& id);

// What the entry was drawn with, where no option says otherwise: to be called between parse and apply. Error{bad_checkpoint}
// when the model is gone and no other is named.
void take_engine(const HistoryEntry& entry, const Options& options, ModelFiles& files, EngineOptions& engine);

nlohmann::ordered_json json_from(const HistoryEntry& entry);
std::string table_of(const std::vector<HistoryEntry>& entries, int width);  // no line wider, where columns can be left out
std::string description_of(const HistoryEntry& entry);                      // everything
std::string csv_of(const std::vector<HistoryEntry>& entries);
std::string log_of(const std::vector<HistoryEntry>& entries);  // a line each: time, file, prompt

int history_run_command(const Arguments& arguments);
int history_verify_command(const Arguments& arguments);

}  // namespace fude
