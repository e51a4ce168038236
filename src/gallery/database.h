// SQLite with RAII: values are always bound, never written into SQL, and errors say what to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace fude {

class Statement {
 public:
  // The next value, from the left.
  Statement& bind(std::string_view text);
  Statement& bind(int64_t number);

  bool step();  // true: a row is there. A statement that writes has written only when this was false. Error{io}
  std::string text(int column) const;
  int64_t integer(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3* database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

class Database {
 public:
  // Makes the file when it is missing. Waits for others up to some seconds whenever it needs to. Error{io}
  explicit Database(const std::filesystem::path& file);

  Statement prepare(std::string_view sql) const;  // Error{io}
  void execute(const char* script) const;         // statements without values. Error{io}
  int64_t changed() const;                        // rows, by the latest statement

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::unique_ptr<sqlite3, Close> database_;
};

// All or nothing; holds the write lock.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  const Database& database_;
  bool open_ = true;
};

}  // namespace fude
