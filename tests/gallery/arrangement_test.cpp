// Which pictures of a sweep stand in which row, column and table.
#include "gallery/arrangement.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "engine/png.h"
#include "fude/error.h"
#include "gallery/cell.h"
#include "gallery/made_pictures.h"
#include "gallery/scale.h"
#include "temporary.h"
#include "weights/quote.h"

namespace fude {
namespace {

using Numbers = std::vector<std::vector<int64_t>>;

Arrangement arrangement_of(std::vector<Axis> axes) {
  Arrangement arrangement;
  arrangement.count = 1;
  for (const Axis& axis : axes) arrangement.count *= static_cast<int64_t>(axis.values.size());
  arrangement.axes = std::move(axes);
  return arrangement;
}

TEST(Tables, PutStepsAcross) {
  const std::vector<Table> tables = tables_of(arrangement_of({{"steps", {"1", "5", "10"}}, {"guidance", {"3", "7"}}}));
  ASSERT_EQ(tables.size(), 1u);
  EXPECT_EQ(tables[0].heading, "");
  EXPECT_EQ(tables[0].columns, (std::vector<std::string>{"1 step", "5 steps", "10 steps"}));
  EXPECT_EQ(tables[0].rows, (std::vector<std::string>{"guidance 3", "guidance 7"}));
  EXPECT_EQ(tables[0].numbers, (Numbers{{1, 3, 5}, {2, 4, 6}}));
}

TEST(Tables, PutTheLastAxisAcrossElse) {
  const std::vector<Table> tables = tables_of(arrangement_of({{"size", {"512x512", "768x512"}}, {"seed", {"1", "2", "3"}}}));
  ASSERT_EQ(tables.size(), 1u);
  EXPECT_EQ(tables[0].rows, (std::vector<std::string>{"512×512", "768×512"}));
  EXPECT_EQ(tables[0].numbers, (Numbers{{1, 2, 3}, {4, 5, 6}}));
}

TEST(Tables, AreOneForEachCombinationOfFurtherAxes) {
  const Arrangement arrangement =
      arrangement_of({{"prompt", {"a cat", "a cat"}}, {"guidance", {"3", "7"}}, {"steps", {"5", "10"}}, {"seed", {"1", "2"}}});
  const std::vector<Table> tables = tables_of(arrangement);
  ASSERT_EQ(tables.size(), 4u);  // the same text twice is two values
  EXPECT_EQ(tables[0].heading, "a cat · guidance 3");
  EXPECT_EQ(tables[3].heading, "a cat · guidance 7");
  EXPECT_EQ(tables[3].rows, (std::vector<std::string>{"seed 1", "seed 2"}));
  EXPECT_EQ(tables[3].numbers, (Numbers{{13, 15}, {14, 16}}));
}

TEST(Tables, WrapALongSingleAxis) {
  Axis seeds{"seed", {}};
  for (int i = 0; i < 20; ++i) seeds.values.push_back(std::to_string(i));
  const std::vector<Table> tables = tables_of(arrangement_of({seeds}));
  ASSERT_EQ(tables.size(), 3u);
  EXPECT_EQ(tables[0].numbers[0].size(), 6u);
  EXPECT_EQ(tables[2].numbers[0].back(), 20);
  EXPECT_TRUE(tables[0].rows.empty());
  EXPECT_TRUE(tables_of(Arrangement{.count = 9}).empty());
}

TEST(Scaled, IsTheMeanOfWhatIsCovered) {
  Image picture;
  picture.width = 3;
  picture.height = 2;
  for (const int value : {0, 90, 240, 60, 30, 120})
    for (int c = 0; c < 3; ++c) picture.rgb.push_back(static_cast<uint8_t>(value + c));
  EXPECT_EQ(scaled(picture, {3, 2}).rgb, picture.rgb);
  EXPECT_EQ(scaled(picture, {1, 1}).rgb, (std::vector<uint8_t>{90, 91, 92}));
  EXPECT_EQ(scaled(picture, {2, 1}).rgb, (std::vector<uint8_t>{40, 41, 42, 140, 141, 142}));  // half the middle each
  EXPECT_EQ(fitted({1024, 512}, {256, 256}), (Size{256, 128}));
  EXPECT_EQ(fitted({64, 48}, {256, 256}), (Size{64, 48}));
  EXPECT_EQ(fitted({4096, 1}, {256, 256}), (Size{256, 1}));
}

TEST(Cells, AreReadFromTheirFiles) {
  const std::filesystem::path folder = temporary("cells");
  const std::filesystem::path file = folder / path_of("絵.png");
  Provenance provenance;
  provenance.request.prompt = "温泉のカピバラ";
  provenance.request.seed = 44;
  provenance.dtype = "bf16";
  RenderStats stats;
  stats.seconds.total = 12.5;
  stats.peak_host = 1 << 20;
  const Image picture = made_picture(16, 16);
  const auto write = [&](const std::vector<PngText>& texts) { write_file(file, encode_png(picture, texts)); };
  const PngText request{std::string(kProvenanceKeyword), json_from(provenance).dump()};
  write({request, {std::string(kStatsKeyword), json_from(stats).dump()}});
  Cell cell = read_cell(3, file);
  EXPECT_EQ(cell.number, 3);
  EXPECT_EQ(cell.file, file);
  EXPECT_EQ(cell.provenance.request.prompt, "温泉のカピバラ");
  EXPECT_EQ(cell.provenance.dtype, "bf16");
  EXPECT_EQ(cell.stats.seconds.total, 12.5);
  EXPECT_EQ(cell.stats.peak_host, 1 << 20);
  EXPECT_EQ(read_pixels(file).rgb, picture.rgb);

  write({request});  // as older versions wrote it
  EXPECT_EQ(read_cell(3, file).stats.seconds.total, 0);
  write({});
  try {
    read_cell(3, file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    EXPECT_NE(std::string(error.what()).find("絵.png"), std::string::npos);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace fude
