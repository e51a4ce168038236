// Finding a name among all that programs have for it.
#include "diffusion/names.h"

#include <algorithm>

#include "core/characters.h"

namespace fude {

const Names* find_name(const std::vector<Names>& table, std::string_view name) {
  const auto row_where = [&](const auto& is_it) {
    const auto row = std::find_if(table.begin(), table.end(), is_it);
    return row == table.end() ? nullptr : &*row;
  };
  if (const Names* own = row_where([&](const Names& row) { return row.name == name; })) return own;
  const std::string text = folded(name);
  if (text.empty()) return nullptr;
  if (const Names* own = row_where([&](const Names& row) { return folded(row.name) == text; })) return own;
  return row_where([&](const Names& row) {
    return folded(row.a1111) == text || folded(row.diffusers) == text ||
           std::any_of(row.others.begin(), row.others.end(), [&](const std::string& other) { return folded(other) == text; });
  });
}

std::string a1111_name_of(const std::vector<Names>& table, const std::string& name) {
  const Names* known = find_name(table, name);
  return known ? known->a1111 : name;
}

std::string name_from_a1111(const std::vector<Names>& table, std::string_view a1111_name) {
  const auto written = std::find_if(table.begin(), table.end(), [&](const Names& row) { return row.a1111 == a1111_name; });
  if (written != table.end()) return written->name;
  const Names* known = find_name(table, a1111_name);
  return known ? known->name : std::string(a1111_name);
}

std::string folded(std::string_view name) {
  std::string text;
  for (const char c : lower_case(std::string(name))) {
    if (c == '+') text += 'p';
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) text += c;
  }
  return text;
}

}  // namespace fude
