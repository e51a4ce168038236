#include "picture_job.h"

#include <utility>

#include "from_picture.h"
#include "picture_options.h"
#include "weights/quote.h"

namespace fude {

void add_picture_options(Options& options, PictureJob& job) {
  Request& request = job.request;
  const char* picture = "Picture";
  options.add_once(picture, "prompt,--prompt,-p", "TEXT",
                   "what to draw; also without --prompt. @FILE reads a file, - reads standard input",
                   "Give one; fude sweep -p A -p B draws each of several.",
                   [&](const std::string& text) { request.prompt = prompt_from(text); });
  options.add_once(picture, "--negative,-n,--negative-prompt", "TEXT", "what to avoid; @FILE reads a file",
                   "Give one, with commas in it.", [&](const std::string& text) { request.negative = text_from(text); });
  add_size_options(options, picture, "the model's own size", request.width, request.height);
  options.add(picture, "--seed", "N",
              "0 to 18446744073709551615, or random (the default) or -1; picture i of several uses seed + i",
              [&](const std::string& text) {
                const std::optional<uint64_t> seed = seed_from("--seed", text);
                job.random_seed = !seed;
                request.seed = seed.value_or(0);
              });
  options.add_integer(picture, "--count,--num-images-per-prompt", "pictures, default 1", request.count);
  options.add(picture, "--batch", "N",
              "pictures drawn at once, default 1; 0: as many as is faster and fits. A picture's last bits depend on it",
              [&](const std::string& text) {
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
