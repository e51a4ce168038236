// A session with a small model: resuming, stopping, its time, failing saves, and a question answered no.
#include "studio/session_run.h"

#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "fude/error.h"
#include "gallery/history.h"
#include "temporary.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

// Remembers what it hears, and answers as a test wants.
class FakeReporter : public Reporter {
 public:
  void warning(const Message& message) override {
    const std::lock_guard lock(mutex_);
    warnings.push_back(message.what);
  }
  void not_kept(const NotKept& lost) override { not_kept_reason = lost.reason.what; }
  void begun(const SessionFolder& session, int64_t finished) override {
    folder = session.path();
    finished_before = finished;
  }
  void upcoming(const Upcoming& picture) override { drawn.push_back(picture.number); }
  void saved(const FinishedPicture& picture) override { saved_numbers.push_back(picture.number); }
  void skipped(int64_t number, const std::string&, const Error&) override { skipped_numbers.push_back(number); }
  bool agrees(const Extent& extent) override {
    asked = extent;
    return answer;
  }

  bool answer = true;
  std::vector<std::string> warnings;
  std::string not_kept_reason;
  fs::path folder;
  int64_t finished_before = -1;
  std::vector<int64_t> drawn, saved_numbers, skipped_numbers;
  std::optional<Extent> asked;

 private:
  std::mutex mutex_;
};

class SessionRuns : public testing::Test {
 protected:
  void SetUp() override {
    parent_ = temporary("studio");
    fs::create_directories(parent_);
  }
  void TearDown() override { fs::remove_all(parent_); }

  static SessionSpec spec(std::string_view kind) {
    SessionSpec spec;
    spec.kind = kind;
    spec.files.model = FUDE_SOURCE_DIR "/tests/fixtures/plain";
    spec.engine = {.device = "cpu", .dtype = "f32", .threads = 1};
    spec.grid.request = {.prompt = "a cat", .width = 16, .height = 16, .steps = 1, .seed = 7};
    if (kind == kGacha) {
      spec.grid.request.prompt.clear();
      spec.grid.prompts = {"a cat"};
      spec.count = 4;
    } else {
      spec.grid.seeds = {7, 8, 9, 10};
    }
    return spec;
  }

  SessionResult begin(const SessionSpec& spec, Reporter& reporter) {
    std::unique_ptr<Engine> engine;
    return begin_session(spec, parent_, setting_, reporter, engine);
  }
  SessionResult resume(const fs::path& folder, Reporter& reporter) {
    SessionFolder session = SessionFolder::open(folder);
    session.hold();
    std::unique_ptr<Engine> engine;
    return resume_session(std::move(session), setting_, reporter, engine);
  }
  static std::vector<int64_t> numbers_of(const SessionResult& result) {
    std::vector<int64_t> numbers;
    for (const SessionCell& cell : result.cells) numbers.push_back(cell.number);
    return numbers;
  }

  fs::path parent_;
  SessionSetting setting_{.history = {.file = {}, .why_none = {.what = "there is no folder."}}, .libraries = "of a test"};
};

using Numbers = std::vector<int64_t>;

TEST_F(SessionRuns, DrawEverythingAndTellOfIt) {
  FakeReporter reporter;
  const SessionResult result = begin(spec(kSweep), reporter);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.folder, parent_ / "sweep-001");
  EXPECT_EQ(reporter.folder, result.folder);
  EXPECT_EQ(result.finished, 4);
  EXPECT_EQ(numbers_of(result), (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(reporter.drawn, (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(reporter.saved_numbers, (Numbers{1, 2, 3, 4}));
  EXPECT_EQ(reporter.not_kept_reason, "there is no folder.");
  EXPECT_FALSE(reporter.asked);
  for (const SessionCell& cell : result.cells) EXPECT_TRUE(fs::exists(cell.file.path)) << cell.file.path;
  EXPECT_TRUE(fs::exists(result.sheet));
  EXPECT_TRUE(fs::exists(result.report));
  EXPECT_EQ(json_from(result)["cells"].size(), 4u);
}

TEST_F(SessionRuns, GoOnWithWhatIsMissing) {
  FakeReporter first;
  const fs::path folder = begin(spec(kSweep), first).folder;
  const fs::path missing = folder / "00003-9.png";
  const std::vector<uint8_t> before = read_file(missing, 1 << 20);
  fs::remove(missing);
  std::ofstream(folder / "00002-8.png") << "half a pict";

  setting_.history = {.file = parent_ / "history.sqlite3", .why_none = {}};
  FakeReporter second;
  const SessionResult result = resume(folder, second);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(second.finished_before, 2);
  EXPECT_EQ(second.drawn, (Numbers{2, 3}));
  EXPECT_EQ(result.drawn, 2);
  EXPECT_EQ(result.finished, 4);
  EXPECT_EQ(numbers_of(result), (Numbers{1, 4, 2, 3}));
  EXPECT_TRUE(fs::exists(missing));
  // The history hears of those too that were drawn when there was none.
  EXPECT_EQ(History(setting_.history.file).list().size(), 4u);
}

TEST_F(SessionRuns, LoseNothingFinishedWhenASaveFails) {
  // What stands where the third picture belongs is no file, and no file takes its place.
  class Obstructing : public FakeReporter {
   public:
    void begun(const SessionFolder& session, int64_t finished) override {
      FakeReporter::begun(session, finished);
      if (finished == 0) fs::create_directories(session.path() / "00003-9.png" / "inside");
    }
  } first;
  const SessionResult stopped = begin(spec(kSweep), first);
  ASSERT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.stopped->code(), Code::io);
  EXPECT_EQ(stopped.finished, 2);
  EXPECT_EQ(first.saved_numbers, (Numbers{1, 2}));
  EXPECT_TRUE(fs::exists(stopped.folder / "00001-7.png"));
  EXPECT_TRUE(fs::exists(stopped.folder / "00002-8.png"));

  fs::remove_all(stopped.folder / "00003-9.png");
  FakeReporter second;
  const SessionResult result = resume(stopped.folder, second);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(second.finished_before, 2);
  EXPECT_EQ(second.saved_numbers, (Numbers{3, 4}));
}

TEST_F(SessionRuns, StopWithAllThatIsFinished) {
  std::atomic<bool> stop = false;
  class Stopping : public FakeReporter {
   public:
    explicit Stopping(std::atomic<bool>& stop) : stop_(stop) {}
    void upcoming(const Upcoming& picture) override {
      FakeReporter::upcoming(picture);
      stop_ = picture.number == 3;
    }

   private:
    std::atomic<bool>& stop_;
  } first(stop);
  setting_.stop = &stop;
  const SessionResult stopped = begin(spec(kSweep), first);
  ASSERT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.stopped->code(), Code::cancelled);
  EXPECT_EQ(stopped.finished, 2);
  EXPECT_TRUE(fs::exists(stopped.report));

  FakeReporter early;
  EXPECT_THROW(resume(stopped.folder, early), Error) << "still stopped, and what is finished was not counted";
  stop = false;
  FakeReporter second;
  EXPECT_EQ(resume(stopped.folder, second).finished, 4);
}

TEST_F(SessionRuns, DrawNothingWhereTheAnswerIsNo) {
  SessionSpec large = spec(kSweep);
  large.grid.seeds.clear();
  for (uint64_t seed = 0; seed <= uint64_t{kManyPictures}; ++seed) large.grid.seeds.push_back(seed);
  FakeReporter reporter;
  reporter.answer = false;
  try {
    begin(large, reporter);
    FAIL() << "nobody agreed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::cancelled);
  }
  ASSERT_TRUE(reporter.asked);
  EXPECT_EQ(reporter.asked->pictures, kManyPictures + 1);
  EXPECT_EQ(reporter.asked->steps, kManyPictures + 1);
  EXPECT_FALSE(fs::exists(reporter.folder)) << "an empty session is left behind";
}

// How long a picture takes is the engine's, how much of the time is left a made-up clock's: over when this picture begins.
class TimeIsOverAt : public FakeReporter {
 public:
  explicit TimeIsOverAt(int64_t number) : number_(number) {}
  void upcoming(const Upcoming& picture) override {
    FakeReporter::upcoming(picture);
    if (picture.number == number_) time = 1e6;
  }
  double time = 0;

 private:
  const int64_t number_;
};

TEST_F(SessionRuns, KeepToTheirTime) {
  SessionSpec timed = spec(kGacha);
  timed.count = 1;
  timed.minutes = 2;
  for (const int64_t last : {1, 2}) {
    TimeIsOverAt reporter(last);
    setting_.now = [&] { return reporter.time; };
    const SessionResult result = begin(timed, reporter);
    EXPECT_FALSE(result.stopped);
    EXPECT_GE(result.finished, last) << "there was time for it";
    EXPECT_LE(result.finished, 17) << "one alone, to know how long it takes, then as many as are drawn together";
    EXPECT_EQ(result.finished, result.pictures);
    EXPECT_EQ(SessionFolder::open(result.folder).spec().count, result.pictures) << "who goes on with it finds nothing to do";
    EXPECT_FALSE(reporter.asked) << "who gives the time has agreed";
    EXPECT_TRUE(last == 2 || result.finished == 1) << "the one that was begun";
  }
}

}  // namespace
}  // namespace fude
