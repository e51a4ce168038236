// Lists and ranges on the command line: `5,10,20..70:10`, sizes, names, and what is refused.
#include "session/ranges.h"

#include <gtest/gtest.h>

#include "fude/error.h"

namespace fude {
namespace {

using Integers = std::vector<int64_t>;
using Numbers = std::vector<double>;
using Seeds = std::vector<uint64_t>;

template <class Read>
std::string refusal_of(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    return error.what();
  }
  return {};
}

TEST(Ranges, OfIntegers) {
  EXPECT_EQ(integers_in("--steps", "5,10,20..70:10"), (Integers{5, 10, 20, 30, 40, 50, 60, 70}));
  EXPECT_EQ(integers_in("--steps", "1..4"), (Integers{1, 2, 3, 4}));
  EXPECT_EQ(integers_in("--steps", " 7 , 8 .. 9 "), (Integers{7, 8, 9}));
  EXPECT_EQ(integers_in("--steps", "20..45:10"), (Integers{20, 30, 40}));
  EXPECT_EQ(integers_in("--steps", "5..5"), (Integers{5}));
  EXPECT_EQ(integers_in("--steps", "5,3..6,5"), (Integers{5, 3, 4, 6}));
}

TEST(Ranges, StepDecimalFractionsExactly) {
  EXPECT_EQ(numbers_in("--guidance", "0..1:0.1"), (Numbers{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}));
  EXPECT_EQ(numbers_in("--guidance", "0.5,2,5,7.5,10"), (Numbers{0.5, 2, 5, 7.5, 10}));
  EXPECT_EQ(numbers_in("--guidance", "-1..1"), (Numbers{-1, 0, 1}));
  EXPECT_EQ(numbers_in("--guidance", "2.25..2.5:0.125"), (Numbers{2.25, 2.375, 2.5}));
  EXPECT_EQ(numbers_in("--guidance", "7,7.0,7.00"), (Numbers{7}));
}

TEST(Ranges, OfSeedsUseAll64Bits) {
  EXPECT_EQ(seeds_in("--seed", "1..3,18446744073709551614..18446744073709551615"),
            (Seeds{1, 2, 3, 18446744073709551614u, 18446744073709551615u}));
  EXPECT_EQ(seeds_in("--seed", "0..18446744073709551615:9223372036854775807"),
            (Seeds{0, 9223372036854775807u, 18446744073709551614u}));
}

TEST(Ranges, OfSizesAndNames) {
  EXPECT_EQ(sizes_in("--size", "512x512,768x512,512"), (std::vector<Size>{{512, 512}, {768, 512}}));
  EXPECT_EQ(names_in("--dtype", "f32, bf16,f32"), (std::vector<std::string>{"f32", "bf16"}));
}

TEST(Ranges, OfOneSizeTakeAnyPixels) {
  EXPECT_EQ(size_in("--size", "768x512"), (Size{768, 512}));
  EXPECT_EQ(size_in("--size", "768×512"), (Size{768, 512}));
  EXPECT_EQ(size_in("--size", "99999"), (Size{99999, 99999}));
}

TEST(Ranges, CountWhatCameAgain) {
  size_t repeats = 0;
  EXPECT_EQ(seeds_in("--seed", "1,1..3,3", &repeats).size(), 3u);
  EXPECT_EQ(repeats, 2u);
  EXPECT_EQ(numbers_in("--guidance", "7,7.0", &repeats).size() + integers_in("--steps", "4,4,5", &repeats).size(), 3u);
  EXPECT_EQ(sizes_in("--size", "64,64x64", &repeats).size() + names_in("--dtype", "f32,f32", &repeats).size(), 2u);
  EXPECT_EQ(repeats, 6u);
}

TEST(Ranges, RefuseWhatIsNone) {
  for (const auto& [text, word] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "no value"},
           {"  ", "no value"},
           {"5,", "comma"},
           {",5", "comma"},
           {"5,,6", "comma"},
           {"70..20:10", "backwards"},
           {"1..5:0", "never ends"},
           {"1..5:-1", "below 0"},
           {"1..1000000", "more than 100000 values"},
           {"1..9:0.00001", "more than 100000 values"},
           {"5..", "not a number"},
           {"..5", "not a number"},
           {"1...5", "not a number"},
           {"1..5:", "not a number"},
           {"1..2..3", "not a number"},
           {"five", "not a number"},
           {"1e3", "not a number"},
           {"nan", "not a number"},
           {"0x10", "not a number"},
           {"99999999999999999999", "not a number"},
           {"9999999999.999999999", "too large"},
           {"4.5", "no whole number"},
           {"1..2:0.5", "no whole number"},
           {"5000000000", "no whole number"},
       }) {
    const std::string refusal = refusal_of([&] { integers_in("--steps", text); });
    EXPECT_NE(refusal.find(word), std::string::npos) << text << ": " << refusal;
    EXPECT_TRUE(refusal.starts_with("--steps ")) << refusal;
  }
  for (const char* text : {"-1", "18446744073709551616", "1.5", "3..1", "random", "0..18446744073709551615"})
    EXPECT_NE(refusal_of([&] { seeds_in("--seed", text); }), "") << text;
  for (const char* text : {"x", "512x", "x512", "512x512x512", "512 512", "big", "0x0", "512x500", "-512x512"})
    EXPECT_NE(refusal_of([&] { sizes_in("--size", text); }), "") << text;
}

TEST(Ranges, RefuseTooManyValuesInAll) {
  EXPECT_NE(refusal_of([] { seeds_in("--seed", "1..60000,100001..160000"); }).find("more than 100000"), std::string::npos);
  EXPECT_EQ(seeds_in("--seed", "1..100000").size(), 100000u);
}

}  // namespace
}  // namespace fude
