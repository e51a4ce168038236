// Engine: a model on a device. It plans, encodes and draws.
//
// One request at a time: generate, encode, plan, remember, keep_embeddings_in, memory and release take turns. Where one of them
// is under way, on whatever thread, calling another (from a callback too) is refused with Error{bad_request}, and what is under
// way goes on unharmed. So several threads may share an Engine if they take turns, or have one each: engines share no state but
// files, which appear whole. What is const may be called at any time. Construction, destruction and moves are not guarded:
// nothing else may use the engine meanwhile.
//
// The engine stays usable after every error. What a call is given is read until it returns and not kept; results belong to the
// caller and outlive the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fude/callbacks.h"
#include "fude/embeddings.h"
#include "fude/image.h"
#include "fude/options.h"
#include "fude/plan.h"
#include "fude/request.h"

namespace fude {

struct Result {
  std::vector<Image> images;
  Seconds seconds;
  Plan plan;            // made before; with seconds where this machine's rates are known
  Bytes planned, used;  // activations and weights that fude itself allocates, planned before and counted after
  std::string device;   // "cpu", "cuda"
  std::string dtype;    // what was computed in: "f32", "bf16"
  Request request;      // with the sizes that were used
};

class Engine {
 public:
  // Opens the checkpoint (headers and tokenizers only) and starts the device. Error: bad_checkpoint, bad_request, device.
  explicit Engine(const ModelFiles& files, const EngineOptions& options = {});
  ~Engine();
  Engine(Engine&&) noexcept;  // a moved-from engine may only be destroyed or assigned to
  Engine& operator=(Engine&&) noexcept;

  // Draws request.count pictures. Weights stay loaded for later requests as far as they fit. Error: bad_request, out_of_memory,
  // bad_checkpoint, device, io, non_finite, cancelled.
  Result generate(const Request& request, const Callbacks& callbacks = {});

  // Draws requests one after the other; each prompt is encoded once. What was finished before an error went to
  // callbacks.finished. Error: as above.
  std::vector<Result> generate(const std::vector<Request>& requests, const Callbacks& callbacks = {});

  // What the encoders make of the request's prompts (not of its own embeddings): given in Request::embeddings of a request with
  // as much guidance, they draw the same picture bit for bit. Takes the memory that drawing the request would. Error: as above.
  Embeddings encode(const Request& request, const Callbacks& callbacks = {});

  // What `generate` would need for it; nothing is loaded or changed. Error: bad_request; for a size that this model does not
  // draw it names the nearest that it does, and that fits the memory.
  Plan plan(const Request& request);

  // Latents of a picture (Image::latents) that `request` drew. A request whose draft is that picture goes on from them.
  // Error: bad_request.
  void remember(const Request& request, const std::vector<float>& latents);

  // One more of EngineOptions::embeddings.
  void keep_embeddings_in(const std::string& folder);

  // Bytes that the engine has for weights and work now, of the host's memory and of a card's: 0 before anything was drawn.
  Bytes memory();
  // Frees all of them, and what is kept in memory of earlier requests (embeddings, remembered latents). The files stay open.
  // Later requests draw the same pictures, and load anew.
  void release();

  // The request with every default filled in, checked. Error: bad_request.
  Request complete(const Request& request) const;

  // References are valid as long as the engine.
  const std::string& device() const;      // what it draws on: "cpu", "cuda"
  const std::string& dtype() const;       // what it computes in: "f32", "bf16"
  bool has_t5() const;                    // whether T5 reads prompts: it may be left out, or not be there
  const std::string& model_name() const;  // the folder's or file's name, or the Hugging Face repository's
  const std::string& model_hash() const;  // identifies the weights: see docs/model-files.md

 private:
  struct State;
  friend struct EngineParts;  // of the library itself
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fude
