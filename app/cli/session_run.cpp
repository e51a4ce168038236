#include "session_run.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "album.h"
#include "background.h"
#include "cell_progress.h"
#include "engine/devices.h"
#include "engine/file.h"
#include "engine/request.h"
#include "from_picture.h"
#include "fude/error.h"
#include "gallery/report.h"
#include "output.h"
#include "picture_options.h"
#include "saving.h"
#include "session/sheet_layout.h"
#include "skip_teardown.h"
#include "terminal.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "wording.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int64_t kManyPictures = 1000;              // more are drawn only when --yes or a person says so,
constexpr double kManySeconds = 2 * 3600;            // and so are those that take longer
constexpr size_t kPicturesBytes = size_t{32} << 20;  // of those that are saved while others are drawn
constexpr int64_t kPicturesAtOnce = 16;              // of one request: with many steps they are finished together

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string counted(int64_t number, const std::string& noun) {
  return std::to_string(number) + ' ' + noun + (number == 1 ? "" : "s");
}

Remedy way_on(const SessionFolder& session) {
  return {.kind = Remedy::go_on, .values = {session.spec().kind}, .path = text_of(session.path())};
}

// What an engine is made of.
EngineOptions engine_options(const SessionFolder& session, const std::string& dtype) {
  EngineOptions options = session.spec().engine;
  options.dtype = dtype;
  if (session.spec().kind == kGacha) options.embeddings.push_back(text_of(session.embeddings()));
  return options;
}

// A finished picture in the formats it is kept in.
struct Encoded {
  EncodedPicture file;
  std::vector<uint8_t> jpeg;  // for the report
};

// A session from where it is to its end.
class SessionRun {
 public:
  // began: when the engine began to be made.
  SessionRun(SessionFolder session, bool fresh, const SessionOptions& options, const Console& console, Clock::time_point began)
      : session_(std::move(session)),
        fresh_(fresh),
        options_(options),
        console_(console),
        books_(console, session_.spec().engine),
        began_(began),
        noun_(session_.spec().kind == kSweep ? "cell" : "candidate"),
        progress_(console, noun_) {}

  void run(std::unique_ptr<Engine> engine);

 private:
  void look_for_finished();
  void draw(std::unique_ptr<Engine> engine);
  void draw_all_of(Engine& engine, const std::string& dtype);
  void draw_batch(Engine& engine, PictureSaver& saver, Batch batch);
  void save(const Task& task, const Image& image, Encoded encoded, PictureSaver& saver);
  void skip(const Batch& batch, const Error& error);
  void ask(double seconds);
  void fit_into_time();
  void end();

  void set_done(const Task& task) {
    done_[static_cast<size_t>(task.number - 1)] = true;
    effort_left_ -= effort_of(task.request);
  }
  // Of the undone from `begin` on, those that lie together. Empty: there are none.
  std::span<const Task> next_undone(size_t begin, const std::string& dtype) const;
  int64_t finished() const { return drawn_ + drawn_before_; }
  std::string label(const Task& task) const { return label_of(session_.spec(), layout_, task); }
  void warn(const std::string& text) {
    {
      const std::lock_guard lock(warned_mutex_);  // a sheet is laid out in the background
      if (!warned_.insert(text).second) return;   // many pictures share their prompt
    }
    progress_.clear();
    console_.warning(text);
  }

  SessionFolder session_;
  const bool fresh_;
  const SessionOptions& options_;
  const Console& console_;
  Bookkeeping books_;
  const Clock::time_point began_;
  const std::string noun_;

  std::vector<Task> tasks_;
  std::vector<bool> done_;  // drawn or skipped
  int64_t drawn_ = 0, drawn_before_ = 0;
  double seconds_before_ = 0;  // of pictures drawn before
  double effort_left_ = 0;
  Arrangement layout_;
  Pace pace_;
  bool asked_ = false, refused_ = false;
  std::vector<Code> failures_;
  std::mutex warned_mutex_;
  std::set<std::string> warned_;
  Seconds seconds_;

  CellProgress progress_;
  std::optional<Album> album_;
  Json cells_ = Json::array();
  Background saving_;  // last: its pieces use the others
};

void SessionRun::run(std::unique_ptr<Engine> engine) {
  tasks_ = tasks_of(session_.spec());
  done_.assign(tasks_.size(), false);
  for (const Task& task : tasks_) effort_left_ += effort_of(task.request);
  layout_ = layout_of(session_.spec(), engine->model_name());
  album_.emplace(session_, engine->model_name(), [this](const std::string& text) { warn(text); });
  if (fresh_) saving_.add([this] { album_->prepare(); });
  look_for_finished();
  if (!fresh_) {
    PictureSaver saver(*engine, session_.spec().files, session_.spec().engine, books_, session_.spec().kind,
                       absolute_of(session_.path()));
    for (const Cell& cell : album_->cells()) saver.recall(cell.file, cell.number);
  }
  try {
    draw(std::move(engine));
    progress_.clear();
  } catch (const Error& error) {
    progress_.clear();
    if (refused_ && finished() == 0) {
      std::error_code ignored;
      fs::remove_all(session_.path(), ignored);
      throw;
    }
    Message kept{.what = counted(finished(), noun_) + " of " + std::to_string(tasks_.size()) +
                         (finished() == 1 ? " is" : " are") + " finished",
                 .where = {.file = text_of(session_.path())},
                 .remedies = {way_on(session_)}};
    if (error.code() != Code::cancelled) {
      Message message = error.message();
      message.parts.push_back(std::move(kept));
      throw Error(error.code(), std::move(message));
    }
    album_->finish();
    kept.what = "stopped; " + kept.what;
    throw Error(Code::cancelled, std::move(kept));
  }
  end();
}

void SessionRun::look_for_finished() {
  if (fresh_) return;
  session_.clean();
  for (const Task& task : tasks_) {
    if (terminal::stop_requested()) throw Error(Code::cancelled, {.what = "stopped", .remedies = {way_on(session_)}});
    const std::optional<Image> picture = session_.finished(task);
    if (!picture) continue;
    set_done(task);
    ++drawn_before_;
    album_->add(task, *picture, jpeg_for_report(*picture, layout_.count));
    const RenderStats& stats = album_->cells().back().stats;
    pace_.learn(effort_of(task.request), stats.seconds.denoise + stats.seconds.decode);
    seconds_before_ += stats.seconds.total;
    cells_.push_back({{"number", task.number}, {"path", text_of(session_.picture(task))}, {"seed", task.request.seed}});
  }
  console_.note(counted(drawn_before_, noun_) + (drawn_before_ == 1 ? " was" : " were") + " finished before");
}

std::span<const Task> SessionRun::next_undone(size_t begin, const std::string& dtype) const {
  const auto undone = [&](size_t i) { return !done_[i] && tasks_[i].dtype == dtype; };
  while (begin < tasks_.size() && !undone(begin)) ++begin;
  size_t end = begin;
  while (end < tasks_.size() && end - begin < static_cast<size_t>(kPicturesAtOnce) && undone(end)) ++end;
  return std::span(tasks_).subspan(begin, end - begin);
}

// One engine for each dtype, the first gone before the next takes memory; the last one is left to the end of the process.
void SessionRun::draw(std::unique_ptr<Engine> engine) {
  std::vector<std::string> dtypes = session_.spec().dtypes;
  if (dtypes.empty()) dtypes.push_back(session_.spec().engine.dtype);
  for (const std::string& dtype : dtypes) {
    if (!next_undone(0, dtype).empty()) {
      if (!engine) engine = std::make_unique<Engine>(session_.spec().files, engine_options(session_, dtype));
      const SkipTeardown left(dtype == dtypes.back() ? &engine : nullptr);
      draw_all_of(*engine, dtype);
    }
    engine.reset();
  }
}

void SessionRun::draw_all_of(Engine& engine, const std::string& dtype) {
  PictureSaver saver(engine, session_.spec().files, session_.spec().engine, books_, session_.spec().kind,
                     absolute_of(session_.path()));
  fit_into_time();
  try {
    for (size_t next = 0;;) {
      const std::span<const Task> undone = next_undone(next, dtype);
      if (undone.empty()) break;
      next = static_cast<size_t>(undone.front().number - 1);
      // How many fit into the time is known when one is drawn.
      const bool tries = session_.spec().minutes > 0 && !pace_.known();
      draw_batch(engine, saver, next_batch(session_.spec(), undone, tries ? 1 : kPicturesAtOnce));
      fit_into_time();
    }
  } catch (...) {
    saving_.settle();  // before the saver goes
    throw;
  }
  saving_.wait();
}

void SessionRun::draw_batch(Engine& engine, PictureSaver& saver, Batch batch) {
  batch.request = engine.complete(batch.request);
  const bool gacha = session_.spec().kind == kGacha;
  if (gacha) batch.request.batch = 0;
  int64_t current = -1, saved = 0;
  Clock::time_point step_began;

  Callbacks callbacks;
  callbacks.stop = &terminal::stop_requested();
  callbacks.warning = [this](const Message& message) { warn(worded(message)); };
  callbacks.not_kept = [this](const std::string& what) { books_.not_kept(what); };
  callbacks.progress = [&](Progress progress) {
    saving_.check();
    if (progress.picture != current) {
      current = progress.picture;
      const Task& task = batch.tasks[static_cast<size_t>(current)];
      const double effort = effort_of(task.request);
      progress_.set_extent(static_cast<int64_t>(tasks_.size()), pace_.seconds_of(effort_left_ - effort));
      progress_.begin(task.number, label(task), pace_.seconds_of(effort));
    }
    progress.picture = 0;
    progress_.update(progress);
    if (asked_ || progress.stage != Stage::denoise) return;
    // The first step also warms up. Of how many pictures it was is known when the first one is finished.
    if (progress.step < std::min<int64_t>(2, progress.steps)) {
      step_began = Clock::now();
    } else if (!gacha || session_.spec().count > kManyPictures) {
      Pace pace;
      pace.learn(effort_of(batch.request), seconds_since(step_began) * static_cast<double>(progress.steps));
      ask(pace.seconds_of(effort_left_));
    }
  };
  callbacks.finished = [&](const Image& image) {
    const Task& task = batch.tasks[static_cast<size_t>(saved)];
    pace_.learn(effort_of(task.request), image.seconds.denoise + image.seconds.decode);
    seconds_.load += image.seconds.load;
    seconds_.encode += image.seconds.encode;
    seconds_.denoise += image.seconds.denoise;
    seconds_.decode += image.seconds.decode;
    set_done(task);
    // Those of a batch are finished together: they are encoded side by side, and then saved in their order.
    const auto picture = std::make_shared<const Image>(image);
    const auto encoded = std::make_shared<std::future<Encoded>>(
        std::async([this, &saver, picture, request = batch.request, place = saved, number = task.number] {
          return Encoded{saver.encode(*picture, request, place, number), jpeg_for_report(*picture, layout_.count)};
        }));
    const size_t together =
        std::max<size_t>(1, kPicturesBytes / (3 * image.rgb.size()));  // as pixels, filtered, and compressed
    saving_.add([this, &saver, task, picture, encoded] { save(task, *picture, encoded->get(), saver); }, together);
    ++saved;
    if (!asked_) ask(pace_.seconds_of(effort_left_));
  };
  try {
    engine.generate(std::vector{batch.request}, callbacks);
  } catch (const Error& error) {
    saving_.check();
    const bool of_the_request =
        error.code() == Code::bad_request || error.code() == Code::out_of_memory || error.code() == Code::non_finite;
    if (!of_the_request || refused_ || !pace_.known()) throw;
    skip(batch, error);
  }
}

// In the background.
void SessionRun::save(const Task& task, const Image& image, Encoded encoded, PictureSaver& saver) {
  if (session_.spec().kind == kGacha) session_.keep(task, image);
  progress_.clear();
  const SavedPicture saved = saver.save_as(std::move(encoded.file), session_.picture(task));
  ++drawn_;
  progress_.finished(task.number, label(task), image.seconds.total, text_of(saved.path.filename()));
  Json cell = {{"number", task.number}};
  cell.update(json_from(saved));
  cells_.push_back(cell);
  album_->add(task, image, std::move(encoded.jpeg));
  if (!saving_.has_more()) album_->grow();
}

// One picture that cannot be drawn is no reason to lose a night's others.
// The others of its batch are asked for again.
void SessionRun::skip(const Batch& batch, const Error& error) {
  const auto failed = std::find_if(batch.tasks.begin(), batch.tasks.end(),
                                   [&](const Task& task) { return !done_[static_cast<size_t>(task.number - 1)]; });
  if (failed == batch.tasks.end()) return;
  set_done(*failed);
  failures_.push_back(error.code());
  warn(noun_ + ' ' + std::to_string(failed->number) + " (" + label(*failed) + "): " + worded(error.message()));
}

// Once it is known how long a step takes, and before much is drawn.
void SessionRun::ask(double seconds) {
  asked_ = true;
  const SessionSpec& spec = session_.spec();
  const auto count = static_cast<int64_t>(tasks_.size());
  if (options_.yes || !fresh_ || spec.minutes > 0 || (count <= kManyPictures && seconds <= kManySeconds)) return;
  int64_t steps = 0, bytes = 0;
  for (const Task& task : tasks_) {
    steps += task.request.steps.value_or(0);
    bytes += fude::bytes_of(spec, task.request);
  }
  std::error_code unknown;
  const fs::space_info space = fs::space(session_.path(), unknown);
  const std::string free = unknown ? "" : " (" + text_of_bytes(static_cast<int64_t>(space.available)) + " are free)";
  const std::string extent = counted(count, "picture") + " with " + counted(steps, "step") + " in all take about " +
                             text_of_seconds(seconds) + " and " + text_of_bytes(bytes) + " of disk" + free + '.';
  progress_.clear();
  if (!terminal::is_terminal(terminal::Stream::input)) {
    refused_ = true;
    throw Error(Code::bad_request, extent + " Draw them all the same with --yes, or ask for fewer.");
  }
  if (console_.confirmed(extent + " Draw them?")) return;
  refused_ = true;
  throw Error(Code::cancelled, "not drawn, as you said.");
}

// Where the time is given, sets the count to what it allows; what was drawn stays.
void SessionRun::fit_into_time() {
  SessionSpec spec = session_.spec();
  if (spec.minutes <= 0 || !pace_.known()) return;
  const double left = spec.minutes * 60 - seconds_before_ - seconds_since(began_);
  const int64_t last = std::find(done_.rbegin(), done_.rend(), true).base() - done_.begin();
  const int64_t count = count_in_time(last, left, pace_.seconds_of(effort_of(tasks_.front().request)));
  if (count == spec.count) return;
  saving_.wait();  // what is saved looks at the spec
  spec.count = count;
  session_.replace(spec);
  tasks_ = tasks_of(spec);
  done_.resize(tasks_.size());
  layout_ = layout_of(spec, album_->model());
  effort_left_ = 0;
  for (size_t i = 0; i < tasks_.size(); ++i)
    if (!done_[i]) effort_left_ += effort_of(tasks_[i].request);
}

void SessionRun::end() {
  album_->finish();
  const double total = seconds_since(began_);
  const fs::path report = session_.path() / "report.html";
  const bool has_sheet = is_there(session_.sheet());
  std::optional<Error> failure;
  if (!failures_.empty())
    failure.emplace(failures_.front(), Message{.what = counted(static_cast<int64_t>(failures_.size()), noun_) + " of " +
                                                       std::to_string(tasks_.size()) +
                                                       " could not be drawn; the others are in " + shown(session_.path()),
                                               .where = {.file = text_of(session_.path())},
                                               .remedies = {way_on(session_)}});
  if (options_.output.json) {
    Json document = {{"kind", session_.spec().kind}, {"folder", text_of(session_.path())}};
    document["sheet"] = has_sheet ? Json(text_of(session_.sheet())) : Json();
    document["report"] = text_of(report);
    document["cells"] = cells_;
    document["seconds"] = {{"load", seconds_.load},
                           {"encode", seconds_.encode},
                           {"denoise", seconds_.denoise},
                           {"decode", seconds_.decode},
                           {"total", total}};
    if (failure) document["error"] = json_from(*failure);
    print(document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n');
  } else {
    if (has_sheet) print(text_of(session_.sheet()) + '\n');
    print(text_of(report) + '\n');
    console_.note(counted(drawn_, noun_) + " in " + text_of_seconds(total) + " (load " + text_of_seconds(seconds_.load) +
                  ", encode " + text_of_seconds(seconds_.encode) + ", denoise " + text_of_seconds(seconds_.denoise) +
                  ", decode " + text_of_seconds(seconds_.decode) + ")");
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
  spec.grid.request = stored.provenance.request;
  spec.grid.request.batch = 1;
  spec.grid.request.place = 0;
  spec.files.no_t5 = stored.provenance.no_t5;
  if (!stored.provenance.dtype.empty()) spec.engine.dtype = stored.provenance.dtype;
  return has_seed(stored);
}

void begin_session(SessionSpec spec, const SessionOptions& options, const Console& console) {
  spec.files.model = model_or_default(spec.files.model);
  spec.files.hub_cache = hub_cache_folder();
  spec.created = local_time();
  for (const std::string& dtype : spec.dtypes) static_cast<void>(requested_dtype(dtype));
  count_of(spec);
  const fs::path parent = folder_of_today(options.out);
  check_writable(parent);
  const Clock::time_point began = Clock::now();
  EngineOptions first = spec.engine;
  if (!spec.dtypes.empty()) first.dtype = spec.dtypes.front();
  auto engine = std::make_unique<Engine>(spec.files, first);
  spec.grid.request = completed(*engine, spec.grid.request);
  for (const Task& task : tasks_of(spec)) static_cast<void>(engine->complete(task.request));
  spec.model_hash = engine->model_hash();
  for (std::string* file :
       {&spec.files.model, &spec.files.clip_l, &spec.files.clip_g, &spec.files.t5, &spec.files.vae, &spec.files.tokenizers})
    *file = from_anywhere(*file);
  SessionFolder session = SessionFolder::create(parent, spec);
  session.hold();
  if (options.names_seed) console.note("seed " + std::to_string(spec.grid.request.seed));
  if (spec.kind == kGacha) engine->keep_embeddings_in(text_of(session.embeddings()));
  SessionRun(std::move(session), true, options, console, began).run(std::move(engine));
}

void resume_session(std::string_view kind, const Options& line, const SessionOptions& options, const Console& console) {
  if (const std::string other =
          line.given_besides({"--resume", "--yes", "--no-cache", "--vram", "--ram", "--json", "--quiet", "--no-color"});
      !other.empty()) {
    throw Error(Code::bad_request, "--resume goes on with what was asked for at first, so " + other +
                                       " cannot be given with it. Leave it out, or begin anew without --resume.");
  }
  SessionFolder session = SessionFolder::open(path_of(options.resume));
  SessionSpec spec = session.spec();
  if (spec.kind != kind)
    throw Error(Code::bad_request, {.what = shown(session.path()) + " is a " + spec.kind, .remedies = {way_on(session)}});
  session.hold();
  EngineOptions here{.calibration = calibration_file()};
  if (!line.given("--no-cache")) here.embeddings = embedding_folders();
  for (const auto& [name, target] : {std::pair{"--vram", &here.vram}, std::pair{"--ram", &here.ram}})
    if (const std::optional<std::string> text = line.given(name)) *target = bytes_from(name, *text);
  session.set_machine(hub_cache_folder(), std::move(here));
  const Clock::time_point began = Clock::now();
  const std::string dtype = spec.dtypes.empty() ? spec.engine.dtype : spec.dtypes.front();
  auto engine = std::make_unique<Engine>(session.spec().files, engine_options(session, dtype));
  if (engine->model_hash() != spec.model_hash) {
    throw Error(Code::bad_checkpoint, shown(session.path()) + " was begun with other weights than those in " +
                                          shown(spec.files.model) +
                                          " now, and pictures of both would not compare. Put the model back, or begin anew.");
  }
  SessionRun(std::move(session), false, options, console, began).run(std::move(engine));
}

}  // namespace fude
