#include "model/clip_tokenizer.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "fude/error.h"
#include "model/tokenizer_files.h"
#include "model/unicode.h"
#include "weights/text.h"

namespace fude {
namespace {

using Vocabulary = std::unordered_map<std::string_view, int32_t>;

constexpr std::string_view kStart = "<|startoftext|>", kEnd = "<|endoftext|>";
// 49152 - 256 - 2: transformers reads no more lines of merges.txt.
constexpr size_t kMostMergeLines = 48894;

using Ids = std::vector<std::pair<std::string, int32_t>>;

Ids read_ids_of(const nlohmann::json& object, const std::filesystem::path& file) {
  if (!object.is_object()) bad_file(file, "its vocabulary is not an object");
  Ids ids;
  for (auto entry = object.begin(); entry != object.end(); ++entry)
    ids.emplace_back(entry.key(), token_id(entry.value(), file));
  return ids;
}

// The texts stay in `ids`, which must outlive the vocabulary.
Vocabulary make_vocabulary(const Ids& ids, const std::filesystem::path& file) {
  if (ids.empty() || ids.size() > static_cast<size_t>(kMostTokens))
    bad_file(file, "its vocabulary has an impossible size");
  Vocabulary vocabulary;
  vocabulary.reserve(ids.size());
  std::vector<bool> seen(static_cast<size_t>(kMostTokens));
  for (const auto& [text, id] : ids) {
    if (seen[static_cast<size_t>(id)]) bad_file(file, "two tokens have the id " + std::to_string(id));
    seen[static_cast<size_t>(id)] = true;
    if (text.size() > 2 * kLongestPiece) bad_file(file, "a token is longer than 512 bytes");
    if (!vocabulary.emplace(text, id).second) bad_file(file, "the token " + shown(text) + " comes twice");
  }
  return vocabulary;
}

int32_t id_of(const Vocabulary& vocabulary, std::string_view token, const std::filesystem::path& file) {
  const auto found = vocabulary.find(token);
  if (found == vocabulary.end()) bad_file(file, "the vocabulary has no " + shown(token));
  return found->second;
}

Bpe::Merge read_merge(std::string_view left, std::string_view right, const Vocabulary& vocabulary,
                      const std::filesystem::path& file) {
  const auto symbol = [&](std::string_view text) {
    const auto found = vocabulary.find(text);
    if (found == vocabulary.end()) bad_file(file, "a merge names " + shown(text) + ", which the vocabulary does not have");
    return found->second;
  };
  std::string merged(left);
  merged += right;
  return {symbol(left), symbol(right), symbol(merged)};
}

// "left right"
Bpe::Merge read_merge_line(std::string_view line, const Vocabulary& vocabulary, const std::filesystem::path& file) {
  std::array<std::string_view, 2> words;
  size_t count = 0;
  for (size_t at = 0; (at = line.find_first_not_of(" \t\r", at)) != line.npos;) {
    const size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
    if (count == words.size()) bad_file(file, "a merge has more than two symbols");
    words[count++] = line.substr(at, end - at);
    at = end;
  }
  if (count != words.size()) bad_file(file, "a merge has fewer than two symbols");
  return read_merge(words[0], words[1], vocabulary, file);
}

std::vector<Bpe::Merge> read_merges_file(const Vocabulary& vocabulary, const std::filesystem::path& file) {
  const std::string text = read_small_file(file);
  if (!unicode::is_utf8(text)) bad_file(file, "it is not valid UTF-8");
  std::string_view rest = text;
  const size_t last = rest.find_last_not_of(" \t\r\n");
  rest = rest.substr(0, last == rest.npos ? 0 : last + 1);
  std::vector<Bpe::Merge> merges;
  // The first line is a version.
  for (size_t at = rest.find('\n'); at != rest.npos && merges.size() < kMostMergeLines;) {
    const size_t end = std::min(rest.find('\n', at + 1), rest.size());
    merges.push_back(read_merge_line(rest.substr(at + 1, end - at - 1), vocabulary, file));
    at = end == rest.size() ? rest.npos : end;
  }
  return merges;
}

// tokenizer.json holds merges as "left right" or as ["left", "right"].
std::vector<Bpe::Merge> read_merges_json(const nlohmann::json& list, const Vocabulary& vocabulary,
                                         const std::filesystem::path& file) {
  if (!list.is_array() || list.size() > static_cast<size_t>(kMostTokens))
    bad_file(file, "its merges are not a list of sensible size");
  std::vector<Bpe::Merge> merges;
  for (const auto& entry : list) {
    if (entry.is_string()) {
      merges.push_back(read_merge_line(entry.get_ref<const std::string&>(), vocabulary, file));
    } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
      merges.push_back(
          read_merge(entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>(), vocabulary, file));
    } else {
      bad_file(file, "a merge is not two symbols");
    }
  }
  return merges;
}

// The printable character that stands for each byte in the vocabulary: itself where Latin-1 prints it, else one from U+0100 on.
std::array<char32_t, 256> byte_alphabet() {
  std::array<char32_t, 256> alphabet;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    alphabet[byte] = printable ? byte : next++;
  }
  return alphabet;
}

Bpe make_bpe(const Vocabulary& vocabulary, const std::vector<Bpe::Merge>& merges) {
  const std::array<char32_t, 256> alphabet = byte_alphabet();
  std::array<int32_t, 256> inner, last;
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto id_or_unknown = [&](std::string_view symbol) {
      const auto found = vocabulary.find(symbol);
      return found == vocabulary.end() ? Bpe::kUnknown : found->second;
    };
    std::string symbol;
    unicode::append(symbol, alphabet[byte]);
    inner[byte] = id_or_unknown(symbol);
    last[byte] = id_or_unknown(symbol + "</w>");
  }
  return Bpe(inner, last, merges);
}

// The blocks that BERT's tokenizer, which cleans CLIP's text, calls Chinese.
bool is_cjk(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
         (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b820 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

// The pattern ignores case. The text is in lower case already, and only the long s still equals another letter then.
bool starts_with(std::u32string_view text, std::string_view ascii) {
  return text.size() >= ascii.size() && std::equal(ascii.begin(), ascii.end(), text.begin(), [](char a, char32_t c) {
           return c == static_cast<char32_t>(a) || (a == 's' && c == 0x17f);
         });
}

// The length of the first piece that the pattern
// `<|startoftext|>|<|endoftext|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+` finds at the start of the text, or 0.
size_t piece_length(std::u32string_view text) {
  for (const std::string_view literal :
       {kStart, kEnd, std::string_view("'s"), std::string_view("'t"), std::string_view("'re"), std::string_view("'ve"),
        std::string_view("'m"), std::string_view("'ll"), std::string_view("'d")}) {
    if (starts_with(text, literal)) return literal.size();
  }
  const auto run = [&](auto belongs) {
    return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), belongs) - text.begin());
  };
  if (const size_t letters = run(unicode::is_letter)) return letters;
  if (unicode::is_number(text.front())) return 1;
  // U+0345 is left out: ignoring case it equals the letter iota for the negated set, and is none for \p{L}.
  return run(
      [](char32_t c) { return !unicode::is_letter(c) && !unicode::is_number(c) && !unicode::is_white_space(c) && c != 0x345; });
}

}  // namespace

ClipTokenizer ClipTokenizer::load(const std::filesystem::path& folder_or_file, std::optional<std::string> pad) {
  std::error_code failed;
  const bool is_folder = std::filesystem::is_directory(folder_or_file, failed);
  std::filesystem::path file = is_folder ? folder_or_file / "vocab.json" : folder_or_file;
  const bool is_pair = is_folder && std::filesystem::exists(file, failed);
  if (is_folder && !is_pair) file = folder_or_file / "tokenizer.json";

  const nlohmann::json document = is_pair ? nlohmann::json() : read_json(file);
  const nlohmann::json* model = is_pair ? nullptr : &member(document, "model", file);
  if (model && find_member(*model, "type") && *find_member(*model, "type") != "BPE")
    bad_file(file, "it is not a BPE tokenizer");
  const Ids texts = model ? read_ids_of(member(*model, "vocab", file), file) : read_ids(file);
  const Vocabulary vocabulary = make_vocabulary(texts, file);
  ClipTokenizer tokenizer;
  tokenizer.bpe_ = make_bpe(vocabulary, model ? read_merges_json(member(*model, "merges", file), vocabulary, file)
                                              : read_merges_file(vocabulary, folder_or_file / "merges.txt"));

  nlohmann::json config, map;
  if (is_folder) {
    config = read_json_if_present(folder_or_file / "tokenizer_config.json");
    map = read_json_if_present(folder_or_file / "special_tokens_map.json");
  }
  std::vector<AddedToken> added;
  if (const auto* list = model ? find_member(document, "added_tokens") : nullptr) merge_added(added, added_tokens(*list, file));
  if (const auto* list = find_member(config, "added_tokens_decoder")) merge_added(added, added_tokens(*list, folder_or_file));

  const auto special = [&](std::string_view key) { return special_token(config, map, key); };
  if (!pad) pad = special("pad_token");
  // A tokenizer.json does not name its pad token, but nobody adds `!`, a token of the vocabulary, for another purpose.
  if (!pad && std::any_of(added.begin(), added.end(), [](const AddedToken& token) { return token.text == "!"; })) pad = "!";
  const std::string start = special("bos_token").value_or(std::string(kStart)),
                    end = special("eos_token").value_or(std::string(kEnd));
  const std::string unknown = special("unk_token").value_or(end);
  for (const std::string& text : {start, end, unknown, pad.value_or(end)}) {
    if (std::none_of(added.begin(), added.end(), [&](const AddedToken& token) { return token.text == text; })) {
      added.push_back({text, id_of(vocabulary, text, file), false, false});
    }
  }

  std::unordered_map<std::string_view, int32_t> ids;
  for (const auto& [text, id] : vocabulary) tokenizer.vocab_size_ = std::max<int64_t>(tokenizer.vocab_size_, id + 1);
  for (const AddedToken& token : added) {
    const auto known = vocabulary.find(token.text);
    if (known != vocabulary.end() && known->second != token.id) {
      bad_file(file, "the added token " + shown(token.text) + " has another id than in the vocabulary");
    }
    ids.emplace(token.text, token.id);
    tokenizer.vocab_size_ = std::max<int64_t>(tokenizer.vocab_size_, token.id + 1);
  }
  tokenizer.start_ = ids.at(start);
  tokenizer.end_ = ids.at(end);
  tokenizer.unknown_ = ids.at(unknown);
  tokenizer.pad_ = ids.at(pad.value_or(end));
  const auto literal = [&](std::string_view text) {
    if (const auto found = ids.find(text); found != ids.end()) return found->second;
    const auto found = vocabulary.find(text);
    return found == vocabulary.end() ? tokenizer.unknown_ : found->second;
  };
  tokenizer.literal_start_ = literal(kStart);
  tokenizer.literal_end_ = literal(kEnd);
  tokenizer.added_ = AddedTokens(std::move(added));
  return tokenizer;
}

Tokens ClipTokenizer::encode(std::string_view utf8, int64_t length) const {
  check_request(utf8, length, 2);
  TokenRow row({start_}, length);
  for (const auto& [begin, end, id] : added_.split(utf8)) {
    if (row.full()) break;
    if (id) row.push(*id, begin);
    else encode_text(utf8, begin, end, row);
  }
  return std::move(row).finish(end_, pad_, utf8);
}

// Cleans the text as BERT's BasicTokenizer does and encodes its words. White space is a boundary of composition and of
// lower-casing too, so the words can go through both one by one, and a word keeps its place in the prompt.
void ClipTokenizer::encode_text(std::string_view prompt, size_t begin, size_t end, TokenRow& row) const {
  const std::string_view text = prompt.substr(0, end);
  std::u32string word;
  size_t word_begin = begin;
  const auto finish_word = [&] {
    if (!word.empty()) encode_word(unicode::lower(unicode::nfc(word)), word_begin, row);
    word.clear();
  };
  for (size_t at = begin; at < end && !row.full();) {
    const size_t here = at;
    const char32_t c = unicode::next(text, at);
    const bool is_space = c == U' ' || c == U'\t' || c == U'\n' || c == U'\r';
    if (!is_space && (c == 0xfffd || unicode::is_other(c))) continue;
    if (is_space || unicode::is_white_space(c)) {
      finish_word();
      continue;
    }
    if (is_cjk(c)) finish_word();
    if (word.empty()) word_begin = here;
    word += c;
    if (is_cjk(c)) finish_word();
  }
  finish_word();
}

void ClipTokenizer::encode_word(std::u32string_view word, size_t prompt_offset, TokenRow& row) const {
  std::string bytes;
  std::vector<int32_t> ids;
  while (!word.empty() && !row.full()) {
    const size_t length = piece_length(word);
    bytes.clear();
    for (const char32_t c : word.substr(0, length)) unicode::append(bytes, c);
    word.remove_prefix(std::max<size_t>(length, 1));
    if (bytes.empty()) continue;
    if (bytes == kStart || bytes == kEnd) {
      row.push(bytes == kStart ? literal_start_ : literal_end_, prompt_offset);
      continue;
    }
    ids.clear();
    bpe_.encode(bytes, ids);
    for (const int32_t id : ids) row.push(id == Bpe::kUnknown ? unknown_ : id, prompt_offset);
  }
}

}  // namespace fude
