// One picture or several, as a line asks for them: what `fude generate` draws, `fude history run` draws again and `fude plan`
// plans.
#pragma once

#include <string>

#include "console.h"
#include "engine/metadata.h"
#include "fude/fude.h"
#include "options.h"
#include "output.h"

namespace fude {

struct PictureJob {
  Request request;
  bool random_seed = true;
  ModelFiles files;
  EngineOptions engine;
  OutputPlace place;
  std::string from;
  std::string source;  // what is drawn again, as messages name it
  Provenance drawn;    // of that
  std::string trace;
  OutputOptions output;
};

void add_picture_options(Options& options, PictureJob& job);

// Begins with a request that was drawn before; options change it.
void draw_again(const Provenance& provenance, std::string source, PictureJob& job);
// The request stored in a picture, by fude exactly or by another program in its way. `line` gives what is not to be taken from
// it. Error{io, bad_request}.
void take_from_picture(const std::string& picture, const Options& line, PictureJob& job, const Console& console);

}  // namespace fude
