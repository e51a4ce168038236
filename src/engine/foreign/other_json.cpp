// Unknown programs that write their request as JSON, in fields with the usual names.
#include <string_view>

#include "engine/foreign/json.h"
#include "engine/foreign/readers.h"

namespace fude {

std::optional<ForeignPicture> read_other_json(std::span<const PictureText> texts) {
  for (const std::string_view keyword : {"parameters", "UserComment", "Comment", "generation_data"}) {
    const std::optional<ForeignJson> json = json_object_in(sound_text(texts, keyword));
    if (!json) continue;
    ForeignPicture picture{.program = "another program"};
    take_request(*json, picture);
    if (picture.prompt || keyword == "parameters") return picture;
  }
  return std::nullopt;
}

}  // namespace fude
