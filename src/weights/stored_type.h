// The element types that files may hold, listed once, under safetensors' names.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dtype.h"

namespace fude {

struct StoredType {
  std::string_view name;
  uint64_t block, block_bytes;  // elements that are stored together, and what they take
  std::optional<DType> dtype;   // none: a file may hold it, but fude does not compute with it

  constexpr uint64_t bytes_of(uint64_t elements) const { return elements / block * block_bytes; }  // of whole blocks
};

inline constexpr StoredType kStoredTypes[] = {
    {"F32", 1, 4, DType::f32}, {"F16", 1, 2, DType::f16}, {"BF16", 1, 2, DType::bf16}, {"F8_E4M3", 1, 1, DType::f8_e4m3},
    {"U8", 1, 1, DType::u8},   {"I32", 1, 4, DType::i32}, {"I64", 1, 8, DType::i64},   {"F64", 1, 8, DType::f64},
    {"BOOL", 1, 1, {}},        {"I8", 1, 1, {}},          {"I16", 1, 2, {}},           {"U16", 1, 2, {}},
    {"U32", 1, 4, {}},         {"U64", 1, 8, {}},         {"C64", 1, 8, {}},           {"F8_E5M2", 1, 1, {}},
    {"F8_E8M0", 1, 1, {}},     {"F6_E2M3", 4, 3, {}},     {"F6_E3M2", 4, 3, {}},       {"F4", 2, 1, {}},
    {"F8_E4M3FNUZ", 1, 1, {}}, {"F8_E5M2FNUZ", 1, 1, {}},
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
