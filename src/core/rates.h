// What a machine reaches, and how long an operation takes at that: how a request's seconds are known before it is drawn. A dry
// run that is given rates (core/ops.h) adds up the seconds of the operations it is asked for.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"
#include "core/weight.h"

namespace fude {

// Rates at the points of a grid. Between them the logarithm of the rate is interpolated over the logarithms of the sizes;
// beyond them the nearest holds.
struct RateTable {
  std::vector<double> x, y;   // ascending
  std::vector<double> rates;  // of x[i] and y[j] at [j·x.size() + i]

  double at(double at_x, double at_y) const;
};

// Seconds that the stages of the last few requests on this machine took, in units of what the rates below predicted; the newest
// last.
struct StageRatios {
  std::vector<double> load;            // of weights that all stay on the device
  std::vector<double> host_offloaded;  // of loading where some are host-offloaded
  std::vector<double> encode, denoise, decode;
};

double median_of(const std::vector<double>& ratios);  // one disturbed request does not move it; 1 of none

struct Rates {
  RateTable gemm;          // FLOP/s by rows and by √(inputs·outputs)
  RateTable attention;     // FLOP/s by keys and by a head's columns
  RateTable convolutions;  // FLOP/s by pixels of the result and by √(channels in·channels out)
  RateTable passes;        // bytes/s, read and written, by their number (y: 1): norms and elementwise operations
  double launch = 0;       // seconds that every operation takes besides
  double upload = 0;       // bytes/s from pinned host memory to a card; 0: weights are where they are used
  double load = 0;         // bytes/s of weights, from a file that is in the system's cache to where they are used
  double host = 0;         // bytes/s of weights, from such a file to pinned host memory; 0 without upload
  StageRatios stage_ratios;
};

// Seconds of one operation each, but of a GEMM without its launch: several may share one. `rows_at_once`: theirs and its
// own.
double gemm_seconds(const Rates& rates, const Tensor& out, const Tensor& x, const Weight& weight, int64_t rows_at_once);
double attention_seconds(const Rates& rates, const Tensor& q, const Tensor& k, int64_t heads);
double convolution_seconds(const Rates& rates, const Tensor& out, const Tensor& x, const Weight& weight);
double pass_seconds(const Rates& rates, int64_t bytes);  // what limits it is memory

}  // namespace fude
