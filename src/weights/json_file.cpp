// Reading files of bounded size, and bounding JSON before it is parsed.
#include "weights/json_file.h"

#include <cerrno>
#include <fstream>
#include <system_error>

#include "fude/error.h"
#include "weights/presence.h"
#include "weights/quote.h"

namespace fude {

JsonExcess excess_of_json(std::string_view text, size_t deepest, size_t most_values) {
  size_t depth = 0, values = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
      continue;
    }
    switch (c) {
      case '"': in_string = true; break;
      case '[':
      case '{':
        if (++depth > deepest) return JsonExcess::depth;
        ++values;
        break;
      case ']':
      case '}':
        if (depth > 0) --depth;
        break;
      case ',': ++values; break;
      default: break;
    }
    if (values > most_values) return JsonExcess::values;
  }
  return JsonExcess::none;
}

void bad_file(const std::filesystem::path& file, std::string_view what) {
  throw Error(Code::bad_checkpoint,
              {.what = shown(file) + ": " + std::string(what) + "; replace it with the file of the original model",
               .where = {.file = text_of(file)}});
}

std::string read_small_file(const std::filesystem::path& file) {
  constexpr uintmax_t kLargest = 64u << 20;
  std::error_code failed;
  if (!is_present(file) || !std::filesystem::is_regular_file(file, failed)) bad_file(file, "there is no such file");
  const uintmax_t size = std::filesystem::file_size(file, failed);
  if (failed) bad_file(file, "its size cannot be read");
  if (size > kLargest) bad_file(file, "it is larger than 64 MiB, which no such file of a model is");
  std::string bytes(static_cast<size_t>(size), '\0');
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) refuse_unreadable(file, {errno, std::generic_category()});
  if (!stream.read(bytes.data(), static_cast<std::streamsize>(size))) bad_file(file, "it cannot be read");
  return bytes;
}

nlohmann::json read_json(const std::filesystem::path& file) {
  const std::string text = read_small_file(file);
  // A document of 64 MiB could hold 30 million empty arrays, or nest as deep. The largest real tokenizer.json has 0.8 million
  // values.
  switch (excess_of_json(text, 64, 4'000'000)) {
    case JsonExcess::none: break;
    case JsonExcess::depth: bad_file(file, "it nests deeper than any file of a model");
    case JsonExcess::values: bad_file(file, "it holds more than 4 million values");
  }
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception&) {
    const bool is_another_text = is_text(std::string_view(text).substr(0, 256)) && text.find_first_of("{[") != 0;
    bad_file(file, "it is not valid JSON" +
                       (is_another_text ? ", it begins " + beginning_of(std::string_view(text).substr(0, 256)) : ""));
  }
}

}  // namespace fude
