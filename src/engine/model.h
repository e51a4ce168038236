// Model: what is opened once, never changes and may be shared by workers on any thread: files, tokenizers, geometry. Beside it
// lies what they have packed of it in host memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/text_encoders.h"
#include "fude/fude.h"
#include "offload/packed_host.h"
#include "weights/checkpoint.h"

namespace fude {

class Model;

// A request that was checked and completed for a model, and its prompts' ids (none where embeddings are given): only this can
// be planned and drawn.
class ResolvedRequest {
 public:
  const Request& asked() const { return request_; }  // every field is filled
  const TokenIds& ids() const { return ids_; }
  int64_t prompts() const { return guided() ? 2 : 1; }
  const std::string& embeddings_hash() const { return embeddings_hash_; }  // of those it is drawn from; empty: from prompts

  int64_t steps() const { return *request_.steps; }
  bool guided() const { return *request_.guidance > 1; }
  double shift() const { return *request_.shift; }
  int64_t batch() const { return std::max<int64_t>(1, request_.batch); }  // until a plan decides, where it is left open

  // The same without its draft, at a smaller size.
  ResolvedRequest at_size(const Size& size) const;

 private:
  friend class Model;
  ResolvedRequest(Request request, TokenIds ids) : request_(std::move(request)), ids_(std::move(ids)) {}

  Request request_;
  TokenIds ids_;
  std::string embeddings_hash_;
};

using Warn = std::function<void(const Message&)>;

class Model {
 public:
  explicit Model(const ModelFiles& files);  // headers and tokenizers only. Error{bad_checkpoint}

  const Checkpoint& checkpoint() const { return checkpoint_; }
  const std::string& name() const { return name_; }
  const std::string& hash() const { return hash_; }  // of all weights
  const std::optional<LatentRgb>& latent_rgb() const { return latent_rgb_; }
  int64_t vae_scale_factor() const { return checkpoint_.vae().scale_factor(); }  // pixels of a latent's side
  // What workers have packed for their devices to copy, and share: not of the model, but as long as it.
  PackedHost& packed_host() const { return *packed_host_; }

  // The request with every default, whatever size it asks for. Error{bad_request}.
  Request filled(const Request& request) const;
  Size nearest_size(const Request& full) const;  // that the model draws
  // Error{bad_request} that advises `nearest`, unless that is the request's size.
  void check_size(const Request& full, const Size& nearest) const;
  Request complete(const Request& request) const;  // all of that. Error{bad_request}
  // Warnings: what was cut from prompts or is another program's syntax.
  ResolvedRequest resolve(const Request& request, const Warn& warning = {}) const;

 private:
  int64_t largest_side() const;  // pixels
  void check_layers(const Request& full) const;
  TokenIds ids_of(const Request& full, const Warn& warning) const;

  Checkpoint checkpoint_;
  Tokenizers tokenizers_;
  std::string name_, hash_;
  std::optional<LatentRgb> latent_rgb_;
  const std::unique_ptr<PackedHost> packed_host_ = std::make_unique<PackedHost>();
};

}  // namespace fude
