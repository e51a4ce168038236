// Calls of the SQLite C interface.
#include "gallery/database.h"

#include <sqlite3.h>

#include <new>

#include "engine/file.h"
#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr int kWaitMilliseconds = 10'000;

[[noreturn]] void fail(sqlite3* database, const std::filesystem::path& path) {
  const std::string file = "the history " + shown(path);
  const std::string reason = sqlite3_errmsg(database);
  switch (sqlite3_errcode(database)) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      throw Error(Code::io, file + " is damaged or is no database (" + reason +
                                "). Move it away and fude begins a new one; pictures carry their requests themselves.");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      throw Error(Code::io,
                  {.what = file + " cannot be opened and written (" + reason + "). Check that you may write in its folder.",
                   .where = {.file = text_of(path)},
                   .remedies = {{Remedy::choose_home}}});
    case SQLITE_FULL:
    case SQLITE_IOERR:
      throw Error(Code::io, {.what = file + " cannot be written or read (" + reason + "). Check that its disk is whole.",
                             .where = {.file = text_of(path)},
                             .remedies = {{Remedy::free_space}, {Remedy::choose_home}}});
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(Code::io, file + " has been held by another process for " + std::to_string(kWaitMilliseconds / 1000) +
                                " seconds. End that process, or try again.");
    default:
      throw Error(Code::io, file + " cannot be used: " + reason + ". If it was changed by another program, move it away.");
  }
}

[[noreturn]] void fail(sqlite3* database) { fail(database, path_of(sqlite3_db_filename(database, "main"))); }

void check(int code, sqlite3* database) {
  if (code != SQLITE_OK) fail(database);
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::bind(std::string_view text) {
  check(sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8), database_);
  return *this;
}

Statement& Statement::bind(int64_t number) {
  check(sqlite3_bind_int64(statement_.get(), ++bound_, number), database_);
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail(database_);
  return false;
}

std::string Statement::text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return text ? std::string(text, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))) : std::string();
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

void Database::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

Database::Database(const std::filesystem::path& file) {
  for (const char* part : {"", "-journal", "-wal", "-shm"}) {  // SQLite would block forever on a pipe
    std::filesystem::path each = file;
    if (const std::string why = why_not_replaced(each += part); !why.empty())
      throw Error(Code::io, {.what = "the history " + shown(each) + " cannot be opened: " + why +
                                     ". Move it away, or check that you may read it.",
                             .where = {.file = text_of(each)},
                             .remedies = {{Remedy::choose_home}}});
  }
  sqlite3* database = nullptr;
  const int code = sqlite3_open_v2(text_of(file).c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  database_.reset(database);
  if (!database) throw std::bad_alloc();
  if (code != SQLITE_OK) fail(database, file);
  sqlite3_busy_timeout(database, kWaitMilliseconds);
}

Statement Database::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  check(sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr), database_.get());
  return {database_.get(), statement};
}

void Database::execute(const char* script) const {
  check(sqlite3_exec(database_.get(), script, nullptr, nullptr, nullptr), database_.get());
}

int64_t Database::changed() const { return sqlite3_changes(database_.get()); }

Transaction::Transaction(const Database& database) : database_(database) { database.execute("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (!open_) return;
  try {
    database_.execute("ROLLBACK");
  } catch (const Error&) {  // already rolled back
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace fude
