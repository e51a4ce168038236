// fude sweep: every combination of several steps, guidances, seeds and so on, on one sheet.
#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "console.h"
#include "engine/file.h"
#include "engine/grid.h"
#include "field_options.h"
#include "from_picture.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "options.h"
#include "picture_options.h"
#include "session/ranges.h"
#include "session_command.h"
#include "terminal.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

struct Job {
  SessionSpec spec;
  SessionOptions session;
  std::string from;
  bool random_seed = true;
  size_t repeats = 0;  // values that came again on some axis
};

void declare(Options& options, Job& job) {
  Grid& grid = job.spec.grid;
  Request& request = grid.request;
  const char* picture = "Picture";
  options.add_each(picture, "prompt," + option_names(Field::prompt), "TEXT",
                   "what to draw; each further -p is a value of the axis. @FILE reads a file, - reads standard input",
                   [&](const std::string& text) { grid.prompts.push_back(prompt_from(text)); });
  options.add(picture, "--prompts", "FILE", "prompts, one a line; a line that starts with # is a comment",
              [&](const std::string& file) {
                for (std::string& prompt : prompts_in(file)) grid.prompts.push_back(std::move(prompt));
              });
  options.add_each(picture, option_names(Field::negative), "TEXT", "what to avoid; may be given several times",
                   [&](const std::string& text) { grid.negatives.push_back(text_from(text)); });
  add_side_options(options, picture, {}, request);
  options.add(picture, "--size", "LIST", "such as 512x512,768x512",
              [&](const std::string& text) { grid.sizes = sizes_in("--size", text, &job.repeats); });
  options.add(picture, "--seed", "LIST", "default: one random seed for all", [&](const std::string& text) {
    job.random_seed = text == "random" || text == "-1";
    if (!job.random_seed) grid.seeds = seeds_in("--seed", text, &job.repeats);
  });
  add_from_option(options, picture, job.from);

  const char* sampling = "Sampling";
  const auto add_axis = [&](Field field, auto& values, auto values_in) {
    options.add(sampling, option_names(field), "LIST", meaning_of(field),
                [&job, &values, field, values_in](const std::string& text) {
                  values = values_in(option_of(field), text, &job.repeats);
                });
  };
  add_axis(Field::steps, grid.steps, integers_in);
  add_axis(Field::guidance, grid.guidances, numbers_in);
  add_field_option(options, sampling, Field::noise, request);
  const auto own_names_in = [](auto own_name) {
    return [own_name](const std::string& option, const std::string& text, size_t* repeats) {
      std::vector<std::string> names = names_in(option, text, repeats);
      for (std::string& name : names) name = own_name(name).value_or(name);
      return names;
    };
  };
  add_axis(Field::sampler, grid.samplers, own_names_in(sampler_from));
  add_axis(Field::schedule, grid.schedules, own_names_in(schedule_from));
  add_axis(Field::shift, grid.shifts, numbers_in);
  for (const Field field : {Field::guidance_rescale, Field::skip_layers, Field::skip_scale, Field::skip_start, Field::skip_end})
    add_field_option(options, sampling, field, request);
  add_field_option(options, sampling, Field::vae_tiling, request);
  add_model_options(options, job.spec.files);
  add_machine_options(options, job.spec.engine);
  add_cache_option(options, job.spec.engine);
  add_session_options(options, "sweep", job.session);
}

void settle(Job& job) {
  Grid& grid = job.spec.grid;
  for (std::vector<std::string>* texts : {&grid.prompts, &grid.negatives, &grid.samplers, &grid.schedules}) {
    const size_t given = texts->size();
    *texts = without_repeats(*texts);
    job.repeats += given - texts->size();
  }
  // A list of one value is no axis.
  visit_axes(grid, [&](Field field, auto& values) {
    if (values.size() != 1) return;
    set_field(grid.request, field, values[0]);
    values.clear();
  });
  std::vector<std::string>& dtypes = job.spec.dtypes = names_in("--dtype", job.spec.engine.dtype, &job.repeats);
  if (dtypes.size() == 1) {
    job.spec.engine.dtype = dtypes[0];
    dtypes.clear();
  }
}

}  // namespace

int sweep_command(const Arguments& arguments) {
  Job job;
  job.spec.kind = kSweep;
  Options options(
      "sweep", "PROMPT [options]",
      "Draws every combination of several values and lays them out: sheet.png, report.html, report.json and report.csv "
      "in a folder of their own. A LIST holds values and ranges, such as 5,10,20..70:10; --dtype takes one too. Prints "
      "the paths of the sheet and the report.",
      "  fude sweep \"a red bicycle\" --seed 7 --steps 5,10,20..70:10\n"
      "  fude sweep \"a red bicycle\" --steps 10,30 --guidance 0.5,2,5,7.5,10\n"
      "  fude sweep --prompts prompts.txt --seed 1..4 --dtype f32,bf16\n"
      "  fude sweep --resume outputs/2026-11-24/sweep-001\n");
  declare(options, job);
  if (!options.parse(arguments)) return 0;
  terminal::stop_requested();  // from here on Ctrl-C ends the work in good order
  const Console console(options.given("--quiet").has_value(), options.given("--no-color").has_value());
  if (const std::optional<std::string> picture = options.given("--from")) {
    job.random_seed = !take_from_picture(*picture, options, job.spec, console);
  }
  options.apply();
  if (!job.session.resume.empty()) {
    go_on_with_session(kSweep, options, job.session, console);
    return 0;
  }
  Grid& grid = job.spec.grid;
  if (grid.prompts.empty() && job.from.empty())
    throw Error(Code::bad_request, "there is no prompt. Write what to draw: fude sweep \"a red bicycle\" --steps 10,20,30");
  if (!grid.sizes.empty() && (options.given("--width") || options.given("--height")))
    throw Error(Code::bad_request, "--size says what --width and --height say too. Give one or the other.");
  settle(job);
  if (job.repeats > 0)
    console.note(std::to_string(job.repeats) + (job.repeats == 1 ? " value came again and is" : " values came again and are") +
                 " drawn once");
  job.session.names_seed = job.random_seed;
  if (job.random_seed) grid.request.seed = std::random_device{}();
  draw_session(std::move(job.spec), job.session, console);
  return 0;
}

}  // namespace fude
