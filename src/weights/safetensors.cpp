// Parsing a safetensors header, and recognising common wrong files.
#include "weights/safetensors.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/characters.h"
#include "fude/error.h"
#include "weights/quote.h"
#include "weights/stored_type.h"

namespace fude {

namespace {

constexpr uint64_t kLongestHeader = 100'000'000;        // the official reader's limit
constexpr uint64_t kLargestOffset = uint64_t{1} << 62;  // so that sums of offsets cannot overflow
constexpr size_t kMostDimensions = 8;

[[noreturn]] void refuse(const std::filesystem::path& where, const std::string& what,
                         const std::string& advice = "Download it again.") {
  throw Error(Code::bad_checkpoint, {.what = shown(where) + " " + what + ". " + advice, .where = {.file = text_of(where)}});
}

struct Entry {
  std::string name;
  const StoredType* type = nullptr;
  std::optional<std::vector<uint64_t>> shape, offsets;
};

// Takes the header event by event: names that occur twice are seen, and no more memory is used than the tensors need.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::filesystem::path& where) : where_(where) {}

  std::vector<Entry> entries;
  Metadata metadata;

  bool start_object(std::size_t) override {
    if (state_ == State::begin) state_ = State::names;
    else if (state_ == State::value) state_ = State::fields;
    else fail("has an object where none belongs");
    return true;
  }
  bool end_object() override {
    if (state_ == State::names) {
      state_ = State::end;
      return true;
    }
    state_ = State::names;
    if (in_metadata_) return true;
    const Entry& e = entries.back();
    if (!e.type || !e.shape || !e.offsets) fail("lacks dtype, shape or data_offsets");
    return true;
  }
  bool key(string_t& text) override {
    if (state_ == State::fields) {
      field_ = text;
      return true;
    }
    in_metadata_ = text == "__metadata__";
    if (in_metadata_ && std::exchange(metadata_seen_, true)) fail("is given twice");
    if (!in_metadata_) entries.push_back({text, nullptr, {}, {}});
    state_ = State::value;
    return true;
  }
  bool string(string_t& text) override {
    if (state_ != State::fields) fail("has text where none belongs");
    if (in_metadata_) {
      metadata[field_] = text;
      return true;
    }
    if (field_ != "dtype" || entries.back().type) fail("has an unexpected field " + shown(field_));
    entries.back().type = find_stored_type(text);
    if (!entries.back().type)
      refuse(where_, "holds " + shown(entries.back().name) + " in the unknown type " + shown(text),
             "Use a file with F32, F16, BF16 or F8_E4M3 weights.");
    return true;
  }
  bool start_array(std::size_t) override {
    if (state_ != State::fields || in_metadata_) fail("has a list where none belongs");
    if (field_ != "shape" && field_ != "data_offsets") fail("has an unexpected field " + shown(field_));
    auto& list = field_ == "shape" ? entries.back().shape : entries.back().offsets;
    if (list) fail("has two fields " + shown(field_));
    list.emplace();
    state_ = State::list;
    return true;
  }
  bool end_array() override {
    state_ = State::fields;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (state_ != State::list) fail("has a number where none belongs");
    auto& list = field_ == "shape" ? *entries.back().shape : *entries.back().offsets;
    if (list.size() == kMostDimensions) fail("has more than " + std::to_string(kMostDimensions) + " dimensions");
    list.push_back(value);
    return true;
  }
  bool number_integer(number_integer_t value) override { fail("has the negative number " + std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override {
    fail("has the number " + shown(text) + ", which is not a size");
  }
  bool null() override {
    if (state_ != State::value || !in_metadata_) fail("has null where none belongs");
    state_ = State::names;  // the official reader takes it for no metadata
    return true;
  }
  bool boolean(bool) override { fail("has true or false where none belongs"); }
  bool binary(binary_t&) override { fail("is not JSON"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    refuse(where_, "has a damaged header: it is not JSON at byte " + std::to_string(8 + position));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    const std::string name = in_metadata_ ? "__metadata__" : entries.empty() ? "" : entries.back().name;
    refuse(where_, "has a damaged header: " + (name.empty() ? "it" : shown(name)) + " " + what);
  }

  enum class State { begin, names, value, fields, list, end } state_ = State::begin;
  const std::filesystem::path& where_;
  std::string field_;
  bool in_metadata_ = false, metadata_seen_ = false;
};

// Elements of a shape, or nothing when the product leaves the range of offsets.
std::optional<uint64_t> product(const std::vector<uint64_t>& shape) {
  if (std::any_of(shape.begin(), shape.end(), [](uint64_t extent) { return extent > kLargestOffset; })) return {};
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) return 0;
  uint64_t elements = 1;
  for (const uint64_t extent : shape) {
    if (elements > kLargestOffset / 64 / extent) return {};
    elements *= extent;
  }
  return elements;
}

void check_size(const Entry& e, const std::filesystem::path& where) {
  const auto fail = [&](const std::string& what) { refuse(where, "has a damaged header: " + shown(e.name) + " " + what); };
  if (e.offsets->size() != 2) fail("has " + std::to_string(e.offsets->size()) + " data_offsets, not 2");
  const uint64_t begin = (*e.offsets)[0], end = (*e.offsets)[1];
  if (begin > end || end > kLargestOffset) fail("has impossible data_offsets " + text_of_shape(*e.offsets));
  const auto elements = product(*e.shape);
  if (!elements) fail("has the impossible shape " + text_of_shape(*e.shape));
  const uint64_t bits = *elements * e.type->bits;
  if (bits % 8 != 0 || bits / 8 != end - begin)
    fail("of type " + std::string(e.type->name) + " and shape " + text_of_shape(*e.shape) + " cannot have " +
         std::to_string(end - begin) + " bytes");
}

void check_names(const std::vector<Entry>& entries, const std::filesystem::path& where) {
  std::vector<std::string_view> names;
  for (const Entry& e : entries) names.push_back(e.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) refuse(where, "has a damaged header: the name " + shown(*twice) + " occurs twice");
}

// As in the official reader, the tensors must cover the rest of the file exactly: no holes, no overlaps, nothing after them.
void check_cover(const std::vector<Entry>& sorted, uint64_t data_bytes, const std::filesystem::path& where) {
  uint64_t covered = 0;
  for (const Entry& e : sorted) {
    const uint64_t begin = (*e.offsets)[0];
    if (begin < covered) refuse(where, "has a damaged header: " + shown(e.name) + " overlaps another tensor");
    if (begin > covered)
      refuse(where, "has a damaged header: " + std::to_string(begin - covered) + " bytes before " + shown(e.name) +
                        " belong to no tensor");
    covered = (*e.offsets)[1];
  }
  if (covered > data_bytes)
    refuse(where, "is incomplete: " + std::to_string(covered - data_bytes) + " bytes are missing at its end");
  if (covered < data_bytes)
    refuse(where, "is damaged: " + std::to_string(data_bytes - covered) + " bytes at its end belong to no tensor");
}

// A server's error, a login page or a Git LFS pointer, saved under the name of the weights.
[[noreturn]] void refuse_text(std::string_view text, const std::filesystem::path& where) {
  const bool is_pointer = text.starts_with("version https://git-lfs");
  const std::string small = lower_case(std::string(text));
  const bool is_page = small.find("<html") != std::string::npos || small.find("<!doctype html") != std::string::npos;
  refuse(where,
         std::string(is_pointer ? "is a Git LFS pointer, not the weights themselves"
                     : is_page  ? "is a web page, not weights"
                                : "is text, not weights") +
             ": it begins " + beginning_of(text),
         is_pointer ? "Run `git lfs pull` in its folder."
                    : "Download it again; where the model's licence has to be accepted first, do that on its page and log in.");
}

// People hand over the wrong file in a few well-known ways; the first bytes tell which.
void check_magic(std::span<const std::byte> file, const std::filesystem::path& where) {
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
    if (text.starts_with(magic.start)) refuse(where, std::string(magic.what), std::string(magic.advice));
  if (text.size() >= 8 && is_text(text)) refuse_text(text, where);  // a header's length has zero bytes
}

}  // namespace

int64_t StoredTensor::elements() const {
  int64_t n = 1;
  for (const int64_t extent : shape) n *= extent;
  return n;
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::filesystem::path& where) {
  check_magic(file, where);
  if (file.size() < 8)
    refuse(where, "has only " + std::to_string(file.size()) + " bytes: it is no safetensors file, or its download stopped");
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  if (length > kLongestHeader)
    refuse(where,
           "is not a safetensors file: its header would have " + std::to_string(length) + " bytes, more than the format allows",
           "Give a .safetensors file.");
  if (length > file.size() - 8)
    refuse(where, "is incomplete: " + std::to_string(length - (file.size() - 8)) + " bytes of its header are missing");

  SafetensorsHeader header;
  header.json = file.subspan(8, static_cast<size_t>(length));
  const auto* text = reinterpret_cast<const char*>(header.json.data());
  if (length == 0 || *text != '{')
    refuse(where, "is not a safetensors file: its header is not JSON", "Give a .safetensors file.");
  // The JSON parser takes a zero byte for the end of its input; what follows would pass unseen.
  const auto zero = std::find(header.json.begin(), header.json.end(), std::byte{0});
  if (zero != header.json.end())
    refuse(where, "has a damaged header: it is not JSON at byte " + std::to_string(8 + (zero - header.json.begin())));
  HeaderReader reader(where);
  nlohmann::json::sax_parse(text, text + length, &reader);

  std::vector<Entry>& entries = reader.entries;
  for (const Entry& e : entries) check_size(e, where);
  check_names(entries, where);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return *a.offsets < *b.offsets; });
  const auto data = file.subspan(8 + static_cast<size_t>(length));
  check_cover(entries, data.size(), where);

  header.metadata = std::move(reader.metadata);
  header.tensors.reserve(entries.size());
  for (Entry& e : entries) {
    const auto begin = static_cast<size_t>((*e.offsets)[0]), end = static_cast<size_t>((*e.offsets)[1]);
    header.tensors.push_back({std::move(e.name),
                              e.type->dtype,
                              e.type->name,
                              {e.shape->begin(), e.shape->end()},
                              data.subspan(begin, end - begin),
                              nullptr});
  }
  return header;
}

Safetensors Safetensors::open(const std::filesystem::path& path) {
  Safetensors result;
  result.file_ = std::make_unique<MappedFile>(path);
  result.header_ = parse_safetensors(result.file_->bytes(), path);
  for (StoredTensor& tensor : result.header_.tensors) {
    tensor.file = result.file_.get();
    result.by_name_.push_back(&tensor);
  }
  std::sort(result.by_name_.begin(), result.by_name_.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
  return result;
}

const StoredTensor* Safetensors::find(std::string_view name) const {
  const auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name, [](const auto* t, std::string_view n) { return t->name < n; });
  return at != by_name_.end() && (*at)->name == name ? *at : nullptr;
}

}  // namespace fude
