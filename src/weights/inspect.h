// What is in a model, and whether it is whole and sound, as data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weights/checkpoint.h"

namespace fude {

struct ComponentReport {
  Component component;
  std::string layout;
  std::vector<std::filesystem::path> files;
  std::map<std::string, int64_t> parameters_by_type;  // by the format's name of the type: "F16"
  int64_t tensors = 0, parameters = 0, bytes = 0;     // without what the layout ignores
};

struct Inspection {
  std::filesystem::path path;
  std::string layout;
  uint64_t identity = 0;
  std::vector<ComponentReport> components;
  std::vector<Component> absent;
  int64_t parameters = 0, bytes = 0;
  std::optional<ModelDefaults> defaults;    // where there is a transformer
  std::vector<std::string> not_understood;  // messages: unknown tensors of quantised weights, so that it cannot be drawn with
};

Inspection inspect(const Checkpoint& checkpoint);

struct Finding {
  enum class Kind { missing, unexpected, misshaped, not_understood, non_finite } kind;
  std::optional<Component> component;  // none: a tensor of a single file that belongs to no component
  std::string tensor;                  // the canonical name; the stored one when unexpected or not understood
  std::string detail;                  // shapes, counts
};

std::string_view name_of(Finding::Kind kind);

// Bytes scanned so far and altogether. May throw, to stop.
using VerifyProgress = std::function<void(int64_t done, int64_t total)>;

// Compares the tensors with what the geometry asks for and reads every value once, dropping mapped pages as it goes.
// Empty: the checkpoint is sound.
std::vector<Finding> verify(const Checkpoint& checkpoint, const VerifyProgress& progress = {});

}  // namespace fude
