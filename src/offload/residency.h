// Residency: where each layer of a model's part lies between its uses, and how many bytes that is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fude {

enum class Home {
  device,  // resident
  host,    // host-offloaded: already packed, in pinned host memory
  file,    // read and packed at each use
};

class Residency {
 public:
  explicit Residency(std::vector<int64_t> bytes);  // of each layer; all come from the file

  // `resident` layers stay on the device, spread evenly among the others, so that copies overlap with their use. Of the others,
  // as many as fit into `host_bytes` are host-offloaded.
  void keep(int64_t resident, int64_t host_bytes = 0);

  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  Home home(int64_t layer) const { return homes_[static_cast<size_t>(layer)]; }
  int64_t bytes(int64_t layer) const { return bytes_[static_cast<size_t>(layer)]; }
  std::vector<int64_t> streamed() const;  // layers that are not resident, in order

  int64_t resident() const { return size() - static_cast<int64_t>(streamed().size()); }
  int64_t bytes() const;
  int64_t bytes_at(Home home) const;

 private:
  std::vector<int64_t> bytes_;
  std::vector<Home> homes_;
};

}  // namespace fude
