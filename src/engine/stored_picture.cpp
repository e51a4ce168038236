// Finding the request among the texts of a picture: the exact one first, then what other programs tell.
#include "engine/stored_picture.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/file.h"
#include "fude/error.h"

namespace fude {
namespace {

// Of a picture that fude drew and another program saved again.
std::optional<Parameters> own_parameters_in(std::span<const PictureText> texts) {
  for (const std::string_view keyword : {kParametersKeyword, std::string_view("UserComment")}) {
    Parameters parameters = parse_parameters(sound_text(texts, keyword));
    if (parameters.field("Version").starts_with("fude ")) return parameters;
  }
  return std::nullopt;
}

}  // namespace

bool StoredPicture::has_seed() const { return !foreign || foreign->seed.has_value(); }

StoredPicture read_picture(std::span<const uint8_t> file) {
  StoredPicture stored;
  const std::vector<PictureText> texts = read_picture_texts(file);
  if (const std::string_view exact = text_under(texts, kProvenanceKeyword); !exact.empty()) {
    stored.provenance = provenance_from_json(exact);
  } else if (const std::optional<Parameters> own = own_parameters_in(texts)) {
    stored.provenance = provenance_from(*own);
    stored.exact = false;
  } else {
    stored.foreign = foreign_picture_in(texts);
    if (!stored.foreign)
      throw Error(Code::bad_request,
                  "no request is stored in it. Give a picture as fude, A1111 or ComfyUI saved it, before an editor or "
                  "a web page took its texts away.");
    stored.provenance = provenance_from(*stored.foreign);
    stored.exact = false;
  }
  if (const std::string_view stats = text_under(texts, kStatsKeyword); !stats.empty()) stored.stats = stats_from_json(stats);
  return stored;
}

StoredPicture read_picture(const std::filesystem::path& path) {
  return from_file(path, kLargestPicture, [](std::span<const uint8_t> file) { return read_picture(file); });
}

}  // namespace fude
