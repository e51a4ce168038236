// What `fude sweep` and `fude gacha` share: options, and a session as a person follows it.
#pragma once

#include <string>
#include <string_view>

#include "console.h"
#include "fude/fude.h"
#include "options.h"
#include "session/spec.h"

namespace fude {

struct SessionOptions {
  std::string out = "outputs";
  std::string resume;       // a session's folder
  bool yes = false;         // no question before large work
  bool names_seed = false;  // print the seed: it was random
  OutputOptions output;
};
// --out, --resume, --yes and what commands print.
void add_session_options(Options& options, const std::string& command, SessionOptions& session);

// The request stored in a picture, to be drawn anew. `line` gives what is not to be taken from it. False: no seed is stored in
// it. Error{io, bad_request}.
bool take_from_picture(const std::string& picture, const Options& line, SessionSpec& spec, const Console& console);

// A new session for this spec, drawn to its end. Error: what drawing throws, with the command that goes on.
void draw_session(SessionSpec spec, const SessionOptions& options, const Console& console);
// Goes on with the session that options.resume names. Error{bad_request} where other options are on the line.
void go_on_with_session(std::string_view kind, const Options& line, const SessionOptions& options, const Console& console);

}  // namespace fude
