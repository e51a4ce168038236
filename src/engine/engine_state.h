// What an Engine is made of: a model, a worker, and what a person was told already.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/model.h"
#include "engine/worker.h"
#include "fude/fude.h"

namespace fude {

struct Engine::State {
  // What changes the engine happens while one of these lives. Error{bad_request} where another does.
  class Turn {
   public:
    explicit Turn(State& state);
    ~Turn() { state_.busy = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    State& state_;
  };

  std::vector<Result> generate(const std::vector<Request>& requests, const Callbacks& callbacks);
  Result generate(const Request& request, const Callbacks& callbacks, const SeriesPosition& series);
  Embeddings encode(const Request& request, const Callbacks& callbacks);
  Plan plan(const Request& request);
  void remark(const Request& complete, const Warn& warning);

  Worker worker;
  double opening = 0;               // seconds that it took to open this, until a request has told of them
  std::set<std::string> told = {};  // remarks on requests
  std::atomic<bool> busy = false;
};

// Engines of the library itself and of tests.
struct EngineParts {
  static Engine assemble(std::shared_ptr<const Model> model, const EngineOptions& options, std::unique_ptr<Device> device,
                         std::optional<int64_t> outside = {});
};

}  // namespace fude
