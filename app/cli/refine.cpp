// fude refine: pictures that were chosen, drawn again with more steps, larger, or with small variations.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "console.h"
#include "engine/file.h"
#include "engine/request.h"
#include "field_options.h"
#include "from_picture.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "gallery/history.h"
#include "history.h"
#include "options.h"
#include "output.h"
#include "picture_options.h"
#include "progress.h"
#include "saving.h"
#include "session/session.h"
#include "terminal.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "wording.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kUsualSteps = 50, kUsualTimesOwn = 2;  // the smaller of these: a turbo model gains nothing from 50
constexpr double kUsualAmount = 0.15;

// What is asked of every chosen picture.
struct Refinement {
  // What is changed: empty steps are the usual, a size of 0 is as it is. Parts count where they are asked for.
  Request asked{.variation = Variation{.amount = kUsualAmount}, .draft = Draft{}};
  double scale = 0;        // 0: as it is
  int64_t variations = 0;  // 0: none
  std::optional<uint64_t> variation_seed;
};

struct Job {
  std::vector<std::string> numbers, pictures, ids;
  std::string gacha;
  Refinement refinement;
  ModelFiles files;
  EngineOptions engine;
  OutputPlace place;
  OutputOptions output;
};

// A picture to begin from.
struct Chosen {
  std::string name;  // "candidate 7"
  Provenance provenance;
  std::vector<float> latents;  // empty: they were not kept
  ModelFiles files;            // empty: as on the command line
  std::vector<std::string> embeddings;
};

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::bad_request, message); }

fs::path folder_of_gacha(const std::string& given) {
  if (!given.empty()) return path_of(given);
  std::optional<Session> last;
  if (is_there(history_file())) last = History(history_file()).last_session(std::string(kGacha));
  if (!last)
    refuse("there is no gacha whose numbers these could be. Draw one with fude gacha, or name its folder with --gacha.");
  return last->folder;
}

int64_t number_of_candidate(const std::string& text) {
  if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != std::string::npos)
    refuse(shown(text) + " is not the number of a candidate. Write the numbers on the sheet, as in fude refine 7 12.");
  return integer_from("the number", text);
}

std::vector<Chosen> chosen_of(const Job& job, const Console& console) {
  std::vector<Chosen> all;
  if (!job.numbers.empty()) {
    const SessionFolder session = SessionFolder::open(folder_of_gacha(job.gacha));
    for (const std::string& text : job.numbers) {
      Candidate candidate = candidate_of(session, number_of_candidate(text));
      all.push_back({"candidate " + text,
                     std::move(candidate.provenance),
                     std::move(candidate.latents),
                     session.spec().files,
                     {text_of(session.embeddings())}});
    }
  }
  for (const std::string& picture : job.pictures) {
    // Steps are refine's own, and another size needs the picture's.
    const auto overrides = [&](Field field) {
      return field == Field::steps || (field == Field::guidance && job.refinement.asked.guidance.has_value());
    };
    StoredPicture stored = stored_in(picture, overrides, console);
    if (!has_seed(stored)) stored.provenance.request.seed = std::random_device{}();
    if (stored.provenance.request.width == 0 || stored.provenance.request.height == 0)
      refuse(shown(picture) + " does not tell its size. Draw it with fude generate --from, and refine that picture.");
    all.push_back({shown(picture), std::move(stored.provenance), {}, {}, {}});
  }
  for (const std::string& id : job.ids) {
    HistoryEntry entry = entry_named(id);
    all.push_back({"entry " + id, std::move(entry.provenance), {}, std::move(entry.files), {}});
  }
  if (all.empty())
    refuse(
        "nothing is chosen. Write numbers of the last gacha (fude refine 7 12), a picture with --from, or an entry with --id.");
  return all;
}

int64_t rounded_side(double pixels) { return std::max<int64_t>(16, static_cast<int64_t>(std::lround(pixels / 16)) * 16); }

// What draws it again. Error{bad_request}.
Request refined(const Chosen& chosen, const Refinement& refinement) {
  const Request& before = chosen.provenance.request;
  const auto side = [&](int64_t asked, int64_t old) {
    if (asked > 0) return asked;
    return refinement.scale > 0 ? rounded_side(static_cast<double>(old) * refinement.scale) : old;
  };
  Request request = before;
  const Request& asked = refinement.asked;
  request.width = side(asked.width, before.width);
  request.height = side(asked.height, before.height);
  request.steps = asked.steps;
  request.batch = 1;
  request.place = 0;
  request.vae_tiling = before.vae_tiling || asked.vae_tiling;  // also where it was not decoded so
  if (asked.guidance) request.guidance = asked.guidance;
  if (request.width != before.width || request.height != before.height) {
    if (before.draft) refuse(chosen.name + " was enlarged already. Refine the picture it came from, with another --scale.");
    request.draft = {.width = before.width,
                     .height = before.height,
                     .steps = before.steps,
                     .strength = asked.draft->strength,
                     .batch = std::max<int64_t>(1, before.batch),
                     .place = before.place};
  }
  if (refinement.variations > 0) {
    if (before.variation)
      refuse(chosen.name + " is a variation already. Vary the picture it came from, with another --variation-seed.");
    request.count = refinement.variations;
    request.variation = {.seed = refinement.variation_seed.value_or(before.seed + 1), .amount = asked.variation->amount};
  }
  check_settings(request);
  return request;
}

// Draws for one chosen picture after the other; an engine is made anew where the model or the dtype changes.
class Refining {
 public:
  Refining(const Job& job, int64_t pictures, const Console& console)
      : job_(job),
        console_(console),
        place_(job.place, pictures),
        books_(console, job.engine),
        bar_(console),
        paths_(!job.output.json) {}

  void draw(const Chosen& chosen) {
    make_engine(chosen);
    if (!chosen.provenance.model_hash.empty() && chosen.provenance.model_hash != engine_->model_hash())
      console_.warning(chosen.name + " was drawn with the model " + shown(chosen.provenance.model) + ", this is " +
                       shown(engine_->model_name()) + ": the picture will differ. Name the model with --model.");
    if (!chosen.latents.empty()) engine_->remember(chosen.provenance.request, chosen.latents);
    Request request = refined(chosen, job_.refinement);
    if (!request.steps) request.steps = std::min(kUsualSteps, kUsualTimesOwn * *engine_->complete({}).steps);
    request = completed(*engine_, request);
    int64_t picture = 0;
    Callbacks callbacks;
    callbacks.stop = &terminal::stop_requested();
    callbacks.progress = [&](const Progress& progress) { bar_.update(progress); };
    callbacks.warning = [&](const Message& warning) {
      bar_.clear();
      console_.warning(worded(warning));
    };
    callbacks.finished = [&](const Image& image) {
      bar_.clear();
      save(chosen, saver_->save(saver_->encode(image, request, picture++), place_));
    };
    callbacks.not_kept = [&](const std::string& what) { books_.not_kept(what); };
    engine_->generate(request, callbacks);
    bar_.finish();
  }

  void clear() { bar_.clear(); }
  const FinishedPaths& paths() const { return paths_; }
  const Json& images() const { return images_; }

 private:
  // What is on the line overrides where the picture's weights were.
  ModelFiles files_of(const Chosen& chosen) const {
    const ModelFiles& given = job_.files;
    ModelFiles files = given.model.empty() && !chosen.files.model.empty() ? chosen.files : ModelFiles{.model = given.model};
    for (const auto part :
         {&ModelFiles::clip_l, &ModelFiles::clip_g, &ModelFiles::t5, &ModelFiles::vae, &ModelFiles::tokenizers})
      if (!(given.*part).empty()) files.*part = given.*part;
    files.model = model_or_default(files.model);
    files.hub_cache = hub_cache_folder();
    files.no_t5 = given.no_t5 || (chosen.provenance.no_t5 && given.t5.empty());
    return files;
  }

  void make_engine(const Chosen& chosen) {
    ModelFiles files = files_of(chosen);
    EngineOptions options = job_.engine;
    if (options.dtype == EngineOptions{}.dtype && !chosen.provenance.dtype.empty()) options.dtype = chosen.provenance.dtype;
    options.embeddings.insert(options.embeddings.end(), chosen.embeddings.begin(), chosen.embeddings.end());
    std::string key = options.dtype + (files.no_t5 ? "\nno T5" : "\n");
    for (const std::string& part : {files.model, files.clip_l, files.clip_g, files.t5, files.vae, files.tokenizers,
                                    chosen.embeddings.empty() ? std::string() : chosen.embeddings.front()})
      key += '\n' + part;
    if (key == made_of_) return;
    saver_.reset();
    engine_.reset();  // before the next takes memory
    engine_.emplace(files, options);
    saver_.emplace(*engine_, files, options, books_, "refine");
    made_of_ = key;
  }

  void save(const Chosen& chosen, const SavedPicture& saved) {
    paths_.add(saved.path);
    Json image = {{"from", chosen.name}};
    image.update(json_from(saved));
    images_.push_back(image);
  }

  const Job& job_;
  const Console& console_;
  PicturePlace place_;
  Bookkeeping books_;
  ProgressBar bar_;
  std::string made_of_;
  std::optional<Engine> engine_;
  std::optional<PictureSaver> saver_;
  FinishedPaths paths_;
  Json images_ = Json::array();
};

void declare(Options& options, Job& job) {
  Refinement& refinement = job.refinement;
  const char* which = "Which";
  options.add_words(which, "numbers,--number", "N", "candidates of the last gacha, by the numbers on its sheet",
                    [&](const std::string& text) { job.numbers.push_back(text); });
  options.add_text(which, "--gacha", "FOLDER", "of another gacha than the last", job.gacha);
  options.add_each(which, "--from", "FILE", "a picture; may be given several times",
                   [&](const std::string& text) { job.pictures.push_back(text); });
  options.add_each(which, "--id", "ID", "an entry of fude history; may be given several times",
                   [&](const std::string& text) { job.ids.push_back(text); });

  const char* how = "How";
  const auto add = [&](Field field, const std::string& usual) {
    add_field_option(options, how, field, refinement.asked, usual);
  };
  add(Field::steps, "50, or twice the model's own where that is less");
  add(Field::guidance, "the picture's");
  options.add(how, "--scale", "X", "so many times larger: 1.5, 2", [&](const std::string& text) {
    refinement.scale = number_from("--scale", text);
    if (!(refinement.scale > 0 && refinement.scale <= 16))
      refuse("--scale " + text + " is not between 0 and 16. Use --scale 2.");
  });
  add_size_options(options, how, "the picture's", refinement.asked);
  add(Field::strength, {});
  options.add_integer(how, "--variations", "pictures whose noise lies a little beside the chosen one's", refinement.variations);
  add(Field::amount, "0.15");
  options.add(how, option_names(Field::variation_seed), "N", meaning_of(Field::variation_seed), [&](const std::string& text) {
    refinement.variation_seed = seed_from("--variation-seed", text);
    if (!refinement.variation_seed) refinement.variation_seed = std::random_device{}();
  });
  add(Field::vae_tiling, {});

  add_model_options(options, job.files);
  add_machine_options(options, job.engine);
  add_cache_option(options, job.engine);
  add_place_options(options, job.place);
  add_output_options(options, job.output);
}

// What is asked for is done or refused.
void refuse_idle_options(const Options& options) {
  const auto is_given = [&](const std::vector<std::string>& names) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return options.given(name).has_value(); });
  };
  const std::vector<std::string> another_size = {"--scale", "--width", "--height", "--size"};
  struct Need {
    std::string option;
    std::vector<std::string> one_of;
    std::string advice;
  };
  const Need needs[] = {{"--gacha", {"numbers"}, "Write numbers of its sheet, as in fude refine 7 12 --gacha FOLDER."},
                        {"--strength", another_size, "It is for another size: add --scale 2."},
                        {"--amount", {"--variations"}, "Add --variations 4."},
                        {"--variation-seed", {"--variations"}, "Add --variations 4."}};
  for (const Need& need : needs)
    if (options.given(need.option) && !is_given(need.one_of)) refuse(need.option + " changes nothing here. " + need.advice);
  if (options.given("--scale") && (options.given("--size") || (options.given("--width") && options.given("--height"))))
    refuse("--scale changes nothing beside --size, or --width and --height. Leave one of them out.");
}

}  // namespace

int refine_command(const Arguments& arguments) {
  Job job;
  Options options(
      "refine", "NUMBERS... [options]",
      "Draws chosen pictures again: with more steps, larger, or with small variations. At the same size a picture keeps its "
      "composition, since it begins from the same noise.",
      "  fude refine 7 12 31\n"
      "  fude refine 7 --scale 2 --strength 0.5\n"
      "  fude refine --from outputs/2026-11-24/00012-42.png --variations 4\n");
  declare(options, job);
  if (!options.parse(arguments)) return 0;
  refuse_idle_options(options);
  terminal::stop_requested();  // from here on Ctrl-C ends the work in good order
  options.apply();
  const Console console(job.output.quiet, job.output.no_color);
  if (job.refinement.variations < 0) refuse("--variations is less than nothing. Leave it out, or use --variations 4.");
  const std::vector<Chosen> all = chosen_of(job, console);
  for (const Chosen& chosen : all) refined(chosen, job.refinement);  // refused before the work, not in its middle

  Refining refining(job, static_cast<int64_t>(all.size()) * std::max<int64_t>(1, job.refinement.variations), console);
  try {
    for (const Chosen& chosen : all) refining.draw(chosen);
  } catch (const Error& error) {
    refining.clear();
    if (error.code() != Code::cancelled) throw;
    throw Error(Code::cancelled, "stopped; " + refining.paths().kept() + ".");
  }
  refining.paths().check();
  if (job.output.json) print(Json{{"images", refining.images()}}.dump(2, ' ', false, Json::error_handler_t::replace) + '\n');
  return 0;
}

}  // namespace fude
