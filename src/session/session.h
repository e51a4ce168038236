// The folder of a sweep or a gacha. A picture's PNG says that it is finished: what else is kept of it was written before, and
// everything is written whole or not at all, so drawing goes on from whatever moment it was killed at.
//
//   session.json                what is drawn; written before the first picture
//   NNNNN-SEED.png              the pictures
//   kept/NNNNN.safetensors      of a gacha: noise and final latents
//   embeddings/                 of a gacha: its prompts', as the engine keeps them
//   sheet.png, report.*         made of the pictures alone
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/system.h"
#include "engine/metadata.h"
#include "fude/fude.h"
#include "session/spec.h"

namespace fude {

class SessionFolder {
 public:
  // Makes `parent`/KIND-NNN, under a number that no other process has. Error{io}.
  static SessionFolder create(const std::filesystem::path& parent, const SessionSpec& spec);
  // Error{io} when there is none, Error{bad_request} when it cannot be gone on with.
  static SessionFolder open(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  const SessionSpec& spec() const { return wish_; }
  void replace(const SessionSpec& spec);  // Error{io}
  // The Hugging Face cache, kept embeddings, rates and budgets of memory are those of who draws here and now, so they are not
  // in the file.
  void set_machine(std::string hub, EngineOptions machine) {
    wish_.files.hub_cache = std::move(hub);
    wish_.engine.vram = machine.vram;
    wish_.engine.ram = machine.ram;
    wish_.engine.embeddings = std::move(machine.embeddings);
    wish_.engine.calibration = std::move(machine.calibration);
  }

  std::filesystem::path picture(const Task& task) const;
  std::filesystem::path embeddings() const { return path_ / "embeddings"; }
  std::filesystem::path sheet() const { return path_ / "sheet.png"; }

  // Before anything is drawn into it: no other process does until this object is gone. Error{bad_request} when one does.
  void hold();

  // Removes what a process that was killed left half written.
  void clean() const;

  // The pixels of a picture that is finished. None when it is missing or broken. Error{bad_request} when it shows something
  // else than the task asks for: it is somebody's picture and not drawn over.
  std::optional<Image> finished(const Task& task) const;

  // Noise and latents, before the picture. Error{io}.
  void keep(const Task& task, const Image& image) const;

 private:
  SessionFolder(std::filesystem::path path, SessionSpec spec) : path_(std::move(path)), wish_(std::move(spec)) {}
  std::filesystem::path kept(int64_t number) const;
  friend struct Candidate candidate_of(const SessionFolder& session, int64_t number);

  std::filesystem::path path_;
  SessionSpec wish_;
  std::optional<HeldFolder> held_;
};

// A finished picture of a gacha with all that was kept of it.
struct Candidate {
  int64_t number = 0;
  std::filesystem::path picture;
  Provenance provenance;
  std::vector<float> noise, latents;  // as of its Image
};
// Error{bad_request} when there is none of this number, Error{io}, Error{bad_checkpoint} when what was kept is damaged.
Candidate candidate_of(const SessionFolder& session, int64_t number);

}  // namespace fude
