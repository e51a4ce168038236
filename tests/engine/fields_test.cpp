// A request's fields: every row of the table goes through JSON and A1111's text and comes back, whatever its value.
#include "engine/fields.h"

#include <nlohmann/json.hpp>
#include <set>

#include "diffusion/samplers.h"
#include "diffusion/schedule.h"
#include "engine/metadata.h"
#include "support.h"
#include "told.h"

namespace fude::test {
namespace {

// Values that a new request does not have, and that may be.
void change(std::string& value) { value = "beta"; }  // also a schedule
void change(std::vector<int64_t>& value) { value = {2, 3}; }
void change(std::vector<double>& value) { value = {1, 0.75, 0.5, 0.25}; }
void change(int64_t& value) { value = 48; }
void change(uint64_t& value) { value = uint64_t{1} << 63; }
void change(double& value) { value = 0.625; }
void change(bool& value) { value = !value; }
void change(Noise& value) { value = Noise::torch_cuda; }
template <class Value>
void change(std::optional<Value>& value) {
  change(value.emplace());
}

// A request with all parts, in which the field has another value.
Request changed(Field field) {
  Request request{.prompt = "a cat",
                  .width = 64,
                  .height = 64,
                  .steps = 4,
                  .skip_layers = SkipLayers{.layers = {1}},
                  .variation = Variation{},
                  .draft = Draft{.width = 32, .height = 32, .steps = 2}};
  if (field == Field::draft_place) request.draft->batch = 64;
  if (field == Field::place) request.batch = 64;
  visit_fields(request, [&](const auto& row, auto& owner) {
    if (row.info.field == field) change(owner.*row.member);
  });
  if (field == Field::sampler) request.sampler = "heun";
  if (field == Field::clip_skip) request.clip_skip = 1;
  return request;
}

std::string json_of(const Request& request) { return json_from(request).dump(); }

template <class Test>
void for_each_field(const Test& test) {
  int64_t count = 0;
  visit_rows([&](const auto& row) {
    SCOPED_TRACE(std::string(name_of(row.info.field)));
    test(row.info, changed(row.info.field));
    ++count;
  });
  EXPECT_EQ(count, 35);
}

TEST(Fields, HaveOneNameEach) {
  std::set<std::string_view> names, a1111;
  visit_rows([&](const auto& row) {
    EXPECT_TRUE(names.insert(name_of(row.info.field)).second) << name_of(row.info.field);
    const bool is_behind_the_x = row.info.a1111_side == 2;
    EXPECT_TRUE(is_behind_the_x || row.info.a1111.empty() || a1111.insert(row.info.a1111).second) << row.info.a1111;
    EXPECT_EQ(&info_of(row.info.field), &row.info);
  });
}

TEST(Fields, GoThroughJson) {
  for_each_field([](const FieldInfo&, const Request& request) {
    EXPECT_EQ(json_of(provenance_from_json(json_of(request)).request), json_of(request));
    EXPECT_NO_THROW(check_request(request));
  });
}

TEST(Fields, GoThroughA1111sText) {
  for_each_field([](const FieldInfo& info, Request request) {
    if (info.a1111.empty()) return;
    if (info.field == Field::place) request.count = 1;
    const std::string text = parameters_text({.request = request});
    EXPECT_NE(text.find(std::string(info.a1111) + ": "), std::string::npos) << text;
    EXPECT_EQ(json_of(provenance_from(parse_parameters(text)).request), json_of(request)) << text;
  });
}

TEST(Fields, AreRefusedOutsideTheirRangeByName) {
  visit_rows([](const auto& row) {
    if (!row.info.range) return;
    SCOPED_TRACE(std::string(name_of(row.info.field)));
    Request request = changed(row.info.field);
    visit_fields(request, [&](const auto& each, auto& owner) {
      using Value = std::decay_t<decltype(owner.*each.member)>;
      if constexpr (std::is_arithmetic_v<Value> && !std::is_same_v<Value, bool>)
        if (each.info.field == row.info.field) owner.*each.member = static_cast<Value>(-2000);
      if constexpr (std::is_same_v<Value, std::optional<int64_t>> || std::is_same_v<Value, std::optional<double>>)
        if (each.info.field == row.info.field) owner.*each.member = -2000;
      if constexpr (std::is_same_v<Value, std::vector<int64_t>>)
        if (each.info.field == row.info.field) owner.*each.member = {-2000};
      if constexpr (std::is_same_v<Value, std::vector<double>>)
        if (each.info.field == row.info.field) owner.*each.member = {-2000.0};
    });
    try {
      check_request(request);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.message().field, row.info.field) << told(error.message());
      EXPECT_TRUE(error.message().what.starts_with(words_of(row.info.field) + ' ')) << error.what();
      EXPECT_EQ(error.message().remedies.size(), 1u);
    }
  });
}

TEST(Fields, OfADraftAreThoseOfItsRequest) {
  const Request drawn{.prompt = "a cat", .width = 32, .height = 48, .steps = 2, .seed = 7, .batch = 4, .place = 1};
  Request refined = drawn;
  refined.width = 64;
  refined.height = 96;
  refined.steps = 9;
  refined.batch = 1;
  refined.place = 0;
  refined.vae_tiling = true;
  refined.draft = Draft{.width = 32, .height = 48, .steps = 2, .strength = 0.5, .batch = 4, .place = 1};
  EXPECT_EQ(json_of(request_of_draft(refined, 0)), json_of(request_of_draft(drawn, 0)));
  EXPECT_NE(json_of(request_of_draft(refined, 1)), json_of(request_of_draft(drawn, 0)));
}

TEST(SamplerNames, OfA1111AreReadAsTheyAreWritten) {
  for (const std::vector<Names>* table : {&names_of_samplers(), &names_of_schedules()}) {
    std::set<std::string> written;
    for (const Names& row : *table) {
      EXPECT_EQ(a1111_name_of(*table, row.name), row.a1111);
      EXPECT_EQ(name_from_a1111(*table, row.a1111), row.name);
      EXPECT_TRUE(written.insert(row.a1111).second) << row.a1111;
    }
    EXPECT_EQ(a1111_name_of(*table, "something"), "something");
    EXPECT_EQ(name_from_a1111(*table, "DPM++ 3M Karras"), "DPM++ 3M Karras") << "said as it is when it is refused";
  }
  EXPECT_EQ(name_from_a1111(names_of_samplers(), "dpm++ 2m"), "dpmpp_2m");
}

TEST(SamplerNames, OfAllProgramsMeanOneRow) {
  for (const std::vector<Names>* table : {&names_of_samplers(), &names_of_schedules()})
    for (const Names& row : *table) {
      std::vector<std::string> all = row.others;
      all.insert(all.end(), {row.name, row.diffusers});
      if (row.a1111 != "Simple") all.push_back(row.a1111);  // of the checkpoint's own; others mean simple by it
      for (const std::string& name : all)
        if (!name.empty()) {
          EXPECT_EQ(find_name(*table, name), &row) << name;
        }
    }
  EXPECT_EQ(schedule_from("Simple"), "simple");
}

}  // namespace
}  // namespace fude::test
