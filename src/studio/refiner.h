// Draws chosen pictures again, one after the other.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "fude/fude.h"
#include "studio/bookkeeping.h"
#include "studio/picture_place.h"
#include "studio/refinement.h"
#include "studio/reporter.h"
#include "studio/saving.h"

namespace fude {

struct RefinerSetting {
  EngineOptions engine;
  std::string libraries;                    // PictureSource::libraries
  const std::atomic<bool>* stop = nullptr;  // as Callbacks::stop
};

// What it is given outlives it.
class Refiner {
 public:
  Refiner(const RefinerSetting& setting, const PicturePlace& place, Bookkeeping& books, Reporter& reporter)
      : setting_(setting), place_(place), books_(books), reporter_(reporter) {}

  // The engine for a picture that is drawn with these weights; made anew where the model or the dtype changes.
  Engine& engine_for(const Chosen& chosen, const ModelFiles& files);
  // Draws and saves it, with the engine that engine_for gave last.
  void draw(const Chosen& chosen, const Refinement& refinement);

 private:
  const RefinerSetting& setting_;
  const PicturePlace& place_;
  Bookkeeping& books_;
  Reporter& reporter_;
  std::string made_of_;
  std::optional<Engine> engine_;
  std::optional<PictureSaver> saver_;
};

}  // namespace fude
