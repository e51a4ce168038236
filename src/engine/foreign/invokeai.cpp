// InvokeAI (invokeai/app/invocations/metadata.py): JSON under "invokeai_metadata". Until version 2
// (backend/image_util/pngwriter.py) it was under "sd-metadata", with the request in an object "image", and a prompt in pieces
// with weights.
#include <string>
#include <string_view>

#include "engine/foreign/json.h"
#include "engine/foreign/readers.h"

namespace fude {
namespace {

std::string joined_prompt(const ForeignJson& pieces, ForeignPicture& picture) {
  std::string prompt;
  for (const ForeignJson& piece : pieces) {
    const auto text = piece.find("prompt");
    if (text == piece.end() || !text->is_string()) continue;
    prompt += (prompt.empty() ? "" : ", ") + text->get<std::string>();
    if (piece.contains("weight") && number_in(piece["weight"]).value_or(1) != 1)
      drop(picture, "weights of the prompt's pieces");
  }
  return prompt;
}

// Version 2 wrote what is to be avoided into the prompt, in square brackets.
void take_negative(ForeignPicture& picture) {
  std::string& prompt = *picture.prompt;
  for (size_t open = 0; (open = prompt.find('[', open)) != std::string::npos;) {
    const size_t close = prompt.find(']', open);
    if (close == std::string::npos) return;
    std::string negative = picture.negative.value_or("");
    negative += (negative.empty() ? "" : ", ") + prompt.substr(open + 1, close - open - 1);
    picture.negative = std::move(negative);
    prompt.erase(open, close - open + 1);
    while (!prompt.empty() && prompt.back() == ' ') prompt.pop_back();
  }
}

}  // namespace

std::optional<ForeignPicture> read_invokeai(std::span<const PictureText> texts) {
  ForeignPicture picture{.program = "InvokeAI"};
  if (const std::optional<ForeignJson> json = json_object_in(sound_text(texts, "invokeai_metadata"))) {
    take_request(*json, picture);
    const auto device = json->find("rand_device");
    if (device != json->end() && *device == "cuda") picture.noise = Noise::torch_cuda;
    else picture.noise = Noise::torch_cpu;
    return picture;
  }
  const std::optional<ForeignJson> json = json_object_in(sound_text(texts, "sd-metadata"));
  if (!json) return std::nullopt;
  const auto image = json->find("image");
  const ForeignJson& request = image != json->end() && image->is_object() ? *image : *json;
  take_request(request, picture);
  if (const auto prompt = request.find("prompt"); prompt != request.end() && prompt->is_array())
    picture.prompt = joined_prompt(*prompt, picture);
  if (picture.prompt) take_negative(picture);
  if (const auto weights = json->find("model_weights"); weights != json->end() && weights->is_string())
    picture.model = weights->get<std::string>();
  return picture;
}

}  // namespace fude
