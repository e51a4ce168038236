// Choosing the row kernels of this processor, and handing GEMMs and attention to oneDNN or AMX.
#include "cpu/cpu_device.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "core/thread_team.h"
#include "cpu/onednn_ops.h"
#include "cpu/rows.h"

namespace fude {

namespace {

using cpu::Curve;
using cpu::row_kernels;
using cpu::Span;

bool is_row_dtype(const Tensor& t) { return t.dtype == DType::f32 || t.dtype == DType::bf16; }

// The rows of a tensor: contiguous columns, everything else strided.
struct Rows {
  explicit Rows(const Tensor& tensor) : t(tensor), count(tensor.numel() / tensor.dim(-1)), width(tensor.dim(-1)) {}

  Span operator[](int64_t index) const {
    int64_t offset = 0;
    for (int i = t.rank - 2; i >= 0; --i) {
      offset += index % t.dim(i) * t.stride[static_cast<size_t>(i)];
      index /= t.dim(i);
    }
    return {static_cast<char*>(t.data) + offset * size_of(t.dtype), t.dtype == DType::bf16};
  }

  const Tensor& t;
  int64_t count, width;
};

// Row `index` of x [b, rows, d] belongs to this row of a per-batch vector [b, d].
const float* batch_row(const Tensor& vectors, const Tensor& x, int64_t index) {
  return vectors.as<float>() + index / x.dim(1) * vectors.stride[0];
}

}  // namespace

CpuDevice::CpuDevice(int threads) : team_(std::make_unique<ThreadTeam>(threads)), products_(std::make_unique<Products>()) {}

CpuDevice::~CpuDevice() = default;

int CpuDevice::processors() const { return team_->size(); }

DType CpuDevice::compute_dtype(DType wanted) const {
  return wanted == DType::bf16 && cpu::multiplies_bf16() ? DType::bf16 : DType::f32;
}

void CpuDevice::do_copy(const Tensor& out, const Tensor& x) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceDevice::do_copy(out, x);
  const Rows to(out), from(x);
  team_->run_ranges(from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().convert(to[r], from[r], from.width);
  });
}

bool CpuDevice::do_all_finite(const Tensor& x) {
  if (!is_row_dtype(x)) return ReferenceDevice::do_all_finite(x);
  const Rows rows(x);
  std::atomic<bool> finite = true;
  team_->run_ranges(rows.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end && finite; ++r)
      if (!row_kernels().finite(rows[r], rows.width)) finite = false;
  });
  return finite;
}

void CpuDevice::do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceDevice::do_layer_norm(out, x, norm, eps);
  const Rows to(out), from(x);
  team_->run_ranges(from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row_kernels().layer_norm(to[r], from[r], from.width, norm.weight.as<float>(), norm.bias.as<float>(), nullptr, nullptr,
                               eps);
  });
}

void CpuDevice::do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceDevice::do_norm_modulate(out, x, shift, scale, eps);
  const Rows to(out), from(x);
  team_->run_ranges(from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row_kernels().layer_norm(to[r], from[r], from.width, nullptr, nullptr, batch_row(scale, x, r), batch_row(shift, x, r),
                               eps);
  });
}

void CpuDevice::do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceDevice::do_rms_norm(out, x, weight, eps);
  const Rows to(out), from(x);
  team_->run_ranges(from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().rms_norm(to[r], from[r], from.width, weight.as<float>(), eps);
  });
}

void CpuDevice::do_group_sums(const Tensor& sums, const Tensor& x) {
  if (!is_row_dtype(x)) return ReferenceDevice::do_group_sums(sums, x);
  const int64_t channels = x.dim(3);
  const int64_t pixels = x.dim(1) * x.dim(2);
  const int64_t pieces = sums.dim(1);
  const Rows from(x);
  team_->run_ranges(x.dim(0) * pieces, [&](int64_t first, int64_t last) {
    // Columns are summed in f32 over few pixels at a time, those sums in f64.
    constexpr int64_t kFew = 64;
    std::vector<float> few(static_cast<size_t>(2 * channels));
    std::vector<double> total(few.size());
    for (int64_t i = first; i < last; ++i) {
      const int64_t picture = i / pieces * pixels, piece = i % pieces;
      const int64_t begin = picture + piece * pixels / pieces, end = picture + (piece + 1) * pixels / pieces;
      std::fill(total.begin(), total.end(), 0.0);
      for (int64_t p = begin; p < end; p += kFew) {
        std::fill(few.begin(), few.end(), 0.0f);
        for (int64_t q = p; q < std::min(p + kFew, end); ++q)
          row_kernels().accumulate(from[q], channels, few.data(), few.data() + channels);
        for (size_t c = 0; c < few.size(); ++c) total[c] += few[c];
      }
      std::transform(total.begin(), total.end(), sums.as<float>() + i * 2 * channels,
                     [](double sum) { return static_cast<float>(sum); });
    }
  });
}

void CpuDevice::do_scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceDevice::do_scale_shift(out, x, factors, activation);
  const int64_t channels = x.dim(3);
  const int64_t pixels = x.dim(1) * x.dim(2);
  const Rows to(out), from(x);
  team_->run_ranges(from.count, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const float* factor = factors.as<float>() + p / pixels * 2 * channels;
      row_kernels().affine(to[p], from[p], channels, factor, factor + channels, static_cast<Curve>(activation));
    }
  });
}

void CpuDevice::do_activate(const Tensor& out, const Tensor& x, Activation activation) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceDevice::do_activate(out, x, activation);
  const Rows to(out), from(x);
  team_->run_ranges(from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().activate(to[r], from[r], from.width, static_cast<Curve>(activation));
  });
}

void CpuDevice::do_add(const Tensor& x, const Tensor& y) {
  if (!is_row_dtype(x) || !is_row_dtype(y)) return ReferenceDevice::do_add(x, y);
  const Rows a(x), b(y);
  team_->run_ranges(a.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().add(a[r], b[r], a.width);
  });
}

void CpuDevice::do_multiply(const Tensor& x, const Tensor& y) {
  if (!is_row_dtype(x) || !is_row_dtype(y)) return ReferenceDevice::do_multiply(x, y);
  const Rows a(x), b(y);
  team_->run_ranges(a.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().multiply(a[r], b[r], a.width);
  });
}

void CpuDevice::do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) {
  if (!is_row_dtype(x) || !is_row_dtype(y)) return ReferenceDevice::do_add_gated(x, gate, y);
  const Rows a(x), b(y);
  team_->run_ranges(a.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().add_gated(a[r], batch_row(gate, x, r), b[r], a.width);
  });
}

void CpuDevice::do_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceDevice::do_modulate(out, x, shift, scale);
  const Rows to(out), from(x);
  team_->run_ranges(from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row_kernels().modulate(to[r], from[r], from.width, batch_row(scale, x, r), batch_row(shift, x, r));
  });
}

}  // namespace fude
