// Making, locking, reading and resuming a session folder.
#include "session/session.h"

#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "engine/file.h"
#include "engine/png.h"
#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "weights/safetensors.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

constexpr const char* kFile = "session.json";
constexpr uint64_t kLargestFile = uint64_t{16} << 20;
constexpr uint64_t kLargestPicture = uint64_t{512} << 20;

std::string digits_of(int64_t number, int least) {
  char text[24];
  std::snprintf(text, sizeof text, "%0*lld", least, static_cast<long long>(number));
  return text;
}

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Whether they draw the same picture, whatever batch each was drawn in.
bool same_picture(Request a, Request b) {
  a.batch = b.batch = 1;
  a.place = b.place = 0;
  return json_from(a) == json_from(b);
}

std::vector<float> floats_in(const TensorFile& file, const char* name) {
  const StoredTensor* tensor = file.find(name);
  if (!tensor || tensor->dtype != DType::f32)
    throw Error(Code::bad_checkpoint, shown(file.path()) + " does not hold the " + name + ". Draw the session again.");
  std::vector<float> values(tensor->bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor->bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace

SessionFolder SessionFolder::create(const fs::path& parent, const SessionSpec& spec) {
  check_writable(parent);
  for (int64_t number = 1;; ++number) {
    const fs::path path = parent / (spec.kind + '-' + digits_of(number, 3));
    std::error_code error;
    if (fs::create_directory(path, error)) {
      SessionFolder session(path, spec);
      session.replace(spec);
      return session;
    }
    if (error && !is_there(path))
      throw Error(Code::io, {.what = "cannot make the folder " + shown(path) + ": " + error.message(),
                             .where = {.file = text_of(path)},
                             .remedies = {{Remedy::free_space}, {Remedy::choose_folder}}});
  }
}

SessionFolder SessionFolder::open(const fs::path& folder) {
  const fs::path file = folder / kFile;
  if (!is_folder(folder) || !is_there(file)) {
    throw Error(Code::io, shown(folder) + (is_folder(folder) ? " holds no session.json" : " is no folder") +
                              ". Give the folder of a sweep or a gacha, such as outputs/2026-11-24/sweep-001.");
  }
  const std::vector<uint8_t> bytes = read_file(file, kLargestFile);
  return {folder, spec_from({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, text_of(file))};
}

void SessionFolder::replace(const SessionSpec& spec) {
  write_file(path_ / kFile, bytes_of(text_from(spec)));
  spec_ = spec;
}

fs::path SessionFolder::picture(const Task& task) const {
  return path_ / (digits_of(task.number, 5) + '-' + std::to_string(task.request.seed) + ".png");
}

fs::path SessionFolder::kept(int64_t number) const { return path_ / "kept" / (digits_of(number, 5) + ".safetensors"); }

void SessionFolder::hold() {
  held_ = HeldFolder::take(path_);
  if (!held_)
    throw Error(Code::bad_request,
                shown(path_) + " is being drawn by another fude. Wait until that one is done, or stop it with Ctrl-C.");
}

void SessionFolder::remove() {
  held_.reset();  // on Windows a file in it
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void SessionFolder::clean() const {
  for (const fs::path& folder : {path_, path_ / "kept", embeddings()}) {
    std::error_code ignored;
    for (const fs::path& file : entries_of(folder))
      if (file.extension() == ".part") fs::remove(file, ignored);
  }
}

std::optional<Image> SessionFolder::finished(const Task& task) const {
  const fs::path path = picture(task);
  if (!is_there(path)) return std::nullopt;
  const std::vector<uint8_t> file = read_file(path, kLargestPicture);
  Image image;
  Provenance provenance;
  try {
    const std::vector<PngText> texts = read_png_text(file);
    provenance = provenance_from_json(text_under(texts, kProvenanceKeyword));
    image = decode_png(file);
  } catch (const Error&) {
    return std::nullopt;  // after a power cut a file can exist without its bytes
  }
  if (!same_picture(provenance.request, task.request))
    throw Error(Code::bad_request,
                shown(path) + " is not the picture that " + shown(path_ / kFile) + " asks for. Move it elsewhere, then go on.");
  image.seed = provenance.request.seed;
  image.batch = provenance.request.batch;
  return image;
}

void SessionFolder::keep(const Task& task, const Image& image) const {
  const int64_t height = image.height / 8, width = image.width / 8;
  std::vector<StoredTensor> tensors;
  for (const auto& [name, values] : {std::pair{"noise", &image.noise}, std::pair{"latents", &image.latents}}) {
    const auto channels = static_cast<int64_t>(values->size()) / (height * width);
    tensors.push_back(stored_tensor(name, DType::f32, {channels, height, width}, std::as_bytes(std::span(*values))));
  }
  std::error_code said_by_the_write;
  fs::create_directory(path_ / "kept", said_by_the_write);
  write_safetensors(kept(task.number), std::move(tensors));
}

Candidate candidate_of(const SessionFolder& session, int64_t number) {
  const std::string where = shown(session.path());
  if (session.spec().kind != kGacha)
    throw Error(Code::bad_request,
                where + " is a " + session.spec().kind + ", which keeps nothing to go on from. Name a gacha.");
  const std::vector<Task> tasks = tasks_of(session.spec());
  if (number < 1 || number > static_cast<int64_t>(tasks.size()))
    throw Error(Code::bad_request, where + " has no candidate " + std::to_string(number) + ". Choose from 1 to " +
                                       std::to_string(tasks.size()) + '.');
  const Task& task = tasks[static_cast<size_t>(number - 1)];
  if (!session.finished(task))
    throw Error(Code::bad_request,
                {.what = "candidate " + std::to_string(number) + " of " + where + " is not drawn yet",
                 .where = {.file = text_of(session.path())},
                 .remedies = {{.kind = Remedy::go_on, .values = {session.spec().kind}, .path = text_of(session.path())}}});
  Candidate candidate{number, session.picture(task)};
  const std::vector<uint8_t> png = read_file(candidate.picture, kLargestPicture);
  candidate.provenance = provenance_from_json(text_under(read_png_text(png), kProvenanceKeyword));
  const TensorFile file = TensorFile::open(session.kept(number));
  candidate.noise = floats_in(file, "noise");
  candidate.latents = floats_in(file, "latents");
  return candidate;
}

}  // namespace fude
