// What the contact sheet of a sweep or gacha says: its axes, what all pictures share, what each candidate chose.
#include "session/sheet_layout.h"

#include <gtest/gtest.h>

namespace fude {
namespace {

SessionSpec sweep() {
  SessionSpec spec;
  spec.kind = kSweep;
  spec.engine.dtype = "f32";
  spec.grid.request = {.prompt = "a cat", .negative = "fog", .width = 64, .height = 48, .steps = 28, .seed = 7, .shift = 3.0};
  spec.grid.guidances = {0.5, 7.25};
  spec.grid.steps = {2, 30};
  return spec;
}

TEST(Layout, HasTheAxesAsPeopleTypeThem) {
  SessionSpec spec = sweep();
  spec.dtypes = {"f32", "bf16"};
  spec.grid.sizes = {{64, 48}, {96, 64}};
  const Arrangement arrangement = layout_of(spec, "demo");
  std::vector<std::string> axes;
  for (const Axis& axis : arrangement.axes) {
    axes.push_back(axis.name);
    for (const std::string& value : axis.values) axes.back() += ' ' + value;
  }
  EXPECT_EQ(axes, (std::vector<std::string>{"dtype f32 bf16", "size 64x48 96x64", "guidance 0.5 7.25", "steps 2 30"}));
  EXPECT_EQ(arrangement.count, 16);
  EXPECT_EQ(arrangement.size, (Size{96, 64}));
  EXPECT_EQ(arrangement.lines, (std::vector<std::string>{"seed 7 · euler · shift 3", "without fog", "demo"}));
}

TEST(Layout, NamesWhatAllShareOnce) {
  SessionSpec spec = sweep();
  const Arrangement arrangement = layout_of(spec, "demo");
  EXPECT_EQ(arrangement.title, "a cat");
  EXPECT_EQ(arrangement.lines, (std::vector<std::string>{"seed 7 · 64×48 · euler · shift 3", "without fog", "demo, f32"}));
  EXPECT_EQ(label_of(spec, arrangement, tasks_of(spec)[2]), "guidance 7.25, 2 steps");
  spec.grid.steps.clear();
  spec.grid.guidances.clear();
  spec.grid.request.guidance = 1;
  EXPECT_EQ(layout_of(spec, "demo").lines[0], "28 steps · guidance 1 (off) · seed 7 · 64×48 · euler · shift 3");
  EXPECT_EQ(label_of(spec, layout_of(spec, "demo"), tasks_of(spec)[0]), "seed 7");
}

TEST(Layout, OfAGachaIsAFlow) {
  SessionSpec spec = sweep();
  spec.kind = kGacha;
  spec.grid = {.request = {.width = 64, .height = 64, .seed = 7}, .prompts = {"a {red|blue} cat"}};
  spec.count = 3;
  const Arrangement arrangement = layout_of(spec, "demo");
  EXPECT_TRUE(arrangement.axes.empty());
  EXPECT_EQ(arrangement.count, 3);
  EXPECT_EQ(arrangement.title, "a {red|blue} cat");
  EXPECT_NE(arrangement.lines[0].find("seeds from 7"), std::string::npos);
  EXPECT_EQ(arrangement.choices, (std::vector<std::string>{"red", "blue", "red"}));
  EXPECT_EQ(label_of(arrangement, 2), "blue");
  EXPECT_TRUE(arrangement.candidates);
  EXPECT_FALSE(layout_of(sweep(), "demo").candidates);
  EXPECT_EQ(label_of(spec, arrangement, tasks_of(spec)[1]), "seed 8, a blue cat");
  spec.grid.prompts = {"a cat"};
  EXPECT_TRUE(layout_of(spec, "demo").choices.empty());
  EXPECT_EQ(label_of(layout_of(spec, "demo"), 2), "");
  EXPECT_EQ(label_of(spec, arrangement, tasks_of(spec)[1]), "seed 8");
}

TEST(Layout, NamesEveryChoiceOfACandidate) {
  SessionSpec spec = sweep();
  spec.kind = kGacha;
  spec.count = 4;
  spec.in_a_row = 2;
  const auto choices = [&](const std::vector<std::string>& prompts) {
    spec.grid.prompts = prompts;
    return layout_of(spec, "demo").choices;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(choices({"{ 子犬 |ねこ}、{雪|}"}), (Texts{"子犬 · 雪", "子犬 · 雪", "ねこ · —", "ねこ · —"}));
  const std::string large = "白くてふわふわの、雪の中で眠っているとても大きな猫";  // 25 characters
  EXPECT_EQ(choices({"{" + large + "|" + large + "}{雪|雪}"})[0],
            large.substr(0, large.size() - std::string("猫").size()) + "… · 雪");
  EXPECT_EQ(choices({"{" + large + "|" + large + "}"})[0], large);  // has the caption to itself
  EXPECT_EQ(choices({"a cat", "a {red|red} dog"}), (Texts{"a cat", "a cat", "a red dog", "a red dog"}));
}

}  // namespace
}  // namespace fude
