// Reports as HTML, JSON and CSV: their sentences, their data and the commands they offer.
#include "gallery/report.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "engine/file.h"
#include "engine/png.h"
#include "fude/error.h"
#include "gallery/jpeg.h"
#include "gallery/made_pictures.h"
#include "gallery/series.h"
#include "temporary.h"
#include "weights/quote.h"

namespace fude {
namespace {

using Json = nlohmann::json;

Series series_with(std::vector<Cell>& cells, const std::vector<int64_t>& steps, const std::vector<double>& changes) {
  Series series{.label = "guidance 7", .cells = {}, .changes = {}, .whole = true};
  cells.resize(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    cells[i].provenance.request.steps = steps[i];
    series.cells.push_back(&cells[i]);
    series.changes.push_back({.change = changes[i]});
  }
  return series;
}

TEST(Sentences, SayWhenThePictureStopsChanging) {
  std::vector<Cell> cells;
  const std::vector<int64_t> steps = {1, 10, 28, 40, 50};
  EXPECT_EQ(sentence_about(series_with(cells, steps, {0.2, 0.05, 0.0199, 0.01, 0})),
            "After 28 steps the picture changes by less than 2 %, compared with 50 steps.");
  EXPECT_EQ(sentence_about(series_with(cells, steps, {0.01, 0.01, 0.01, 0.01, 0})),
            "After 1 step the picture changes by less than 2 %, compared with 50 steps.");
  // Close once, then far again: it had not stopped.
  EXPECT_EQ(sentence_about(series_with(cells, steps, {0.2, 0.01, 0.02, 0.01, 0})),
            "After 40 steps the picture changes by less than 2 %, compared with 50 steps.");
  EXPECT_EQ(sentence_about(series_with(cells, steps, {0.2, 0.1, 0.1, 0.0341, 0})),
            "From 40 steps to 50 steps the picture still changes by 3.4 %.");
  Series series = series_with(cells, steps, {0.2, 0.05, 0.01, 0.01, 0});
  series.whole = false;
  EXPECT_EQ(sentence_about(series),
            "After 28 steps the picture changes by less than 2 %, compared with 50 steps, the most so far.");
}

TEST(Sentences, BeginWithOneAboutAllRows) {
  std::vector<Cell> a, b, c;
  const Series at_28 = series_with(a, {10, 28, 50}, {0.1, 0.01, 0});
  const Series at_10 = series_with(b, {10, 28, 50}, {0.01, 0.01, 0});
  const Series never = series_with(c, {10, 28, 50}, {0.1, 0.1, 0});
  const auto first = [](const std::vector<Series>& series) { return sentences_about(series).at(0); };
  EXPECT_TRUE(sentences_about({}).empty());
  EXPECT_EQ(sentences_about(std::vector{at_28}).size(), 1u);
  EXPECT_EQ(first({at_28, at_10}), "In both rows the picture changes by less than 2 % after 28 steps, compared with 50 steps.");
  EXPECT_EQ(first({at_10, at_28, at_10}),
            "In all 3 rows the picture changes by less than 2 % after 28 steps, compared with 50 steps.");
  EXPECT_EQ(first({at_10, never}),
            "In 1 of 2 rows the picture changes by less than 2 % after 10 steps, compared with 50 steps.");
  EXPECT_EQ(first({never, never}),
            "In none of 2 rows has the picture settled: it still changes by 2 % or more, compared with 50 steps.");
  EXPECT_EQ(sentences_about(std::vector{at_28, never}).at(2),
            "guidance 7 — From 28 steps to 50 steps the picture still changes by 10.0 %.");
}

TEST(Sentences, NameWhatWasComparedOfWorkUnderWay) {
  std::vector<Cell> a, b, c;
  Series at_1 = series_with(a, {1, 28, 50}, {0.01, 0.01, 0});
  Series at_10 = series_with(b, {10, 28}, {0.01, 0});
  Series alike = series_with(c, {10, 28}, {0.01, 0});
  at_10.whole = alike.whole = false;
  EXPECT_EQ(
      sentences_about(std::vector{at_1, at_10})[0],
      "In both rows the picture changes by less than 2 % after 10 steps, compared with the most steps so far in each row.");
  EXPECT_EQ(sentences_about(std::vector{at_10, alike})[0],
            "In both rows the picture changes by less than 2 % after 10 steps, compared with 28 steps, the most so far.");
}

TEST(Sentences, BeginWithWhatNamesTheRow) {
  std::vector<Cell> a, b;
  Series one = series_with(a, {10, 28}, {0.1, 0});
  Series other = series_with(b, {10, 28}, {0.1, 0});
  for (int i = 0; i < 100; ++i) one.label += "猫";
  const std::string sentence = sentences_about(std::vector{one, other})[1];
  EXPECT_EQ(sentence.find("… — From 10 steps to 28 steps"), std::string("guidance 7").size() + 70 * std::string("猫").size());
}

TEST(Jpeg, BeginsAndEndsLikeOne) {
  const std::vector<uint8_t> jpeg = encode_jpeg(made_picture(200, 100), 85);
  ASSERT_GT(jpeg.size(), 1000u);
  EXPECT_EQ(std::vector<uint8_t>(jpeg.begin(), jpeg.begin() + 3), (std::vector<uint8_t>{0xff, 0xd8, 0xff}));
  EXPECT_EQ(std::vector<uint8_t>(jpeg.end() - 2, jpeg.end()), (std::vector<uint8_t>{0xff, 0xd9}));
  EXPECT_LT(encode_jpeg(made_picture(200, 100), 40).size(), jpeg.size());
}

class Report : public testing::Test {
 protected:
  void SetUp() override { folder_ = temporary("report"); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A picture that lies noise away from the made one.
  Cell drawn(int64_t number, int64_t steps, double guidance, int noise) {
    Cell cell;
    cell.number = number;
    cell.file = folder_ / "pictures" / path_of("絵 " + std::to_string(number) + ".png");
    cell.provenance.request = {.prompt = "温泉, \"かぴばら\" </script><b>", .width = 64, .height = 48, .steps = steps};
    cell.provenance.request.guidance = guidance;
    cell.provenance.request.seed = std::numeric_limits<uint64_t>::max();
    cell.provenance.dtype = "bf16";
    cell.stats.seconds.total = static_cast<double>(steps);
    cell.stats.step_seconds = {0.9, 0.5, 0.4};
    cell.stats.peak_host = 1 << 20;
    write_file(cell.file, encode_png(noisy(made_picture(64, 48), noise), {}));
    return cell;
  }

  std::string text_of_file(const char* name) const {
    const std::vector<uint8_t> bytes = read_file(folder_ / name, 1 << 24);
    return {bytes.begin(), bytes.end()};
  }

  Arrangement arrangement_of(std::vector<Axis> axes, int64_t count) const {
    return {.title = "温泉 & <b>\"かぴばら\"</b> </script>",
            .lines = {"seed 7 < 8"},
            .axes = std::move(axes),
            .count = count,
            .size = {64, 48}};
  }

  std::filesystem::path folder_;
};

TEST_F(Report, ComparesAlongSteps) {
  const Arrangement arrangement = arrangement_of({{"guidance", {"3", "7"}}, {"steps", {"5", "10", "20"}}}, 6);
  // Number 4 has not been drawn, and they come in any order.
  const std::vector<Cell> cells = {drawn(6, 20, 7, 0), drawn(1, 5, 3, 60), drawn(2, 10, 3, 4), drawn(3, 20, 3, 0),
                                   drawn(5, 10, 7, 50)};
  write_report(folder_, arrangement, cells);
  const Json report = Json::parse(text_of_file("report.json"));
  EXPECT_EQ(report["count"], 6);
  EXPECT_EQ(report["finished"], 5);
  EXPECT_EQ(report["sentences"][0],
            "In 1 of 2 rows the picture changes by less than 2 % after 10 steps, compared with 20 steps.");
  EXPECT_EQ(report["sentences"][1],
            "guidance 3 — After 10 steps the picture changes by less than 2 %, compared with 20 steps.");
  ASSERT_EQ(report["series"].size(), 2u);
  EXPECT_EQ(report["series"][1]["cells"], (std::vector<int>{5, 6}));
  const Json& first = report["cells"][0];
  EXPECT_EQ(first["number"], 1);
  EXPECT_EQ(first["file"], "pictures/絵 1.png");
  EXPECT_EQ(first["values"], (Json{{"guidance", "3"}, {"steps", "5"}}));
  EXPECT_EQ(first["seconds"], 5.0);
  EXPECT_EQ(first["seconds_per_step"], 0.5);
  EXPECT_EQ(first["peak_bytes"], (Json{{"host", 1 << 20}, {"device", nullptr}}));
  EXPECT_EQ(first["request"]["seed"], std::numeric_limits<uint64_t>::max());
  const Difference expected = difference_between(noisy(made_picture(64, 48), 60), made_picture(64, 48));
  EXPECT_EQ(first["difference"]["to"], 3);
  EXPECT_DOUBLE_EQ(first["difference"]["change"], expected.change);
  EXPECT_DOUBLE_EQ(first["difference"]["ssim"], expected.ssim);
  EXPECT_DOUBLE_EQ(first["difference"]["psnr"], expected.psnr);
  EXPECT_TRUE(report["cells"][2]["difference"].is_null());
}

TEST_F(Report, IsAPageOfItsOwn) {
  write_report(folder_, arrangement_of({{"dtype", {"f32", "bf16"}}}, 2), std::vector{drawn(1, 5, 3, 0)});
  const std::string page = text_of_file("report.html");
  EXPECT_NE(page.find("<h1>温泉 &amp; &lt;b&gt;&quot;かぴばら&quot;&lt;/b&gt; &lt;/script&gt;</h1>"), std::string::npos);
  EXPECT_NE(page.find("<p>seed 7 &lt; 8</p>"), std::string::npos);
  EXPECT_EQ(page.find("{{"), std::string::npos);
  size_t ends = 0;
  for (size_t at = page.find("</script>"); at != std::string::npos; at = page.find("</script>", at + 1)) ++ends;
  EXPECT_EQ(ends, 2u);  // what the prompt says ends nothing
  for (const char* remote : {"src=\"http", "href=\"http", "url(http", "@import", "fetch("})
    EXPECT_EQ(page.find(remote), std::string::npos) << remote;

  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const size_t data = page.find(begin) + begin.size();
  const Json json = Json::parse(page.substr(data, page.find("</script>", data) - data));
  EXPECT_EQ(json["title"], "温泉 & <b>\"かぴばら\"</b> </script>");
  EXPECT_EQ(json["tables"][0]["columns"], (std::vector<std::string>{"dtype f32", "dtype bf16"}));
  EXPECT_EQ(json["cells"][0]["seed"], "18446744073709551615");
  EXPECT_TRUE(json["cells"][0]["picture"].get<std::string>().starts_with("data:image/jpeg;base64,/9j/"));
  EXPECT_TRUE(json["sentences"].empty());
}

TEST_F(Report, KnowsWhatRefiningNeeds) {
  const std::string candidate = "\"candidates\":true,\"folder\":" + nlohmann::json(text_of(folder_)).dump();
  Arrangement arrangement = arrangement_of({}, 2);
  arrangement.candidates = true;
  arrangement.choices = {"</script> & \"子犬\"", "cat"};
  write_report(folder_, arrangement, std::vector{drawn(1, 5, 3, 0)});
  EXPECT_NE(text_of_file("report.html").find(candidate), std::string::npos);
  EXPECT_NE(text_of_file("report.html").find("\"label\":\"\\u003c/script> & \\\"子犬\\\"\""), std::string::npos);
  write_report(folder_, arrangement_of({}, 2), std::vector{drawn(1, 5, 3, 0)});
  EXPECT_NE(text_of_file("report.html").find("\"candidates\":false"), std::string::npos);
}

TEST_F(Report, ListsCellsAsCsv) {
  write_report(folder_, arrangement_of({{"dtype", {"f16", "bf16"}}, {"steps", {"5", "10"}}}, 4),
               std::vector{drawn(1, 5, 3, 9), drawn(2, 10, 3, 9)});
  const std::string csv = text_of_file("report.csv");
  EXPECT_TRUE(csv.starts_with(
      "\xef\xbb\xbf"  // else Excel takes it for the system's code page
      "number,file,dtype,steps,prompt,negative,seed,guidance,width,height,sampler,shift,device,model,computed_in,"
      "seconds,seconds_per_step,peak_host_bytes,peak_device_bytes,compared_to,change,psnr,ssim\r\n"))
      << csv;
  EXPECT_NE(
      csv.find("1,pictures/絵 1.png,f16,5,\"温泉, \"\"かぴばら\"\" </script><b>\",,18446744073709551615,3.0,64,48,euler,,,,"
               "bf16,5.0,0.5,1048576,,2,0.0,,1.0\r\n"),  // equal pictures: no PSNR
      std::string::npos)
      << csv;
}

TEST_F(Report, NeedsNothingButThePlan) {
  write_report(folder_, arrangement_of({}, 3), {});
  EXPECT_EQ(Json::parse(text_of_file("report.json"))["finished"], 0);
  EXPECT_NE(text_of_file("report.html").find("</html>"), std::string::npos);
}

TEST_F(Report, ShowsPromptsThatDiffer) {
  Arrangement arrangement = arrangement_of({}, 2);
  arrangement.title.clear();
  write_report(folder_, arrangement, std::vector{drawn(1, 5, 3, 0)});
  const std::string page = text_of_file("report.html");
  EXPECT_NE(page.find("<title>fude</title>"), std::string::npos);
  EXPECT_NE(page.find("\"label\":\"温泉, \\\"かぴばら\\\" \\u003c/script>\\u003cb>\""), std::string::npos);
}

TEST_F(Report, NamesThePictureItCannotRead) {
  Cell cell = drawn(1, 5, 3, 0);
  write_file(cell.file, std::vector<uint8_t>{1, 2, 3});
  try {
    write_report(folder_, arrangement_of({}, 1), std::vector{cell});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_request);
    EXPECT_NE(std::string(error.what()).find("絵 1.png"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "report.html"));
}

}  // namespace
}  // namespace fude
