// Drawing, saving and timing the pictures of a session.
#include "studio/session_run.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "engine/devices.h"
#include "engine/file.h"
#include "engine/model_files.h"
#include "fude/error.h"
#include "gallery/report.h"
#include "session/sheet_layout.h"
#include "studio/album.h"
#include "studio/callbacks.h"
#include "studio/completed.h"
#include "studio/local_time.h"
#include "studio/pace.h"
#include "studio/saving.h"
#include "studio/session_saving.h"
#include "studio/worklist.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

constexpr int64_t kPicturesAtOnce = 16;  // of one request: with many steps they are finished together

// What an engine is made of.
EngineOptions engine_options(const SessionFolder& session, const std::string& dtype) {
  EngineOptions options = session.spec().engine;
  options.dtype = dtype;
  if (session.spec().kind == kGacha) options.embeddings.push_back(text_of(session.embeddings()));
  return options;
}

// At least one: a spec without the axis has its engine's.
std::vector<std::string> dtypes_of(const SessionSpec& spec) {
  return spec.dtypes.empty() ? std::vector{spec.engine.dtype} : spec.dtypes;
}

class SessionRun {
 public:
  // began: when the engine began to be made.
  SessionRun(SessionFolder session, bool fresh, const SessionSetting& setting, Reporter& reporter, double began)
      : session_(std::move(session)),
        fresh_(fresh),
        setting_(setting),
        reporter_(reporter),
        books_(reporter, setting.history, session_.spec().engine),
        began_(began),
        work_(session_.spec()) {}

  SessionResult run(std::unique_ptr<Engine>& engine);

 private:
  void look_for_finished();
  void draw(std::unique_ptr<Engine>& engine);
  void draw_all_of(Engine& engine, const std::string& dtype);
  void draw_batch(Engine& engine, PictureSaver& saver, Batch batch);
  void skip(const Batch& batch, const Error& error);
  void ask(double seconds);
  void fit_into_time();
  SessionResult result(std::optional<Error> stopped) const;

  PictureSaver make_saver() {
    const SessionSpec& spec = session_.spec();
    return {spec.files, spec.engine, books_, {spec.kind, setting_.libraries, absolute_of(session_.path())}};
  }
  bool stops() const { return setting_.stop && *setting_.stop; }
  int64_t finished() const { return static_cast<int64_t>(before_.size() + saving_->cells().size()); }
  std::string label(const Task& task) const { return label_of(session_.spec(), layout_, task); }
  void warn(const Message& message) {
    {
      const std::lock_guard lock(warned_mutex_);         // a sheet is laid out in the background
      if (!warned_.insert(message.what).second) return;  // many pictures share their prompt
    }
    reporter_.warning(message);
  }

  SessionFolder session_;
  const bool fresh_;
  const SessionSetting& setting_;
  Reporter& reporter_;
  Bookkeeping books_;
  const double began_;

  Worklist work_;
  std::vector<SessionCell> before_;  // pictures that were drawn before,
  double seconds_before_ = 0;        // and how long that took
  Arrangement layout_;
  Pace pace_;
  bool asked_ = false, declined_ = false;
  std::vector<Code> skipped_;
  std::mutex warned_mutex_;
  std::set<std::string> warned_;
  Seconds seconds_;

  std::optional<Album> album_;
  std::optional<SessionSaving> saving_;  // last: it uses the others, on a thread of its own
};

SessionResult SessionRun::run(std::unique_ptr<Engine>& engine) {
  layout_ = layout_of(session_.spec(), engine->model_name());
  album_.emplace(session_, engine->model_name(), [this](const Message& message) { warn(message); });
  saving_.emplace(session_, layout_, *album_, reporter_);
  if (fresh_) {
    saving_->prepare_album();
  } else {
    look_for_finished();
    PictureSaver saver = make_saver();
    for (const Cell& cell : album_->cells()) saver.recall(cell.file, cell.number);
  }
  std::optional<Error> stopped;
  try {
    draw(engine);
  } catch (const Error& error) {
    if (declined_ && finished() == 0) {
      session_.remove();
      throw;
    }
    stopped = error;
  }
  if (!stopped || stopped->code() == Code::cancelled) {
    try {
      album_->finish();
    } catch (const Error& error) {  // the pictures are there, and the sheet can be made from them
      if (!stopped) stopped = error;
    }
  }
  return result(std::move(stopped));
}

void SessionRun::look_for_finished() {
  session_.clean();
  for (const Task& task : work_.tasks()) {
    if (stops()) throw Error(Code::cancelled, "stopped.");
    const std::optional<Image> picture = session_.finished(task);
    if (!picture) continue;
    work_.set_done(task);
    album_->add(task, *picture, jpeg_for_report(*picture, layout_.count));
    const RenderStats& stats = album_->cells().back().stats;
    pace_.learn(effort_of(task.request), stats.seconds.denoise + stats.seconds.decode);
    seconds_before_ += stats.seconds.total;
    before_.push_back({task.number, {.path = session_.picture(task), .seed = task.request.seed}, true});
  }
  reporter_.begun(session_, finished());
}

// One engine for each dtype, the first gone before the next takes memory.
void SessionRun::draw(std::unique_ptr<Engine>& engine) {
  const std::vector<std::string> dtypes = dtypes_of(session_.spec());
  for (const std::string& dtype : dtypes) {
    if (!work_.undone(1, dtype, 1).empty()) {
      if (!engine) engine = std::make_unique<Engine>(session_.spec().files, engine_options(session_, dtype));
      draw_all_of(*engine, dtype);
    }
    if (dtype != dtypes.back()) engine.reset();
  }
}

void SessionRun::draw_all_of(Engine& engine, const std::string& dtype) {
  PictureSaver saver = make_saver();
  fit_into_time();
  try {
    for (int64_t next = 1;;) {
      const std::span<const Task> undone = work_.undone(next, dtype, kPicturesAtOnce);
      if (undone.empty()) break;
      next = undone.front().number;
      // How many fit into the time is known when one is drawn.
      const bool tries = session_.spec().minutes > 0 && !pace_.known();
      draw_batch(engine, saver, next_batch(session_.spec(), undone, tries ? 1 : kPicturesAtOnce));
      fit_into_time();
    }
  } catch (...) {
    saving_->settle();  // before the saver goes
    throw;
  }
  saving_->wait();
}

void SessionRun::draw_batch(Engine& engine, PictureSaver& saver, Batch batch) {
  batch.request = engine.complete(batch.request);
  const bool gacha = session_.spec().kind == kGacha;
  if (gacha) batch.request.batch = 0;
  int64_t current = -1, saved = 0;
  double step_began = 0;

  Callbacks callbacks = callbacks_for(reporter_, setting_.stop, &books_);
  callbacks.warning = [this](const Message& message) { warn(message); };
  callbacks.progress = [&](Progress progress) {
    saving_->check();
    if (progress.picture != current) {
      current = progress.picture;
      const Task& task = batch.tasks[static_cast<size_t>(current)];
      const double effort = effort_of(task.request);
      reporter_.upcoming({.number = task.number,
                          .pictures = work_.count(),
                          .label = label(task),
                          .seconds = pace_.seconds_of(effort),
                          .seconds_left = pace_.seconds_of(work_.effort_left() - effort)});
    }
    progress.picture = 0;
    reporter_.progress(progress);
    if (asked_ || progress.stage != Stage::denoise) return;
    // The first step also warms up. Of how many pictures it was is known when the first one is finished.
    if (progress.step < std::min<int64_t>(2, progress.steps)) {
      step_began = setting_.now();
    } else if (!gacha || session_.spec().count > kManyPictures) {
      Pace pace;
      pace.learn(effort_of(batch.request), (setting_.now() - step_began) * static_cast<double>(progress.steps));
      ask(pace.seconds_of(work_.effort_left()));
    }
  };
  callbacks.finished = [&](const Image& image) {
    const Task& task = batch.tasks[static_cast<size_t>(saved)];
    pace_.learn(effort_of(task.request), image.seconds.denoise + image.seconds.decode);
    seconds_.load += image.seconds.load;
    seconds_.encode += image.seconds.encode;
    seconds_.denoise += image.seconds.denoise;
    seconds_.decode += image.seconds.decode;
    work_.set_done(task);
    saving_->add(saver, task, image);
    ++saved;
    if (!asked_) ask(pace_.seconds_of(work_.effort_left()));
  };
  try {
    engine.generate(std::vector{batch.request}, callbacks);
  } catch (const Error& error) {
    saving_->check();
    const bool of_the_request =
        error.code() == Code::bad_request || error.code() == Code::out_of_memory || error.code() == Code::non_finite;
    if (!of_the_request || declined_ || !pace_.known()) throw;
    skip(batch, error);
  }
}

// One picture that cannot be drawn is no reason to lose a night's others.
// The others of its batch are asked for again.
void SessionRun::skip(const Batch& batch, const Error& error) {
  const auto failed =
      std::find_if(batch.tasks.begin(), batch.tasks.end(), [&](const Task& task) { return !work_.is_done(task); });
  if (failed == batch.tasks.end()) return;
  work_.set_done(*failed);
  skipped_.push_back(error.code());
  reporter_.skipped(failed->number, label(*failed), error);
}

// Once it is known how long a step takes, and before much is drawn.
void SessionRun::ask(double seconds) {
  asked_ = true;
  const SessionSpec& spec = session_.spec();
  Extent extent{.pictures = work_.count(), .seconds = seconds};
  const bool large = extent.pictures > kManyPictures || seconds > kManySeconds;
  if (!setting_.asks || !fresh_ || spec.minutes > 0 || !large) return;
  for (const Task& task : work_.tasks()) {
    extent.steps += task.request.steps.value_or(0);
    extent.bytes += fude::bytes_of(spec, task.request);
  }
  std::error_code unknown;
  const fs::space_info space = fs::space(session_.path(), unknown);
  if (!unknown) extent.free = static_cast<int64_t>(space.available);
  declined_ = true;  // also where nobody can be asked
  if (!reporter_.agrees(extent)) throw Error(Code::cancelled, "not drawn, as you said.");
  declined_ = false;
}

// Where the time is given, sets the count to what it allows; what was drawn stays.
void SessionRun::fit_into_time() {
  SessionSpec spec = session_.spec();
  if (spec.minutes <= 0 || !pace_.known()) return;
  const double left = spec.minutes * 60 - seconds_before_ - (setting_.now() - began_);
  const int64_t count = count_in_time(work_.last_done(), left, pace_.seconds_of(effort_of(work_.tasks().front().request)));
  if (count == spec.count) return;
  saving_->wait();  // what is saved looks at the spec
  spec.count = count;
  session_.replace(spec);
  work_.recount(spec);
  layout_ = layout_of(spec, album_->model());
}

SessionResult SessionRun::result(std::optional<Error> stopped) const {
  SessionResult result{.kind = session_.spec().kind,
                       .folder = session_.path(),
                       .report = session_.path() / "report.html",
                       .sheet = {},
                       .pictures = work_.count(),
                       .drawn = static_cast<int64_t>(saving_->cells().size()),
                       .finished = finished(),
                       .skipped = skipped_,
                       .seconds = seconds_,
                       .cells = before_,
                       .stopped = std::move(stopped)};
  result.cells.insert(result.cells.end(), saving_->cells().begin(), saving_->cells().end());
  if (is_there(session_.sheet())) result.sheet = session_.sheet();
  result.seconds.total = setting_.now() - began_;
  return result;
}

}  // namespace

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

SessionResult begin_session(SessionSpec spec, const fs::path& parent, const SessionSetting& setting, Reporter& reporter,
                            std::unique_ptr<Engine>& engine) {
  spec.created = local_time();
  for (const std::string& dtype : spec.dtypes) static_cast<void>(requested_dtype(dtype));
  count_of(spec);
  check_writable(parent);
  const double began = setting.now();
  EngineOptions first = spec.engine;
  first.dtype = dtypes_of(spec).front();
  engine = std::make_unique<Engine>(spec.files, first);
  spec.grid.request = completed(*engine, spec.grid.request);
  for (const Task& task : tasks_of(spec)) static_cast<void>(engine->complete(task.request));
  spec.model_hash = engine->model_hash();
  spec.files = from_anywhere(std::move(spec.files));
  SessionFolder session = SessionFolder::create(parent, spec);
  session.hold();
  reporter.begun(session, 0);
  if (spec.kind == kGacha) engine->keep_embeddings_in(text_of(session.embeddings()));
  return SessionRun(std::move(session), true, setting, reporter, began).run(engine);
}

SessionResult resume_session(SessionFolder session, const SessionSetting& setting, Reporter& reporter,
                             std::unique_ptr<Engine>& engine) {
  const double began = setting.now();
  const SessionSpec& spec = session.spec();
  engine = std::make_unique<Engine>(spec.files, engine_options(session, dtypes_of(spec).front()));
  if (engine->model_hash() != spec.model_hash) {
    throw Error(Code::bad_checkpoint, shown(session.path()) + " was begun with other weights than those in " +
                                          shown(spec.files.model) +
                                          " now, and pictures of both would not compare. Put the model back, or begin anew.");
  }
  return SessionRun(std::move(session), false, setting, reporter, began).run(engine);
}

}  // namespace fude
