// What `fude model inspect` counts and what `fude model verify` finds.
#include "weights/inspect.h"

#include <cmath>

#include "tiny_model.h"

namespace fude {
namespace {

TEST(Inspect, CountsEachComponent) {
  const Folder folder;
  Tensors t;
  add_transformer(t, "model.diffusion_model.");
  add_vae(t, "first_stage_model.");
  add_encoders(t);
  t.write(folder / "all.safetensors");
  CheckpointFiles files = only(folder / "all.safetensors");
  const Inspection all = inspect(Checkpoint::open(files));
  EXPECT_EQ(all.layout, "single file");
  ASSERT_EQ(all.components.size(), 5u);
  EXPECT_TRUE(all.absent.empty());
  const ComponentReport& t5 = all.components[2];
  EXPECT_EQ(t5.component, Component::t5);
  EXPECT_EQ(t5.tensors, static_cast<int64_t>(expected_tensors(tiny_t5()).size())) << "without copies, scales and markers";
  EXPECT_GT(t5.parameters_by_type.at("F8_E4M3"), 0);
  EXPECT_EQ(t5.parameters_by_type.at("F8_E4M3") + t5.parameters_by_type.at("F16"), t5.parameters);
  EXPECT_EQ(t5.bytes, t5.parameters_by_type.at("F8_E4M3") + 2 * t5.parameters_by_type.at("F16"));
  EXPECT_EQ(t5.files, std::vector{folder / "all.safetensors"});
  files.no_t5 = true;
  EXPECT_EQ(inspect(Checkpoint::open(files)).absent, std::vector{Component::t5});
}

// The findings in a transformer after `damage`.
template <class Damage>
std::vector<Finding> findings_after(Damage&& damage, DType dtype = DType::f16) {
  const Folder folder;
  Tensors t;
  add_transformer(t, "model.diffusion_model.", dtype);
  damage(t);
  t.write(folder / "m.safetensors");
  return verify(Checkpoint::open(only(folder / "m.safetensors")));
}

void expect_one(const std::vector<Finding>& findings, Finding::Kind kind, const std::string& tensor,
                const std::string& detail) {
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(name_of(findings[0].kind), name_of(kind));
  EXPECT_EQ(findings[0].tensor, tensor);
  EXPECT_TRUE(has(findings[0].detail, detail));
}

const std::string kPrefix = "model.diffusion_model.";
const std::string kBias = "joint_blocks.1.x_block.mlp.fc1.bias";

TEST(Verify, FindsNothingInASoundModel) {
  EXPECT_TRUE(findings_after([](Tensors&) {}).empty());
}

TEST(Verify, FindsWhatIsMissing) {
  expect_one(findings_after([](Tensors& t) { t.remove(kPrefix + kBias); }), Finding::Kind::missing, kBias,
             "stored as " + kPrefix + kBias);
}

TEST(Verify, FindsWhatIsUnexpected) {
  expect_one(findings_after([](Tensors& t) { t.add(kPrefix + "joint_blocks.1.x_block.lora", DType::f16, {3}); }),
             Finding::Kind::unexpected, kPrefix + "joint_blocks.1.x_block.lora", "F16 [3]");
  const auto stranger = findings_after([](Tensors& t) { t.add("model_ema.decay", DType::f32, {}); });
  expect_one(stranger, Finding::Kind::unexpected, "model_ema.decay", "F32 []");
  EXPECT_FALSE(stranger[0].component.has_value());
}

TEST(Verify, FindsWrongShapesAndTypes) {
  const auto replace = [](DType dtype, std::vector<int64_t> shape) {
    return [=](Tensors& t) {
      t.remove(kPrefix + kBias);
      t.add(kPrefix + kBias, dtype, shape);
    };
  };
  expect_one(findings_after(replace(DType::f32, {255})), Finding::Kind::misshaped, kBias, "is [255], should be [256]");
  expect_one(findings_after(replace(DType::f32, {256, 1})), Finding::Kind::misshaped, kBias, "is [256, 1], should be [256]");
  expect_one(findings_after([](Tensors& t) {
               t.remove(kPrefix + kBias);
               t.add_bytes(kPrefix + kBias, "I16", {256}, std::string(512, '\0'));
             }),
             Finding::Kind::misshaped, kBias, "has the type I16");
}

TEST(Verify, FindsValuesThatAreNotFinite) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16})
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      const auto findings = findings_after([&](Tensors& t) {
        std::vector<float> values(256, 1.0f);
        values[0] = values[255] = bad;
        t.remove(kPrefix + kBias);
        t.add(kPrefix + kBias, dtype, {256}, values);
      });
      expect_one(findings, Finding::Kind::non_finite, kBias, "2 of 256 values");
    }
  expect_one(findings_after([](Tensors& t) {
               t.remove(kPrefix + kBias);
               t.add_bytes(kPrefix + kBias, "F8_E4M3", {256}, std::string(255, '\x7e') + '\xff');
             }),
             Finding::Kind::non_finite, kBias, "1 of 256 values");
  EXPECT_TRUE(findings_after([](Tensors& t) {
                std::vector<float> values(256, 65504.0f);
                t.remove(kPrefix + kBias);
                t.add(kPrefix + kBias, DType::f16, {256}, values);
              }).empty())
      << "the largest f16 is finite";
}

TEST(Verify, FindsSwappedHalvesAndFusedPartsOnce) {
  // In the diffusers layout one finding belongs to one of several stored tensors.
  const Folder folder;
  copy_fixture("no_t5", folder / "m");
  const auto path = folder / "m" / "transformer" / "diffusion_pytorch_model.safetensors";
  std::string bytes = read_text(path);
  {
    const TensorFile file = TensorFile::open(path);
    for (const char* name : {"norm_out.linear.bias", "transformer_blocks.0.attn.to_k.bias"}) {
      const StoredTensor& tensor = *file.find(name);
      ASSERT_EQ(tensor.dtype, DType::f32);
      const float bad = NAN;
      std::memcpy(bytes.data() + (tensor.bytes.data() - file.file().bytes().data()), &bad, 4);
    }
  }
  write_text(path, bytes);
  const auto findings = verify(Checkpoint::open(only(folder / "m")));
  ASSERT_EQ(findings.size(), 2u);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.kind, Finding::Kind::non_finite);
    EXPECT_TRUE(
        has(finding.detail, finding.tensor == "final_layer.adaLN_modulation.1.bias" ? "norm_out.linear.bias" : "to_k.bias"));
  }
}

TEST(Verify, TellsItsProgressAndCanBeStopped) {
  const Checkpoint c = Checkpoint::open(only(fixture("plain")));
  int64_t last = 0, all = 0;
  verify(c, [&](int64_t done, int64_t total) {
    EXPECT_GE(done, last);
    last = done;
    all = total;
  });
  EXPECT_EQ(last, all);
  EXPECT_EQ(all, inspect(c).bytes);
  error_of(Code::cancelled, [&] { verify(c, [](int64_t, int64_t) { throw Error(Code::cancelled, "stopped"); }); });
}

}  // namespace
}  // namespace fude
