// Recognising the kind of file, and searching its texts.
#include "engine/containers/texts.h"

#include <algorithm>

#include "engine/containers/jpeg.h"
#include "engine/containers/webp.h"
#include "engine/png.h"
#include "fude/error.h"
#include "model/unicode.h"
#include "weights/quote.h"

namespace fude {

std::vector<PictureText> read_picture_texts(std::span<const uint8_t> file) {
  if (is_jpeg(file)) return read_jpeg_texts(file);
  if (is_webp(file)) return read_webp_texts(file);
  if (is_png(file)) return read_png_text(file);
  throw Error(Code::bad_request, "this is no picture that fude can read: it does not start like a PNG, JPEG or WebP file.");
}

std::string_view text_under(std::span<const PictureText> texts, std::string_view keyword) {
  const auto found = std::find_if(texts.begin(), texts.end(), [&](const PictureText& text) { return text.keyword == keyword; });
  if (found == texts.end()) return {};
  if (!found->damage.empty())
    throw Error(Code::bad_request, {.what = "its text " + shown(keyword) + " cannot be read: " + found->damage,
                                    .remedies = {{Remedy::give_request}}});
  return found->text;
}

std::string_view sound_text(std::span<const PictureText> texts, std::string_view keyword) {
  const auto found = std::find_if(texts.begin(), texts.end(),
                                  [&](const PictureText& text) { return text.keyword == keyword && text.damage.empty(); });
  return found == texts.end() ? std::string_view() : std::string_view(found->text);
}

std::string utf8_from_latin1(std::string_view latin1) {
  std::string utf8;
  utf8.reserve(latin1.size());
  for (const char c : latin1) unicode::append(utf8, static_cast<unsigned char>(c));
  return utf8;
}

std::string utf8_from_8_bits(std::string_view bytes) {
  return unicode::is_utf8(bytes) ? std::string(bytes) : utf8_from_latin1(bytes);
}

}  // namespace fude
