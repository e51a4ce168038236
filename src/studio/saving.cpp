// Encoding a picture with its request, writing it, and telling the history.
#include "studio/saving.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/system.h"
#include "engine/file.h"
#include "engine/json_text.h"
#include "engine/model_files.h"
#include "engine/png.h"
#include "engine/stored_picture.h"
#include "studio/local_time.h"
#include "studio/sha256.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

PictureSaver::PictureSaver(const ModelFiles& files, const EngineOptions& options, Bookkeeping& books, PictureSource source)
    : books_(books) {
  common_.kind = std::move(source.kind);
  common_.files = from_anywhere(files);
  common_.threads = options.threads;
  common_.stats.libraries = std::move(source.libraries);
  common_.session = std::move(source.session);
  if (!common_.session.empty())
    books_.with_history([&](History& history) { history.add_session({common_.kind, common_.session, local_time()}); });
}

EncodedPicture PictureSaver::encode(const Image& image, int64_t number) const {
  EncodedPicture encoded{.entry = common_, .png = {}, .seed = image.seed, .width = image.width, .height = image.height};
  HistoryEntry& entry = encoded.entry;
  entry.number = number;
  entry.provenance = *image.provenance;
  entry.stats = {local_time(), image.seconds, image.step_seconds, image.planned,
                 image.used,   peak_memory(), version(),          common_.stats.libraries};
  std::vector<PngText> texts = texts_of(entry.provenance);
  // A session's report is made of its pictures alone. Elsewhere the same picture is to be the same file.
  if (!entry.session.empty()) texts.push_back({std::string(kStatsKeyword), text_of_json(json_from(entry.stats))});
  encoded.png = encode_png(image, texts);
  entry.sha256 = sha256_of(encoded.png);
  return encoded;
}

SavedPicture PictureSaver::keep(EncodedPicture picture, fs::path path) {
  picture.entry.path = std::move(path);
  SavedPicture saved{picture.entry.path, picture.seed, picture.width, picture.height, picture.entry.sha256};
  books_.with_history([&](History& history) { saved.id = history.add(picture.entry); });
  return saved;
}

SavedPicture PictureSaver::save(EncodedPicture picture, const PicturePlace& place) {
  fs::path path = place.save(picture.png, picture.seed);
  return keep(std::move(picture), std::move(path));
}

SavedPicture PictureSaver::save_as(EncodedPicture picture, const fs::path& path) {
  write_file(path, picture.png);
  return keep(std::move(picture), path);
}

void PictureSaver::recall(const fs::path& file, int64_t number) {
  books_.with_history([&](History& history) {
    HistoryEntry entry = common_;
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

}  // namespace fude
