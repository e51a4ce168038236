// From a field's row to its option: names, help, and how its text is read.
#include "field_options.h"

#include <algorithm>
#include <array>
#include <optional>
#include <type_traits>
#include <utility>

#include "engine/fields.h"
#include "engine/request.h"
#include "fude/error.h"
#include "session/ranges.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

constexpr std::array<std::pair<Field, const char*>, 4> kLetters = {
    {{Field::prompt, "-p"}, {Field::negative, "-n"}, {Field::width, "-W"}, {Field::height, "-H"}}};

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::vector<std::string> names_of_noise() {
  std::vector<std::string> names;
  for (const Noise noise : all_noise()) names.emplace_back(name_of(noise));
  return names;
}

// ---- a value's text ---------------------------------------------------------------------------------------------------------

void take(Field, const std::string&, const std::string& text, std::string& value) { value = text; }
void take(Field field, const std::string& option, const std::string& text, int64_t& value) {
  value = integer_from(option, text);
  if (info_of(field).is_side && value < 16) check_side(field, value);  // what is too large is known of a model only
}
void take(Field, const std::string& option, const std::string& text, uint64_t& value) { value = unsigned_from(option, text); }
void take(Field, const std::string& option, const std::string& text, double& value) { value = number_from(option, text); }
void take(Field, const std::string& option, const std::string& text, std::vector<int64_t>& values) {
  values = integers_in(option, text);
}
void take(Field, const std::string& option, const std::string& text, std::vector<double>& values) {
  values = numbers_in(option, text);
}
void take(Field field, const std::string& option, const std::string& text, Noise& value) {
  const std::optional<Noise> named = noise_from(text);
  if (!named)
    throw Error(Code::bad_request, {.what = option + ' ' + shown(text) + " does not exist",
                                    .field = field,
                                    .remedies = {{Remedy::use_one_of, field, names_of_noise()}}});
  value = *named;
}
template <class Value>
void take(Field field, const std::string& option, const std::string& text, std::optional<Value>& value) {
  take(field, option, text, value.emplace());
}

template <class Value>
std::string placeholder_of(Field field) {
  if constexpr (std::is_same_v<Value, std::string>) return names_for(field) ? "NAME" : "TEXT";
  else if constexpr (std::is_same_v<Value, Noise>) return "NAME";
  else if constexpr (std::is_same_v<Value, std::vector<int64_t>> || std::is_same_v<Value, std::vector<double>>) return "LIST";
  else return std::is_same_v<Value, double> || std::is_same_v<Value, std::optional<double>> ? "X" : "N";
}

}  // namespace

std::string option_names(Field field) {
  std::string names = option_of(field);
  for (const auto& [lettered, letter] : kLetters)
    if (lettered == field) names += std::string(",") + letter;
  std::string others(info_of(field).other_names);
  std::replace(others.begin(), others.end(), '_', '-');
  for (size_t begin = 0; begin < others.size();) {
    const size_t end = std::min(others.find(',', begin), others.size());
    names += ",--" + others.substr(begin, end - begin);
    begin = end + 1;
  }
  return names;
}

std::string meaning_of(Field field, const std::string& usual) {
  const FieldInfo& info = info_of(field);
  std::string meaning(info.help);
  if (field == Field::noise) meaning += ": " + listed(names_of_noise()) + "; default " + std::string(name_of(Request{}.noise));
  if (const std::vector<Names>* names = names_for(field)) {
    std::vector<std::string> own;
    for (const Names& row : *names) own.push_back(row.name);
    meaning += (meaning.empty() ? "" : ": ") + listed(own) + "; default " + own.front();
  }
  const std::string text = usual.empty() ? std::string(info.usual) : usual;
  return text.empty() ? meaning : meaning + (meaning.empty() ? "" : "; ") + "default: " + text;
}

void add_field_option(Options& options, std::string_view group, Field field, Request& request, const std::string& usual) {
  const std::string names = option_names(field), meaning = meaning_of(field, usual);
  const auto add = [&](const auto& row, const auto& owner) {  // owner(): whose field it is
    using Value = typename std::decay_t<decltype(row)>::Value;
    if (row.info.field != field) return;
    if constexpr (std::is_same_v<Value, bool>) options.add_flag(group, names, meaning, owner().*row.member);
    else
      options.add(group, names, placeholder_of<Value>(field), meaning,
                  [field, row, owner](const std::string& text) { take(field, option_of(field), text, owner().*row.member); });
  };
  for_each_row(kRequestFields, [&](const auto& each) {
    if constexpr (kIsPart<std::decay_t<decltype(each)>>) {
      const auto part = [&request, member = each.member ]() -> auto& {
        auto& own = request.*member;
        return own ? *own : own.emplace();
      };
      for_each_row(each.rows, [&](const auto& row) { add(row, part); });
    } else {
      add(each, [&request]() -> Request& { return request; });
    }
  });
}

}  // namespace fude
