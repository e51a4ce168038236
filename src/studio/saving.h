// What becomes of a finished picture: a file that carries its request (in a session also what drawing it cost), and an entry of
// the history.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/foreign/foreign.h"
#include "engine/metadata.h"
#include "fude/fude.h"
#include "gallery/history.h"
#include "studio/bookkeeping.h"
#include "studio/picture_place.h"

namespace fude {

inline constexpr uint64_t kLargestPicture = uint64_t{512} << 20;  // bytes of a file that is read

std::string local_time();  // "2026-11-24T22:51:07"; from any thread
// As another command finds it from any folder. What is no path here, such as an id of Hugging Face, stays as it is.
std::string from_anywhere(const std::string& path);

struct SavedPicture {
  std::filesystem::path path;
  uint64_t seed = 0;
  int64_t width = 0, height = 0;
  std::string sha256;  // of the file
  int64_t id = 0;      // in the history, 0 when it could not be kept
};
// {"path", "seed", "width", "height", "sha256", "id"}; id is null when the history could not keep it.
nlohmann::ordered_json json_from(const SavedPicture& picture);

// A picture as its file will hold it. It is made without the history and without a place, so that several can be made at once.
struct EncodedPicture {
  HistoryEntry entry;  // without its path
  std::vector<uint8_t> png;
  uint64_t seed = 0;
  int64_t width = 0, height = 0;
};

// Saves the pictures of one command.
class PictureSaver {
 public:
  // files, options: what the engine was made of. kind: "generate", "sweep", "gacha", "refine". session: the folder of a sweep
  // or a gacha, which History::last_session finds again.
  PictureSaver(const Engine& engine, const ModelFiles& files, const EngineOptions& options, Bookkeeping& books,
               std::string kind, std::filesystem::path session = {});
  ~PictureSaver();
  PictureSaver(const PictureSaver&) = delete;
  PictureSaver& operator=(const PictureSaver&) = delete;

  // `drawn` is the completed request the image belongs to, `picture` which of its pictures it is, from 0. `number`: in its
  // session. Safe to call from several threads.
  EncodedPicture encode(const Image& image, const Request& drawn, int64_t picture = 0, int64_t number = 0) const;
  // Error{io}.
  SavedPicture save(EncodedPicture picture, const PicturePlace& place);
  // The same at a path of the caller's.
  SavedPicture save_as(EncodedPicture picture, const std::filesystem::path& path);
  // A finished picture that the history does not know, since its process died before it could tell it.
  void recall(const std::filesystem::path& file, int64_t number);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a picture file tells of itself.
struct StoredPicture {
  Provenance provenance;
  std::optional<RenderStats> stats;
  bool exact = true;                      // false: fude's own JSON is not there, and only what texts tell is known
  std::optional<ForeignPicture> foreign;  // of another program: what it tells. The provenance is the nearest to it
};
// Of a PNG, JPEG or WebP. Error{io} when it cannot be read, Error{bad_request} when no request is stored in it.
StoredPicture read_picture(const std::filesystem::path& path);

}  // namespace fude
