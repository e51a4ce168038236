// What becomes of a finished picture: a file that carries its request (in a session also what drawing it cost), and an entry of
// the history.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "fude/fude.h"
#include "gallery/history.h"
#include "studio/bookkeeping.h"
#include "studio/picture_place.h"
#include "studio/saved_picture.h"

namespace fude {

// A picture as its file will hold it. It is made without the history and without a place, so that several can be made at once.
struct EncodedPicture {
  HistoryEntry entry;  // without its path
  std::vector<uint8_t> png;
  uint64_t seed = 0;
  int64_t width = 0, height = 0;
};

// Of all pictures of a saver.
struct PictureSource {
  std::string kind;               // "generate", "sweep", "gacha", "refine"
  std::string libraries;          // that the program is made of: "oneDNN 2.6.3, …"
  std::filesystem::path session;  // the folder of a sweep or a gacha, which History::last_session finds again
};

// Saves the pictures of one piece of work.
class PictureSaver {
 public:
  // files, options: what the engine was made of.
  PictureSaver(const ModelFiles& files, const EngineOptions& options, Bookkeeping& books, PictureSource source);

  // An image of the engine's. `number`: in its session. Safe to call from several threads.
  EncodedPicture encode(const Image& image, int64_t number = 0) const;
  // Error{io}.
  SavedPicture save(EncodedPicture picture, const PicturePlace& place);
  // The same at a path of the caller's.
  SavedPicture save_as(EncodedPicture picture, const std::filesystem::path& path);
  // A finished picture that the history does not know, since its process died before it could tell it.
  void recall(const std::filesystem::path& file, int64_t number);

 private:
  SavedPicture keep(EncodedPicture picture, std::filesystem::path path);

  Bookkeeping& books_;
  HistoryEntry common_;  // what all pictures share
};

}  // namespace fude
