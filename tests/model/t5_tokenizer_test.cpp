// T5's tokenizer: the ids of Hugging Face, both forms of its file, and errors for bad ones.
#include "model/t5_tokenizer.h"

#include <bit>
#include <limits>
#include <map>

#include "tokenizer_support.h"

namespace fude {
namespace {

using nlohmann::json;

struct Piece {
  std::string text;
  float score;
  int type = 1;  // of sentencepiece: normal
};

const std::vector<Piece> kPieces = {{"<pad>", 0, 3}, {"</s>", 0, 3}, {"<unk>", 0, 2}, {"▁", -2},   {"a", -3},
                                    {"▁a", -2.5},    {"ab", -2},     {"b", -4},       {"▁ab", -4}, {"e", -4.5}};

std::string little_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

// A charsmap with keys of one or two bytes. Each node's children lie in a block of 256 units of their own.
std::string charsmap(const std::map<std::string, std::string>& rules) {
  constexpr uint32_t kLeafBelow = 0x100;
  std::vector<uint32_t> units(256);
  std::string replacements;
  const auto add_block = [&](size_t node) {
    const auto block = static_cast<uint32_t>(units.size());
    units[node] |= (block ^ static_cast<uint32_t>(node)) << 10;
    units.resize(units.size() + 256);
    return block;
  };
  const uint32_t first = add_block(0);
  std::map<unsigned char, uint32_t> second;
  for (const auto& [key, text] : rules) {
    const auto lead = static_cast<unsigned char>(key[0]);
    uint32_t node = first ^ lead;
    units[node] |= lead;
    if (!second.count(lead)) second[lead] = add_block(node);
    if (key.size() == 2) {
      const auto trail = static_cast<unsigned char>(key[1]);
      node = second[lead] ^ trail;
      units[node] |= trail;
      const uint32_t leaf = add_block(node);
      units[leaf] = 0x80000000u | static_cast<uint32_t>(replacements.size());
    } else {
      units[second[lead]] = 0x80000000u | static_cast<uint32_t>(replacements.size());
    }
    units[node] |= kLeafBelow;
    replacements += text + '\0';
  }
  std::string bytes = little_endian(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units) bytes += little_endian(unit);
  return bytes + replacements;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 0x7f; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string field(int number, const std::string& bytes) {
  return varint(static_cast<uint64_t>(number << 3 | 2)) + varint(bytes.size()) + bytes;
}
std::string field(int number, uint64_t value) { return varint(static_cast<uint64_t>(number << 3)) + varint(value); }

std::string spiece(const std::vector<Piece>& pieces, const std::string& map, const std::string& trainer = field(40, 2)) {
  std::string bytes;
  for (const Piece& piece : pieces) {
    bytes += field(1, field(1, piece.text) + '\x15' + little_endian(std::bit_cast<uint32_t>(piece.score)) +
                          field(3, static_cast<uint64_t>(piece.type)));
  }
  return bytes + field(2, trainer) + (map.empty() ? "" : field(3, field(2, map)));
}

json tokenizer_json() {
  json vocabulary = json::array();
  for (const Piece& piece : kPieces) vocabulary.push_back({piece.text, piece.score});
  return {{"added_tokens", {{{"id", 1}, {"content", "</s>"}}}},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Strip"}}}}}},
          {"pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "first"}}},
          {"model", {{"type", "Unigram"}, {"unk_id", 2}, {"vocab", vocabulary}}}};
}

const std::map<std::string, std::string> kRules = {{"A", "a"}, {"\t", " "}, {"\x01", ""}, {"é", "e"}};

std::string load_error(const TokenizerFolder& folder) {
  return error_of(Code::bad_checkpoint, [&] { T5Tokenizer::load(folder.path()); });
}

TEST(T5Tokenizer, FindsTheBestSplit) {
  const TokenizerFolder folder;
  folder.write("spiece.model", spiece(kPieces, charsmap(kRules)));
  const T5Tokenizer tokenizer = T5Tokenizer::load(folder.path());
  EXPECT_EQ(tokenizer.vocab_size(), 110);
  EXPECT_EQ(tokenizer.encode("ab", 5).ids, (Ids{8, 1, 0, 0, 0}));  // ▁ab ties with ▁ + ab: the earliest start wins
  EXPECT_EQ(used(tokenizer.encode("aab a")), (Ids{5, 6, 5, 1}));
  EXPECT_EQ(used(tokenizer.encode("")), (Ids{1}));
  EXPECT_EQ(used(tokenizer.encode(" \t \n ")), (Ids{1}));
  EXPECT_EQ(used(tokenizer.encode("\x01\t  A\té  ")), (Ids{5, 3, 9, 1}));  // mapped, stripped, joined spaces
  EXPECT_EQ(used(tokenizer.encode("▁a ▁a")), (Ids{5, 5, 1}));
  EXPECT_EQ(used(tokenizer.encode("aé\xcc\x81")), (Ids{5, 9, 1}));  // a cluster is replaced whole
  EXPECT_EQ(used(tokenizer.encode("a</s>a<extra_id_0>")), (Ids{5, 1, 5, 109, 1}));
}

TEST(T5Tokenizer, NamesUnknownPiecesAndWhatItLeftOut) {
  const TokenizerFolder folder;
  folder.write("spiece.model", spiece(kPieces, charsmap(kRules)));
  const T5Tokenizer tokenizer = T5Tokenizer::load(folder.path());
  const Tokens tokens = tokenizer.encode("a 東京 a🚀 東京");
  EXPECT_EQ(used(tokens), (Ids{5, 3, 2, 5, 2, 3, 2, 1}));
  ASSERT_EQ(tokens.warnings.size(), 1u);
  EXPECT_EQ(tokens.warnings[0], "these pieces are not in the vocabulary: “東京”, “🚀”; each is drawn as the same unknown token");

  const Tokens cut = tokenizer.encode("A\x01 b 東 ab", 4);
  EXPECT_EQ(cut.ids, (Ids{5, 3, 7, 1}));
  ASSERT_EQ(cut.warnings.size(), 1u);
  EXPECT_EQ(cut.warnings[0], "the prompt was cut after 3 tokens; left out: “東 ab”");
}

// As T5Tokenizer of transformers 5, which takes no rule from the files.
TEST(T5Tokenizer, StartsEveryWordAlikeWhateverTheFilesSay) {
  TokenizerFolder folder;
  const Ids expected = {5, 1, 5, 8, 3, 1};
  const auto expect_ids = [&] { EXPECT_EQ(used(T5Tokenizer::load(folder.path()).encode(" a</s>a\u2028\n ab▁")), expected); };
  folder.write("spiece.model", spiece(kPieces, ""));
  expect_ids();
  for (const char* scheme : {"never", "first", "always"}) {
    json document = tokenizer_json();
    document["pre_tokenizer"]["prepend_scheme"] = scheme;
    folder.write("tokenizer.json", document);
    for (const json& config :
         {json::object(), json{{"add_prefix_space", true}}, json{{"add_prefix_space", false}}, json{{"legacy", false}}}) {
      folder.write("tokenizer_config.json", config);
      expect_ids();
    }
  }
}

TEST(T5Tokenizer, PrefersTokenizerJson) {
  TokenizerFolder folder;
  folder.write("spiece.model", spiece(kPieces, ""));
  EXPECT_EQ(T5Tokenizer::load(folder.path()).vocab_size(), 110);
  folder.write("tokenizer.json", tokenizer_json());
  EXPECT_EQ(T5Tokenizer::load(folder.path()).vocab_size(), 10);
}

TEST(T5Tokenizer, SwallowsSpacesBesideAnAddedToken) {
  TokenizerFolder folder;
  folder.write("spiece.model", spiece(kPieces, ""));
  const json token = {{"content", "<extra_id_0>"}, {"lstrip", true}, {"rstrip", true}};
  folder.write("tokenizer_config.json", json{{"add_prefix_space", true}, {"added_tokens_decoder", {{"109", token}}}});
  EXPECT_EQ(used(T5Tokenizer::load(folder.path()).encode("a  <extra_id_0> \xe3\x80\x80 a")), (Ids{5, 109, 5, 1}));
}

TEST(T5Tokenizer, RefusesBadRequests) {
  const TokenizerFolder folder;
  folder.write("spiece.model", spiece(kPieces, ""));
  const T5Tokenizer tokenizer = T5Tokenizer::load(folder.path() / "spiece.model");
  EXPECT_TRUE(has(error_of(Code::bad_request, [&] { tokenizer.encode("\xc3"); }), "UTF-8"));
  EXPECT_TRUE(has(error_of(Code::bad_request, [&] { tokenizer.encode("a", 0); }), "tokens"));
}

TEST(T5Tokenizer, RefusesBadSpieceFiles) {
  TokenizerFolder folder;
  EXPECT_TRUE(has(load_error(folder), "no such file"));
  const auto broken = [&](const std::string& bytes, const std::string& expected) {
    folder.write("spiece.model", bytes);
    EXPECT_TRUE(has(load_error(folder), expected));
  };
  const auto with = [](const Piece& piece) {
    auto pieces = kPieces;
    pieces.push_back(piece);
    return pieces;
  };
  const std::string good = spiece(kPieces, charsmap(kRules));
  broken("", "not in the vocabulary");
  broken(good.substr(0, 40), "damaged");
  broken("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "damaged");
  broken("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "damaged");
  broken("\x0b", "damaged");
  broken(spiece(kPieces, "", field(40, 10)), "not in the vocabulary");
  broken(spiece(kPieces, "", field(40, ~uint64_t{0})), "not in the vocabulary");
  broken(spiece(kPieces, "", field(40, 2) + field(3, 2)), "unigram");
  broken(spiece(kPieces, "", field(40, 2) + field(35, 1)), "byte fallback");
  broken(spiece(with({"", -1}), ""), "1 to 256");
  broken(spiece(with({std::string(257, 'a'), -1}), ""), "1 to 256");
  broken(spiece(with({"\xff", -1}), ""), "UTF-8");
  broken(spiece(with({"x", std::numeric_limits<float>::quiet_NaN()}), ""), "finite");
  broken(spiece(with({"ab", -1}), ""), "comes twice");
  broken(spiece({{"<unk>", 0, 2}, {"<pad>", 0, 3}}, "", field(40, 0)), "</s>");

  const std::string map = charsmap(kRules);
  const auto with_size = [&](uint32_t size) { return little_endian(size) + map.substr(4); };
  broken(spiece(kPieces, map.substr(0, 3)), "cut short");
  broken(spiece(kPieces, with_size(0)), "impossible size");
  broken(spiece(kPieces, with_size(1021)), "impossible size");
  broken(spiece(kPieces, with_size(0xfffffffc)), "impossible size");
  broken(spiece(kPieces, map.substr(0, map.size() - 1)), "NUL");
  broken(spiece(kPieces, map.substr(0, map.size() - 2) + '\xff' + '\0'), "UTF-8");
  std::string outside = map;
  outside.replace(4 + 4 * 256, 4, little_endian(0x7ffffd00));  // a node with a leaf, its children far away
  broken(spiece(kPieces, outside), "points outside itself");
  std::string value = map;
  value.replace(4 + 4 * 512, 4, little_endian(0x80ffffff));  // the first leaf
  broken(spiece(kPieces, value), "outside its replacements");
}

TEST(T5Tokenizer, RefusesBadTokenizerJson) {
  TokenizerFolder folder;
  const auto broken = [&](const char* pointer, const json& value, const std::string& expected) {
    json document = tokenizer_json();
    document[json::json_pointer(pointer)] = value;
    folder.write("tokenizer.json", document);
    EXPECT_TRUE(has(load_error(folder), expected)) << pointer;
  };
  broken("/model", 1, "\"type\"");
  broken("/model/type", "BPE", "unigram");
  broken("/model/byte_fallback", true, "byte fallback");
  broken("/model/unk_id", nullptr, "unk_id");
  broken("/model/unk_id", 10, "not in the vocabulary");
  broken("/model/unk_id", -1, "whole number");
  broken("/model/vocab", json::array(), "impossible size");
  broken("/model/vocab", json::object(), "not a list");
  broken("/model/vocab/3", json{{"a", 1}}, "text with a score");
  broken("/model/vocab/3", json{"x", "y"}, "text with a score");
  broken("/model/vocab/3", json{"a", -1}, "comes twice");
  broken("/normalizer", json{{"type", "Lowercase"}}, "normalizer");
  broken("/normalizer", json{{"type", "Precompiled"}, {"precompiled_charsmap", "*"}}, "base64");
  broken("/normalizer", json{{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA"}}, "cut short");
  broken("/normalizer/normalizers/0", json{{"type", "Sequence"}, {"normalizers", json::array()}}, "nest");
  broken("/added_tokens/0/id", 3, "another id");
  broken("/added_tokens/0/content", "", "1 to 256");
  broken("/added_tokens/0/single_word", true, "single_word");
  folder.write("tokenizer.json", std::string(R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 1e999]]}})"));
  EXPECT_TRUE(has(load_error(folder), "JSON"));
}

class RealT5 : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_real_data()) GTEST_SKIP() << "no vocabularies in " << real_data();
  }
};

TEST_F(RealT5, GivesTheIdsOfTheSpecification) {
  const T5Tokenizer tokenizer = T5Tokenizer::load(real_data() / "t5");
  EXPECT_EQ(tokenizer.vocab_size(), 32100);
  const auto check = [&](const char* text, const Ids& ids) { EXPECT_EQ(used(tokenizer.encode(text)), ids) << text; };
  check("", {1});
  check("a photo of a cat", {3, 9, 1202, 13, 3, 9, 1712, 1});
  check("A capybara holding a sign that reads Hello World!",
        {71, 2468, 63, 1047, 9, 3609, 3, 9, 1320, 24, 608, 7, 8774, 1150, 55, 1});
  check("Hello!! It's 1920's café, 東京 🚀", {8774, 1603, 94, 31, 7, 13978, 31, 7, 11949, 6, 3, 2, 3, 2, 1});
  check("  multiple   spaces\tand\nnewline  ", {1317, 4856, 11, 126, 747, 1});
  check("ﬁne ½ Ⅷ ｆｕｌｌ", {1399, 209, 2, 357, 27936, 423, 1});
  check("x</s>y", {3, 226, 1, 3, 63, 1});
  EXPECT_EQ(tokenizer.encode("a").ids.size(), 256u);
  EXPECT_EQ(tokenizer.encode("a").ids.back(), 0);
}

TEST_F(RealT5, EqualsHuggingFace) {
  const T5Tokenizer tokenizer = T5Tokenizer::load(real_data() / "t5");
  const int count = for_each_golden([&](const std::string& text, const json& row) {
    EXPECT_EQ(used(tokenizer.encode(text)), row.at("t5").get<Ids>()) << text;
  });
  EXPECT_GE(count, 2000);
}

// Quadratic work on these would take hours.
TEST_F(RealT5, StaysFastOnLongWords) {
  const T5Tokenizer tokenizer = T5Tokenizer::load(real_data() / "t5");
  std::string marks = "a";
  for (int i = 0; i < 500000; ++i) marks += "\xcc\x81\xcc\xa3";
  for (const std::string& text : {std::string(1000000, 'a'), std::string(1000000, '<'), marks})
    EXPECT_GT(tokenizer.encode(text).used, 0);
}

}  // namespace
}  // namespace fude
