// The stored tensors of one component, seen under canonical names through its layout.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weights/component.h"
#include "weights/source.h"

namespace fude {

class ComponentTensors {
 public:
  struct Named {
    std::string_view name;  // stored, without the prefix
    const StoredTensor* tensor;
  };

  // Tries every layout of the component on the tensors of a file or folder. `bare` allows names without a prefix.
  static std::optional<ComponentTensors> recognise(Component component, Origin origin, bool bare,
                                                   const std::vector<const StoredTensor*>& tensors);

  Component component() const { return component_; }
  const Layout& layout() const { return *layout_; }
  std::string_view prefix() const { return prefix_; }
  int64_t blocks() const { return blocks_; }
  const std::vector<Named>& stored() const { return stored_; }  // by name

  // Nothing when the checkpoint has no such tensor; Error{bad_checkpoint} when it has one that cannot be used.
  std::optional<Source> find(std::string_view canonical) const;
  bool contains(std::string_view canonical) const { return stored_for(canonical).has_value(); }
  // Whether the layout has such a tensor at all.
  bool maps(std::string_view canonical) const { return !recipes(*layout_, canonical, blocks_).empty(); }
  // The stored names that would make up `canonical`, for messages.
  std::vector<std::string> names_for(std::string_view canonical) const;

  // Stored tensors that belong to quantised weights of `canonical` (X.weight_scale_inv to X.weight) and change their values in
  // an unknown way: without them the weights are wrong.
  std::vector<const StoredTensor*> not_understood(std::string_view canonical) const;

  // Stored tensors that none of `canonical` uses and that are not known to be unused.
  std::vector<const StoredTensor*> unexpected(const std::vector<std::string>& canonical) const;
  bool is_ignored(std::string_view stored_name) const { return fude::is_ignored(*layout_, stored_name); }

 private:
  struct Stored {
    Op op;
    std::vector<const StoredTensor*> tensors;
    std::vector<std::string> names;
  };

  const StoredTensor* stored(std::string_view stored_name) const;
  std::optional<Stored> stored_for(std::string_view canonical) const;
  float scale_of(std::string_view stored_name) const;

  Component component_ = {};
  const Layout* layout_ = nullptr;
  std::string_view prefix_;
  std::vector<Named> stored_;
  int64_t blocks_ = 0;
};

// Whether a tensor's name starts with a prefix that single files use for this component, or for any.
bool has_prefix_of(Component component, std::string_view name);
bool has_known_prefix(std::string_view name);

// For the name of a tensor beside a weight in scaled fp8 files ("X.scale_weight" of "X.weight"): the weight's name, else
// nothing.
std::optional<std::string> weight_described_by(std::string_view stored_name);

// The message about such a tensor.
std::string message_not_understood(const StoredTensor& tensor);

}  // namespace fude
