// Tables, search and filters of the history, in SQL.
#include "gallery/history.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/characters.h"
#include "engine/file.h"
#include "engine/json_text.h"
#include "engine/model_files.h"
#include "fude/error.h"
#include "gallery/database.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kApplication = 0x66756465;  // "fude", in the header of the file
constexpr int64_t kLayout = 1;                // of the tables; kept as user_version

// What is searched or filtered has columns of its own beside the exact request.
constexpr const char* kTables = R"(
CREATE TABLE pictures (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  path       TEXT NOT NULL UNIQUE,
  created    TEXT NOT NULL,
  kind       TEXT NOT NULL,
  prompt     TEXT NOT NULL,
  model      TEXT NOT NULL,
  provenance TEXT NOT NULL,
  making     TEXT NOT NULL,
  files      TEXT NOT NULL,
  threads    INTEGER NOT NULL,
  sha256     TEXT NOT NULL,
  session    TEXT NOT NULL,
  number     INTEGER NOT NULL,
  rating     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX pictures_of_sessions ON pictures (session, number);
CREATE TABLE sessions (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  kind    TEXT NOT NULL,
  folder  TEXT NOT NULL UNIQUE,
  created TEXT NOT NULL
);
-- Three characters at a time, since Japanese has no spaces between words.
CREATE VIRTUAL TABLE prompts USING fts5 (prompt, content = 'pictures', content_rowid = 'id', tokenize = 'trigram');
CREATE TRIGGER picture_added AFTER INSERT ON pictures BEGIN
  INSERT INTO prompts (rowid, prompt) VALUES (new.id, new.prompt);
END;
CREATE TRIGGER picture_changed AFTER UPDATE OF prompt ON pictures BEGIN
  INSERT INTO prompts (prompts, rowid, prompt) VALUES ('delete', old.id, old.prompt);
  INSERT INTO prompts (rowid, prompt) VALUES (new.id, new.prompt);
END;
)";
constexpr size_t kShortestIndexed = 3;  // characters

constexpr const char* kColumns =
    "SELECT id, path, kind, provenance, making, files, threads, sha256, session, number, rating FROM pictures ";

std::string text_of_files(const ModelFiles& files) {
  Json json = Json::object();
  for (const auto& [name, member] : kModelPaths) {
    if (!(files.*member).empty()) json[name] = files.*member;
  }
  return text_of_json(json);
}

ModelFiles files_from(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  ModelFiles files;
  for (const auto& [name, member] : kModelPaths) {
    if (json.is_object() && json.contains(name) && json[name].is_string()) files.*member = json[name].get<std::string>();
  }
  return files;
}

// One spelling for each path.
std::string key_of(const fs::path& path) {
  if (path.empty()) return {};
  const fs::path key = absolute_of(path).lexically_normal();
  return text_of(key.has_filename() ? key : key.parent_path());
}

std::string pragma(const Database& database, const char* name) {
  Statement statement = database.prepare(std::string("PRAGMA ") + name);
  statement.step();
  return statement.text(0);
}

void check_layout(const Database& database, const fs::path& file) {
  if (pragma(database, "application_id") != std::to_string(kApplication)) {
    throw Error(Code::io, {.what = "the history " + shown(file) + " is the database of another program. Move it away.",
                           .where = {.file = text_of(file)},
                           .remedies = {{Remedy::choose_home}}});
  }
  if (const std::string layout = pragma(database, "user_version"); std::stoll(layout) > kLayout) {
    throw Error(Code::io, {.what = "the history " + shown(file) + " was written by a newer version of fude (layout " + layout +
                                   ", this one knows " + std::to_string(kLayout) + "). Install the newer fude.",
                           .where = {.file = text_of(file)},
                           .remedies = {{Remedy::choose_home}}});
  }
}

bool is_empty(const Database& database) { return !database.prepare("SELECT 1 FROM sqlite_master").step(); }

void make_tables(const Database& database) {
  Transaction transaction(database);
  if (!is_empty(database)) return;  // another process made them
  database.execute(kTables);
  database.execute(("PRAGMA application_id = " + std::to_string(kApplication)).c_str());
  database.execute(("PRAGMA user_version = " + std::to_string(kLayout)).c_str());
  transaction.commit();
}

// Write-ahead logging lets others read during a write. Where it is impossible (another process is opening the file, a network
// file system), SQLite's default journal works as well.
void use_wal(const Database& database) {
  try {
    if (pragma(database, "journal_mode") != "wal") database.execute("PRAGMA journal_mode = WAL");
  } catch (const Error&) {
  }
}

Database open(const fs::path& file) {
  const fs::path folder = file.parent_path();
  std::error_code error;
  if (!folder.empty() && !make_folders(folder, error)) {
    throw Error(Code::io, {.what = "cannot make the folder " + shown(folder) + " of the history: " + error.message(),
                           .where = {.file = text_of(folder)},
                           .remedies = {{Remedy::choose_home}}});
  }
  Database database(file);
  if (is_empty(database)) make_tables(database);
  check_layout(database, file);
  use_wal(database);
  return database;
}

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0'; }

std::vector<std::string> words_in(std::string text) {
  constexpr std::string_view kWideSpace = "\xe3\x80\x80";  // as Japanese keyboards type it
  for (size_t at; (at = text.find(kWideSpace)) != std::string::npos;) text.replace(at, kWideSpace.size(), " ");
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (!is_blank(c)) words.back() += c;
    else if (!words.back().empty()) words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

// A pattern for LIKE … ESCAPE '\' that finds the text anywhere.
std::string anywhere(std::string_view text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + '%';
}

// A string of FTS5's language: nothing in it is an operator.
std::string phrase(std::string_view word) {
  std::string text = "\"";
  for (const char c : word) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + '"';
}

// A WHERE clause and the values of its question marks.
struct Condition {
  std::string sql;
  std::vector<std::string> values;

  void add(std::string_view condition, std::string value) {
    sql += (sql.empty() ? "WHERE " : " AND ") + std::string(condition);
    values.push_back(std::move(value));
  }
};

Condition condition_of(const HistoryFilter& filter) {
  Condition where;
  for (const std::string& word : words_in(filter.search)) {
    if (characters_in(word) < kShortestIndexed) where.add("prompt LIKE ? ESCAPE '\\'", anywhere(word));
    else where.add("id IN (SELECT rowid FROM prompts WHERE prompts MATCH ?)", phrase(word));
  }
  if (filter.rating > 0) where.add("rating >= CAST(? AS INTEGER)", std::to_string(filter.rating));
  if (!filter.model.empty()) where.add("model LIKE ? ESCAPE '\\'", anywhere(filter.model));
  if (!filter.kind.empty()) where.add("kind = ?", filter.kind);
  if (!filter.since.empty()) where.add("created >= ?", filter.since);
  if (!filter.until.empty()) where.add("substr(created, 1, " + std::to_string(filter.until.size()) + ") <= ?", filter.until);
  if (!filter.session.empty()) where.add("session = ?", key_of(filter.session));
  return where;
}

HistoryEntry entry_in(const Statement& row) {
  HistoryEntry entry;
  entry.id = row.integer(0);
  entry.path = path_of(row.text(1));
  entry.kind = row.text(2);
  try {
    entry.provenance = provenance_from_json(row.text(3));
    entry.stats = stats_from_json(row.text(4));
  } catch (const Error&) {
    throw Error(Code::io, "entry " + std::to_string(entry.id) +
                              " of the history is damaged. Look at it with SQLite's own program, or move the history away.");
  }
  entry.files = files_from(row.text(5));
  entry.files.no_t5 = entry.provenance.no_t5;
  entry.threads = static_cast<int>(row.integer(6));
  entry.sha256 = row.text(7);
  entry.session = path_of(row.text(8));
  entry.number = row.integer(9);
  entry.rating = static_cast<int>(row.integer(10));
  return entry;
}

}  // namespace

struct History::State {
  Database database;

  std::optional<HistoryEntry> only(Statement statement) const {
    return statement.step() ? std::optional(entry_in(statement)) : std::nullopt;
  }
};

History::History(const fs::path& file) : state_(new State{open(file)}) {}
History::~History() = default;
History::History(History&&) noexcept = default;
History& History::operator=(History&&) noexcept = default;

int64_t History::add(const HistoryEntry& entry) {
  Statement statement = state_->database.prepare(
      "INSERT INTO pictures (path, created, kind, prompt, model, provenance, making, files, threads, sha256, session, number) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (path) DO UPDATE SET created = excluded.created, kind = excluded.kind, prompt = excluded.prompt, "
      "model = excluded.model, making = excluded.making, files = excluded.files, threads = excluded.threads, "
      "sha256 = excluded.sha256, session = excluded.session, number = excluded.number, "
      "rating = CASE provenance WHEN excluded.provenance THEN rating ELSE 0 END, provenance = excluded.provenance "
      "RETURNING id");
  statement.bind(key_of(entry.path)).bind(entry.stats.created).bind(entry.kind).bind(entry.provenance.request.prompt);
  statement.bind(entry.provenance.model)
      .bind(text_of_json(json_from(entry.provenance)))
      .bind(text_of_json(json_from(entry.stats)));
  statement.bind(text_of_files(entry.files)).bind(int64_t{entry.threads}).bind(entry.sha256);
  statement.bind(key_of(entry.session)).bind(entry.number);
  statement.step();
  const int64_t id = statement.integer(0);
  statement.step();
  return id;
}

std::vector<HistoryEntry> History::list(const HistoryFilter& filter) const {
  const Condition where = condition_of(filter);
  Statement statement = state_->database.prepare(kColumns + where.sql + " ORDER BY id DESC LIMIT ?");
  for (const std::string& value : where.values) statement.bind(value);
  statement.bind(filter.limit);
  std::vector<HistoryEntry> entries;
  while (statement.step()) entries.push_back(entry_in(statement));
  return entries;
}

std::optional<HistoryEntry> History::find(int64_t id) const {
  Statement statement = state_->database.prepare(std::string(kColumns) + "WHERE id = ?");
  statement.bind(id);
  return state_->only(std::move(statement));
}

std::optional<HistoryEntry> History::find(const fs::path& session, int64_t number) const {
  Statement statement = state_->database.prepare(std::string(kColumns) + "WHERE session = ? AND number = ?");
  statement.bind(key_of(session)).bind(number);
  return state_->only(std::move(statement));
}

bool History::rate(int64_t id, int rating) {
  state_->database.prepare("UPDATE pictures SET rating = ? WHERE id = ?").bind(int64_t{rating}).bind(id).step();
  return state_->database.changed() > 0;
}

void History::remove(int64_t id) {
  const Database& database = state_->database;
  Transaction transaction(database);
  database.prepare("INSERT INTO prompts (prompts, rowid, prompt) SELECT 'delete', id, prompt FROM pictures WHERE id = ?")
      .bind(id)
      .step();
  database.prepare("DELETE FROM pictures WHERE id = ?").bind(id).step();
  transaction.commit();
}

void History::add_session(const Session& session) {
  Statement statement = state_->database.prepare("REPLACE INTO sessions (kind, folder, created) VALUES (?, ?, ?)");
  statement.bind(session.kind).bind(key_of(session.folder)).bind(session.created).step();
}

std::optional<Session> History::last_session(const std::string& kind) const {
  Statement statement =
      state_->database.prepare("SELECT kind, folder, created FROM sessions WHERE kind = ? ORDER BY id DESC LIMIT 1");
  statement.bind(kind);
  if (!statement.step()) return std::nullopt;
  return Session{statement.text(0), path_of(statement.text(1)), statement.text(2)};
}

}  // namespace fude
