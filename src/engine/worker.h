// Worker: a model on one device, for one thread at a time: its memory, what is resident there, and what is kept between
// requests.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "core/ops.h"
#include "core/rates.h"
#include "engine/draw.h"
#include "engine/embeddings.h"
#include "engine/model.h"
#include "engine/model_weights.h"
#include "engine/other_programs.h"
#include "fude/fude.h"
#include "offload/placement.h"

namespace fude {

class Worker {
 public:
  // A budget for the host's memory leaves this much: pieces of files that are being read, pictures that are being written. Of
  // it, host_work is known beforehand, and is planned for the process.
  static constexpr int64_t kHostWork = int64_t{64} << 20;

  // Workers may share a model. `outside`: bytes of the host's memory that this process takes besides.
  Worker(std::shared_ptr<const Model> model, const EngineOptions& options, std::unique_ptr<Device> device,
         std::optional<int64_t> outside = {});

  const Model& model() const { return *model_; }
  const std::string& device() const { return device_name_; }
  const std::string& dtype() const { return dtype_name_; }
  double now() const { return device_->now(); }

  // Draws a request. `before`: seconds that it has taken so far; `is_first`: what is loaded once is loaded for it.
  // Error: as Engine::generate.
  Result generate(const ResolvedRequest& request, const Callbacks& callbacks, const SeriesPosition& series, double before,
                  bool is_first);
  HostEmbeddings encode(const ResolvedRequest& request, const Callbacks& callbacks);  // as it will be drawn from
  void remember(const Request& complete, const std::vector<float>& latents) { drafts_[draft_key(complete, 0)] = latents; }
  // Makes the weights of its component from this source from now on. What is stale is loaded again when it is next used.
  void use(const WeightSource& source);
  void keep_embeddings_in(const std::string& folder) { embeddings_.keep_in(folder); }
  Bytes memory() const;  // for weights and work, taken now
  void free_all();       // that memory, and embeddings and drafts
  void log(LogEvent event, std::string text, int64_t bytes = 0, double seconds = 0) const;

  // A request with its prompts' embeddings, where those are at hand; valid until the next call.
  Job job_of(const ResolvedRequest& request, const std::atomic<bool>* stop = nullptr);
  void measure_rates(const std::atomic<bool>* stop = nullptr);  // where they are not known yet; plans have seconds from then on

  // Planning looks at candidates and changes nothing (planning.cpp).
  Plan plan(const Job& job) const;
  Size largest_that_fits(const Job& job) const;  // of about the request's shape; its own where nothing fits
  StageCosts costs_of(const Job& job) const;     // whatever the memory

 private:
  // Where weights would lie, and how a request would then be drawn.
  struct Candidate {
    std::optional<Placement> placement;  // empty: nothing fits
    ModelWeights weights;                // placed so, or in the least memory; without contents
    RunPlan run_plan;
  };
  Bytes room() const;     // that weights and work may take in all
  Bytes besides() const;  // of the process, and not for placing: driver, libraries, the program, what is in passing
  Bytes kept(const ModelWeights& weights) const;  // weights; packed copies count for each worker that holds them
  Bytes needs(const ModelWeights& weights, const DryRun& run) const;
  DryRun run(const Job& job, const ModelWeights& weights, const RunPlan& run_plan, const Rates* rates = nullptr) const {
    return dry_run(*device_, dtype_, job, weights, run_plan, rates);
  }
  int64_t host_work(const Job& job) const;
  std::optional<Placement> choose(const Job& job, int64_t batch, Bytes room) const;
  Candidate candidate_for(const Job& job, Bytes room) const;
  int64_t default_batch(const Job& job, const Candidate& candidate, Bytes room) const;
  std::optional<Size> nearest_that_fits(const Job& job, Bytes room) const;
  Message why_not(const Job& job, Bytes room) const;
  Plan plan_of(const Job& job, const Candidate& candidate) const;

  // Committing (worker.cpp).
  Candidate make_room(const Job& job);
  void commit(const Job& job, const Candidate& candidate);
  void release(const char* why);  // weights and memory
  std::string learn_from(const Result& result, Seconds predicted, double begun, bool is_first);
  void report_not_kept(const Callbacks& callbacks, const std::string& what, const std::string& why);

  const std::shared_ptr<const Model> model_;
  const std::unique_ptr<Device> device_;
  const DType dtype_;  // of activations
  const EngineOptions options_;
  const std::string device_name_, dtype_name_;
  const DeviceInfo info_;
  std::optional<Rates> rates_;
  OtherPrograms others_;  // since the last request
  HostEmbeddings given_;  // of the job that was made last, where its request has them
  Drafts drafts_;
  // Declared before what lies in them: destroyed after it.
  Buffer weights_memory_;  // of residents
  Buffer work_memory_;     // activations, and the ring of streamed weights
  Buffer host_memory_;     // feature maps that are offloaded, tiles' pixels for those they are blended into
  ModelWeights weights_;
  KeptEmbeddings embeddings_;
  const int64_t outside_;
  std::optional<Placement> placement_;  // of weights_, once they have memory
  bool loaded_ = false;                 // weights_, since they have memory
  bool was_slow_ = false;               // already warned about the previous request
  std::set<std::string> not_kept_;      // of what a person knows that it is not kept
};

}  // namespace fude
