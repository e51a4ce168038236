#include "saving.h"

#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "commands.h"
#include "engine/file.h"
#include "engine/png.h"
#include "fude/error.h"
#include "gallery/history.h"
#include "options.h"
#include "terminal.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// The request that draws this one picture.
Request request_of(const Image& image, const Request& drawn, int64_t picture) {
  Request request = drawn;
  request.count = 1;
  request.batch = image.batch;
  request.place = image.place;
  request.width = image.width;
  request.height = image.height;
  if (request.variation) request.variation->seed += static_cast<uint64_t>(picture);
  else request.seed = image.seed;
  return request;
}

// Of a picture that fude drew and another program saved again.
std::optional<Parameters> own_parameters_in(std::span<const PictureText> texts) {
  for (const std::string_view keyword : {kParametersKeyword, std::string_view("UserComment")}) {
    Parameters parameters = parse_parameters(sound_text(texts, keyword));
    if (parameters.field("Version").starts_with("fude ")) return parameters;
  }
  return std::nullopt;
}

}  // namespace

std::string local_time() {
  static std::mutex mutex;  // what localtime returns is shared
  const std::lock_guard lock(mutex);
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", std::localtime(&now));
  return text;
}

std::string from_anywhere(const std::string& path) {
  if (path.empty() || !is_there(path_of(path))) return path;
  return text_of(absolute_of(path_of(path)).lexically_normal());
}

struct PictureSaver::State {
  Bookkeeping& books;
  HistoryEntry common;  // what all pictures of the command share

  SavedPicture keep(EncodedPicture picture, fs::path path) {
    picture.entry.path = std::move(path);
    SavedPicture saved{picture.entry.path, picture.seed, picture.width, picture.height, picture.entry.sha256};
    books.with_history([&](History& history) { saved.id = history.add(picture.entry); });
    return saved;
  }
};

PictureSaver::PictureSaver(const Engine& engine, const ModelFiles& files, const EngineOptions& options, Bookkeeping& books,
                           std::string kind, fs::path session)
    : state_(new State{books, {}}) {
  HistoryEntry& common = state_->common;
  common.kind = std::move(kind);
  common.provenance = {.model = engine.model_name(),
                       .model_hash = engine.model_hash(),
                       .device = engine.device(),
                       .dtype = engine.dtype(),
                       .no_t5 = !engine.has_t5()};
  common.files = files;
  for (std::string* path : {&common.files.model, &common.files.clip_l, &common.files.clip_g, &common.files.t5,
                            &common.files.vae, &common.files.tokenizers})
    *path = from_anywhere(*path);
  common.threads = options.threads;
  common.session = std::move(session);
  if (!common.session.empty())
    books.with_history([&](History& history) { history.add_session({common.kind, common.session, local_time()}); });
}

PictureSaver::~PictureSaver() = default;

EncodedPicture PictureSaver::encode(const Image& image, const Request& drawn, int64_t picture, int64_t number) const {
  EncodedPicture encoded{.entry = state_->common, .png = {}, .seed = image.seed, .width = image.width, .height = image.height};
  HistoryEntry& entry = encoded.entry;
  entry.number = number;
  entry.provenance.request = request_of(image, drawn, picture);
  entry.stats = {local_time(), image.seconds,           image.step_seconds, image.planned,
                 image.used,   terminal::peak_memory(), version(),          libraries()};
  std::vector<PngText> texts = {{std::string(kParametersKeyword), parameters_text(entry.provenance)},
                                {std::string(kProvenanceKeyword), dump(json_from(entry.provenance))}};
  // A session's report is made of its pictures alone. Elsewhere the same picture is to be the same file.
  if (!entry.session.empty()) texts.push_back({std::string(kStatsKeyword), dump(json_from(entry.stats))});
  encoded.png = encode_png(image, texts);
  entry.sha256 = sha256_of(encoded.png);
  return encoded;
}

SavedPicture PictureSaver::save(EncodedPicture picture, const PicturePlace& place) {
  fs::path path = place.save(picture.png, picture.seed);
  return state_->keep(std::move(picture), std::move(path));
}

SavedPicture PictureSaver::save_as(EncodedPicture picture, const fs::path& path) {
  write_file(path, picture.png);
  return state_->keep(std::move(picture), path);
}

void PictureSaver::recall(const fs::path& file, int64_t number) {
  state_->books.with_history([&](History& history) {
    HistoryEntry entry = state_->common;
    if (history.find(entry.session, number)) return;
    const StoredPicture stored = read_picture(file);
    entry.number = number;
    entry.path = absolute_of(file);
    entry.provenance = stored.provenance;
    entry.stats = stored.stats.value_or(RenderStats{});
    entry.sha256 = sha256_of(read_file(file, kLargestPicture));
    history.add(entry);
  });
}

Json json_from(const SavedPicture& picture) {
  return {{"path", text_of(picture.path)}, {"seed", picture.seed},     {"width", picture.width},
          {"height", picture.height},      {"sha256", picture.sha256}, {"id", picture.id > 0 ? Json(picture.id) : Json()}};
}

StoredPicture read_picture(const fs::path& path) {
  const std::vector<uint8_t> bytes = read_file(path, kLargestPicture);
  StoredPicture stored;
  try {
    const std::vector<PictureText> texts = read_picture_texts(bytes);
    if (const std::string_view exact = text_under(texts, kProvenanceKeyword); !exact.empty()) {
      stored.provenance = provenance_from_json(exact);
    } else if (const std::optional<Parameters> own = own_parameters_in(texts)) {
      stored.provenance = provenance_from(*own);
      stored.exact = false;
    } else {
      stored.foreign = foreign_picture_in(texts);
      if (!stored.foreign)
        throw Error(Code::bad_request,
                    "no request is stored in it. Give a picture as fude, A1111 or ComfyUI saved it, before an editor or "
                    "a web page took its texts away.");
      stored.provenance = provenance_from(*stored.foreign);
      stored.exact = false;
    }
    if (const std::string_view stats = text_under(texts, kStatsKeyword); !stats.empty()) stored.stats = stats_from_json(stats);
  } catch (const Error& error) {
    Message message = error.message();
    message.what = shown(path) + ": " + message.what;
    throw Error(error.code(), std::move(message));
  }
  return stored;
}

}  // namespace fude
