// The way of a request: embeddings, seeded noise, denoising, decoding. In a dry run the same code finds out what it needs and
// computes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/ops.h"
#include "engine/embeddings.h"
#include "engine/model.h"
#include "engine/model_weights.h"
#include "engine/prediction.h"
#include "fude/fude.h"

namespace fude {

using Drafts = std::map<std::string, std::vector<float>>;  // latents by draft_key
// The request that draws the draft of a picture of this request; without a draft, the picture itself.
std::string draft_key(const Request& request, int64_t picture);

// What is drawn, and what is at hand for it.
struct Job {
  const Model& model;
  const ResolvedRequest& request;
  const HostEmbeddings* embeddings;  // of its prompts; null: they are encoded
  const Drafts& drafts;
  const std::atomic<bool>* stop = nullptr;
};

// What a plan decides that is no weight's place.
struct RunPlan {
  int64_t batch = 1;  // pictures at once
  DecodePlan decode;
};

// Which of many requests this is, and how many pictures came before it, of all of them.
struct SeriesPosition {
  int64_t request = 0, pictures_done = 0, pictures = 0;
};

// Who is told while a request is drawn.
struct Listener {
  Callbacks callbacks;
  SeriesPosition series;
  std::function<void(const HostEmbeddings&)> encoded;  // prompts whose embeddings were not at hand
  Log log;
};

struct Drawn {
  StageCosts costs;
  std::vector<double> step_seconds;  // without the first of each run of steps
};

// Pictures go to the listener, or into the result; the seconds of the stages are added to it.
Drawn draw(Ops& op, const Job& job, ModelWeights& weights, const RunPlan& run_plan, const Listener& listener, Result& result);

// Only the embeddings of its prompts, to listener.encoded, where they are not at hand.
void encode(Ops& op, const Job& job, ModelWeights& weights, const Listener& listener);

// What a request needs besides weights, in bytes of the device's arena and of the host's, and what it computes.
struct DryRun {
  int64_t work = 0, host_offloaded = 0;
  StageCosts costs;
};
DryRun dry_run(Device& device, DType dtype, const Job& job, const ModelWeights& placed, const RunPlan& run_plan,
               const Rates* rates = nullptr);

}  // namespace fude
