// Looking names up in layouts.
#include "weights/layouts.h"

#include <algorithm>

#include "weights/pattern.h"

namespace fude {

namespace {

constexpr std::string_view kIgnoredOutside[] = {"text_encoders.{s}.logit_scale"};

bool matches_any(std::span<const std::string_view> patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](std::string_view pattern) {
    Bindings bound;
    return match(pattern, name, bound);
  });
}

}  // namespace

std::vector<Recipe> recipes(const Layout& layout, std::string_view canonical, int64_t blocks) {
  std::vector<Recipe> found;
  for (const Row& row : layout.rows) {
    Bindings bound;
    bound.last = blocks - 1;
    if (!match(row.canonical, canonical, bound)) continue;
    Recipe recipe{row.op, {}};
    for (const std::string_view stored_name : row.stored)
      if (!stored_name.empty()) recipe.names.push_back(fill(stored_name, bound));
    found.push_back(std::move(recipe));
  }
  return found;
}

bool is_ignored(const Layout& layout, std::string_view stored_name) { return matches_any(layout.ignored, stored_name); }
bool is_ignored_outside(std::string_view stored) { return matches_any(kIgnoredOutside, stored); }

int64_t count_blocks(std::string_view pattern, const std::vector<std::string_view>& names) {
  int64_t count = 0;
  for (const std::string_view name : names) {
    Bindings bound;
    if (match(pattern, name, bound)) count = std::max(count, bound.i + 1);
  }
  return count;
}

}  // namespace fude
