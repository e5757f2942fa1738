#pragma once

#include <vector>

#include "engine/model_runner.h"
#include "models/kernel_binder.h"

namespace attune {

/// What came of one row of logits.
struct RowResult {
  int32_t token = 0;
  TokenLogprob logprob;  ///< filled where the request wants it
  bool finite = true;    ///< false: the logits hold a NaN; the token is meaningless
};

/// Draws tokens from rows of logits, and reads log-probabilities off them.
class Sampler {
 public:
  Sampler(KernelBinder& binder, int64_t vocab, std::vector<int32_t> eos_ids, uint64_t default_seed);

  /// One result a row of `logits` (rows, vocab), which is changed.
  std::vector<RowResult> sample(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits);

 private:
  SampleRow law(const RowUse& use, std::vector<int32_t>& banned) const;
  TokenLogprob log_probabilities(const float* logits, int32_t token, int top) const;

  Bound<Sample> greedy_, full_;
  int64_t vocab_;
  std::vector<int32_t> eos_ids_;
  uint64_t default_seed_;
};

/// True if a request draws greedily without penalties, bias or bans.
bool plain_greedy(const SamplingParams& params);

}  // namespace attune
