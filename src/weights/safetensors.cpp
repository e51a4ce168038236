// Parsing a safetensors header.
#include "weights/safetensors.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "fude/error.h"
#include "weights/quote.h"
#include "weights/stored_type.h"

namespace fude {

namespace {

constexpr uint64_t kLongestHeader = 100'000'000;        // the official reader's limit
constexpr uint64_t kLargestOffset = uint64_t{1} << 62;  // so that sums of offsets cannot overflow
constexpr size_t kMostDimensions = 8;

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
      refuse_file(where_, "holds " + shown(entries.back().name) + " in the unknown type " + shown(text),
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
    refuse_file(where_, "has a damaged header: it is not JSON at byte " + std::to_string(8 + position));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    const std::string name = in_metadata_ ? "__metadata__" : entries.empty() ? "" : entries.back().name;
    refuse_file(where_, "has a damaged header: " + (name.empty() ? "it" : shown(name)) + " " + what);
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
  const auto fail = [&](const std::string& what) { refuse_file(where, "has a damaged header: " + shown(e.name) + " " + what); };
  if (e.offsets->size() != 2) fail("has " + std::to_string(e.offsets->size()) + " data_offsets, not 2");
  const uint64_t begin = (*e.offsets)[0], end = (*e.offsets)[1];
  if (begin > end || end > kLargestOffset) fail("has impossible data_offsets " + text_of_shape(*e.offsets));
  const auto elements = product(*e.shape);
  if (!elements) fail("has the impossible shape " + text_of_shape(*e.shape));
  if (*elements % e.type->block != 0 || e.type->bytes_of(*elements) != end - begin)
    fail("of type " + std::string(e.type->name) + " and shape " + text_of_shape(*e.shape) + " cannot have " +
         std::to_string(end - begin) + " bytes");
}

void check_names(const std::vector<Entry>& entries, const std::filesystem::path& where) {
  std::vector<std::string_view> names;
  for (const Entry& e : entries) names.push_back(e.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) refuse_file(where, "has a damaged header: the name " + shown(*twice) + " occurs twice");
}

// As in the official reader, the tensors must cover the rest of the file exactly: no holes, no overlaps, nothing after them.
void check_cover(const std::vector<Entry>& sorted, uint64_t data_bytes, const std::filesystem::path& where) {
  uint64_t covered = 0;
  for (const Entry& e : sorted) {
    const uint64_t begin = (*e.offsets)[0];
    if (begin < covered) refuse_file(where, "has a damaged header: " + shown(e.name) + " overlaps another tensor");
    if (begin > covered)
      refuse_file(where, "has a damaged header: " + std::to_string(begin - covered) + " bytes before " + shown(e.name) +
                             " belong to no tensor");
    covered = (*e.offsets)[1];
  }
  if (covered > data_bytes)
    refuse_file(where, "is incomplete: " + std::to_string(covered - data_bytes) + " bytes are missing at its end");
  if (covered < data_bytes)
    refuse_file(where, "is damaged: " + std::to_string(data_bytes - covered) + " bytes at its end belong to no tensor");
}

TensorList parse(std::span<const std::byte> file, const std::filesystem::path& where) {
  if (file.size() < 8)
    refuse_file(where,
                "has only " + std::to_string(file.size()) + " bytes: it is no safetensors file, or its download stopped");
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  if (length > kLongestHeader)
    refuse_file(
        where,
        "is not a safetensors file: its header would have " + std::to_string(length) + " bytes, more than the format allows",
        "Give a .safetensors file.");
  if (length > file.size() - 8)
    refuse_file(where, "is incomplete: " + std::to_string(length - (file.size() - 8)) + " bytes of its header are missing");

  const auto json = file.subspan(8, static_cast<size_t>(length));
  const auto* text = reinterpret_cast<const char*>(json.data());
  if (length == 0 || *text != '{')
    refuse_file(where, "is not a safetensors file: its header is not JSON", "Give a .safetensors file.");
  // The JSON parser takes a zero byte for the end of its input; what follows would pass unseen.
  const auto zero = std::find(json.begin(), json.end(), std::byte{0});
  if (zero != json.end())
    refuse_file(where, "has a damaged header: it is not JSON at byte " + std::to_string(8 + (zero - json.begin())));
  HeaderReader reader(where);
  nlohmann::json::sax_parse(text, text + length, &reader);

  std::vector<Entry>& entries = reader.entries;
  for (const Entry& e : entries) check_size(e, where);
  check_names(entries, where);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return *a.offsets < *b.offsets; });
  const auto data = file.subspan(8 + static_cast<size_t>(length));
  check_cover(entries, data.size(), where);

  TensorList list{{}, std::move(reader.metadata)};
  list.tensors.reserve(entries.size());
  for (Entry& e : entries) {
    const auto begin = static_cast<size_t>((*e.offsets)[0]), end = static_cast<size_t>((*e.offsets)[1]);
    list.tensors.push_back({std::move(e.name),
                            e.type->dtype,
                            e.type->name,
                            {e.shape->begin(), e.shape->end()},
                            data.subspan(begin, end - begin),
                            nullptr});
  }
  return list;
}

}  // namespace

// The format has no magic number: whatever is no other format is taken for it, and refused in its words.
const TensorFileFormat kSafetensors = {"safetensors", [](std::span<const std::byte>) { return true; }, parse};

}  // namespace fude
