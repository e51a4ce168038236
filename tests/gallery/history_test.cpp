// The history as a database: entries, searches, several writers at once, newer and damaged files.
#include "gallery/history.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "fude/error.h"
#include "told.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

class HistoryFile : public testing::Test {
 protected:
  ~HistoryFile() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  fs::path file() const { return folder_ / "home" / "history.sqlite3"; }
  History open() const { return History(file()); }

  HistoryEntry entry_of(const std::string& prompt, int64_t number = 1) const {
    HistoryEntry entry;
    entry.path = folder_ / (std::to_string(number) + ".png");
    entry.kind = "generate";
    entry.provenance.request.prompt = prompt;
    entry.provenance.model = "stable-diffusion-3.5-medium";
    entry.stats.created = "2026-11-24T22:51:07";
    entry.number = number;
    return entry;
  }

  void change(const char* sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(text_of(file()).c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }

  std::string refusal() const {
    try {
      open().list();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::io);
      return told(error.message());
    }
    return "it was opened";
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / ("fude_history_" + std::to_string(std::random_device{}()));
};

std::string dump(const HistoryEntry& e) {
  const ModelFiles& f = e.files;
  return nlohmann::ordered_json({e.id, e.path.string(), e.kind, json_from(e.provenance), json_from(e.stats), f.model, f.clip_l,
                                 f.clip_g, f.t5, f.vae, f.tokenizers, f.no_t5, e.threads, e.sha256, e.session.string(),
                                 e.number, e.rating})
      .dump();
}

std::vector<int64_t> ids_of(const std::vector<HistoryEntry>& entries) {
  std::vector<int64_t> ids;
  for (const HistoryEntry& entry : entries) ids.push_back(entry.id);
  return ids;
}

using Ids = std::vector<int64_t>;

TEST_F(HistoryFile, KeepsEverything) {
  HistoryEntry entry = entry_of("温泉のカピバラ, \"quoted\"\nsecond line");
  Request& request = entry.provenance.request;
  request.seed = 18446744073709551615u;
  request.batch = 4;
  request.variation = {.seed = 9223372036854775808u, .amount = 0.25};
  request.draft = {.width = 256, .height = 384, .steps = 12, .strength = 0.4};
  entry.provenance.model_hash = "0123456789";
  entry.provenance.device = "cuda";
  entry.provenance.dtype = "bf16";
  entry.provenance.no_t5 = true;
  entry.stats.seconds = {.load = 1, .encode = 2, .denoise = 3.25, .decode = 4, .total = 10.5};
  entry.stats.step_seconds = {0.1, 0.2};
  entry.stats.planned = {.host = 1, .device = int64_t{1} << 40};
  entry.stats.used = {.host = 3, .device = 4};
  entry.stats.peak_host = 5;
  entry.stats.version = "0.1.0";
  entry.stats.libraries = "oneDNN 2.6.3";
  entry.files = {
      .model = "/models/some", .clip_l = "a", .clip_g = "b", .t5 = "c", .vae = "d", .tokenizers = "e", .no_t5 = true};
  entry.threads = 3;
  entry.sha256 = std::string(64, 'a');
  entry.session = folder_ / "gacha";
  entry.number = 7;
  entry.id = open().add(entry);
  EXPECT_GT(entry.id, 0);
  EXPECT_EQ(dump(open().find(entry.id).value()), dump(entry));
  EXPECT_EQ(dump(open().find(folder_ / "gacha/", 7).value()), dump(entry));
  EXPECT_EQ(dump(open().list().at(0)), dump(entry));
  EXPECT_FALSE(open().find(entry.id + 1));
  EXPECT_FALSE(open().find(folder_ / "gacha", 8));
}

TEST_F(HistoryFile, APathHasOneEntry) {
  History history = open();
  HistoryEntry entry = entry_of("a cat");
  const int64_t id = history.add(entry);
  const int64_t other = history.add(entry_of("a dog", 2));
  EXPECT_TRUE(history.rate(id, 4));
  entry.path = folder_ / "x" / ".." / "1.png";
  entry.stats.created = "2026-11-25T00:00:00";
  EXPECT_EQ(history.add(entry), id);
  EXPECT_EQ(history.find(id)->rating, 4);
  EXPECT_EQ(history.find(id)->stats.created, "2026-11-25T00:00:00");
  EXPECT_EQ(ids_of(history.list()), (Ids{other, id}));

  entry.provenance.request.prompt = "a horse";  // another picture took the file's name
  EXPECT_EQ(history.add(entry), id);
  EXPECT_EQ(history.find(id)->rating, 0);
  EXPECT_EQ(ids_of(history.list({.search = "horse"})), Ids{id});
  EXPECT_EQ(ids_of(history.list({.search = "cat"})), Ids{});
}

TEST_F(HistoryFile, FindsWordsInPrompts) {
  History history = open();
  const char* prompts[] = {"温泉のカピバラ、木版画", "a 100% \"honest\" snake_case CAT OR dog 17\"wide",
                           "1000 snakes case NEAR(the) sea*", "猫"};
  for (int64_t i = 0; i < 4; ++i) history.add(entry_of(prompts[i], i + 1));
  const std::pair<const char*, Ids> cases[] = {
      {"カピバラ", {1}}, {"温泉", {1}},       {"猫", {4}},          {"カピ　木版画", {1}},
      {"cat", {2}},      {"dog honest", {2}}, {"dog sea", {}},      {"\"honest\"", {2}},
      {"17\"wide", {2}}, {"OR", {2}},         {"100%", {2}},        {"0%", {2}},
      {"e_c", {2}},      {"_", {2}},          {"NEAR(the)", {3}},   {"sea*", {3}},
      {"se*", {}},       {"cat*", {}},        {"-cat", {}},         {"prompt:cat", {}},
      {"\"", {2}},       {"'", {}},           {"  ", {4, 3, 2, 1}}, {"snake", {3, 2}},
      {"NOT", {}},       {"\\", {}},
  };
  for (const auto& [search, ids] : cases) EXPECT_EQ(ids_of(history.list({.search = search})), ids) << search;
}

TEST_F(HistoryFile, Filters) {
  History history = open();
  for (int64_t i = 1; i <= 5; ++i) {
    HistoryEntry entry = entry_of("a cat", i);
    entry.stats.created = "2026-11-2" + std::to_string(i) + "T12:00:00";
    entry.kind = i % 2 ? "generate" : "gacha";
    entry.provenance.model = i < 3 ? "medium_1" : "mediumX1";
    entry.session = i < 3 ? folder_ / "one" : folder_ / "two";
    history.rate(history.add(entry), static_cast<int>(i));
  }
  EXPECT_EQ(ids_of(history.list({.limit = 2})), (Ids{5, 4}));
  EXPECT_EQ(ids_of(history.list({.rating = 4})), (Ids{5, 4}));
  EXPECT_EQ(ids_of(history.list({.model = "M_1"})), (Ids{2, 1}));
  EXPECT_EQ(ids_of(history.list({.kind = "gacha"})), (Ids{4, 2}));
  EXPECT_EQ(ids_of(history.list({.since = "2026-11-22", .until = "2026-11-24"})), (Ids{4, 3, 2}));
  EXPECT_EQ(ids_of(history.list({.since = "2026-11-22T12:00:01", .until = "2026-11-24T11"})), (Ids{3}));
  EXPECT_EQ(ids_of(history.list({.session = folder_ / "one"})), (Ids{2, 1}));
  EXPECT_EQ(ids_of(history.list({.search = "cat", .rating = 2, .kind = "gacha", .limit = 1})), (Ids{4}));
}

TEST_F(HistoryFile, Rates) {
  History history = open();
  const int64_t id = history.add(entry_of("a cat"));
  EXPECT_TRUE(history.rate(id, 5));
  EXPECT_EQ(open().find(id)->rating, 5);
  EXPECT_FALSE(history.rate(id + 1, 5));
}

TEST_F(HistoryFile, KnowsTheLastSession) {
  History history = open();
  EXPECT_FALSE(history.last_session("gacha"));
  history.add_session({"gacha", folder_ / "one", "2026-11-24T22:00:00"});
  history.add_session({"gacha", folder_ / "two", "2026-11-24T23:00:00"});
  history.add_session({"sweep", folder_ / "three", "2026-11-24T23:30:00"});
  EXPECT_EQ(history.last_session("gacha")->folder, folder_ / "two");
  history.add_session({"gacha", folder_ / "one", "2026-11-24T23:40:00"});
  EXPECT_EQ(history.last_session("gacha")->folder, folder_ / "one");
  EXPECT_EQ(history.last_session("gacha")->created, "2026-11-24T23:40:00");
  EXPECT_EQ(history.last_session("sweep")->kind, "sweep");
}

TEST_F(HistoryFile, ManyWriteAtOnce) {
  constexpr int kWriters = 8, kEach = 20;
  std::vector<std::thread> writers;  // each with connections of its own, as processes have; all begin with a file to be made
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([this, writer] {
      for (int i = 0; i < kEach; ++i) {
        History history = open();
        history.add(entry_of("a cat", writer * kEach + i));
        history.list({.search = "cat", .limit = 1});
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(open().list({.search = "cat"}).size(), size_t{kWriters * kEach});
}

TEST_F(HistoryFile, IsInWalMode) {
  open().add(entry_of("a cat"));
  std::ifstream stream(file(), std::ios::binary);
  char header[20] = {};
  stream.read(header, sizeof header);
  EXPECT_EQ(header[18], 2);
}

TEST_F(HistoryFile, RefusesANewerOne) {
  open().add(entry_of("a cat"));
  change("PRAGMA user_version = 2");
  EXPECT_NE(refusal().find("newer version of fude (layout 2"), std::string::npos) << refusal();
}

TEST_F(HistoryFile, RefusesWhatIsNoHistory) {
  fs::create_directories(file().parent_path());
  change("CREATE TABLE recipes (name TEXT)");
  EXPECT_NE(refusal().find("database of another program"), std::string::npos) << refusal();

  std::ofstream(file(), std::ios::binary)
      << "this is a letter to a friend, longer than the header of a database would be, all in "
         "all more than a hundred characters";
  EXPECT_NE(refusal().find("is no database"), std::string::npos) << refusal();

  fs::remove(file());
  fs::create_directory(file());
  EXPECT_NE(refusal().find("cannot be opened"), std::string::npos) << refusal();
}

TEST_F(HistoryFile, ADamagedOneIsAnError) {
  for (int64_t i = 0; i < 100; ++i) open().add(entry_of("a cat", i));
  std::string bytes(fs::file_size(file()), '\0');
  std::ifstream(file(), std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  for (const uint32_t seed : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u}) {
    std::string damaged = bytes;
    std::mt19937 random(seed);
    for (int i = 0; i < 200; ++i) damaged[100 + random() % (damaged.size() - 100)] = static_cast<char>(random());
    if (seed % 4 == 0) damaged.resize(damaged.size() / 2);
    std::ofstream(file(), std::ios::binary) << damaged;
    try {
      History history = open();
      history.add(entry_of("a dog", 1));
      history.list({.search = "cat"});
      history.list();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::io) << error.what();
    }
  }
}

TEST_F(HistoryFile, ADamagedEntryIsNamed) {
  History history = open();
  history.add(entry_of("a cat"));
  change("UPDATE pictures SET provenance = '{\"steps\": \"many\"}'");
  EXPECT_NE(refusal().find("entry 1 of the history is damaged"), std::string::npos) << refusal();
}

TEST_F(HistoryFile, AFolderThatCannotBeMade) {
  std::ofstream(folder_.string()) << "a file";
  EXPECT_NE(refusal().find("[choose_home]"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace fude
