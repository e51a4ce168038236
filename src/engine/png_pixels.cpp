// All rows take the Paeth filter, and of what it leaves deflate looks for runs alone: in pictures hardly anything else is found, and
// looking for it takes four times as long. So pieces of the picture need nothing of each other and cost next to no bytes.
#include "engine/png_pixels.h"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <new>
#include <span>
#include <thread>

namespace fude {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 18;
constexpr uint8_t kPaeth = 4;
constexpr uint8_t kHeader[] = {0x78, 0x01};  // of a zlib stream: a window of 32 KiB, compressed fast

// PNG specification, third edition, 9.4.
uint8_t paeth(int left, int above, int corner) {
  const int to_left = std::abs(above - corner), to_above = std::abs(left - corner), to_corner = std::abs(left + above - 2 * corner);
  if (to_left <= to_above && to_left <= to_corner) return static_cast<uint8_t>(left);
  return static_cast<uint8_t>(to_above <= to_corner ? above : corner);
}

// `above` is null for the first row.
void filter(const uint8_t* row, const uint8_t* above, int64_t bytes, uint8_t* out) {
  *out++ = kPaeth;
  for (int64_t i = 0; i < bytes; ++i) {
    const int left = i < 3 ? 0 : row[i - 3], up = above ? above[i] : 0, corner = i < 3 || !above ? 0 : above[i - 3];
    out[i] = static_cast<uint8_t>(row[i] - paeth(left, up, corner));
  }
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

// Calls each(i) for 0 to n - 1 on the cores there are.
template <class Each>
void for_all(int64_t n, const Each& each) {
  const int64_t threads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, n);
  const auto share = [&](int64_t first) {
    for (int64_t i = first; i < n; i += threads) each(i);
  };
  std::vector<std::future<void>> others;
  for (int64_t thread = 1; thread < threads; ++thread) others.push_back(std::async(std::launch::async, share, thread));
  share(0);
  for (std::future<void>& other : others) other.get();
}

}  // namespace

std::vector<uint8_t> compressed_pixels(const Image& image) {
  const int64_t row = image.width * 3, stored = row + 1;
  const int64_t rows = std::max<int64_t>(1, kPieceBytes / stored), pieces = (image.height + rows - 1) / rows;
  const auto begin_of = [&](int64_t piece) { return std::min(piece * rows, image.height); };

  std::vector<Piece> all(static_cast<size_t>(pieces));
  for_all(pieces, [&](int64_t i) {
    const int64_t begin = begin_of(i), end = begin_of(i + 1);
    std::vector<uint8_t> filtered(static_cast<size_t>((end - begin) * stored));
    for (int64_t y = begin; y < end; ++y)
      filter(image.rgb.data() + y * row, y > 0 ? image.rgb.data() + (y - 1) * row : nullptr, row, filtered.data() + (y - begin) * stored);
    all[static_cast<size_t>(i)] = deflated(filtered, i + 1 == pieces);
  });

  std::vector<uint8_t> out(std::begin(kHeader), std::end(kHeader));
  uLong checksum = adler32(0, nullptr, 0);
  for (int64_t i = 0; i < pieces; ++i) {
    const Piece& piece = all[static_cast<size_t>(i)];
    out.insert(out.end(), piece.bytes.begin(), piece.bytes.end());
    checksum = adler32_combine(checksum, piece.checksum, (begin_of(i + 1) - begin_of(i)) * stored);
  }
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(checksum >> shift));
  return out;
}

}  // namespace fude
