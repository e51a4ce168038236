// Options of a sweep or a gacha, questions and last lines.
#include "session_command.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cell_progress.h"
#include "commands.h"
#include "engine/file.h"
#include "engine/json_text.h"
#include "from_picture.h"
#include "fude/error.h"
#include "history.h"
#include "output.h"
#include "reporting.h"
#include "session/session.h"
#include "skip_teardown.h"
#include "studio/session_run.h"
#include "terminal.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

std::string counted(int64_t number, const std::string& noun) {
  return std::to_string(number) + ' ' + noun + (number == 1 ? "" : "s");
}

std::string noun_of(std::string_view kind) { return kind == kSweep ? "cell" : "candidate"; }

Remedy way_to_go_on(std::string_view kind, const std::filesystem::path& folder) {
  return {.kind = Remedy::go_on, .values = {std::string(kind)}, .path = text_of(folder)};
}

class SessionReporter : public ConsoleReporter {
 public:
  SessionReporter(const Console& console, std::string_view kind)
      : ConsoleReporter(console), noun_(noun_of(kind)), progress_(console, noun_) {}

  void upcoming(const Upcoming& picture) override { progress_.begin(picture); }
  void progress(const Progress& progress) override { progress_.update(progress); }
  void saved(const FinishedPicture& picture) override { progress_.finished(picture); }
  void skipped(int64_t number, const std::string& label, const Error& why) override {
    Message message = why.message();
    message.what = noun_ + ' ' + std::to_string(number) + " (" + label + "): " + message.what;
    warning(message);
  }
  bool agrees(const Extent& extent) override {
    const std::string free = extent.free ? " (" + text_of_bytes(*extent.free) + " are free)" : "";
    const std::string text = counted(extent.pictures, "picture") + " with " + counted(extent.steps, "step") +
                             " in all take about " + text_of_seconds(extent.seconds) + " and " + text_of_bytes(extent.bytes) +
                             " of disk" + free + '.';
    clear();
    if (!terminal::is_terminal(terminal::Stream::input))
      throw Error(Code::bad_request, text + " Draw them all the same with --yes, or ask for fewer.");
    return console().confirmed(text + " Draw them?");
  }
  void clear() override { progress_.clear(); }

 private:
  const std::string noun_;
  CellProgress progress_;
};

class NewSessionReporter final : public SessionReporter {
 public:
  NewSessionReporter(const Console& console, std::string_view kind, bool names_seed)
      : SessionReporter(console, kind), names_seed_(names_seed) {}

  void begun(const SessionFolder& session, int64_t) override {
    if (names_seed_) console().note("seed " + std::to_string(session.spec().grid.request.seed));
  }

 private:
  const bool names_seed_;
};

class ResumedSessionReporter final : public SessionReporter {
 public:
  using SessionReporter::SessionReporter;

  void begun(const SessionFolder& session, int64_t finished) override {
    console().note(counted(finished, noun_of(session.spec().kind)) + (finished == 1 ? " was" : " were") + " finished before");
  }
};

SessionSetting setting_of(const SessionOptions& options) {
  return {.history = history_place(), .libraries = libraries(), .stop = &terminal::stop_requested(), .asks = !options.yes};
}

// Prints what the session came to. Error where it was stopped, or pictures could not be drawn.
void print_result(const SessionResult& result, const SessionOptions& options, const Console& console) {
  const std::string noun = noun_of(result.kind);
  const Remedy way_on = way_to_go_on(result.kind, result.folder);
  if (result.stopped) {
    Message kept{.what = counted(result.finished, noun) + " of " + std::to_string(result.pictures) +
                         (result.finished == 1 ? " is" : " are") + " finished",
                 .where = {.file = text_of(result.folder)},
                 .remedies = {way_on}};
    if (result.stopped->code() == Code::cancelled) {
      kept.what = "stopped; " + kept.what;
      throw Error(Code::cancelled, std::move(kept));
    }
    Message message = result.stopped->message();
    message.parts.push_back(std::move(kept));
    throw Error(result.stopped->code(), std::move(message));
  }
  std::optional<Error> failure;
  if (!result.skipped.empty())
    failure.emplace(result.skipped.front(), Message{.what = counted(static_cast<int64_t>(result.skipped.size()), noun) +
                                                            " of " + std::to_string(result.pictures) +
                                                            " could not be drawn; the others are in " + shown(result.folder),
                                                    .where = {.file = text_of(result.folder)},
                                                    .remedies = {way_on}});
  if (options.output.json) {
    auto document = json_from(result);
    if (failure) document["error"] = json_from(*failure);
    print(json_document(document));
  } else {
    if (!result.sheet.empty()) print(text_of(result.sheet) + '\n');
    print(text_of(result.report) + '\n');
    console.note(counted(result.drawn, noun) + " in " + text_of_seconds(result.seconds.total) + " (" +
                 text_of_stages(result.seconds) + ")");
  }
  if (failure) throw ToldError(*failure);
}

}  // namespace

void add_session_options(Options& options, const std::string& command, SessionOptions& session) {
  const char* result = "Result";
  options.add_text(result, "--out", "FOLDER", "everything goes to FOLDER/YYYY-MM-DD/" + command + "-NNN, default outputs",
                   session.out);
  options.add_text(result, "--resume", "FOLDER",
                   "go on with the " + command + " in this folder; finished pictures are not drawn again", session.resume);
  options.add_flag(
      result, "--yes,-y",
      "draw more than " + std::to_string(kManyPictures) + " pictures, or for more than 2 hours, " + "without a question",
      session.yes);
  add_output_options(options, session.output);
}

bool take_from_picture(const std::string& picture, const Options& line, SessionSpec& spec, const Console& console) {
  const StoredPicture stored = stored_in(picture, line, console);
  Request& request = spec.grid.request;
  take_from(stored.provenance, request, spec.files, spec.engine);
  request.batch = 1;
  request.place = 0;
  return stored.has_seed();
}

void draw_session(SessionSpec spec, const SessionOptions& options, const Console& console) {
  spec.files.model = model_or_default(spec.files.model);
  spec.files.hub_cache = hub_cache_folder();
  NewSessionReporter reporter(console, spec.kind, options.names_seed);
  std::unique_ptr<Engine> engine;
  const SkipTeardown left(&engine);
  print_result(begin_session(std::move(spec), folder_of_today(options.out), setting_of(options), reporter, engine), options,
               console);
}

void go_on_with_session(std::string_view kind, const Options& line, const SessionOptions& options, const Console& console) {
  if (const std::string other =
          line.given_besides({"--resume", "--yes", "--no-cache", "--vram", "--ram", "--json", "--quiet", "--no-color"});
      !other.empty()) {
    throw Error(Code::bad_request, "--resume goes on with what was asked for at first, so " + other +
                                       " cannot be given with it. Leave it out, or begin anew without --resume.");
  }
  SessionFolder session = SessionFolder::open(path_of(options.resume));
  const Remedy way_on = way_to_go_on(session.spec().kind, session.path());
  if (session.spec().kind != kind)
    throw Error(Code::bad_request, {.what = shown(session.path()) + " is a " + session.spec().kind, .remedies = {way_on}});
  session.hold();
  EngineOptions here{.calibration = calibration_file()};
  if (!line.given("--no-cache")) here.embeddings = embedding_folders();
  for (const auto& [name, target] : {std::pair{"--vram", &here.vram}, std::pair{"--ram", &here.ram}})
    if (const std::optional<std::string> text = line.given(name)) *target = bytes_from(name, *text);
  session.set_machine(hub_cache_folder(), std::move(here));
  ResumedSessionReporter reporter(console, kind);
  std::unique_ptr<Engine> engine;
  const SkipTeardown left(&engine);
  const auto resumed = [&] {
    try {
      return resume_session(std::move(session), setting_of(options), reporter, engine);
    } catch (const Error& error) {
      if (error.code() != Code::cancelled) throw;
      throw Error(Code::cancelled, {.what = "stopped", .remedies = {way_on}});  // before it was known what is finished
    }
  };
  print_result(resumed(), options, console);
}

}  // namespace fude
