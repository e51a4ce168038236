// Element types of tensors and checkpoints, and their exact conversions to and from f32.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace fude {

enum class DType : uint8_t { f32, f16, bf16, f8_e4m3, u8, i32, i64, f64 };

// Bytes of one element.
constexpr int64_t size_of(DType t) {
  switch (t) {
    case DType::f64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::f16:
    case DType::bf16: return 2;
    case DType::f8_e4m3:
    case DType::u8: return 1;
  }
  return 0;
}

// "f32", "bf16" …: the names of the command line.
std::string_view name_of(DType t);

// Largest finite f16 is 65504; the rounding of both narrow types is to nearest, ties to even.
inline float from_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

inline uint16_t to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40);  // NaN stays NaN
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

float from_f16(uint16_t bits);
uint16_t to_f16(float value);

// e4m3fn: bias 7, no infinities, NaN is 0x7F and 0xFF, largest value 448.
float from_f8_e4m3(uint8_t bits);

// Converts n elements of a float dtype to f32 (or f32 to a float dtype); both buffers are contiguous and may be unaligned.
void to_f32(DType from, const void* source, float* destination, int64_t n);
void from_f32(DType to, const float* source, void* destination, int64_t n);

}  // namespace fude
