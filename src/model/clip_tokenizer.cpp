// Reading CLIP vocabularies and merges, and splitting prompts as CLIPTokenizer does.
#include "model/clip_tokenizer.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "fude/error.h"
#include "model/tokenizer_files.h"
#include "model/unicode.h"
#include "weights/quote.h"

namespace fude {
namespace {

using Vocabulary = std::unordered_map<std::string_view, int32_t>;

constexpr std::string_view kStart = "<|startoftext|>", kEnd = "<|endoftext|>";

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
  if (ids.empty() || ids.size() > static_cast<size_t>(kMostTokens)) bad_file(file, "its vocabulary has an impossible size");
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
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.starts_with("#version")) merges.push_back(read_merge_line(line, vocabulary, file));
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

Bpe make_bpe(const Vocabulary& vocabulary, const std::vector<Bpe::Merge>& merges, int32_t unknown) {
  const std::array<char32_t, 256> alphabet = byte_alphabet();
  std::array<int32_t, 256> inner, last;
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto id_or_unknown = [&](std::string_view symbol) {
      const auto found = vocabulary.find(symbol);
      return found == vocabulary.end() ? unknown : found->second;
    };
    std::string symbol;
    unicode::append(symbol, alphabet[byte]);
    inner[byte] = id_or_unknown(symbol);
    last[byte] = id_or_unknown(symbol + "</w>");
  }
  return Bpe(inner, last, merges);
}

// NFC, runs of white space as one space, lower case. Composition and lower-casing stay within a grapheme cluster, so the
// clusters can go through both one by one, and each keeps its offset in the prompt.
void normalize(std::string_view text, size_t offset, NormalText& normal) {
  std::u32string cluster;
  bool follows_space = false;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const size_t end = unicode::grapheme_end(text, at);
    cluster.clear();
    while (at < end) cluster += unicode::next(text, at);
    for (const char32_t c : unicode::lower(unicode::nfc(cluster))) {
      const bool is_space = unicode::is_white_space(c);
      if (!is_space) unicode::append(normal.text, c);
      else if (!follows_space) normal.text += ' ';
      follows_space = is_space;
    }
    normal.origin.resize(normal.text.size(), offset + begin);
  }
}

// The length of the first piece that the pattern `'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+` finds at the start of
// a text that does not start with a space.
size_t piece_length(std::string_view text) {
  for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.starts_with(ending)) return ending.size();
  }
  const auto run = [&](auto belongs) {
    size_t length = 0;
    for (size_t at = 0; at < text.size() && belongs(unicode::next(text, at));) length = at;
    return length;
  };
  if (const size_t letters = run(unicode::is_letter)) return letters;
  size_t first = 0;
  if (unicode::is_number(unicode::next(text, first))) return first;
  return run([](char32_t c) { return c != ' ' && !unicode::is_letter(c) && !unicode::is_number(c); });
}

}  // namespace

ClipTokenizer ClipTokenizer::load(const std::filesystem::path& folder_or_file, std::optional<std::string> pad) {
  std::error_code failed;
  const bool is_folder = std::filesystem::is_directory(folder_or_file, failed);
  std::filesystem::path file = is_folder ? folder_or_file / "tokenizer.json" : folder_or_file;
  const bool is_pair = is_folder && !std::filesystem::exists(file, failed);
  if (is_pair) file = folder_or_file / "vocab.json";

  const nlohmann::json document = is_pair ? nlohmann::json() : read_json(file);
  const nlohmann::json* model = is_pair ? nullptr : &member(document, "model", file);
  if (model && find_member(*model, "type") && *find_member(*model, "type") != "BPE")
    bad_file(file, "it is not a BPE tokenizer");
  const Ids texts = model ? read_ids_of(member(*model, "vocab", file), file) : read_ids(file);
  const Vocabulary vocabulary = make_vocabulary(texts, file);
  ClipTokenizer tokenizer;
  const std::vector<Bpe::Merge> merges = model ? read_merges_json(member(*model, "merges", file), vocabulary, file)
                                               : read_merges_file(vocabulary, folder_or_file / "merges.txt");

  nlohmann::json config, map;
  if (is_folder) {
    config = read_json_if_present(folder_or_file / "tokenizer_config.json");
    map = read_json_if_present(folder_or_file / "special_tokens_map.json");
  }
  // The list of the config replaces that of tokenizer.json.
  std::vector<AddedToken> added;
  if (const auto* list = find_member(config, "added_tokens_decoder")) added = added_tokens(*list, folder_or_file);
  else if (const auto* of_file = model ? find_member(document, "added_tokens") : nullptr) added = added_tokens(*of_file, file);
  const auto is_added = [&](std::string_view text) {
    return std::any_of(added.begin(), added.end(), [&](const AddedToken& token) { return token.text == text; });
  };
  // A special token is an added token whether it is listed or not.
  const auto special = [&](std::string_view key, std::string_view otherwise) {
    AddedToken token = special_token(config, map, key).value_or(AddedToken{std::string(otherwise)});
    if (!is_added(token.text)) {
      token.id = id_of(vocabulary, token.text, file);
      added.push_back(token);
    }
    return token.text;
  };
  const std::string start = special("bos_token", kStart);
  const std::string end = special("eos_token", kEnd);
  const std::string unknown = special("unk_token", end);
  // A tokenizer.json does not name its pad token, but nobody adds `!`, a token of the vocabulary, for another purpose.
  if (!pad) pad = special("pad_token", is_added("!") ? "!" : end);
  else if (!is_added(*pad)) added.push_back({*pad, id_of(vocabulary, *pad, file)});

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
  tokenizer.pad_ = ids.at(*pad);
  tokenizer.bpe_ = make_bpe(vocabulary, merges, ids.at(unknown));
  tokenizer.splitter_ = PromptSplitter(added, normalize);
  return tokenizer;
}

Tokens ClipTokenizer::encode(std::string_view utf8, int64_t length) const {
  check_request(utf8, length, 2);
  TokenRow row({start_}, length);
  const auto encode = [&](std::string_view text, const size_t* origin) { encode_text(text, origin, row); };
  splitter_.split(utf8, normalize, encode, row);
  return std::move(row).finish(end_, pad_, utf8);
}

void ClipTokenizer::encode_text(std::string_view text, const size_t* origin, TokenRow& row) const {
  std::vector<int32_t> ids;
  size_t literal_end = 0;
  for (size_t at = 0; at < text.size() && !row.full();) {
    if (text[at] == ' ') {
      ++at;
      continue;
    }
    // CLIP's pattern begins with the two literals, which GPT-2's, applied to what it finds, splits into `<|`, the word and
    // `|>`. So they only keep `|>` apart from what follows.
    for (const std::string_view literal : {kStart, kEnd}) {
      if (text.substr(at).starts_with(literal)) literal_end = at + literal.size();
    }
    const std::string_view piece = text.substr(at, at < literal_end ? literal_end - at : text.npos);
    const size_t length = piece_length(piece);
    ids.clear();
    bpe_.encode(piece.substr(0, length), ids);
    for (const int32_t id : ids) row.push(id, origin[at]);
    at += length;
  }
}

}  // namespace fude
