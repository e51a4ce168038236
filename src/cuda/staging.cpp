// The threads that read pieces into the pinned buffers and issue their copies.
#include "cuda/staging.h"

#include <algorithm>
#include <utility>

#include "core/system.h"
#include "cuda/ceil_div.h"

namespace fude::cuda {

namespace {

// Of a ping-pong buffer; each thread has two: one is filled while the other is copied. Small enough to stay in a core's cache.
constexpr int64_t kPieceBytes = int64_t{1} << 20;

int64_t thread_count() {
  static const int64_t count = std::min(usable_cores(), 8);
  return count;
}

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

Staging::Job::Job(void* target, bool on_host, int64_t rows, int64_t row_bytes, Fill fill)
    : target_(static_cast<std::byte*>(target)),
      on_host_(on_host),
      rows_(rows),
      row_bytes_(row_bytes),
      rows_at_once_(std::max<int64_t>(1, kPieceBytes / row_bytes)),
      fill_(std::move(fill)),
      unfinished_(ceil_div(rows, rows_at_once_)) {}

std::shared_ptr<Staging::Job> Staging::read(Job job) {
  const auto shared = std::make_shared<Job>(std::move(job));
  if (shared->unfinished_ == 0) return shared;
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(shared);
  }
  wake_.notify_all();
  return shared;
}

void Staging::wait(Job& job) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return job.unfinished_ == 0; });
  if (job.error_) std::rethrow_exception(job.error_);
}

void Staging::work(int device, int64_t thread) {
  try {
    use_card(device, "copying weights to it");
  } catch (...) {
    // A lost card is reported by the first copy.
  }
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    const std::shared_ptr<Job> job = jobs_.front();
    const int64_t begin = job->next_;
    const int64_t end = std::min(begin + job->rows_at_once_, job->rows_);
    job->next_ = end;
    if (end == job->rows_) jobs_.pop_front();
    const bool skip = bool(job->error_);
    lock.unlock();
    std::exception_ptr error;
    try {
      if (!skip) read_piece(*job, begin, end, thread);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && !job->error_) job->error_ = error;
    if (--job->unfinished_ == 0) done_.notify_all();
  }
}

void Staging::read_piece(const Job& job, int64_t begin, int64_t end, int64_t thread) {
  if (job.on_host_) return job.fill_(begin, end, job.target_ + begin * job.row_bytes_);
  const auto t = static_cast<size_t>(thread);
  // A row longer than a piece is copied piece by piece: rows are read whole, so it needs memory of its own.
  const int64_t bytes = (end - begin) * job.row_bytes_;
  std::vector<std::byte> long_row(bytes > kPieceBytes ? static_cast<size_t>(bytes) : 0);
  if (!long_row.empty()) job.fill_(begin, end, long_row.data());
  for (int64_t at = 0; at < bytes; at += kPieceBytes) {
    half_[t] = 1 - half_[t];
    const size_t piece = 2 * t + static_cast<size_t>(half_[t]);
    std::byte* host = pinned_.data() + static_cast<int64_t>(piece) * kPieceBytes;
    const int64_t n = std::min(kPieceBytes, bytes - at);
    check(driver().cuEventSynchronize(copied_[piece]), "copying weights to it");
    if (long_row.empty()) job.fill_(begin, end, host);
    else std::copy_n(long_row.data() + at, n, host);
    check(driver().cuMemcpyHtoDAsync(address_of(job.target_ + begin * job.row_bytes_ + at), host, static_cast<size_t>(n),
                                     stream_),
          "copying weights to it");
    check(driver().cuEventRecord(copied_[piece], stream_), "copying weights to it");
  }
}

}  // namespace fude::cuda
