// From prompts to what the denoiser listens to.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ops.h"
#include "model/clip.h"
#include "model/clip_tokenizer.h"
#include "model/t5.h"
#include "model/t5_tokenizer.h"
#include "weights/checkpoint.h"

namespace fude {

constexpr int64_t kClipTokens = 77, kT5Tokens = 256;

// What was compared of a tokenizer and its encoder. Equal sizes cannot tell two vocabularies of one size apart.
struct TokenizerCheck {
  Component component;
  int64_t ids = 0, rows = 0;     // of the vocabulary, and of the encoder's embedding
  std::optional<int32_t> start;  // T5 has none
  int32_t end = 0, pad = 0;
};

struct Tokenizers {
  // Error{bad_checkpoint} that tells all that is wrong: files that cannot be read, a vocabulary that is not the encoder's.
  explicit Tokenizers(const Checkpoint& checkpoint);

  ClipTokenizer clip_l, clip_g;
  std::optional<T5Tokenizer> t5;  // absent with its encoder

 private:
  Tokenizers(ClipTokenizer l, ClipTokenizer g, std::optional<T5Tokenizer> t);
  static Tokenizers load(const Checkpoint& checkpoint);
};

// Whether a checkpoint can be drawn with, its tensors apart (weights/inspect.h).
struct Readiness {
  std::vector<Message> faults;             // none: Tokenizers takes it
  std::vector<TokenizerCheck> tokenizers;  // those without a fault
};
Readiness readiness_of(const Checkpoint& checkpoint);
// Error{bad_checkpoint} with all faults, where something that a picture needs is not there.
void check_complete(const Checkpoint& checkpoint);

struct TokenIds {
  std::vector<std::vector<int32_t>> clip_l, clip_g, t5;  // [prompts][tokens]; t5 empty without its encoder
  int64_t t5_tokens = kT5Tokens;                         // also without it
  std::vector<int64_t> clip_skip;                        // of each prompt, as Request::clip_skip

  int64_t tokens() const { return kClipTokens + t5_tokens; }  // of the embeddings
};

// What each encoder reads.
struct PromptTexts {
  std::string clip_l, clip_g, t5;
};

// Of two prompts the first is the negative one. Warnings name what was cut from a prompt or is unknown to a tokenizer.
TokenIds tokenize(const Tokenizers& tokenizers, const std::vector<PromptTexts>& prompts, int64_t t5_tokens,
                  const std::function<void(const Message&)>& warning);

struct TextEmbeddings {
  Tensor tokens;  // [b, 77 + t5_tokens, context_width]: both CLIPs side by side, then T5
  Tensor pooled;  // [b, pooled_width]
};

struct TextEncoders {
  TextEncoders(Device& device, WeightFormat format, const Checkpoint& checkpoint);

  // Calls each(encoder) for all that there are.
  template <class Self, class Each>
  static void for_each(Self& self, const Each& each) {
    each(self.clip_l);
    each(self.clip_g);
    if (self.t5) each(*self.t5);
  }

  // Whether they stay on the device; otherwise they are read at every prompt. See Layers.
  void keep(bool resident);
  void place(Arena& memory);
  int64_t resident_bytes() const;

  Clip clip_l, clip_g;
  std::optional<T5> t5;
};

// Runs the three encoders one after the other. `encoder_done` is called after each. Error{non_finite} names the encoder.
TextEmbeddings encode_text(Ops& op, const Checkpoint& checkpoint, TextEncoders& encoders, const TokenIds& ids,
                           const std::function<void()>& encoder_done);

}  // namespace fude
