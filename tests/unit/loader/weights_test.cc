#include "loader/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "loader_files.h"

namespace attune {
namespace {

std::string one_tensor(const std::string& name, const std::string& shape, size_t count) {
  return safetensors_bytes(fmt::format(R"({{"{}":{{"dtype":"F32","shape":{},"data_offsets":[0,{}]}}}})", name, shape, 4 * count),
                           std::string(4 * count, '\x01'));
}

constexpr const char* kIndex = "model.safetensors.index.json";

TEST(Weights, ReadsOneFile) {
  const TestFolder folder;
  folder.write("model.safetensors", one_tensor("w", "[2,3]", 6));
  const Weights weights = Weights::open(folder.path());
  EXPECT_EQ(weights.names(), std::vector<std::string>{"w"});
  EXPECT_EQ(weights.total_bytes(), 24);
  const TensorView view = weights.get("w", {2, 3});
  EXPECT_EQ(view.dtype, DType::f32);
  EXPECT_EQ(error_of([&] { weights.get("w", {3, 2}); }), "InvalidArgument weights: expected w of shape [3, 2]; got [2, 3]");
  EXPECT_EQ(error_of([&] { weights.get("v", {3}); }), "InvalidArgument weights: expected v of shape [3]; got no such tensor in model.safetensors");
  EXPECT_FALSE(weights.find("v"));
  weights.release(view);
  EXPECT_EQ(std::memcmp(weights.get("w", {2, 3}).data, "\1\1\1\1", 4), 0);
}

TEST(Weights, ReadsShards) {
  const TestFolder folder;
  folder.write("one.safetensors", one_tensor("a", "[1]", 1));
  folder.write("two.safetensors", one_tensor("b", "[4]", 4));
  folder.write(kIndex, R"({"metadata":{"total_size":20},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const Weights weights = Weights::open(folder.path());
  EXPECT_EQ(weights.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(weights.total_bytes(), 20);
  EXPECT_EQ(weights.get("b", {4}).shape, Shape({4}));
}

TEST(Weights, RefusesBrokenIndexes) {
  const TestFolder folder;
  folder.write("one.safetensors", one_tensor("a", "[1]", 1));
  folder.write("../escaped.safetensors", one_tensor("a", "[1]", 1));
  const auto refusal = [&](const std::string& index) {
    folder.write(kIndex, index);
    return error_of([&] { Weights::open(folder.path()); });
  };
  const std::string start = "InvalidArgument model.safetensors.index.json: ";
  EXPECT_EQ(refusal(R"({"weight_map":{"a":"two.safetensors"}})"),
            "IoError model.safetensors.index.json: expected the shard two.safetensors beside it; got no such file");
  EXPECT_EQ(refusal(R"({"weight_map":{"b":"one.safetensors"}})"), start + "expected b in one.safetensors; got no tensor of that name there");
  for (const char* name : {"../escaped.safetensors", "/etc/passwd", "..", "", "a/b.safetensors", "one", ".safetensors", "x\\u0000.safetensors"})
    EXPECT_NE(refusal(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name)).find("plain file names"), std::string::npos) << name;
  EXPECT_NE(refusal(R"({"weight_map":{"a":1}})").find("a: expected the file name of a shard; got 1"), std::string::npos);
  EXPECT_NE(refusal(R"({"weight_map":[]})").find("got []"), std::string::npos);
  EXPECT_NE(refusal("{}").find("weight_map"), std::string::npos);
  EXPECT_NE(refusal("[]").find("JSON object"), std::string::npos);
  EXPECT_NE(refusal(R"({"weight_map":{"a":"one.safetensors","a":"one.safetensors"}})").find("twice"), std::string::npos);
  EXPECT_EQ(refusal(R"({"weight_map":{"a":"one.safetensors"}})"), "");
  std::filesystem::remove(folder.path().parent_path() / "escaped.safetensors");
}

TEST(Weights, SaysWhatTheFolderHoldsInstead) {
  const TestFolder folder;
  const std::string expected = "expected model.safetensors or model.safetensors.index.json; got ";
  EXPECT_NE(error_of([&] { Weights::open(folder.path()); }).find(expected + "neither"), std::string::npos);
  folder.write("pytorch_model.bin", "");
  EXPECT_NE(error_of([&] { Weights::open(folder.path()); }).find(expected + "pytorch_model.bin"), std::string::npos);
  EXPECT_NE(error_of([&] { Weights::open(folder.path() / "none"); }).find(expected + "no such folder"), std::string::npos);
}

TEST(Weights, ATruncatedFileIsRefused) {
  const TestFolder folder;
  const std::string whole = one_tensor("w", "[2,3]", 6);
  folder.write("model.safetensors", whole.substr(0, whole.size() - 1));
  EXPECT_NE(error_of([&] { Weights::open(folder.path()); }).find("model.safetensors: expected 24 bytes of data"), std::string::npos);
}

TEST(Weights, DataAtAnOddAddressComeAsAnAlignedCopy) {
  const TestFolder folder;
  std::string header = R"({"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})";
  if (header.size() % 2 == 0) header += ' ';
  folder.write("model.safetensors", safetensors_bytes(header, "abcd"));
  const Weights weights = Weights::open(folder.path());
  const TensorView view = weights.get("w", {2});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data) % 2, 0u);
  EXPECT_EQ(std::memcmp(view.data, "abcd", 4), 0);
  EXPECT_EQ(weights.get("w", {2}).data, view.data);
  weights.release(view);
  EXPECT_EQ(std::memcmp(weights.get("w", {2}).data, "abcd", 4), 0);
}

TEST(DummyWeights, HaveTheStatedDistribution) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const Weights weights = Weights::dummy(dtype, 1);
    for (const auto& [name, center] :
         {std::pair("model.layers.0.mlp.up_proj.weight", 0.0), std::pair("model.layers.0.input_layernorm.weight", 1.0)}) {
      const TensorView view = weights.get(name, {300, 1001});
      double sum = 0, squares = 0;
      for (int64_t i = 0; i < view.shape.count(); ++i) {
        const double x = load_as_float(view.data, dtype, i) - center;
        sum += x, squares += x * x;
      }
      const double n = static_cast<double>(view.shape.count());
      EXPECT_NEAR(sum / n, 0, 2e-4) << name;
      EXPECT_NEAR(std::sqrt(squares / n), 0.02, 5e-4) << name;
    }
  }
}

TEST(DummyWeights, DependOnSeedNameAndIndexAlone) {
  const Weights weights = Weights::dummy(DType::f32, 7), again = Weights::dummy(DType::f32, 7), other = Weights::dummy(DType::f32, 8);
  const Shape large{3, 1 << 20};  // filled by several threads
  const TensorView a = weights.get("a", large), b = weights.get("b", large);
  EXPECT_NE(std::memcmp(a.data, b.data, 4096), 0);
  EXPECT_NE(std::memcmp(a.data, other.get("a", large).data, 4096), 0);
  EXPECT_EQ(std::memcmp(a.data, again.get("a", large).data, static_cast<size_t>(a.bytes())), 0);
  EXPECT_EQ(std::memcmp(a.data, Weights::dummy(DType::f32, 7).get("a", {100}).data, 400), 0);
  EXPECT_EQ(weights.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(weights.total_bytes(), a.bytes() + b.bytes());
  EXPECT_EQ(weights.get("a", large).data, a.data);
  EXPECT_EQ(error_of([&] { weights.get("a", {1}); }), "InvalidArgument weights: expected a of shape [1]; got [3, 1048576]");
  weights.release(a);
  EXPECT_FALSE(weights.find("a"));
  EXPECT_EQ(std::memcmp(weights.get("a", large).data, again.get("a", large).data, static_cast<size_t>(b.bytes())), 0);
}

TEST(DummyWeights, OddSizesAndUnfitTypes) {
  const Weights weights = Weights::dummy(DType::bf16);
  for (int64_t n : {0, 1, 7, 8, 9, 17}) EXPECT_EQ(weights.get(fmt::format("w{}", n), {n}).bytes(), 2 * n);
  EXPECT_NE(error_of([] { Weights::dummy(DType::i8); }).find("NotSupported"), std::string::npos);
}

}  // namespace
}  // namespace attune
