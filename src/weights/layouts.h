// A layout under which a component is published: a table from stored to canonical names, recognised by a signature tensor.
//
// Canonical: the transformer as Stability AI published it (fused qkv, shift before scale everywhere), the VAE as in diffusers,
// the text encoders as in Hugging Face transformers; always without a prefix.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fude {

// How the stored tensors of a row become canonical.
enum class Op {
  concat,       // rows one after the other; a single tensor as it is
  swap_halves,  // (scale, shift) becomes (shift, scale)
  squeeze,      // dimensions of 1 are left out: a 1×1 convolution is a matrix, the table of positions has no batch
};

// Patterns may hold {i} and {j} (block numbers), {last} (the last block), {last-i} (counted from the end), {s} (a word up to
// the next dot) and, at the end, {t} (the rest).
struct Row {
  std::string_view canonical;
  std::array<std::string_view, 3> stored;
  Op op = Op::concat;
};

// Where a component was found decides whether CLIP-L's projection counts (spec: only in a folder).
enum class Origin { folder, file };

struct Layout {
  std::string_view name;
  std::span<const Origin> origins;
  std::span<const std::string_view> prefixes;  // tried in order
  std::string_view signature;                  // stored: a tensor that only this layout has
  std::string_view blocks;                     // stored: the pattern whose {i} counts the blocks
  std::span<const Row> rows;                   // of several that fit, the first whose tensors all exist
  std::span<const std::string_view> ignored;   // stored: patterns of tensors that are not needed
};

// What tables of layouts share.
inline constexpr Origin kAnywhere[] = {Origin::folder, Origin::file};
inline constexpr Origin kFolder[] = {Origin::folder};
inline constexpr Origin kFile[] = {Origin::file};
inline constexpr std::string_view kBare[] = {""};
inline constexpr Row kAsOurs[] = {{"{t}", {"{t}"}}};
// Left over from ComfyUI's scaled fp8: it says that scales exist, and the scales themselves are found beside their weights.
inline constexpr std::string_view kScaledMarker = "scaled_fp8";

// One way to make a canonical tensor.
struct Recipe {
  Op op;
  std::vector<std::string> names;  // stored
};

// All ways to make `canonical`, in order of preference. Empty: the layout has no such tensor.
std::vector<Recipe> recipes(const Layout& layout, std::string_view canonical, int64_t blocks);

bool is_ignored(const Layout& layout, std::string_view stored_name);
// The same for tensors of a single file that stand outside every component.
bool is_ignored_outside(std::string_view stored);

// One more than the highest {i} of `pattern` among the names.
int64_t count_blocks(std::string_view pattern, const std::vector<std::string_view>& names);

}  // namespace fude
