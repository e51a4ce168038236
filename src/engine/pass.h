// A way of pictures from noise to latents.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/solvers.h"

namespace fude {

// A schedule's steps, from the first that is done.
struct Pass {
  int64_t height, width;  // of the latents
  int64_t steps, first;
  int64_t batch, place;  // where in its batch a picture that is alone there lies
  bool fills_up;         // the last batch, with pictures that are thrown away
  bool is_draft;
  std::vector<float> sigmas = {};  // of all steps
  Evaluations evaluations = {};    // of those that are done, and so are their steps counted

  int64_t to_do() const { return steps - first; }
  int64_t step_of(int64_t evaluation) const { return first + evaluations[static_cast<size_t>(evaluation)].step; }
  // The evaluation behind the last of its step.
  int64_t end_of_step(int64_t evaluation) const {
    int64_t end = evaluation + 1;
    while (end < std::ssize(evaluations) && step_of(end) == step_of(evaluation)) ++end;
    return end;
  }
};

}  // namespace fude
