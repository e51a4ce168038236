// Choices in prompts, `{red|blue}`: how they are parsed, counted, and spread over the candidates.
#include "session/wildcards.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "fude/error.h"

namespace fude {
namespace {

using Texts = std::vector<std::string>;

Texts all_of(const Texts& prompts) {
  const Wildcards wildcards(prompts);
  Texts texts;
  for (uint64_t i = 0; i < wildcards.combinations(); ++i) texts.push_back(wildcards.combination(i));
  return texts;
}

std::string refusal_of(const std::string& prompt) {
  try {
    Wildcards{{prompt}};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return error.what();
  }
  return {};
}

TEST(Wildcards, StandForAllCombinations) {
  EXPECT_EQ(all_of({"a {red|blue} {cat|dog}!"}), (Texts{"a red cat!", "a red dog!", "a blue cat!", "a blue dog!"}));
  EXPECT_EQ(all_of({"a cat"}), (Texts{"a cat"}));
  EXPECT_EQ(all_of({""}), (Texts{""}));
  EXPECT_EQ(all_of({"{|very }old"}), (Texts{"old", "very old"}));
}

TEST(Wildcards, LeaveBracesWithoutABarAsTheyAre) {
  EXPECT_EQ(all_of({"{a}"}), (Texts{"{a}"}));
  EXPECT_EQ(all_of({"{}"}), (Texts{"{}"}));
  EXPECT_EQ(all_of({"a {{big}} {red|blue} cat {x}"}), (Texts{"a {{big}} red cat {x}", "a {{big}} blue cat {x}"}));
  EXPECT_EQ(all_of({"{a {red|blue} cat}"}), (Texts{"{a red cat}", "{a blue cat}"}));
  EXPECT_EQ(all_of({"{a {b}|c}"}), (Texts{"a {b}", "c"}));
}

TEST(Wildcards, MayBeNested) {
  EXPECT_EQ(all_of({"{a {red|blue} cat|{one|two} dogs|fish}"}),
            (Texts{"a red cat", "a blue cat", "one dogs", "two dogs", "fish"}));
}

TEST(Wildcards, LeaveRoomForBracesAndBars) {
  EXPECT_EQ(all_of({R"(\{a|b\} {x\|y|z} \\ \n c:\)"}), (Texts{R"({a|b} x|y \ \n c:\)", R"({a|b} z \ \n c:\)"}));
}

TEST(Wildcards, MayBeAvoided) {
  const std::string text = R"({a|b} \{ 
 c:\)";
  EXPECT_EQ(all_of({literally(text)}), Texts{text});
}

TEST(Wildcards, OfSeveralPrompts) { EXPECT_EQ(all_of({"a | b", "{c|d}"}), (Texts{"a | b", "c", "d"})); }

TEST(Wildcards, TellWhatWasChosen) {
  const Wildcards wildcards({"{a {red|blue} cat|fish} in the {|snow}, {alone}"});
  for (uint64_t i = 0; i < 12; ++i) {
    const Texts chosen = wildcards.choices_of(i);
    ASSERT_EQ(chosen.size(), 2u);  // a choice within another is part of it, and braces around a single option are text
    EXPECT_EQ(chosen[0] + " in the " + chosen[1] + ", {alone}", wildcards.prompt_of(i));
  }
  EXPECT_EQ(Wildcards({"a cat"}).choices_of(5), Texts{});
  EXPECT_EQ(Wildcards({R"({\{x\}|\{x\}})"}).choices_of(1), Texts{"{x}"});
  const Wildcards prompts({"a {red|blue} cat", "a dog"});
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(prompts.choices_of(i), Texts{prompts.prompt_of(i)});
}

TEST(Wildcards, PointAtWhatIsUnbalanced) {
  EXPECT_NE(refusal_of("a {red|blue cat").find("byte 2"), std::string::npos);
  EXPECT_NE(refusal_of("a red} cat").find("byte 5"), std::string::npos);
  EXPECT_NE(refusal_of("{a|{b|c}").find("byte 0"), std::string::npos);
  EXPECT_NE(refusal_of("{"), "");
  EXPECT_NE(refusal_of("}"), "");
  EXPECT_NE(refusal_of(std::string(100000, '{')), "");
}

TEST(Wildcards, RefuseMoreCombinationsThanTheyCount) {
  std::string prompt;
  for (int i = 0; i < 46; ++i) prompt += "{a|b}";
  EXPECT_EQ(refusal_of(prompt), "");
  EXPECT_NE(refusal_of(prompt + "{a|b}").find("combinations"), std::string::npos);
  std::string wide = "{" + prompt;
  for (int i = 0; i < 4; ++i) wide += '|' + prompt;
  EXPECT_NE(refusal_of(wide + '}').find("combinations"), std::string::npos);
}

TEST(Wildcards, ComeEquallyOften) {
  const Wildcards wildcards({"{a|b|c} {d|e} {f|g|h|i}"});
  std::map<std::string, int> times;
  for (uint64_t i = 0; i < 48; ++i) ++times[wildcards.prompt_of(i)];
  ASSERT_EQ(times.size(), 24u);
  for (const auto& [prompt, count] : times) EXPECT_EQ(count, 2) << prompt;
}

TEST(Wildcards, DifferInEveryChoiceSoon) {
  const Wildcards wildcards({"{a|b} {c|d} {e|f} {g|h}"});
  std::array<std::set<char>, 4> seen;
  for (uint64_t i = 0; i < 5; ++i) {
    for (size_t choice = 0; choice < 4; ++choice) seen[choice].insert(wildcards.prompt_of(i)[choice * 2]);
  }
  for (const auto& letters : seen) EXPECT_EQ(letters.size(), 2u);
  const Wildcards many({std::string("{a|b}") + "{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}" +
                        "{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}" +
                        "{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}{0|1|2|3|4|5|6|7|8|9}"});
  std::set<std::string> prompts;
  for (uint64_t i = 0; i < 100000; i += 97) prompts.insert(many.prompt_of(i));
  EXPECT_EQ(prompts.size(), 1031u);
}

}  // namespace
}  // namespace fude
