// What an Engine keeps between requests.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backend.h"
#include "engine/embeddings.h"
#include "engine/text.h"
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

struct Engine::State {
  class Drawing;  // draw.cpp

  State(const ModelFiles& files, const EngineOptions& options);

  Request complete(const Request& request) const;
  std::vector<Result> generate(const std::vector<Request>& requests, const Callbacks& callbacks);
  Result generate(const Request& request, const Callbacks& callbacks);

  int64_t zoom() const;  // pixels of a latent's side
  int64_t& device_bytes(Bytes& bytes) const;
  int64_t allocated() const;  // on the device, now
  bool fits(Bytes planned, int64_t free) const;
  void place_weights(const Job& job);
  int64_t usual_batch(const Job& job);
  int64_t measure(const Job& job, Result& result);
  void draw(const Job& job, const Callbacks& callbacks, Result& result);
  static std::string draft_key(const Request& request, int64_t picture);

  Checkpoint checkpoint;
  Tokenizers tokenizers;
  std::unique_ptr<Backend> backend;
  DType dtype;  // of activations and packed weights
  std::string device_name, dtype_name, model_name, model_hash;
  // Made at the first request, when it is known how much memory pictures take.
  std::optional<TextEncoders> text;
  std::optional<Mmdit> mmdit;
  std::optional<Vae> vae;
  Buffer activations;  // kept while requests need the same
  std::optional<KeptEmbeddings> embeddings;
  std::map<std::string, std::vector<float>> drafts;  // latents by draft_key

  int64_t batch = 1;                                             // pictures at once, of the request under way
  int64_t place_in_series = 0, pictures_done = 0, pictures = 0;  // which request it is; of all of them
};

}  // namespace fude
