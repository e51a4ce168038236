// Weights on their way from files to the card: threads read pieces into pinned memory, the card copies them from there.
#pragma once

#include <cuda_runtime_api.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda/device.h"

namespace fude::cuda {

class Staging {
 public:
  // Fills `host` with rows [begin, end); called from several threads at once.
  using Fill = std::function<void(int64_t begin, int64_t end, void* host)>;

  explicit Staging(int device);
  ~Staging();

  // Puts `rows` rows of row_bytes each at `device` memory. Returns when all of them have been read; their copies may still be
  // under way on stream(). Rethrows what `fill` threw.
  void copy(void* device, int64_t rows, int64_t row_bytes, const Fill& fill);

  cudaStream_t stream() const { return stream_; }

 private:
  struct Job {
    std::byte* device;
    int64_t rows, row_bytes, rows_at_once;
    const Fill* fill;
    int64_t next = 0, unfinished = 0;  // first row nobody took; pieces not yet read
    std::exception_ptr error;
  };

  void work(int device, int64_t thread);
  void read_piece(const Job& job, int64_t begin, int64_t end, int64_t thread);

  Stream stream_;
  Buffer pinned_;
  std::vector<Event> copied_;  // of each half of each thread's part of pinned_
  std::vector<int> half_;      // of each thread's part, used last
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Job* job_ = nullptr;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fude::cuda
