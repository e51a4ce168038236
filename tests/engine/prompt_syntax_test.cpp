// Syntax of other programs within prompts: it is named in a warning, and plain text is left alone.
#include "engine/prompt_syntax.h"

#include <gtest/gtest.h>

#include <vector>

namespace fude {
namespace {

std::string warning_of(const std::string& prompt) { return foreign_syntax_in(std::vector{prompt}).what; }

TEST(PromptSyntax, OfOtherProgramsIsNamed) {
  for (const std::string piece :
       {"(cat:1.3)",      "(a red cat :.8)", "(cat:-1)",     "((cat))",        "(cat)1.2",   "(cat)++",    "[dog]",
        "[cat:dog:0.5]",  "[cat|dog]",       "<lora:x:0.8>", "<hypernet:x:1>", "<embed:x>",  "BREAK",      "AND",
        "__animal__",     "__a/b-*__",       "{2::a|b}",     "{2$$a|b}",       "{red|blue}", "1.2::cat::", "-0.8::feet::",
        "embedding:x",    "embedding:x.pt",  "\\\\(",        "fox++",          "fox--",      "a_fox+++",   "{{fox}}",
        "{{{a red fox}}}"}) {
    const std::string text = piece == "\\\\(" ? "\\(" : piece;
    const std::string warning = warning_of("a photo of " + text + " on grass");
    EXPECT_NE(warning.find('"' + text + '"'), std::string::npos) << text << ": " << warning;
  }
}

TEST(PromptSyntax, PlainTextIsLeftInPeace) {
  for (const std::string prompt : {"a cat (sitting) on a bench",
                                   "a cat (red) and a dog (blue)",
                                   "time 12:30 (noon)",
                                   "{cat}",
                                   "a {big} cat",
                                   "ratio 16:9",
                                   "I <3 cats",
                                   "a < b > c",
                                   "CATS AND DOGS",
                                   "Jack and Jill, BREAKFAST",
                                   "snake_case and __init",
                                   "C++ code on a screen",
                                   "a cat -- a dog",
                                   "a cat--dog",
                                   "A+ and g++, c--",
                                   "std::vector",
                                   "a b::c",
                                   "f(x)",
                                   "see (1)",
                                   "温泉のカピバラ（木版画）",
                                   "it costs 5$",
                                   "a | b",
                                   "",
                                   "\\",
                                   "(",
                                   "[",
                                   "{",
                                   "<lora",
                                   "__",
                                   "1.2::",
                                   "path\\to\\file"})
    EXPECT_EQ(warning_of(prompt), "") << prompt;
}

TEST(PromptSyntax, OneWarningNamesAllPieces) {
  const std::string warning =
      foreign_syntax_in(std::vector<std::string>{"(cat:1.3), [dog], (cat:1.3)", "<lora:x:0.8> BREAK here"}).what;
  for (const char* piece : {"\"(cat:1.3)\", \"[dog]\"", "\"<lora:x:0.8>\"", "\"BREAK\""})
    EXPECT_NE(warning.find(piece), std::string::npos) << warning;
  std::string many;
  for (int i = 0; i < 50; ++i) many += "(cat:1." + std::to_string(i) + ") ";
  EXPECT_NE(warning_of(many).find("and 45 more"), std::string::npos);
}

TEST(PromptSyntax, ChoicesWithWeightsAreNamedForAGacha) {
  const auto choices = [](const std::string& prompt) { return foreign_choices_in(std::vector{prompt}); };
  for (const std::string piece : {"{2::a|b}", "{a|2::b}", "{2$$a|b}", "{1-2$$, $$a|b}"})
    EXPECT_NE(choices("a " + piece + " cat").find('"' + piece + '"'), std::string::npos) << piece;
  for (const std::string prompt : {"a {red|blue} cat", "{a}", "(cat:1.3)"}) EXPECT_EQ(choices(prompt), "");
}

TEST(PromptSyntax, HostilePromptsTakeLinearTime) {
  for (const std::string piece : {"(", "[", "{", "<a:", "__a", "1::", "\\", "A", "embedding:"}) {
    std::string prompt;
    while (prompt.size() < (size_t{1} << 17)) prompt += piece;
    warning_of(prompt);
  }
}

}  // namespace
}  // namespace fude
