// The folder of a sweep or a gacha. The PNG of a picture is written last, and every file appears whole or not at all; so a
// session can be resumed, wherever it was killed.
//
//   session.json                the spec; written before the first picture
//   NNNNN-SEED.png              the pictures
//   kept/NNNNN.safetensors      of a gacha: noise and final latents
//   embeddings/                 of a gacha: of its prompts, in the engine's format
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
  // Makes `parent`/KIND-NNN, with a number that no other process has taken. Error{io}.
  static SessionFolder create(const std::filesystem::path& parent, const SessionSpec& spec);
  // Error{io} when there is none, Error{bad_request} when it cannot be resumed.
  static SessionFolder open(const std::filesystem::path& folder);

  const std::filesystem::path& path() const { return path_; }
  const SessionSpec& spec() const { return spec_; }
  void replace(const SessionSpec& spec);  // Error{io}
  // The Hugging Face cache, kept embeddings, rates and memory budgets belong to the current machine and call, so they are not
  // in the file.
  void set_machine(std::string hub, EngineOptions machine) {
    spec_.files.hub_cache = std::move(hub);
    spec_.engine.vram = machine.vram;
    spec_.engine.ram = machine.ram;
    spec_.engine.embeddings = std::move(machine.embeddings);
    spec_.engine.calibration = std::move(machine.calibration);
  }

  std::filesystem::path picture(const Task& task) const;
  std::filesystem::path embeddings() const { return path_ / "embeddings"; }
  std::filesystem::path sheet() const { return path_ / "sheet.png"; }

  // Locks the folder until this object is destroyed; call it before drawing. Error{bad_request} when another process holds it.
  void hold();
  // Lets go of the folder and removes it with all that is in it, as far as that can be.
  void remove();

  // Removes temporary files of a process that was killed.
  void clean() const;

  // The pixels of a finished picture. None when it is missing or damaged. Error{bad_request} when it is not the picture of this
  // task: somebody else's picture is never overwritten.
  std::optional<Image> finished(const Task& task) const;

  // Writes noise and latents, before the picture is written. Error{io}.
  void keep(const Task& task, const Image& image) const;

 private:
  SessionFolder(std::filesystem::path path, SessionSpec spec) : path_(std::move(path)), spec_(std::move(spec)) {}
  std::filesystem::path kept(int64_t number) const;
  friend struct Candidate candidate_of(const SessionFolder& session, int64_t number);

  std::filesystem::path path_;
  SessionSpec spec_;
  std::optional<HeldFolder> held_;
};

// A finished picture of a gacha, with its noise and latents.
struct Candidate {
  int64_t number = 0;
  std::filesystem::path picture;
  Provenance provenance;
  std::vector<float> noise, latents;  // as of its Image
};
// Error{bad_request} when there is none of this number, Error{io}, Error{bad_checkpoint} when what was kept is damaged.
Candidate candidate_of(const SessionFolder& session, int64_t number);

}  // namespace fude
