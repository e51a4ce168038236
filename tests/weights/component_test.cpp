// The table of components, and what their load functions ask of a checkpoint.
#include "weights/component.h"

#include <set>

#include "tiny_model.h"
#include "weights/weight_source.h"

namespace fude {
namespace {

TEST(Components, StandInTheTableInTheOrderOfTheirNumbers) {
  ASSERT_EQ(component_types().size(), std::size(kComponents));
  std::set<std::string_view> names, folders;
  for (const Component component : kComponents) {
    EXPECT_EQ(type_of(component).component, component);
    EXPECT_FALSE(type_of(component).layouts.empty());
    names.insert(type_of(component).name);
    folders.insert(type_of(component).folder);
  }
  EXPECT_EQ(names.size(), std::size(kComponents));
  EXPECT_EQ(folders.size(), std::size(kComponents));
}

TEST(Components, AskForEachTensorOnce) {
  const Checkpoint c = Checkpoint::open(only(fixture("dual")));
  for (const Component component : kComponents) {
    std::vector<ExpectedTensor> expected;
    Loader recording(expected);
    type_of(component).load(recording, c.geometry(component));
    std::set<std::string> names;
    for (const ExpectedTensor& e : expected) EXPECT_TRUE(names.insert(e.name).second) << e.name;
    EXPECT_FALSE(names.empty());
  }
}

// What loading says about a transformer after `damage`, in which a bias is asked for.
template <class Damage>
std::string said_of_bias(Damage&& damage) {
  const std::string prefix = "model.diffusion_model.", bias = "joint_blocks.1.x_block.mlp.fc1.bias";
  const Folder folder;
  Tensors t;
  add_transformer(t, prefix);
  damage(t, prefix + bias);
  t.write(folder / "m.safetensors");
  const Checkpoint c = Checkpoint::open(only(folder / "m.safetensors"));
  return error_of(Code::bad_checkpoint, [&] { WeightSource(c, Component::transformer).find(bias, {256}); });
}

TEST(Components, NameTheTensorThatIsAbsentOrHasAnotherShape) {
  const std::string absent = said_of_bias([](Tensors& t, const std::string& name) { t.remove(name); });
  EXPECT_TRUE(has(absent, "fc1.bias\" of the transformer is missing in"));
  const std::string other = said_of_bias([](Tensors& t, const std::string& name) {
    t.remove(name);
    t.add(name, DType::f16, {255});
  });
  EXPECT_TRUE(has(other, "fc1.bias\" of the transformer in"));
  EXPECT_TRUE(has(other, "is [255], should be [256]"));
  EXPECT_TRUE(has(other, "m.safetensors"));
}

}  // namespace
}  // namespace fude
