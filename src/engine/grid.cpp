// Every combination of the axes of a grid.
#include "engine/grid.h"

namespace fude {

std::vector<Request> requests_of(const Grid& grid) {
  std::vector<Request> requests{grid.request};
  visit_axes(grid, [&](Field field, const auto& values) {
    if (values.empty()) return;
    std::vector<Request> varied;  // each once for every value
    for (const Request& request : requests)
      for (const auto& value : values) set_field(varied.emplace_back(request), field, value);
    requests = std::move(varied);
  });
  return requests;
}

}  // namespace fude
