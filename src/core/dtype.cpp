// Conversions of whole buffers between element types, and their names.
#include "core/dtype.h"

#include <array>
#include <cmath>

#include "fude/error.h"

namespace fude {

std::string_view name_of(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
    case DType::f8_e4m3: return "f8_e4m3";
    case DType::u8: return "u8";
    case DType::i32: return "i32";
    case DType::i64: return "i64";
    case DType::f64: return "f64";
  }
  return "?";
}

namespace {

// Moves exponent and mantissa into f32's fields and lets one multiplication by 2^112 fix the bias: subnormals come out exact. A
// select instead of a branch (infinity and NaN) lets compilers vectorise loops over this.
inline float widen_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t rest = static_cast<uint32_t>(bits & 0x7fff) << 13;
  const uint32_t scaled = std::bit_cast<uint32_t>(std::bit_cast<float>(rest) * 0x1p112f);
  return std::bit_cast<float>(sign | scaled | (rest >= 0x0f800000u ? 0x7f800000u : 0u));
}

}  // namespace

float from_f16(uint16_t bits) { return widen_f16(bits); }

uint16_t to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00;   // NaN
  if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {                       // below 2^-14: the sum's last bit weighs 2^-24, a subnormal's unit
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(shifted) - 0x3f000000u);
  }
  return sign | static_cast<uint16_t>((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1)) >> 13);
}

float from_f8_e4m3(uint8_t bits) {
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  float value;
  if ((bits & 0x7f) == 0x7f) value = std::nanf("");
  else if (exponent == 0) value = std::ldexp(static_cast<float>(mantissa), -9);
  else value = std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return bits & 0x80 ? -value : value;
}

namespace {

template <class T, class Convert>
void convert_in(const void* source, float* destination, int64_t n, Convert convert) {
  const auto* bytes = static_cast<const unsigned char*>(source);
  for (int64_t i = 0; i < n; ++i) {
    T element;
    std::memcpy(&element, bytes + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    destination[i] = convert(element);
  }
}

template <class T, class Convert>
void convert_out(const float* source, void* destination, int64_t n, Convert convert) {
  auto* bytes = static_cast<unsigned char*>(destination);
  for (int64_t i = 0; i < n; ++i) {
    const T element = convert(source[i]);
    std::memcpy(bytes + i * static_cast<int64_t>(sizeof(T)), &element, sizeof(T));
  }
}

const std::array<float, 256>& f8_table() {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> t{};
    for (int i = 0; i < 256; ++i) t[static_cast<size_t>(i)] = from_f8_e4m3(static_cast<uint8_t>(i));
    return t;
  }();
  return table;
}

}  // namespace

void to_f32(DType from, const void* source, float* destination, int64_t n) {
  if (n == 0) return;  // and perhaps no memory at all
  switch (from) {
    case DType::f32: std::memcpy(destination, source, static_cast<size_t>(n) * 4); return;
    case DType::f16: convert_in<uint16_t>(source, destination, n, widen_f16); return;
    case DType::bf16: convert_in<uint16_t>(source, destination, n, from_bf16); return;
    case DType::f8_e4m3: {
      const auto& table = f8_table();
      convert_in<uint8_t>(source, destination, n, [&](uint8_t bits) { return table[bits]; });
      return;
    }
    case DType::f64: convert_in<double>(source, destination, n, [](double v) { return static_cast<float>(v); }); return;
    default:
      throw Error(Code::bad_checkpoint,
                  "a tensor of type " + std::string(name_of(from)) + " was found where numbers with a fraction are needed");
  }
}

void from_f32(DType to, const float* source, void* destination, int64_t n) {
  if (n == 0) return;
  switch (to) {
    case DType::f32: std::memcpy(destination, source, static_cast<size_t>(n) * 4); return;
    case DType::f16: convert_out<uint16_t>(source, destination, n, to_f16); return;
    case DType::bf16: convert_out<uint16_t>(source, destination, n, to_bf16); return;
    default: throw Error(Code::bad_request, "cannot convert to " + std::string(name_of(to)));
  }
}

}  // namespace fude
