// Contact sheets: their size, what stands where, and text in fonts that lack characters.
#include "gallery/contact_sheet.h"

#include <gtest/gtest.h>

#include "fude/error.h"
#include "gallery/canvas.h"
#include "temporary.h"

namespace fude {
namespace {

constexpr uint8_t kStep = 5;  // between the reds of pictures with neighbouring numbers

Image plain(int64_t number, Size size) {
  Image image;
  image.width = size.width;
  image.height = size.height;
  for (int64_t i = 0; i < size.width * size.height; ++i)
    image.rgb.insert(image.rgb.end(), {static_cast<uint8_t>(number * kStep), 0, 200});
  return image;
}

Cell cell_of(int64_t number) {
  Cell cell;
  cell.number = number;
  cell.provenance.request.seed = 40 + static_cast<uint64_t>(number);
  cell.stats.seconds.total = 1.5;
  return cell;
}

struct Found {
  int64_t left = 0, top = 0, width = 0, height = 0;
};

// Where such a picture is; width 0: nowhere.
Found find(const Image& sheet, int64_t number) {
  int64_t left = sheet.width, top = sheet.height, right = -1, bottom = -1;
  for (int64_t y = 0; y < sheet.height; ++y) {
    for (int64_t x = 0; x < sheet.width; ++x) {
      const uint8_t* pixel = sheet.rgb.data() + (y * sheet.width + x) * 3;
      if (pixel[0] != number * kStep || pixel[1] != 0 || pixel[2] != 200) continue;
      left = std::min(left, x);
      right = std::max(right, x);
      top = std::min(top, y);
      bottom = std::max(bottom, y);
    }
  }
  return right < 0 ? Found{} : Found{left, top, right + 1 - left, bottom + 1 - top};
}

Arrangement arrangement_of(int64_t count, Size size, std::vector<Axis> axes = {}) {
  Arrangement arrangement;
  arrangement.title = "a capybara in a hot spring";
  arrangement.lines = {"28 steps · guidance 7"};
  arrangement.axes = std::move(axes);
  arrangement.count = count;
  arrangement.size = size;
  return arrangement;
}

TEST(ContactSheet, GrowsByOnePictureAtATime) {
  ContactSheet sheet(arrangement_of(7, {64, 48}));
  const Image before = sheet.render();
  EXPECT_EQ(find(before, 3).width, 0);
  sheet.add(cell_of(3), plain(3, {64, 48}));
  const Image after = sheet.render();
  const Found third = find(after, 3);
  EXPECT_EQ(third.width, 64);
  EXPECT_EQ(third.height, 48);
  ASSERT_EQ(before.rgb.size(), after.rgb.size());
  for (int64_t y = 0; y < after.height; ++y) {  // nothing else changes but what stands below it
    for (int64_t x = 0; x < after.width * 3; ++x) {
      const auto at = static_cast<size_t>(y * after.width * 3 + x);
      if (before.rgb[at] == after.rgb[at]) continue;
      EXPECT_GE(x / 3, third.left);
      EXPECT_LT(x / 3, third.left + third.width);
      EXPECT_GE(y, third.top);
      EXPECT_LT(y, third.top + third.height + 30);
    }
  }
  sheet.add(cell_of(8), plain(8, {64, 48}));  // is not part of the arrangement
  EXPECT_EQ(sheet.render().rgb, after.rgb);
}

TEST(ContactSheet, KeepsTheOrder) {
  ContactSheet sheet(arrangement_of(12, {64, 64}));
  for (const int64_t number : {12, 1, 5, 2, 4}) sheet.add(cell_of(number), plain(number, {64, 64}));
  const Image image = sheet.render();
  const Found first = find(image, 1);
  const Found second = find(image, 2);
  const Found fifth = find(image, 5);
  const Found last = find(image, 12);
  EXPECT_EQ(first.top, second.top);
  EXPECT_LT(first.left, second.left);
  EXPECT_LT(second.left, find(image, 4).left);
  EXPECT_EQ(fifth.left, first.left);
  EXPECT_GT(fifth.top, first.top);
  EXPECT_GT(last.top, fifth.top);
}

TEST(ContactSheet, PutsStepsAcross) {
  const Arrangement arrangement = arrangement_of(4, {64, 64}, {{"steps", {"5", "10"}}, {"guidance", {"3", "7"}}});
  ContactSheet sheet(arrangement);
  for (int64_t number = 1; number <= 4; ++number) sheet.add(cell_of(number), plain(number, {64, 64}));
  const Image image = sheet.render();
  EXPECT_EQ(find(image, 1).top, find(image, 3).top);
  EXPECT_LT(find(image, 1).left, find(image, 3).left);
  EXPECT_EQ(find(image, 1).left, find(image, 2).left);
  EXPECT_LT(find(image, 1).top, find(image, 2).top);
}

TEST(ContactSheet, StaysOfUsefulSize) {
  const Size sizes[] = {{1024, 1024}, {1216, 832}, {256, 256}, {16, 16}, {512, 2048}};
  for (const Size size : sizes) {
    for (const int64_t count : {1, 2, 9, 40, 200, 1000}) {
      const Image sheet = ContactSheet(arrangement_of(count, size)).render();
      EXPECT_LE(sheet.width, 4000) << size.width << ' ' << count;
      EXPECT_LE(sheet.width * sheet.height, 32'000'000);
    }
  }
  Axis many{"steps", {}};
  for (int i = 1; i <= 300; ++i) many.values.push_back(std::to_string(i));
  EXPECT_LE(ContactSheet(arrangement_of(600, {512, 512}, {many, {"seed", {"1", "2"}}})).render().width, 32'000);
  EXPECT_THROW(ContactSheet(arrangement_of(1'000'000, {512, 512})), Error);
}

TEST(ContactSheet, NeedsNoTitle) {
  Arrangement arrangement = arrangement_of(2, {64, 64});
  const int64_t height = ContactSheet(arrangement).render().height;
  arrangement.title.clear();
  arrangement.lines.clear();
  EXPECT_LT(ContactSheet(arrangement).render().height, height);
}

TEST(ContactSheet, TellsWhatWasChosen) {
  const auto drawn = [](const std::string& choice) {
    Arrangement arrangement = arrangement_of(4, {64, 64});
    if (!choice.empty()) arrangement.choices = {choice, "cat", "cat", "cat"};
    ContactSheet sheet(arrangement);
    sheet.add(cell_of(1), plain(1, {64, 64}));
    return sheet.render();
  };
  const Image without = drawn("");
  const Image cat = drawn("cat");
  const Image dog = drawn("dog");
  const Image large = drawn("a very large dog that sleeps in the snow");
  EXPECT_NE(cat.rgb, dog.rgb);
  EXPECT_GT(cat.height, without.height);  // a line more below each picture
  EXPECT_GT(large.height, cat.height);    // two where one is too short for the longest, and no more
  EXPECT_EQ(large.height, drawn(std::string(500, 'x')).height);
  EXPECT_EQ(large.width, cat.width);
}

TEST(ContactSheet, ShowsPicturesOfOtherShapes) {
  ContactSheet sheet(arrangement_of(2, {128, 128}, {{"size", {"128x64", "256x512"}}}));
  sheet.add(cell_of(1), plain(1, {128, 64}));
  sheet.add(cell_of(2), plain(2, {256, 512}));
  const Image image = sheet.render();
  EXPECT_EQ(find(image, 1).height, 64);
  EXPECT_EQ(find(image, 2).height, 128);
  EXPECT_EQ(find(image, 2).width, 64);
}

// What the system's own words are for.
std::string remedy(const std::string& package) { return kIsWindows ? "Optional features" : package; }

TEST(Fonts, SayWhichPackageHasWhatIsMissing) {
  const Fonts fonts("");
  EXPECT_EQ(fonts.complaint_about("a capybara, 28 steps · 512×512"), "");
  // Characters that are in no font: an ideograph from the far end of Unicode, an emoji to come, one for private use.
  const std::string han = fonts.complaint_about("a \xf0\xb0\x80\x80");
  EXPECT_NE(han.find("\xf0\xb0\x80\x80"), std::string::npos);
  EXPECT_NE(han.find(remedy("apt-get install fonts-noto-cjk")), std::string::npos);
  EXPECT_NE(fonts.complaint_about("\xf0\x9f\xab\xbf").find(remedy("fonts-noto-color-emoji")), std::string::npos);
  EXPECT_NE(fonts.complaint_about("\xee\x84\xa3").find(remedy("fonts-noto-core")), std::string::npos);
  EXPECT_NE(fonts.complaint_about("broken \xff text\n\x01"), "broken");  // and no complaint of Pango's own
}

TEST(Fonts, AreComplainedAboutOnce) {
  Arrangement arrangement = arrangement_of(3, {64, 64});
  arrangement.title = "\xf0\xb0\x80\x80";
  arrangement.choices = {"\xf0\x9f\xab\xbf", "\xf0\x9f\xab\xbf", "\xf0\x9f\xab\xbf"};
  std::vector<std::string> warnings;
  ContactSheet sheet(arrangement, [&](const std::string& warning) { warnings.push_back(warning); });
  sheet.add(cell_of(1), plain(1, {64, 64}));
  sheet.render();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find(remedy("fonts-noto-color-emoji")), std::string::npos);
}

TEST(Fonts, EndTextThatIsTooLong) {
  const Fonts fonts("");
  TextStyle style;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "capybara ";
  const double one = fonts.height("a", style, 300);
  style.lines = 3;
  const double three = fonts.height(text, style, 300);
  EXPECT_GT(three, 2.5 * one);
  EXPECT_LT(three, 3.5 * one);
  text[80] = '\n';  // one paragraph stays one
  EXPECT_EQ(fonts.height(text, style, 300), three);
}

}  // namespace
}  // namespace fude
