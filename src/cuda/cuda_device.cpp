// Every operation on its stream, graphs that are captured and replayed, transfers.
#include "cuda/cuda_device.h"

#include <cassert>
#include <utility>
#include <vector>

#include "cuda/elementwise.h"
#include "cuda/norm.h"
#include "fude/error.h"

namespace fude {

namespace {

using cuda::address_of;
using cuda::check;
using cuda::driver;
using cuda::use_card;

// A card, made current before anything is made on it.
int selected(int index) {
  const auto refuse = [](std::string what) {
    throw Error(Code::device,
                {.what = std::move(what), .field = Field::device, .remedies = {{Remedy::use_value, Field::device, {"cpu"}}}});
  };
  if (std::string why = why_no_cuda(); !why.empty()) refuse(std::move(why));
  int count = 0;
  check(driver().cuDeviceGetCount(&count), "counting cards");
  if (index >= count)
    refuse("device cuda:" + std::to_string(index) + " does not exist; " +
           (count == 1 ? "the only card is cuda" : "cards are cuda to cuda:" + std::to_string(count - 1)));
  use_card(index, "starting");
  return index;
}

cuda::Matrix matrix(const Tensor& t) {
  const bool batched = t.rank == 3;
  return {t.data,
          t.dtype,
          batched ? t.dim(0) : 1,
          t.dim(-2),
          t.dim(-1),
          batched ? t.stride[0] : 0,
          t.stride[static_cast<size_t>(t.rank - 2)]};
}

}  // namespace

CudaDevice::CudaDevice(int index)
    : outside_(std::in_place, index),
      name_(index == 0 ? "cuda" : "cuda:" + std::to_string(index)),
      index_(selected(index)),
      card_(cuda::card_of(index)),
      staging_(std::make_unique<cuda::Staging>(index)),
      computed_(cuda::make_event()),
      found_(cuda::device_buffer(sizeof(int))),
      found_on_host_(cuda::pinned_buffer(sizeof(int))) {
  branches_.emplace_back();
  outside_bytes_ = outside_->measure();
}

CudaDevice::CudaDevice(const AbsentCard& card)
    : name_(card.name),
      absent_memory_(card.memory),
      card_{.capability = card.capability,
            .multiprocessors = card.multiprocessors,
            .shared_bytes = card.shared_bytes,
            .resident_threads = card.resident_threads},
      outside_bytes_(card.context) {}

std::string CudaDevice::name() const { return name_; }

DType CudaDevice::compute_dtype(DType wanted) const {
  return wanted == DType::bf16 && card_.capability < 80 ? DType::f16 : wanted;
}

Buffer CudaDevice::allocate(int64_t bytes) {
  if (absent_memory_ > 0)
    throw Error(Code::bad_request,
                name_ + " is planned for without being here; leave its name out to draw, or ask for the plan only");
  use_card(index_, "taking memory");
  return cuda::device_buffer(bytes);
}

Buffer CudaDevice::allocate_host(int64_t bytes) {
  use_card(index_, "taking pinned host memory");
  return cuda::pinned_buffer(bytes);
}

DeviceMemory CudaDevice::device_memory() const {
  if (absent_memory_ > 0) return {absent_memory_, absent_memory_ - outside_bytes_};
  size_t available = 0, total = 0;
  use_card(index_, "asking for its memory");
  check(driver().cuMemGetInfo(&available, &total), "asking for its memory");
  return {static_cast<int64_t>(total), static_cast<int64_t>(available)};
}

// ---- weights ---------------------------------------------------------------------------------------------------------------

int64_t CudaDevice::packed_bytes(const WeightShape& shape, WeightFormat format) const {
  if (shape.kernel == 1) return Device::packed_bytes(shape, format);
  return cuda::conv_packed_elements(shape) * size_of(element_of(format));
}

Buffer CudaDevice::pinned(Buffer filled) {
  use_card(index_, "pinning host memory");
  return cuda::pinned_buffer(std::move(filled));
}

// Copies from pinned memory are issued at once and end with an event; what threads read is issued by them, in its own time.
class CudaDevice::CudaTransfer : public Transfer {
 public:
  CudaTransfer(CudaDevice& device, Side side) : device_(device), side_(side) {}

  ~CudaTransfer() override {
    try {
      if (awaited_) return;
      wait();
      check(driver().cuEventSynchronize(copied_), "copying weights to it");  // what it is copied from may go now
    } catch (...) {
      // Nobody needs it any more; a card that is lost is reported by the next call.
    }
  }

  Weight pack(const WeightShape& shape, WeightFormat format, const ReadRows& rows, void* memory) override {
    if (shape.kernel == 1) {
      read(memory, shape.out, bytes_of(format, 1, shape.row()),
           [rows, format](int64_t begin, int64_t end, void* host) { rows(begin, end, format, host); });
    } else {
      const DType dtype = element_of(format);
      const int64_t row = cuda::conv_packed_elements(shape) / shape.out;
      read(memory, shape.out, row * size_of(dtype), [rows, dtype, shape, row](int64_t begin, int64_t end, void* host) {
        WeightShape some = shape;
        some.out = end - begin;
        std::vector<float> plain(static_cast<size_t>(some.numel())), packed(static_cast<size_t>(some.out * row));
        rows(begin, end, WeightFormat::f32, plain.data());
        cuda::pack_conv(some, plain.data(), packed.data());
        from_f32(dtype, packed.data(), host, some.out * row);
      });
    }
    return {memory, format, shape};
  }

  Tensor pack_vector(int64_t n, const ReadRows& rows, void* memory) override {
    read(memory, 1, n * size_of(DType::f32), [rows, n](int64_t, int64_t, void* host) { rows(0, n, WeightFormat::f32, host); });
    return Tensor::of(memory, DType::f32, {n});
  }

  void copy(void* device, const void* host, int64_t bytes) override {
    begin_copies();
    check(driver().cuMemcpyHtoDAsync(address_of(device), host, static_cast<size_t>(bytes), device_.staging_->stream()),
          "copying weights to it");
    check(driver().cuEventRecord(copied_, device_.staging_->stream()), "copying weights to it");
  }

  void wait() override {
    awaited_ = true;
    if (!begun_ && reading_.empty()) return;
    std::exception_ptr error;
    for (const auto& job : reading_) try {
        device_.staging_->wait(*job);
      } catch (...) {
        error = std::current_exception();
      }
    if (!reading_.empty()) check(driver().cuEventRecord(copied_, device_.staging_->stream()), "copying weights to it");
    check(driver().cuStreamWaitEvent(device_.branches_[0].stream, copied_, 0), "waiting for weights");
    if (error) std::rethrow_exception(error);
  }

 private:
  void read(void* memory, int64_t rows, int64_t row_bytes, cuda::Staging::Fill fill) {
    if (side_ == Side::device) begin_copies();
    reading_.push_back(device_.staging_->read({memory, side_ == Side::host, rows, row_bytes, std::move(fill)}));
  }

  // Memory that weights are copied to may have served work issued before.
  void begin_copies() {
    if (begun_) return;
    use_card(device_.index_, "copying weights to it");
    check(driver().cuEventRecord(device_.computed_, device_.branches_[0].stream), "copying weights to it");
    check(driver().cuStreamWaitEvent(device_.staging_->stream(), device_.computed_, 0), "copying weights to it");
    begun_ = true;
  }

  CudaDevice& device_;
  const Side side_;
  bool begun_ = false;  // copies to the device
  std::vector<std::shared_ptr<cuda::Staging::Job>> reading_;
  cuda::Event copied_ = cuda::make_event();
  bool awaited_ = false;
};

std::unique_ptr<Transfer> CudaDevice::begin_transfer(Side side) {
  use_card(index_, "copying weights to it");
  return std::make_unique<CudaTransfer>(*this, side);
}

// ---- how work is issued ----------------------------------------------------------------------------------------------------

cuda::CUstream CudaDevice::stream() const {
  use_card(index_, "starting work");
  return branches_[issuing_.back()].stream;
}

void CudaDevice::fork() {
  const cuda::CUstream trunk = stream();
  if (opened_ == branches_.size()) branches_.emplace_back();
  const size_t child = opened_++;
  check(driver().cuEventRecord(branches_[child].forked, trunk), "branching");
  check(driver().cuStreamWaitEvent(branches_[child].stream, branches_[child].forked, 0), "branching");
  forked_.push_back(child);
}

void CudaDevice::other_branch() { issuing_.push_back(forked_.back()); }

void CudaDevice::join() {
  const Branch& child = branches_[forked_.back()];
  check(driver().cuEventRecord(child.ended, child.stream), "joining branches");
  issuing_.pop_back();
  forked_.pop_back();
  --opened_;
  check(driver().cuStreamWaitEvent(stream(), child.ended, 0), "joining branches");
}

// Pieces of work, and what the host does after each but the last.
struct CudaDevice::Graphs : DeviceGraph {
  struct Piece {
    cuda::GraphExec work;
    std::function<void()> then;
  };
  std::vector<Piece> pieces;
};

void CudaDevice::begin_piece() {
  check(driver().cuStreamBeginCapture(branches_[0].stream, cuda::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "capturing a step");
}

// What was recorded has not been done yet: it is launched.
void CudaDevice::end_piece() {
  const cuda::CUstream trunk = branches_[0].stream;
  cuda::CUgraph recorded = nullptr;
  check(driver().cuStreamEndCapture(trunk, &recorded), "capturing a step");
  const cuda::Graph graph(recorded);
  cuda::CUgraphExec work = nullptr;
  check(driver().cuGraphInstantiate(&work, graph, 0), "capturing a step");
  capturing_->pieces.push_back({cuda::GraphExec(work), {}});
  check(driver().cuGraphLaunch(work, trunk), "replaying a step");
}

// The first time work is done as it comes, so that every kernel it needs is loaded; the second time it is recorded.
void CudaDevice::replay(std::unique_ptr<DeviceGraph>& graph, const std::function<void()>& work) {
  if (!graph) {
    try {
      work();
    } catch (...) {
      leave_branches();
      throw;
    }
    graph = std::make_unique<Graphs>();
    return;
  }
  auto& graphs = static_cast<Graphs&>(*graph);
  const cuda::CUstream trunk = stream();
  if (!graphs.pieces.empty()) {
    for (const Graphs::Piece& piece : graphs.pieces) {
      check(driver().cuGraphLaunch(piece.work, trunk), "replaying a step");
      if (piece.then) piece.then();
    }
    return;
  }
  capturing_ = &graphs;
  try {
    begin_piece();
    work();
    end_piece();
    capturing_ = nullptr;
  } catch (...) {
    capturing_ = nullptr;
    graphs.pieces.clear();
    cuda::CUgraph recorded = nullptr;
    static_cast<void>(driver().cuStreamEndCapture(trunk, &recorded));  // fails where nothing was being recorded
    if (recorded) cuda::destroy(recorded);
    leave_branches();
    throw;
  }
}

// After an error between fork and join: work goes to the trunk again, behind whatever branches still do. Errors of a card that
// is lost are reported by the next call.
void CudaDevice::leave_branches() {
  issuing_ = {0};
  forked_.clear();
  opened_ = 1;
  for (size_t i = 1; i < branches_.size(); ++i)
    if (driver().cuEventRecord(branches_[i].ended, branches_[i].stream) == cuda::CUDA_SUCCESS)
      static_cast<void>(driver().cuStreamWaitEvent(branches_[0].stream, branches_[i].ended, 0));
}

void CudaDevice::host_callback(const std::function<void()>& action) {
  assert(issuing_.size() == 1 && forked_.empty());
  if (!capturing_) return action();
  end_piece();
  capturing_->pieces.back().then = action;
  action();
  begin_piece();
}

void CudaDevice::poison(void* memory, int64_t bytes) {
  if (bytes == 0) return;
  check(driver().cuMemsetD8Async(address_of(memory), 0xff, static_cast<size_t>(bytes), stream()), "clearing memory");
}

// ---- copies ----------------------------------------------------------------------------------------------------------------

void CudaDevice::do_upload(const Tensor& out, const void* host) {
  // From pageable memory the driver has read it when this returns; who writes pinned memory anew has waited for the stream.
  check(driver().cuMemcpyHtoDAsync(address_of(out.data), host, static_cast<size_t>(out.bytes()), stream()), "copying to it");
}

void CudaDevice::do_download(const Tensor& x, void* host) {
  if (x.contiguous()) {
    check(driver().cuMemcpyDtoHAsync(host, address_of(x.data), static_cast<size_t>(x.bytes()), stream()), "copying from it");
    return check(driver().cuStreamSynchronize(stream()), "working");
  }
  const int64_t size = size_of(x.dtype);
  const int64_t row = x.dim(-1) * size;
  const auto at = [&](int i) { return static_cast<size_t>(x.rank - i); };  // i-th dimension from the last
  const int64_t rows = x.rank > 1 ? x.shape[at(2)] : 1;
  const int64_t pitch = x.rank > 1 ? x.stride[at(2)] * size : row;
  int64_t done = 0;
  for (int64_t i = 0; i < (x.rank > 3 ? x.shape[at(4)] : 1); ++i)
    for (int64_t j = 0; j < (x.rank > 2 ? x.shape[at(3)] : 1); ++j, done += rows * row) {
      const int64_t offset = (x.rank > 3 ? i * x.stride[at(4)] : 0) + (x.rank > 2 ? j * x.stride[at(3)] : 0);
      cuda::CUDA_MEMCPY2D copy{};
      copy.srcMemoryType = cuda::CU_MEMORYTYPE_DEVICE;
      copy.srcDevice = address_of(x.data) + static_cast<cuda::CUdeviceptr>(offset * size);
      copy.srcPitch = static_cast<size_t>(pitch);
      copy.dstMemoryType = cuda::CU_MEMORYTYPE_HOST;
      copy.dstHost = static_cast<char*>(host) + done;
      copy.dstPitch = copy.WidthInBytes = static_cast<size_t>(row);
      copy.Height = static_cast<size_t>(rows);
      check(driver().cuMemcpy2DAsync(&copy, stream()), "copying from it");
    }
  check(driver().cuStreamSynchronize(stream()), "working");
}

void CudaDevice::do_to_host(const Tensor& host, const Tensor& x) {
  check(driver().cuMemcpyDtoHAsync(host.data, address_of(x.data), static_cast<size_t>(x.bytes()), stream()), "copying from it");
}

bool CudaDevice::do_all_finite(const Tensor& x) {
  auto* found = reinterpret_cast<int*>(found_.data());
  const auto* on_host = reinterpret_cast<const volatile int*>(found_on_host_.data());
  check(driver().cuMemsetD8Async(address_of(found), 0, sizeof(int), stream()), "looking for values that are not numbers");
  cuda::find_non_finite(stream(), x, found);
  check(driver().cuMemcpyDtoHAsync(found_on_host_.data(), address_of(found), sizeof(int), stream()), "copying from it");
  check(driver().cuStreamSynchronize(stream()), "working");
  return *on_host == 0;
}

void CudaDevice::do_copy(const Tensor& out, const Tensor& x) { cuda::copy(stream(), out, x); }

void CudaDevice::do_noise(const Tensor& out, TorchGenerator& generator) {
  if (generator.kind() == Noise::torch_cuda) cuda::torch_cuda_noise(card_, stream(), out, generator);
  else Device::do_noise(out, generator);
}

// ---- products --------------------------------------------------------------------------------------------------------------

namespace {

cuda::LinearArgs arguments(const LinearCall& c) {
  const HeadNorms& norms = c.options.norms;
  return {.out = matrix(c.out),
          .x = matrix(c.x),
          .weight = c.w.weight.data,
          .bias = c.w.bias.as<float>(),
          .gate = c.gate.as<float>(),
          .gate_stride = c.gate ? c.gate.stride[0] : 0,
          .activation = c.options.activation,
          .accumulate = c.options.accumulate || c.gate,
          .norms = {.query = norms.query.as<float>(),
                    .key = norms.key.as<float>(),
                    .head_dim = norms.query ? norms.query.dim(0) : 0,
                    .eps = norms.eps}};
}

std::vector<cuda::LinearArgs> arguments(const std::vector<LinearCall>& calls) {
  std::vector<cuda::LinearArgs> all;
  for (const LinearCall& call : calls) all.push_back(arguments(call));
  return all;
}

cuda::AttentionArgs arguments(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v,
                              const AttentionOptions& options) {
  return {.out = matrix(out),
          .q = matrix(q),
          .k = matrix(k),
          .v = matrix(v),
          .heads = options.heads,
          .head_dim = q.dim(2) / options.heads,
          .scale = options.scale,
          .causal = options.causal,
          .bias = options.bias.as<float>(),
          .bias_head_stride = options.bias ? options.bias.stride[0] : 0,
          .bias_query_stride = options.bias ? options.bias.stride[1] : 0};
}

cuda::ConvArgs arguments(const Tensor& out, const Tensor& x, const Conv& w, const ConvOptions& options) {
  return {.out = out.data,
          .x = x.data,
          .dtype = x.dtype,
          .n = x.dim(0),
          .height = x.dim(1),
          .width = x.dim(2),
          .shape = w.weight.shape,
          .weight = w.weight.data,
          .bias = w.bias.as<float>(),
          .stride = options.stride,
          .begin = options.rows.begin,
          .end = options.rows.begin + out.dim(1),
          .accumulate = options.accumulate};
}

// A 1×1 convolution is a linear over pixels, and its weight is packed as one.
cuda::LinearArgs as_linear(const Tensor& out, const Tensor& x, const Conv& w, const ConvOptions& options) {
  const auto linear = [&](const Tensor& to, const Tensor& from) {
    return arguments(LinearCall{to, from, {w.weight, w.bias}, {.accumulate = options.accumulate}, {}});
  };
  const int64_t n = x.dim(0);
  const int64_t rows = x.dim(1);
  const int64_t width = x.dim(2);
  if (out.dim(1) == rows) return linear(out.view({n * rows * width, out.dim(3)}), x.view({n * rows * width, x.dim(3)}));
  return linear(out.view({n, out.dim(1) * width, out.dim(3)}),
                x.view({n, rows * width, x.dim(3)}).rows(options.rows.begin * width, options.rows.end * width));
}

}  // namespace

bool CudaDevice::norms_heads(const LinearCall& call) const { return cuda::linear_norms_heads(card_, arguments(call)); }

int64_t CudaDevice::workspace(const std::vector<LinearCall>& calls) const {
  const std::vector<cuda::LinearArgs> args = arguments(calls);
  return cuda::linears_workspace(card_, args.data(), static_cast<int>(args.size()));
}

void CudaDevice::do_linears(const std::vector<LinearCall>& calls, void* memory) {
  const std::vector<cuda::LinearArgs> args = arguments(calls);
  cuda::linears(card_, stream(), args.data(), static_cast<int>(args.size()), memory);
}

int64_t CudaDevice::workspace(const AttentionCall& c) const {
  return cuda::attention_workspace(card_, arguments(c.out, c.q, c.k, c.v, c.options));
}

void CudaDevice::do_attention(const AttentionCall& c, void* memory) {
  cuda::attention(card_, stream(), arguments(c.out, c.q, c.k, c.v, c.options), memory);
}

int64_t CudaDevice::workspace(const ConvCall& c) const {
  if (c.w.weight.shape.kernel == 1) return cuda::linear_workspace(card_, as_linear(c.out, c.x, c.w, c.options));
  return cuda::conv_workspace(card_, arguments(c.out, c.x, c.w, c.options));
}

void CudaDevice::do_conv2d(const ConvCall& c, void* memory) {
  if (c.w.weight.shape.kernel == 1) cuda::linear(card_, stream(), as_linear(c.out, c.x, c.w, c.options), memory);
  else cuda::conv2d(card_, stream(), arguments(c.out, c.x, c.w, c.options), memory);
}

// ---- norms, elementwise ----------------------------------------------------------------------------------------------------

void CudaDevice::do_layer_norm(const Tensor& out, const Tensor& x, const Norm& norm, float eps) {
  cuda::layer_norm(stream(), out, x, norm, eps);
}

void CudaDevice::do_rms_norm(const Tensor& out, const Tensor& x, const Tensor& weight, float eps) {
  cuda::rms_norm(stream(), out, x, weight, eps);
}

void CudaDevice::do_norm_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale, float eps) {
  cuda::norm_modulate(stream(), out, x, shift, scale, eps);
}

int64_t CudaDevice::group_pieces_of_row(const Tensor& whole) const { return cuda::group_pieces_of_row(card_, whole); }

void CudaDevice::do_group_sums(const Tensor& sums, const Tensor& x) { cuda::group_sums(stream(), sums, x); }

void CudaDevice::do_group_factors(const Tensor& factors, const Tensor& sums, int64_t pixels, const Norm& norm, int64_t groups,
                                  float eps) {
  cuda::group_factors(stream(), factors, sums, pixels, norm, groups, eps);
}

void CudaDevice::do_scale_shift(const Tensor& out, const Tensor& x, const Tensor& factors, Activation activation) {
  cuda::scale_shift(stream(), out, x, factors, activation);
}

void CudaDevice::do_activate(const Tensor& out, const Tensor& x, Activation activation) {
  cuda::activate(stream(), out, x, activation);
}

void CudaDevice::do_add(const Tensor& x, const Tensor& y) { cuda::add(stream(), x, y); }
void CudaDevice::do_multiply(const Tensor& x, const Tensor& y) { cuda::multiply(stream(), x, y); }
void CudaDevice::do_add_gated(const Tensor& x, const Tensor& gate, const Tensor& y) { cuda::add_gated(stream(), x, gate, y); }

void CudaDevice::do_modulate(const Tensor& out, const Tensor& x, const Tensor& shift, const Tensor& scale) {
  cuda::modulate(stream(), out, x, shift, scale);
}

void CudaDevice::do_patchify(const Tensor& out, const Tensor& latents, int64_t patch) {
  cuda::patchify(stream(), out, latents, patch);
}
void CudaDevice::do_unpatchify(const Tensor& out, const Tensor& tokens, int64_t patch) {
  cuda::unpatchify(stream(), out, tokens, patch);
}

void CudaDevice::do_to_nhwc(const Tensor& out, const Tensor& latents, float scale, float shift) {
  cuda::to_nhwc(stream(), out, latents, scale, shift);
}

void CudaDevice::do_to_bytes(const Tensor& out, const Tensor& pixels) { cuda::to_bytes(stream(), out, pixels); }
void CudaDevice::do_cfg(const Tensor& out, const Tensor& v, const CfgOptions& options) { cuda::cfg(stream(), out, v, options); }
void CudaDevice::do_rescale(const Tensor& x, const Tensor& like, float amount) { cuda::rescale(stream(), x, like, amount); }
void CudaDevice::do_combine(const CombineCall& call) { cuda::combine(stream(), call); }

}  // namespace fude
