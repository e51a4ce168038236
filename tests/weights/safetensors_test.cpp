// Reading and writing safetensors: what the format allows, hostile headers, truncation, full disks.
#include "weights/safetensors.h"

#include "made_files.h"

#if __has_include(<sys/resource.h>)
#include <sys/resource.h>

#include <csignal>
#endif

namespace fude {
namespace {

std::string with_length(const std::string& header, const std::string& data = {}) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return file + header + data;
}

TensorList parse(const std::string& file) {
  return parse_tensors({reinterpret_cast<const std::byte*>(file.data()), file.size()}, "x.safetensors");
}

TEST(Safetensors, ReadsWhatItWrote) {
  const Folder folder;
  Tensors tensors;
  tensors.add("half", DType::f16, {2, 3}, {1, -2, 0.5f, 65504, 0, -0.25f});
  tensors.add("scalar", DType::f32, {}, {3.5f});
  tensors.add("empty", DType::bf16, {0, 4}, {});
  tensors.add_bytes("odd", "U8", {3}, "abc");
  write_safetensors(folder / "a.safetensors", tensors.list(), {{"made by", "\"a test\""}});

  const TensorFile file = TensorFile::open(folder / "a.safetensors");
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.metadata().at("made by"), "\"a test\"");
  const StoredTensor* half = file.find("half");
  ASSERT_NE(half, nullptr);
  EXPECT_EQ(half->dtype, DType::f16);
  EXPECT_EQ(half->shape, (std::vector<int64_t>{2, 3}));
  std::vector<float> values(6);
  to_f32(*half->dtype, half->bytes.data(), values.data(), 6);
  EXPECT_EQ(values, (std::vector<float>{1, -2, 0.5f, 65504, 0, -0.25f}));
  EXPECT_EQ(file.find("scalar")->elements(), 1);
  EXPECT_EQ(file.find("empty")->elements(), 0);
  EXPECT_EQ(file.find("absent"), nullptr);
  for (const StoredTensor& tensor : file.tensors())
    if (tensor.dtype) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes.data()) % static_cast<uintptr_t>(size_of(*tensor.dtype)), 0u);
    }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "a temporary file is left";
}

TEST(Safetensors, GivesElementsAsStoredAndAsFloatsFromAnyPlace) {
  const Folder folder;
  Tensors tensors;
  std::vector<float> values(10'000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const std::vector<double> wide(values.begin(), values.end());
  tensors.add("narrow", DType::f32, {100, 100}, values);
  tensors.add_bytes("wide", "F64", {100, 100}, {reinterpret_cast<const char*>(wide.data()), 8 * wide.size()});
  tensors.write(folder / "a.safetensors");
  const TensorFile file = TensorFile::open(folder / "a.safetensors");
  const std::vector<float> wanted(values.begin() + 700, values.end());
  std::vector<float> narrow(wanted.size()), converted(wanted.size());
  file.find("narrow")->read_stored(700, 9'300, narrow.data());
  file.find("wide")->read_f32(700, 9'300, converted.data());
  EXPECT_EQ(narrow, wanted);
  EXPECT_EQ(converted, wanted);
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  EXPECT_TRUE(parse(with_length("{}")).tensors.empty());
  EXPECT_TRUE(parse(with_length("{}      ")).tensors.empty());
  EXPECT_EQ(parse(with_length(R"({"__metadata__":{"format":"pt"}})")).metadata.at("format"), "pt");
  const std::string file = with_length(R"({"b":{"dtype":"F8_E5M2","shape":[2],"data_offsets":[1,3]},)"
                                       R"("a":{"data_offsets":[0,1],"shape":[],"dtype":"BOOL"}})",
                                       "abc");
  const auto listed = parse(file);  // the tensors' bytes are the file's
  ASSERT_EQ(listed.tensors.size(), 2u);
  EXPECT_EQ(listed.tensors[0].name, "a") << "tensors come in the order of their bytes";
  EXPECT_FALSE(listed.tensors[0].dtype.has_value()) << "a type that fude does not compute with may be listed";
  EXPECT_EQ(listed.tensors[1].type, "F8_E5M2");
  EXPECT_EQ(std::to_integer<char>(listed.tensors[1].bytes[0]), 'b');
}

TEST(Safetensors, TakesNullForNoMetadata) {
  const auto listed = parse(with_length(R"({"__metadata__":null,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"));
  EXPECT_TRUE(listed.metadata.empty());
  ASSERT_EQ(listed.tensors.size(), 1u);
}

TEST(Safetensors, ListsEveryTypeOfTheFormat) {
  for (const char* type : {"F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F8_E5M2", "F8_E4M3"}) {
    const auto listed =
        parse(with_length(R"({"a":{"dtype":")" + std::string(type) + R"(","shape":[2],"data_offsets":[0,2]}})", "ab"));
    ASSERT_EQ(listed.tensors.size(), 1u);
    EXPECT_EQ(listed.tensors[0].type, type);
    EXPECT_EQ(listed.tensors[0].dtype.has_value(), type == std::string("F8_E4M3"));
  }
  const std::string message = error_of(
      Code::bad_checkpoint, [] { parse(with_length(R"({"a":{"dtype":"F3","shape":[8],"data_offsets":[0,3]}})", "abc")); });
  EXPECT_FALSE(has(message, "damaged")) << message;
  EXPECT_TRUE(has(message, "\"a\" in the unknown type \"F3\""));
}

TEST(Safetensors, QuotesTheTextThatWasSavedInsteadOfWeights) {
  const std::pair<std::string, std::vector<std::string>> files[] = {
      {"{\"error\":\"Access to model x is restricted.\"}",
       {"is text, not weights", "it begins \"{\"error\":\"Access to model x is restricted.\"}\"", "licence"}},
      {"Entry not found", {"is text", "\"Entry not found\""}},
      {"<?xml version=\"1.0\"?>\n<Error>\n  <Code>AccessDenied</Code></Error>", {"is text", "<Error> <Code>AccessDenied"}},
      {"\n\n<!doctype HTML><html><head>\n<title>Sign in</title>", {"is a web page", "<title>Sign in"}},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0123", {"Git LFS pointer", "git lfs pull", "oid sha256:0123"}},
      {"\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbc" + std::string(300, 'x'), {"\xe3\x82\xa8\xe3\x83\xa9\xe3\x83\xbcxxx", "…\""}},
      {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j", {"PyTorch pickle"}},
      {std::string("PK\x03\x04\0\0\0\0", 8), {"PyTorch archive"}},
  };
  for (const auto& [file, says] : files) {
    const std::string message = error_of(Code::bad_checkpoint, [&] { parse(file); });
    for (const std::string& part : says) EXPECT_TRUE(has(message, part));
    EXPECT_FALSE(has(message, "damaged")) << message;
  }
}

struct Hostile {
  std::string file, says;
};

std::string one(const std::string& fields, const std::string& data = "0123") {
  return with_length("{\"a\":{" + fields + "}}", data);
}

const std::vector<Hostile>& hostile_files() {
  const std::string f32 = R"("dtype":"F32",)";
  const std::string huge_length{"\x01\xe1\xf5\x05\0\0\0\0{}", 10};  // 100,000,001
  static const std::vector<Hostile> files = {
      {"", "only 0 bytes"},
      {"1234567", "only 7 bytes"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "18446744073709551615 bytes, more than the format allows"},
      {huge_length, "more than the format allows"},
      {with_length("{}").substr(0, 9), "1 bytes of its header are missing"},
      {with_length(""), "header is not JSON"},
      {with_length("[1]"), "header is not JSON"},
      {with_length(" {}"), "header is not JSON"},
      {with_length("{\"a\":"), "not JSON at byte"},
      {with_length("{} x"), "not JSON at byte"},
      {with_length(std::string("{}\0", 3)), "not JSON at byte"},
      {with_length("{\"\xff\":1}"), "not JSON at byte"},
      {with_length("{\"a\":" + std::string(50'000, '[')), "list where none belongs"},
      {with_length("{\"a\":" + std::string(50'000, '{')), "not JSON at byte"},
      {with_length(R"({"a":null})"), "null where none belongs"},
      {with_length(R"({"a":true})"), "true or false where none belongs"},
      {with_length(R"({"a":7})"), "number where none belongs"},
      {with_length(R"({"a":"F32"})"), "text where none belongs"},
      {with_length(R"({"a":{}})"), "lacks dtype, shape or data_offsets"},
      {one(f32 + R"("shape":[1])"), "lacks dtype, shape or data_offsets"},
      {one(R"("shape":[1],"data_offsets":[0,4])"), "lacks dtype, shape or data_offsets"},
      {one(f32 + R"("data_offsets":[0,4])"), "lacks dtype, shape or data_offsets"},
      {one(R"("dtype":"F7","shape":[1],"data_offsets":[0,4])"), "unknown type \"F7\""},
      {one(R"("dtype":32,"shape":[1],"data_offsets":[0,4])"), "number where none belongs"},
      {one(f32 + f32 + R"("shape":[1],"data_offsets":[0,4])"), "unexpected field \"dtype\""},
      {one(f32 + R"("shape":[1],"shape":[1],"data_offsets":[0,4])"), "two fields \"shape\""},
      {one(f32 + R"("shape":[1],"strides":[1],"data_offsets":[0,4])"), "unexpected field \"strides\""},
      {one(f32 + R"("shape":[1],"note":"x","data_offsets":[0,4])"), "unexpected field \"note\""},
      {one(f32 + R"("shape":{"0":1},"data_offsets":[0,4])"), "object where none belongs"},
      {one(f32 + R"("shape":[[1]],"data_offsets":[0,4])"), "list where none belongs"},
      {one(f32 + R"("shape":["1"],"data_offsets":[0,4])"), "text where none belongs"},
      {one(f32 + R"("shape":[-1],"data_offsets":[0,4])"), "negative number -1"},
      {one(f32 + R"("shape":[1.0],"data_offsets":[0,4])"), "not a size"},
      {one(f32 + R"("shape":[99999999999999999999],"data_offsets":[0,4])"), "not a size"},
      {one(f32 + R"("shape":[18446744073709551615],"data_offsets":[0,4])"), "impossible shape"},
      {one(f32 + R"("shape":[4294967296,4294967296],"data_offsets":[0,0])"), "impossible shape"},
      {one(f32 + R"("shape":[0,18446744073709551615],"data_offsets":[0,0])"), "impossible shape"},
      {one(f32 + R"("shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])"), "more than 8 dimensions"},
      {one(f32 + R"("shape":[1],"data_offsets":[4])"), "1 data_offsets, not 2"},
      {one(f32 + R"("shape":[1],"data_offsets":[0,2,4])"), "3 data_offsets, not 2"},
      {one(f32 + R"("shape":[1],"data_offsets":[4,0])"), "impossible data_offsets [4, 0]"},
      {one(f32 + R"("shape":[1],"data_offsets":[18446744073709551612,18446744073709551615])"), "impossible data_offsets"},
      {one(f32 + R"("shape":[2],"data_offsets":[0,4])"), "of type F32 and shape [2] cannot have 4 bytes"},
      {one(R"("dtype":"F4","shape":[3],"data_offsets":[0,1])", "0"), "cannot have 1 bytes"},
      {one(f32 + R"("shape":[1],"data_offsets":[0,4])", "0"),
       "is incomplete: 3 bytes are missing at its end. Download it again."},
      {one(f32 + R"("shape":[1],"data_offsets":[0,4])", "01234"), "1 bytes at its end belong to no tensor"},
      {one(f32 + R"("shape":[1],"data_offsets":[4,8])", "01234567"), "4 bytes before \"a\" belong to no tensor"},
      {with_length(
           R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
           "012"),
       "overlaps another"},
      {with_length(
           R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
           "01"),
       "overlaps another"},
      {with_length(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
           "012"),
       "1 bytes before \"b\" belong to no tensor"},
      {with_length(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
           "01"),
       "\"a\" occurs twice"},
      {with_length(R"({"__metadata__":{},"__metadata__":{}})"), "\"__metadata__\" is given twice"},
      {with_length(R"({"__metadata__":{"a":1}})"), "number where none belongs"},
      {with_length(R"({"__metadata__":{"a":["b"]}})"), "list where none belongs"},
      {with_length(R"({"__metadata__":"x"})"), "text where none belongs"},
      {"GGUF\3\0\0\0 and so on", "is a GGUF file"},
      {"PK\3\4 and so on", "is a PyTorch archive"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"},
      {"<!DOCTYPE html>", "is a web page"},
  };
  return files;
}

class HostileHeader : public testing::TestWithParam<size_t> {};

TEST_P(HostileHeader, IsOneClearError) {
  const Hostile& hostile = hostile_files()[GetParam()];
  const std::string message = error_of(Code::bad_checkpoint, [&] { parse(hostile.file); });
  EXPECT_TRUE(has(message, hostile.says));
  EXPECT_TRUE(has(message, "\"x.safetensors\""));
  EXPECT_LT(message.size(), 600u);
}

INSTANTIATE_TEST_SUITE_P(All, HostileHeader, testing::Range<size_t>(0, hostile_files().size()));

TEST(Safetensors, ShortensAndEscapesHostileNames) {
  const std::string name = "\\n\\u001b[31m" + std::string(100'000, 'x');
  const std::string message = error_of(Code::bad_checkpoint, [&] { parse(with_length("{\"" + name + "\":{}}")); });
  EXPECT_LT(message.size(), 600u);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(Safetensors, EveryTruncationIsAnError) {
  Tensors tensors;
  const Folder folder;
  tensors.add("a", DType::f32, {3});
  tensors.add("b", DType::f16, {2, 2});
  tensors.write(folder / "whole.safetensors");
  const std::string whole = read_text(folder / "whole.safetensors");
  EXPECT_EQ(parse(whole).tensors.size(), 2u);
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { parse(whole.substr(0, length)); }), "safetensors")) << length;
}

TEST(Safetensors, MissingFileIsNamed) {
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [] { TensorFile::open("no/such.safetensors"); }), "no/such.safetensors"));
  const Folder folder;
  EXPECT_TRUE(has(error_of(Code::bad_checkpoint, [&] { TensorFile::open(folder.path()); }), "cannot read"));
}

TEST(Safetensors, WriterReportsFailureAndLeavesNothing) {
  const Folder folder;
  Tensors tensors;
  tensors.add("a", DType::f32, {3});
  EXPECT_TRUE(
      has(error_of(Code::io, [&] { write_safetensors(folder / "no" / "a.safetensors", tensors.list()); }), "cannot write"));
  std::filesystem::create_directories(folder / "taken" / "inside");  // a folder cannot be replaced by a file
  EXPECT_TRUE(has(error_of(Code::io, [&] { write_safetensors(folder / "taken", tensors.list()); }), "cannot write"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

#ifdef RLIMIT_FSIZE
TEST(Safetensors, FullDiskIsAnErrorAndLeavesNothing) {
  const Folder folder;
  Tensors tensors;
  tensors.add("a", DType::f32, {100'000});
  write_text(folder / "a.safetensors", "the picture before");
  rlimit old;
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{4096, old.rlim_max};  // files cannot grow beyond this, as on a full disk
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = error_of(Code::io, [&] { write_safetensors(folder / "a.safetensors", tensors.list()); });
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(has(message, "cannot write"));
  EXPECT_EQ(read_text(folder / "a.safetensors"), "the picture before");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}
#endif

}  // namespace
}  // namespace fude
