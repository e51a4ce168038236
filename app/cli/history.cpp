// fude history: what was drawn, found again.
#include "history.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "console.h"
#include "engine/file.h"
#include "engine/json_text.h"
#include "fude/error.h"
#include "gallery/csv.h"
#include "session/ranges.h"
#include "studio/verification.h"
#include "terminal.h"
#include "trash.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kUsualLimit = 20;

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::bad_request, message); }

// Nothing when nothing was ever drawn: looking makes no file.
std::optional<History> existing_history() {
  const fs::path file = history_file();
  if (kind_of(file) == PathKind::nothing) return std::nullopt;
  return History(file);
}

struct Which {
  HistoryFilter filter;
  bool starred = false;
};

std::vector<HistoryEntry> entries_of(Which which) {
  if (which.starred) which.filter.rating = std::max(which.filter.rating, 1);
  const std::optional<History> history = existing_history();
  return history ? history->list(which.filter) : std::vector<HistoryEntry>();
}

// "2026-11-24", "2026-11-24 18:00", "2026-11-24T18:00:00", as entries write it.
std::string time_from(const std::string& option, std::string text) {
  constexpr std::string_view kPattern = "dddd-dd-ddTdd:dd:dd";
  std::replace(text.begin(), text.end(), ' ', 'T');
  bool fits = text.size() == 10 || text.size() == 16 || text.size() == 19;
  for (size_t i = 0; fits && i < text.size(); ++i)
    fits = kPattern[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == kPattern[i];
  const auto number = [&](size_t at, size_t digits) {
    return fits && at < text.size() ? std::stoi(text.substr(at, digits)) : 0;
  };
  const auto month = static_cast<unsigned>(number(5, 2));
  const auto day = static_cast<unsigned>(number(8, 2));
  const bool exists =
      std::chrono::year_month_day{std::chrono::year{number(0, 4)}, std::chrono::month{month}, std::chrono::day{day}}.ok() &&
      number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60;
  if (fits && !exists)
    refuse(option + ' ' + shown(text) + " is no day or time that there is. Write it as " + option +
           " 2026-11-24 or \"2026-11-24 18:00\".");
  if (!fits) refuse(option + ' ' + shown(text) + " is no date. Write it as " + option + " 2026-11-24 or \"2026-11-24 18:00\".");
  return text;
}

int stars_from(const std::string& text, int least) {
  const int64_t stars = integer_from("--rating", text);
  if (stars < least || stars > kMostStars)
    refuse("--rating " + text + " is not between " + std::to_string(least) + " and " + std::to_string(kMostStars) + '.');
  return static_cast<int>(stars);
}

void add_filter_options(Options& options, Which& which) {
  const char* group = "Which";
  HistoryFilter& filter = which.filter;
  options.add_text(group, "--search", "WORDS", "the prompt holds each of these words, in any order", filter.search);
  options.add_flag(group, "--starred", "has stars", which.starred);
  options.add(group, "--rating", "N", "has at least N stars, 1 to 5",
              [&](const std::string& text) { filter.rating = stars_from(text, 1); });
  options.add_text(group, "--model", "TEXT", "the model's name holds this", filter.model);
  options.add_text(group, "--kind", "NAME", "drawn by this command: generate, sweep, gacha, refine", filter.kind);
  options.add(group, "--since", "DATE", "2026-11-24 or \"2026-11-24 18:00\"",
              [&](const std::string& text) { filter.since = time_from("--since", text); });
  options.add(group, "--until", "DATE", "this day or minute included",
              [&](const std::string& text) { filter.until = time_from("--until", text); });
}

int list_command(const Arguments& arguments) {
  Which which;
  OutputOptions output;
  std::optional<int64_t> limit;
  Options options("history", "[list] [options]", "Lists the pictures that were drawn, newest first.",
                  "  fude history --search \"capybara snow\" --starred\n"
                  "  fude history --since 2026-11-24 --json\n");
  add_filter_options(options, which);
  options.add("Which", "--limit", "N", "the newest N, 0: all; default 20, with --json all", [&](const std::string& text) {
    limit = integer_from("--limit", text);
    if (*limit < 0) refuse("--limit " + text + " is less than nothing. Leave it out, or write --limit 0 for all.");
  });
  add_output_options(options, output);
  if (!options.parse(arguments)) return 0;
  options.apply();
  const Console console(output.quiet, output.no_color);

  const int64_t most = limit.value_or(output.json ? 0 : kUsualLimit);
  which.filter.limit =
      most == 0 ? -1 : std::min(most, std::numeric_limits<int64_t>::max() - 1) + 1;  // one more tells that there are more
  std::vector<HistoryEntry> entries = entries_of(which);
  const bool cut = most > 0 && static_cast<int64_t>(entries.size()) > most;
  if (cut) entries.pop_back();
  if (output.json) {
    Json list = Json::array();
    for (const HistoryEntry& entry : entries) list.push_back(json_from(entry));
    print(json_document(list));
  } else if (entries.empty()) {
    console.note("the history holds no such picture");
  } else {
    const bool fits = terminal::is_terminal(terminal::Stream::output);
    print(table_of(entries, fits ? terminal::width(terminal::Stream::output) : std::numeric_limits<int>::max()));
    if (cut && !limit) console.note("there are older ones: --limit 0 lists all");
  }
  return 0;
}

int show_command(const Arguments& arguments) {
  std::string id;
  OutputOptions output;
  Options options("history show", "ID [options]", "Shows everything about one picture.");
  add_entry_option(options, id);
  add_output_options(options, output);
  if (!options.parse(arguments)) return 0;
  options.apply();
  const HistoryEntry entry = entry_named(id);
  print(output.json ? json_document(json_from(entry)) : description_of(entry));
  return 0;
}

int star_command(const Arguments& arguments) {
  std::string id;
  int stars = kMostStars;
  OutputOptions output;
  Options options("history star", "ID [--rating N]",
                  "Gives a picture its stars: all five, or as many as --rating says. --rating 0 takes them away.");
  add_entry_option(options, id);
  options.add("Entry", "--rating", "N", "0 to 5, default 5", [&](const std::string& text) { stars = stars_from(text, 0); });
  add_output_options(options, output);
  if (!options.parse(arguments)) return 0;
  options.apply();
  HistoryEntry entry = entry_named(id);
  History(history_file()).rate(entry.id, entry.rating = stars);
  if (output.json) print(json_document(json_from(entry)));
  return 0;
}

int delete_command(const Arguments& arguments) {
  std::vector<std::string> ids;
  bool yes = false;
  OutputOptions output;
  Options options(
      "history delete", "ID... [options]",
      "Moves pictures to the trash and takes their entries out of the history, after a question. A picture that is taken back "
      "from the "
      "trash still carries its request, so fude generate --from FILE draws it again; its number and stars are gone.",
      "  fude history delete 41\n"
      "  fude history delete 41 42 57 --yes\n");
  options.add_words("Entry", "ids,--id", "ID", "their numbers, as fude history shows them; also without --id",
                    [&](const std::string& text) { ids.push_back(text); });
  options.add_flag("Entry", "--yes,-y", "without a question", yes);
  add_output_options(options, output);
  if (!options.parse(arguments)) return 0;
  options.apply();
  const Console console(output.quiet, output.no_color);
  if (ids.empty()) refuse("there is no number of an entry. Write it behind the command; fude history shows the numbers.");
  std::vector<HistoryEntry> entries;
  for (const std::string& id : without_repeats(ids)) entries.push_back(entry_named(id));

  if (!yes) {
    std::string question;
    for (const HistoryEntry& entry : entries)
      question +=
          std::to_string(entry.id) + "  " + (is_missing(entry) ? "(missing) " : "") + one_line(text_of(entry.path)) + '\n';
    question += std::string("Move ") +
                (entries.size() == 1 ? "this picture" : "these " + std::to_string(entries.size()) + " pictures") +
                " to the trash, and take the number and the stars out of the history?";
    if (!terminal::is_terminal(terminal::Stream::input)) refuse(question + " There is no terminal to ask; say so with --yes.");
    if (!console.confirmed(question)) throw Error(Code::cancelled, "nothing was deleted, as you said.");
  }
  History history(history_file());
  Json deleted = Json::array();
  for (const HistoryEntry& entry : entries) {
    const bool had_file = !is_missing(entry);
    const fs::path there = had_file ? move_to_trash(entry.path) : fs::path();
    history.remove(entry.id);
    deleted.push_back(
        {{"id", entry.id}, {"path", text_of(entry.path)}, {"trash", there.empty() ? Json() : Json(text_of(there))}});
    console.note(std::to_string(entry.id) + ": " + (had_file ? "in the trash" : "its file was gone before") +
                 ", and no longer in the history");
  }
  if (output.json) print(json_document(deleted));
  return 0;
}

int export_command(const Arguments& arguments) {
  Which which;
  OutputOptions output;
  bool csv = false, log = false;
  std::string to;
  Options options("history export", "[options]", "Writes entries as a document, oldest first: JSON, CSV, or a log.",
                  "  fude history export --csv --to history.csv\n"
                  "  fude history export --log --to prompt_log.txt\n");
  add_filter_options(options, which);
  options.add_flag("Document", "--csv", "a table for spreadsheets instead of JSON", csv);
  options.add_flag("Document", "--log", "a line each, with tabs between: time, file, prompt", log);
  options.add_text("Document", "--to", "FILE", "write a file instead of standard output", to);
  add_output_options(options, output);
  if (!options.parse(arguments)) return 0;
  options.apply();
  if (csv + log + output.json > 1) refuse("--json, --csv and --log are three documents. Choose one of them.");
  const Console console(output.quiet, output.no_color);

  std::vector<HistoryEntry> entries = entries_of(which);
  std::reverse(entries.begin(), entries.end());
  std::string document;
  if (csv) document = csv_of(entries);
  else if (log) document = log_of(entries);
  else {
    Json list = Json::array();
    for (const HistoryEntry& entry : entries) list.push_back(json_from(entry));
    document = json_document(list);
  }
  if (to.empty()) {
    print(document);
  } else {
    if (csv)
      document.insert(
          0, kUtf8Mark);  // people open the file with a spreadsheet; a program that reads standard output needs no mark
    write_file(path_of(to), std::vector<uint8_t>(document.begin(), document.end()));
    console.note(std::to_string(entries.size()) + " entries in " + to);
  }
  return 0;
}

}  // namespace

HistoryPlace history_place() {
  try {
    return {history_file(), {}};
  } catch (const Error& error) {
    return {{}, error.message()};
  }
}

HistoryEntry entry_named(const std::string& id) {
  if (id.empty()) refuse("there is no number of an entry. Write it behind the command; fude history shows the numbers.");
  const int64_t number = integer_from("ID", id);
  const std::optional<History> history = existing_history();
  std::optional<HistoryEntry> entry = history ? history->find(number) : std::nullopt;
  if (!entry) refuse("the history " + shown(history_file()) + " has no entry " + id + ". fude history shows the numbers.");
  return std::move(*entry);
}

void add_entry_option(Options& options, std::string& id) {
  options.add_text("Entry", "id,--id", "ID", "its number, as fude history shows it; also without --id", id);
}

void take_engine(const HistoryEntry& entry, const Options& options, ModelFiles& files, EngineOptions& engine) {
  if (!options.given("--model")) {
    files = entry.files;
    const fs::path model = path_of(files.model);
    if (model.is_absolute() && kind_of(model) == PathKind::nothing) {
      throw Error(Code::bad_checkpoint, "entry " + std::to_string(entry.id) + " was drawn with the model " + shown(model) +
                                            ", which is not there any more. Name it with --model.");
    }
  }
  files.no_t5 = entry.provenance.no_t5;
  engine.dtype = entry.provenance.dtype;
  engine.threads = entry.threads;
}

int history_command(const Arguments& arguments) {
  const bool lists = arguments.empty() || (arguments[0].starts_with('-') && arguments[0] != "--help" && arguments[0] != "-h");
  if (lists) return list_command(arguments);
  return run_command("fude history", "Every picture that was drawn. Without a command it lists them.",
                     {{"list", "the newest pictures, or those that match", list_command},
                      {"show", "everything about one picture", show_command},
                      {"run", "draw the request of an entry again", history_run_command},
                      {"verify", "draw an entry again and compare its file", history_verify_command},
                      {"star", "give stars to a picture", star_command},
                      {"delete", "move a picture to the trash", delete_command},
                      {"export", "JSON, CSV, or a log of prompts", export_command}},
                     arguments);
}

}  // namespace fude
