// SHA-256 by Windows.
#include <windows.h>
// after windows.h
#include <bcrypt.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "fude/error.h"
#include "studio/sha256.h"

namespace fude {
namespace {

void check(NTSTATUS status) {
  if (status < 0) throw Error(Code::io, "Windows cannot compute SHA-256. Check its system files: sfc /scannow.");
}

class Hash {
 public:
  Hash() {
    check(BCryptOpenAlgorithmProvider(&algorithm_, BCRYPT_SHA256_ALGORITHM, nullptr, 0));
    check(BCryptCreateHash(algorithm_, &hash_, nullptr, 0, nullptr, 0, 0));
  }
  ~Hash() {
    if (hash_) BCryptDestroyHash(hash_);
    if (algorithm_) BCryptCloseAlgorithmProvider(algorithm_, 0);
  }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;

  void add(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const size_t n = std::min<size_t>(bytes.size(), std::numeric_limits<ULONG>::max());
      check(BCryptHashData(hash_, const_cast<PUCHAR>(bytes.data()), static_cast<ULONG>(n), 0));
      bytes = bytes.subspan(n);
    }
  }
  std::array<uint8_t, 32> digest() {
    std::array<uint8_t, 32> digest;
    check(BCryptFinishHash(hash_, digest.data(), static_cast<ULONG>(digest.size()), 0));
    return digest;
  }

 private:
  BCRYPT_ALG_HANDLE algorithm_ = nullptr;
  BCRYPT_HASH_HANDLE hash_ = nullptr;
};

}  // namespace

std::string sha256_of(std::span<const uint8_t> bytes) {
  Hash hash;
  hash.add(bytes);
  std::string text;
  for (const uint8_t byte : hash.digest()) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", byte);
    text += hex;
  }
  return text;
}

std::string sha256_library() { return "BCrypt of Windows"; }

}  // namespace fude
