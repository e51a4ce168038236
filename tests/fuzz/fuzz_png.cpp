// Input: a PNG, as `--from` takes it. Whatever it holds, reading its texts and the request in them ends with one or with an
// Error, and so does reading its pixels. So that mutations get past the checksums, those of chunks are mended first.
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/metadata.h"
#include "engine/png.h"
#include "engine/request.h"
#include "fude/error.h"

namespace {

void mend_checksums(std::vector<uint8_t>& file) {
  for (size_t at = 8; at + 12 <= file.size();) {
    const size_t length =
        size_t{file[at]} << 24 | size_t{file[at + 1]} << 16 | size_t{file[at + 2]} << 8 | size_t{file[at + 3]};
    if (length > file.size() - at - 12) return;
    const uLong crc = crc32(0, file.data() + at + 4, static_cast<uInt>(length + 4));
    for (size_t i = 0; i < 4; ++i) file[at + 8 + length + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
    at += 12 + length;
  }
}

template <class Work>
void attempt(Work work) {
  try {
    work();
  } catch (const fude::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fude;
  attempt([&] { read_png_text({data, size}); });
  std::vector<uint8_t> file(data, data + size);
  mend_checksums(file);
  attempt([&] {
    const Image image = decode_png(file);
    if (image.rgb.size() != static_cast<size_t>(image.width * image.height * 3)) __builtin_trap();
  });
  attempt([&] {
    for (const PngText& text : read_png_text(file)) {
      attempt([&] {
        const Provenance provenance = provenance_from_json(text.text);
        check_request(provenance.request);
        // What was accepted is kept exactly.
        if (json_from(provenance_from_json(json_from(provenance).dump())) != json_from(provenance)) __builtin_trap();
      });
      attempt([&] {
        const Provenance provenance = provenance_from(parse_parameters(text.text));
        check_request(provenance.request);
        parse_parameters(parameters_text(provenance));
      });
    }
  });
  return 0;
}
