// The host's device plays a GPU with a memory of its own; its transfers end as early or as late as they may.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cpu/cpu_device.h"
#include "fude/error.h"
#include "quiet.h"

namespace fude::test {

// How the GPU of a test behaves, and what it saw.
struct Card {
  int64_t capacity = int64_t{1} << 30;
  bool copies_late = false;    // when they are awaited; else as soon as they are asked for
  int64_t fails_at = -1;       // the allocation or copy that fails
  bool fails_packing = false;  // to the host
  int64_t events = 0;          // allocations and copies so far
  int64_t live = 0, most = 0;  // bytes
  int64_t packed_to_host = 0;  // bytes of weights

  void count(const char* doing, Code code) {
    if (events++ == fails_at) throw Error(code, std::string("the test's card failed while ") + doing);
  }
};

class FakeCard : public Quiet<CpuDevice> {
 public:
  explicit FakeCard(Card& card) : Quiet<CpuDevice>(1), card_(card) {}

  bool on_host() const override { return false; }
  DeviceMemory device_memory() const override { return {card_.capacity, card_.capacity - card_.live}; }

  Buffer allocate(int64_t bytes) override {
    card_.count("taking memory", Code::out_of_memory);
    if (card_.live + bytes > card_.capacity) throw Error(Code::out_of_memory, "the test's card is full");
    Buffer memory = host_buffer(bytes);
    if (bytes == 0) return memory;
    card_.live += bytes;
    card_.most = std::max(card_.most, card_.live);
    const std::lock_guard lock(mutex);
    allocations[memory.data()] = {&card_, bytes};
    return {memory.release(), bytes, [](std::byte* p) {
              const std::lock_guard freeing(mutex);
              allocations[p].card->live -= allocations[p].bytes;
              free_host_buffer(p);
            }};
  }

  std::unique_ptr<Transfer> begin_transfer(Side side) override {
    return std::make_unique<TestTransfer>(card_, side, CpuDevice::begin_transfer(side));
  }

 private:
  // Copies come when they are waited for, or as soon as they are asked for.
  class TestTransfer : public Transfer {
   public:
    TestTransfer(Card& card, Side side, std::unique_ptr<Transfer> on_host)
        : card_(card), side_(side), on_host_(std::move(on_host)) {}
    ~TestTransfer() override { end(); }

    Weight pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* memory) override {
      issue([=, this] {
        if (side_ == Side::host && card_.fails_packing) throw Error(Code::io, "the test's card failed while packing");
        if (side_ == Side::host) card_.packed_to_host += bytes_of(format, shape.out, shape.row());
        on_host_->pack(shape, format, read, memory);
      });
      return {memory, format, shape};
    }
    Tensor pack_vector(int64_t n, const ReadRows& read, void* memory) override {
      issue([=, this] { on_host_->pack_vector(n, read, memory); });
      return Tensor::of(memory, DType::f32, {n});
    }
    void copy(void* device, const void* host, int64_t bytes) override {
      issue([=, this] { on_host_->copy(device, host, bytes); });
    }
    void wait() override {
      end();
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

   private:
    void issue(std::function<void()> copy) {
      copies_.push_back(std::move(copy));
      if (!card_.copies_late) end();
    }
    void end() {
      for (const auto& copy : std::exchange(copies_, {})) try {
          card_.count("copying weights", Code::io);
          copy();
        } catch (...) {
          error_ = std::current_exception();
        }
    }

    Card& card_;
    const Side side_;
    std::unique_ptr<Transfer> on_host_;
    std::vector<std::function<void()>> copies_;
    std::exception_ptr error_;
  };

  Card& card_;
  struct Allocation {
    Card* card = nullptr;
    int64_t bytes = 0;
  };
  static inline std::mutex mutex;  // several cards may be in use at once, each on its own thread
  static inline std::map<std::byte*, Allocation> allocations;
};

}  // namespace fude::test
