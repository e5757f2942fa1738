// bf16 runs against what their stated rounding points cost.
//
// A bf16 run differs from exact arithmetic by independent roundings at the points of RoundingModel: eight a layer (normed twice, q, k, v, the
// softmax weights where the kernel rounds them, attended, activated) and one before the head. Each adds an error that is uniform within half
// an ulp, 2^(e - 8) for a value of 2^e: a standard deviation of ulp / sqrt(12). What they cost together at a position is the standard
// deviation of its log-probability under such errors, which kDraws runs in double estimate; weights are rounded once and exactly known, so the
// reference holds them. The bound: no position is off by more than kWorst standard deviations, and over all positions the root mean square is
// no more than kMeanHigh. Below kMeanLow, on the other side, the run would round less than is stated, and the bound would be loose.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "attune/engine.h"
#include "attune/kernels.h"
#include "rounding_model.h"

namespace attune {
namespace {

using test::Point;
using test::Round;
using test::RoundingModel;

constexpr int kDraws = 24;
constexpr double kWorst = 6, kMeanHigh = 1.3, kMeanLow = 0.7;
const std::filesystem::path kGoldens = std::filesystem::path(ATTUNE_SOURCE_DIR) / "tests/model/goldens";

using Logprobs = std::vector<std::vector<double>>;  // (prompts, positions)

std::vector<std::vector<int32_t>> prompts_of(const std::string& name) {
  std::ifstream file(kGoldens / name / "golden.json");
  const auto facts = nlohmann::json::parse(file);
  std::vector<std::vector<int32_t>> out;
  for (const auto& p : facts["prompts"]) out.push_back(p["token_ids"]);
  return out;
}

EngineOptions options_for(const std::filesystem::path& folder, const std::string& dtype) {
  EngineOptions o;
  o.model = folder.string(), o.tokenizer = false, o.dtype = dtype, o.threads = 1, o.max_num_seqs = 4;
  o.kv_cache_memory_bytes = 16 << 20;
  return o;
}

Logprobs engine_logprobs(const EngineOptions& o, const std::vector<std::vector<int32_t>>& prompts) {
  Engine engine(o);
  Logprobs out(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    Request r;
    r.token_ids = prompts[i];
    r.sampling.max_tokens = 0, r.sampling.prompt_logprobs = 0;
    r.on_event = [&out, i](const RequestEvent& e) {
      if (!e.finished) return;
      for (const TokenLogprob& t : *e.prompt_logprobs) out[i].push_back(t.logprob);
    };
    engine.submit(std::move(r));
  }
  while (engine.step()) {
  }
  return out;
}

/// Whether the attention kernel that a load chooses rounds its softmax weights.
bool rounds_softmax_weights(const std::filesystem::path& folder) {
  ExplainQuery q;
  q.op = "attention", q.model = folder.string(), q.dtype = "bfloat16";
  const auto chosen = nlohmann::json::parse(explain_json(q))["chosen"];
  const auto kernels = nlohmann::json::parse(kernels_json("attention"));
  for (const auto& k : kernels)
    if (k["kernel"] == chosen) return k["reduction"].get<std::string>().find("p_bf16") != std::string::npos;
  return false;
}

struct Deviation {
  double worst = 0, mean = 0;  ///< largest and root mean square, in standard deviations
  bool within() const { return worst <= kWorst && mean <= kMeanHigh; }
};

/// A planted defect: the lower half of a float thrown away.
double cut_to_bf16(double x) { return x == 0 ? 0 : std::trunc(x / test::bf16_ulp(x)) * test::bf16_ulp(x); }

/// What rounding may cost a model: the exact values, and the standard deviation of each.
class Allowance {
 public:
  explicit Allowance(const std::string& name)
      : prompts_(prompts_of(name)), model_(kGoldens / name, true), softmax_weights_(rounds_softmax_weights(kGoldens / name)) {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> within(-0.5, 0.5);
    exact_ = run([](Point, double x) { return x; });
    for (const auto& p : exact_) deviation_.emplace_back(p.size());
    for (int draw = 0; draw < kDraws; ++draw) {
      const Logprobs noisy = run([&](Point at, double x) { return stated(at) ? x + within(random) * test::bf16_ulp(x) : x; });
      for (size_t i = 0; i < noisy.size(); ++i)
        for (size_t t = 0; t < noisy[i].size(); ++t) deviation_[i][t] += std::pow(noisy[i][t] - exact_[i][t], 2) / kDraws;
    }
  }

  const std::vector<std::vector<int32_t>>& prompts() const { return prompts_; }
  bool stated(Point at) const { return at != Point::softmax_weight || softmax_weights_; }

  Logprobs run(const Round& round) const {
    Logprobs out;
    for (const auto& p : prompts_) out.push_back(model_.logprobs(p, round));
    return out;
  }

  Deviation of(const Logprobs& got) const {
    Deviation d;
    double count = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].size(), exact_[i].size());
      for (size_t t = 0; t < got[i].size(); ++t) {
        const double z = (got[i][t] - exact_[i][t]) / std::sqrt(deviation_[i][t]);
        d.worst = std::max(d.worst, std::abs(z)), d.mean += z * z, ++count;
      }
    }
    d.mean = std::sqrt(d.mean / count);
    return d;
  }

 private:
  std::vector<std::vector<int32_t>> prompts_;
  RoundingModel model_;
  bool softmax_weights_;
  Logprobs exact_, deviation_;  // the second holds squares
};

class Rounding : public testing::TestWithParam<std::string> {};

/// The model in double is the model: its log-probabilities are those of the engine in f32, which golden_test.cc compares with Transformers.
TEST_P(Rounding, TheModelInDoubleIsTheModel) {
  const auto prompts = prompts_of(GetParam());
  const RoundingModel model(kGoldens / GetParam(), false);
  const Logprobs got = engine_logprobs(options_for(kGoldens / GetParam(), "float32"), prompts);
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto expected = model.logprobs(prompts[i], [](Point, double x) { return x; });
    for (size_t t = 0; t < expected.size(); ++t) EXPECT_NEAR(got[i][t], expected[t], 1e-4) << i << " " << t;
  }
}

/// A run costs what its rounding points cost; and the bound notices, in every model, conversions that cut off instead of rounding and a
/// rounding that is too coarse (keys and values in fp8).
TEST_P(Rounding, Bfloat16CostsWhatItsRoundingPointsCost) {
  const Allowance allowed(GetParam());
  const auto run = [&](const std::string& kv) {
    EngineOptions o = options_for(kGoldens / GetParam(), "bfloat16");
    o.kv_cache_dtype = kv;
    return allowed.of(engine_logprobs(o, allowed.prompts()));
  };
  const Deviation d = run("auto");
  std::printf("%s: worst %.2f, root mean square %.2f standard deviations\n", GetParam().c_str(), d.worst, d.mean);
  EXPECT_LE(d.worst, kWorst);
  EXPECT_LE(d.mean, kMeanHigh);
  EXPECT_GE(d.mean, kMeanLow);
  const Deviation cut = allowed.of(allowed.run([&](Point at, double x) { return allowed.stated(at) ? cut_to_bf16(x) : x; }));
  EXPECT_FALSE(cut.within()) << "cut off: " << cut.worst << " " << cut.mean;
  const Deviation coarse = run("fp8");
  EXPECT_FALSE(coarse.within()) << "KV in fp8: " << coarse.worst << " " << coarse.mean;
}

/// A wrong number in a config that leaves the text readable: a window that is one token too long.
TEST(RoundingOfOneModel, AWindowThatIsOneTooLongIsNoticed) {
  const Allowance allowed("mistral-window");
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "attune-window-by-one";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(kGoldens / "mistral-window", folder);
  std::ifstream file(kGoldens / "mistral-window" / "config.json");
  nlohmann::json config = nlohmann::json::parse(file);
  config["sliding_window"] = config["sliding_window"].get<int>() + 1;
  std::ofstream(folder / "config.json") << config;
  const Deviation d = allowed.of(engine_logprobs(options_for(folder, "bfloat16"), allowed.prompts()));
  std::filesystem::remove_all(folder);
  EXPECT_FALSE(d.within()) << d.worst << " " << d.mean;
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) all.push_back(entry.path().filename().string());
  std::sort(all.begin(), all.end());
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Rounding, testing::ValuesIn(names()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace attune
