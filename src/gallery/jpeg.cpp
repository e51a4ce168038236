// JPEG encoding through libjpeg, without its exit and its messages.
#include "gallery/jpeg.h"

#include <jpeglib.h>

#include <array>
#include <cassert>
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h needs it

#include "fude/error.h"

namespace fude {
namespace {

// libjpeg's own handlers exit and print; these jump and stay quiet.
struct Handler {
  jpeg_error_mgr manager;
  std::jmp_buf back;
};

[[noreturn]] void jump_back(j_common_ptr jpeg) {
  std::longjmp(reinterpret_cast<Handler*>(jpeg->err)->back, 1);  // the manager is its first member
}

void stay_quiet(j_common_ptr) {}

// libjpeg writes into a piece of memory, which goes to the vector whenever it is full.
struct Target {
  jpeg_destination_mgr manager;
  std::array<JOCTET, 1 << 14> piece;
  std::vector<uint8_t>* bytes;
};

Target& target_of(j_compress_ptr jpeg) { return *reinterpret_cast<Target*>(jpeg->dest); }

void begin_piece(j_compress_ptr jpeg) {
  Target& target = target_of(jpeg);
  target.manager.next_output_byte = target.piece.data();
  target.manager.free_in_buffer = target.piece.size();
}

void keep(j_compress_ptr jpeg, size_t size) {
  Target& target = target_of(jpeg);
  target.bytes->insert(target.bytes->end(), target.piece.data(), target.piece.data() + size);
}

boolean keep_piece(j_compress_ptr jpeg) {
  keep(jpeg, target_of(jpeg).piece.size());
  begin_piece(jpeg);
  return TRUE;
}

void keep_rest(j_compress_ptr jpeg) { keep(jpeg, target_of(jpeg).piece.size() - target_of(jpeg).manager.free_in_buffer); }

// Separate from the frame that longjmp returns to, where nothing with a destructor may live. False: it failed.
bool write_with_libjpeg(jpeg_compress_struct& jpeg, Handler& handler, Target& target, const Image& image, int quality) {
  if (setjmp(handler.back)) return false;
  jpeg_create_compress(&jpeg);
  jpeg.dest = &target.manager;
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg.optimize_coding = TRUE;
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPROW>(image.rgb.data()) + size_t{jpeg.next_scanline} * static_cast<size_t>(image.width) * 3;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  return true;
}

}  // namespace

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  assert(image.width > 0 && image.height > 0 && image.rgb.size() == static_cast<size_t>(image.width * image.height * 3));
  std::vector<uint8_t> bytes;
  Handler handler;
  Target target;
  target.bytes = &bytes;
  target.manager.init_destination = begin_piece;
  target.manager.empty_output_buffer = keep_piece;
  target.manager.term_destination = keep_rest;
  jpeg_compress_struct jpeg{};
  jpeg.err = jpeg_std_error(&handler.manager);
  handler.manager.error_exit = jump_back;
  handler.manager.output_message = stay_quiet;
  const bool whole = write_with_libjpeg(jpeg, handler, target, image, quality);
  jpeg_destroy_compress(&jpeg);
  if (!whole) throw Error(Code::io, "cannot encode a picture as JPEG: out of memory. Close other programs and try again.");
  return bytes;
}

}  // namespace fude
