// All rows take the Paeth filter, and of what it leaves deflate looks for runs alone: in pictures hardly anything else is
// found, and looking for it takes four times as long. So pieces of the picture need nothing of each other and cost next to no
// bytes.
#include "engine/png_pixels.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <span>

#include "core/thread_team.h"

namespace fude {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 18;
constexpr uint8_t kPaeth = 4;
constexpr uint8_t kHeader[] = {0x78, 0x01};  // of a zlib stream: a window of 32 KiB, compressed fast

// What a byte differs by from the nearest of its neighbours to the left, above and in the corner (PNG specification, third
// edition, 9.4). Free of branches, so that the compiler makes vectors of it.
uint8_t paeth(uint8_t value, uint8_t left, uint8_t above, uint8_t corner) {
  const auto distance = [](int16_t a, int16_t b) { return static_cast<int16_t>(a < b ? b - a : a - b); };
  const int16_t to_left = distance(above, corner);
  const int16_t to_above = distance(left, corner);
  const int16_t to_corner = distance(static_cast<int16_t>(left + above), static_cast<int16_t>(2 * corner));
  const int16_t other = to_above <= to_corner ? above : corner;
  const int16_t other_distance = std::min(to_above, to_corner);
  return static_cast<uint8_t>(value - (to_left <= other_distance ? left : other));
}

// `above` is a row of zeros for the first one.
void filter(const uint8_t* row, const uint8_t* above, int64_t bytes, uint8_t* out) {
  *out++ = kPaeth;
  for (int64_t i = 0; i < 3; ++i) out[i] = paeth(row[i], 0, above[i], 0);
  for (int64_t i = 3; i < bytes; ++i) out[i] = paeth(row[i], row[i - 3], above[i], above[i - 3]);
}

struct Piece {
  std::vector<uint8_t> bytes;
  uLong checksum = 0;  // Adler-32 of what was compressed
};

Piece deflated(std::span<const uint8_t> data, bool last) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, -MAX_WBITS, MAX_MEM_LEVEL, Z_RLE) != Z_OK) throw std::bad_alloc();
  Piece piece;
  constexpr size_t kFlush = 16;  // bytes of the mark after which the next piece may begin
  piece.bytes.resize(deflateBound(&stream, static_cast<uLong>(data.size())) + kFlush);
  stream.next_in = const_cast<Bytef*>(data.data());
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = piece.bytes.data();
  stream.avail_out = static_cast<uInt>(piece.bytes.size());
  deflate(&stream, last ? Z_FINISH : Z_SYNC_FLUSH);
  piece.bytes.resize(piece.bytes.size() - stream.avail_out);
  deflateEnd(&stream);
  piece.checksum = adler32(adler32(0, nullptr, 0), data.data(), static_cast<uInt>(data.size()));
  return piece;
}

}  // namespace

std::vector<uint8_t> compressed_pixels(const Image& image) {
  const int64_t row = image.width * 3, stored = row + 1;
  const int64_t rows = std::max<int64_t>(1, kPieceBytes / stored);
  const int64_t pieces = (image.height + rows - 1) / rows;
  const auto begin_of = [&](int64_t piece) { return std::min(piece * rows, image.height); };

  const std::vector<uint8_t> nothing(static_cast<size_t>(row));
  std::vector<Piece> all(static_cast<size_t>(pieces));
  on_all_cores(pieces, [&](int64_t i) {
    const int64_t begin = begin_of(i);
    const int64_t end = begin_of(i + 1);
    std::vector<uint8_t> filtered(static_cast<size_t>((end - begin) * stored));
    for (int64_t y = begin; y < end; ++y)
      filter(image.rgb.data() + y * row, y > 0 ? image.rgb.data() + (y - 1) * row : nothing.data(), row,
             filtered.data() + (y - begin) * stored);
    all[static_cast<size_t>(i)] = deflated(filtered, i + 1 == pieces);
  });

  std::vector<uint8_t> out(std::begin(kHeader), std::end(kHeader));
  uLong checksum = adler32(0, nullptr, 0);
  for (int64_t i = 0; i < pieces; ++i) {
    const Piece& piece = all[static_cast<size_t>(i)];
    out.insert(out.end(), piece.bytes.begin(), piece.bytes.end());
    checksum = adler32_combine(checksum, piece.checksum, static_cast<z_off_t>((begin_of(i + 1) - begin_of(i)) * stored));
  }
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(checksum >> shift));
  return out;
}

}  // namespace fude
