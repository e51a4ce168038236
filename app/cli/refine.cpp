// fude refine: pictures that were chosen, drawn again with more steps, larger, or with small variations.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "console.h"
#include "engine/file.h"
#include "engine/json_text.h"
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
#include "reporting.h"
#include "session/session.h"
#include "studio/refiner.h"
#include "terminal.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "wording.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

struct Job {
  std::vector<std::string> numbers, pictures, ids;
  std::string gacha;
  Refinement refinement;
  ModelFiles files;
  EngineOptions engine;
  OutputPlace place;
  OutputOptions output;
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
    for (const std::string& text : job.numbers) all.push_back(chosen_candidate(session, number_of_candidate(text)));
  }
  for (const std::string& picture : job.pictures) {
    // Steps are refine's own, and another size needs the picture's.
    const auto overrides = [&](Field field) {
      return field == Field::steps || (field == Field::guidance && job.refinement.asked.guidance.has_value());
    };
    all.push_back(chosen_picture(shown(picture), stored_in(picture, overrides, console)));
  }
  for (const std::string& id : job.ids) all.push_back(chosen_entry(entry_named(id)));
  if (all.empty())
    refuse(
        "nothing is chosen. Write numbers of the last gacha (fude refine 7 12), a picture with --from, or an entry with --id.");
  return all;
}

// Refused before the work, not in its middle.
void check(const Chosen& chosen, const Refinement& refinement) {
  switch (obstacle_to(chosen, refinement)) {
    case Obstacle::none: break;
    case Obstacle::no_size:
      refuse(chosen.name + " does not tell its size. Draw it with fude generate --from, and refine that picture.");
    case Obstacle::enlarged_already:
      refuse(chosen.name + " was enlarged already. Refine the picture it came from, with another --scale.");
    case Obstacle::varied_already:
      refuse(chosen.name + " is a variation already. Vary the picture it came from, with another --variation-seed.");
  }
  static_cast<void>(refined(chosen, refinement));
}

class RefineReporter final : public RequestReporter {
 public:
  RefineReporter(const Console& console, bool prints) : RequestReporter(console), paths_(prints) {}

  void saved(const FinishedPicture& picture) override {
    clear();
    paths_.add(picture.file.path);
    Json image = {{"from", picture.label}};
    image.update(json_from(picture.file));
    images_.push_back(image);
  }
  const FinishedPaths& paths() const { return paths_; }
  const Json& images() const { return images_; }

 private:
  FinishedPaths paths_;
  Json images_ = Json::array();
};

// With the weights that are named, else with those it was drawn with.
ModelFiles files_of(const Chosen& chosen, const Job& job) {
  ModelFiles files = files_for(chosen, job.files);
  files.model = model_or_default(files.model);
  files.hub_cache = hub_cache_folder();
  return files;
}

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
  if (job.refinement.variations < 0 || job.refinement.variations > kMostPictures)
    refuse("--variations is outside 0 to " + std::to_string(kMostPictures) + ". Leave it out, or use --variations 4.");
  const std::vector<Chosen> all = chosen_of(job, console);
  for (const Chosen& chosen : all) check(chosen, job.refinement);

  RefineReporter reporter(console, !job.output.json);
  const auto pictures = static_cast<int64_t>(all.size()) * std::max<int64_t>(1, job.refinement.variations);
  const PicturePlace place = picture_place(job.place, pictures);
  Bookkeeping books(reporter, history_place(), job.engine);
  const RefinerSetting setting{job.engine, libraries(), &terminal::stop_requested()};
  Refiner refiner(setting, place, books, reporter);
  try {
    for (const Chosen& chosen : all) {
      const Engine& engine = refiner.engine_for(chosen, files_of(chosen, job));
      warn_of_another_model(chosen.name, chosen.provenance, engine, reporter);
      refiner.draw(chosen, job.refinement);
      reporter.finish();
    }
  } catch (const Error& error) {
    reporter.clear();
    if (error.code() != Code::cancelled) throw;
    throw Error(Code::cancelled, "stopped; " + reporter.paths().kept() + ".");
  }
  reporter.paths().check();
  if (job.output.json) print(json_document({{"images", reporter.images()}}));
  return 0;
}

}  // namespace fude
