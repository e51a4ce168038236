// What an Engine keeps between requests.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/backend.h"
#include "engine/text.h"
#include "fude/fude.h"
#include "model/mmdit.h"
#include "model/vae.h"

namespace fude {

struct Engine::State {
  State(const ModelFiles& files, const EngineOptions& options);

  Request complete(const Request& request) const;
  Result generate(const Request& request, const Callbacks& callbacks);

  int64_t zoom() const;  // pixels of a latent's side
  void place_weights(const Request& request, const TokenIds& ids);
  int64_t& device_bytes(Bytes& bytes) const;
  int64_t measure(const Request& request, const TokenIds& ids, Result& result);
  void draw(const Request& request, const TokenIds& ids, const Callbacks& callbacks, Result& result);
  void decode(const Request& request, int64_t picture, const Tensor& latents, std::vector<double> step_seconds,
              const Callbacks& callbacks, Result& result);

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
};

}  // namespace fude
