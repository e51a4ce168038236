// What a sweep or gacha is to draw: its text in session.json, its cells and batches, its limits, and hostile input.
#include "session/spec.h"

#include <gtest/gtest.h>

#include <set>

#include "fude/error.h"

namespace fude {
namespace {

SessionSpec sweep() {
  SessionSpec spec;
  spec.kind = kSweep;
  spec.created = "2026-11-24T22:51:07";
  spec.files = {.model = "/models/\"Größe\"", .vae = "/vae.safetensors", .no_t5 = true};
  spec.engine = {.device = "cpu", .dtype = "f32", .threads = 3};
  spec.model_hash = "0123456789abcdef";
  spec.dtypes = {"f32", "bf16"};
  Grid& grid = spec.grid;
  grid.request = {.prompt = "温泉", .negative = "fog", .width = 64, .height = 48, .steps = 28, .shift = 3.0};
  grid.sizes = {{64, 64}, {96, 64}};
  grid.guidances = {0.5, 7.1};
  grid.steps = {2, 3, 4};
  grid.seeds = {18446744073709551615u};
  return spec;
}

SessionSpec gacha() {
  SessionSpec spec = sweep();
  spec.kind = kGacha;
  spec.dtypes = {};
  spec.grid = {.request = {.width = 64, .height = 64, .steps = 2, .seed = 18446744073709551614u},
               .prompts = {"{red|blue} cat"}};
  spec.count = 7;
  spec.in_a_row = 3;
  spec.minutes = 1.5;
  return spec;
}

TEST(SessionSpec, ComesBackFromItsText) {
  for (const SessionSpec& spec : {sweep(), gacha()}) {
    const SessionSpec read = spec_from(text_from(spec), "session.json");
    EXPECT_EQ(text_from(read), text_from(spec));
    EXPECT_EQ(read.files.model, spec.files.model);
    EXPECT_EQ(read.engine.threads, 3);
    EXPECT_EQ(read.model_hash, spec.model_hash);
    EXPECT_EQ(tasks_of(read).size(), tasks_of(spec).size());
  }
}

TEST(SessionSpec, OfATimeIsAsManyPicturesAsFit) {
  EXPECT_EQ(count_in_time(1, 60, 2), 31);
  EXPECT_EQ(count_in_time(31, 1.9, 2), 31);
  EXPECT_EQ(count_in_time(31, -5, 2), 31);  // what is drawn stays
  EXPECT_EQ(count_in_time(0, 0, 2), 1);
  EXPECT_EQ(count_in_time(1, 7 * 24 * 3600, 0), 100000);
  EXPECT_EQ(count_in_time(100000, 60, 2), 100000);
}

TEST(SessionSpec, OfASweepIsEveryCombination) {
  const std::vector<Task> tasks = tasks_of(sweep());
  ASSERT_EQ(tasks.size(), 24u);
  EXPECT_EQ(count_of(sweep()), 24);
  for (size_t i = 0; i < tasks.size(); ++i) {
    const Request& request = tasks[i].request;
    EXPECT_EQ(tasks[i].number, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(tasks[i].dtype, i < 12 ? "f32" : "bf16");
    EXPECT_EQ(request.width, i / 6 % 2 ? 96 : 64);
    EXPECT_EQ(request.guidance, i / 3 % 2 ? 7.1 : 0.5);
    EXPECT_EQ(request.steps, static_cast<int64_t>(i % 3) + 2);
    EXPECT_EQ(request.seed, 18446744073709551615u);
    EXPECT_EQ(request.negative, "fog");
  }
}

TEST(SessionSpec, OfAGachaCountsSeedsAndChoosesPrompts) {
  const std::vector<Task> tasks = tasks_of(gacha());
  ASSERT_EQ(tasks.size(), 7u);
  EXPECT_EQ(tasks[0].request.seed, 18446744073709551614u);
  EXPECT_EQ(tasks[2].request.seed, 0u);
  std::vector<std::string> prompts;
  for (const Task& task : tasks) prompts.push_back(task.request.prompt);
  EXPECT_EQ(prompts,
            (std::vector<std::string>{"red cat", "red cat", "red cat", "blue cat", "blue cat", "blue cat", "red cat"}));
  EXPECT_EQ(candidates_in_a_row(4, 64), 8);
  EXPECT_EQ(candidates_in_a_row(4, 9), 2);
  EXPECT_EQ(candidates_in_a_row(4, 2), 1);
  EXPECT_EQ(candidates_in_a_row(1u << 30, 64), 1);
}

TEST(SessionSpec, IsDrawnInBatchesOfOnePrompt) {
  const std::vector<Task> tasks = tasks_of(gacha());
  const auto sizes_of = [&](const SessionSpec& spec, std::vector<Task> left, int64_t most) {
    std::vector<int64_t> sizes;
    for (std::span<const Task> rest = left; !rest.empty();) {
      const Batch batch = next_batch(spec, rest, most);
      EXPECT_EQ(batch.request.seed, rest[0].request.seed);
      EXPECT_EQ(batch.request.count, static_cast<int64_t>(batch.tasks.size()));
      sizes.push_back(batch.request.count);
      rest = rest.subspan(batch.tasks.size());
    }
    return sizes;
  };
  EXPECT_EQ(sizes_of(gacha(), tasks, 100), (std::vector<int64_t>{3, 3, 1}));
  EXPECT_EQ(sizes_of(gacha(), tasks, 2), (std::vector<int64_t>{2, 1, 2, 1, 1}));
  EXPECT_EQ(sizes_of(gacha(), {tasks[0], tasks[2], tasks[3], tasks[5]}, 100), (std::vector<int64_t>{1, 1, 1, 1}));
  EXPECT_EQ(sizes_of(sweep(), tasks_of(sweep()), 100), std::vector<int64_t>(24, 1));
}

TEST(SessionSpec, HasBounds) {
  SessionSpec spec = sweep();
  for (int64_t i = 0; i < 100000; ++i) spec.grid.seeds.push_back(static_cast<uint64_t>(i));
  EXPECT_THROW(count_of(spec), Error);
  spec = sweep();
  spec.grid.seeds.resize(4166);
  EXPECT_EQ(count_of(spec), 24 * 4166);
  spec.grid.prompts = {std::string(1 << 20, 'a')};
  EXPECT_THROW(tasks_of(spec), Error);
  spec = gacha();
  spec.count = 100001;
  EXPECT_THROW(tasks_of(spec), Error);
}

TEST(SessionSpec, IsReadAsIfFromAnEnemy) {
  const auto refusal_of = [](const std::string& text) -> std::string {
    try {
      spec_from(text, "there/session.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::bad_request);
      EXPECT_NE(std::string(error.what()).find("there/session.json"), std::string::npos);
      return error.what();
    }
    return {};
  };
  const std::string good = text_from(sweep());
  const std::string pictures = text_from(gacha());
  for (size_t size = 0; size + 2 < good.size(); size += 7) EXPECT_NE(refusal_of(good.substr(0, size)), "") << size;
  const auto changed = [&](std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\"sweep\"", "\"../../etc\""},
           {"\"sweep\"", "7"},
           {"\"threads\": 3", "\"threads\": -3"},
           {"\"threads\": 3", "\"threads\": 99999999999"},
           {"\"threads\": 3", "\"threads\": 1e300"},
           {"\"/vae.safetensors\"", "[]"},
           {"\"steps\": 28", "\"steps\": 1e300"},
           {"18446744073709551615", "-1"},
           {"18446744073709551615", "1.5"},
           {"18446744073709551615", "[[[[[[[[[]]]]]]]]]"},
           {"7.1", "1e999"},
           {"7.1", "1e9"},
           {"\"bf16\"", "null"},
           {"\"request\"", "\"wish\""},
           {"\"axes\"", "\"axis\""},
       })
    EXPECT_NE(refusal_of(changed(good, from, to)), "") << to;
  for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
           {"\"count\": 7", "\"count\": 0"},
           {"\"count\": 7", "\"count\": 9223372036854775807"},
           {"\"count\": 7", "\"count\": 18446744073709551615"},
           {"\"in_a_row\": 3", "\"in_a_row\": 0"},
           {"{red|blue}", "{red|blue"},
       })
    EXPECT_NE(refusal_of(changed(pictures, from, to)), "") << to;
  EXPECT_NE(refusal_of(std::string(1 << 20, '[')), "");
  EXPECT_NE(refusal_of("[]"), "");
  EXPECT_NE(refusal_of(""), "");
}

}  // namespace
}  // namespace fude
