// Opening the driver's library, and its failures as Errors.
#include "cuda/driver.h"

#include "core/system.h"
#include "fude/error.h"

namespace fude::cuda {

namespace {

#ifdef _WIN32
constexpr const char* kDriver = "nvcuda.dll";
constexpr const char* kNvml = "nvml.dll";
#else
constexpr const char* kDriver = "libcuda.so.1";
constexpr const char* kNvml = "libnvidia-ml.so.1";
#endif

Driver open(const char* library) {
  Driver d;
#define FUDE_FIND(name, symbol, parameters)                                        \
  d.name = reinterpret_cast<decltype(d.name)>(library_function(library, #symbol)); \
  if (!d.name && d.lacking.empty()) d.lacking = #symbol;
  FUDE_DRIVER_FUNCTIONS(FUDE_FIND)
#undef FUDE_FIND
  if (!d.cuDriverGetVersion || d.cuDriverGetVersion(&d.cuda) != CUDA_SUCCESS) d.cuda = 0;
  return d;
}

bool replaced = false;
Driver& opened() {
  static Driver d = open(kDriver);
  return d;
}

}  // namespace

const Driver& driver() { return opened(); }

void replace_driver(const char* library) {
  opened() = open(library);
  replaced = true;
}
bool driver_is_replaced() { return replaced; }

std::string driver_number() {
  using Init = int (*)();
  using Version = int (*)(char*, unsigned);
  static const auto init = reinterpret_cast<Init>(library_function(kNvml, "nvmlInit_v2"));
  static const auto version = reinterpret_cast<Version>(library_function(kNvml, "nvmlSystemGetDriverVersion"));
  char text[80] = "";
  if (!init || !version || init() != 0 || version(text, sizeof text) != 0) return "";
  return text;
}

std::string text_of(CUresult result) {
  const char *name = nullptr, *meaning = nullptr;
  static_cast<void>(driver().cuGetErrorName(result, &name));
  static_cast<void>(driver().cuGetErrorString(result, &meaning));
  return name && meaning ? std::string(name) + " (" + meaning + ")" : "error " + std::to_string(result);
}

void check(CUresult result, const char* doing) {
  if (result == CUDA_SUCCESS) return;
  if (result == CUDA_ERROR_OUT_OF_MEMORY)
    throw Error(Code::out_of_memory,
                {.what = std::string("the card ran out of memory while ") + doing + ". Ask for a smaller picture.",
                 .remedies = {{Remedy::close_other_programs}}});
  throw Error(Code::device, {.what = std::string("the card failed while ") + doing + ": " + text_of(result) +
                                     ". Start fude again, and if it happens again look at the driver's log.",
                             .field = Field::device,
                             .remedies = {{Remedy::use_value, Field::device, {"cpu"}}}});
}

}  // namespace fude::cuda
