// Encoding ahead on threads of their own, and one queue that writes.
#include "studio/session_saving.h"

#include <algorithm>
#include <future>
#include <memory>
#include <utility>

#include "gallery/report.h"
#include "session/sheet_layout.h"

namespace fude {
namespace {

constexpr size_t kPicturesBytes = size_t{32} << 20;  // of those that are saved while others are drawn

}  // namespace

void SessionSaving::prepare_album() {
  background_.add([this] { album_.prepare(); });
}

void SessionSaving::add(PictureSaver& saver, const Task& task, const Image& image) {
  const auto picture = std::make_shared<const Image>(image);
  const auto encoded = std::make_shared<std::future<Encoded>>(std::async([this, &saver, picture, number = task.number] {
    return Encoded{saver.encode(*picture, number), jpeg_for_report(*picture, layout_.count)};
  }));
  const size_t together = std::max<size_t>(1, kPicturesBytes / (3 * image.rgb.size()));  // as pixels, filtered, and compressed
  background_.add([this, &saver, task, picture, encoded] { save(saver, task, *picture, encoded->get()); }, together);
}

void SessionSaving::save(PictureSaver& saver, const Task& task, const Image& image, Encoded encoded) {
  if (session_.spec().kind == kGacha) session_.keep(task, image);
  const SavedPicture saved = saver.save_as(std::move(encoded.file), session_.picture(task));
  cells_.push_back({task.number, saved});
  reporter_.saved({task.number, label_of(session_.spec(), layout_, task), image.seconds.total, saved});
  album_.add(task, image, std::move(encoded.jpeg));
  if (!background_.has_more()) album_.grow();
}

}  // namespace fude
