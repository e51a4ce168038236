// Cards that need not be here: what their maker publishes of them, and what fude should reach on them (docs/plan.md).
#pragma once

#include <string>
#include <vector>

#include "core/rates.h"
#include "cuda/cuda.h"

namespace fude {

struct CardSheet {
  AbsentCard card;
  std::string description;  // "NVIDIA GeForce RTX 4060"
  double flops = 0;         // dense f16 products with f32 sums, a second
  double memory = 0;        // bytes/s
  double bus = 0;           // bytes/s that copies from pinned memory reach on its PCIe
};

const std::vector<CardSheet>& card_sheets();
const CardSheet& card_sheet(const std::string& name);  // Error{bad_request} that names those there are

// What is published times the part of it that the same kernels reach on a card that was measured.
Rates expected_rates(const CardSheet& sheet);

}  // namespace fude
