// Log-probabilities that the sampler reads off a row on the host: of prompt tokens, and of the likeliest. They are no output of an op, so that
// `attune verify` does not see them; here they are judged by its comparison, in which the only rounding allowed is that of the result.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/sampler.h"
#include "proof/comparison.h"
#include "proof/fill.h"
#include "tiny_engine.h"

namespace attune {
namespace {

/// log softmax, term by term from the smallest.
std::vector<double> expected_of(const std::vector<float>& logits) {
  std::vector<float> rising = logits;
  std::sort(rising.begin(), rising.end());
  long double sum = 0;
  for (const float x : rising) sum += std::exp(static_cast<long double>(x) - rising.back());
  std::vector<double> out;
  for (const float x : logits) out.push_back(static_cast<double>(static_cast<long double>(x) - rising.back() - std::log(sum)));
  return out;
}

std::vector<int32_t> by_rank(const std::vector<float>& logits) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
  return ids;
}

std::vector<float> drawn_logits(int64_t vocab, uint64_t seed) {
  Fill fill(seed);
  std::vector<float> logits(static_cast<size_t>(vocab));
  fill.values(logits.data(), DType::f32, 0, vocab, seed % 3 == 0 ? 200 : 8);
  for (size_t i = 0; i < logits.size(); i += 5) logits[i] = logits[i / 2];  // ties
  if (seed % 4 == 0) logits[static_cast<size_t>(fill.below(vocab))] = -INFINITY;
  if (seed % 5 == 0) logits[static_cast<size_t>(fill.below(vocab))] = 300;
  return logits;
}

TEST(LogProbabilities, OfATokenAndOfTheLikeliestEqualADoubleComputation) {
  for (const int64_t vocab : {2, 33, 1000, 151936})
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const std::vector<float> logits = drawn_logits(vocab, seed);
      const std::vector<double> expected = expected_of(logits);
      const std::vector<int32_t> ranked = by_rank(logits);
      Comparison comparison;
      const auto compare = [&](int32_t id, float got) {
        const double want = expected[static_cast<size_t>(id)];
        const double own = 1e-12 + 0x1.0p-52 * static_cast<double>(vocab);  // of a sum in double
        comparison.add(got, want, stored({own, own, 0}, DType::f32, std::isfinite(want) ? want : 0), [&] { return fmt::format("token {}", id); });
      };
      for (const int top : {0, 1, 5, 1024}) {
        const auto token = static_cast<int32_t>(seed * 7919 % static_cast<uint64_t>(vocab));
        const TokenLogprob got = log_probabilities(logits, token, top);
        EXPECT_EQ(got.token, token);
        compare(token, got.logprob);
        ASSERT_EQ(static_cast<int64_t>(got.top.size()), std::min<int64_t>(top, vocab));
        for (size_t i = 0; i < got.top.size(); ++i) {
          EXPECT_EQ(got.top[i].first, ranked[i]) << "rank " << i << ", vocab " << vocab << ", seed " << seed;
          compare(got.top[i].first, got.top[i].second);
        }
      }
      EXPECT_EQ(comparison.verdict(), "") << "vocab " << vocab << ", seed " << seed;
    }
}

/// The whole of a row through a model: probabilities that sum to one, and the prompt's and the drawn token's are those of its row.
TEST(LogProbabilities, OfAModelAreOneDistributionARow) {
  Engine engine(tiny_engine("qwen2-linear", 1, 1 << 20));
  const auto vocab = static_cast<int>(engine.model().vocab_size);
  Request r;
  r.token_ids = prompt(9);
  r.sampling.temperature = 0, r.sampling.max_tokens = 4, r.sampling.ignore_eos = true;
  r.sampling.prompt_logprobs = r.sampling.logprobs = vocab;
  std::vector<TokenLogprob> rows;
  r.on_event = [&](const RequestEvent& e) {
    if (!e.finished) return;
    rows.assign(e.prompt_logprobs->begin(), e.prompt_logprobs->end());
    rows.insert(rows.end(), e.completion->logprobs.begin(), e.completion->logprobs.end());
  };
  const std::vector<int32_t> asked = r.token_ids;
  engine.submit(std::move(r));
  while (engine.step()) {
  }
  ASSERT_EQ(rows.size(), asked.size() - 1 + 4);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i + 1 < asked.size()) EXPECT_EQ(rows[i].token, asked[i + 1]);
    ASSERT_EQ(static_cast<int>(rows[i].top.size()), vocab);
    double sum = 0;
    for (const auto& [id, logprob] : rows[i].top) {
      sum += std::exp(static_cast<double>(logprob));
      if (id == rows[i].token) EXPECT_NEAR(logprob, rows[i].logprob, 1e-6 * (1 + std::abs(logprob))) << "row " << i;
    }
    EXPECT_NEAR(sum, 1, 1e-6) << "row " << i;
  }
}

}  // namespace
}  // namespace attune
