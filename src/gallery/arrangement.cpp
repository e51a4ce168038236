// Building tables and captions from axes.
#include "gallery/arrangement.h"

#include <algorithm>
#include <cassert>

namespace fude {
namespace {

constexpr size_t kMostInARow = 8;  // of a single axis; more wrap

std::optional<size_t> last_axis_but(const std::vector<Axis>& axes, std::optional<size_t> taken) {
  for (size_t i = axes.size(); i-- > 0;)
    if (i != taken) return i;
  return std::nullopt;
}

std::vector<std::string> labels_of(const Axis& axis) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < axis.values.size(); ++i) labels.push_back(label_of(axis, i));
  return labels;
}

// A single row of many is easier to look at as several.
std::vector<Table> wrapped(const Table& table) {
  const size_t count = table.columns.size();
  const size_t rows = (count + kMostInARow - 1) / kMostInARow;
  std::vector<Table> tables;
  for (size_t row = 0; row < rows; ++row) {
    const size_t begin = row * count / rows, end = (row + 1) * count / rows;
    const auto part = [&](const auto& all) {
      return std::vector(all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end));
    };
    Table& piece = tables.emplace_back();
    piece.heading = row == 0 ? table.heading : "";
    piece.columns = part(table.columns);
    piece.numbers = {part(table.numbers[0])};
  }
  return tables;
}

}  // namespace

std::string label_of(const Axis& axis, size_t value) {
  const std::string& text = axis.values[value];
  if (axis.name == "steps") return text + (text == "1" ? " step" : " steps");
  if (axis.name == "prompt") return text;
  if (axis.name == "negative") return text.empty() ? "no negative prompt" : "without " + text;
  if (axis.name == "size") {
    const size_t cross = text.find('x');
    return cross == std::string::npos ? text : text.substr(0, cross) + "×" + text.substr(cross + 1);
  }
  return axis.name + ' ' + text;
}

size_t value_of(const Arrangement& arrangement, size_t axis, int64_t number) {
  int64_t stride = 1;
  for (size_t i = arrangement.axes.size() - 1; i > axis; --i) stride *= static_cast<int64_t>(arrangement.axes[i].values.size());
  return static_cast<size_t>((number - 1) / stride % static_cast<int64_t>(arrangement.axes[axis].values.size()));
}

std::string label_of(const Arrangement& arrangement, int64_t number, std::initializer_list<std::optional<size_t>> without) {
  const auto index = static_cast<size_t>(number - 1);
  std::string label = index < arrangement.choices.size() ? arrangement.choices[index] : "";
  for (size_t axis = 0; axis < arrangement.axes.size(); ++axis) {
    if (std::find(without.begin(), without.end(), axis) != without.end()) continue;
    label += (label.empty() ? "" : " · ") + label_of(arrangement.axes[axis], value_of(arrangement, axis, number));
  }
  return label;
}

std::vector<Table> tables_of(const Arrangement& arrangement) {
  const std::vector<Axis>& axes = arrangement.axes;
  if (axes.empty()) return {};
  const auto steps =
      std::find_if(axes.begin(), axes.end(), [](const Axis& axis) { return axis.name == "steps" && axis.values.size() > 1; });
  const size_t across = steps != axes.end() ? static_cast<size_t>(steps - axes.begin()) : axes.size() - 1;
  const std::optional<size_t> down = last_axis_but(axes, across);

  int64_t count = 1;
  for (const Axis& axis : axes) count *= static_cast<int64_t>(axis.values.size());
  assert(count == arrangement.count);

  Table empty;
  empty.columns = labels_of(axes[across]);
  if (down) empty.rows = labels_of(axes[*down]);
  empty.numbers.assign(down ? empty.rows.size() : 1, std::vector<int64_t>(empty.columns.size()));

  std::vector<Table> tables;
  for (int64_t number = 1; number <= count; ++number) {
    size_t table = 0;  // the further axes' values, read as one number
    for (size_t axis = 0; axis < axes.size(); ++axis)
      if (axis != across && axis != down) table = table * axes[axis].values.size() + value_of(arrangement, axis, number);
    if (table >= tables.size()) tables.resize(table + 1, empty);
    tables[table].heading = label_of(arrangement, number, {across, down});
    tables[table].numbers[down ? value_of(arrangement, *down, number) : 0][value_of(arrangement, across, number)] = number;
  }
  if (!down && tables.size() == 1) return wrapped(tables[0]);
  return tables;
}

}  // namespace fude
