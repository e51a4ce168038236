// What the library carries for cards: that drivers from the promised one on load it, and that it has the kernels of the lists,
// with parameters of the host's sizes.
#include "cuda/machine_code.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "cuda/kernel_lists.h"

#define FUDE_DECLARE(file, LIST) extern "C" const unsigned char fude_code_##file[];
FUDE_KERNEL_FILES(FUDE_DECLARE)
#undef FUDE_DECLARE

namespace fude::cuda {
namespace {

using Bytes = std::vector<unsigned char>;

struct File {
  std::string name;
  const unsigned char* code;
  std::map<std::string, std::vector<test::Parameter>> kernels;
};
std::vector<File> files() {
  return {
#define FUDE_KERNEL(name, ...) {#name, test::parameters<__VA_ARGS__>()},
#define FUDE_FILE(file, LIST) {#file, fude_code_##file, {LIST(FUDE_KERNEL)}},
      FUDE_KERNEL_FILES(FUDE_FILE)
#undef FUDE_FILE
#undef FUDE_KERNEL
  };
}

template <class T>
T read(const unsigned char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// An LZ4 block.
Bytes decompressed(std::span<const unsigned char> from, size_t size) {
  Bytes to;
  size_t at = 0;
  const auto length = [&](size_t nibble) {
    for (unsigned char more = nibble == 15 ? 255 : 0; more == 255; nibble += more) more = from[at++];
    return nibble;
  };
  while (at < from.size()) {
    const unsigned char token = from[at++];
    const size_t literals = length(token >> 4);
    to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(at),
              from.begin() + static_cast<std::ptrdiff_t>(at + literals));
    at += literals;
    if (to.size() >= size) break;
    const size_t back = read<uint16_t>(&from[at]);
    at += 2;
    const size_t copied = length(token & 15) + 4;
    for (size_t i = 0; i < copied; ++i) to.push_back(to[to.size() - back]);
  }
  return to;
}

struct Image {
  bool is_ptx;
  int architecture;
  Bytes bytes;
};

// Of a fat binary: a header, then images with headers of their own.
std::vector<Image> images(const unsigned char* fat) {
  constexpr uint32_t kMagic = 0xba55ed50;
  constexpr uint64_t kLz4 = 0x2000, kZstd = 0x8000;  // of the flags
  EXPECT_EQ(read<uint32_t>(fat), kMagic);
  const unsigned char* at = fat + read<uint16_t>(fat + 6);
  const unsigned char* const end = at + read<uint64_t>(fat + 8);
  std::vector<Image> all;
  while (at < end) {
    const auto header = read<uint32_t>(at + 4);
    const auto flags = read<uint64_t>(at + 40);
    EXPECT_EQ(flags & kZstd, 0u) << "drivers older than 550 cannot decompress this";
    const std::span stored(at + header, (flags & kLz4) ? read<uint32_t>(at + 16) : read<uint64_t>(at + 8));
    all.push_back({read<uint16_t>(at) == 1, static_cast<int>(read<uint32_t>(at + 28)),
                   (flags & kLz4) ? decompressed(stored, read<uint64_t>(at + 56)) : Bytes(stored.begin(), stored.end())});
    at += header + read<uint64_t>(at + 8);
  }
  return all;
}

// Kernels of an ELF image, with their parameters.
std::map<std::string, std::vector<test::Parameter>> kernels_of(const Bytes& elf) {
  constexpr unsigned char kSized = 4, kParameter = 0x17;  // an entry of .nv.info that a size follows; one parameter
  const std::string kPrefix = ".nv.info.";
  const unsigned char* const sections = elf.data() + read<uint64_t>(&elf[0x28]);
  const size_t size = read<uint16_t>(&elf[0x3a]), count = read<uint16_t>(&elf[0x3c]), names = read<uint16_t>(&elf[0x3e]);
  const unsigned char* const texts = elf.data() + read<uint64_t>(sections + names * size + 0x18);
  std::map<std::string, std::vector<test::Parameter>> found;
  for (size_t i = 0; i < count; ++i) {
    const unsigned char* const section = sections + i * size;
    const std::string name = reinterpret_cast<const char*>(texts + read<uint32_t>(section));
    if (!name.starts_with(kPrefix)) continue;
    const unsigned char* at = elf.data() + read<uint64_t>(section + 0x18);
    const unsigned char* const end = at + read<uint64_t>(section + 0x20);
    while (at < end) {
      const size_t bytes = at[0] == kSized ? read<uint16_t>(at + 2) : 0;
      if (at[0] == kSized && at[1] == kParameter) {  // the last comes first
        std::vector<test::Parameter>& all = found[name.substr(kPrefix.size())];
        all.insert(all.begin(), {read<uint16_t>(at + 10), read<uint32_t>(at + 12) >> 18});
      }
      at += 4 + bytes;
    }
  }
  for (auto& [name, all] : found)  // aligned, they begin later in their bank
    for (size_t first = all.front().offset; test::Parameter & each : all) each.offset -= first;
  return found;
}

class MachineCode : public testing::Test {
 protected:
  void SetUp() override {
    if (!*kMadeByCuda) GTEST_SKIP() << "this build has none";
  }
};

TEST_F(MachineCode, IsLoadedByThePromisedDriver) {
  const bool old = kNeededDriver.number == 525;
  for (const File& file : files())
    for (const Image& image : images(file.code)) {
      SCOPED_TRACE(file.name + " for " + std::to_string(image.architecture));
      if (image.is_ptx) {
        const std::string text(image.bytes.begin(), image.bytes.end());
        EXPECT_NE(text.find(".version 8.0\n"), std::string::npos) << text.substr(0, 400);
        EXPECT_NE(text.find(".target sm_" + std::to_string(image.architecture)), std::string::npos);
      } else {
        ASSERT_EQ(read<uint32_t>(image.bytes.data()), 0x464c457fu);  // "\x7f" "ELF"
        // Machine code for Blackwell is of the new ABI whoever writes it; drivers that know those cards read it.
        const bool old_abi = old && image.architecture < 100;
        EXPECT_EQ(image.bytes[7], old_abi ? 0x33 : 0x41);  // OS/ABI
        EXPECT_EQ(image.bytes[8], old_abi ? 7 : 8);        // its version
      }
    }
}

TEST_F(MachineCode, HasTheKernelsOfTheListsWithTheHostsParameters) {
  for (const File& file : files())
    for (const Image& image : images(file.code)) {
      SCOPED_TRACE(file.name + " for " + std::to_string(image.architecture));
      if (!image.is_ptx) {
        EXPECT_EQ(kernels_of(image.bytes), file.kernels);
        continue;
      }
      const std::string text(image.bytes.begin(), image.bytes.end());
      for (const auto& [name, parameters] : file.kernels)
        EXPECT_NE(text.find(".entry " + name + "("), std::string::npos) << name;
    }
}

}  // namespace
}  // namespace fude::cuda
