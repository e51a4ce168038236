// Grid: many requests that differ from one.

#include "fude/fude.h"

namespace fude {

namespace {

// Each request once for every value; all of them unchanged where there are no values.
template <class Value, class Set>
void vary(std::vector<Request>& requests, const std::vector<Value>& values, const Set& set) {
  if (values.empty()) return;
  std::vector<Request> varied;
  for (const Request& request : requests)
    for (const Value& value : values) set(varied.emplace_back(request), value);
  requests = std::move(varied);
}

}  // namespace

std::vector<Request> requests_of(const Grid& grid) {
  std::vector<Request> requests{grid.request};
  vary(requests, grid.prompts, [](Request& r, const std::string& prompt) { r.prompt = prompt; });
  vary(requests, grid.negatives, [](Request& r, const std::string& negative) { r.negative = negative; });
  vary(requests, grid.samplers, [](Request& r, const std::string& sampler) { r.sampler = sampler; });
  vary(requests, grid.sizes, [](Request& r, const Size& size) { r.width = size.width, r.height = size.height; });
  vary(requests, grid.shifts, [](Request& r, double shift) { r.shift = shift; });
  vary(requests, grid.guidances, [](Request& r, double guidance) { r.guidance = guidance; });
  vary(requests, grid.steps, [](Request& r, int64_t steps) { r.steps = steps; });
  vary(requests, grid.seeds, [](Request& r, uint64_t seed) { r.seed = seed; });
  return requests;
}

}  // namespace fude
