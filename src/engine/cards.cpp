// The table of cards, and rates from their sheets.
#include "engine/cards.h"

#include <algorithm>

#include "fude/error.h"
#include "fude/fude.h"

namespace fude {

namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int kTuringShared = 64 << 10, kAmpereShared = 99 << 10;  // bytes of one block
constexpr double kPcie3x16 = 12.5e9, kPcie4x8 = 12.5e9, kPcie4x16 = 25e9;

// Parts of the published peaks that fude's kernels for these cards (mma.sync) reach, measured on an H100 whose peak through
// mma.sync is 622 TFLOP/s: bench/RESULTS.md, 2026-11-23.
constexpr double kProduct = 353. / 622, kWideProduct = 408. / 622;  // widths of 1536, of 3072
constexpr double kAttention = 274. / 622, kLongAttention = 326. / 622,
                 kOneHead = 193. / 622;                                                // 1357 and 4429 tokens; one of 512
constexpr double kConv128 = 304. / 622, kConv256 = 375. / 622, kConv512 = 418. / 622;  // by channels
constexpr double kMemory = 2956. / 3352;
constexpr double kLaunch = 3e-6;          // seconds, in a graph
constexpr double kFromFiles = 20e9;       // bytes/s
constexpr double kIntoHostMemory = 5e9;   // bytes/s; what takes longest is that the system gives it, page by page
constexpr int64_t kContext = 538 * kMiB;  // as on an H100; smaller cards take less

}  // namespace

// Bytes of memory are those the driver reports, published rates those of the reference designs.
const std::vector<CardSheet>& card_sheets() {
  static const std::vector<CardSheet> sheets = {
      {{"rtx2060", 75, 30, kTuringShared, 1024, 6144 * kMiB, kContext}, "NVIDIA GeForce RTX 2060", 25.8e12, 336e9, kPcie3x16},
      {{"rtx3060", 86, 28, kAmpereShared, 1536, 12288 * kMiB, kContext},
       "NVIDIA GeForce RTX 3060, 12 GB",
       25.5e12,
       360e9,
       kPcie4x16},
      {{"rtx4060", 89, 24, kAmpereShared, 1536, 8188 * kMiB, kContext}, "NVIDIA GeForce RTX 4060", 30.2e12, 272e9, kPcie4x8},
      {{"rtx4060ti", 89, 34, kAmpereShared, 1536, 8188 * kMiB, kContext},
       "NVIDIA GeForce RTX 4060 Ti, 8 GB",
       44.1e12,
       288e9,
       kPcie4x8},
      {{"rtx4070", 89, 46, kAmpereShared, 1536, 12282 * kMiB, kContext}, "NVIDIA GeForce RTX 4070", 58.3e12, 504e9, kPcie4x16},
      {{"rtx4090", 89, 128, kAmpereShared, 1536, 24564 * kMiB, kContext},
       "NVIDIA GeForce RTX 4090",
       165.2e12,
       1008e9,
       kPcie4x16},
  };
  return sheets;
}

std::vector<std::string> card_names() {
  std::vector<std::string> names;
  for (const CardSheet& sheet : card_sheets()) names.push_back(sheet.card.name);
  return names;
}

const CardSheet& card_sheet(const std::string& name) {
  for (const CardSheet& sheet : card_sheets())
    if (sheet.card.name == name) return sheet;
  throw Error(Code::bad_request, {.what = "card " + name + " is not in fude's table of cards",
                                  .field = Field::card,
                                  .remedies = {{Remedy::use_one_of, Field::card, card_names()}}});
}

Rates expected_rates(const CardSheet& sheet) {
  const auto of_peak = [&](std::vector<double> parts) {
    for (double& part : parts) part *= sheet.flops;
    return parts;
  };
  return {.gemm = {{1}, {1536, 3072}, of_peak({kProduct, kWideProduct})},
          .attention = {{1357, 4429}, {64, 512}, of_peak({kAttention, kLongAttention, kOneHead, kOneHead})},
          .convolutions = {{1}, {128, 256, 512}, of_peak({kConv128, kConv256, kConv512})},
          .passes = {{1}, {1}, {kMemory * sheet.memory}},
          .launch = kLaunch,
          .upload = sheet.bus,
          .load = std::min(sheet.bus, kFromFiles),
          .host = kIntoHostMemory};
}

}  // namespace fude
