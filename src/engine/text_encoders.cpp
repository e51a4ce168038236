// Checking tokenizers against encoders, tokenizing prompts, and running the encoders.
#include "engine/text_encoders.h"

#include <algorithm>
#include <filesystem>

#include "fude/error.h"
#include "weights/faults.h"
#include "weights/quote.h"

namespace fude {

namespace {

// SD3.5 pads the second CLIP's prompt with `!`. A folder's config says so; a bare vocabulary cannot.
constexpr const char* kClipGPad = "!";
// Embeddings have more rows than there are ids only to round their number up: T5 has 32128 for 32100 ids.
constexpr int64_t kRoundedTo = 128;

[[noreturn]] void refuse_tokenizer(const Checkpoint& checkpoint, Component component, const std::string& what) {
  const std::filesystem::path& folder = checkpoint.tokenizer(component);
  throw Error(Code::bad_checkpoint,
              {.what = "the tokenizer in " + shown(folder) + ' ' + what + ": they belong to different models",
               .field = Field::tokenizers,
               .where = {text_of(folder), std::string(name_of(component))},
               .remedies = {{Remedy::give, Field::tokenizers}}});
}

TokenizerCheck checked(const Checkpoint& checkpoint, Component component, const ClipTokenizer& tokenizer) {
  const std::vector<int32_t> ids = tokenizer.encode("", kClipTokens).ids;  // start, end, and pads
  const TokenizerCheck check{component, tokenizer.vocab_size(), checkpoint.clip(component).vocab, ids[0], ids[1], ids[2]};
  const std::string encoder = "its text encoder " + std::string(name_of(component));
  if (check.ids != check.rows)
    refuse_tokenizer(checkpoint, component,
                     "has " + std::to_string(check.ids) + " ids, " + encoder + " has rows for " + std::to_string(check.rows));
  // The encoder finds the end of a prompt by its id, the highest; the start is the one before it. Only added tokens come after
  // them.
  if (*check.start != check.end - 1 || check.rows - check.end > kRoundedTo)
    refuse_tokenizer(checkpoint, component,
                     "begins and ends prompts with the ids " + std::to_string(*check.start) + " and " +
                         std::to_string(check.end) + ", " + encoder + " with its last two of " + std::to_string(check.rows));
  return check;
}

TokenizerCheck checked(const Checkpoint& checkpoint, const T5Tokenizer& tokenizer) {
  constexpr int32_t kEnd = 1, kPad = 0;
  const std::vector<int32_t> ids = tokenizer.encode("", kT5Tokens).ids;
  const TokenizerCheck check{Component::t5, tokenizer.vocab_size(), checkpoint.t5().vocab, {}, ids[0], ids[1]};
  if (check.ids > check.rows || check.rows - check.ids >= kRoundedTo)
    refuse_tokenizer(
        checkpoint, Component::t5,
        "has " + std::to_string(check.ids) + " ids, its text encoder t5 has rows for " + std::to_string(check.rows));
  if (check.end != kEnd || check.pad != kPad)
    refuse_tokenizer(checkpoint, Component::t5,
                     "ends prompts with the id " + std::to_string(check.end) + " and pads with " + std::to_string(check.pad) +
                         ", its text encoder t5 with 1 and 0");
  return check;
}

bool says_its_padding(const std::filesystem::path& folder) {
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"})
    if (Config::read_if_there(folder / name).has("pad_token")) return true;
  return false;
}

ClipTokenizer load_clip(const Checkpoint& checkpoint, Component component) {
  const std::filesystem::path& folder = checkpoint.tokenizer(component);
  if (component == Component::clip_l) return ClipTokenizer::load(folder);
  const bool is_shared = checkpoint.has_tokenizer(Component::clip_l) && folder == checkpoint.tokenizer(Component::clip_l);
  return is_shared || !says_its_padding(folder) ? ClipTokenizer::load(folder, kClipGPad) : ClipTokenizer::load(folder);
}

// One look at everything, so that the device is waited for once; only what is wrong is looked for more closely.
void check_finite(Ops& op, const TextEmbeddings& embeddings, int64_t clip_l_columns, int64_t clip_columns) {
  if (op.all_finite(embeddings.tokens) && op.all_finite(embeddings.pooled)) return;
  const Tensor& tokens = embeddings.tokens;
  const Tensor clip = tokens.rows(0, kClipTokens);
  Component encoder = Component::t5;
  for (const auto& [columns, named] : {std::pair{clip.columns(clip_l_columns, clip_columns), Component::clip_g},
                                       {clip.columns(0, clip_l_columns), Component::clip_l}}) {
    auto scratch = op.scope();
    Tensor copy = op.empty({columns.dim(0), columns.dim(1), columns.dim(2)});
    op.copy(copy, columns);
    if (!op.all_finite(copy)) encoder = named;
  }
  throw Error(Code::non_finite,
              {.what = "the text encoder " + std::string(type_of(encoder).short_name) + " produced values that are not numbers",
               .where = {.component = std::string(name_of(encoder))},
               .remedies = {{Remedy::check_model}}});
}

void clear(Ops& op, const Tensor& rows) {  // [b, rows, columns]
  if (rows.numel() == 0) return;
  auto scratch = op.scope();
  const std::vector<char> zeros(op.measuring() ? 0 : static_cast<size_t>(rows.bytes()));
  op.copy(rows, op.upload(zeros.data(), rows.dtype, {rows.dim(0), rows.dim(1), rows.dim(2)}));
}

}  // namespace

Tokenizers::Tokenizers(ClipTokenizer l, ClipTokenizer g, std::optional<T5Tokenizer> t)
    : clip_l(std::move(l)), clip_g(std::move(g)), t5(std::move(t)) {}

Tokenizers::Tokenizers(const Checkpoint& checkpoint) : Tokenizers(load(checkpoint)) {}

Tokenizers Tokenizers::load(const Checkpoint& checkpoint) {
  // The others are read while the first is.
  std::future<ClipTokenizer> loading_g =
      std::async(std::launch::async, [&] { return load_clip(checkpoint, Component::clip_g); });
  std::future<std::optional<T5Tokenizer>> loading_t5 = std::async(std::launch::async, [&]() -> std::optional<T5Tokenizer> {
    if (!checkpoint.has(Component::t5)) return {};
    return T5Tokenizer::load(checkpoint.tokenizer(Component::t5));
  });
  std::optional<ClipTokenizer> l, g;
  std::optional<T5Tokenizer> t;
  Faults faults;
  faults.attempt([&] { checked(checkpoint, Component::clip_l, l.emplace(load_clip(checkpoint, Component::clip_l))); });
  faults.attempt([&] { checked(checkpoint, Component::clip_g, g.emplace(loading_g.get())); });
  faults.attempt([&] {
    t = loading_t5.get();
    if (t) checked(checkpoint, *t);
  });
  faults.raise();
  return {std::move(*l), std::move(*g), std::move(t)};
}

Readiness readiness_of(const Checkpoint& checkpoint) {
  Readiness readiness;
  Faults faults;
  for (Message& lack : checkpoint.lacks()) faults.add(std::move(lack));
  for (const Component component : kComponents) {
    if (!encodes_text(component) || !checkpoint.has(component) || !checkpoint.has_tokenizer(component)) continue;
    faults.attempt([&] {
      readiness.tokenizers.push_back(component == Component::t5
                                         ? checked(checkpoint, T5Tokenizer::load(checkpoint.tokenizer(component)))
                                         : checked(checkpoint, component, load_clip(checkpoint, component)));
    });
  }
  readiness.faults = faults.all();
  return readiness;
}

void check_complete(const Checkpoint& checkpoint) {
  if (checkpoint.lacks().empty()) return;
  throw Error(Code::bad_checkpoint, {.what = "the model " + shown(checkpoint.path()) + " cannot be drawn with as it is:",
                                     .field = Field::model,
                                     .where = {.file = text_of(checkpoint.path())},
                                     .parts = readiness_of(checkpoint).faults});
}

TokenIds tokenize(const Tokenizers& tokenizers, const std::vector<PromptTexts>& prompts, int64_t t5_tokens,
                  const std::function<void(const Message&)>& warning) {
  TokenIds ids{.t5_tokens = t5_tokens};
  for (const PromptTexts& prompt : prompts) {
    const bool is_negative = prompts.size() > 1 && &prompt == &prompts.front();
    const auto take = [&](std::vector<std::vector<int32_t>>& rows, Tokens tokens, const std::string& who) {
      rows.push_back(std::move(tokens.ids));
      for (const std::string& text : tokens.warnings)
        if (warning)
          warning({.what = who + (is_negative ? ", of the negative prompt: " : ": ") + text,
                   .field = is_negative ? Field::negative : Field::prompt});
    };
    ids.clip_skip.push_back(0);
    Tokens first = tokenizers.clip_l.encode(prompt.clip_l, kClipTokens);
    Tokens second = tokenizers.clip_g.encode(prompt.clip_g, kClipTokens);
    // Of one text both nearly always say the same; only `!`, which the second counts one by one, makes it cut earlier.
    if (!first.warnings.empty() && prompt.clip_l == prompt.clip_g) second.warnings.clear();
    take(ids.clip_l, std::move(first), "CLIP");
    take(ids.clip_g, std::move(second), "the second CLIP");
    if (tokenizers.t5) take(ids.t5, tokenizers.t5->encode(prompt.t5, t5_tokens), "T5");
  }
  return ids;
}

TextEncoders::TextEncoders(Device& device, WeightFormat format, const Checkpoint& checkpoint)
    : clip_l(device, format, {checkpoint, Component::clip_l}), clip_g(device, format, {checkpoint, Component::clip_g}) {
  if (checkpoint.has(Component::t5)) t5.emplace(device, format, WeightSource(checkpoint, Component::t5));
}

namespace {

template <class Encoders, class Each>
void for_each_part(Encoders& encoders, const Each& each) {
  TextEncoders::for_each(
      encoders, [&](auto& encoder) { encoder.for_each_part(encoder, [&](std::string_view, auto& part) { each(part); }); });
}

}  // namespace

void TextEncoders::keep(bool resident) {
  for_each_part(*this, [&](auto& part) { part.keep(resident ? part.size() : 0); });
}

int64_t TextEncoders::resident_bytes() const {
  int64_t bytes = 0;
  for_each_part(*this, [&](const auto& part) { bytes += part.resident_bytes(); });
  return bytes;
}

void TextEncoders::place(Arena& memory) {
  for_each_part(*this, [&](auto& part) { part.place(memory); });
}

TextEmbeddings encode_text(Ops& op, const Checkpoint& checkpoint, TextEncoders& encoders, const TokenIds& ids,
                           const std::function<void()>& encoder_done) {
  const auto b = static_cast<int64_t>(ids.clip_l.size());
  const MmditGeometry& g = checkpoint.mmdit();
  TextEmbeddings out{.tokens = op.empty({b, ids.tokens(), g.context_width}), .pooled = op.empty({b, g.pooled_width})};

  int64_t column = 0, pooled_column = 0;
  for (const auto& [clip, tokens] : {std::pair{&encoders.clip_l, &ids.clip_l}, {&encoders.clip_g, &ids.clip_g}}) {
    auto scratch = op.scope();
    ClipLayers layers(op, *clip);
    const ClipOutput encoded = clip_forward(op, *clip, layers, *tokens, ids.clip_skip);
    const int64_t hidden = clip->geometry.hidden, pooled = clip->geometry.projection;
    op.copy(out.tokens.rows(0, kClipTokens).columns(column, column + hidden), encoded.hidden);
    op.copy(out.pooled.columns(pooled_column, pooled_column + pooled), encoded.pooled);
    column += hidden;
    pooled_column += pooled;
    encoder_done();
  }
  if (encoders.t5) {
    auto scratch = op.scope();
    T5Layers layers(op, *encoders.t5);
    const Tensor encoded = t5_forward(op, *encoders.t5, layers, ids.t5);
    op.copy(out.tokens.rows(kClipTokens, ids.tokens()), encoded);
    encoder_done();
  } else {
    clear(op, out.tokens.rows(kClipTokens, ids.tokens()));
  }
  clear(op, out.tokens.rows(0, kClipTokens).columns(column, g.context_width));
  check_finite(op, out, encoders.clip_l.geometry.hidden, column);
  return out;
}

}  // namespace fude
