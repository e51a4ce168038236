// Input: lines, each a call of the C interface with a name and a value. Whatever they say, each call ends with a code, a
// failure tells its text, and the handles stay usable. A model is open meanwhile, so that requests are also completed for it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "fude/c.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// Looks at what a call told, after it, and forgets it.
void end(fude_code code, fude_error*& error) {
  check((code == FUDE_OK) == (error == nullptr));
  check(code != FUDE_INTERNAL);
  check(fude_error_code(error) == code);
  if (code) check(*fude_error_text(error) != '\0');
  fude_error_free(error);
  error = nullptr;
}

fude_engine* opened() {
  fude_options* options = nullptr;
  fude_engine* engine = nullptr;
  check(!fude_options_new(&options, nullptr));
  check(!fude_options_set(options, "model", FUDE_SOURCE_DIR "/tests/fixtures/dual", nullptr));
  check(!fude_options_set(options, "device", "cpu", nullptr));
  check(!fude_options_set(options, "threads", "1", nullptr));
  check(!fude_engine_new(options, &engine, nullptr));
  fude_options_free(options);
  return engine;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fude_engine* const engine = opened();
  fude_request* request = nullptr;
  fude_options* options = nullptr;
  fude_embeddings* embeddings = nullptr;
  fude_generator* generator = nullptr;
  check(!fude_request_new(&request, nullptr) && !fude_options_new(&options, nullptr));
  std::string_view left(reinterpret_cast<const char*>(data), size);
  while (!left.empty()) {
    const size_t line_end = std::min(left.find('\n'), left.size());
    const std::string line(left.substr(0, line_end));
    left.remove_prefix(std::min(line_end + 1, left.size()));
    if (line.empty()) continue;
    const std::string rest = line.substr(1);
    const size_t equals = std::min(rest.find('='), rest.size());
    const std::string name = rest.substr(0, equals), value = rest.substr(std::min(equals + 1, rest.size()));
    const auto number = static_cast<int64_t>(std::strtoll(value.c_str(), nullptr, 10));
    fude_error* error = nullptr;
    switch (line[0]) {
      case 's': end(fude_request_set(request, name.c_str(), value.c_str(), &error), error); break;
      case 'o': end(fude_options_set(options, name.c_str(), value.c_str(), &error), error); break;
      case 'j': end(fude_request_set_json(request, rest.c_str(), &error), error); break;
      case 'c': {
        fude_request* complete = nullptr;
        end(fude_engine_complete(engine, request, &complete, &error), error);
        fude_request_free(complete);
        break;
      }
      case 'r': {  // what a request says of itself is taken again
        char *json = nullptr, *again = nullptr;
        end(fude_request_json(request, &json, &error), error);
        fude_request* copy = nullptr;
        check(!fude_request_new(&copy, nullptr) && !fude_request_set_json(copy, json, nullptr));
        check(!fude_request_json(copy, &again, nullptr) && std::string_view(json) == again);
        fude_request_free(copy);
        fude_text_free(json);
        fude_text_free(again);
        break;
      }
      case 'e': {
        const std::vector<float> values(64);
        const bool small = number > 0 && number <= 8;
        fude_embeddings_free(embeddings);
        end(fude_embeddings_new(small ? number : -number, small ? 8 : number, small ? 64 : 1, values.data(), values.data(),
                                nullptr, nullptr, &embeddings, &error),
            error);
        check(!embeddings || fude_embeddings_values(embeddings, "prompt_embeds"));
        fude_embeddings_values(embeddings, name.c_str());
        end(fude_request_set_embeddings(request, embeddings, &error), error);
        break;
      }
      case 'l': {
        const std::vector<float> values(static_cast<size_t>(number & 0xffff));
        end(fude_request_set_latents(request, values.data(), values.size(), &error), error);
        break;
      }
      case 'g': {
        std::vector<float> values(100);
        fude_generator_free(generator);
        check(!fude_generator_new(static_cast<uint64_t>(number), &generator, nullptr));
        end(fude_generator_randn(generator, name.c_str(), values.data(), value.size() % 100, &error), error);
        break;
      }
      default: end(fude_request_set(nullptr, name.c_str(), value.c_str(), &error), error);
    }
  }
  fude_request_free(request);
  fude_options_free(options);
  fude_embeddings_free(embeddings);
  fude_generator_free(generator);
  return 0;
}
