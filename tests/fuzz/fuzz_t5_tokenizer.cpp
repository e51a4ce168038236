// Input: tokenizer.json (when it begins with a brace) or spiece.model, then a prompt and perhaps a tokenizer_config.json
// between them. Whatever they hold, loading and encoding end with tokens or with an Error.
#include "fude/error.h"
#include "model/t5_tokenizer.h"
#include "tokenizer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fude;
  const auto parts = fuzz::sections(data, size);
  const bool is_json = !parts[0].empty() && parts[0][0] == '{';
  std::filesystem::remove(fuzz::scratch() / (is_json ? "spiece.model" : "tokenizer.json"));
  fuzz::write(is_json ? "tokenizer.json" : "spiece.model", parts[0]);
  fuzz::write("tokenizer_config.json", parts.size() > 2 ? parts[1] : "null");
  try {
    const T5Tokenizer tokenizer = T5Tokenizer::load(fuzz::scratch());
    for (const int64_t length : {1, 64}) {
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
