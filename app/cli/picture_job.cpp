// The options of a picture job, and filling it from a picture that was drawn before.
#include "picture_job.h"

#include <utility>

#include "field_options.h"
#include "from_picture.h"
#include "picture_options.h"
#include "weights/quote.h"

namespace fude {

void add_picture_options(Options& options, PictureJob& job) {
  Request& request = job.request;
  const char* picture = "Picture";
  options.add_once(picture, "prompt," + option_names(Field::prompt), "TEXT",
                   meaning_of(Field::prompt) + "; also without --prompt. @FILE reads a file, - reads standard input",
                   "Give one; fude sweep -p A -p B draws each of several.",
                   [&](const std::string& text) { request.prompt = prompt_from(text); });
  options.add_once(picture, option_names(Field::negative), "TEXT", meaning_of(Field::negative) + "; @FILE reads a file",
                   "Give one, with commas in it.", [&](const std::string& text) { request.negative = text_from(text); });
  for (const Field field :
       {Field::prompt_2, Field::prompt_3, Field::negative_2, Field::negative_3, Field::clip_skip, Field::t5_tokens})
    add_field_option(options, "Encoders", field, request);
  add_size_options(options, picture, {}, request);
  options.add(picture, option_names(Field::seed), "N", meaning_of(Field::seed), [&](const std::string& text) {
    const std::optional<uint64_t> seed = seed_from("--seed", text);
    job.random_seed = !seed;
    request.seed = seed.value_or(0);
  });
  add_field_option(options, picture, Field::count, request);
  options.add(picture, option_names(Field::batch), "N", meaning_of(Field::batch), [&](const std::string& text) {
    request.batch = integer_from("--batch", text);
    request.place = 0;
  });
  add_from_option(options, picture, job.from);

  add_sampling_options(options, request);

  add_model_options(options, job.files);

  add_machine_options(options, job.engine);
  add_cache_option(options, job.engine);

  const char* result = "Result";
  add_place_options(options, job.place);
  options.add_text(result, "--trace", "FILE", "write every stage of picture 0 as tensors to a .safetensors file", job.trace);
  add_output_options(options, job.output);
}

void draw_again(const Provenance& provenance, std::string source, PictureJob& job) {
  take_from(provenance, job.request, job.files, job.engine);
  job.random_seed = false;
  job.drawn = provenance;
  job.source = std::move(source);
}

void take_from_picture(const std::string& picture, const Options& line, PictureJob& job, const Console& console) {
  const StoredPicture stored = stored_in(picture, line, console);
  draw_again(stored.provenance, shown(picture), job);
  job.random_seed = !stored.has_seed();
}

}  // namespace fude
