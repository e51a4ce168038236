// CLIP's tokenizer: the ids of Hugging Face, every form of its files, and errors for bad ones.
#include "model/clip_tokenizer.h"

#include "tokenizer_support.h"

namespace fude {
namespace {

using nlohmann::json;

const json kVocabulary = {{"!", 0},
                          {"!</w>", 1},
                          {"a", 2},
                          {"b", 3},
                          {"a</w>", 4},
                          {"b</w>", 5},
                          {"ab", 6},
                          {"ab</w>", 7},
                          {"aab</w>", 8},
                          {"'", 9},
                          {"s</w>", 10},
                          {"'s</w>", 11},
                          {"1</w>", 12},
                          {"bab", 13},
                          {"aba", 14},
                          {"aa", 15},
                          {"aa</w>", 16},
                          {"<|startoftext|>", 17},
                          {"<|endoftext|>", 18}};
const std::string kMerges = "#version: 0.2\nab a\na b</w>\na b\na ab</w>\na a\na a</w>\n' s</w>\n";

void write_pair(const TokenizerFolder& folder) {
  folder.write("vocab.json", kVocabulary);
  folder.write("merges.txt", kMerges);
}

std::string load_error(const TokenizerFolder& folder) {
  return error_of(Code::bad_checkpoint, [&] { ClipTokenizer::load(folder.path()); });
}

TEST(ClipTokenizer, MergesInTheOrderOfTheRanks) {
  const TokenizerFolder folder;
  write_pair(folder);
  const ClipTokenizer tokenizer = ClipTokenizer::load(folder.path());
  EXPECT_EQ(tokenizer.vocab_size(), 19);
  EXPECT_EQ(used(tokenizer.encode("ab")), (Ids{17, 7, 18}));
  EXPECT_EQ(used(tokenizer.encode("AAB b")), (Ids{17, 8, 5, 18}));
  EXPECT_EQ(used(tokenizer.encode("aaa")), (Ids{17, 15, 4, 18}));  // from the left
  EXPECT_EQ(used(tokenizer.encode("aaaa")), (Ids{17, 15, 16, 18}));
  EXPECT_EQ(used(tokenizer.encode("11'S")), (Ids{17, 12, 12, 11, 18}));  // numerals one by one
  EXPECT_EQ(used(tokenizer.encode("ababb")), (Ids{17, 14, 3, 5, 18}));   // the first ab is an aba before the second is one
  EXPECT_EQ(used(tokenizer.encode("é")), (Ids{17, 18, 18, 18}));         // two bytes without symbols
}

// Everything here is what CLIPTokenizer of transformers 5.24 gives for the same files.
TEST(ClipTokenizer, CleansAndSplitsAsTheTokenizersLibraryDoes) {
  const TokenizerFolder folder;
  write_pair(folder);
  const ClipTokenizer tokenizer = ClipTokenizer::load(folder.path());
  const auto ids = [&](std::string_view text) { return used(tokenizer.encode(text)); };
  EXPECT_EQ(ids(std::string_view("a\0b", 3)), (Ids{17, 4, 18, 5, 18}));  // a control is a piece
  EXPECT_EQ(ids("a a\u200bb"), (Ids{17, 4, 4, 18, 18, 18, 5, 18}));      // so is what has no width
  EXPECT_EQ(ids("東京"), (Ids{17, 18, 18, 18, 18, 18, 18, 18}));         // a word, six bytes
  EXPECT_EQ(ids("'ſ"), (Ids{17, 18, 18, 18, 18}));                       // no 's
  EXPECT_EQ(ids("1\xcd\x85"), (Ids{17, 12, 18, 18, 18}));                // U+0345 belongs to a piece
  EXPECT_EQ(ids("A\xcc\x81"
                "A"),
            ids("áa"));                                                         // composed, then in lower case
  EXPECT_EQ(ids("\u1102\u116a\u11a7"), (Ids{17, 18, 18, 18, 18, 18, 18, 18}));  // a syllable and a vowel
  EXPECT_EQ(ids("ΑΣ"), ids("ασ"));                                              // no sigma that ends a word
  EXPECT_EQ(ids("a\u3000\r\n b"), (Ids{17, 4, 5, 18}));
  EXPECT_EQ(ids("<|startoftext|>!!"), (Ids{17, 17, 0, 1, 18}));
  EXPECT_EQ(ids("a<|endoftext|>b"), (Ids{17, 4, 18, 5, 18}));
}

TEST(ClipTokenizer, LooksForNormalizedTokensInTheNormalForm) {
  TokenizerFolder folder;
  write_pair(folder);
  const auto ids = [&](std::string_view text) { return used(ClipTokenizer::load(folder.path()).encode(text)); };
  // Text in capitals is not the token. CLIP's pattern keeps its end apart from what follows: `|>`, `!!`.
  const Ids written = {17, 18, 18, 18, 18, 2, 18, 18, 18, 18, 18, 18, 18, 18, 18, 18, 0, 1, 18};
  EXPECT_EQ(ids("<|StartOfText|>!!"), written);
  json added = {{"17", {{"content", "<|startoftext|>"}, {"normalized", true}}},
                {"19", {{"content", "<Cat  Toy>"}, {"normalized", true}}}};
  folder.write("tokenizer_config.json", json{{"added_tokens_decoder", added}});
  EXPECT_EQ(ids("<|StartOfText|>"), (Ids{17, 17, 18}));
  EXPECT_EQ(ids("a<cat \t toy>b"), (Ids{17, 4, 19, 5, 18}));
  added["19"]["normalized"] = false;
  folder.write("tokenizer_config.json", json{{"added_tokens_decoder", added}});
  EXPECT_EQ(ids("a<Cat  Toy>b"), (Ids{17, 4, 19, 5, 18}));
  EXPECT_NE(ids("a<cat  toy>b"), (Ids{17, 4, 19, 5, 18}));
}

TEST(ClipTokenizer, PadsWithTheEndTokenWhereNothingElseIsSaid) {
  const TokenizerFolder folder;
  write_pair(folder);
  EXPECT_EQ(ClipTokenizer::load(folder.path()).encode("!!", 6).ids, (Ids{17, 0, 1, 18, 18, 18}));
}

TEST(ClipTokenizer, PadsWithAnExclamationMarkWhichThenIsSpecial) {
  TokenizerFolder folder;
  write_pair(folder);
  EXPECT_EQ(ClipTokenizer::load(folder.path(), "!").encode("a! !", 7).ids, (Ids{17, 4, 0, 0, 18, 0, 0}));
  folder.write("special_tokens_map.json", json{{"pad_token", {{"content", "!"}}}});
  EXPECT_EQ(ClipTokenizer::load(folder.path()).encode("a!", 6).ids, (Ids{17, 4, 0, 18, 0, 0}));
  folder.write("tokenizer_config.json", json{{"pad_token", "!"}});
  EXPECT_EQ(ClipTokenizer::load(folder.path()).encode("a!", 6).ids, (Ids{17, 4, 0, 18, 0, 0}));
  // The map comes first, but is not read where the config lists its added tokens.
  folder.write("special_tokens_map.json", json{{"pad_token", "<|endoftext|>"}});
  EXPECT_EQ(ClipTokenizer::load(folder.path()).encode("a!", 6).ids, (Ids{17, 4, 1, 18, 18, 18}));
  folder.write("tokenizer_config.json", json{{"pad_token", "!"}, {"added_tokens_decoder", json::object()}});
  EXPECT_EQ(ClipTokenizer::load(folder.path()).encode("a!", 6).ids, (Ids{17, 4, 0, 18, 0, 0}));
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { ClipTokenizer::load(folder.path(), "?"); }), "no \"?\""));
}

TEST(ClipTokenizer, ReadsTokenizerJsonAlone) {
  const TokenizerFolder folder;
  json document = {{"added_tokens", {{{"id", 17}, {"content", "<|startoftext|>"}}, {{"id", 18}, {"content", "<|endoftext|>"}}}},
                   {"model", {{"type", "BPE"}, {"vocab", kVocabulary}, {"merges", {"a b</w>", {"a", "b"}, "a ab</w>"}}}}};
  folder.write("tokenizer.json", document);
  for (const auto& path : {folder.path(), folder.path() / "tokenizer.json"}) {
    EXPECT_EQ(ClipTokenizer::load(path).encode("aab!", 6).ids, (Ids{17, 8, 1, 18, 18, 18}));
  }
  document["added_tokens"].push_back({{"id", 0}, {"content", "!"}, {"lstrip", true}});
  folder.write("tokenizer.json", document);
  EXPECT_EQ(ClipTokenizer::load(folder.path()).encode("a !b", 7).ids, (Ids{17, 4, 0, 5, 18, 0, 0}));
}

TEST(ClipTokenizer, PrefersTokenizerJson) {
  const TokenizerFolder folder;
  write_pair(folder);
  EXPECT_EQ(used(ClipTokenizer::load(folder.path()).encode("aab")), (Ids{17, 8, 18}));
  folder.write("tokenizer.json", json{{"model", {{"type", "BPE"}, {"vocab", kVocabulary}, {"merges", {"a b</w>"}}}}});
  EXPECT_EQ(used(ClipTokenizer::load(folder.path()).encode("aab")), (Ids{17, 2, 7, 18}));
}

TEST(ClipTokenizer, ReadsMergesWithAndWithoutAVersion) {
  const TokenizerFolder folder;
  write_pair(folder);
  for (const char* text : {"#version: 0.2\na b</w>\n", "a b</w>\n", "#version: 0.2\r\na b</w>\r\n", "a b</w>"}) {
    folder.write("merges.txt", std::string(text));
    EXPECT_EQ(used(ClipTokenizer::load(folder.path()).encode("aab")), (Ids{17, 2, 7, 18})) << text;
  }
}

TEST(ClipTokenizer, SaysWhatItLeftOut) {
  const TokenizerFolder folder;
  write_pair(folder);
  const ClipTokenizer tokenizer = ClipTokenizer::load(folder.path());
  EXPECT_TRUE(tokenizer.encode("a b a", 5).warnings.empty());
  const Tokens cut = tokenizer.encode("a b  1 ab\x1b[31m\n", 4);
  EXPECT_EQ(cut.ids, (Ids{17, 4, 5, 18}));
  EXPECT_EQ(cut.used, 4);
  ASSERT_EQ(cut.warnings.size(), 1u);
  EXPECT_EQ(cut.warnings[0], "the prompt was cut after 2 tokens; left out: “1 ab [31m ”");
}

TEST(ClipTokenizer, RefusesBadRequests) {
  const TokenizerFolder folder;
  write_pair(folder);
  const ClipTokenizer tokenizer = ClipTokenizer::load(folder.path());
  for (const char* text : {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"}) {
    EXPECT_TRUE(has(error_of(Code::bad_request, [&] { tokenizer.encode(text); }), "UTF-8")) << text;
  }
  for (const int64_t length : {int64_t{-1}, int64_t{1}, int64_t{1} << 40}) {
    EXPECT_TRUE(has(error_of(Code::bad_request, [&] { tokenizer.encode("a", length); }), "tokens"));
  }
}

TEST(ClipTokenizer, RefusesBadFiles) {
  TokenizerFolder folder;
  EXPECT_TRUE(has(load_error(folder), "no such file"));
  write_pair(folder);
  const auto broken_vocabulary = [&](const std::string& text, const std::string& expected) {
    folder.write("vocab.json", text);
    EXPECT_TRUE(has(load_error(folder), expected)) << text;
  };
  broken_vocabulary("", "JSON");
  broken_vocabulary("{\"a\": 1", "JSON");
  broken_vocabulary("{\"\xff\": 1}", "JSON");
  broken_vocabulary("[]", "not an object");
  broken_vocabulary("{}", "impossible size");
  broken_vocabulary("{\"a\": 1, \"b\": 1}", "two tokens have the id 1");
  for (const char* id : {"-1", "1048576", "1000000000", "1e99", "1.5", "\"1\"", "null", "18446744073709551615"}) {
    broken_vocabulary(std::string("{\"a\": ") + id + "}", "whole number");
  }
  broken_vocabulary("{\"a\": {\"a\": 1}}", "whole number");
  broken_vocabulary("{\"a\": 1, \"a\": 2}", "comes twice");
  broken_vocabulary("7", "not an object");
  broken_vocabulary("{\"" + std::string(1000, 'a') + "\": 1}", "longer");
  broken_vocabulary("{\"a\": 0, \"b\": 1, \"a</w>\": 2, \"b</w>\": 3, \"ab</w>\": 4}", "\"ab\"");

  write_pair(folder);
  const auto broken_merges = [&](const std::string& text, const std::string& expected) {
    folder.write("merges.txt", text);
    EXPECT_TRUE(has(load_error(folder), expected)) << text;
  };
  broken_merges("#version\na\n", "fewer than two");
  broken_merges("#version\na b a\n", "more than two");
  broken_merges("#version\na zzz\n", "\"zzz\"");
  broken_merges("#version\n1</w> b\n", "\"1</w>b\"");
  broken_merges("#version\na \xff\n", "UTF-8");
  folder.remove("merges.txt");
  EXPECT_TRUE(has(load_error(folder), "merges.txt"));

  write_pair(folder);
  folder.write("tokenizer_config.json", json{{"added_tokens_decoder", {{"7", {{"content", "<|endoftext|>"}}}}}});
  EXPECT_TRUE(has(load_error(folder), "another id"));
  folder.write("tokenizer_config.json", json{{"added_tokens_decoder", {{"x", {{"content", "a"}}}}}});
  EXPECT_TRUE(has(load_error(folder), "whole number"));
  folder.write("tokenizer_config.json", json{{"unk_token", "none"}});
  EXPECT_TRUE(has(load_error(folder), "\"none\""));
  folder.remove("tokenizer_config.json");
  folder.remove("vocab.json");
  folder.write("tokenizer.json", json{{"model", {{"type", "WordPiece"}}}});
  EXPECT_TRUE(has(load_error(folder), "BPE"));
  folder.write("tokenizer.json", std::string(100000, '['));
  EXPECT_TRUE(has(load_error(folder), "deeper"));
  folder.write("tokenizer.json", "[" + std::string(5'000'000, ',') + "]");
  EXPECT_TRUE(has(load_error(folder), "4 million"));
  folder.write("tokenizer.json", json::array());
  EXPECT_TRUE(has(load_error(folder), "\"model\""));
}

class RealClip : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_real_data()) GTEST_SKIP() << "no vocabularies in " << real_data();
  }
};

TEST_F(RealClip, GivesTheIdsOfTheSpecification) {
  const ClipTokenizer l = ClipTokenizer::load(real_data() / "clip");
  const ClipTokenizer g = ClipTokenizer::load(real_data() / "clip", "!");
  EXPECT_EQ(l.vocab_size(), 49408);
  const auto check = [&](const char* text, const Ids& in_l, const Ids& in_g) {
    EXPECT_EQ(used(l.encode(text)), in_l) << text;
    EXPECT_EQ(used(g.encode(text)), in_g) << text;
  };
  check("", {49406, 49407}, {49406, 49407});
  check("A capybara holding a sign that reads Hello World!",
        {49406, 320, 1289, 88, 19345, 5050, 320, 2292, 682, 6597, 3306, 1002, 256, 49407},
        {49406, 320, 1289, 88, 19345, 5050, 320, 2292, 682, 6597, 3306, 1002, 0, 49407});
  check("Hello!! It's 1920's café, 東京 🚀",
        {49406, 3306, 748, 585, 568, 272, 280, 273, 271, 568, 15304, 267, 48338, 21078, 361, 13542, 49407},
        {49406, 3306, 0, 0, 585, 568, 272, 280, 273, 271, 568, 15304, 267, 48338, 21078, 361, 13542, 49407});
  check("  multiple   spaces\tand\nnewline  ", {49406, 6470, 9006, 537, 1218, 1148, 49407},
        {49406, 6470, 9006, 537, 1218, 1148, 49407});
  EXPECT_EQ(l.encode("a").ids.back(), 49407);
  EXPECT_EQ(g.encode("a").ids.back(), 0);
  EXPECT_EQ(l.encode("a").ids.size(), 77u);
}

// The folders as SD3.5 has them.
TEST_F(RealClip, EqualsHuggingFace) {
  const auto load = [](const std::string& pad) {
    const TokenizerFolder folder;
    for (const char* name : {"vocab.json", "merges.txt"})
      std::filesystem::copy(real_data() / "clip" / name, folder.path() / name);
    json added = {{"49406", {{"content", "<|startoftext|>"}, {"normalized", true}}}, {"49407", {{"content", "<|endoftext|>"}}}};
    if (pad == "!") added["0"] = {{"content", pad}};
    folder.write("tokenizer_config.json", json{{"added_tokens_decoder", added}, {"pad_token", pad}});
    return ClipTokenizer::load(folder.path());
  };
  const ClipTokenizer l = load("<|endoftext|>");
  const ClipTokenizer g = load("!");
  const int count = for_each_golden([&](const std::string& text, const json& row) {
    const Ids expected = row.at("clip_l");
    EXPECT_EQ(used(l.encode(text)), expected) << text;
    EXPECT_EQ(used(g.encode(text)), row.contains("clip_g") ? row.at("clip_g").get<Ids>() : expected) << text;
  });
  EXPECT_GE(count, 2000);
}

// Quadratic work on these would take hours.
TEST_F(RealClip, StaysFastOnLongWords) {
  const ClipTokenizer tokenizer = ClipTokenizer::load(real_data() / "clip");
  std::string marks = "a", sigmas;
  for (int i = 0; i < 500000; ++i) marks += "\xcc\x81\xcc\xa3";  // acute above, dot below: not in canonical order
  for (int i = 0; i < 500000; ++i) sigmas += "\xce\xa3'";
  for (const std::string& text : {std::string(1000000, 'a'), std::string(1000000, '!'), marks, sigmas}) {
    EXPECT_EQ(tokenizer.encode(text).used, 77);
  }
}

}  // namespace
}  // namespace fude
