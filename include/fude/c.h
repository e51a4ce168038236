// The C interface: all of fude for programs in C and for every language that calls C. One shared library, libfude.so.0, exports
// what stands here and nothing else. C11 and C++.
//
//   fude_options* options = NULL;
//   fude_engine* engine = NULL;
//   fude_error* error = NULL;
//   if (fude_options_new(&options, &error) || fude_options_set(options, "model", "path/to/model", &error) ||
//       fude_engine_new(options, &engine, &error))
//     fprintf(stderr, "%s\n", fude_error_text(error));
//
// Calls that may fail return a fude_code, FUDE_OK (0) where they did not, and fill `*error`, which is then the caller's to
// free. `error` may be NULL. After a failure what else would be returned is NULL, and what was given is as it was. A handle
// that is NULL is FUDE_BAD_REQUEST. No exception leaves a call.
//
// Ownership: each `…_new`, `…_load` and `…_copy` has its `…_free`, which takes NULL as well. Whatever a call is given is read
// until it returns and not kept, but for the functions of fude_options_log. Pointers without a `…_free` belong to the handle
// they came from, and are valid until that is changed or freed.
//
// Threads: different handles share nothing. One handle may be read by many threads at once; who changes it must be alone. An
// engine does one thing at a time: a second call meanwhile is refused with FUDE_BAD_REQUEST, also from a callback, and what is
// under way goes on. fude_stop_set may be called at any time. After fork() a child may use no handle of its parent, not even to
// free it; it may make its own.
//
// Text is UTF-8 and ends with a zero byte; paths are text. Sizes of pictures are pixels, memory is bytes, time is seconds. The
// library neither prints, nor reads the environment, nor exits.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#ifdef FUDE_C_BUILDING
#define FUDE_API __declspec(dllexport)
#else
#define FUDE_API __declspec(dllimport)
#endif
#else
#define FUDE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fude_error fude_error;
typedef struct fude_options fude_options;        // what an engine is opened with
typedef struct fude_engine fude_engine;          // a model on a device
typedef struct fude_request fude_request;        // what to draw
typedef struct fude_embeddings fude_embeddings;  // what the text encoders make of prompts
typedef struct fude_result fude_result;          // what came of requests
typedef struct fude_image fude_image;            // a picture
typedef struct fude_stop fude_stop;              // ends a call early
typedef struct fude_generator fude_generator;    // random numbers, as torch.Generator on the CPU

FUDE_API const char* fude_version(void);  // "0.1.0"

// ---- errors -----------------------------------------------------------------------------------------------------------------

typedef int32_t fude_code;
enum {
  FUDE_OK = 0,
  FUDE_BAD_REQUEST = 1,     // it cannot be done as asked
  FUDE_OUT_OF_MEMORY = 2,   // it does not fit the memory there is
  FUDE_BAD_CHECKPOINT = 3,  // model missing, unreadable or not a model
  FUDE_DEVICE = 4,          // the device or its driver failed
  FUDE_IO = 5,              // a file could not be read or written
  FUDE_NON_FINITE = 6,      // a stage produced NaN or infinity
  FUDE_CANCELLED = 7,       // stopped by fude_stop_set
  FUDE_INTERNAL = 8         // a fault of fude's
};

FUDE_API fude_code fude_error_code(const fude_error* error);
FUDE_API const char* fude_error_field(const fude_error* error);  // whose value is wrong: "steps"; "" where it is none's
FUDE_API const char* fude_error_text(const fude_error* error);   // what is wrong; never NULL, also of no error
// {"code", "message", "field", "where", "remedies", "parts"}, see docs/errors.md.
FUDE_API const char* fude_error_json(const fude_error* error);
FUDE_API void fude_error_free(fude_error* error);

// Texts and bytes that a call made for the caller.
FUDE_API void fude_text_free(char* text);
FUDE_API void fude_bytes_free(uint8_t* bytes);

// ---- options ----------------------------------------------------------------------------------------------------------------

// All at their defaults.
FUDE_API fude_code fude_options_new(fude_options** options, fude_error** error);
// By the names of ModelFiles and EngineOptions (options.h says what each means): model, clip_l, clip_g, t5, vae, tokenizers,
// no_t5, hub_cache; device, dtype, threads, vram, ram, embeddings, calibration, card. Numbers in digits, bytes for vram and
// ram; no_t5 is "true" or "false"; each `embeddings` adds a folder. FUDE_BAD_REQUEST: no such name, or no such value.
FUDE_API fude_code fude_options_set(fude_options* options, const char* name, const char* value, fude_error** error);
// What the library does ("loaded", "the weights that stay are loaded", bytes, seconds), told from the thread that called the
// engine, while its call is under way. `level`: "debug", "info", "warning". `user` is handed on, and must live as long as the
// engines opened with it. NULL: nothing is told.
typedef void (*fude_log)(void* user, const char* level, const char* event, const char* text, int64_t bytes, double seconds);
FUDE_API fude_code fude_options_log(fude_options* options, fude_log log, void* user, fude_error** error);
FUDE_API void fude_options_free(fude_options* options);

// ---- requests ---------------------------------------------------------------------------------------------------------------

// All at their defaults: the model's own.
FUDE_API fude_code fude_request_new(fude_request** request, fude_error** error);
FUDE_API fude_code fude_request_copy(const fude_request* request, fude_request** copy, fude_error** error);
// The request that a picture's file holds: PNG, JPEG or WebP, of fude and of other programs. The file may be hostile.
// FUDE_BAD_REQUEST where it holds none; FUDE_IO.
FUDE_API fude_code fude_request_load(const char* path, fude_request** request, fude_error** error);
// A field by its name ("steps"), or by what diffusers or A1111 call it ("num_inference_steps"); fude_request_fields lists them.
// The value is the text itself for prompts and names, digits for numbers, "true" or "false", "7,8,9" for lists. "" where it is
// no text: the default. FUDE_BAD_REQUEST with the field, where there is none of that name, or its value is none for it; whether
// it is within its range is looked at by the engine.
FUDE_API fude_code fude_request_set(fude_request* request, const char* name, const char* value, fude_error** error);
// Several: a JSON object of such names, {"prompt": "a cat", "steps": 30, "skip_layers": [7, 8, 9]}; null is the default. All or
// none of them are set.
FUDE_API fude_code fude_request_set_json(fude_request* request, const char* json, fude_error** error);
// Drawn from instead of its prompts; NULL: from its prompts. Both may be freed in any order.
FUDE_API fude_code fude_request_set_embeddings(fude_request* request, const fude_embeddings* embeddings, fude_error** error);
// Begun as these latents instead of its seed's noise: f32 [count, channels, height/8, width/8], copied; NULL: its seed's.
FUDE_API fude_code fude_request_set_latents(fude_request* request, const float* values, size_t count, fude_error** error);
// As JSON that fude_request_set_json takes.
FUDE_API fude_code fude_request_json(const fude_request* request, char** json, fude_error** error);
FUDE_API void fude_request_free(fude_request* request);
// All fields: [{"name", "other_names", "type", "help", "least", "most"}]; type is "text", "integer", "number", "boolean",
// "integers" or "numbers".
FUDE_API fude_code fude_request_fields(char** json, fude_error** error);

// ---- while a request is drawn -----------------------------------------------------------------------------------------------

// Within "load" and "encode", step counts blocks; within "denoise", steps of this picture; within "decode", its tiles.
typedef struct fude_progress {
  const char* stage;          // "load", "encode", "denoise", "decode"
  int64_t picture, pictures;  // of all requests, from 0
  int64_t step, steps;        // finished so far, and of how many
} fude_progress;

// What a picture will roughly look like: a pixel for each latent.
typedef struct fude_preview {
  fude_progress at;
  int64_t width, height;  // pixels: an eighth of the picture's
  const uint8_t* rgb;     // [height, width, 3]
} fude_preview;

// All optional: {sizeof(fude_callbacks)} is none. Calls come from the thread that called the engine, one at a time. What they
// are given is valid during the call only. They may not call that engine, and must return.
typedef struct fude_callbacks {
  size_t size;  // sizeof(fude_callbacks): newer libraries have more members
  void* user;   // handed on
  void (*progress)(void* user, const fude_progress* progress);
  void (*preview)(void* user, const fude_preview* preview);
  int64_t preview_every;  // after so many steps; 0: 1
  // Each picture as soon as it is done; the result then holds none. fude_image_copy keeps it.
  void (*finished)(void* user, const fude_image* image);
  // What will not come out as meant, and what could not be kept for later: a JSON object as fude_error_json's, without "code".
  void (*warning)(void* user, const char* text, const char* json);
  // After a step, of the pictures that are drawn at once: f32 [pictures, channels, height/8, width/8], which go on as what the
  // callback leaves in them. `timestep` (0 to 1000) is where the model was asked.
  void (*step)(void* user, const fude_progress* at, float timestep, float* latents, const int64_t shape[4]);
  const fude_stop* stop;  // fude_stop_set ends the call with FUDE_CANCELLED within a block's time
} fude_callbacks;

FUDE_API fude_code fude_stop_new(fude_stop** stop, fude_error** error);
FUDE_API void fude_stop_set(fude_stop* stop);    // from any thread, at any time, and from a callback
FUDE_API void fude_stop_clear(fude_stop* stop);  // to use it again
FUDE_API void fude_stop_free(fude_stop* stop);   // after the calls it belongs to have returned

// ---- engines ----------------------------------------------------------------------------------------------------------------

// Opens the model (headers and tokenizers only) and starts the device. FUDE_BAD_CHECKPOINT, FUDE_BAD_REQUEST, FUDE_DEVICE.
FUDE_API fude_code fude_engine_new(const fude_options* options, fude_engine** engine, fude_error** error);
// Draws requests one after the other; each prompt is encoded once. Weights stay loaded for later requests as far as they fit.
// `callbacks` may be NULL. Every code may come; the engine stays usable.
FUDE_API fude_code fude_engine_generate(fude_engine* engine, const fude_request* const* requests, size_t count,
                                        const fude_callbacks* callbacks, fude_result** result, fude_error** error);
// What the encoders make of the request's prompts. As fude_engine_generate.
FUDE_API fude_code fude_engine_encode(fude_engine* engine, const fude_request* request, const fude_callbacks* callbacks,
                                      fude_embeddings** embeddings, fude_error** error);
// What drawing it would need: memory and, where the machine's rates are known, seconds. Nothing is loaded. JSON as of
// `fude plan --json` (docs/plan.md).
FUDE_API fude_code fude_engine_plan(fude_engine* engine, const fude_request* request, char** json, fude_error** error);
// The request with every default filled in, checked; also while the engine draws. FUDE_BAD_REQUEST.
FUDE_API fude_code fude_engine_complete(const fude_engine* engine, const fude_request* request, fude_request** complete,
                                        fude_error** error);
// Bytes of the host's memory and of a card's that it has now for weights and work.
FUDE_API fude_code fude_engine_memory(fude_engine* engine, int64_t* host, int64_t* device, fude_error** error);
// Frees all of them. Later requests draw the same pictures, and load anew.
FUDE_API fude_code fude_engine_release(fude_engine* engine, fude_error** error);
// {"device", "dtype", "model", "model_hash", "t5"}: what it draws on and computes in; also while it draws.
FUDE_API fude_code fude_engine_json(const fude_engine* engine, char** json, fude_error** error);
FUDE_API void fude_engine_free(fude_engine* engine);

// What there is to draw with, the one that "auto" takes first: [{"name", "description", "library", "memory", "free",
// "fast_dtypes"}]. Starts the drivers of cards. FUDE_DEVICE.
FUDE_API fude_code fude_devices(char** json, fude_error** error);

// ---- pictures ---------------------------------------------------------------------------------------------------------------

FUDE_API size_t fude_result_count(const fude_result* result);  // pictures
// NULL where there is none of that number, from 0.
FUDE_API const fude_image* fude_result_image(const fude_result* result, size_t picture);
// For each request: [{"device", "dtype", "seconds", "planned_bytes", "used_bytes", "request"}].
FUDE_API const char* fude_result_json(const fude_result* result);
FUDE_API void fude_result_free(fude_result* result);

FUDE_API int64_t fude_image_width(const fude_image* image);       // pixels
FUDE_API int64_t fude_image_height(const fude_image* image);      // pixels
FUDE_API const uint8_t* fude_image_rgb(const fude_image* image);  // [height, width, 3]
// f32 [channels, height/8, width/8], the shape filled in: what was decoded, and what it began as.
FUDE_API const float* fude_image_latents(const fude_image* image, int64_t shape[3]);
FUDE_API const float* fude_image_noise(const fude_image* image, int64_t shape[3]);
// {"seed", "request", "batch", "place", "seconds", "step_seconds", "used_bytes", "provenance"}; `request`: whose picture it is;
// provenance draws it again.
FUDE_API const char* fude_image_json(const fude_image* image);
// A PNG that holds its request, so that fude draws it again. The file appears whole or not at all. FUDE_IO.
FUDE_API fude_code fude_image_save_png(const fude_image* image, const char* path, fude_error** error);
FUDE_API fude_code fude_image_encode_png(const fude_image* image, uint8_t** bytes, size_t* size, fude_error** error);
// A handle of its own to the same pixels; outlives the result.
FUDE_API fude_code fude_image_copy(const fude_image* image, fude_image** copy, fude_error** error);
FUDE_API void fude_image_free(fude_image* image);  // of a copy only

// ---- embeddings -------------------------------------------------------------------------------------------------------------

// f32: prompt and negative [tokens, width], pooled and negative_pooled [pooled_width]; the negative ones may both be NULL. The
// values are copied. FUDE_BAD_REQUEST.
FUDE_API fude_code fude_embeddings_new(int64_t tokens, int64_t width, int64_t pooled_width, const float* prompt,
                                       const float* pooled, const float* negative, const float* negative_pooled,
                                       fude_embeddings** embeddings, fude_error** error);
// A safetensors file with diffusers' names. It may be hostile. FUDE_BAD_REQUEST, FUDE_IO.
FUDE_API fude_code fude_embeddings_load(const char* path, fude_embeddings** embeddings, fude_error** error);
FUDE_API fude_code fude_embeddings_save(const fude_embeddings* embeddings, const char* path, fude_error** error);
// `shape`: tokens, width, pooled_width.
FUDE_API void fude_embeddings_shape(const fude_embeddings* embeddings, int64_t shape[3]);
// By diffusers' names: prompt_embeds, pooled_prompt_embeds, negative_prompt_embeds, negative_pooled_prompt_embeds. NULL where
// there are none.
FUDE_API const float* fude_embeddings_values(const fude_embeddings* embeddings, const char* name);
FUDE_API void fude_embeddings_free(fude_embeddings* embeddings);

// ---- random numbers ---------------------------------------------------------------------------------------------------------

FUDE_API fude_code fude_generator_new(uint64_t seed, fude_generator** generator, fude_error** error);
// The next `count` (16 or more) normal numbers, the bits that torch.randn draws on the CPU; `noise` says in which type, as the
// field of requests does: "torch-cpu", "torch-cpu-f16", "torch-cpu-bf16", "torch-2.11-cpu-f16", "torch-2.11-cpu-bf16".
// FUDE_BAD_REQUEST.
FUDE_API fude_code fude_generator_randn(fude_generator* generator, const char* noise, float* values, size_t count,
                                        fude_error** error);
FUDE_API void fude_generator_free(fude_generator* generator);

#ifdef __cplusplus
}
#endif
