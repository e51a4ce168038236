// The C interface over the public C++ one: handles, codes for exceptions, names for fields.
#include "fude/c.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "c/named_options.h"
#include "core/noise.h"
#include "engine/given_embeddings.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "engine/named_fields.h"
#include "engine/told_json.h"
#include "fude/fude.h"

using Json = nlohmann::ordered_json;

struct fude_error {
  fude_code code;
  std::string field, text, json;
};
struct fude_options {
  fude::NamedOptions named;
};
struct fude_engine {
  fude::Engine engine;
};
struct fude_request {
  fude::Request request;
};
struct fude_embeddings {
  std::shared_ptr<const fude::Embeddings> shared;
};
struct fude_image {
  std::shared_ptr<const fude::Image> shared;
  std::string json;
};
struct fude_result {
  std::vector<fude_image> images;
  std::string json;
};
struct fude_stop {
  std::atomic<bool> flag = false;
};
struct fude_generator {
  fude::TorchGenerator generator;
};

namespace {

using fude::Code;
using fude::Error;

static_assert(FUDE_BAD_REQUEST == static_cast<int>(Code::bad_request) + 1);
static_assert(FUDE_CANCELLED == static_cast<int>(Code::cancelled) + 1);

fude_code tell(fude_error** error, fude_code code, const Error& failure) noexcept {
  if (!error) return code;
  try {
    Json json = fude::json_from(failure, fude::text_of);
    if (code == FUDE_INTERNAL) json["code"] = "internal";
    *error = new fude_error{.code = code,
                            .field = std::string(fude::name_of(failure.message().field)),
                            .text = fude::text_of(failure.message()),
                            .json = fude::text_of_json(json)};
  } catch (...) {  // the code alone has to do
    *error = nullptr;
  }
  return code;
}

// What a call does, with every exception as a code.
template <class Work>
fude_code attempt(fude_error** error, const Work& work) noexcept {
  if (error) *error = nullptr;
  try {
    work();
    return FUDE_OK;
  } catch (const Error& failure) {
    return tell(error, static_cast<fude_code>(failure.code()) + 1, failure);
  } catch (const std::bad_alloc&) {
    return tell(error, FUDE_OUT_OF_MEMORY, Error(Code::out_of_memory, "there is not enough memory"));
  } catch (const std::exception& failure) {
    return tell(error, FUDE_INTERNAL, Error(Code::device, failure.what()));
  } catch (...) {
    return tell(error, FUDE_INTERNAL, Error(Code::device, "something unknown failed"));
  }
}

template <class T>
T& given(T* pointer, const char* name) {
  if (!pointer) throw Error(Code::bad_request, std::string(name) + " is NULL");
  return *pointer;
}

std::string text_given(const char* text, const char* name) { return &given(text, name); }

// A call that makes something.
template <class Handle, class Make>
fude_code make(Handle** made, fude_error** error, const Make& work) noexcept {
  if (made) *made = nullptr;
  return attempt(error, [&] {
    Handle*& place = given(made, "what is to be made");
    place = new Handle{work()};
  });
}

template <class T>
T* buffer_of(size_t size) {
  void* memory = std::malloc(std::max<size_t>(1, size * sizeof(T)));
  if (!memory) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

template <class Work>
fude_code make_text(char** made, fude_error** error, const Work& work) noexcept {
  if (made) *made = nullptr;
  return attempt(error, [&] {
    char*& place = given(made, "the text that is to be made");
    const std::string text = work();
    place = buffer_of<char>(text.size() + 1);
    std::memcpy(place, text.c_str(), text.size() + 1);
  });
}

// ---- callbacks --------------------------------------------------------------------------------------------------------------

fude_progress told(const fude::Progress& at) {
  return {fude::name_of(at.stage).data(), at.picture, at.pictures, at.step, at.steps};
}

std::string json_of(const fude::Image& image) {
  Json json = {{"seed", image.seed},
               {"request", image.request},
               {"batch", image.batch},
               {"place", image.place},
               {"seconds", fude::json_from(image.seconds)},
               {"step_seconds", image.step_seconds},
               {"used_bytes", fude::json_from(image.used)},
               {"provenance", image.provenance ? fude::json_from(*image.provenance) : Json()}};
  return fude::text_of_json(json);
}

fude::Callbacks callbacks_from(const fude_callbacks* asked) {
  if (!asked) return {};
  if (asked->size < sizeof(size_t)) throw Error(Code::bad_request, "the callbacks' size is not that of fude_callbacks");
  fude_callbacks c{};
  std::memcpy(&c, asked, std::min(asked->size, sizeof c));
  fude::Callbacks callbacks;
  if (c.stop) callbacks.stop = &c.stop->flag;
  if (c.progress)
    callbacks.progress = [c](const fude::Progress& progress) {
      const fude_progress at = told(progress);
      c.progress(c.user, &at);
    };
  if (c.preview)
    callbacks.preview = [c](const fude::Preview& preview) {
      const fude_preview shown{told(preview.at), preview.width, preview.height, preview.rgb.data()};
      c.preview(c.user, &shown);
    };
  callbacks.preview_every = std::max<int64_t>(1, c.preview_every);
  if (c.finished)
    callbacks.finished = [c](const fude::Image& image) {
      const fude_image own{std::make_shared<const fude::Image>(image), json_of(image)};
      c.finished(c.user, &own);
    };
  if (c.step)
    callbacks.step = [c](const fude::StepLatents& latents) {
      const fude_progress at = told(latents.at);
      const int64_t shape[4] = {latents.pictures, latents.channels, latents.height, latents.width};
      c.step(c.user, &at, latents.timestep, latents.values.data(), shape);
    };
  if (c.warning) {
    callbacks.warning = [c](const fude::Message& message) {
      c.warning(c.user, fude::text_of(message).c_str(), fude::text_of_json(fude::json_from(message, fude::text_of)).c_str());
    };
    callbacks.not_kept = [warning = callbacks.warning](const std::string& what) { warning({.what = what}); };
  }
  return callbacks;
}

fude_result result_of(std::vector<fude::Result> results) {
  fude_result all;
  Json json = Json::array();
  for (fude::Result& result : results) {
    json.push_back({{"device", result.device},
                    {"dtype", result.dtype},
                    {"seconds", fude::json_from(result.seconds)},
                    {"planned_bytes", fude::json_from(result.planned)},
                    {"used_bytes", fude::json_from(result.used)},
                    {"request", fude::named_values(result.request)}});
    for (fude::Image& image : result.images) {
      std::string own = json_of(image);
      all.images.push_back({std::make_shared<const fude::Image>(std::move(image)), std::move(own)});
    }
  }
  all.json = fude::text_of_json(json);
  return all;
}

const float* latents_of(const fude_image* image, int64_t shape[3], std::vector<float> fude::Image::*which) {
  if (!image) return nullptr;
  const fude::Image& own = *image->shared;
  const std::vector<float>& values = own.*which;
  if (values.empty()) return nullptr;
  const int64_t height = own.height / 8, width = own.width / 8;
  if (shape) {
    shape[0] = static_cast<int64_t>(values.size()) / (height * width);
    shape[1] = height;
    shape[2] = width;
  }
  return values.data();
}

// The values of a tensor of embeddings, by its name; null: there is none of that name.
std::vector<float> fude::Embeddings::*embeddings_named(std::string_view name) {
  using fude::Embeddings;
  if (name == "prompt_embeds") return &Embeddings::prompt;
  if (name == "pooled_prompt_embeds") return &Embeddings::pooled;
  if (name == "negative_prompt_embeds") return &Embeddings::negative;
  if (name == "negative_pooled_prompt_embeds") return &Embeddings::negative_pooled;
  return nullptr;
}

}  // namespace

extern "C" {

const char* fude_version(void) { return FUDE_VERSION; }

// ---- errors -----------------------------------------------------------------------------------------------------------------

fude_code fude_error_code(const fude_error* error) { return error ? error->code : FUDE_OK; }
const char* fude_error_field(const fude_error* error) { return error ? error->field.c_str() : ""; }
const char* fude_error_text(const fude_error* error) { return error ? error->text.c_str() : ""; }
const char* fude_error_json(const fude_error* error) { return error ? error->json.c_str() : "null"; }
void fude_error_free(fude_error* error) { delete error; }
void fude_text_free(char* text) { std::free(text); }
void fude_bytes_free(uint8_t* bytes) { std::free(bytes); }

// ---- options ----------------------------------------------------------------------------------------------------------------

fude_code fude_options_new(fude_options** options, fude_error** error) {
  return make(options, error, [] { return fude::NamedOptions{}; });
}
fude_code fude_options_set(fude_options* options, const char* name, const char* value, fude_error** error) {
  return attempt(error,
                 [&] { fude::set_by_name(given(options, "options").named, &given(name, "name"), &given(value, "value")); });
}
fude_code fude_options_log(fude_options* options, fude_log log, void* user, fude_error** error) {
  return attempt(error, [&] {
    fude::Log& own = given(options, "options").named.engine.log;
    own = nullptr;
    if (log)
      own = [log, user](const fude::LogEntry& entry) {
        log(user, fude::name_of(fude::level_of(entry.event)).data(), fude::name_of(entry.event).data(), entry.text.c_str(),
            entry.bytes, entry.seconds);
      };
  });
}
void fude_options_free(fude_options* options) { delete options; }

// ---- requests ---------------------------------------------------------------------------------------------------------------

fude_code fude_request_new(fude_request** request, fude_error** error) {
  return make(request, error, [] { return fude::Request{}; });
}
fude_code fude_request_copy(const fude_request* request, fude_request** copy, fude_error** error) {
  return make(copy, error, [&] { return given(request, "request").request; });
}
fude_code fude_request_load(const char* path, fude_request** request, fude_error** error) {
  return make(request, error, [&] { return fude::load_request(text_given(path, "path")).provenance.request; });
}
fude_code fude_request_set(fude_request* request, const char* name, const char* value, fude_error** error) {
  return attempt(error, [&] {
    fude::set_by_name(given(request, "request").request, &given(name, "name"), std::string_view(&given(value, "value")));
  });
}
fude_code fude_request_set_json(fude_request* request, const char* json, fude_error** error) {
  return attempt(error, [&] {
    fude::set_by_names(given(request, "request").request, Json::parse(text_given(json, "json"), nullptr, false));
  });
}
fude_code fude_request_set_embeddings(fude_request* request, const fude_embeddings* embeddings, fude_error** error) {
  return attempt(error, [&] { given(request, "request").request.embeddings = embeddings ? embeddings->shared : nullptr; });
}
fude_code fude_request_set_latents(fude_request* request, const float* values, size_t count, fude_error** error) {
  return attempt(error, [&] {
    given(request, "request").request.latents =
        values ? std::make_shared<const std::vector<float>>(values, values + count) : nullptr;
  });
}
fude_code fude_request_json(const fude_request* request, char** json, fude_error** error) {
  return make_text(json, error, [&] { return fude::text_of_json(fude::named_values(given(request, "request").request)); });
}
void fude_request_free(fude_request* request) { delete request; }
fude_code fude_request_fields(char** json, fude_error** error) {
  return make_text(json, error, [] { return fude::text_of_json(fude::named_fields()); });
}

// ---- while a request is drawn -----------------------------------------------------------------------------------------------

fude_code fude_stop_new(fude_stop** stop, fude_error** error) {
  return make(stop, error, [] { return false; });
}
void fude_stop_set(fude_stop* stop) {
  if (stop) stop->flag = true;
}
void fude_stop_clear(fude_stop* stop) {
  if (stop) stop->flag = false;
}
void fude_stop_free(fude_stop* stop) { delete stop; }

// ---- engines ----------------------------------------------------------------------------------------------------------------

fude_code fude_engine_new(const fude_options* options, fude_engine** engine, fude_error** error) {
  return make(engine, error, [&] {
    const fude::NamedOptions& named = given(options, "options").named;
    return fude::Engine(named.files, named.engine);
  });
}
fude_code fude_engine_generate(fude_engine* engine, const fude_request* const* requests, size_t count,
                               const fude_callbacks* callbacks, fude_result** result, fude_error** error) {
  if (result) *result = nullptr;
  return attempt(error, [&] {
    fude::Engine& own = given(engine, "engine").engine;
    fude_result*& made = given(result, "result");
    std::vector<fude::Request> all;
    for (size_t i = 0; i < count; ++i) all.push_back(given((&given(requests, "requests"))[i], "a request").request);
    made = new fude_result(result_of(own.generate(all, callbacks_from(callbacks))));
  });
}
fude_code fude_engine_encode(fude_engine* engine, const fude_request* request, const fude_callbacks* callbacks,
                             fude_embeddings** embeddings, fude_error** error) {
  return make(embeddings, error, [&] {
    return std::make_shared<const fude::Embeddings>(
        given(engine, "engine").engine.encode(given(request, "request").request, callbacks_from(callbacks)));
  });
}
fude_code fude_engine_plan(fude_engine* engine, const fude_request* request, char** json, fude_error** error) {
  return make_text(json, error, [&] {
    fude::Engine& own = given(engine, "engine").engine;
    return fude::text_of_json(fude::json_from(own.plan(given(request, "request").request), fude::text_of));
  });
}
fude_code fude_engine_complete(const fude_engine* engine, const fude_request* request, fude_request** complete,
                               fude_error** error) {
  return make(complete, error, [&] { return given(engine, "engine").engine.complete(given(request, "request").request); });
}
fude_code fude_engine_memory(fude_engine* engine, int64_t* host, int64_t* device, fude_error** error) {
  return attempt(error, [&] {
    const fude::Bytes bytes = given(engine, "engine").engine.memory();
    given(host, "host") = bytes.host;
    given(device, "device") = bytes.device;
  });
}
fude_code fude_engine_release(fude_engine* engine, fude_error** error) {
  return attempt(error, [&] { given(engine, "engine").engine.release(); });
}
fude_code fude_engine_json(const fude_engine* engine, char** json, fude_error** error) {
  return make_text(json, error, [&] {
    const fude::Engine& own = given(engine, "engine").engine;
    return fude::text_of_json(Json{{"device", own.device()},
                                   {"dtype", own.dtype()},
                                   {"model", own.model_name()},
                                   {"model_hash", own.model_hash()},
                                   {"t5", own.has_t5()}});
  });
}
void fude_engine_free(fude_engine* engine) { delete engine; }

fude_code fude_devices(char** json, fude_error** error) {
  return make_text(json, error, [] {
    Json all = Json::array();
    for (const fude::DeviceInfo& each : fude::devices())
      all.push_back({{"name", each.name},
                     {"description", each.description},
                     {"library", each.library},
                     {"memory", each.memory},
                     {"free", each.free},
                     {"fast_dtypes", each.fast_dtypes}});
    return fude::text_of_json(all);
  });
}

// ---- pictures ---------------------------------------------------------------------------------------------------------------

size_t fude_result_count(const fude_result* result) { return result ? result->images.size() : 0; }
const fude_image* fude_result_image(const fude_result* result, size_t picture) {
  return picture < fude_result_count(result) ? &result->images[picture] : nullptr;
}
const char* fude_result_json(const fude_result* result) { return result ? result->json.c_str() : "[]"; }
void fude_result_free(fude_result* result) { delete result; }

int64_t fude_image_width(const fude_image* image) { return image ? image->shared->width : 0; }
int64_t fude_image_height(const fude_image* image) { return image ? image->shared->height : 0; }
const uint8_t* fude_image_rgb(const fude_image* image) { return image ? image->shared->rgb.data() : nullptr; }
const float* fude_image_latents(const fude_image* image, int64_t shape[3]) {
  return latents_of(image, shape, &fude::Image::latents);
}
const float* fude_image_noise(const fude_image* image, int64_t shape[3]) {
  return latents_of(image, shape, &fude::Image::noise);
}
const char* fude_image_json(const fude_image* image) { return image ? image->json.c_str() : "null"; }
fude_code fude_image_save_png(const fude_image* image, const char* path, fude_error** error) {
  return attempt(error, [&] { fude::save_png(text_given(path, "path"), *given(image, "image").shared); });
}
fude_code fude_image_encode_png(const fude_image* image, uint8_t** bytes, size_t* size, fude_error** error) {
  if (bytes) *bytes = nullptr;
  return attempt(error, [&] {
    uint8_t*& place = given(bytes, "bytes");
    size_t& length = given(size, "size");
    const std::vector<uint8_t> png = fude::encode_png(*given(image, "image").shared);
    place = buffer_of<uint8_t>(png.size());
    std::copy(png.begin(), png.end(), place);
    length = png.size();
  });
}
fude_code fude_image_copy(const fude_image* image, fude_image** copy, fude_error** error) {
  return make(copy, error, [&] { return given(image, "image"); });
}
void fude_image_free(fude_image* image) { delete image; }

// ---- embeddings -------------------------------------------------------------------------------------------------------------

fude_code fude_embeddings_new(int64_t tokens, int64_t width, int64_t pooled_width, const float* prompt, const float* pooled,
                              const float* negative, const float* negative_pooled, fude_embeddings** embeddings,
                              fude_error** error) {
  return make(embeddings, error, [&] {
    fude::check_shape(tokens, width, pooled_width);
    const auto copied = [](const float* values, const char* name, int64_t count) {
      return std::vector<float>(&given(values, name), values + count);
    };
    fude::Embeddings own{.tokens = tokens, .width = width, .pooled_width = pooled_width};
    own.prompt = copied(prompt, "prompt", tokens * width);
    own.pooled = copied(pooled, "pooled", pooled_width);
    if (negative || negative_pooled) {
      own.negative = copied(negative, "negative", tokens * width);
      own.negative_pooled = copied(negative_pooled, "negative_pooled", pooled_width);
    }
    return std::make_shared<const fude::Embeddings>(std::move(own));
  });
}
fude_code fude_embeddings_load(const char* path, fude_embeddings** embeddings, fude_error** error) {
  return make(embeddings, error,
              [&] { return std::make_shared<const fude::Embeddings>(fude::load_embeddings(text_given(path, "path"))); });
}
fude_code fude_embeddings_save(const fude_embeddings* embeddings, const char* path, fude_error** error) {
  return attempt(error, [&] { fude::save_embeddings(text_given(path, "path"), *given(embeddings, "embeddings").shared); });
}
void fude_embeddings_shape(const fude_embeddings* embeddings, int64_t shape[3]) {
  if (!shape) return;
  const fude::Embeddings none, &own = embeddings ? *embeddings->shared : none;
  shape[0] = own.tokens;
  shape[1] = own.width;
  shape[2] = own.pooled_width;
}
const float* fude_embeddings_values(const fude_embeddings* embeddings, const char* name) {
  const auto values = name ? embeddings_named(name) : nullptr;
  return embeddings && values && !((*embeddings->shared).*values).empty() ? ((*embeddings->shared).*values).data() : nullptr;
}
void fude_embeddings_free(fude_embeddings* embeddings) { delete embeddings; }

// ---- random numbers ---------------------------------------------------------------------------------------------------------

fude_code fude_generator_new(uint64_t seed, fude_generator** generator, fude_error** error) {
  return make(generator, error, [&] { return fude::TorchGenerator(fude::Noise::torch_cpu, seed); });
}
fude_code fude_generator_randn(fude_generator* generator, const char* noise, float* values, size_t count, fude_error** error) {
  return attempt(error, [&] {
    fude::TorchGenerator& own = given(generator, "generator").generator;
    const std::string name = text_given(noise, "noise");
    const std::optional<fude::Noise> kind = fude::noise_from(name);
    if (!kind || *kind == fude::Noise::torch_cuda)
      throw Error(Code::bad_request,
                  {.what = "noise " + name + " is none that a generator on the CPU draws", .field = fude::Field::noise});
    if (count < 16) throw Error(Code::bad_request, "a generator draws 16 numbers or more at a time");
    const std::vector<float> drawn = own.draw(*kind, static_cast<int64_t>(count));
    std::copy(drawn.begin(), drawn.end(), &given(values, "values"));
  });
}
void fude_generator_free(fude_generator* generator) { delete generator; }

}  // extern "C"
