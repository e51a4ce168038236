// What a test tells the driver that stands in for NVIDIA's, and what that saw.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cuda/driver.h"
#include "cuda/kernel_lists.h"

namespace fude::test {

struct FakeKernel {
  std::vector<Parameter> parameters;
  int threads = 0;
};

struct FakeLaunch {
  std::string kernel;
  unsigned blocks = 0, shared_bytes = 0, cluster = 0;
  int card = 0;
};

struct FakeDriver {
  // Of the machine.
  int version = 0;
  int cards = 1;
  int compiled_for = 89;
  int shared_bytes = 99 << 10;
  size_t memory = size_t{1} << 30;            // of each card
  std::map<std::string, FakeKernel> kernels;  // every kernel there is

  // The failing-th call of a function returns this; where it lasts, so does every call of any function after it.
  std::string fails;
  int failing = 0;
  cuda::CUresult with = cuda::CUDA_SUCCESS;
  bool lasts = false;

  // What it saw.
  std::map<std::string, int> calls;
  std::vector<FakeLaunch> launches;
  int graph_launches = 0;
  std::string wrong;  // the first call that no driver would take
  int live = 0;       // streams, events, graphs, pieces of memory
};

// Exported by the library as "fake_driver".
using FakeDriverFunction = FakeDriver& (*)();

}  // namespace fude::test
