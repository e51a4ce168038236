#include "cpu/cpu_backend.h"

#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/products.h"
#include "cpu/rows.h"

namespace fude {

namespace {

using cpu::Curve;
using cpu::parallel_ranges;
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

CpuBackend::CpuBackend(int threads) : threads_(threads > 0 ? threads : omp_get_num_procs()) {
  omp_set_num_threads(threads_);
  products_ = std::make_unique<Products>();
}

CpuBackend::~CpuBackend() = default;

DType CpuBackend::compute_dtype(DType wanted) const {
  return wanted == DType::bf16 && cpu::multiplies_bf16() ? DType::bf16 : DType::f32;
}

void CpuBackend::do_copy(const Tensor& out, const Tensor& x) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceBackend::do_copy(out, x);
  const Rows to(out), from(x);
  parallel_ranges(threads_, from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().convert(to[r], from[r], from.width);
  });
}

bool CpuBackend::do_all_finite(const Tensor& x) {
  if (!is_row_dtype(x)) return ReferenceBackend::do_all_finite(x);
  const Rows rows(x);
  std::atomic<bool> finite = true;
  parallel_ranges(threads_, rows.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end && finite; ++r)
      if (!row_kernels().finite(rows[r], rows.width)) finite = false;
  });
  return finite;
}

void CpuBackend::do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceBackend::do_layer_norm(out, x, norm, eps);
  const Rows to(out), from(x);
  parallel_ranges(threads_, from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row_kernels().layer_norm(to[r], from[r], from.width, norm.weight.as<float>(), norm.bias.as<float>(), nullptr, nullptr, eps);
  });
}

void CpuBackend::do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceBackend::do_norm_modulate(out, x, shift, scale, eps);
  const Rows to(out), from(x);
  parallel_ranges(threads_, from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row_kernels().layer_norm(to[r], from[r], from.width, nullptr, nullptr, batch_row(scale, x, r), batch_row(shift, x, r), eps);
  });
}

void CpuBackend::do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceBackend::do_rms_norm(out, x, weight, eps);
  const Rows to(out), from(x);
  parallel_ranges(threads_, from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().rms_norm(to[r], from[r], from.width, weight.as<float>(), eps);
  });
}

void CpuBackend::do_group_norm(const GroupNormCall& call, void* workspace) {
  const Tensor &x = call.x, &out = call.out;
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceBackend::do_group_norm(call, workspace);
  const int64_t channels = x.dim(3), pixels = x.dim(1) * x.dim(2), width = channels / call.groups;
  const auto c = static_cast<size_t>(channels);
  const Rows to(out), from(x);
  for (int64_t n = 0; n < x.dim(0); ++n) {
    // Per thread: columns summed in f32 over few pixels at a time, those sums in f64.
    std::vector<double> totals(static_cast<size_t>(threads_) * 2 * c);
    std::atomic<size_t> piece = 0;
    parallel_ranges(threads_, pixels, [&](int64_t begin, int64_t end) {
      constexpr int64_t kFew = 64;
      double* total = totals.data() + piece++ * 2 * c;
      std::vector<float> sums(2 * c);
      for (int64_t p = begin; p < end; p += kFew) {
        std::fill(sums.begin(), sums.end(), 0.0f);
        for (int64_t i = p; i < std::min(p + kFew, end); ++i)
          row_kernels().accumulate(from[n * pixels + i], channels, sums.data(), sums.data() + c);
        for (size_t i = 0; i < 2 * c; ++i) total[i] += sums[i];
      }
    });
    std::vector<float> factor(c), offset(c);
    for (int64_t g = 0; g < call.groups; ++g) {
      double sum = 0, squares = 0;
      for (size_t t = 0; t < static_cast<size_t>(threads_); ++t)
        for (int64_t i = g * width; i < (g + 1) * width; ++i) {
          sum += totals[t * 2 * c + static_cast<size_t>(i)];
          squares += totals[t * 2 * c + c + static_cast<size_t>(i)];
        }
      const double count = static_cast<double>(pixels * width), mean = sum / count;
      const double inverse = 1.0 / std::sqrt(std::max(squares / count - mean * mean, 0.0) + call.eps);
      for (int64_t i = g * width; i < (g + 1) * width; ++i) {
        const auto k = static_cast<size_t>(i);
        factor[k] = static_cast<float>(inverse * call.norm.weight.as<float>()[i]);
        offset[k] = static_cast<float>(call.norm.bias.as<float>()[i] - mean * inverse * call.norm.weight.as<float>()[i]);
      }
    }
    parallel_ranges(threads_, pixels, [&](int64_t begin, int64_t end) {
      for (int64_t p = n * pixels + begin; p < n * pixels + end; ++p)
        row_kernels().affine(to[p], from[p], channels, factor.data(), offset.data(), static_cast<Curve>(call.activation));
    });
  }
}

void CpuBackend::do_activate(const Tensor& out, const Tensor& x, Activation activation) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceBackend::do_activate(out, x, activation);
  const Rows to(out), from(x);
  parallel_ranges(threads_, from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().activate(to[r], from[r], from.width, static_cast<Curve>(activation));
  });
}

void CpuBackend::do_add(const Tensor& x, const Tensor& y) {
  if (!is_row_dtype(x) || !is_row_dtype(y)) return ReferenceBackend::do_add(x, y);
  const Rows a(x), b(y);
  parallel_ranges(threads_, a.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().add(a[r], b[r], a.width);
  });
}

void CpuBackend::do_multiply(const Tensor& x, const Tensor& y) {
  if (!is_row_dtype(x) || !is_row_dtype(y)) return ReferenceBackend::do_multiply(x, y);
  const Rows a(x), b(y);
  parallel_ranges(threads_, a.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().multiply(a[r], b[r], a.width);
  });
}

void CpuBackend::do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) {
  if (!is_row_dtype(x) || !is_row_dtype(y)) return ReferenceBackend::do_add_gated(x, gate, y);
  const Rows a(x), b(y);
  parallel_ranges(threads_, a.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) row_kernels().add_gated(a[r], batch_row(gate, x, r), b[r], a.width);
  });
}

void CpuBackend::do_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) {
  if (!is_row_dtype(out) || !is_row_dtype(x)) return ReferenceBackend::do_modulate(out, x, shift, scale);
  const Rows to(out), from(x);
  parallel_ranges(threads_, from.count, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row_kernels().modulate(to[r], from[r], from.width, batch_row(scale, x, r), batch_row(shift, x, r));
  });
}

}  // namespace fude
