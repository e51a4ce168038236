#include "engine/text.h"

#include <algorithm>
#include <filesystem>

#include "fude/error.h"

namespace fude {

namespace {

// SD3.5 pads the second CLIP's prompt with `!`. A folder's config says so; a bare vocabulary cannot.
constexpr const char* kClipGPad = "!";

void check_vocabulary(const Checkpoint& checkpoint, Component component, int64_t tokenizer, int64_t encoder) {
  if (tokenizer > encoder)
    throw Error(Code::bad_checkpoint, "the tokenizer in \"" + checkpoint.tokenizer(component).string() + "\" has " +
                                          std::to_string(tokenizer) + " tokens, its text encoder only " + std::to_string(encoder) +
                                          "; they belong to different models");
}

// One look at everything, so that the device is waited for once; only what is wrong is looked for more closely.
void check_finite(Backend& op, const TextEmbeddings& embeddings, int64_t clip_l_columns, int64_t clip_columns) {
  if (op.all_finite(embeddings.tokens) && op.all_finite(embeddings.pooled)) return;
  const Tensor& tokens = embeddings.tokens;
  const Tensor clip = tokens.rows(0, kClipTokens);
  const char* encoder = "T5";
  for (const auto& [columns, name] : {std::pair{clip.columns(clip_l_columns, clip_columns), "CLIP-G"}, {clip.columns(0, clip_l_columns), "CLIP-L"}}) {
    auto scratch = op.scope();
    Tensor copy = op.empty({columns.dim(0), columns.dim(1), columns.dim(2)});
    op.copy(copy, columns);
    if (!op.all_finite(copy)) encoder = name;
  }
  throw Error(Code::non_finite, std::string("the text encoder ") + encoder +
                                    " produced values that are not numbers; check its file with `fude model verify`");
}

void clear(Backend& op, const Tensor& rows) {  // [b, rows, columns]
  if (rows.numel() == 0) return;
  auto scratch = op.scope();
  const std::vector<char> zeros(op.measuring() ? 0 : static_cast<size_t>(rows.bytes()));
  op.copy(rows, op.upload(zeros.data(), rows.dtype, {rows.dim(0), rows.dim(1), rows.dim(2)}));
}

std::future<ClipTokenizer> loading_clip_g(const Checkpoint& checkpoint) {
  return std::async(std::launch::async, [&checkpoint] {
    const std::filesystem::path& folder = checkpoint.tokenizer(Component::clip_g);
    return folder == checkpoint.tokenizer(Component::clip_l) ? ClipTokenizer::load(folder, kClipGPad) : ClipTokenizer::load(folder);
  });
}

std::future<std::optional<T5Tokenizer>> loading_t5(const Checkpoint& checkpoint) {
  return std::async(std::launch::async, [&checkpoint]() -> std::optional<T5Tokenizer> {
    if (!checkpoint.has(Component::t5)) return {};
    return T5Tokenizer::load(checkpoint.tokenizer(Component::t5));
  });
}

}  // namespace

Tokenizers::Tokenizers(const Checkpoint& checkpoint) : Tokenizers(checkpoint, loading_clip_g(checkpoint), loading_t5(checkpoint)) {}

// The others are read while the first is.
Tokenizers::Tokenizers(const Checkpoint& checkpoint, std::future<ClipTokenizer> g, std::future<std::optional<T5Tokenizer>> t)
    : clip_l(ClipTokenizer::load(checkpoint.tokenizer(Component::clip_l))), clip_g(g.get()), t5(t.get()) {
  check_vocabulary(checkpoint, Component::clip_l, clip_l.vocab_size(), checkpoint.clip(Component::clip_l).vocab);
  check_vocabulary(checkpoint, Component::clip_g, clip_g.vocab_size(), checkpoint.clip(Component::clip_g).vocab);
  if (t5) check_vocabulary(checkpoint, Component::t5, t5->vocab_size(), checkpoint.t5().vocab);
}

TokenIds tokenize(const Tokenizers& tokenizers, const std::vector<std::string>& prompts,
                  const std::function<void(const std::string&)>& warning) {
  TokenIds ids;
  const auto take = [&](std::vector<std::vector<int32_t>>& rows, Tokens tokens, const char* who) {
    rows.push_back(std::move(tokens.ids));
    for (const std::string& text : tokens.warnings)
      if (warning) warning(who + (": " + text));
  };
  for (const std::string& prompt : prompts) {
    Tokens first = tokenizers.clip_l.encode(prompt, kClipTokens), second = tokenizers.clip_g.encode(prompt, kClipTokens);
    // Both nearly always say the same; only `!`, which the second counts one by one, makes it cut earlier.
    if (!first.warnings.empty()) second.warnings.clear();
    take(ids.clip_l, std::move(first), "CLIP");
    take(ids.clip_g, std::move(second), "the second CLIP");
    if (tokenizers.t5) take(ids.t5, tokenizers.t5->encode(prompt, kT5Tokens), "T5");
  }
  return ids;
}

TextEncoders::TextEncoders(Backend& op, const Checkpoint& checkpoint)
    : clip_l(op, checkpoint, Component::clip_l), clip_g(op, checkpoint, Component::clip_g) {
  if (checkpoint.has(Component::t5)) t5.emplace(op, checkpoint);
}

namespace {

template <class Encoders, class Each>
void for_all_parts(Encoders& text, const Each& each) {
  for (auto* clip : {&text.clip_l, &text.clip_g}) {
    each(clip->blocks);
    each(clip->ends);
  }
  if (text.t5) {
    each(text.t5->layers);
    each(text.t5->final_norm);
  }
}

}  // namespace

void TextEncoders::keep(bool resident) {
  for_all_parts(*this, [&](auto& part) { part.keep(resident ? part.size() : 0); });
}

int64_t TextEncoders::resident_bytes() const {
  int64_t bytes = 0;
  for_all_parts(*this, [&](const auto& part) { bytes += part.resident_bytes(); });
  return bytes;
}

void TextEncoders::place(Arena& memory) {
  for_all_parts(*this, [&](auto& part) { part.place(memory); });
}

TextEmbeddings encode_text(Backend& op, const Checkpoint& checkpoint, TextEncoders& encoders, const TokenIds& ids,
                           const std::function<void()>& encoder_done) {
  const auto b = static_cast<int64_t>(ids.clip_l.size());
  const MmditGeometry& g = checkpoint.mmdit();
  TextEmbeddings out{.tokens = op.empty({b, kClipTokens + kT5Tokens, g.context_width}), .pooled = op.empty({b, g.pooled_width})};

  int64_t column = 0, pooled_column = 0;
  for (const auto& [clip, tokens] : {std::pair{&encoders.clip_l, &ids.clip_l}, {&encoders.clip_g, &ids.clip_g}}) {
    auto scratch = op.scope();
    const ClipOutput encoded = clip_forward(op, *clip, *tokens);
    const int64_t hidden = clip->geometry.hidden, pooled = clip->geometry.projection;
    op.copy(out.tokens.rows(0, kClipTokens).columns(column, column + hidden), encoded.hidden);
    op.copy(out.pooled.columns(pooled_column, pooled_column + pooled), encoded.pooled);
    column += hidden;
    pooled_column += pooled;
    encoder_done();
  }
  if (encoders.t5) {
    auto scratch = op.scope();
    const Tensor encoded = t5_forward(op, *encoders.t5, ids.t5);
    op.copy(out.tokens.rows(kClipTokens, kClipTokens + kT5Tokens), encoded);
    encoder_done();
  } else {
    clear(op, out.tokens.rows(kClipTokens, kClipTokens + kT5Tokens));
  }
  clear(op, out.tokens.rows(0, kClipTokens).columns(column, g.context_width));
  check_finite(op, out, encoders.clip_l.geometry.hidden, column);
  return out;
}

}  // namespace fude
