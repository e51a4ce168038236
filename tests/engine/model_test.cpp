// What an engine says of a model before it draws: tokenizers that are not its own, pieces that are not there, its own steps and
// guidance.
#include "engine/text_encoders.h"
#include "support.h"
#include "temporary.h"
#include "told.h"
#include "weights/faults.h"

namespace fude::test {
namespace {

namespace fs = std::filesystem;

const fs::path kDemo = kSource / "models" / "demo";

// A copy of a model that a test may change.
class Copy {
 public:
  explicit Copy(const fs::path& model) {
    fs::copy(model, folder_, fs::copy_options::recursive);
    fs::remove(folder_ / "goldens.safetensors");
  }
  ~Copy() { fs::remove_all(folder_); }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  fs::path operator/(const fs::path& name) const { return folder_ / name; }
  std::string path() const { return folder_.string(); }
  Checkpoint open() const {
    CheckpointFiles files;
    files.model = folder_;
    return Checkpoint::open(files);
  }
  void replace(const fs::path& name, const fs::path& by) const {
    fs::remove_all(folder_ / name);
    fs::copy(by / name, folder_ / name, fs::copy_options::recursive);
  }

 private:
  const fs::path folder_ = temporary("model");
};

template <class Work>
std::string refusal(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::bad_checkpoint) << error.what();
    return told(error.message());
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(TokenizersOfAnotherModel, AreRefusedWhetherLargerOrSmaller) {
  const Copy model(kDemo);
  for (const char* part : {"tokenizer", "tokenizer_2", "tokenizer_3"}) model.replace(part, fixture("dual"));
  const std::string smaller = refusal([&] { Tokenizers(model.open()); });
  for (const char* part : {"3 things are wrong", "has 814 ids, its text encoder clip_l has rows for 1647",
                           "clip_g has rows for 1647", "t5 has rows for 760", "[give tokenizers]"})
    EXPECT_TRUE(has(smaller, part)) << smaller;
  EXPECT_EQ(refusal([&] { Engine({.model = model.path()}, {.device = "cpu"}); }), smaller);
  EXPECT_EQ(readiness_of(model.open()).faults.size(), 3u) << "as `model verify` says";

  const Copy other(fixture("dual"));
  other.replace("tokenizer_2", kDemo);
  EXPECT_TRUE(has(refusal([&] { Tokenizers(other.open()); }), "has 1647 ids, its text encoder clip_g has rows for 814"));
}

TEST(TokenizersOfAnotherModel, AreKnownByWhereTheirSpecialTokensAre) {
  const Copy model(fixture("no_t5"));
  const fs::path path = model / "tokenizer/vocab.json";
  nlohmann::json vocabulary = nlohmann::json::parse(std::ifstream(path));
  std::string first;
  for (const auto& [token, id] : vocabulary.items())
    if (id == 0) first = token;
  std::swap(vocabulary[first], vocabulary["<|endoftext|>"]);
  std::ofstream(path) << vocabulary;
  fs::remove(model / "tokenizer/tokenizer_config.json");
  fs::remove(model / "tokenizer/special_tokens_map.json");
  EXPECT_TRUE(has(refusal([&] { Tokenizers(model.open()); }), "begins and ends prompts with the ids 812 and 0"));
}

TEST(TokenizersOfAnotherModel, AreToldByWhatWasCompared) {
  for (const char* name : {"dual", "plain", "odd", "turbo", "no_t5"}) {
    const Copy model(fixture(name));
    const Readiness readiness = readiness_of(model.open());
    EXPECT_TRUE(readiness.faults.empty()) << name << ": " << told(readiness.faults.front());
    ASSERT_EQ(readiness.tokenizers.size(), std::string(name) == "no_t5" ? 2u : 3u);
    EXPECT_EQ(readiness.tokenizers[1].ids, 814);
    EXPECT_EQ(readiness.tokenizers[1].rows, 814);
    EXPECT_EQ(readiness.tokenizers[1].end, 813);
    if (readiness.tokenizers.size() == 3) {
      EXPECT_GT(readiness.tokenizers[2].rows, readiness.tokenizers[2].ids) << "rounded up";
      EXPECT_EQ(readiness.tokenizers[2].end, 1);
    }
  }
}

TEST(BareVocabularies, PadTheSecondClipAsTheModelDoes) {
  const Copy model(fixture("dual"));
  const std::vector<int32_t> before = Tokenizers(model.open()).clip_g.encode("a cat!").ids;
  for (const char* folder : {"tokenizer", "tokenizer_2"})
    for (const char* config : {"tokenizer_config.json", "special_tokens_map.json"}) fs::remove(model / folder / config);
  const Tokenizers bare(model.open());
  EXPECT_EQ(bare.clip_g.encode("a cat!").ids, before);
  EXPECT_EQ(before.back(), 0);
  EXPECT_EQ(bare.clip_l.encode("a cat!").ids.back(), 813);
}

TEST(Tokenizing, SaysWhichPromptHoldsWhatNobodyKnows) {
  const Tokenizers tokenizers(Checkpoint::open({.model = fixture("dual")}));
  std::vector<std::string> warnings;
  const auto keep = [&](const Message& message) {
    warnings.push_back(std::string(name_of(message.field)) + ' ' + message.what);
  };
  tokenize(tokenizers, {{"東京", "東京", "東京"}, {"a cat 大阪", "a cat 大阪", "a cat 大阪"}}, kT5Tokens, keep);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_TRUE(has(warnings[0], "negative T5, of the negative prompt: these pieces are not in the vocabulary: “"));
  EXPECT_TRUE(has(warnings[1], "prompt T5: these pieces are not in the vocabulary: “"));
}

TEST(ModelsThatLackPieces, AreToldAllAtOnceAsVerifyTellsThem) {
  const Copy model(fixture("dual"));
  const fs::path file = model / "transformer/diffusion_pytorch_model.safetensors";
  const std::string message = refusal([&] { Engine({.model = file.string()}, {.device = "cpu"}); });
  for (const char* field : {"clip_l", "clip_g", "vae", "tokenizers"})
    EXPECT_TRUE(has(message, std::string("[give ") + field + ']')) << message;
  CheckpointFiles files;
  files.model = file;
  const Readiness readiness = readiness_of(Checkpoint::open(files));
  EXPECT_EQ(readiness.faults.size(), 4u);
  for (const Message& fault : readiness.faults) EXPECT_TRUE(has(message, told(fault)));
}

TEST(OwnDefaults, FillWhatARequestLeavesOpen) {
  Engine demo({.model = kDemo.string()}, {.device = "cpu"});
  const Request full = demo.complete({});
  EXPECT_EQ(full.steps, 30);
  EXPECT_EQ(full.guidance, 5.0);
  EXPECT_EQ(full.width, 256);
  EXPECT_EQ(demo.complete({.steps = 7, .guidance = 0}).steps, 7);
  EXPECT_EQ(demo.complete({.guidance = 0}).guidance, 0.0);
  EXPECT_EQ(demo.complete({.draft = Draft{.width = 128, .height = 128}}).draft->steps, 30);
  EXPECT_EQ(demo.plan({}).request.steps, 30);
  EXPECT_EQ(Engine({.model = fixture("dual").string()}, {.device = "cpu"}).complete({}).steps, 28);
}

struct Said {
  std::vector<std::string> warnings;
  Callbacks callbacks;
  Said() {
    callbacks.warning = [this](const Message& message) { warnings.push_back(told(message)); };
  }
};

TEST(Remarks, AreMadeOnce) {
  const Copy model(fixture("no_t5"));
  std::ofstream(model / "fude.json") << R"({"least_side": 256, "most_side": 256})";
  Request request = request_of("no_t5");
  request.width = request.height = 64;
  request.steps = 1;
  request.guidance = 1;
  request.negative = "blurry";
  Engine engine({.model = model.path()}, {.device = "cpu", .dtype = "f32"});
  EXPECT_FALSE(engine.has_t5());
  Said said;
  engine.generate(request, said.callbacks);
  ASSERT_EQ(said.warnings.size(), 3u);
  EXPECT_TRUE(has(said.warnings[0], "has no T5")) << said.warnings[0];
  EXPECT_TRUE(has(said.warnings[1], "trained for pictures of 256x256 pixels")) << said.warnings[1];
  EXPECT_TRUE(has(said.warnings[2], "the negative prompt does nothing")) << said.warnings[2];
  engine.generate(request, said.callbacks);
  EXPECT_EQ(said.warnings.size(), 3u);
}

TEST(Remarks, AreNotMadeWhereAllIsAsAsked) {
  Request request = request_of("dual");
  request.steps = 1;
  request.negative = "blurry";
  Engine engine({.model = fixture("dual").string(), .no_t5 = true}, {.device = "cpu", .dtype = "f32"});
  EXPECT_FALSE(engine.has_t5());
  Said said;
  engine.generate(request, said.callbacks);
  EXPECT_TRUE(said.warnings.empty()) << said.warnings.front();
  EXPECT_TRUE(Engine({.model = fixture("dual").string()}, {.device = "cpu"}).has_t5());
}

}  // namespace
}  // namespace fude::test
