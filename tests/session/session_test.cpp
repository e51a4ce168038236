// A session's folder: its number, which pictures count as finished, and what is kept of candidates.
#include "session/session.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "engine/png.h"
#include "fude/error.h"
#include "temporary.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

class Sessions : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = temporary("session");
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static SessionSpec spec(std::string_view kind) {
    SessionSpec spec;
    spec.kind = kind;
    spec.grid.request = {.prompt = "a cat", .width = 16, .height = 16, .steps = 28, .seed = 5, .shift = 3.0};
    if (kind == kGacha) spec.grid.prompts = {"a cat"}, spec.count = 3;
    else spec.grid.steps = {1, 2};
    return spec;
  }

  static Image image() {
    Image image{.width = 16, .height = 16, .rgb = std::vector<uint8_t>(16 * 16 * 3, 7)};
    for (int i = 0; i < 16 * 2 * 2; ++i) image.noise.push_back(static_cast<float>(i)), image.latents.push_back(-1.5f);
    return image;
  }

  // As the program saves it.
  static void draw(const SessionFolder& session, const Task& task, Request request) {
    session.keep(task, image());
    const Provenance provenance{request, "model", "hash", "cpu", "f32"};
    write_file(session.picture(task), encode_png(image(), std::vector<PngText>{{"fude", json_from(provenance).dump()}}));
  }

  static std::string refusal_of(const std::function<void()>& read, Code code) {
    try {
      read();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return {};
  }

  fs::path folder_;
};

TEST_F(Sessions, AreNumbered) {
  const SessionFolder first = SessionFolder::create(folder_ / "day", spec(kSweep));
  const SessionFolder second = SessionFolder::create(folder_ / "day", spec(kSweep));
  const SessionFolder other = SessionFolder::create(folder_ / "day", spec(kGacha));
  EXPECT_EQ(first.path().filename(), "sweep-001");
  EXPECT_EQ(second.path().filename(), "sweep-002");
  EXPECT_EQ(other.path().filename(), "gacha-001");
  EXPECT_EQ(text_from(SessionFolder::open(second.path()).spec()), text_from(spec(kSweep)));
}

TEST_F(Sessions, KnowWhatIsFinished) {
  const SessionFolder session = SessionFolder::create(folder_, spec(kSweep));
  const std::vector<Task> tasks = tasks_of(session.spec());
  EXPECT_EQ(session.picture(tasks[1]).filename(), "00002-5.png");
  EXPECT_FALSE(session.finished(tasks[0]));
  Request request = tasks[0].request;
  request.batch = 4;  // does not change which picture it is
  draw(session, tasks[0], request);
  ASSERT_TRUE(session.finished(tasks[0]));
  EXPECT_EQ(session.finished(tasks[0])->rgb, image().rgb);
  EXPECT_EQ(session.finished(tasks[0])->batch, 4);
  EXPECT_FALSE(session.finished(tasks[1]));
}

TEST_F(Sessions, DoNotTakeABrokenPictureForFinished) {
  const SessionFolder session = SessionFolder::create(folder_, spec(kSweep));
  const Task task = tasks_of(session.spec())[0];
  draw(session, task, task.request);
  const std::vector<uint8_t> whole = read_file(session.picture(task), 1 << 20);
  for (size_t size = 0; size < whole.size(); size += 11) {
    write_file(session.picture(task), std::span(whole).first(size));
    EXPECT_FALSE(session.finished(task)) << size;
    std::vector<uint8_t> zeros = whole;  // as some file systems do after a power cut
    std::fill(zeros.begin() + static_cast<std::ptrdiff_t>(size), zeros.end(), uint8_t{0});
    write_file(session.picture(task), zeros);
    EXPECT_FALSE(session.finished(task)) << size;
  }
}

TEST_F(Sessions, DoNotDrawOverAnotherPicture) {
  const SessionFolder session = SessionFolder::create(folder_, spec(kSweep));
  const std::vector<Task> tasks = tasks_of(session.spec());
  draw(session, tasks[0], tasks[1].request);
  EXPECT_NE(refusal_of([&] { static_cast<void>(session.finished(tasks[0])); }, Code::bad_request).find("00001-5.png"),
            std::string::npos);
}

TEST_F(Sessions, RefuseFoldersThatAreNone) {
  EXPECT_NE(refusal_of([&] { SessionFolder::open(folder_ / "none"); }, Code::io), "");
  EXPECT_NE(refusal_of([&] { SessionFolder::open(folder_); }, Code::io).find("session.json"), std::string::npos);
  std::ofstream(folder_ / "session.json") << "{}";
  EXPECT_NE(refusal_of([&] { SessionFolder::open(folder_); }, Code::bad_request), "");
  std::ofstream(folder_ / "file") << "x";
  EXPECT_NE(refusal_of([&] { SessionFolder::create(folder_ / "file", spec(kSweep)); }, Code::io), "");
}

TEST_F(Sessions, GiveCandidatesWithAllThatWasKept) {
  const SessionFolder session = SessionFolder::create(folder_, spec(kGacha));
  const std::vector<Task> tasks = tasks_of(session.spec());
  draw(session, tasks[1], tasks[1].request);
  const Candidate candidate = candidate_of(session, 2);
  EXPECT_EQ(candidate.picture, session.path() / "00002-6.png");
  EXPECT_EQ(candidate.provenance.request.seed, 6u);
  EXPECT_EQ(candidate.noise, image().noise);
  EXPECT_EQ(candidate.latents, image().latents);
  EXPECT_NE(refusal_of([&] { candidate_of(session, 1); }, Code::bad_request).find("not drawn yet"), std::string::npos);
  for (const int64_t number : {0, 4, -1}) {
    EXPECT_NE(refusal_of([&] { candidate_of(session, number); }, Code::bad_request).find("1 to 3"), std::string::npos);
  }
  const SessionFolder sweep = SessionFolder::create(folder_, spec(kSweep));
  EXPECT_NE(refusal_of([&] { candidate_of(sweep, 1); }, Code::bad_request).find("gacha"), std::string::npos);
}

}  // namespace
}  // namespace fude
