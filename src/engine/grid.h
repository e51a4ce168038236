// The axes of a Grid: fields of a request that may have several values.
#pragma once

#include <optional>
#include <type_traits>

#include "engine/fields.h"
#include "fude/fude.h"

namespace fude {

// visit(field, values) for each, the last changing fastest. `AnyGrid`: Grid, const or not.
template <class AnyGrid, class Visit>
void visit_axes(AnyGrid& grid, const Visit& visit) {
  visit(Field::prompt, grid.prompts);
  visit(Field::negative, grid.negatives);
  visit(Field::sampler, grid.samplers);
  visit(Field::schedule, grid.schedules);
  visit(Field::size, grid.sizes);
  visit(Field::shift, grid.shifts);
  visit(Field::guidance, grid.guidances);
  visit(Field::steps, grid.steps);
  visit(Field::seed, grid.seeds);
}

// The field's value; of another type than the field it is none of its.
template <class Value>
void set_field(Request& request, Field field, const Value& value) {
  for_each_row(kRequestFields, [&](const auto& row) {
    using Row = std::decay_t<decltype(row)>;
    if constexpr (!kIsPart<Row>) {
      using Own = typename Row::Value;
      if constexpr (std::is_same_v<Own, Value> || std::is_same_v<Own, std::optional<Value>>)
        if (row.info.field == field) request.*row.member = value;
    }
  });
}
inline void set_field(Request& request, Field, const Size& size) {
  request.width = size.width;
  request.height = size.height;
}

}  // namespace fude
