#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attune {

bool plain_greedy(const SamplingParams& p) {
  return p.temperature == 0 && p.repetition_penalty == 1 && p.presence_penalty == 0 && p.frequency_penalty == 0 && p.logit_bias.empty() &&
         p.min_tokens == 0;
}

Sampler::Sampler(KernelBinder& binder, int64_t vocab, std::vector<int32_t> eos_ids, uint64_t default_seed)
    : greedy_(binder.bind<Sample>("greedy", {{"rows", SampleDesc{.vocab = vocab, .greedy_only = true}, {}}})),
      full_(binder.bind<Sample>("full", {{"rows", SampleDesc{.vocab = vocab, .greedy_only = false}, {}}})),
      vocab_(vocab),
      eos_ids_(std::move(eos_ids)),
      default_seed_(default_seed) {}

SampleRow Sampler::law(const RowUse& use, std::vector<int32_t>& banned) const {
  const RequestState& r = *use.sequence->request;
  const SamplingParams& p = r.sampling();
  SampleRow row;
  row.temperature = static_cast<float>(p.temperature);
  row.top_k = p.top_k < 0 ? 0 : p.top_k;
  row.top_p = static_cast<float>(p.top_p), row.min_p = static_cast<float>(p.min_p);
  row.repetition_penalty = static_cast<float>(p.repetition_penalty);
  row.presence_penalty = static_cast<float>(p.presence_penalty), row.frequency_penalty = static_cast<float>(p.frequency_penalty);
  row.seed = p.seed.value_or(default_seed_);
  row.sample_index = static_cast<uint32_t>(use.sample);
  row.position = static_cast<uint64_t>(use.position);
  row.prompt = use.sequence->tokens.data(), row.prompt_tokens = r.prompt_tokens;
  row.output = row.prompt + r.prompt_tokens, row.output_tokens = use.sequence->length() - r.prompt_tokens;
  if (row.output_tokens < p.min_tokens) {
    if (!p.ignore_eos) banned.insert(banned.end(), eos_ids_.begin(), eos_ids_.end());
    banned.insert(banned.end(), p.stop_token_ids.begin(), p.stop_token_ids.end());
    std::erase_if(banned, [this](int32_t id) { return id < 0 || id >= vocab_; });
  }
  row.banned = banned.data(), row.num_banned = static_cast<int64_t>(banned.size());
  return row;
}

/// log softmax in double, top-k by partial sort.
TokenLogprob Sampler::log_probabilities(const float* logits, int32_t token, int top) const {
  const double peak = *std::max_element(logits, logits + vocab_);
  double sum = 0;
  for (int64_t i = 0; i < vocab_; ++i) sum += std::exp(logits[i] - peak);
  const auto logprob = [&](int32_t id) { return static_cast<float>(logits[id] - peak - std::log(sum)); };
  TokenLogprob out{token, token >= 0 ? logprob(token) : 0, {}};
  if (top <= 0) return out;
  std::vector<int32_t> order(static_cast<size_t>(vocab_));
  std::iota(order.begin(), order.end(), 0);
  const auto kept = order.begin() + std::min<int64_t>(top, vocab_);
  std::partial_sort(order.begin(), kept, order.end(), [&](int32_t a, int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  for (auto it = order.begin(); it != kept; ++it) out.top.emplace_back(*it, logprob(*it));
  return out;
}

std::vector<RowResult> Sampler::sample(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits) {
  std::vector<RowResult> results(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    RowResult& result = results[static_cast<size_t>(i)];
    const RowUse& use = uses[i];
    const SamplingParams& p = use.sequence->request->sampling();
    float* row = logits + i * vocab_;
    result.finite = std::none_of(row, row + vocab_, [](float x) { return std::isnan(x); });
    if (!result.finite) continue;
    if (use.sample < 0) {
      result.logprob = log_probabilities(row, use.sequence->tokens[static_cast<size_t>(use.position)], *p.prompt_logprobs);
      continue;
    }
    if (p.logprobs) result.logprob = log_probabilities(row, -1, *p.logprobs);
    std::vector<int32_t> banned, bias_ids;
    std::vector<float> bias;
    for (const auto& [id, value] : p.logit_bias) bias_ids.push_back(id), bias.push_back(value);
    SampleRow r = law(use, banned);
    r.bias_ids = bias_ids.data(), r.bias = bias.data(), r.num_bias = static_cast<int64_t>(bias.size());
    float logprob = 0;
    (plain_greedy(p) ? greedy_ : full_)(ctx,
                                        {.logits = row, .rows = 1, .row = &r, .token = &result.token, .logprob = p.logprobs ? &logprob : nullptr});
    result.logprob.token = result.token, result.logprob.logprob = logprob;
  }
  return results;
}

}  // namespace attune
