#include "cuda/staging.h"

#include <algorithm>

namespace fude::cuda {

namespace {

// Two pieces for each thread: one is read while the other is copied. Small enough to stay in a core's cache on the way.
constexpr int64_t kPieceBytes = int64_t{1} << 20;

int64_t thread_count() { return std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 8); }

}  // namespace

Staging::Staging(int device) : stream_(make_stream()), pinned_(pinned_buffer(thread_count() * 2 * kPieceBytes)) {
  for (int64_t i = 0; i < 2 * thread_count(); ++i) copied_.push_back(make_event());
  half_.resize(static_cast<size_t>(thread_count()));
  for (int64_t i = 0; i < thread_count(); ++i) threads_.emplace_back([this, device, i] { work(device, i); });
}

Staging::~Staging() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Staging::copy(void* device, int64_t rows, int64_t row_bytes, const Fill& fill) {
  Job job{.device = static_cast<std::byte*>(device), .rows = rows, .row_bytes = row_bytes,
          .rows_at_once = std::max<int64_t>(1, kPieceBytes / row_bytes), .fill = &fill, .error = {}};
  job.unfinished = (rows + job.rows_at_once - 1) / job.rows_at_once;
  std::unique_lock lock(mutex_);
  job_ = &job;
  wake_.notify_all();
  done_.wait(lock, [&] { return job.unfinished == 0; });
  job_ = nullptr;
  if (job.error) std::rethrow_exception(job.error);
}

void Staging::work(int device, int64_t thread) {
  static_cast<void>(cudaSetDevice(device));  // a card that is lost is reported by the first copy
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stop_ || (job_ && job_->next < job_->rows); });
    if (stop_) return;
    Job& job = *job_;
    const int64_t begin = job.next, end = std::min(begin + job.rows_at_once, job.rows);
    job.next = end;
    const bool skip = bool(job.error);
    lock.unlock();
    std::exception_ptr error;
    try {
      if (!skip) read_piece(job, begin, end, thread);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && !job.error) job.error = error;
    if (--job.unfinished == 0) done_.notify_all();
  }
}

void Staging::read_piece(const Job& job, int64_t begin, int64_t end, int64_t thread) {
  const auto t = static_cast<size_t>(thread);
  // A row longer than a piece goes through in slices of it: rows are read whole, so they need memory of their own.
  const int64_t bytes = (end - begin) * job.row_bytes;
  std::vector<std::byte> long_row(bytes > kPieceBytes ? static_cast<size_t>(bytes) : 0);
  if (!long_row.empty()) (*job.fill)(begin, end, long_row.data());
  for (int64_t at = 0; at < bytes; at += kPieceBytes) {
    half_[t] = 1 - half_[t];
    const size_t piece = 2 * t + static_cast<size_t>(half_[t]);
    std::byte* host = pinned_.data() + static_cast<int64_t>(piece) * kPieceBytes;
    const int64_t n = std::min(kPieceBytes, bytes - at);
    check(cudaEventSynchronize(copied_[piece]), "copying weights to it");
    if (long_row.empty()) (*job.fill)(begin, end, host);
    else std::copy_n(long_row.data() + at, n, host);
    check(cudaMemcpyAsync(job.device + begin * job.row_bytes + at, host, static_cast<size_t>(n), cudaMemcpyHostToDevice, stream_),
          "copying weights to it");
    check(cudaEventRecord(copied_[piece], stream_), "copying weights to it");
  }
}

}  // namespace fude::cuda
