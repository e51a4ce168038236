// Reading unigram models from tokenizer.json and from the protobuf of spiece.model.
#include "model/spiece.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "model/tokenizer_files.h"
#include "model/unicode.h"
#include "weights/quote.h"

namespace fude {
namespace {

void read_normalizer(const nlohmann::json& normalizer, const std::filesystem::path& file, Charsmap& charsmap) {
  const nlohmann::json& type = member(normalizer, "type", file);
  if (type == "Sequence") {
    const nlohmann::json& parts = member(normalizer, "normalizers", file);
    if (!parts.is_array()) bad_file(file, "its normalizers are not a list");
    for (const auto& part : parts) {
      if (find_member(part, "normalizers")) bad_file(file, "its normalizers nest");
      read_normalizer(part, file, charsmap);
    }
  } else if (type == "Precompiled") {
    const nlohmann::json* text = find_member(normalizer, "precompiled_charsmap");
    const auto bytes = text && text->is_string() ? decode_base64(text->get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) bad_file(file, "its charsmap is not base64");
    if (!bytes->empty()) charsmap = Charsmap(*bytes, file);
  } else if (type != "Strip" &&
             type != "Replace") {  // these two every T5 has, and what they do is done by splitting at white space
    bad_file(file, "its normalizer is not one that T5 uses");
  }
}

// Protocol buffers' wire format. Every length is checked against what is left.
class Proto {
 public:
  Proto(std::string_view bytes, const std::filesystem::path& file) : bytes_(bytes), file_(file) {}

  // The next field, or false at the end. Afterwards `number` and either `value` or `text` are set.
  bool next() {
    if (bytes_.empty()) return false;
    const uint64_t key = varint();
    field = key >> 3;
    value = 0;
    text = {};
    switch (key & 7) {
      case 0: value = varint(); break;
      case 1: value = fixed(8); break;
      case 2: text = take(varint()); break;
      case 5: value = fixed(4); break;
      default: damaged();
    }
    return true;
  }

  uint64_t field = 0, value = 0;
  std::string_view text;

 private:
  [[noreturn]] void damaged() const { bad_file(file_, "it is not a sentencepiece model, or is damaged"); }
  std::string_view take(uint64_t size) {
    if (size > bytes_.size()) damaged();
    const std::string_view taken = bytes_.substr(0, static_cast<size_t>(size));
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  uint64_t fixed(size_t size) {
    const std::string_view taken = take(size);
    uint64_t result = 0;
    for (size_t i = 0; i < size; ++i) result |= static_cast<uint64_t>(static_cast<unsigned char>(taken[i])) << (8 * i);
    return result;
  }
  uint64_t varint() {
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      result |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
    damaged();
  }

  std::string_view bytes_;
  const std::filesystem::path& file_;
};

}  // namespace

UnigramFile read_unigram_json(const std::filesystem::path& file) {
  const nlohmann::json document = read_json(file);
  const nlohmann::json& model = member(document, "model", file);
  if (member(model, "type", file) != "Unigram") bad_file(file, "it is not a unigram tokenizer, as T5's is");
  if (const auto* fallback = find_member(model, "byte_fallback"); fallback && *fallback != false) {
    bad_file(file, "it uses byte fallback, which T5 does not");
  }
  UnigramFile result;
  const nlohmann::json& vocabulary = member(model, "vocab", file);
  if (!vocabulary.is_array()) bad_file(file, "its vocabulary is not a list");
  for (const auto& entry : vocabulary) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      bad_file(file, "a piece of its vocabulary is not a text with a score");
    }
    result.pieces.push_back({entry[0].get<std::string>(), entry[1].get<double>()});
  }
  result.unknown = token_id(member(model, "unk_id", file), file);
  if (const auto* normalizer = find_member(document, "normalizer")) read_normalizer(*normalizer, file, result.charsmap);
  if (const auto* list = find_member(document, "added_tokens")) result.added = added_tokens(*list, file);
  return result;
}

UnigramFile read_spiece(const std::filesystem::path& file) {
  enum PieceType : uint64_t { kControl = 3, kUserDefined = 4 };
  const std::string bytes = read_small_file(file);
  UnigramFile result;
  uint64_t model_type = 1, byte_fallback = 0, unknown = 0;
  for (Proto proto(bytes, file); proto.next();) {
    if (proto.field == 1) {
      if (result.pieces.size() >= static_cast<size_t>(kMostTokens)) bad_file(file, "its vocabulary has an impossible size");
      std::string text;
      double score = 0;
      uint64_t type = 1;
      for (Proto piece(proto.text, file); piece.next();) {
        if (piece.field == 1) text = piece.text;
        else if (piece.field == 2) score = std::bit_cast<float>(static_cast<uint32_t>(piece.value));
        else if (piece.field == 3) type = piece.value;
      }
      if (type == kControl || type == kUserDefined) {
        result.added.push_back({text, static_cast<int32_t>(result.pieces.size()), false, false});
      }
      result.pieces.push_back({std::move(text), score});
    } else if (proto.field == 2) {
      for (Proto trainer(proto.text, file); trainer.next();) {
        if (trainer.field == 3) model_type = trainer.value;
        else if (trainer.field == 35) byte_fallback = trainer.value;
        else if (trainer.field == 40) unknown = trainer.value;
      }
    } else if (proto.field == 3) {
      for (Proto normalizer(proto.text, file); normalizer.next();) {
        if (normalizer.field == 2 && !normalizer.text.empty()) result.charsmap = Charsmap(normalizer.text, file);
      }
    }
  }
  if (model_type != 1) bad_file(file, "it is not a unigram model, as T5's is");
  if (byte_fallback != 0) bad_file(file, "it uses byte fallback, which T5 does not");
  if (unknown >= result.pieces.size()) bad_file(file, "its unknown piece is not in the vocabulary");
  result.unknown = static_cast<int32_t>(unknown);
  return result;
}

void check_pieces(const UnigramFile& model, const std::filesystem::path& file) {
  if (model.pieces.empty() || model.pieces.size() > static_cast<size_t>(kMostTokens)) {
    bad_file(file, "its vocabulary has an impossible size");
  }
  if (static_cast<size_t>(model.unknown) >= model.pieces.size()) bad_file(file, "its unknown piece is not in the vocabulary");
  size_t bytes = 0;
  std::vector<std::string_view> texts;
  for (const Unigram::Piece& piece : model.pieces) {
    if (piece.text.empty() || piece.text.size() > kLongestPiece) bad_file(file, "a piece is not a text of 1 to 256 bytes");
    if (!unicode::is_utf8(piece.text)) bad_file(file, "a piece is not valid UTF-8");
    if (!std::isfinite(piece.score)) bad_file(file, "the score of the piece " + shown(piece.text) + " is not a finite number");
    bytes += piece.text.size();
    texts.push_back(piece.text);
  }
  if (bytes > (16u << 20)) bad_file(file, "its pieces add up to more than 16 MiB");
  std::sort(texts.begin(), texts.end());
  const auto twice = std::adjacent_find(texts.begin(), texts.end());
  if (twice != texts.end()) bad_file(file, "the piece " + shown(*twice) + " comes twice");
}

}  // namespace fude
