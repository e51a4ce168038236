// The table of components.
#include "weights/component.h"

#include "weights/components/clip.h"
#include "weights/components/mmdit.h"
#include "weights/components/t5.h"
#include "weights/components/vae.h"

namespace fude {

namespace {

template <auto read>
std::any geometry(const ComponentTensors& tensors, const Config& config) {
  return read(tensors, config);
}

template <class Geometry>
void load(Loader& file, const std::any& geometry) {
  load_all(file, std::any_cast<const Geometry&>(geometry));
}

const ComponentType kTypes[] = {
    {.component = Component::clip_l,
     .name = "clip_l",
     .short_name = "CLIP-L",
     .title = "CLIP-L text encoder",
     .is_optional = false,
     .field = Field::clip_l,
     .folder = "text_encoder",
     .file = "clip_l",
     .tokenizer = "tokenizer",
     .plain_tokenizer = "clip",
     .layouts = kClipLLayouts,
     .geometry = geometry<clip_geometry>,
     .load = load<ClipGeometry>},
    {.component = Component::clip_g,
     .name = "clip_g",
     .short_name = "CLIP-G",
     .title = "CLIP-G text encoder",
     .is_optional = false,
     .field = Field::clip_g,
     .folder = "text_encoder_2",
     .file = "clip_g",
     .tokenizer = "tokenizer_2",
     .plain_tokenizer = "clip",
     .layouts = kClipGLayouts,
     .geometry = geometry<clip_geometry>,
     .load = load<ClipGeometry>},
    {.component = Component::t5,
     .name = "t5",
     .short_name = "T5",
     .title = "T5 text encoder",
     .is_optional = true,
     .field = Field::t5,
     .folder = "text_encoder_3",
     .file = "t5xxl",
     .tokenizer = "tokenizer_3",
     .plain_tokenizer = "t5",
     .layouts = kT5Layouts,
     .geometry = geometry<t5_geometry>,
     .load = load<T5Geometry>},
    {.component = Component::transformer,
     .name = "transformer",
     .short_name = "transformer",
     .title = "transformer",
     .is_optional = false,
     .field = Field::model,
     .folder = "transformer",
     .file = {},
     .tokenizer = {},
     .plain_tokenizer = {},
     .layouts = kMmditLayouts,
     .geometry = geometry<mmdit_geometry>,
     .load = load<MmditGeometry>},
    {.component = Component::vae,
     .name = "vae",
     .short_name = "VAE",
     .title = "VAE",
     .is_optional = false,
     .field = Field::vae,
     .folder = "vae",
     .file = {},
     .tokenizer = {},
     .plain_tokenizer = {},
     .layouts = kVaeLayouts,
     .geometry = geometry<vae_geometry>,
     .load = load<VaeGeometry>},
};

}  // namespace

std::span<const ComponentType> component_types() { return kTypes; }
const ComponentType& type_of(Component component) { return kTypes[index_of(component)]; }

}  // namespace fude
