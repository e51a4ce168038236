// The loops.
#include "reference/reference_device.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace fude {

namespace {

float load(DType t, const void* p, int64_t i) {
  switch (t) {
    case DType::f32: return static_cast<const float*>(p)[i];
    case DType::f16: return from_f16(static_cast<const uint16_t*>(p)[i]);
    default: return from_bf16(static_cast<const uint16_t*>(p)[i]);
  }
}

void store(DType t, void* p, int64_t i, float value) {
  switch (t) {
    case DType::f32: static_cast<float*>(p)[i] = value; return;
    case DType::f16: static_cast<uint16_t*>(p)[i] = to_f16(value); return;
    default: static_cast<uint16_t*>(p)[i] = to_bf16(value); return;
  }
}

// One row (the last dimension) of a tensor of any rank.
struct Row {
  void* data;
  DType dtype;
  int64_t size;
  float operator[](int64_t i) const { return load(dtype, data, i); }
  void set(int64_t i, float value) const { store(dtype, data, i, value); }
};

int64_t row_count(const Tensor& t) { return t.numel() / t.dim(-1); }

Row row(const Tensor& t, int64_t index) {
  int64_t offset = 0;
  for (int i = t.rank - 2; i >= 0; --i) {
    offset += index % t.dim(i) * t.stride[static_cast<size_t>(i)];
    index /= t.dim(i);
  }
  return {static_cast<char*>(t.data) + offset * size_of(t.dtype), t.dtype, t.dim(-1)};
}

// The row of a per-batch vector [b, d] that belongs to row `index` of x [b, rows, d].
Row batch_row(const Tensor& vectors, const Tensor& x, int64_t index) { return row(vectors, index / x.dim(1)); }

float apply(Activation activation, float x) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::silu: return x / (1.0f + std::exp(-x));
    case Activation::gelu_tanh: return 0.5f * x * (1.0f + std::tanh(0.7978845608028654f * (x + 0.044715f * x * x * x)));
    case Activation::gelu_erf: return 0.5f * x * (1.0f + std::erf(x * 0.7071067811865476f));
    case Activation::quick_gelu: return x / (1.0f + std::exp(-1.702f * x));
  }
  return x;
}

}  // namespace

Weight ReferenceDevice::pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* memory) const {
  read(0, shape.out, format, memory);
  return {memory, format, shape};
}

class ReferenceDevice::HostTransfer : public Transfer {
 public:
  explicit HostTransfer(const ReferenceDevice& device) : device_(device) {}

  Weight pack(const WeightShape& shape, WeightFormat format, const ReadRows& read, void* memory) override {
    return device_.pack(shape, format, read, memory);
  }
  Tensor pack_vector(int64_t n, const ReadRows& read, void* memory) override {
    read(0, n, WeightFormat::f32, memory);
    return Tensor::of(memory, DType::f32, {n});
  }
  void copy(void* device, const void* host, int64_t bytes) override { std::memcpy(device, host, static_cast<size_t>(bytes)); }
  void wait() override {}

 private:
  const ReferenceDevice& device_;
};

std::unique_ptr<Transfer> ReferenceDevice::begin_transfer(Side) { return std::make_unique<HostTransfer>(*this); }

void ReferenceDevice::do_upload(const Tensor& out, const void* host) {
  std::memcpy(out.data, host, static_cast<size_t>(out.bytes()));
}

void ReferenceDevice::do_download(const Tensor& x, void* host) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row from = row(x, r);
    const int64_t bytes = from.size * size_of(x.dtype);
    std::memcpy(static_cast<char*>(host) + r * bytes, from.data, static_cast<size_t>(bytes));
  }
}

void ReferenceDevice::do_copy(const Tensor& out, const Tensor& x) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row from = row(x, r);
    const Row to = row(out, r);
    for (int64_t i = 0; i < from.size; ++i) to.set(i, from[i]);
  }
}

bool ReferenceDevice::do_all_finite(const Tensor& x) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row values = row(x, r);
    for (int64_t i = 0; i < values.size; ++i)
      if (!std::isfinite(values[i])) return false;
  }
  return true;
}

void ReferenceDevice::do_linears(const std::vector<LinearCall>& calls, void*) {
  for (const LinearCall& call : calls) linear(call);
}

void ReferenceDevice::linear(const LinearCall& call) {
  const Weight& w = call.w.weight;
  for (int64_t r = 0; r < row_count(call.x); ++r) {
    const Row x = row(call.x, r);
    const Row y = row(call.out, r);
    for (int64_t o = 0; o < w.shape.out; ++o) {
      double sum = call.w.bias ? call.w.bias.as<float>()[o] : 0.0;
      for (int64_t i = 0; i < x.size; ++i)
        sum += static_cast<double>(x[i]) * load(element_of(w.format), w.data, o * w.shape.in + i);
      const float value = apply(call.options.activation, static_cast<float>(sum));
      y.set(o, call.options.accumulate ? y[o] + value : value);
    }
  }
}

void ReferenceDevice::do_attention(const AttentionCall& call, void*) {
  const int64_t keys = call.k.dim(1);
  const int64_t queries = call.q.dim(1);
  const int64_t d = call.head_dim;
  std::vector<float> score(static_cast<size_t>(keys));
  for (int64_t b = 0; b < call.q.dim(0); ++b)
    for (int64_t h = 0; h < call.options.heads; ++h)
      for (int64_t i = 0; i < queries; ++i) {
        const Row q = row(call.q, b * queries + i);
        const Row out = row(call.out, b * queries + i);
        const int64_t seen = call.options.causal ? i + 1 : keys;
        float largest = -INFINITY;
        for (int64_t j = 0; j < seen; ++j) {
          const Row k = row(call.k, b * keys + j);
          double dot = 0;
          for (int64_t c = 0; c < d; ++c) dot += static_cast<double>(q[h * d + c]) * k[h * d + c];
          float s = static_cast<float>(dot) * call.options.scale;
          if (call.options.bias) s += row(call.options.bias, h * queries + i)[j];
          score[static_cast<size_t>(j)] = s;
          largest = std::max(largest, s);
        }
        double total = 0;
        for (int64_t j = 0; j < seen; ++j)
          total += score[static_cast<size_t>(j)] = std::exp(score[static_cast<size_t>(j)] - largest);
        for (int64_t c = 0; c < d; ++c) {
          double sum = 0;
          for (int64_t j = 0; j < seen; ++j)
            sum += static_cast<double>(score[static_cast<size_t>(j)]) * row(call.v, b * keys + j)[h * d + c];
          out.set(h * d + c, static_cast<float>(sum / total));
        }
      }
}

void ReferenceDevice::do_conv2d(const ConvCall& call, void*) {
  const WeightShape& shape = call.w.weight.shape;
  const int64_t zoom = call.options.upsample ? 2 : 1;
  const int64_t height = call.x.dim(1) * zoom;
  const int64_t width = call.x.dim(2) * zoom;
  const int64_t before = call.options.stride == 2 ? 0 : shape.kernel / 2;
  for (int64_t n = 0; n < call.out.dim(0); ++n)
    for (int64_t y = 0; y < call.out.dim(1); ++y)
      for (int64_t x = 0; x < call.out.dim(2); ++x) {
        const Row out = row(call.out, (n * call.out.dim(1) + y) * call.out.dim(2) + x);
        for (int64_t o = 0; o < shape.out; ++o) {
          double sum = call.w.bias ? call.w.bias.as<float>()[o] : 0.0;
          for (int64_t ky = 0; ky < shape.kernel; ++ky)
            for (int64_t kx = 0; kx < shape.kernel; ++kx) {
              const int64_t sy = (call.options.rows.begin + y) * call.options.stride + ky - before,
                            sx = x * call.options.stride + kx - before;
              if (sy < 0 || sy >= height || sx < 0 || sx >= width) continue;
              const Row in = row(call.x, (n * call.x.dim(1) + sy / zoom) * call.x.dim(2) + sx / zoom);
              for (int64_t c = 0; c < shape.in; ++c)
                sum += static_cast<double>(in[c]) * load(element_of(call.w.weight.format), call.w.weight.data,
                                                         ((o * shape.in + c) * shape.kernel + ky) * shape.kernel + kx);
            }
          out.set(o, static_cast<float>(call.options.accumulate ? out[o] + sum : sum));
        }
      }
}

void ReferenceDevice::do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row from = row(x, r);
    const Row to = row(out, r);
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < from.size; ++i) mean += from[i];
    mean /= static_cast<double>(from.size);
    for (int64_t i = 0; i < from.size; ++i) variance += (from[i] - mean) * (from[i] - mean);
    const double inverse = 1.0 / std::sqrt(variance / static_cast<double>(from.size) + eps);
    for (int64_t i = 0; i < from.size; ++i) {
      double value = (from[i] - mean) * inverse;
      if (norm.weight) value *= norm.weight.as<float>()[i];
      if (norm.bias) value += norm.bias.as<float>()[i];
      to.set(i, static_cast<float>(value));
    }
  }
}

void ReferenceDevice::do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row from = row(x, r);
    const Row to = row(out, r);
    double squares = 0;
    for (int64_t i = 0; i < from.size; ++i) squares += static_cast<double>(from[i]) * from[i];
    const double inverse = 1.0 / std::sqrt(squares / static_cast<double>(from.size) + eps);
    for (int64_t i = 0; i < from.size; ++i) to.set(i, static_cast<float>(from[i] * inverse * weight.as<float>()[i]));
  }
}

void ReferenceDevice::do_group_sums(const Tensor& sums, const Tensor& x) {
  const int64_t pixels = x.dim(1) * x.dim(2);
  const int64_t pieces = sums.dim(1);
  for (int64_t n = 0; n < x.dim(0); ++n)
    for (int64_t piece = 0; piece < pieces; ++piece)
      for (int64_t c = 0; c < x.dim(3); ++c) {
        double sum = 0, squares = 0;
        for (int64_t p = piece * pixels / pieces; p < (piece + 1) * pixels / pieces; ++p) {
          const double value = row(x, n * pixels + p)[c];
          sum += value;
          squares += value * value;
        }
        row(sums, (n * pieces + piece) * 2).set(c, static_cast<float>(sum));
        row(sums, (n * pieces + piece) * 2 + 1).set(c, static_cast<float>(squares));
      }
}

void ReferenceDevice::do_group_factors(const Tensor& factors, const Tensor& sums, int64_t pixels, const Norm& norm,
                                       int64_t groups, float eps) {
  const int64_t pieces = sums.dim(1);
  const int64_t width = sums.dim(3) / groups;
  for (int64_t n = 0; n < sums.dim(0); ++n)
    for (int64_t g = 0; g < groups; ++g) {
      double mean = 0, square = 0;
      for (int64_t piece = 0; piece < pieces; ++piece)
        for (int64_t c = g * width; c < (g + 1) * width; ++c) {
          mean += row(sums, (n * pieces + piece) * 2)[c];
          square += row(sums, (n * pieces + piece) * 2 + 1)[c];
        }
      mean /= static_cast<double>(pixels * width);
      square /= static_cast<double>(pixels * width);
      const double variance = square - mean * mean;
      const double inverse = 1.0 / std::sqrt((variance < 0 ? 0 : variance) + eps);  // NaN stays NaN
      for (int64_t c = g * width; c < (g + 1) * width; ++c) {
        const double factor = inverse * norm.weight.as<float>()[c];
        row(factors, n * 2).set(c, static_cast<float>(factor));
        row(factors, n * 2 + 1).set(c, static_cast<float>(norm.bias.as<float>()[c] - mean * factor));
      }
    }
}

void ReferenceDevice::do_scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) {
  const int64_t pixels = x.dim(1) * x.dim(2);
  for (int64_t p = 0; p < x.dim(0) * pixels; ++p) {
    const Row from = row(x, p);
    const Row to = row(out, p);
    const Row factor = row(factors, p / pixels * 2);
    const Row offset = row(factors, p / pixels * 2 + 1);
    for (int64_t c = 0; c < from.size; ++c) to.set(c, apply(activation, from[c] * factor[c] + offset[c]));
  }
}

void ReferenceDevice::do_activate(const Tensor& out, const Tensor& x, Activation activation) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row from = row(x, r);
    const Row to = row(out, r);
    for (int64_t i = 0; i < from.size; ++i) to.set(i, apply(activation, from[i]));
  }
}

void ReferenceDevice::do_add(const Tensor& x, const Tensor& y) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row a = row(x, r);
    const Row b = row(y, r);
    for (int64_t i = 0; i < a.size; ++i) a.set(i, a[i] + b[i]);
  }
}

void ReferenceDevice::do_multiply(const Tensor& x, const Tensor& y) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row a = row(x, r);
    const Row b = row(y, r);
    for (int64_t i = 0; i < a.size; ++i) a.set(i, a[i] * b[i]);
  }
}

void ReferenceDevice::do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row a = row(x, r);
    const Row b = row(y, r);
    const Row g = batch_row(gate, x, r);
    for (int64_t i = 0; i < a.size; ++i) a.set(i, a[i] + g[i] * b[i]);
  }
}

void ReferenceDevice::do_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) {
  for (int64_t r = 0; r < row_count(x); ++r) {
    const Row from = row(x, r);
    const Row to = row(out, r);
    const Row add = batch_row(shift, x, r);
    const Row factor = batch_row(scale, x, r);
    for (int64_t i = 0; i < from.size; ++i) to.set(i, from[i] * (1.0f + factor[i]) + add[i]);
  }
}

void ReferenceDevice::do_patchify(const Tensor& out, const Tensor& latents, int64_t patch) {
  const int64_t channels = latents.dim(1);
  const int64_t width = latents.dim(3) / patch;
  for (int64_t r = 0; r < row_count(out); ++r) {
    const int64_t n = r / out.dim(1);
    const int64_t ty = r % out.dim(1) / width;
    const int64_t tx = r % out.dim(1) % width;
    const Row token = row(out, r);
    int64_t i = 0;
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < patch; ++p)
        for (int64_t q = 0; q < patch; ++q)
          token.set(i++, row(latents, (n * channels + c) * latents.dim(2) + ty * patch + p)[tx * patch + q]);
  }
}

void ReferenceDevice::do_unpatchify(const Tensor& out, const Tensor& tokens, int64_t patch) {
  const int64_t channels = out.dim(1);
  const int64_t width = out.dim(3) / patch;
  for (int64_t r = 0; r < row_count(tokens); ++r) {
    const int64_t n = r / tokens.dim(1);
    const int64_t ty = r % tokens.dim(1) / width;
    const int64_t tx = r % tokens.dim(1) % width;
    const Row token = row(tokens, r);
    int64_t i = 0;
    for (int64_t p = 0; p < patch; ++p)
      for (int64_t q = 0; q < patch; ++q)
        for (int64_t c = 0; c < channels; ++c)
          row(out, (n * channels + c) * out.dim(2) + ty * patch + p).set(tx * patch + q, token[i++]);
  }
}

void ReferenceDevice::do_to_nhwc(const Tensor& out, const Tensor& latents, float scale, float shift) {
  const int64_t channels = latents.dim(1);
  const int64_t height = latents.dim(2);
  const int64_t width = latents.dim(3);
  for (int64_t n = 0; n < latents.dim(0); ++n)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < channels; ++c)
          row(out, (n * height + y) * width + x).set(c, row(latents, (n * channels + c) * height + y)[x] * scale + shift);
}

void ReferenceDevice::do_to_bytes(const Tensor& out, const Tensor& pixels) {
  for (int64_t i = 0; i < out.numel(); ++i)
    out.as<uint8_t>()[i] =
        static_cast<uint8_t>(std::nearbyint(std::clamp(0.5f * pixels.as<float>()[i] + 0.5f, 0.0f, 1.0f) * 255.0f));
}

void ReferenceDevice::do_cfg(const Tensor& out, const Tensor& v, const CfgOptions& options) {
  const int64_t n = out.numel();
  const float* negative = v.as<float>();
  const float* positive = negative + n;
  const float* skipped = positive + n;
  float* to = out.as<float>();
  for (int64_t i = 0; i < n; ++i) to[i] = negative[i] + options.guidance * (positive[i] - negative[i]);
  if (options.skip_scale)
    for (int64_t i = 0; i < n; ++i) to[i] += *options.skip_scale * (positive[i] - skipped[i]);
}

void ReferenceDevice::do_rescale(const Tensor& x, const Tensor& like, float amount) {
  const int64_t n = x.numel() / x.dim(0);
  const auto squares_around_mean = [n](const float* values) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) {
      sum += values[i];
      squares += static_cast<double>(values[i]) * values[i];
    }
    return squares - sum * sum / static_cast<double>(n);
  };
  for (int64_t picture = 0; picture < x.dim(0); ++picture) {
    float* to = x.as<float>() + picture * n;
    const double ratio = squares_around_mean(like.as<float>() + picture * n) / squares_around_mean(to);
    const float factor = amount * static_cast<float>(std::sqrt(ratio)) + (1.0f - amount);
    for (int64_t i = 0; i < n; ++i) to[i] *= factor;
  }
}

void ReferenceDevice::do_combine(const CombineCall& call) {
  const int64_t n = call.v.numel(), parts = call.parts(), terms = call.terms();
  float* state = call.state.as<float>();
  std::array<const float*, kMostTerms> from{};
  for (int64_t term = 0; term < terms; ++term)
    from[static_cast<size_t>(term)] = term < parts    ? state + term * n
                                      : term == parts ? call.v.as<float>()
                                                      : call.noise.as<float>();
  for (int64_t i = 0; i < n; ++i) {
    std::array<float, kMostTerms> sums{};
    for (int64_t part = 0; part < parts; ++part) {
      const float* factors = call.coefficients.as<float>() + part * terms;
      float& sum = sums[static_cast<size_t>(part)];
      if (factors[0] != 0) sum = factors[0] * from[0][i];
      for (int64_t term = 1; term < terms; ++term)
        if (factors[term] != 0) sum += factors[term] * from[static_cast<size_t>(term)][i];
    }
    for (int64_t part = 0; part < parts; ++part) state[part * n + i] = sums[static_cast<size_t>(part)];
  }
}

}  // namespace fude
