// Input: vocab.json, merges.txt, tokenizer_config.json and a prompt; or tokenizer.json and a prompt. Whatever they hold,
// loading and encoding end with tokens or with an Error.
#include "fude/error.h"
#include "model/clip_tokenizer.h"
#include "tokenizer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fude;
  const auto parts = fuzz::sections(data, size);
  try {
    const auto path = [&] {
      if (parts.size() < 4) {
        fuzz::write("tokenizer.json", parts[0]);
        return fuzz::scratch() / "tokenizer.json";
      }
      fuzz::write("vocab.json", parts[0]);
      fuzz::write("merges.txt", parts[1]);
      fuzz::write("tokenizer_config.json", parts[2]);
      return fuzz::scratch();
    }();
    const ClipTokenizer tokenizer = ClipTokenizer::load(path);
    for (const int64_t length : {2, 77}) {
      const Tokens tokens = tokenizer.encode(parts.back(), length);
      if (tokens.ids.size() != static_cast<size_t>(length) || tokens.used > length) __builtin_trap();
      for (const int32_t id : tokens.ids) {
        if (id < 0 || id >= tokenizer.vocab_size()) __builtin_trap();
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
