// Counting tensors, comparing them with the expected ones, and scanning for infinities and NaN.
#include "weights/inspect.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "fude/error.h"
#include "weights/loader.h"
#include "weights/quote.h"

namespace fude {

namespace {

// What its load function asks for, and its layout has.
std::vector<ExpectedTensor> expected_of(const Checkpoint& checkpoint, Component component) {
  std::vector<ExpectedTensor> list;
  Loader recording(list);
  type_of(component).load(recording, checkpoint.geometry(component));
  std::erase_if(list, [&](const ExpectedTensor& e) { return !checkpoint.tensors(component).maps(e.name); });
  return list;
}

// Counts elements whose exponent says infinity or NaN, on the stored bits: four times as fast as through f32.
template <class Bits>
int64_t count_non_finite(std::span<const std::byte> bytes, Bits exponent) {
  int64_t count = 0;
  for (size_t i = 0; i + sizeof(Bits) <= bytes.size(); i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + i, sizeof(Bits));
    count += (bits & exponent) == exponent;
  }
  return count;
}

int64_t count_non_finite(DType dtype, std::span<const std::byte> bytes) {
  switch (dtype) {
    case DType::f64: return count_non_finite<uint64_t>(bytes, 0x7ff0000000000000u);
    case DType::f32: return count_non_finite<uint32_t>(bytes, 0x7f800000u);
    case DType::f16: return count_non_finite<uint16_t>(bytes, 0x7c00);
    case DType::bf16: return count_non_finite<uint16_t>(bytes, 0x7f80);
    case DType::f8_e4m3: return count_non_finite<uint8_t>(bytes, 0x7f);  // the format has no infinity
    case DType::u8:
    case DType::i32:
    case DType::i64: return 0;
  }
  return 0;
}

class Verifier {
 public:
  Verifier(const Checkpoint& checkpoint, const VerifyProgress& progress) : checkpoint_(checkpoint), progress_(progress) {}

  std::vector<Finding> run() {
    for (const Component component : kComponents)
      if (checkpoint_.has(component)) compare(component);
    find_strangers();
    // In file order: the disk reads ahead, and a page shared by two neighbours is dropped with the second.
    std::sort(scans_.begin(), scans_.end(),
              [](const Scan& a, const Scan& b) { return a.part.tensor->bytes.data() < b.part.tensor->bytes.data(); });
    for (const Scan& scan : scans_) read(scan);
    return std::move(findings_);
  }

 private:
  struct Scan {
    Component component;
    std::string name;
    Source::Part part;
  };

  void compare(Component component) {
    const ComponentTensors& tensors = checkpoint_.tensors(component);
    std::vector<std::string> names;
    std::vector<const StoredTensor*> hanging;
    for (const ExpectedTensor& expected : expected_of(checkpoint_, component)) {
      names.push_back(expected.name);
      try {
        const auto source = tensors.find(expected.name);
        if (!source) {
          std::string stored;
          for (const std::string& name : tensors.names_for(expected.name))
            stored += (stored.empty() ? "stored as " : ", ") + name;
          add(Finding::Kind::missing, component, expected.name, stored);
          continue;
        }
        if (source->shape != expected.shape)
          add(Finding::Kind::misshaped, component, expected.name,
              "is " + text_of_shape(source->shape) + ", should be " + text_of_shape(expected.shape));
        for (const StoredTensor* tensor : tensors.not_understood(expected.name)) {
          hanging.push_back(tensor);
          add(Finding::Kind::not_understood, component, tensor->name,
              std::string(tensor->type) + ' ' + text_of_shape(tensor->shape) + " beside the quantised " + expected.name);
        }
        const StoredTensor* before = nullptr;  // swapped halves are parts of one tensor, which is read once
        for (const Source::Part& part : source->parts) {
          if (part.tensor == std::exchange(before, part.tensor)) continue;
          scans_.push_back({component, expected.name, part});
          total_ += static_cast<int64_t>(part.tensor->bytes.size());
        }
      } catch (const Error& error) {
        add(Finding::Kind::misshaped, component, expected.name, error.what());
      }
    }
    for (const StoredTensor* tensor : tensors.unexpected(names))
      if (std::find(hanging.begin(), hanging.end(), tensor) == hanging.end())
        add(Finding::Kind::unexpected, component, tensor->name, std::string(tensor->type) + " " + text_of_shape(tensor->shape));
  }

  // A single file may hold tensors under names that belong to no component.
  void find_strangers() {
    std::vector<const StoredTensor*> known;
    for (const Component component : kComponents)
      if (checkpoint_.has(component))
        for (const auto& named : checkpoint_.tensors(component).stored()) known.push_back(named.tensor);
    std::sort(known.begin(), known.end());
    for (const auto& file : checkpoint_.files())
      for (const StoredTensor& tensor : file->tensors())
        if (!std::binary_search(known.begin(), known.end(), &tensor) && !has_known_prefix(tensor.name) &&
            !is_ignored_outside(tensor.name))
          add(Finding::Kind::unexpected, {}, tensor.name, std::string(tensor.type) + " " + text_of_shape(tensor.shape));
  }

  void read(const Scan& scan) {
    constexpr size_t kChunk = 8 << 20;
    const StoredTensor& tensor = *scan.part.tensor;
    int64_t count = 0;
    for (size_t begin = 0; begin < tensor.bytes.size(); begin += kChunk) {
      const auto chunk = tensor.bytes.subspan(begin, std::min(kChunk, tensor.bytes.size() - begin));
      if (tensor.file) tensor.file->check_unchanged();
      count += count_non_finite(*tensor.dtype, chunk);
      if (tensor.file) tensor.file->drop(static_cast<size_t>(chunk.data() - tensor.file->bytes().data()), chunk.size());
      done_ += static_cast<int64_t>(chunk.size());
      if (progress_) progress_(done_, total_);
    }
    if (count > 0 && !scan.part.nan_is_zero)
      add(Finding::Kind::non_finite, scan.component, scan.name,
          std::to_string(count) + " of " + std::to_string(tensor.elements()) + " values of " + tensor.name);
  }

  void add(Finding::Kind kind, std::optional<Component> component, const std::string& tensor, const std::string& detail) {
    findings_.push_back({kind, component, tensor, detail});
  }

  const Checkpoint& checkpoint_;
  const VerifyProgress& progress_;
  std::vector<Finding> findings_;
  std::vector<Scan> scans_;
  int64_t done_ = 0, total_ = 0;
};

}  // namespace

std::string_view name_of(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::missing: return "missing";
    case Finding::Kind::unexpected: return "unexpected";
    case Finding::Kind::misshaped: return "misshaped";
    case Finding::Kind::not_understood: return "not understood";
    case Finding::Kind::non_finite: return "non-finite";
  }
  return "?";
}

Inspection inspect(const Checkpoint& checkpoint) {
  Inspection result;
  result.path = checkpoint.path();
  result.layout = checkpoint.layout();
  result.identity = checkpoint.identity();
  for (const Component component : kComponents) {
    if (!checkpoint.has(component)) {
      result.absent.push_back(component);
      continue;
    }
    const ComponentTensors& tensors = checkpoint.tensors(component);
    ComponentReport report;
    report.component = component;
    report.layout = tensors.layout().name;
    report.files = checkpoint.files(component);
    for (const auto& [name, tensor] : tensors.stored()) {
      if (tensors.is_ignored(name) || weight_described_by(name)) continue;
      report.parameters_by_type[std::string(tensor->type)] += tensor->elements();
      ++report.tensors;
      report.parameters += tensor->elements();
      report.bytes += static_cast<int64_t>(tensor->bytes.size());
    }
    std::vector<const StoredTensor*> hanging;
    for (const ExpectedTensor& expected : expected_of(checkpoint, component))
      for (const StoredTensor* tensor : tensors.not_understood(expected.name)) hanging.push_back(tensor);
    if (!hanging.empty())
      result.not_understood.push_back(
          message_not_understood(*hanging.front()) +
          (hanging.size() > 1 ? " There are " + std::to_string(hanging.size()) + " such tensors." : ""));
    result.parameters += report.parameters;
    result.bytes += report.bytes;
    result.components.push_back(std::move(report));
  }
  if (checkpoint.has(Component::transformer)) result.defaults = checkpoint.defaults();
  return result;
}

std::vector<Finding> verify(const Checkpoint& checkpoint, const VerifyProgress& progress) {
  return Verifier(checkpoint, progress).run();
}

}  // namespace fude
