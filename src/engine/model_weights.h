// ModelWeights: all weights of a model on one device, and which of them are resident.
#pragma once

#include "engine/text_encoders.h"
#include "model/mmdit.h"
#include "model/vae.h"
#include "offload/placement.h"

namespace fude {

// A copy has the same residency and no contents: what a dry run needs.
struct ModelWeights {
  // `packed` has what is host-offloaded.
  ModelWeights(Device& device, WeightFormat format, const Checkpoint& checkpoint, PackedHost& packed)
      : text(device, format, checkpoint),
        mmdit(device, format, {checkpoint, Component::transformer}),
        vae(device, format, {checkpoint, Component::vae}),
        packed_host(packed) {}

  // Calls each(model) for all components.
  template <class Self, class Each>
  static void for_each(Self& self, const Each& each) {
    TextEncoders::for_each(self.text, each);
    each(self.mmdit);
    each(self.vae);
  }

  // Makes the weights of its component from this source from now on; see Layers.
  void use(const WeightSource& source) {
    for_each(*this, [&](auto& model) {
      if (model.source.component() == source.component()) model.use(source);
    });
  }

  void keep(const Placement& wanted) {
    text.keep(wanted.text);
    vae.decoder.keep(wanted.vae ? 1 : 0, {&packed_host, wanted.host_bytes});
    mmdit.keep(wanted.blocks, {&packed_host, wanted.host_bytes - vae.decoder.host_bytes()});
  }
  void place(Arena& memory) {
    text.place(memory);
    mmdit.place(memory);
    vae.decoder.place(memory);
  }
  int64_t resident_bytes() const { return text.resident_bytes() + mmdit.resident_bytes() + vae.decoder.resident_bytes(); }
  // What is host-offloaded, also where other workers hold the same copy.
  int64_t host_bytes() const { return mmdit.blocks.host_bytes() + vae.decoder.host_bytes(); }

  TextEncoders text;
  Mmdit mmdit;
  Vae vae;
  PackedHost& packed_host;
};

}  // namespace fude
