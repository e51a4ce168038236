// AUTOMATIC1111 (modules/processing.py create_infotext) and those that write as it does: Forge, SD.Next, stable-diffusion.cpp
// (examples/common/common.cpp get_image_params), save nodes of ComfyUI. In a PNG under "parameters", in JPEG and WebP in EXIF's
// comment.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "diffusion/samplers.h"
#include "engine/foreign/json.h"
#include "engine/foreign/names.h"
#include "engine/foreign/readers.h"

namespace fude {
namespace {

// Fields that do not change what fude draws: authors, titles, settings without effect in SD3, and details of a setting that is
// reported under another name.
constexpr std::array<std::string_view, 25> kWithoutEffect = {"version",
                                                             "user",
                                                             "createddate",
                                                             "app",
                                                             "pipeline",
                                                             "operations",
                                                             "modelhash",
                                                             "hashes",
                                                             "batchpos",
                                                             "guidance",
                                                             "eta",
                                                             "ensd",
                                                             "distilledcfgscale",
                                                             "samplersigma",
                                                             "samplerrng",
                                                             "te",
                                                             "unet",
                                                             "parser",
                                                             "backend",
                                                             "cachefp16weightforlora",
                                                             "eulerdiscard",
                                                             "emphasis",
                                                             "diffusioninlowbits",
                                                             "civitairesources",
                                                             "civitaimetadata"};

class Fields {
 public:
  explicit Fields(const Parameters& parameters) : all_(parameters.fields) {
    // The JSON that stable-diffusion.cpp adds is not a list of fields.
    const auto json = std::find_if(all_.begin(), all_.end(), [](const auto& field) { return folded(field.first) == "sdcpp"; });
    is_sdcpp_ = json != all_.end();
    all_.erase(json, all_.end());
    used_.resize(all_.size());
  }

  bool is_sdcpp() const { return is_sdcpp_; }

  // Empty: absent.
  std::string take(std::string_view name) {
    for (size_t i = 0; i < all_.size(); ++i) {
      if (folded(all_[i].first) != name) continue;
      used_[i] = true;
      return all_[i].second;
    }
    return {};
  }

  template <class Read>
  auto take(std::string_view name, Read read) -> decltype(read(ForeignJson())) {
    const std::string text = take(name);
    if (text.empty()) return {};
    return read(ForeignJson(text));
  }

  void drop_the_rest(ForeignPicture& picture) const {
    for (size_t i = 0; i < all_.size(); ++i) {
      const std::string name = folded(all_[i].first);
      const std::string kind = name_of_dropped(name);
      const bool known = used_[i] || std::find(kWithoutEffect.begin(), kWithoutEffect.end(), name) != kWithoutEffect.end();
      if (known || name.starts_with("module")) continue;  // Forge's files of text encoders and VAE
      const std::string value = brief(all_[i].second);
      drop(picture,
           kind.empty() || kind == "LoRA" || kind == "VAE" || kind == "clip skip" ? brief(all_[i].first) + ' ' + value : kind);
    }
  }

 private:
  std::vector<std::pair<std::string, std::string>> all_;
  std::vector<bool> used_;
  bool is_sdcpp_ = false;
};

std::optional<Size> size_in(std::string_view text) {
  const size_t cross = text.find('x');
  if (cross == std::string_view::npos) return std::nullopt;
  const std::optional<int64_t> width = integer_in(text.substr(0, cross));
  const std::optional<int64_t> height = integer_in(text.substr(cross + 1));
  if (!width || !height) return std::nullopt;
  return Size{*width, *height};
}

std::string program_of(const std::string& version, const std::string& app, bool is_sdcpp) {
  if (is_sdcpp || version.starts_with("stable-diffusion.cpp")) return "stable-diffusion.cpp";
  if (!app.empty()) return brief(app);
  if (version == "ComfyUI") return "ComfyUI";
  if (version.starts_with("f") || version == "neo" || version == "classic") return "Forge";
  return version.starts_with("v") ? "AUTOMATIC1111" : "a program that writes as AUTOMATIC1111 does";
}

// By default they draw noise as torch does on a GPU, and only store it when they do not.
std::optional<Noise> noise_of(const std::string& program, const std::string& rng) {
  const std::string name = folded(rng);
  if (name == "cpu") return Noise::torch_cpu;
  if (name == "nv" || name == "gpu" || name == "cuda") return Noise::torch_cuda;
  if (name.empty() && (program == "AUTOMATIC1111" || program == "Forge" || program == "stable-diffusion.cpp"))
    return Noise::torch_cuda;
  return std::nullopt;
}

ForeignPicture picture_of(const Parameters& parameters) {
  Fields fields(parameters);
  const std::string version = fields.take("version");
  ForeignPicture picture{.program = program_of(version, fields.take("app"), fields.is_sdcpp())};
  picture.prompt = parameters.prompt;
  picture.negative = parameters.negative;
  picture.steps = fields.take("steps", integer_in);
  picture.guidance = fields.take("cfgscale", number_in);
  picture.seed = fields.take("seed", seed_in);
  picture.shift = fields.take("shift", number_in);
  const std::string size = fields.take("size");
  picture.size = size_in(size);
  const SamplerNames names = split_sampler(fields.take("sampler"));
  picture.sampler = names.sampler;
  const std::string schedule = fields.take("scheduletype");
  picture.schedule = names.schedule.empty() ? schedule : names.schedule;
  picture.model = fields.take("model");
  picture.noise = noise_of(picture.program, fields.take("rng"));
  const std::optional<uint64_t> seed = fields.take("variationseed", seed_in);
  const std::optional<double> amount = fields.take("variationseedstrength", number_in);
  if (seed && amount && *amount >= 0 && *amount <= 1) picture.variation = {.seed = *seed, .amount = *amount};
  if (fields.take("hiresupscale").empty() && fields.take("hiresresize").empty()) {
    if (const std::string strength = fields.take("denoisingstrength"); !strength.empty())
      drop(picture, "the picture it began from");
  } else {
    fields.take("denoisingstrength");
    drop(picture, "hires fix");
  }
  if (const std::string batch = fields.take("batchsize"); !batch.empty() && batch != "1")
    drop(picture, "the batch of " + brief(batch) + " it was drawn in");
  fields.drop_the_rest(picture);
  if (!parameters.rest.empty()) drop(picture, "lines behind the settings (" + brief(parameters.rest) + ')');
  return picture;
}

}  // namespace

std::optional<ForeignPicture> read_a1111(std::span<const PictureText> texts) {
  for (const std::string_view keyword : {"parameters", "UserComment", "Comment", "ImageDescription"}) {
    const std::string_view text = sound_text(texts, keyword);
    if (stripped(text).empty() || json_object_in(text)) continue;
    const Parameters parameters = parse_parameters(text);
    // Anything may be written into a comment, but only a prompt under `parameters`.
    if (keyword == "parameters" || !parameters.fields.empty()) return picture_of(parameters);
  }
  return std::nullopt;
}

}  // namespace fude
