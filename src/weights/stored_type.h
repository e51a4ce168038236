// The element types of the safetensors format, listed once.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dtype.h"

namespace fude {

struct StoredType {
  std::string_view name;
  uint64_t bits;
  std::optional<DType> dtype;  // none: a file may hold it, but fude does not compute with it
};

inline constexpr StoredType kStoredTypes[] = {
    {"F32", 32, DType::f32}, {"F16", 16, DType::f16}, {"BF16", 16, DType::bf16}, {"F8_E4M3", 8, DType::f8_e4m3},
    {"U8", 8, DType::u8},    {"I32", 32, DType::i32}, {"I64", 64, DType::i64},   {"F64", 64, DType::f64},
    {"BOOL", 8, {}},         {"I8", 8, {}},           {"I16", 16, {}},           {"U16", 16, {}},
    {"U32", 32, {}},         {"U64", 64, {}},         {"C64", 64, {}},           {"F8_E5M2", 8, {}},
    {"F8_E8M0", 8, {}},      {"F6_E2M3", 6, {}},      {"F6_E3M2", 6, {}},        {"F4", 4, {}},
    {"F8_E4M3FNUZ", 8, {}},  {"F8_E5M2FNUZ", 8, {}},
};

constexpr const StoredType* find_stored_type(std::string_view name) {
  for (const StoredType& type : kStoredTypes)
    if (type.name == name) return &type;
  return nullptr;
}

constexpr const StoredType* find_stored_type(DType dtype) {
  for (const StoredType& type : kStoredTypes)
    if (type.dtype == dtype) return &type;
  return nullptr;
}

}  // namespace fude
