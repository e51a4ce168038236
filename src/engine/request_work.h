// What the parts of a request compute, and how long they will take: counted by running each once on a measuring arena.
#pragma once

#include <cstdint>

#include "core/backend.h"
#include "engine/text_encoders.h"
#include "fude/fude.h"
#include "model/mmdit.h"
#include "model/vae.h"

namespace fude {

struct RequestWork {
  Work encode;        // its prompts
  Work conditioning;  // what comes before the loop: context, timesteps and modulation of all steps
  Work step;          // of one batch
  Work draft_step;    // of one batch of drafts, where the request has them
  Work decode;        // of one picture, in the tiles that are asked for and as many strips as are planned
};

// The request is complete and `batch` its pictures at once. Work has seconds where the backend predicts (Backend::predict).
// Reads no weights; afterwards the backend has no arena.
RequestWork work_of(Backend& op, const Checkpoint& checkpoint, TextEncoders& text, Mmdit& mmdit, Vae& vae, const TokenIds& ids,
                    const Request& request, int64_t batch, const DecodePlan& decode);

// Whether weights wait in the host's memory for their turn on a card: they are loaded in another way, at another rate.
bool waits_on_host(const Plan& plan);

// How long the request will take where its weights lie as the plan says: those that stay are loaded first, the others travel to
// a card while it works, and on the host before it does.
Seconds predicted_seconds(const RequestWork& work, const Rates& rates, const Plan& plan, int64_t batch);

}  // namespace fude
