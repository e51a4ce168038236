// What an Engine keeps between requests.
#pragma once

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/rates.h"
#include "engine/embeddings.h"
#include "engine/placement.h"
#include "engine/text_encoders.h"
#include "fude/fude.h"
#include "model/mmdit.h"
#include "model/vae.h"

namespace fude {

// What is drawn: a complete request, its prompts' ids, and their embeddings where they are at hand.
struct Job {
  const Request& request;
  const TokenIds& ids;
  const HostEmbeddings* embeddings;
};

// What is read before anything is drawn.
struct OpenedModel {
  Checkpoint checkpoint;
  Tokenizers tokenizers;
  uint64_t identity;
};

struct Engine::State {
  class Drawing;  // draw.cpp

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
  std::atomic<bool> busy = false;

  State(const ModelFiles& files, const EngineOptions& options);
  State(const ModelFiles& files, const EngineOptions& options, std::unique_ptr<Backend> backend);
  State(std::future<OpenedModel> opening, const EngineOptions& options, std::unique_ptr<Backend> backend);
  State(OpenedModel opened, const EngineOptions& options, std::unique_ptr<Backend> backend);

  Request complete(const Request& request) const;
  Request filled(const Request& request) const;
  int64_t largest_side() const;  // pixels
  Size nearest_size(const Request& full) const;
  void check_size(const Request& full, const Size& nearest) const;
  std::string learn_from(const Result& result, Seconds predicted, double begun, bool is_first);
  std::vector<Result> generate(const std::vector<Request>& requests, const Callbacks& callbacks);
  Result generate(const Request& request, const Callbacks& callbacks);

  int64_t vae_scale_factor() const;  // pixels of a latent's side
  int64_t& device_bytes(Bytes& bytes) const;
  int64_t device_bytes(const Bytes& bytes) const { return backend->on_host() ? bytes.host : bytes.device; }
  TokenIds ids_of(const Request& request, const std::function<void(const Message&)>& warning);
  void tell(const Request& request, const std::function<void(const Message&)>& warning);

  // placement.cpp
  void make_room(const Job& job);
  int64_t default_batch(const Job& job);
  Plan plan(const Request& asked);
  Plan plan_of(const Job& job);  // as weights are placed
  void measure_rates();          // where they are not known yet; before anything has its place

  Bytes room() const;           // that weights and work may take in all
  Bytes kept() const;           // of weights, as they are placed
  Bytes needs(const Job& job);  // as weights are placed
  int64_t host_work(const Job& job) const;
  bool fits(const Job& job) { return placement && fits(needs(job), room()); }
  static bool fits(Bytes needed, Bytes room) { return needed.device <= room.device && needed.host <= room.host; }
  std::optional<Placement> choose(const Job& job, Bytes room);
  Size largest_that_fits(Request request);
  Bytes besides() const;  // of the process, and not for placing: driver, libraries, the program, what is in passing
  std::optional<Request> nearest_that_fits(const Job& job, Bytes room);
  Message why_not(const Job& job, Bytes room);
  int64_t most_blocks(int64_t room);
  void keep(const Placement& wanted);
  void take_memory(const Job& job);
  void release();

  // What a request needs besides weights: bytes of `work` and of `waiting`.
  struct Arenas {
    int64_t work, waiting;
  };
  Arenas measure(const Job& job);

  void draw(const Job& job, const Callbacks& callbacks, Result& result);
  void not_kept(const Callbacks& callbacks, const std::string& what, const std::string& why);
  static std::string draft_key(const Request& request, int64_t picture);

  Checkpoint checkpoint;
  Tokenizers tokenizers;
  std::unique_ptr<Backend> backend;
  DType dtype;  // of activations and packed weights
  DeviceInfo device;
  std::string device_name, dtype_name, model_name, model_hash;
  const EngineOptions options;
  // Of a budget for the host's memory: pieces of files that are being read, pictures that are being written.
  static constexpr int64_t kHostWork = int64_t{64} << 20;
  double opening = 0;  // seconds that it took to make this, until a request has told of them
  std::optional<Rates> rates;
  int64_t outside = 0;  // bytes of the host's memory that this process took before it placed anything
  // Before what lies in them, so that they go after it.
  Buffer weights;  // of what stays
  Buffer work;     // activations, and the slots of what does not stay
  Buffer waiting;  // on the host: activations that wait there for the device, tiles' pixels for those they are blended into
  TextEncoders text;
  Mmdit mmdit;
  Vae vae;
  // Decided at the first request, when it is known how much memory pictures take, and kept while requests fit.
  std::optional<Placement> placement;
  std::optional<KeptEmbeddings> embeddings;
  std::map<std::string, std::vector<float>> drafts;  // latents by draft_key

  int64_t batch = 1;                                             // pictures at once, of the request under way
  std::vector<double> step_seconds;                              // of it, without the first of each run of steps
  std::set<std::string> told;                                    // remarks on requests
  bool was_slow = false;                                         // the request before it: a person knows
  std::set<std::string> told_not_kept;                           // of what a person knows that it is not kept
  int64_t place_in_series = 0, pictures_done = 0, pictures = 0;  // which request it is; of all of them
};

}  // namespace fude
