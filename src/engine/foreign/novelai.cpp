// NovelAI: JSON under "Comment" beside "Software: NovelAI" and the prompt under "Description"; in a WebP the JSON of all texts
// is EXIF's comment, so that the request is text within it.
#include <string>
#include <string_view>

#include "engine/foreign/json.h"
#include "engine/foreign/readers.h"

namespace fude {
namespace {

// Prompts of characters, which are placed in the picture.
bool has_characters(const ForeignJson& request) {
  const auto prompt = request.find("v4_prompt");
  if (prompt == request.end() || !prompt->is_object()) return false;
  const auto caption = prompt->find("caption");
  if (caption == prompt->end() || !caption->is_object()) return false;
  const auto characters = caption->find("char_captions");
  return characters != caption->end() && !characters->empty();
}

}  // namespace

std::optional<ForeignPicture> read_novelai(std::span<const PictureText> texts) {
  if (!sound_text(texts, "Software").starts_with("NovelAI")) return std::nullopt;
  std::optional<ForeignJson> json = json_object_in(sound_text(texts, "Comment"));
  if (!json) json = json_object_in(sound_text(texts, "UserComment"));
  if (!json) return std::nullopt;
  if (const auto within = json->find("Comment"); within != json->end() && within->is_string()) {
    json = json_object_in(within->get<std::string>());
    if (!json) return std::nullopt;
  }
  ForeignPicture picture{.program = "NovelAI"};
  take_request(*json, picture);
  if (!picture.prompt)
    for (const std::string_view keyword : {"Description", "ImageDescription"})
      if (const std::string_view text = sound_text(texts, keyword); !picture.prompt && !text.empty()) picture.prompt = text;
  if (has_characters(*json)) drop(picture, "prompts of single characters");
  return picture;
}

}  // namespace fude
