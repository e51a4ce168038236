// The one exception fude throws, and what it tells a person, as data: what is wrong, about which field, where, and what may
// help. Whoever shows a Message words it: a command line names options, a server returns fields.
//
// Values, and functions that any thread may call at any time; none of them throws but for lack of memory.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fude {

enum class Code {
  bad_request,     // the request cannot be drawn as asked (exit 2)
  out_of_memory,   // it does not fit the memory there is (exit 3)
  bad_checkpoint,  // model missing, unreadable or not a model (exit 4)
  device,          // the device or its driver failed (exit 1)
  io,              // a file could not be read or written (exit 1)
  non_finite,      // a stage produced NaN or infinity (exit 1)
  cancelled,       // the caller asked to stop (exit 130)
};
std::string_view name_of(Code code);  // "bad_request"

// What a caller gives: fields of Request, of ModelFiles and of EngineOptions.
enum class Field {
  none,
  prompt,
  negative,
  prompt_2,
  prompt_3,
  negative_2,
  negative_3,
  clip_skip,
  t5_tokens,
  width,
  height,
  size,  // width and height
  steps,
  guidance,
  seed,
  count,
  noise,
  sampler,
  schedule,
  sigmas,
  shift,
  guidance_rescale,
  skip_layers,
  skip_scale,  // of SkipLayers
  skip_start,
  skip_end,
  variation_seed,
  amount,  // of Variation
  draft_width,
  draft_height,
  draft_steps,
  strength,  // of Draft
  draft_batch,
  draft_place,
  batch,
  place,
  vae_tiling,
  embeddings,
  latents,
  model,
  clip_l,
  clip_g,
  t5,
  vae,
  tokenizers,
  no_t5,
  device,
  dtype,
  threads,
  vram,
  ram,
  card,
};
std::string_view name_of(Field field);  // "variation_seed"; empty of none
// As a message's text names it: "variation seed".
std::string words_of(Field field);

// What may help. `field` is whose.
struct Remedy {
  enum Kind {
    use_value,             // `values` for the field, one of them
    give,                  // the field, which is empty or not what it should be
    leave_out,             // the field: a default takes its place
    raise,                 // the field's value
    use_size,              // width, height; 0: as it is
    allow_memory,          // `bytes` of the field, which is vram or ram; 0: less than now
    close_other_programs,  // that take memory or time
    check_model,           // its files may be damaged
    download_model,        // again; by its name in `values`, where it is known
    free_space,            // on the disk
    choose_folder,         // another one to write into
    choose_home,           // another folder for what fude keeps for itself
    give_request,          // itself, instead of a picture that holds one
    go_on,                 // with the session in `path`; its kind is in `values`
    use_one_of,            // `values`, which are all there are for the field
    draw_gacha,            // instead of one picture: choices are for it
    give_another,          // file of the field, since the one that was given is none
    draw_elsewhere,        // where there is more memory
  };
  Kind kind;
  Field field = Field::none;
  std::vector<std::string> values = {};
  int64_t width = 0, height = 0, bytes = 0;
  std::string path = {};
};
std::string_view name_of(Remedy::Kind kind);  // "use_value"

// The file or folder, and the part of the model.
struct Where {
  std::string file = {};
  std::string component = {};  // "t5"
};

struct Message {
  std::string what = {};  // begins with words_of(field) where it is about its value: "width 500 is not a multiple of 16"
  Field field = Field::none;
  Where where = {};
  std::vector<Remedy> remedies = {};  // each of them may help
  std::vector<Message> parts = {};    // where several things are to be said
};
std::string text_of(const Message& message);  // what is wrong, a line for each part; without remedies

class Error : public std::runtime_error {
 public:
  Error(Code code, Message message);
  Error(Code code, std::string what) : Error(code, Message{.what = std::move(what)}) {}
  Code code() const noexcept { return code_; }
  const Message& message() const noexcept { return *message_; }

 private:
  Code code_;
  std::shared_ptr<const Message> message_;  // an exception is copied without throwing another
};

}  // namespace fude
