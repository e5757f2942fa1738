// Scales of keys and values that a checkpoint stores, against the model in double that stores its keys and values with the same scales.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "../scaled_checkpoint.h"
#include "attune/engine.h"
#include "attune/error.h"
#include "attune/kernels.h"
#include "rounding_model.h"

namespace attune {
namespace {

using test::Point;
using test::RoundingModel;
using test::ScaleTensor;
using testing::HasSubstr;

const std::filesystem::path kGoldens = std::filesystem::path(ATTUNE_SOURCE_DIR) / "tests/model/goldens";
constexpr double kLargest = 448;  // of f8_e4m3

/// Scales of keys and values, (layers, heads).
struct Sides {
  std::vector<std::vector<float>> k, v;
  float at(Point p, size_t layer, size_t head) const {
    const auto& side = (p == Point::k ? k : v)[layer];
    return side[side.size() == 1 ? 0 : head];
  }
};

std::vector<int32_t> prompt() {
  std::vector<int32_t> ids;
  for (int i = 0; i < 60; ++i) ids.push_back((i * 37 + i * i) % 90);
  return ids;
}

double same(Point, double x) { return x; }

std::vector<double> in_double(const RoundingModel& model, const Sides& scales) {
  return model.logprobs(prompt(), same, [&](Point p, size_t layer, size_t head, double x) {
    const auto scale = static_cast<double>(scales.at(p, layer, head));
    return static_cast<double>(to_float(to_f8_e4m3(static_cast<float>(x / scale)))) * scale;
  });
}

/// Scales by which the largest keys and values do not quite fit, one a layer or one a head.
Sides tight_scales(const RoundingModel& model, bool per_head) {
  const auto layers = static_cast<size_t>(model.config().num_layers), heads = static_cast<size_t>(model.config().num_kv_heads);
  Sides s;
  for (auto* side : {&s.k, &s.v}) side->assign(layers, std::vector<float>(per_head ? heads : 1));
  model.logprobs(prompt(), same, [&](Point p, size_t layer, size_t head, double x) {
    float& scale = (p == Point::k ? s.k : s.v)[layer][per_head ? head : 0];
    scale = std::max(scale, static_cast<float>(std::abs(x) * 0.8 / kLargest));
    return x;
  });
  return s;
}

std::vector<ScaleTensor> tensors_of(const Sides& s) {
  std::vector<ScaleTensor> out;
  for (size_t layer = 0; layer < s.k.size(); ++layer) {
    const std::string at = "model.layers." + std::to_string(layer) + ".self_attn.";
    out.push_back({at + "k_scale", s.k[layer]}), out.push_back({at + "v_scale", s.v[layer]});
  }
  return out;
}

std::vector<double> run(const std::filesystem::path& folder, const std::string& kv, const std::vector<std::string>& disabled = {}) {
  EngineOptions o;
  o.model = folder.string(), o.tokenizer = false, o.dtype = "float32", o.kv_cache_dtype = kv, o.threads = 1, o.max_num_seqs = 4;
  o.kv_cache_memory_bytes = 16 << 20, o.disable_kernels = disabled;
  Engine engine(o);
  std::vector<double> out;
  Request r;
  r.token_ids = prompt();
  r.sampling.max_tokens = 0, r.sampling.prompt_logprobs = 0;
  r.on_event = [&](const RequestEvent& e) {
    if (!e.finished) return;
    for (const TokenLogprob& t : *e.prompt_logprobs) out.push_back(t.logprob);
  };
  engine.submit(std::move(r));
  while (engine.step()) {
  }
  return out;
}

/// Root mean square.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(a[i] - b[i], 2);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

class KvScales : public testing::TestWithParam<std::tuple<const char*, bool>> {
 protected:
  std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / ("attune-kv-scales-" + std::to_string(getpid()));
  void TearDown() override { std::filesystem::remove_all(folder_); }
};

/// Float32 and double differ by where a key rounds to its other neighbour, which is rare: far less than any other reading of the scales.
TEST_P(KvScales, AreThoseTheKeysAndValuesAreStoredWith) {
  const auto& [name, per_head] = GetParam();
  const RoundingModel model(kGoldens / name, false);
  const Sides scales = tight_scales(model, per_head);
  test::copy_with_scales(kGoldens / name, folder_, tensors_of(scales));
  const std::vector<double> expected = in_double(model, scales);
  Sides swapped = scales, of_one_layer = scales, of_one_head = scales;
  std::swap(swapped.k, swapped.v);
  for (auto* side : {&of_one_layer.k, &of_one_layer.v}) side->back() = side->front();
  for (auto* side : {&of_one_head.k, &of_one_head.v})
    for (auto& heads : *side) heads.assign(1, heads[0]);
  double other = distance(expected, run(kGoldens / name, "fp8"));
  for (const Sides& s : {swapped, of_one_layer}) other = std::min(other, distance(expected, in_double(model, s)));
  if (per_head) other = std::min(other, distance(expected, in_double(model, of_one_head)));
  const double fast = distance(expected, run(folder_, "fp8")), plain = distance(expected, run(folder_, "fp8", {"cpu.*"}));
  std::printf("%s: %.2g, by the references %.2g; any other scales at least %.2g\n", name, fast, plain, other);
  EXPECT_LE(fast, other / 50);
  EXPECT_LE(plain, other / 50);
}

/// Keys and values of another dtype have no use for them: the bits are those of the checkpoint without.
TEST_P(KvScales, AreIgnoredWhereKeysAndValuesAreNotEightBit) {
  const auto& [name, per_head] = GetParam();
  test::copy_with_scales(kGoldens / name, folder_, {{"model.layers.0.self_attn.k_scale", {0}}});
  EXPECT_EQ(run(folder_, "auto"), run(kGoldens / name, "auto"));
  EXPECT_EQ(run(folder_, "bfloat16"), run(kGoldens / name, "bfloat16"));
  EXPECT_THROW(run(folder_, "fp8"), Error) << "0 is no scale";
}

TEST_P(KvScales, AreWhatExplainNames) {
  const auto& [name, per_head] = GetParam();
  test::copy_with_scales(kGoldens / name, folder_, tensors_of(tight_scales(RoundingModel(kGoldens / name, false), per_head)));
  ExplainQuery q;
  q.op = "attention", q.model = folder_.string(), q.kv_cache_dtype = "fp8";
  EXPECT_THAT(explain_text(q),
              HasSubstr(per_head ? "f8_e4m3 (scales of the checkpoint, one a head)" : "f8_e4m3 (scales of the checkpoint, one a layer)"));
  EXPECT_THAT(nlohmann::json::parse(explain_json(q))["desc"].get<std::string>(), HasSubstr(per_head ? "kv_scale=head" : "kv_scale=tensor"));
  for (const char* weights : {"model.safetensors", "model.safetensors.index.json"}) std::filesystem::remove(folder_ / weights);
  EXPECT_THAT(explain_text(q), HasSubstr("f8_e4m3 (a scale for each token and head)"));
  q.kv_cache_dtype = "bfloat16";
  EXPECT_THAT(explain_text(q), HasSubstr("kv  bf16 in pages"));
}

INSTANTIATE_TEST_SUITE_P(All, KvScales, testing::Combine(testing::Values("qwen3-gqa7-tied", "mistral-window", "qwen2-linear"), testing::Bool()),
                         [](const auto& instance) {
                           std::string name = std::get<0>(instance.param) + std::string(std::get<1>(instance.param) ? "_heads" : "_layers");
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace attune
