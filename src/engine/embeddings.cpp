// Finding and keeping embeddings, and the folders they are in.
#include "engine/embeddings.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include "core/fnv.h"
#include "engine/file.h"
#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "weights/safetensors.h"

namespace fs = std::filesystem;

namespace fude {

namespace {

constexpr size_t kMostInMemory = 16;
constexpr uint64_t kMostInAFolder = uint64_t{1} << 30;  // bytes: about 390 prompts of SD3.5 in 16 bits
constexpr const char* kEnding = ".safetensors";

// All ids of a prompt one after the other: what was encoded, whatever the tokenizer.
std::vector<int32_t> flat(const TokenIds& ids, size_t prompt) {
  std::vector<int32_t> all;
  for (const auto* rows : {&ids.clip_l, &ids.clip_g, &ids.t5}) {
    if (rows->empty()) continue;
    all.push_back(static_cast<int32_t>((*rows)[prompt].size()));
    all.insert(all.end(), (*rows)[prompt].begin(), (*rows)[prompt].end());
  }
  return all;
}

// A prompt's part of what lies prompt after prompt.
std::span<const std::byte> part(const std::vector<std::byte>& all, size_t prompt, size_t prompts) {
  const size_t bytes = all.size() / prompts;
  return std::span(all).subspan(prompt * bytes, bytes);
}

void append(std::vector<std::byte>& all, const std::vector<std::byte>& part) {
  all.insert(all.end(), part.begin(), part.end());
}

std::string hash_of(const std::string& text) {
  Fnv hash;
  hash.add(text.data(), text.size());
  return hexadecimal(hash.value());
}

std::string bytes_of(const std::vector<int32_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

// A file's name is a hash, so the key itself stands in it.
std::optional<HostEmbeddings> read(const fs::path& path, const std::string& key) {
  if (!is_file(path)) return {};
  try {
    const TensorFile file = TensorFile::open(path);
    const StoredTensor *named = file.find("key"), *tokens = file.find("embeddings"), *pooled = file.find("pooled");
    if (!named || !tokens || !pooled || !tokens->dtype || tokens->dtype != pooled->dtype) return {};
    if (!std::equal(key.begin(), key.end(), named->bytes.begin(), named->bytes.end(),
                    [](char a, std::byte b) { return static_cast<std::byte>(a) == b; }))
      return {};
    HostEmbeddings found{*tokens->dtype,
                         tokens->shape,
                         pooled->shape,
                         {tokens->bytes.begin(), tokens->bytes.end()},
                         {pooled->bytes.begin(), pooled->bytes.end()}};
    std::error_code ignored;
    fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);  // the least recently used goes first
    return found;
  } catch (const Error&) {
    return {};  // a damaged file is written again
  }
}

void make_room(const fs::path& folder) {
  struct File {
    fs::file_time_type used;
    uint64_t bytes;
    fs::path path;
  };
  std::vector<File> files;
  uint64_t total = 0;
  std::error_code error;
  for (const fs::path& path : entries_of(folder)) {
    if (path.extension() != kEnding || !is_file(path)) continue;
    const fs::file_time_type used = fs::last_write_time(path, error);
    files.push_back({error ? fs::file_time_type::min() : used, size_of_file(path).value_or(0), path});
    total += files.back().bytes;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.used < b.used; });
  for (const File& file : files) {
    if (total <= kMostInAFolder) break;
    if (fs::remove(file.path, error)) total -= file.bytes;
  }
}

Tensor uploaded(Ops& op, const HostEmbeddings& from, const std::vector<std::byte>& bytes, const std::vector<int64_t>& shape) {
  return shape.size() == 3 ? op.upload(bytes.data(), from.dtype, {shape[0], shape[1], shape[2]})
                           : op.upload(bytes.data(), from.dtype, {shape[0], shape[1]});
}

std::vector<std::byte> downloaded(Ops& op, const Tensor& x) {
  std::vector<std::byte> bytes(static_cast<size_t>(x.bytes()));
  op.download(x, bytes.data());
  return bytes;
}

}  // namespace

HostEmbeddings download(Ops& op, const TextEmbeddings& from) {
  return {from.tokens.dtype,
          {from.tokens.shape.begin(), from.tokens.shape.begin() + from.tokens.rank},
          {from.pooled.shape.begin(), from.pooled.shape.begin() + from.pooled.rank},
          downloaded(op, from.tokens),
          downloaded(op, from.pooled)};
}

TextEmbeddings upload(Ops& op, const HostEmbeddings& from) {
  return {.tokens = uploaded(op, from, from.tokens, from.tokens_shape),
          .pooled = uploaded(op, from, from.pooled, from.pooled_shape)};
}

KeptEmbeddings::KeptEmbeddings(const std::string& encoders, std::vector<std::string> folders, int64_t columns, int64_t pooled)
    : encoders_(encoders), folders_(std::move(folders)), columns_(columns), pooled_(pooled) {}

std::string KeptEmbeddings::key(const TokenIds& ids, size_t prompt, DType dtype) const {
  std::string of = std::string(name_of(dtype)) + ", one of " + std::to_string(ids.clip_l.size());
  if (ids.clip_skip[prompt] > 0) of += ", without " + std::to_string(ids.clip_skip[prompt]) + " layers of CLIP";
  if (ids.t5_tokens != kT5Tokens) of += ", " + std::to_string(ids.t5_tokens) + " tokens of T5";
  return encoders_ + '\n' + of + '\n' + bytes_of(flat(ids, prompt));
}

bool KeptEmbeddings::fits(const HostEmbeddings& embeddings, int64_t tokens, DType dtype) const {
  return embeddings.dtype == dtype && embeddings.tokens_shape == std::vector<int64_t>{1, tokens, columns_} &&
         embeddings.pooled_shape == std::vector<int64_t>{1, pooled_};
}

const HostEmbeddings* KeptEmbeddings::find(const TokenIds& ids, DType dtype) {
  const size_t prompts = ids.clip_l.size();
  HostEmbeddings together{.dtype = dtype,
                          .tokens_shape = {static_cast<int64_t>(prompts), ids.tokens(), columns_},
                          .pooled_shape = {static_cast<int64_t>(prompts), pooled_}};
  for (size_t prompt = 0; prompt < prompts; ++prompt) {
    const HostEmbeddings* found = find(key(ids, prompt, dtype), ids.tokens(), dtype);
    if (!found) return nullptr;
    append(together.tokens, found->tokens);
    append(together.pooled, found->pooled);
  }
  together_ = std::move(together);
  return &together_;
}

const HostEmbeddings* KeptEmbeddings::find(const std::string& wanted, int64_t tokens, DType dtype) {
  for (auto entry = recent_.begin(); entry != recent_.end(); ++entry) {
    if (entry->key != wanted) continue;
    recent_.splice(recent_.begin(), recent_, entry);
    return &recent_.front().embeddings;
  }
  for (const std::string& folder : folders_) {
    std::optional<HostEmbeddings> found = read(path_of(folder) / (hash_of(wanted) + kEnding), wanted);
    if (found && fits(*found, tokens, dtype)) return remember(wanted, std::move(*found));
  }
  return nullptr;
}

std::string KeptEmbeddings::keep(const TokenIds& ids, const HostEmbeddings& embeddings) {
  std::string why_not;
  const size_t prompts = ids.clip_l.size();
  for (size_t prompt = 0; prompt < prompts; ++prompt) {
    const std::string name = key(ids, prompt, embeddings.dtype);
    const std::span<const std::byte> tokens = part(embeddings.tokens, prompt, prompts);
    const std::span<const std::byte> pooled = part(embeddings.pooled, prompt, prompts);
    HostEmbeddings one{embeddings.dtype,
                       {1, ids.tokens(), columns_},
                       {1, pooled_},
                       {tokens.begin(), tokens.end()},
                       {pooled.begin(), pooled.end()}};
    for (const std::string& folder : folders_) {
      try {
        check_writable(path_of(folder));
        write_safetensors(path_of(folder) / (hash_of(name) + kEnding),
                          {stored_tensor("key", DType::u8, {static_cast<int64_t>(name.size())}, std::as_bytes(std::span(name))),
                           stored_tensor("embeddings", one.dtype, one.tokens_shape, one.tokens),
                           stored_tensor("pooled", one.dtype, one.pooled_shape, one.pooled)});
        make_room(path_of(folder));
      } catch (const Error& error) {
        why_not = error.what();
      }
    }
    remember(name, std::move(one));
  }
  return why_not;
}

const HostEmbeddings* KeptEmbeddings::remember(std::string key, HostEmbeddings embeddings) {
  recent_.push_front({std::move(key), std::move(embeddings)});
  if (recent_.size() > kMostInMemory) recent_.pop_back();
  return &recent_.front().embeddings;
}

}  // namespace fude
