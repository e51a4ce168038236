// SwarmUI (src/Text2Image/T2IParamInput.cs, src/Media/ImageFile.cs): JSON with an object "sui_image_params", in a PNG's
// "parameters", else in EXIF.
#include <string_view>

#include "engine/foreign/json.h"
#include "engine/foreign/readers.h"

namespace fude {

std::optional<ForeignPicture> read_swarmui(std::span<const PictureText> texts) {
  for (const std::string_view keyword : {"parameters", "UserComment", "Model"}) {
    const std::string_view text = sound_text(texts, keyword);
    if (text.find("sui_image_params") == std::string_view::npos) continue;
    const std::optional<ForeignJson> json = json_object_in(text);
    if (!json) continue;
    const auto params = json->find("sui_image_params");
    if (params == json->end() || !params->is_object()) continue;
    ForeignPicture picture{.program = "SwarmUI"};
    take_request(*params, picture);
    picture.noise = Noise::torch_cpu;  // of ComfyUI, which draws for it
    return picture;
  }
  return std::nullopt;
}

}  // namespace fude
