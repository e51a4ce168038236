// fude draws pictures with Stable Diffusion 3.5. This header is the whole public API.
//
//   fude::Engine engine({.model = "path/to/stable-diffusion-3.5-medium"});
//   fude::Result result = engine.generate({.prompt = "a capybara in a hot spring", .seed = 7});
//   result.images[0].rgb  // width·height·3 bytes
//
// Every failure is a fude::Error. Strings and paths are UTF-8. Nothing here prints, reads the environment or exits.
//
// Threads: functions that belong to no class, bench included, may be called from any thread at any time, and so may Engines
// that are different objects. What may be called of one Engine at the same time is said there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fude/error.h"

namespace fude {

std::string version();  // "0.1.0"

// Where the weights are. An empty string means: inside `model`.
struct ModelFiles {
  // Diffusers folder, a single .safetensors or a folder with one; an id in the Hugging Face cache such as "stabilityai/…", or
  // its page's address.
  std::string model;
  std::string clip_l;  // separate component files, as ComfyUI keeps them, or component folders
  std::string clip_g;
  std::string t5;
  std::string vae;
  std::string tokenizers;  // a folder with tokenizer, tokenizer_2, tokenizer_3 (or clip, t5)
  bool no_t5 = false;      // leave T5 out, as diffusers does with text_encoder_3=None
  std::string hub_cache;   // root of the Hugging Face cache (…/hub); empty: ids are not looked up
};

struct EngineOptions {
  std::string device = "auto";  // auto, cpu, cuda, cuda:1
  std::string dtype = "auto";   // auto, f32, bf16, f16
  int threads = 0;              // 0: the cores
  // Bytes this process may take, everything included: of the card with what the driver and libraries keep there, and of the
  // host's memory. 0: what is free.
  int64_t vram = 0, ram = 0;
  // Folders where embeddings of prompts are kept, so that a prompt is encoded once: read from all, written to each.
  std::vector<std::string> embeddings;
  // File where the rates of this machine are kept, measured once in about a second; empty: pictures are not predicted, and each
  // engine that is asked for a plan measures.
  std::string calibration;
  // A card that is not here, for Engine::plan only: card_names(). Its rates are published ones times what kernels reach
  // elsewhere.
  std::string card;
};
std::vector<std::string> card_names();  // "rtx4060" …

// Whose random numbers the first latents are: the same bits as torch.randn for the same seed. torch draws f16 and bf16 on the
// CPU otherwise since 2.13, as f32 values rounded once; the torch_2_11 kinds are those of 2.1 to 2.11.
enum class Noise { torch_cpu, torch_cpu_f16, torch_cpu_bf16, torch_2_11_cpu_f16, torch_2_11_cpu_bf16, torch_cuda };
const std::vector<Noise>& all_noise();
std::string_view name_of(Noise noise);  // "torch-cpu", "torch-cpu-f16", "torch-2.11-cpu-f16" …
std::optional<Noise> noise_from(std::string_view name);
const std::vector<std::string>& sampler_names();  // the first is the default
// Ours for a name as A1111, ComfyUI or diffusers write it ("Euler", "k_euler", "FlowMatchEulerDiscreteScheduler"); requests
// take all.
std::optional<std::string> sampler_from(std::string_view name);

// Noise that is moved from the seed's towards another seed's, along the sphere both lie on.
struct Variation {
  uint64_t seed = 0;  // the other's; picture i of a request uses seed + i, and its own seed is the request's
  double amount = 0;  // 0: the request's own noise, 1: the other's
};

// A smaller picture that is drawn first. Its latents are enlarged, noised again and drawn to the end at the request's size.
struct Draft {
  int64_t width = 0, height = 0;  // pixels, multiples of 16
  std::optional<int64_t> steps;   // empty: the model's own
  double strength =
      0.3;  // above 0, at most 1: the part of the request's steps, its last, that the larger picture is drawn with
  int64_t batch = 1, place = 0;  // as the request's
};

struct Request {
  std::string prompt;
  std::string negative;
  int64_t width = 0, height = 0;   // pixels, multiples of 16; 0: the model's own size
  std::optional<int64_t> steps;    // 1–1000; empty: the model's own
  std::optional<double> guidance;  // ≤ 1 turns guidance off; empty: the model's own
  uint64_t seed = 0;               // picture i of a request uses seed + i
  int64_t count = 1;
  Noise noise = Noise::torch_cpu;
  std::string sampler = "euler";
  std::optional<double> shift;  // of the schedule; empty: the checkpoint's
  std::optional<Variation> variation;
  std::optional<Draft> draft;
  // Pictures that are drawn at once; 0: as many as is faster and fits. A batch with fewer pictures left is filled up with ones
  // that are thrown away. A picture's last bits depend on the size of its batch and on its place there; `place` puts a single
  // one there.
  int64_t batch = 1, place = 0;
  // Decode as diffusers' enable_vae_tiling does: overlapped tiles of 1024 px, blended; faster in little memory, but the picture
  // is not that of an untiled decode. Nothing changes where no side is larger than 1024 px.
  bool vae_tiling = false;
};

struct Size {
  int64_t width = 0, height = 0;  // pixels
  bool operator==(const Size&) const = default;
};

// Requests that differ from one in the values listed; an empty list leaves what the request has.
struct Grid {
  Request request;
  std::vector<std::string> prompts, negatives, samplers;
  std::vector<Size> sizes;
  std::vector<double> shifts, guidances;
  std::vector<int64_t> steps;
  std::vector<uint64_t> seeds;
};
// Every combination; the last list changes fastest.
std::vector<Request> requests_of(const Grid& grid);

struct Seconds {
  // load: all that comes before a request is drawn: its plan, memory, the weights that stay; with an engine's first request
  // also opening the model and the device.
  double load = 0, encode = 0, denoise = 0, decode = 0, total = 0;
};

struct Bytes {
  int64_t host = 0, device = 0;
};

// Where a component's weights are while a request is drawn.
struct ComponentPlan {
  std::string name;                       // "clip_l", "clip_g", "t5", "transformer", "modulation", "vae"
  std::string dtype;                      // that it is computed in
  int64_t weights = 0;                    // bytes, in that dtype
  int64_t resident = 0;                   // bytes of them that stay on the device
  int64_t parts = 0, resident_parts = 0;  // blocks, or what else is loaded at once
  int64_t slots = 0;                      // bytes that the others take turns in
  int64_t in_host_memory = 0;             // bytes that are kept on the host, ready to be copied; the others come from the file
};

// What a request will need. Nothing is loaded and nothing is drawn to know it.
struct Plan {
  bool fits = false;
  Bytes planned;  // what fude allocates, to the byte
  Bytes process;  // with what the driver, libraries and the program itself take
  Bytes budget;   // what the process may take
  std::vector<ComponentPlan> components;
  int64_t streamed_per_step = 0;     // bytes of weights that travel to the device at each step
  int64_t decode_tiles = 1;          // that the picture is decoded in, where Request::vae_tiling asks for them
  int64_t decode_strips = 1;         // pieces that the picture, or a tile of it, is decoded in, exactly
  bool decode_through_host = false;  // its full-size intermediates wait in the host's memory
  Seconds predicted;                 // from the rates of this machine; 0 where they are not known
  std::vector<Message> advice;       // what to do: why it does not fit, or what costs time
  Request request;                   // complete
  std::optional<Request> nearest;    // the largest request of this shape that fits, where this one does not
};

// A picture and how it came about.
struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // rows top to bottom, 3 bytes a pixel
  uint64_t seed = 0;
  int64_t request = 0;               // of several requests: whose it is
  int64_t batch = 1, place = 0;      // pictures that were drawn at once, and which of them it was
  Seconds seconds;                   // its own: load and encode where it waited for them, a share of a batch's denoise
  std::vector<double> step_seconds;  // of the whole batch
  Bytes planned, used;
  std::vector<float> noise, latents;  // f32 [channels, height/8, width/8]: what it began as, and what was decoded
};

enum class Stage { load, encode, denoise, decode };
std::string_view name_of(Stage stage);

// Where a request is. Within load and encode, step counts blocks; within denoise, steps of this picture; within decode, its
// tiles.
struct Progress {
  Stage stage = Stage::load;
  int64_t picture = 0, pictures = 1;  // of all requests
  int64_t step = 0, steps = 0;        // finished so far, and of how many
};

// A tensor of the trace (names in docs): contiguous bytes, valid during the call only.
struct TraceTensor {
  std::string_view name;
  std::string_view dtype;  // "f32", "i32", "u8"
  std::vector<int64_t> shape;
  const void* data = nullptr;
};

// All optional. Calls come from the thread that called generate.
struct Callbacks {
  std::function<void(const Progress&)> progress;
  std::function<void(const Plan&)> planned;    // what each request will need, before anything of it is loaded
  std::function<void(const Image&)> finished;  // each picture as soon as it is done; results then hold no pictures
  // What of a request will not come out as meant: a prompt that was cut or holds other programs' syntax, a size the model was
  // not trained for, no T5, a negative prompt without guidance; or steps that took far longer than planned. Remarks on the
  // model and the size come once for each engine.
  std::function<void(const Message&)> warning;
  // Why something could not be kept for later requests (embeddings of a prompt, this machine's rates); the picture is none the
  // worse.
  std::function<void(const std::string&)> not_kept;
  std::function<void(const TraceTensor&)> trace;  // every stage of picture 0
  const std::atomic<bool>* stop = nullptr;        // set it to true: Error{cancelled} within a block's time
};

struct Result {
  std::vector<Image> images;
  Seconds seconds;
  Plan plan;            // made before; with seconds where this machine's rates are known
  Bytes planned, used;  // activations and weights that fude itself allocates, planned before and counted after
  std::string device;   // "cpu", "cuda"
  std::string dtype;    // what was computed in: "f32", "bf16"
  Request request;      // with the sizes that were used
};

struct DeviceInfo {
  std::string name;         // as EngineOptions::device takes it: "cpu", "cuda", "cuda:1"
  std::string description;  // "AMD EPYC, 2 threads, AVX2"
  std::string library;      // "oneDNN 2.6.3"
  int64_t memory = 0;       // bytes in all
  int64_t free = 0;         // bytes available now
  std::string fast_dtypes;  // "f32" or "f32, bf16"
};
std::vector<DeviceInfo> devices();  // the one that "auto" takes first
std::string why_no_cuda();          // when no NVIDIA card is among them: why, and how that changes

// What this build can draw with, whether it is there or not.
struct BackendInfo {
  std::string name;     // "cpu", "cuda"
  std::string library;  // "oneDNN 2.6.3"
};
std::vector<BackendInfo> backends();

// How long something takes, and what is done in that time.
struct Timing {
  std::string name;    // "qkv, norms, image"
  std::string shape;   // "2048x4608x1536"
  double seconds = 0;  // the median
  double flops = 0;    // of products
  double bytes = 0;    // read and written, where memory is the limit; else 0
};

// The best that was measured, a second; 0: not measured.
struct BenchPeaks {
  double flops = 0;   // of products
  double bytes = 0;   // of the device's memory, read and written
  double upload = 0;  // bytes from the host's memory to a card's
};

struct BenchOptions {
  int64_t width = 0, height = 0;  // pixels, multiples of 16; 0: 512, or the model's own size where that is smaller
  int64_t steps = 4;              // of the request
};

struct BenchProgress {
  std::string what;  // is timed now
  int64_t done = 0, of = 0;
};

// All optional.
struct BenchCallbacks {
  std::function<void(const BenchProgress&)> progress;
  const std::atomic<bool>* stop = nullptr;  // set it to true: Error{cancelled}
};

// The same request twice by one Engine: the first time it loads the weights.
struct BenchRequest {
  std::string model;
  int64_t steps = 0;
  double guidance = 0;             // the model's own; 1 or less: steps are done without
  Timing encode, forward, decode;  // of the second time; forward: one step, the median of both
  Seconds first, again;
  Bytes planned;
};

struct BenchReport {
  DeviceInfo device;
  std::string dtype;              // what was computed in
  int64_t width = 0, height = 0;  // pixels
  BenchPeaks peaks;
  std::vector<Timing> ops;  // SD3.5-medium's shapes with guidance, whatever the model
  std::optional<BenchRequest> request;
};

// Times this machine: the operations with random numbers, then a request where `files` names a model. Error: as of an Engine.
BenchReport bench(const ModelFiles& files, const EngineOptions& options = {}, const BenchOptions& asked = {},
                  const BenchCallbacks& callbacks = {});

// One request at a time: generate, plan, remember and keep_embeddings_in change the engine. Where one of them is under way, on
// whatever thread, calling another (from a callback too) is refused with Error{bad_request}, and what is under way goes on
// unharmed. So several threads may share an Engine if they take turns, or have one each: engines share no state but files,
// which appear whole. device, dtype, has_t5, model_name, model_hash and complete may be called at any time. Construction,
// destruction and moves are not guarded: nothing else may use the engine meanwhile.
class Engine {
 public:
  // Opens the checkpoint (headers and tokenizers only). Error: bad_checkpoint, bad_request.
  explicit Engine(const ModelFiles& files, const EngineOptions& options = {});
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  // Draws request.count pictures. Error: bad_request, out_of_memory, bad_checkpoint, io, non_finite, cancelled. The engine
  // stays usable after an error.
  Result generate(const Request& request, const Callbacks& callbacks = {});

  // Draws requests one after the other; weights stay, and each prompt is encoded once. What was finished before an error went
  // to callbacks.finished.
  std::vector<Result> generate(const std::vector<Request>& requests, const Callbacks& callbacks = {});

  // Latents of a picture (Image::latents) that `request` drew. A request whose draft is that picture goes on from them.
  void remember(const Request& request, const std::vector<float>& latents);

  // One more of EngineOptions::embeddings.
  void keep_embeddings_in(const std::string& folder);

  // What `generate` would need for it. Error{bad_request}; for a size that this model does not draw it names the nearest that
  // it does, and that fits the memory.
  Plan plan(const Request& request);

  // The request with every default filled in, checked. Error{bad_request}.
  Request complete(const Request& request) const;

  const std::string& device() const;      // what it draws on: "cpu", "cuda"
  const std::string& dtype() const;       // what it computes in: "f32", "bf16"
  bool has_t5() const;                    // whether T5 reads prompts: it may be left out, or not be there
  const std::string& model_name() const;  // the folder's or file's name, or the Hugging Face repository's
  const std::string& model_hash() const;  // identifies the weights: see docs

 private:
  struct State;
  friend struct EngineParts;  // of the library itself
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fude
