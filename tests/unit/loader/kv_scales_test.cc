#include "loader/kv_scales.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/dtype.h"
#include "loader_files.h"

namespace attune {
namespace {

constexpr int64_t kHeads = 3;

struct Stored {
  std::string name;
  std::vector<float> values;
  std::vector<int64_t> shape;
  DType dtype = DType::f32;
};

Stored scalar(const std::string& name, float value) { return {name, {value}, {}}; }

/// What is read of a checkpoint of two layers that holds these tensors.
std::vector<LayerKvScales> read(const std::vector<Stored>& tensors) {
  const TestFolder folder;
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const Stored& t : tensors) {
    const size_t begin = data.size(), element = size_of(t.dtype);
    data.resize(begin + t.values.size() * element);
    for (size_t i = 0; i < t.values.size(); ++i) store_from_float(data.data() + begin, t.dtype, static_cast<int64_t>(i), t.values[i]);
    const char* dtype = t.dtype == DType::f32 ? "F32" : t.dtype == DType::bf16 ? "BF16" : t.dtype == DType::f16 ? "F16" : "F8_E4M3";
    header[t.name] = {{"dtype", dtype}, {"shape", t.shape}, {"data_offsets", {begin, data.size()}}};
  }
  folder.write("model.safetensors", safetensors_bytes(header.dump(), data));
  return read_kv_scales(Weights::open(folder.path()), 2, kHeads);
}

/// The four scales of two layers, with the names that `of` makes for ("0", "k").
std::vector<Stored> four(const std::function<std::string(std::string, std::string)>& of) {
  return {scalar(of("0", "k"), 0.5f), scalar(of("0", "v"), 0.25f), scalar(of("1", "k"), 1), scalar(of("1", "v"), 3)};
}

std::string plain(const std::string& layer, const std::string& side) { return "model.layers." + layer + ".self_attn." + side + "_scale"; }

TEST(KvScales, AreReadInEverySpelling) {
  const std::string at = "model.layers.", self = ".self_attn.";
  const std::function<std::string(std::string, std::string)> spellings[] = {
      plain,
      [&](const std::string& l, const std::string& s) { return at + l + self + "attn." + s + "_scale"; },
      [&](const std::string& l, const std::string& s) { return at + l + self + s + "_proj." + s + "_scale"; },
      [&](const std::string& l, const std::string& s) { return at + l + self + s + "_proj.output_scale"; },
  };
  for (const auto& spelling : spellings) {
    const auto scales = read(four(spelling));
    ASSERT_EQ(scales.size(), 2u) << spelling("0", "k");
    EXPECT_EQ(scales[0].k, std::vector<float>{0.5f});
    EXPECT_EQ(scales[0].v, std::vector<float>{0.25f});
    EXPECT_EQ(scales[1].k, std::vector<float>{1});
    EXPECT_EQ(scales[1].v, std::vector<float>{3});
  }
  const auto both = read({scalar("model.layers.0.self_attn.kv_scale", 2), scalar("model.layers.1.self_attn.kv_scale", 3)});
  EXPECT_EQ(both[1].k, both[1].v);
  EXPECT_EQ(both[1].k, std::vector<float>{3});
}

TEST(KvScales, ComeInSeveralShapesAndTypes) {
  std::vector<Stored> tensors = four(plain);
  tensors[0].shape = {1}, tensors[0].dtype = DType::bf16;
  tensors[1].shape = {1, 1, 1}, tensors[1].dtype = DType::f16;
  EXPECT_EQ(read(tensors)[0].v, std::vector<float>{0.25f});
  tensors[3] = {tensors[3].name, {3, 4, 5}, {kHeads}};
  const auto scales = read(tensors);
  EXPECT_EQ(scales[1].v, (std::vector<float>{3, 4, 5}));
  EXPECT_EQ(scales[0].k, (std::vector<float>{0.5f, 0.5f, 0.5f})) << "all are given a head if one is";
  tensors[3].shape = {kHeads, 1, 1};
  EXPECT_EQ(read(tensors)[1].v, (std::vector<float>{3, 4, 5}));
}

TEST(KvScales, MayBeAbsent) {
  EXPECT_TRUE(read({scalar("model.layers.0.self_attn.q_scale", 0), scalar("model.layers.2.self_attn.k_scale", -1)}).empty());
}

TEST(KvScales, AreRefusedIfTheyCannotBeRight) {
  const auto refusal = [](std::vector<Stored> tensors) { return error_of([&] { read(tensors); }); };
  const auto with = [](Stored changed) {
    std::vector<Stored> tensors = four(plain);
    changed.name = tensors[3].name, tensors[3] = changed;
    return tensors;
  };
  const std::string name = "InvalidArgument model.layers.1.self_attn.v_scale: ";
  EXPECT_EQ(refusal(with(scalar("", 0))), name + "expected a positive finite scale; got 0");
  EXPECT_EQ(refusal(with(scalar("", -2))), name + "expected a positive finite scale; got -2");
  EXPECT_EQ(refusal(with(scalar("", std::numeric_limits<float>::quiet_NaN()))), name + "expected a positive finite scale; got nan");
  EXPECT_EQ(refusal(with(scalar("", std::numeric_limits<float>::infinity()))), name + "expected a positive finite scale; got inf");
  EXPECT_EQ(refusal(with(scalar("", 1e-38f))), name + "expected a scale of 2^-126 or more; got 1e-38") << "its reciprocal overflows";
  EXPECT_EQ(refusal(with({"", {1, 2}, {2}})), name + "expected a scale of shape [], [1] or [3]; got [2]");
  EXPECT_EQ(refusal(with({"", {1, 2, 3}, {1, 3}})), name + "expected a scale of shape [], [1] or [3]; got [1, 3]");
  EXPECT_EQ(refusal(with({"", {}, {0}})), name + "expected a scale of shape [], [1] or [3]; got [0]");
  EXPECT_EQ(refusal(with({"", {1}, {1}, DType::f8_e4m3})), name + "expected a scale in f32, bf16 or f16; got f8_e4m3");
  auto tensors = four(plain);
  tensors.pop_back();
  EXPECT_EQ(refusal(tensors),
            "InvalidArgument weights: expected scales for the keys and values of all 2 layers; got 3 of 4, no model.layers.1.self_attn.v_scale");
  tensors.push_back(scalar("model.layers.0.self_attn.k_proj.output_scale", 1));
  EXPECT_EQ(refusal(tensors),
            "InvalidArgument weights: expected one scale for model.layers.0.self_attn.k_scale; got model.layers.0.self_attn.k_proj.output_scale "
            "beside it");
}

}  // namespace
}  // namespace attune
