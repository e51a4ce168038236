// Streams weights from files to the GPU: threads read pieces into pinned staging buffers, from which they are copied on a
// stream of their own. Both overlap with compute.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda/device.h"

namespace fude::cuda {

class Staging {
 public:
  // Fills `host` with rows [begin, end); called from several threads at once.
  using Fill = std::function<void(int64_t begin, int64_t end, void* host)>;

  // One transfer: rows that are being read and copied.
  class Job {
   public:
    // Of rows of row_bytes each, to device or host memory.
    Job(void* target, bool on_host, int64_t rows, int64_t row_bytes, Fill fill);

   private:
    friend class Staging;
    std::byte* target_;
    bool on_host_;
    int64_t rows_, row_bytes_, rows_at_once_;
    Fill fill_;
    int64_t next_ = 0, unfinished_;  // first row that no thread has taken; pieces not yet read
    std::exception_ptr error_;
  };

  explicit Staging(int device);
  ~Staging();

  // Jobs are read in the order they are given, their copies issued to stream() as pieces of them have been read.
  std::shared_ptr<Job> read(Job job);
  // Returns when all of a job has been read and its copies were issued. Rethrows what its `fill` threw.
  void wait(Job& job);

  CUstream stream() const { return stream_; }

 private:
  void work(int device, int64_t thread);
  void read_piece(const Job& job, int64_t begin, int64_t end, int64_t thread);

  Stream stream_;
  Buffer pinned_;
  std::vector<Event> copied_;  // of each ping-pong buffer: two a thread, in pinned_
  std::vector<int> half_;      // the buffer that each thread used last
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<std::shared_ptr<Job>> jobs_;  // with rows that no thread has taken
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fude::cuda
