// Every architecture against logits from Transformers: tiny models with odd shapes, all positions, every way of cutting the work.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "attune/engine.h"
#include "attune/kernels.h"
#include "loader/safetensors.h"

namespace attune {
namespace {

const std::filesystem::path kGoldens = std::filesystem::path(ATTUNE_SOURCE_DIR) / "tests/model/goldens";

struct Golden {
  std::string name;
  std::filesystem::path folder;
  nlohmann::json facts;

  std::vector<int32_t> prompt(size_t i) const { return facts["prompts"][i]["token_ids"].get<std::vector<int32_t>>(); }
  size_t prompts() const { return facts["prompts"].size(); }
};

std::vector<Golden> goldens() {
  std::vector<Golden> all;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) {
    Golden g{entry.path().filename().string(), entry.path(), {}};
    std::ifstream(entry.path() / "golden.json") >> g.facts;
    all.push_back(std::move(g));
  }
  std::sort(all.begin(), all.end(), [](const Golden& a, const Golden& b) { return a.name < b.name; });
  return all;
}

EngineOptions options_for(const Golden& g) {
  EngineOptions o;
  o.model = g.folder.string();
  o.tokenizer = false;
  o.dtype = "float32";
  o.threads = 2;
  o.max_num_seqs = 8;
  o.kv_cache_memory_bytes = 64 << 20;
  return o;
}

/// log p(token i + 1 | tokens ≤ i) of the stored logits.
std::vector<double> expected_logprobs(const Golden& g, size_t prompt) {
  const Safetensors file = Safetensors::open(g.folder / "golden.safetensors");
  const TensorView logits = *file.find("logits." + std::to_string(prompt));
  const auto ids = g.prompt(prompt);
  const int64_t vocab = logits.shape[1];
  std::vector<double> out;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    const auto at = [&](int64_t v) { return static_cast<double>(load_as_float(logits.data, logits.dtype, static_cast<int64_t>(i) * vocab + v)); };
    double peak = -1e30, sum = 0;
    for (int64_t v = 0; v < vocab; ++v) peak = std::max(peak, at(v));
    for (int64_t v = 0; v < vocab; ++v) sum += std::exp(at(v) - peak);
    out.push_back(at(ids[i + 1]) - peak - std::log(sum));
  }
  return out;
}

struct Scored {
  std::vector<std::vector<TokenLogprob>> prompt;
  std::vector<std::vector<int32_t>> tokens;
};

/// Scores every prompt of a golden in one engine, all submitted at once, or one after the other.
Scored run(const Golden& g, const EngineOptions& o, int64_t max_tokens, bool together, int top = 0) {
  Engine engine(o);
  Scored out;
  out.prompt.resize(g.prompts());
  out.tokens.resize(g.prompts());
  for (size_t i = 0; i < g.prompts(); ++i) {
    Request r;
    r.token_ids = g.prompt(i);
    r.sampling.temperature = 0;
    r.sampling.ignore_eos = true;
    r.sampling.max_tokens = max_tokens;
    r.sampling.prompt_logprobs = top;
    r.on_event = [&out, i](const RequestEvent& e) {
      if (!e.finished) return;
      EXPECT_EQ(e.completion->error, "");
      out.prompt[i] = *e.prompt_logprobs;
      out.tokens[i] = e.completion->token_ids;
    };
    engine.submit(std::move(r));
    if (!together)
      while (engine.step()) {
      }
  }
  while (engine.step()) {
  }
  return out;
}

double worst_difference(const Golden& g, const Scored& s) {
  double worst = 0;
  for (size_t i = 0; i < g.prompts(); ++i) {
    const auto expected = expected_logprobs(g, i);
    EXPECT_EQ(s.prompt[i].size(), expected.size());
    for (size_t t = 0; t < std::min(expected.size(), s.prompt[i].size()); ++t)
      worst = std::max(worst, std::abs(s.prompt[i][t].logprob - expected[t]));
  }
  return worst;
}

void expect_same_bits(const Scored& a, const Scored& b, const std::string& what) {
  for (size_t i = 0; i < a.prompt.size(); ++i) {
    ASSERT_EQ(a.prompt[i].size(), b.prompt[i].size()) << what;
    for (size_t t = 0; t < a.prompt[i].size(); ++t) {
      EXPECT_EQ(a.prompt[i][t].logprob, b.prompt[i][t].logprob) << what << ", prompt " << i << ", position " << t;
      EXPECT_EQ(a.prompt[i][t].top, b.prompt[i][t].top) << what << ", prompt " << i << ", position " << t;
    }
    EXPECT_EQ(a.tokens[i], b.tokens[i]) << what << ", prompt " << i;
  }
}

class GoldenModel : public testing::TestWithParam<Golden> {};

TEST_P(GoldenModel, FloatLogprobsMatchTransformers) {
  EXPECT_LE(worst_difference(GetParam(), run(GetParam(), options_for(GetParam()), 1, true)), 1e-4);
}

TEST_P(GoldenModel, GreedyTokensMatchTransformers) {
  const Golden& g = GetParam();
  const auto scored = run(g, options_for(g), 24, true);
  for (size_t i = 0; i < g.prompts(); ++i) {
    const auto& p = g.facts["prompts"][i];
    ASSERT_GE(p["greedy_min_margin"].get<double>(), 1e-4) << "the golden would not decide";
    EXPECT_EQ(scored.tokens[i], p["greedy"].get<std::vector<int32_t>>()) << "prompt " << i;
  }
}

/// Once per eligible attention kernel, forced by override.
TEST_P(GoldenModel, EveryEligibleAttentionKernelMatches) {
  const Golden& g = GetParam();
  ExplainQuery q;
  q.op = "attention", q.model = g.folder.string(), q.dtype = "float32";
  const auto decision = nlohmann::json::parse(explain_json(q));
  ASSERT_GE(decision["eligible"].size(), 2u);
  for (const auto& e : decision["eligible"]) {
    EngineOptions o = options_for(g);
    o.kernels = {"attention=" + e["kernel"].get<std::string>()};
    EXPECT_LE(worst_difference(g, run(g, o, 1, true)), 1e-4) << e["kernel"];
  }
}

/// The order of arithmetic: bits do not depend on chunks, block size, batch, threads.
TEST_P(GoldenModel, BitsDoNotDependOnHowTheWorkIsCut) {
  const Golden& g = GetParam();
  for (const std::string dtype : {"float32", "bfloat16"}) {
    EngineOptions o = options_for(g);
    o.dtype = dtype;
    const Scored whole = run(g, o, 8, false, 3);
    for (const int64_t chunk : {1, 7, 33}) {
      EngineOptions c = o;
      c.max_num_batched_tokens = chunk;
      expect_same_bits(whole, run(g, c, 8, true, 3), dtype + " chunks of " + std::to_string(chunk));
    }
    for (const int64_t block : {32, 64}) {
      EngineOptions c = o;
      c.block_size = block;
      expect_same_bits(whole, run(g, c, 8, true, 3), dtype + " blocks of " + std::to_string(block));
    }
    EngineOptions one = o;
    one.threads = 1;
    expect_same_bits(whole, run(g, one, 8, true, 3), dtype + " one thread");
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenModel, testing::ValuesIn(goldens()), [](const auto& instance) {
  std::string name = instance.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace attune
