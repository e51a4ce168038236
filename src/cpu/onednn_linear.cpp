// Linears through oneDNN: products are cut into pieces of rows, and of columns where they have few rows, and each piece is
// computed by one thread.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "core/thread_team.h"
#include "cpu/onednn.h"
#include "cpu/onednn_ops.h"

namespace fude {

namespace {

using cpu::is_tiled;
using cpu::is_tuned;
using cpu::round_up;
using dnnl::memory;

int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }

// A call on row ranges of a batch is one two-dimensional GEMM for each item.
struct Batches {
  int64_t count, rows;
};
Batches batches(const Tensor& x) {
  if (x.rank == 2) return {1, x.dim(0)};
  return {x.dim(0), x.dim(1)};
}
Tensor item(const Tensor& t, int64_t i) { return t.rank == 2 ? t : t[i]; }
int64_t row_stride(const Tensor& t) { return t.stride[static_cast<size_t>(t.rank - 2)]; }

// Before AVX-512 oneDNN only has its generic GEMM, and there a fused activation is slower than a separate pass.
bool activates_apart(const LinearCall& call) {
  static const bool has_avx512 = cpu::has(dnnl::cpu_isa::avx512_core);
  return !has_avx512 && call.options.activation != Activation::none && !call.options.accumulate;
}

// Copies rows that may be further apart on one side than they are long.
void copy_rows(const char* from, int64_t from_row, char* to, int64_t to_row, int64_t rows, int64_t bytes) {
  for (int64_t r = 0; r < rows; ++r) std::memcpy(to + r * to_row, from + r * from_row, static_cast<size_t>(bytes));
}

// As much work as a product with so many more rows: that is how long the weights take from memory.
constexpr int64_t kRowsOfWeights = 32;
double work(const LinearCall& call) {
  const Batches all = batches(call.x);
  return 2.0 * static_cast<double>(all.count * (all.rows + kRowsOfWeights)) *
         static_cast<double>(call.w.weight.shape.in * call.w.weight.shape.out);
}

// Fewer rows at once would read the weights too often.
constexpr int64_t kRows = 64;

}  // namespace

// The workspace: each x that is not contiguous, gathered, then for each thread the result of a piece, where that is not
// contiguous in `out`, and oneDNN's scratch. From AVX-512 on, oneDNN's packed GEMMs take no strides.
struct CpuDevice::Products::LinearPlan {
  struct Piece {
    const LinearCall* call;
    const Matmul* matmul;
    int64_t item, row, rows, column, columns;
    int64_t x;        // where in the workspace it is gathered; −1: it is where the call says
    int64_t weights;  // bytes before them
  };

  LinearPlan(Products& products, const std::vector<LinearCall>& calls, int64_t threads) {
    double total = 0;
    for (const LinearCall& call : calls) total += work(call);
    const double most = std::max(total / static_cast<double>(ThreadTeam::kPieces * threads), cpu::kLeastPiece);
    for (const LinearCall& call : calls) add(products, call, std::llround(std::ceil(work(call) / most)));
  }

  void add(Products& products, const LinearCall& call, int64_t wanted) {
    const Batches all = batches(call.x);
    const WeightShape& w = call.w.weight.shape;
    const bool gathers = row_stride(call.x) != w.in && all.rows > 1;
    const int64_t x = gathers ? gathered_bytes : -1;
    if (gathers) gathered_bytes += round_up(all.count * all.rows * w.in * size_of(call.x.dtype));

    const memory::desc& packed = products.packed_linear(w.in, w.out, call.x.dtype);
    const int64_t pieces_an_item = ceil_div(wanted, all.count);
    const int64_t in_rows = std::clamp<int64_t>(all.rows / kRows, 1, pieces_an_item);
    const int64_t rows = round_up_to(ceil_div(all.rows, in_rows), 16, all.rows);
    int64_t columns = round_up_to(ceil_div(w.out, ceil_div(pieces_an_item, in_rows)), cpu::kColumnBlock, w.out);
    if (columns < w.out && !is_fast(products, call, rows, columns)) columns = w.out;
    for (int64_t i = 0; i < all.count; ++i)
      for (int64_t row = 0; row < all.rows; row += rows)
        for (int64_t column = 0; column < w.out; column += columns) {
          Piece piece{&call, nullptr, i, row, std::min(rows, all.rows - row), column, std::min(columns, w.out - column), x, 0};
          piece.matmul = &products.linear(key(call, piece.rows, piece.columns));
          if (column > 0)
            piece.weights =
                cpu::elements_before(cpu::outputs(packed, column, piece.columns)) * size_of(element_of(call.w.weight.format));
          thread_bytes = std::max(thread_bytes, result_bytes(piece) + cpu::bytes_of(piece.matmul->pd.scratchpad_desc()));
          pieces.push_back(piece);
        }
  }

  static int64_t round_up_to(int64_t n, int64_t multiple, int64_t most) {
    return std::min(ceil_div(n, multiple) * multiple, most);
  }

  static LinearKey key(const LinearCall& call, int64_t rows, int64_t columns) {
    const WeightShape& w = call.w.weight.shape;
    return {rows,
            columns,
            w.in,
            w.out,
            call.x.dtype,
            call.out.dtype,
            bool(call.w.bias),
            call.options.accumulate,
            activates_apart(call) ? Activation::none : call.options.activation};
  }

  // Whether columns may be parted: in whole blocks, the layout allows it, and oneDNN does not fall back to plain loops.
  static bool is_fast(Products& products, const LinearCall& call, int64_t rows, int64_t columns) {
    const WeightShape& w = call.w.weight.shape;
    const memory::desc& packed = products.packed_linear(w.in, w.out, call.x.dtype);
    if (w.out % cpu::kColumnBlock != 0) return false;
    const int64_t last = (w.out - 1) / columns * columns;
    for (const auto& [column, count] : {std::pair{int64_t{0}, columns}, std::pair{last, w.out - last}}) {
      if (!cpu::outputs(packed, column, count)) return false;
      const std::string_view name = products.linear(key(call, rows, count)).pd.impl_info_str();
      if (name.starts_with("ref")) return false;
    }
    return true;
  }

  static int64_t result_bytes(const Piece& piece) {
    const bool contiguous = row_stride(piece.call->out) == piece.columns || piece.rows == 1;
    return contiguous ? 0 : round_up(piece.rows * piece.columns * size_of(piece.call->out.dtype));
  }

  std::vector<Piece> pieces;
  int64_t gathered_bytes = 0, thread_bytes = 0;
};

int64_t CpuDevice::workspace(const std::vector<LinearCall>& calls) const {
  int64_t most = 0;
  std::vector<LinearCall> tuned;
  for (const LinearCall& call : calls) {
    if (is_tiled(call.w.weight.shape, call.w.weight.format)) most = std::max(most, amx_workspace(call));
    else if (is_tuned(element_of(call.w.weight.format))) tuned.push_back(call);
  }
  const Products::LinearPlan plan(*products_, tuned, team_->size());
  return std::max(most, plan.gathered_bytes + team_->size() * plan.thread_bytes);
}

void CpuDevice::do_linears(const std::vector<LinearCall>& calls, void* workspace) {
  std::vector<LinearCall> tiled, tuned, rest;
  for (const LinearCall& call : calls) {
    if (is_tiled(call.w.weight.shape, call.w.weight.format)) tiled.push_back(call);
    else if (is_tuned(element_of(call.w.weight.format))) tuned.push_back(call);
    else rest.push_back(call);
  }
  if (!tiled.empty()) multiply_on_amx(tiled, workspace);
  if (!tuned.empty()) multiply(tuned, workspace);
  if (!rest.empty()) ReferenceDevice::do_linears(rest, workspace);
}

void CpuDevice::multiply(const std::vector<LinearCall>& calls, void* workspace) {
  using Piece = Products::LinearPlan::Piece;
  const Products::LinearPlan plan(*products_, calls, team_->size());
  char* const gathered = static_cast<char*>(workspace);
  char* const threads_begin = gathered + plan.gathered_bytes;
  const auto x_of = [&](const Piece& piece) {
    const Tensor& x = piece.call->x;
    if (piece.x < 0) return item(x, piece.item).as<char>() + piece.row * row_stride(x) * size_of(x.dtype);
    return gathered + piece.x + (piece.item * batches(x).rows + piece.row) * x.dim(-1) * size_of(x.dtype);
  };
  if (plan.gathered_bytes)
    team_->run(std::ssize(plan.pieces), [&](int64_t i, int) {
      const Piece& piece = plan.pieces[static_cast<size_t>(i)];
      if (piece.x < 0 || piece.column > 0) return;
      const Tensor& x = piece.call->x;
      const int64_t element = size_of(x.dtype);
      const int64_t bytes = x.dim(-1) * element;
      copy_rows(item(x, piece.item).as<char>() + piece.row * row_stride(x) * element, row_stride(x) * element, x_of(piece),
                bytes, piece.rows, bytes);
    });

  team_->run(std::ssize(plan.pieces), [&](int64_t i, int thread) {
    const Piece& piece = plan.pieces[static_cast<size_t>(i)];
    const LinearCall& call = *piece.call;
    const auto& [pd, matmul] = *piece.matmul;
    const dnnl::engine& engine = products_->engine;
    const int64_t out_element = size_of(call.out.dtype);
    const int64_t out_row = row_stride(call.out) * out_element, bytes = piece.columns * out_element;
    char* const out = item(call.out, piece.item).as<char>() + piece.row * out_row + piece.column * out_element;
    char* const result = threads_begin + thread * plan.thread_bytes;
    char* const scratch = result + Products::LinearPlan::result_bytes(piece);
    const bool is_apart = scratch > result;
    if (is_apart && call.options.accumulate) copy_rows(out, out_row, result, bytes, piece.rows, bytes);
    char* const weights = static_cast<char*>(const_cast<void*>(call.w.weight.data)) + piece.weights;
    cpu::Arguments arguments = {{DNNL_ARG_SRC, memory(pd.src_desc(), engine, x_of(piece))},
                                {DNNL_ARG_WEIGHTS, memory(pd.weights_desc(), engine, weights)},
                                {DNNL_ARG_DST, memory(pd.dst_desc(), engine, is_apart ? result : out)},
                                {DNNL_ARG_SCRATCHPAD, memory(pd.scratchpad_desc(), engine, scratch)}};
    if (call.w.bias) arguments.emplace(DNNL_ARG_BIAS, memory(pd.bias_desc(), engine, call.w.bias.as<float>() + piece.column));
    cpu::execute(matmul, engine, arguments);
    if (is_apart) copy_rows(result, bytes, out, out_row, piece.rows, bytes);
  });
  for (const LinearCall& call : calls)
    if (activates_apart(call)) do_activate(call.out, call.out, call.options.activation);
}

}  // namespace fude
