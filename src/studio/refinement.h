// What draws a chosen picture again with more steps, larger, or with small variations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/metadata.h"
#include "engine/stored_picture.h"
#include "fude/fude.h"
#include "gallery/history.h"
#include "session/session.h"

namespace fude {

// What is asked of every chosen picture.
struct Refinement {
  // What is changed: empty steps are the usual, a size of 0 is as it is. Parts count where they are asked for.
  Request asked{.variation = Variation{.amount = 0.15}, .draft = Draft{}};
  double scale = 0;        // 0: as it is
  int64_t variations = 0;  // 0: none
  std::optional<uint64_t> variation_seed;
};

// A picture to begin from.
struct Chosen {
  std::string name;  // "candidate 7", as people are told of it
  Provenance provenance;
  std::vector<float> latents;  // empty: they were not kept
  ModelFiles files;            // empty: as whoever draws names them
  std::vector<std::string> embeddings;
};

// Error: as of candidate_of.
Chosen chosen_candidate(const SessionFolder& gacha, int64_t number);
Chosen chosen_picture(std::string name, StoredPicture picture);  // with a random seed where none is stored
Chosen chosen_entry(HistoryEntry entry);

enum class Obstacle { none, no_size, enlarged_already, varied_already };
// Why this picture cannot be refined so.
Obstacle obstacle_to(const Chosen& chosen, const Refinement& refinement);

// What draws it again; steps are empty where none are asked for. There is no obstacle. Error{bad_request}.
Request refined(const Chosen& chosen, const Refinement& refinement);
// Where nobody says how many.
int64_t steps_to_refine(const Engine& engine);

// The weights it is drawn with: what is `given` overrides where the picture's were.
ModelFiles files_for(const Chosen& chosen, const ModelFiles& given);

}  // namespace fude
