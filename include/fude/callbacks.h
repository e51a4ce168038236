// What a caller is told, and asked, while a request is drawn. All of it is optional.
//
// Calls come from the thread that called the engine, one at a time. What they are given is valid during the call only, unless
// it is copied. They may not call that engine, but for what says "at any time"; what they throw ends the request.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fude/error.h"
#include "fude/image.h"
#include "fude/plan.h"

namespace fude {

enum class Stage { load, encode, denoise, decode };
std::string_view name_of(Stage stage);

// Where a request is. Within load and encode, step counts blocks; within denoise, steps of this picture; within decode, its
// tiles.
struct Progress {
  Stage stage = Stage::load;
  int64_t picture = 0, pictures = 1;  // of all requests
  int64_t step = 0, steps = 0;        // finished so far, and of how many
};

// What a picture, or its draft, will roughly look like: what the latest step takes for the finished latents, a pixel for each
// of them, in colours that are a linear function of their channels. Where that function comes from: docs/model-files.md.
struct Preview {
  Progress at;
  int64_t width = 0, height = 0;  // pixels: an eighth of the picture's
  std::vector<uint8_t> rgb;       // rows top to bottom, 3 bytes a pixel
};

// Latents after a step, of the pictures that are drawn at once. What the callback leaves in `values` is what they go on as.
struct StepLatents {
  Progress at;         // of the first of them
  float timestep = 0;  // 0–1000, at which the model was asked
  int64_t pictures = 0, channels = 0, height = 0, width = 0;
  std::vector<float>& values;  // f32 [pictures, channels, height, width]
};

// A tensor of the trace (names in docs/trace.md): contiguous bytes.
struct TraceTensor {
  std::string_view name;
  std::string_view dtype;  // "f32", "i32", "u8"
  std::vector<int64_t> shape;
  const void* data = nullptr;
};

struct Callbacks {
  std::function<void(const Progress&)> progress;
  std::function<void(const Plan&)> planned;    // what each request will need, before anything of it is loaded
  std::function<void(const Image&)> finished;  // each picture as soon as it is done; results then hold no pictures
  // After every `preview_every`th step of each picture; the steps cost nothing where it is empty. Not of models whose latents
  // have no known colours.
  std::function<void(const Preview&)> preview;
  int64_t preview_every = 1;
  std::function<void(const StepLatents&)> step;  // after every step, but of drafts
  // What of a request will not come out as meant: a prompt that was cut or holds other programs' syntax, a size the model was
  // not trained for, no T5, a negative prompt without guidance; or steps that took far longer than planned. Remarks on the
  // model and the size come once for each engine.
  std::function<void(const Message&)> warning;
  // Why something could not be kept for later requests (embeddings of a prompt, this machine's rates); the picture is none the
  // worse.
  std::function<void(const std::string&)> not_kept;
  std::function<void(const TraceTensor&)> trace;  // every stage of picture 0
  // Set it to true, from any thread: Error{cancelled} within a block's time. The caller's, until the call returns.
  const std::atomic<bool>* stop = nullptr;
};

}  // namespace fude
