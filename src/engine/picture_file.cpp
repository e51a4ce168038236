// Pictures of the public header to and from PNG files.
#include <string>
#include <utility>
#include <vector>

#include "engine/file.h"
#include "engine/json_text.h"
#include "engine/metadata.h"
#include "engine/png.h"
#include "engine/stored_picture.h"
#include "fude/error.h"
#include "fude/png.h"
#include "weights/paths.h"

namespace fude {
namespace {

StoredRequest request_of(const StoredPicture& stored) {
  StoredRequest request{
      .provenance = stored.provenance, .exact = stored.exact, .has_seed = stored.has_seed(), .program = "fude"};
  if (stored.foreign) {
    request.program = stored.foreign->program;
    request.dropped = stored.foreign->dropped;
  }
  return request;
}

}  // namespace

std::vector<PngText> texts_of(const Provenance& provenance) {
  return {{std::string(kParametersKeyword), parameters_text(provenance)},
          {std::string(kProvenanceKeyword), text_of_json(json_from(provenance))}};
}

std::vector<uint8_t> encode_png(const Image& image) {
  if (image.width < 1 || image.height < 1 || image.width > kLargestPngSide || image.height > kLargestPngSide ||
      image.rgb.size() != static_cast<size_t>(image.width * image.height * 3))
    throw Error(Code::bad_request, "the image has " + std::to_string(image.rgb.size()) + " bytes, which are not " +
                                       std::to_string(image.width) + " times " + std::to_string(image.height) + " pixels");
  return encode_png(image, image.provenance ? texts_of(*image.provenance) : std::vector<PngText>());
}

void save_png(const std::string& path, const Image& image) { write_file(path_of(path), encode_png(image)); }

Image load_png(const std::string& path) { return from_file(path_of(path), kLargestPicture, decode_png); }

StoredRequest read_request(std::span<const uint8_t> file) { return request_of(read_picture(file)); }
StoredRequest load_request(const std::string& path) { return request_of(read_picture(path_of(path))); }

}  // namespace fude
