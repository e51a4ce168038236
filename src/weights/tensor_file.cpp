// Opening files of tensors: which format it is, and reading elements.
#include "weights/tensor_file.h"

#include <algorithm>
#include <array>

#include "core/characters.h"
#include "fude/error.h"
#include "weights/quote.h"
#include "weights/safetensors.h"
#include "weights/stored_type.h"

namespace fude {

namespace {

// The first that recognises a file reads it. Safetensors is the last: it takes everything.
const TensorFileFormat* const kFormats[] = {&kSafetensors};

// A server's error, a login page or a Git LFS pointer, saved under the name of the weights.
[[noreturn]] void refuse_text(std::string_view text, const std::filesystem::path& where) {
  const bool is_pointer = text.starts_with("version https://git-lfs");
  const std::string small = lower_case(std::string(text));
  const bool is_page = small.find("<html") != std::string::npos || small.find("<!doctype html") != std::string::npos;
  refuse_file(where,
              std::string(is_pointer ? "is a Git LFS pointer, not the weights themselves"
                          : is_page  ? "is a web page, not weights"
                                     : "is text, not weights") +
                  ": it begins " + beginning_of(text),
              is_pointer
                  ? "Run `git lfs pull` in its folder."
                  : "Download it again; where the model's licence has to be accepted first, do that on its page and log in.");
}

// People hand over the wrong file in a few well-known ways; the first bytes tell which.
void refuse_unreadable_formats(std::span<const std::byte> file, const std::filesystem::path& where) {
  struct Magic {
    std::string_view start, what, advice;
  };
  static constexpr Magic kMagics[] = {
      {"GGUF", "is a GGUF file, which fude does not read yet", "Give the .safetensors file of the model."},
      {"PK\x03\x04", "is a PyTorch archive, not a safetensors file", "Give the .safetensors file of the model."},
      {"\x80\x02\x8a\x0a", "is a PyTorch pickle, not a safetensors file", "Give the .safetensors file of the model."},
  };
  const std::string_view text(reinterpret_cast<const char*>(file.data()), std::min<size_t>(file.size(), 256));
  for (const Magic& magic : kMagics)
    if (text.starts_with(magic.start)) refuse_file(where, std::string(magic.what), std::string(magic.advice));
  if (text.size() >= 8 && is_text(text)) refuse_text(text, where);  // a header's length has zero bytes
}

}  // namespace

void refuse_file(const std::filesystem::path& where, const std::string& what, const std::string& advice) {
  throw Error(Code::bad_checkpoint, {.what = shown(where) + " " + what + ". " + advice, .where = {.file = text_of(where)}});
}

int64_t StoredTensor::elements() const {
  int64_t n = 1;
  for (const int64_t extent : shape) n *= extent;
  return n;
}

void StoredTensor::read_stored(int64_t begin, int64_t n, void* out) const {
  const StoredType& stored = *find_stored_type(type);
  const auto offset = static_cast<size_t>(stored.bytes_of(static_cast<uint64_t>(begin)));
  const auto length = static_cast<size_t>(stored.bytes_of(static_cast<uint64_t>(n)));
  const std::span<std::byte> to(static_cast<std::byte*>(out), length);
  if (file) file->read(static_cast<size_t>(bytes.data() - file->bytes().data()) + offset, to);
  else std::copy_n(bytes.data() + offset, length, to.data());
}

void StoredTensor::read_f32(int64_t begin, int64_t n, float* out) const {
  constexpr int64_t kFew = 4096;  // stays in the L1 cache
  std::array<std::byte, kFew * sizeof(double)> few;
  for (int64_t i = 0; i < n; i += kFew) {
    const int64_t count = std::min(kFew, n - i);
    read_stored(begin + i, count, few.data());
    to_f32(*dtype, few.data(), out + i, count);
  }
}

TensorList parse_tensors(std::span<const std::byte> file, const std::filesystem::path& where) {
  refuse_unreadable_formats(file, where);
  const auto format = std::find_if(std::begin(kFormats), std::end(kFormats),
                                   [&](const TensorFileFormat* each) { return each->recognises(file); });
  return (*format)->parse(file, where);
}

TensorFile TensorFile::open(const std::filesystem::path& path) {
  TensorFile result;
  result.file_ = std::make_unique<MappedFile>(path);
  result.list_ = parse_tensors(result.file_->bytes(), path);
  for (StoredTensor& tensor : result.list_.tensors) {
    tensor.file = result.file_.get();
    result.by_name_.push_back(&tensor);
  }
  std::sort(result.by_name_.begin(), result.by_name_.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  return result;
}

const StoredTensor* TensorFile::find(std::string_view name) const {
  const auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name, [](const auto* t, std::string_view n) { return t->name < n; });
  return at != by_name_.end() && (*at)->name == name ? *at : nullptr;
}

}  // namespace fude
