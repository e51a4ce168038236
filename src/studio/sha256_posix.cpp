// SHA-256 by OpenSSL.
#include <openssl/evp.h>
#include <openssl/opensslv.h>

#include <array>
#include <cstdio>

#include "fude/error.h"
#include "studio/sha256.h"

namespace fude {

std::string sha256_of(std::span<const uint8_t> bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    throw Error(Code::io, "OpenSSL cannot compute SHA-256. Check its configuration.");
  }
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", digest[i]);
    text += hex;
  }
  return text;
}

std::string sha256_library() { return "OpenSSL " OPENSSL_VERSION_STR; }

}  // namespace fude
