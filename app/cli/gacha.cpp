// fude gacha: many candidates of one spec, to choose from.
#include <random>
#include <string>
#include <utility>

#include "commands.h"
#include "console.h"
#include "engine/file.h"
#include "engine/prompt_syntax.h"
#include "engine/request.h"
#include "field_options.h"
#include "from_picture.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "options.h"
#include "picture_options.h"
#include "session/wildcards.h"
#include "session_command.h"
#include "terminal.h"
#include "weights/quote.h"

namespace fude {
namespace {

constexpr int64_t kUsualCount = 16;
constexpr int64_t kInARowOfMinutes = 4;  // where the count is not known

struct Job {
  SessionSpec spec;
  SessionOptions session;
  std::string from;
  bool random_seed = true;
  int64_t count = kUsualCount;
};

void declare(Options& options, Job& job) {
  SessionSpec& spec = job.spec;
  Request& request = spec.grid.request;
  const char* picture = "Picture";
  options.add_each(picture, "prompt," + option_names(Field::prompt), "TEXT",
                   "what to draw, with choices such as {red|blue}; may be given several times. @FILE reads a file, - reads "
                   "standard input",
                   [&](const std::string& text) { spec.grid.prompts.push_back(prompt_from(text)); });
  options.add(picture, "--prompts", "FILE", "prompts, one a line; a line that starts with # is a comment",
              [&](const std::string& file) {
                for (std::string& prompt : prompts_in(file)) spec.grid.prompts.push_back(std::move(prompt));
              });
  options.add_once(picture, option_names(Field::negative), "TEXT", meaning_of(Field::negative) + "; @FILE reads a file",
                   "Give one, with commas in it.", [&](const std::string& text) { request.negative = text_from(text); });
  add_size_options(options, picture, {}, request);
  options.add(picture, "--seed", "N", "of the first candidate, random by default; candidate i uses seed + i - 1",
              [&](const std::string& text) {
                const std::optional<uint64_t> seed = seed_from("--seed", text);
                job.random_seed = !seed;
                request.seed = seed.value_or(0);
              });
  options.add_integer(picture, "--count", "candidates, default " + std::to_string(kUsualCount), job.count);
  options.add(picture, "--minutes", "X", "as many candidates as can be drawn in this time", [&](const std::string& text) {
    spec.minutes = number_from("--minutes", text);
    if (!(spec.minutes > 0 && spec.minutes <= kMostMinutes))
      throw Error(Code::bad_request, "--minutes must be above 0 and at most " + std::to_string(static_cast<int>(kMostMinutes)) +
                                         ", a week. Use --minutes 10.");
  });
  add_from_option(options, picture, job.from);

  add_sampling_options(options, request);
  add_model_options(options, spec.files);
  add_machine_options(options, spec.engine);
  add_cache_option(options, spec.engine);
  add_session_options(options, "gacha", job.session);
}

}  // namespace

int gacha_command(const Arguments& arguments) {
  Job job;
  SessionSpec& spec = job.spec;
  spec.kind = kGacha;
  Options options(
      "gacha", "PROMPT [options]",
      "Draws many numbered candidates, as several at once as is faster, into a folder of their own. The contact sheet "
      "sheet.png grows while they are drawn; noise and latents are kept for fude refine. A prompt may hold choices: "
      "{red|blue} {cat|dog} stands for four prompts, which come equally often; \\{ is a brace. Prints the paths of the "
      "sheet and the report.",
      "  fude gacha \"a {red|blue} bicycle\" --count 64\n"
      "  fude gacha \"a lighthouse at night\" --minutes 10 --steps 12\n"
      "  fude gacha --resume outputs/2026-11-24/gacha-001\n");
  declare(options, job);
  if (!options.parse(arguments)) return 0;
  terminal::stop_requested();  // from here on Ctrl-C ends the work in good order
  const Console console(options.given("--quiet").has_value(), options.given("--no-color").has_value());
  if (const std::optional<std::string> picture = options.given("--from")) {
    job.random_seed = !take_from_picture(*picture, options, spec, console);
  }
  options.apply();
  if (!job.session.resume.empty()) {
    go_on_with_session(kGacha, options, job.session, console);
    return 0;
  }
  if (spec.grid.prompts.empty() && job.from.empty())
    throw Error(Code::bad_request, "there is no prompt. Write what to draw: fude gacha \"a {red|blue} bicycle\" --count 16");
  if (spec.minutes > 0 && options.given("--count"))
    throw Error(Code::bad_request, "--minutes and --count both say how many candidates to draw. Give one of them.");
  Request& request = spec.grid.request;
  request.variation.reset();  // candidates differ in their seeds
  if (spec.grid.prompts.empty()) spec.grid.prompts.push_back(literally(request.prompt));
  request.prompt.clear();
  request.count = job.count;
  check_settings(request);
  const uint64_t combinations = Wildcards(spec.grid.prompts).combinations();
  if (const std::string choices = foreign_choices_in(spec.grid.prompts); !choices.empty()) console.warning(choices);
  spec.count = spec.minutes > 0 ? 1 : job.count;
  spec.in_a_row = spec.minutes > 0 ? kInARowOfMinutes : candidates_in_a_row(combinations, job.count);
  request.count = 1;
  job.session.names_seed = job.random_seed;
  if (job.random_seed) request.seed = std::random_device{}();
  draw_session(std::move(job.spec), job.session, console);
  return 0;
}

}  // namespace fude
