// The shipped model with a larger table of positions, so that it takes sides of more than 1024 pixels.
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support.h"
#include "temporary.h"
#include "weights/safetensors.h"

namespace fude::test {

class WideModel {
 public:
  WideModel() {
    const std::filesystem::path demo = kSource / "models" / "demo", from = demo / "transformer", to = folder_ / "transformer";
    std::filesystem::create_directories(to);
    for (const auto& entry : std::filesystem::directory_iterator(demo))
      if (entry.path() != from)
        std::filesystem::copy(entry.path(), folder_ / entry.path().filename(), std::filesystem::copy_options::recursive);

    nlohmann::json config = nlohmann::json::parse(std::ifstream(from / "config.json"));
    config["pos_embed_max_size"] = kPositions;
    std::ofstream(to / "config.json") << config;

    const TensorFile weights = TensorFile::open(from / kFile);
    std::vector<StoredTensor> tensors = weights.tensors();
    const auto table = std::find_if(tensors.begin(), tensors.end(),
                                    [](const StoredTensor& tensor) { return tensor.name == "pos_embed.pos_embed"; });
    const size_t rows = kPositions * kPositions;
    const size_t row = table->bytes.size() / static_cast<size_t>(table->shape[1]);
    std::vector<std::byte> repeated(rows * row);
    for (size_t i = 0; i < rows; ++i) std::memcpy(&repeated[i * row], &table->bytes[i * row % table->bytes.size()], row);
    *table = stored_tensor(table->name, *table->dtype, {1, kPositions * kPositions, table->shape[2]}, repeated);
    write_safetensors(to / kFile, std::move(tensors));
  }
  ~WideModel() { std::filesystem::remove_all(folder_); }
  WideModel(const WideModel&) = delete;
  WideModel& operator=(const WideModel&) = delete;
  std::string path() const { return folder_.string(); }

 private:
  static constexpr int64_t kPositions = 70;  // patches of 16 pixels
  static constexpr const char* kFile = "diffusion_pytorch_model.safetensors";
  const std::filesystem::path folder_ = temporary("wide");
};

}  // namespace fude::test
