// Writing, but for the compression of pixels, and reading pixels is libpng's work. Reading texts walks the chunks by hand,
// since libpng would want to decode the pixels between the texts: a chunk is length (u32, big endian), type (4 letters), data,
// CRC of type and data (PNG specification, third edition, 5.3).
#include "engine/png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <csetjmp>
#include <cstring>
#include <iterator>
#include <new>
#include <optional>

#include "engine/containers/exif.h"
#include "engine/metadata.h"
#include "engine/png_pixels.h"
#include "fude/error.h"
#include "model/unicode.h"

namespace fude {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 27;
constexpr int64_t kMostInflated = 1032;  // bytes that one byte of deflate can stand for
constexpr std::array<uint8_t, 8> kSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

// Latin-1 bytes of UTF-8 text; none when a character lies beyond U+00FF, the text is not UTF-8, or its Latin-1 bytes would be.
std::optional<std::string> latin1_from(std::string_view utf8) {
  std::string latin1;
  latin1.reserve(utf8.size());
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte < 0x80) {
      latin1 += utf8[i];
      continue;
    }
    const unsigned next = i + 1 < utf8.size() ? static_cast<unsigned char>(utf8[i + 1]) : 0;
    if ((byte != 0xc2 && byte != 0xc3) || (next & 0xc0) != 0x80) return std::nullopt;
    latin1 += static_cast<char>((byte & 3) << 6 | (next & 0x3f));
    ++i;
  }
  const bool is_ascii = latin1.size() == utf8.size();
  if (!is_ascii && unicode::is_utf8(latin1)) return std::nullopt;  // readers would take it for UTF-8, as ours does
  return latin1;
}

void append(png_structp png, png_bytep data, size_t size) {
  auto* out = static_cast<std::vector<uint8_t>*>(png_get_io_ptr(png));
  try {
    out->insert(out->end(), data, data + size);
  } catch (const std::bad_alloc&) {
    png_error(png, "out of memory");
  }
}

// What libpng needs, apart from the frame that its longjmp returns to: nothing with a destructor may live there.
void write_with_libpng(png_structp png, png_infop info, const Image& image, const std::vector<uint8_t>& pixels,
                       std::vector<png_text>& texts, std::vector<uint8_t>& out) {
  if (setjmp(png_jmpbuf(png)))
    throw Error(Code::io, "cannot encode the picture as PNG: out of memory. Draw a smaller picture.");
  png_set_write_fn(png, &out, append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!texts.empty()) png_set_text(png, info, texts.data(), static_cast<int>(texts.size()));
  png_write_info(png, info);
  png_write_chunk(png, reinterpret_cast<png_const_bytep>("IDAT"), pixels.data(), pixels.size());
  png_write_chunk(png, reinterpret_cast<png_const_bytep>("IEND"), nullptr, 0);
}

[[noreturn]] void fail_to_read(const std::string& what) {
  throw Error(Code::bad_request, "this is not a PNG picture that fude can read: " + what + ". Give a whole PNG.");
}

// A file that libpng reads bit by bit, and why it stopped.
struct Source {
  std::span<const uint8_t> file;
  size_t at = 0;
  std::array<char, 128> reason{};  // no std::string: what libpng's longjmp skips must not need a destructor
};

void take(png_structp png, png_bytep data, size_t size) {
  auto& source = *static_cast<Source*>(png_get_io_ptr(png));
  if (size > source.file.size() - source.at) png_error(png, "it was cut off");
  std::memcpy(data, source.file.data() + source.at, size);
  source.at += size;
}

// As write_with_libpng: no destructors in the frame that the longjmp returns to. False: source.reason says why.
bool read_header_with_libpng(png_structp png, png_infop info, Source& source, Image& image) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_read_fn(png, &source, take);
  png_set_user_limits(png, kLargestPngSide, kLargestPngSide);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // nothing that is not needed for pixels
  png_read_info(png, info);
  image.width = png_get_image_width(png, info);
  image.height = png_get_image_height(png, info);
  if (image.width * image.height > kMostPixels) png_error(png, "it has too many pixels");
  const auto stored = image.height * static_cast<int64_t>(png_get_rowbytes(png, info));
  if (stored / kMostInflated > static_cast<int64_t>(source.file.size())) png_error(png, "it was cut off");
  return true;
}

bool read_pixels_with_libpng(png_structp png, png_infop info, Image& image, std::vector<png_bytep>& rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != static_cast<size_t>(image.width) * 3) png_error(png, "its pixels are of an unknown kind");
  png_read_image(png, rows.data());
  png_read_end(png, nullptr);
  return true;
}

uint32_t read_u32(std::span<const uint8_t> bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 | uint32_t{bytes[at + 3]};
}

// Why a text cannot be read. It is kept with the text: most texts of a picture are nobody's business.
struct Damage {
  std::string what;
};

std::string inflate_text(std::string_view compressed) {
  std::string text;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::array<char, 16384> piece;
  int state = Z_OK;
  while (state == Z_OK && text.size() <= kLargestText) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    text.append(piece.data(), piece.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (text.size() > kLargestText) throw Damage{"it is larger than 1 MiB"};
  if (state != Z_STREAM_END) throw Damage{"its compressed data is damaged"};
  return text;
}

// Takes everything up to the next NUL, which is taken too.
std::string_view take_field(std::string_view& data) {
  const size_t end = data.find('\0');
  if (end == std::string_view::npos) throw Damage{"it is damaged"};
  const std::string_view field = data.substr(0, end);
  data.remove_prefix(end + 1);
  return field;
}

uint8_t take_byte(std::string_view& data) {
  if (data.empty()) throw Damage{"it is damaged"};
  const auto byte = static_cast<uint8_t>(data[0]);
  data.remove_prefix(1);
  return byte;
}

// Of a chunk's data behind the keyword.
std::string text_from(std::string_view type, std::string_view keyword, std::string_view data) {
  // fude writes what the standard asks for, and its request is to be read exactly.
  const auto utf8_from = keyword == kProvenanceKeyword || keyword == kStatsKeyword ? utf8_from_latin1 : utf8_from_8_bits;
  if (type == "tEXt") return utf8_from(data);
  if (type == "zTXt") {
    if (take_byte(data) != 0) throw Damage{"it is compressed in an unknown way"};
    return utf8_from(inflate_text(data));
  }
  const bool compressed = take_byte(data) != 0;  // iTXt
  if (take_byte(data) != 0 && compressed) throw Damage{"it is compressed in an unknown way"};
  take_field(data);  // language
  take_field(data);  // translated keyword
  return compressed ? inflate_text(data) : std::string(data);
}

bool is_sound(std::span<const uint8_t> file, size_t at, size_t length) {  // a chunk
  const uLong crc = crc32(crc32(0, nullptr, 0), file.data() + at + 4, static_cast<uInt>(length + 4));
  return crc == read_u32(file, at + 8 + length);
}

// `left`: bytes that the picture's texts may still have.
PngText read_text(std::span<const uint8_t> file, size_t at, size_t length, std::string_view type, std::string_view data,
                  size_t& left) {
  constexpr size_t kLongestKeyword = 79;
  PngText text;
  const size_t end = data.substr(0, kLongestKeyword + 1).find('\0');
  text.keyword = utf8_from_latin1(data.substr(0, std::min(end, kLongestKeyword)));
  try {
    if (left == 0) throw Damage{"the texts before it are larger than 16 MiB"};
    if (length > kLargestText) throw Damage{"it is larger than 1 MiB"};
    if (end == std::string_view::npos || !is_sound(file, at, length)) throw Damage{"it is damaged"};
    text.text = text_from(type, text.keyword, data.substr(end + 1));
    left -= std::min(left, text.text.size());
  } catch (const Damage& damage) {
    text.damage = damage.what;
    left -= std::min(left, type == "tEXt" ? size_t{0} : kLargestText);  // what was inflated in vain
  }
  return text;
}

}  // namespace

bool is_png(std::span<const uint8_t> file) {
  return file.size() >= kSignature.size() && std::equal(kSignature.begin(), kSignature.end(), file.begin());
}

std::vector<uint8_t> encode_png(const Image& image, std::span<const PngText> text) {
  assert(image.width > 0 && image.height > 0 && image.rgb.size() == static_cast<size_t>(image.width * image.height * 3));
  std::vector<PngText> encoded;  // owns what the chunks below point to
  std::vector<png_text> chunks;
  encoded.reserve(text.size());
  for (const PngText& one : text) {
    const std::optional<std::string> latin1 = latin1_from(one.text);
    PngText& kept = encoded.emplace_back(PngText{one.keyword, latin1.value_or(one.text)});
    png_text& chunk = chunks.emplace_back();
    chunk = {};
    chunk.compression = latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    chunk.key = kept.keyword.data();
    chunk.text = kept.text.data();
    if (latin1) chunk.text_length = kept.text.size();
    else chunk.itxt_length = kept.text.size();
  }

  const std::vector<uint8_t> pixels = compressed_pixels(image);
  std::vector<uint8_t> out;
  // libpng's own handler for errors prints, so one that only jumps stands in for it.
  png_structp png = png_create_write_struct(
      PNG_LIBPNG_VER_STRING, nullptr, [](png_structp p, png_const_charp) { png_longjmp(p, 1); },
      [](png_structp, png_const_charp) {});
  if (!png) throw std::bad_alloc();
  png_infop info = png_create_info_struct(png);
  try {
    if (!info) throw std::bad_alloc();
    write_with_libpng(png, info, image, pixels, chunks, out);
  } catch (...) {
    png_destroy_write_struct(&png, &info);
    throw;
  }
  png_destroy_write_struct(&png, &info);
  return out;
}

std::vector<PngText> read_png_text(std::span<const uint8_t> file) {
  if (!is_png(file)) fail_to_read("it does not start like a PNG");
  std::vector<PngText> texts, of_exif;
  size_t left = kLargestTexts;
  for (size_t at = kSignature.size();;) {
    if (file.size() - at < 12) fail_to_read("it was cut off");
    const size_t length = read_u32(file, at);
    if (length > file.size() - at - 12) fail_to_read("it was cut off");
    const std::string_view type(reinterpret_cast<const char*>(file.data()) + at + 4, 4);
    const std::string_view data(reinterpret_cast<const char*>(file.data()) + at + 8, length);
    if (type == "IEND") break;
    if ((type == "tEXt" || type == "zTXt" || type == "iTXt") && texts.size() < kMostTexts)
      texts.push_back(read_text(file, at, length, type, data, left));
    if (type == "eXIf" && of_exif.empty() && is_sound(file, at, length))
      of_exif = read_exif_texts(file.subspan(at + 8, length));
    at += 12 + length;
  }
  std::move(of_exif.begin(), of_exif.end(), std::back_inserter(texts));
  return texts;
}

Image decode_png(std::span<const uint8_t> file) {
  Source source{file};
  png_structp png = png_create_read_struct(
      PNG_LIBPNG_VER_STRING, &source,
      [](png_structp p, png_const_charp why) {
        auto& reason = static_cast<Source*>(png_get_error_ptr(p))->reason;
        std::strncpy(reason.data(), why, reason.size() - 1);
        png_longjmp(p, 1);
      },
      [](png_structp, png_const_charp) {});
  if (!png) throw std::bad_alloc();
  png_infop info = png_create_info_struct(png);
  Image image;
  try {
    if (!info) throw std::bad_alloc();
    // No more pixels than the compressed bytes can hold.
    bool whole = read_header_with_libpng(png, info, source, image);
    if (whole) {
      image.rgb.resize(static_cast<size_t>(image.width * image.height * 3));
      std::vector<png_bytep> rows(static_cast<size_t>(image.height));
      for (size_t y = 0; y < rows.size(); ++y) rows[y] = image.rgb.data() + y * static_cast<size_t>(image.width) * 3;
      whole = read_pixels_with_libpng(png, info, image, rows);
    }
    if (!whole) fail_to_read(source.reason.data());
  } catch (...) {
    png_destroy_read_struct(&png, &info, nullptr);
    throw;
  }
  png_destroy_read_struct(&png, &info, nullptr);
  return image;
}

}  // namespace fude
