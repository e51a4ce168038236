// How long a request will take: from what its dry run counted, stage by stage.
#pragma once

#include "core/ops.h"
#include "fude/fude.h"

namespace fude {

struct StepCosts {
  Work work;         // of all steps
  double count = 0;  // of them; of a batch's each counts once
};

// What a request computes, as the code that draws it marks its stages.
struct StageCosts {
  Work encode;        // its prompts
  Work conditioning;  // what comes before the loop: context, timesteps and modulation
  StepCosts steps;    // of its pictures
  StepCosts drafts;   // of the drafts that they go on from
  Work decode;        // of all pictures
};

// Adds what a run counts while this lives to a stage.
class StageMark {
 public:
  StageMark(const Ops& op, Work& stage) : op_(op), stage_(stage), before_(op.work()) {}
  ~StageMark() { stage_ += op_.work() - before_; }
  StageMark(const StageMark&) = delete;
  StageMark& operator=(const StageMark&) = delete;

 private:
  const Ops& op_;
  Work& stage_;
  const Work before_;
};

// Whether weights are offloaded to the host's memory: they are loaded in another way, at another rate.
bool has_host_offloaded(const Plan& plan);

// How long the request will take where its weights lie as the plan says: those that stay are loaded first, the others are
// streamed to a card while it works, and on the host before it does.
Seconds predicted_seconds(const StageCosts& costs, const Rates& rates, const Plan& plan);

}  // namespace fude
