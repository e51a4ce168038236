// A library with the driver's functions that has cards of host memory: copies are done, graphs recorded and replayed, kernels
// only written down. It refuses what NVIDIA's would: handles that it does not know, memory that nobody took, a thread without a
// context.
#include "cuda/fake_driver.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <utility>

namespace fude::cuda {

struct CUctx_st {
  int card;
};
struct CUgraph_st {
  std::vector<std::function<void()>> nodes;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> nodes;
};
struct CUevent_st {
  CUstream recorded_on = nullptr;  // while that was recorded
  int work = 0;
};
struct CUstream_st {
  int card;
  CUgraph capturing = nullptr;  // what is recorded goes there
  bool began = false;           // the recording
  int work = 0;                 // recorded so far
  bool joined = true;
};
struct CUlib_st {
  const void* image;
};
struct CUkern_st {
  std::string name;
  std::map<int, int> shared_bytes;  // by card
};

}  // namespace fude::cuda

using namespace fude::cuda;
using fude::test::FakeDriver;

namespace {

constexpr CUresult kInvalidContext = CUresult(201), kInvalidHandle = CUresult(400), kNotSupportedInCapture = CUresult(900),
                   kUnjoined = CUresult(904), kNotInitialized = CUresult(3);
constexpr unsigned kPlainSharedBytes = 48 << 10;

FakeDriver fake;
std::recursive_mutex mutex;
CUctx_st contexts[4] = {{0}, {1}, {2}, {3}};
thread_local CUcontext current = nullptr;
bool initialised = false, lost = false;
std::set<CUstream> streams;
std::set<CUevent> events;
std::set<CUgraph> graphs;
std::set<CUgraphExec> executables;
std::map<const void*, CUlibrary> libraries;
std::map<std::string, CUkernel> kernels;
std::map<uintptr_t, std::pair<size_t, int>> device_memory;  // bytes, card
std::map<void*, size_t> pinned;
size_t taken[4] = {};
int compiled_for;

CUresult wrong(const std::string& what, CUresult result) {
  if (fake.wrong.empty()) fake.wrong = what;
  return result;
}

// Whether this call fails because the test wants it to.
CUresult counted(const char* name) {
  const int n = ++fake.calls[name];
  if (lost) return fake.with;
  if (fake.fails != name || n != fake.failing) return CUDA_SUCCESS;
  lost = fake.lasts;
  return fake.with;
}

#define CALL(name)                   \
  const std::lock_guard lock(mutex); \
  if (const CUresult injected = counted(#name); injected != CUDA_SUCCESS) return injected
#define CALL_IN_CONTEXT(name) \
  CALL(name);                 \
  if (!current) return wrong(#name " by a thread without a context", kInvalidContext)
#define KNOWN(set, handle) \
  if (!set.contains(handle)) return wrong(std::string(__func__) + " of what is not there", kInvalidHandle)

bool inside(CUdeviceptr at, size_t bytes) {
  auto after = device_memory.upper_bound(static_cast<uintptr_t>(at));
  if (after == device_memory.begin()) return false;
  const auto& [begin, memory] = *--after;
  return at - begin + bytes <= memory.first;
}

// Now, or when the graph that its stream is recorded into is launched.
CUresult issue(CUstream stream, std::function<void()> work) {
  KNOWN(streams, stream);
  if (stream->card != current->card) return wrong("work on another card's stream", kInvalidHandle);
  if (!stream->capturing) return work(), CUDA_SUCCESS;
  ++stream->work;
  stream->joined = stream->began;
  stream->capturing->nodes.push_back(std::move(work));
  return CUDA_SUCCESS;
}

void end_capture(CUgraph graph) {
  for (CUstream stream : streams)
    if (stream->capturing == graph) stream->capturing = nullptr, stream->began = false, stream->joined = true;
  for (CUevent event : events) event->recorded_on = nullptr;
}

}  // namespace

extern "C" {

FakeDriver& fake_driver() {
  lost = false;
  return fake;
}

CUresult cuInit(unsigned) {
  CALL(cuInit);
  if (fake.cards == 0) return CUDA_ERROR_NO_DEVICE;
  initialised = true;
  return CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int* version) {
  CALL(cuDriverGetVersion);
  *version = fake.version;
  return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult, const char** text) {
  *text = "CUDA_ERROR_OF_THE_TEST";
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult, const char** text) {
  *text = "a made-up failure";
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int* count) {
  CALL(cuDeviceGetCount);
  if (!initialised) return wrong("cuDeviceGetCount before cuInit", kNotInitialized);
  *count = fake.cards;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  CALL(cuDeviceGet);
  if (!initialised || ordinal < 0 || ordinal >= fake.cards) return wrong("cuDeviceGet", CUDA_ERROR_INVALID_VALUE);
  *device = ordinal;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  CALL(cuDeviceGetName);
  std::strncpy(name, ("Made-up card " + std::to_string(device)).c_str(), static_cast<size_t>(length) - 1);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  CALL(cuDeviceGetAttribute);
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 24; return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = 1536; return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = fake.compiled_for / 10; return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = fake.compiled_for % 10; return CUDA_SUCCESS;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = fake.shared_bytes; return CUDA_SUCCESS;
  }
  return wrong("cuDeviceGetAttribute", CUDA_ERROR_INVALID_VALUE);
}
CUresult cuDeviceGetPCIBusId(char* bus, int length, CUdevice) {
  CALL(cuDeviceGetPCIBusId);
  std::strncpy(bus, "ffff:ff:1f.0", static_cast<size_t>(length) - 1);  // none that NVML knows
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  CALL(cuDevicePrimaryCtxRetain);
  *context = &contexts[device];
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) {
  CALL(cuCtxSetCurrent);
  current = context;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext* context) {
  CALL(cuCtxGetCurrent);
  *context = current;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice* device) {
  CALL_IN_CONTEXT(cuCtxGetDevice);
  *device = current->card;
  return CUDA_SUCCESS;
}

CUresult cuLibraryLoadData(CUlibrary* library, const void* code, int*, void**, unsigned, int*, void**, unsigned) {
  CALL_IN_CONTEXT(cuLibraryLoadData);
  if (libraries.contains(code)) return wrong("the same code was loaded twice", CUDA_ERROR_INVALID_VALUE);
  *library = libraries[code] = new CUlib_st{code};
  return CUDA_SUCCESS;
}
CUresult cuLibraryGetKernel(CUkernel* kernel, CUlibrary, const char* name) {
  CALL_IN_CONTEXT(cuLibraryGetKernel);
  if (!fake.kernels.contains(name)) return wrong(std::string("there is no kernel ") + name, CUDA_ERROR_NOT_FOUND);
  CUkernel& known = kernels[name];
  if (!known) known = new CUkern_st{name, {}};
  *kernel = known;
  return CUDA_SUCCESS;
}
CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary, const char* name) {
  CALL_IN_CONTEXT(cuLibraryGetGlobal);
  if (std::string(name) != "compiled_for") return wrong("cuLibraryGetGlobal", CUDA_ERROR_NOT_FOUND);
  compiled_for = fake.compiled_for;
  *address = address_of(&compiled_for);
  *bytes = sizeof compiled_for;
  return CUDA_SUCCESS;
}
CUresult cuKernelSetAttribute(CUfunction_attribute, int value, CUkernel kernel, CUdevice device) {
  CALL_IN_CONTEXT(cuKernelSetAttribute);
  if (value > fake.shared_bytes) return wrong(kernel->name + " wants too much shared memory", CUDA_ERROR_INVALID_VALUE);
  kernel->shared_bytes[device] = value;
  return CUDA_SUCCESS;
}
CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra) {
  CALL_IN_CONTEXT(cuLaunchKernelEx);
  const auto* kernel = reinterpret_cast<const CUkern_st*>(function);
  const fude::test::FakeKernel& expected = fake.kernels[kernel->name];
  const auto allowed = kernel->shared_bytes.find(current->card);
  const unsigned most = allowed == kernel->shared_bytes.end() ? kPlainSharedBytes : static_cast<unsigned>(allowed->second);
  const unsigned cluster = config->numAttrs == 0 ? 0 : config->attrs->value.clusterDim.x;
  if (extra || config->gridDimX == 0 || config->gridDimX > 0x7fffffff || config->gridDimY == 0 || config->gridDimY > 65535 ||
      config->gridDimZ == 0 || config->gridDimZ > 65535 || config->blockDimX != static_cast<unsigned>(expected.threads) ||
      config->blockDimY != 1 || config->blockDimZ != 1 || config->sharedMemBytes > most ||
      (cluster > 0 && config->gridDimX % cluster != 0))
    return wrong("the launch of " + kernel->name, CUDA_ERROR_INVALID_VALUE);
  std::vector<char> copy;
  for (size_t i = 0; i < expected.parameters.size(); ++i) {
    const auto [offset, bytes] = expected.parameters[i];
    const auto* const from = static_cast<const char*>(parameters[i]);
    if (from != static_cast<const char*>(parameters[0]) + offset)
      return wrong(kernel->name + "'s parameters", CUDA_ERROR_INVALID_VALUE);
    copy.insert(copy.end(), from, from + bytes);  // as the driver does; a sanitizer sees if they are fewer
  }
  const unsigned blocks = config->gridDimX * config->gridDimY * config->gridDimZ;
  return issue(config->hStream, [launch = fude::test::FakeLaunch{kernel->name, blocks, config->sharedMemBytes, cluster,
                                                                 current->card}] { fake.launches.push_back(launch); });
}

CUresult cuMemGetInfo_v2(size_t* available, size_t* total) {
  CALL_IN_CONTEXT(cuMemGetInfo);
  *total = fake.memory;
  *available = fake.memory - taken[current->card];
  return CUDA_SUCCESS;
}
CUresult cuMemAlloc_v2(CUdeviceptr* memory, size_t bytes) {
  CALL_IN_CONTEXT(cuMemAlloc);
  if (bytes == 0) return wrong("cuMemAlloc of nothing", CUDA_ERROR_INVALID_VALUE);
  if (taken[current->card] + bytes > fake.memory) return CUDA_ERROR_OUT_OF_MEMORY;
  void* const p = std::aligned_alloc(512, (bytes + 511) / 512 * 512);
  if (!p) return CUDA_ERROR_OUT_OF_MEMORY;
  device_memory[reinterpret_cast<uintptr_t>(p)] = {bytes, current->card};
  taken[current->card] += bytes;
  ++fake.live;
  *memory = address_of(p);
  return CUDA_SUCCESS;
}
CUresult cuMemFree_v2(CUdeviceptr memory) {
  const std::lock_guard lock(mutex);
  const CUresult injected = counted("cuMemFree");
  const auto found = device_memory.find(static_cast<uintptr_t>(memory));
  if (!current) return wrong("cuMemFree by a thread without a context", kInvalidContext);
  if (found == device_memory.end()) return wrong("cuMemFree of what is not there", CUDA_ERROR_INVALID_VALUE);
  taken[found->second.second] -= found->second.first;
  device_memory.erase(found);
  std::free(reinterpret_cast<void*>(memory));
  --fake.live;
  return injected;
}
CUresult cuMemAllocHost_v2(void** memory, size_t bytes) {
  CALL_IN_CONTEXT(cuMemAllocHost);
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (!*memory) return CUDA_ERROR_OUT_OF_MEMORY;
  pinned[*memory] = bytes;
  ++fake.live;
  return CUDA_SUCCESS;
}
CUresult cuMemFreeHost(void* memory) {
  const std::lock_guard lock(mutex);
  const CUresult injected = counted("cuMemFreeHost");
  if (!current) return wrong("cuMemFreeHost by a thread without a context", kInvalidContext);
  if (pinned.erase(memory) == 0) return wrong("cuMemFreeHost of what is not there", CUDA_ERROR_INVALID_VALUE);
  std::free(memory);
  --fake.live;
  return injected;
}
CUresult cuMemHostRegister_v2(void* memory, size_t bytes, unsigned flags) {
  CALL_IN_CONTEXT(cuMemHostRegister);
  if (flags != kHostRegisterPortable || pinned.contains(memory)) return wrong("cuMemHostRegister", CUDA_ERROR_INVALID_VALUE);
  pinned[memory] = bytes;
  ++fake.live;
  return CUDA_SUCCESS;
}
CUresult cuMemHostUnregister(void* memory) {
  const std::lock_guard lock(mutex);
  const CUresult injected = counted("cuMemHostUnregister");
  if (!current) return wrong("cuMemHostUnregister by a thread without a context", kInvalidContext);
  if (pinned.erase(memory) == 0) return wrong("cuMemHostUnregister of what is not there", CUDA_ERROR_INVALID_VALUE);
  --fake.live;
  return injected;
}

CUresult cuMemcpyDtoH_v2(void* host, CUdeviceptr device, size_t bytes) {
  CALL_IN_CONTEXT(cuMemcpyDtoH);
  std::memcpy(host, reinterpret_cast<const void*>(device), bytes);  // of a library's variable
  return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr device, const void* host, size_t bytes, CUstream stream) {
  CALL_IN_CONTEXT(cuMemcpyHtoDAsync);
  if (!inside(device, bytes)) return wrong("a copy to memory that nobody took", CUDA_ERROR_INVALID_VALUE);
  return issue(stream, [=] { std::memcpy(reinterpret_cast<void*>(device), host, bytes); });
}
CUresult cuMemcpyDtoHAsync_v2(void* host, CUdeviceptr device, size_t bytes, CUstream stream) {
  CALL_IN_CONTEXT(cuMemcpyDtoHAsync);
  if (!inside(device, bytes)) return wrong("a copy from memory that nobody took", CUDA_ERROR_INVALID_VALUE);
  return issue(stream, [=] { std::memcpy(host, reinterpret_cast<const void*>(device), bytes); });
}
CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream stream) {
  CALL_IN_CONTEXT(cuMemcpy2DAsync);
  const CUDA_MEMCPY2D c = *copy;
  if (c.srcMemoryType != CU_MEMORYTYPE_DEVICE || c.dstMemoryType != CU_MEMORYTYPE_HOST || c.srcPitch < c.WidthInBytes ||
      c.dstPitch < c.WidthInBytes || c.Height == 0 || !inside(c.srcDevice, (c.Height - 1) * c.srcPitch + c.WidthInBytes))
    return wrong("cuMemcpy2DAsync", CUDA_ERROR_INVALID_VALUE);
  return issue(stream, [=] {
    for (size_t row = 0; row < c.Height; ++row)
      std::memcpy(static_cast<char*>(c.dstHost) + row * c.dstPitch,
                  reinterpret_cast<const char*>(c.srcDevice) + row * c.srcPitch, c.WidthInBytes);
  });
}
CUresult cuMemsetD8Async(CUdeviceptr memory, unsigned char value, size_t count, CUstream stream) {
  CALL_IN_CONTEXT(cuMemsetD8Async);
  if (count == 0 || !inside(memory, count)) return wrong("cuMemsetD8Async", CUDA_ERROR_INVALID_VALUE);
  return issue(stream, [=] { std::memset(reinterpret_cast<void*>(memory), value, count); });
}

CUresult cuStreamCreate(CUstream* stream, unsigned flags) {
  CALL_IN_CONTEXT(cuStreamCreate);
  if (flags != CU_STREAM_NON_BLOCKING) return wrong("cuStreamCreate", CUDA_ERROR_INVALID_VALUE);
  streams.insert(*stream = new CUstream_st{current->card});
  ++fake.live;
  return CUDA_SUCCESS;
}
CUresult cuStreamDestroy_v2(CUstream stream) {
  const std::lock_guard lock(mutex);
  const CUresult injected = counted("cuStreamDestroy");
  if (!current) return wrong("cuStreamDestroy by a thread without a context", kInvalidContext);
  if (streams.erase(stream) == 0) return wrong("cuStreamDestroy of what is not there", kInvalidHandle);
  for (CUevent event : events)
    if (event->recorded_on == stream) event->recorded_on = nullptr;
  delete stream;
  --fake.live;
  return injected;
}
CUresult cuStreamSynchronize(CUstream stream) {
  CALL_IN_CONTEXT(cuStreamSynchronize);
  KNOWN(streams, stream);
  return stream->capturing ? wrong("cuStreamSynchronize while it is recorded", kNotSupportedInCapture) : CUDA_SUCCESS;
}
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  CALL_IN_CONTEXT(cuStreamWaitEvent);
  KNOWN(streams, stream);
  KNOWN(events, event);
  CUstream const from = event->recorded_on;
  if (!from || !from->capturing) return CUDA_SUCCESS;
  if (stream->capturing && stream->capturing != from->capturing)
    return wrong("two recordings are mixed", kNotSupportedInCapture);
  if (!stream->capturing) stream->capturing = from->capturing, stream->work = 0, stream->joined = false;
  if (event->work == from->work) from->joined = true;
  return CUDA_SUCCESS;
}
CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  CALL_IN_CONTEXT(cuStreamBeginCapture);
  KNOWN(streams, stream);
  if (mode != CU_STREAM_CAPTURE_MODE_THREAD_LOCAL || stream->capturing)
    return wrong("cuStreamBeginCapture", CUDA_ERROR_INVALID_VALUE);
  graphs.insert(stream->capturing = new CUgraph_st);
  ++fake.live;
  stream->began = true;
  stream->work = 0;
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  CALL_IN_CONTEXT(cuStreamEndCapture);
  KNOWN(streams, stream);
  *graph = nullptr;
  CUgraph const recorded = stream->capturing;
  if (!recorded || !stream->began) return CUresult(901);  // nothing is recorded: asked for after errors
  bool joined = true;
  for (CUstream each : streams) joined = joined && (each->capturing != recorded || each->began || each->joined);
  end_capture(recorded);
  if (!joined) {
    graphs.erase(recorded);
    delete recorded;
    --fake.live;
    return kUnjoined;
  }
  *graph = recorded;
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* event, unsigned flags) {
  CALL_IN_CONTEXT(cuEventCreate);
  if (flags != CU_EVENT_DISABLE_TIMING) return wrong("cuEventCreate", CUDA_ERROR_INVALID_VALUE);
  events.insert(*event = new CUevent_st);
  ++fake.live;
  return CUDA_SUCCESS;
}
CUresult cuEventDestroy_v2(CUevent event) {
  const std::lock_guard lock(mutex);
  const CUresult injected = counted("cuEventDestroy");
  if (!current) return wrong("cuEventDestroy by a thread without a context", kInvalidContext);
  if (events.erase(event) == 0) return wrong("cuEventDestroy of what is not there", kInvalidHandle);
  delete event;
  --fake.live;
  return injected;
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  CALL_IN_CONTEXT(cuEventRecord);
  KNOWN(events, event);
  KNOWN(streams, stream);
  event->recorded_on = stream->capturing ? stream : nullptr;
  event->work = stream->work;
  return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent event) {
  CALL_IN_CONTEXT(cuEventSynchronize);
  KNOWN(events, event);
  return event->recorded_on ? wrong("cuEventSynchronize while it is recorded", kNotSupportedInCapture) : CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  CALL_IN_CONTEXT(cuGraphInstantiate);
  KNOWN(graphs, graph);
  executables.insert(*executable = new CUgraphExec_st{graph->nodes});
  ++fake.live;
  return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  CALL_IN_CONTEXT(cuGraphLaunch);
  KNOWN(executables, executable);
  KNOWN(streams, stream);
  if (stream->capturing) return wrong("cuGraphLaunch while its stream is recorded", kNotSupportedInCapture);
  for (const auto& node : executable->nodes) node();
  ++fake.graph_launches;
  return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
  const std::lock_guard lock(mutex);
  const CUresult injected = counted("cuGraphDestroy");
  if (graphs.erase(graph) == 0) return wrong("cuGraphDestroy of what is not there", kInvalidHandle);
  delete graph;
  --fake.live;
  return injected;
}
CUresult cuGraphExecDestroy(CUgraphExec executable) {
  const std::lock_guard lock(mutex);
  const CUresult injected = counted("cuGraphExecDestroy");
  if (executables.erase(executable) == 0) return wrong("cuGraphExecDestroy of what is not there", kInvalidHandle);
  delete executable;
  --fake.live;
  return injected;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, uint32_t rank, void* address, const uint64_t* sizes,
                                const uint64_t* strides, const uint32_t* box, const uint32_t* steps, CUtensorMapInterleave,
                                CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  CALL(cuTensorMapEncodeTiled);
  bool good = reinterpret_cast<uintptr_t>(map) % 64 == 0 && reinterpret_cast<uintptr_t>(address) % 16 == 0 && rank >= 3 &&
              rank <= 5 && (type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 || type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
  for (uint32_t i = 0; i < rank; ++i) good = good && sizes[i] > 0 && box[i] > 0 && box[i] <= 256 && steps[i] == 1;
  for (uint32_t i = 0; i + 1 < rank; ++i) good = good && strides[i] % 16 == 0;
  if (!good || box[0] * 2 > 128) return wrong("cuTensorMapEncodeTiled", CUDA_ERROR_INVALID_VALUE);
  std::memset(map, 0, sizeof *map);
  return CUDA_SUCCESS;
}

}  // extern "C"
