// Reading and applying a SentencePiece charsmap (a darts-clone double array).
#include "model/charsmap.h"

#include "core/characters.h"
#include "model/tokenizer_files.h"
#include "model/unicode.h"

namespace fude {
namespace {

// A unit of darts-clone: bit 31 marks a leaf, which holds a value; the others hold a label, whether a leaf hangs below, and the
// distance to their children.
constexpr uint32_t kLeaf = 0x80000000u;
uint32_t label_of(uint32_t unit) { return unit & (kLeaf | 0xff); }
bool has_leaf(uint32_t unit) { return (unit >> 8) & 1; }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::filesystem::path& file) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const auto word = [&](size_t i) { return byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24; };
  if (bytes.size() < 4) bad_file(file, "its charsmap is cut short");
  const size_t size = word(0);
  if (size == 0 || size % 4 != 0 || size > bytes.size() - 4) bad_file(file, "its charsmap has an impossible size");
  units_.resize(size / 4);
  for (size_t i = 0; i < units_.size(); ++i) units_[i] = word(4 + 4 * i);
  replacements_ = bytes.substr(4 + size);
  if (!unicode::is_utf8(replacements_)) bad_file(file, "its charsmap does not hold UTF-8");
  if (!replacements_.empty() && replacements_.back() != '\0') bad_file(file, "its charsmap does not end with NUL");
  // Every value that a search could reach must point at a replacement.
  for (size_t i = 0; i < units_.size(); ++i) {
    if ((units_[i] & kLeaf) || !has_leaf(units_[i])) continue;
    const size_t leaf = i ^ offset_of(units_[i]);
    if (leaf >= units_.size()) bad_file(file, "its charsmap points outside itself");
    const size_t value = units_[leaf] & ~kLeaf;
    if (value >= replacements_.size() || continues_character(replacements_[value])) {
      bad_file(file, "its charsmap points outside its replacements");
    }
  }
}

// The replacement of the first, shortest, key that the chunk begins with.
std::optional<std::string_view> Charsmap::replacement(std::string_view chunk) const {
  if (units_.empty()) return std::nullopt;
  size_t at = offset_of(units_[0]);
  for (const char c : chunk) {
    const auto label = static_cast<uint32_t>(static_cast<unsigned char>(c));
    at ^= label;
    if (at >= units_.size() || label_of(units_[at]) != label) return std::nullopt;
    const uint32_t unit = units_[at];
    at ^= offset_of(unit);
    if (has_leaf(unit)) return std::string_view(replacements_.data() + (units_[at] & ~kLeaf));
  }
  return std::nullopt;
}

void Charsmap::normalize(std::string_view text, size_t offset, NormalText& normal) const {
  const auto append = [&](std::string_view bytes, size_t at) {
    normal.text += bytes;
    normal.origin.resize(normal.text.size(), offset + at);
  };
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = unicode::grapheme_end(text, begin);
    // A short cluster is replaced whole by the replacement of its beginning: the rest of it is lost, as it is in the original.
    if (end - begin < 6) {
      if (const auto whole = replacement(text.substr(begin, end - begin))) {
        append(*whole, begin);
        begin = end;
        continue;
      }
    }
    while (begin < end) {
      size_t after = begin;
      unicode::next(text, after);
      const std::string_view character = text.substr(begin, after - begin);
      append(replacement(character).value_or(character), begin);
      begin = after;
    }
  }
}

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  size_t padding = 0;
  while (padding < 2 && !text.empty() && text.back() == '=') text.remove_suffix(1), ++padding;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int waiting = 0;  // bits of an unfinished byte
  for (const char c : text) {
    const int value = digit(c);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    waiting += 6;
    if (waiting < 8) continue;
    waiting -= 8;
    bytes += static_cast<char>(bits >> waiting & 0xff);
  }
  return bytes;
}

}  // namespace fude
