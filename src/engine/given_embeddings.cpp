// The checks, the conversions, the hash and the file of embeddings.
#include "engine/given_embeddings.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "core/fnv.h"
#include "engine/file.h"
#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "weights/safetensors.h"

namespace fude {
namespace {

constexpr int64_t kMostTokens = 77 + 512, kWidest = 1 << 16;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Code::bad_request,
              {.what = "embeddings " + what, .field = Field::embeddings, .remedies = {{Remedy::leave_out, Field::embeddings}}});
}

void check_size(const char* name, const std::vector<float>& values, int64_t rows, int64_t columns) {
  if (values.size() != static_cast<size_t>(rows * columns))
    refuse("hold " + std::to_string(values.size()) + " values of the " + name + ", not " + std::to_string(rows) + " times " +
           std::to_string(columns));
}

bool has_negative(const Embeddings& embeddings) { return !embeddings.negative.empty() || !embeddings.negative_pooled.empty(); }

void check_sizes(const Embeddings& given) {
  check_shape(given.tokens, given.width, given.pooled_width);
  check_size("prompt", given.prompt, given.tokens, given.width);
  check_size("pooled prompt", given.pooled, 1, given.pooled_width);
  if (!has_negative(given)) return;
  check_size("negative prompt", given.negative, given.tokens, given.width);
  check_size("pooled negative prompt", given.negative_pooled, 1, given.pooled_width);
}

bool are_numbers(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

struct Named {
  const char* name;
  std::vector<float> Embeddings::*values;
  bool pooled;
};
constexpr Named kTensors[] = {{"prompt_embeds", &Embeddings::prompt, false},
                              {"pooled_prompt_embeds", &Embeddings::pooled, true},
                              {"negative_prompt_embeds", &Embeddings::negative, false},
                              {"negative_pooled_prompt_embeds", &Embeddings::negative_pooled, true}};

// f32 values at the end of bytes of a narrower type.
void append(std::vector<std::byte>& bytes, const std::vector<float>& values, DType dtype) {
  const size_t before = bytes.size();
  bytes.resize(before + values.size() * static_cast<size_t>(size_of(dtype)));
  from_f32(dtype, values.data(), bytes.data() + before, std::ssize(values));
}

std::vector<float> values_of(const std::vector<std::byte>& bytes, DType dtype, int64_t part, int64_t parts) {
  const int64_t n = std::ssize(bytes) / size_of(dtype) / parts;
  std::vector<float> values(static_cast<size_t>(n));
  to_f32(dtype, bytes.data() + part * n * size_of(dtype), values.data(), n);
  return values;
}

}  // namespace

void check_shape(int64_t tokens, int64_t width, int64_t pooled_width) {
  if (tokens < 1 || tokens > kMostTokens)
    refuse("have " + std::to_string(tokens) + " tokens, outside 1 to " + std::to_string(kMostTokens));
  if (width < 1 || width > kWidest || pooled_width < 1 || pooled_width > kWidest) refuse("have a width that they cannot have");
}

void check_embeddings(const Request& complete, const MmditGeometry& geometry) {
  if (!complete.embeddings) return;
  const Embeddings& given = *complete.embeddings;
  check_sizes(given);
  if (given.width != geometry.context_width || given.pooled_width != geometry.pooled_width)
    refuse("are " + std::to_string(given.width) + " and " + std::to_string(given.pooled_width) + " wide, this model's are " +
           std::to_string(geometry.context_width) + " and " + std::to_string(geometry.pooled_width));
  if (complete.guidance > 1 && !has_negative(given))
    throw Error(Code::bad_request, {.what = "embeddings have none of a negative prompt, which guidance above 1 needs",
                                    .field = Field::embeddings,
                                    .remedies = {{Remedy::use_value, Field::guidance, {"1"}}}});
  for (const Named& each : kTensors)
    if (!are_numbers(given.*each.values)) refuse(std::string("hold values that are not numbers in ") + each.name);
}

HostEmbeddings host_embeddings(const Embeddings& given, bool guided, DType dtype) {
  const int64_t prompts = guided ? 2 : 1;
  HostEmbeddings host{
      .dtype = dtype, .tokens_shape = {prompts, given.tokens, given.width}, .pooled_shape = {prompts, given.pooled_width}};
  if (guided) {
    append(host.tokens, given.negative, dtype);
    append(host.pooled, given.negative_pooled, dtype);
  }
  append(host.tokens, given.prompt, dtype);
  append(host.pooled, given.pooled, dtype);
  return host;
}

Embeddings embeddings_from(const HostEmbeddings& encoded) {
  const int64_t prompts = encoded.tokens_shape[0];
  Embeddings embeddings{
      .tokens = encoded.tokens_shape[1], .width = encoded.tokens_shape[2], .pooled_width = encoded.pooled_shape[1]};
  embeddings.prompt = values_of(encoded.tokens, encoded.dtype, prompts - 1, prompts);
  embeddings.pooled = values_of(encoded.pooled, encoded.dtype, prompts - 1, prompts);
  if (prompts > 1) {
    embeddings.negative = values_of(encoded.tokens, encoded.dtype, 0, prompts);
    embeddings.negative_pooled = values_of(encoded.pooled, encoded.dtype, 0, prompts);
  }
  return embeddings;
}

std::string hash_of(const Embeddings& embeddings) {
  Fnv hash;
  for (const int64_t extent : {embeddings.tokens, embeddings.width, embeddings.pooled_width}) hash.add(&extent, sizeof extent);
  for (const Named& each : kTensors) {
    const std::vector<float>& values = embeddings.*each.values;
    hash.add(values.data(), values.size() * sizeof(float));
  }
  return hexadecimal(hash.value());
}

void save_embeddings(const std::string& path, const Embeddings& embeddings) {
  check_sizes(embeddings);
  std::vector<StoredTensor> tensors;
  for (const Named& each : kTensors) {
    const std::vector<float>& values = embeddings.*each.values;
    if (values.empty()) continue;
    const std::vector<int64_t> shape = each.pooled ? std::vector<int64_t>{1, embeddings.pooled_width}
                                                   : std::vector<int64_t>{1, embeddings.tokens, embeddings.width};
    tensors.push_back(stored_tensor(each.name, DType::f32, shape, std::as_bytes(std::span(values))));
  }
  check_writable_file(path_of(path));
  write_safetensors(path_of(path), std::move(tensors));
}

Embeddings load_embeddings(const std::string& path) {
  Embeddings embeddings;
  try {
    const TensorFile file = TensorFile::open(path_of(path));
    for (const Named& each : kTensors) {
      const StoredTensor* tensor = file.find(each.name);
      if (!tensor) continue;
      const bool is_float = tensor->dtype == DType::f32 || tensor->dtype == DType::f16 || tensor->dtype == DType::bf16;
      const std::vector<int64_t>& shape = tensor->shape;
      if (!is_float || shape.size() != (each.pooled ? 2u : 3u) || shape[0] != 1 || tensor->elements() > kMostTokens * kWidest)
        refuse("in " + shown(path_of(path)) + " have another type or shape in " + each.name);
      if (each.pooled) {
        embeddings.pooled_width = shape[1];
      } else {
        embeddings.tokens = shape[1];
        embeddings.width = shape[2];
      }
      std::vector<float>& values = embeddings.*each.values;
      values.resize(static_cast<size_t>(tensor->elements()));
      tensor->read_f32(0, tensor->elements(), values.data());
    }
  } catch (const Error& error) {  // a file that is no checkpoint is no request's fault either
    if (error.code() != Code::bad_checkpoint) throw;
    refuse("cannot be read: " + std::string(error.what()));
  }
  check_sizes(embeddings);
  return embeddings;
}

}  // namespace fude
