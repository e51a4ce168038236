// Reading the metadata and the pixels of one PNG.
#include "gallery/cell.h"

#include "engine/file.h"
#include "engine/png.h"
#include "fude/error.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr uint64_t kLargestFile = uint64_t{512} << 20;

// Applies `read` to the bytes of the file, and adds the file's name to errors.
}  // namespace

Cell read_cell(int64_t number, const std::filesystem::path& file) {
  return from_file(file, kLargestFile, [&](const std::vector<uint8_t>& bytes) {
    const std::vector<PngText> texts = read_png_text(bytes);
    const std::string_view provenance = text_under(texts, kProvenanceKeyword);
    const std::string_view stats = text_under(texts, kStatsKeyword);
    if (provenance.empty())
      throw Error(Code::bad_request, "it does not say how it was drawn. Leave it out, or draw it again with fude.");
    Cell cell{number, file, provenance_from_json(provenance), {}, {}};
    if (!stats.empty()) cell.stats = stats_from_json(stats);
    return cell;
  });
}

Image read_pixels(const std::filesystem::path& file) { return from_file(file, kLargestFile, decode_png); }

}  // namespace fude
