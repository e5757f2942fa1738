#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "core/rng.h"
#include "ops/sample.h"

namespace attune {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// Bias, then the penalties of Keskar et al. 2019 (repetition, over prompt and output) and OpenAI's (frequency, presence, over the output).
void apply_penalties(const SampleRow& r, std::vector<double>& z) {
  const auto at = [&](int32_t id) -> double& { return z[static_cast<size_t>(id)]; };
  for (int64_t i = 0; i < r.num_bias; ++i) at(r.bias_ids[i]) += r.bias[i];
  for (int64_t i = 0; i < r.num_banned; ++i) at(r.banned[i]) = kMinusInfinity;
  std::set<int32_t> seen(r.prompt, r.prompt + r.prompt_tokens);
  seen.insert(r.output, r.output + r.output_tokens);
  if (r.repetition_penalty != 1)
    for (int32_t id : seen) at(id) = at(id) > 0 ? at(id) / r.repetition_penalty : at(id) * r.repetition_penalty;
  const std::set<int32_t> produced(r.output, r.output + r.output_tokens);
  for (int64_t i = 0; i < r.output_tokens; ++i) at(r.output[i]) -= r.frequency_penalty;
  for (int32_t id : produced) at(id) -= r.presence_penalty;
}

/// Tokens by falling logit, the lower id first among equals.
std::vector<int32_t> ranked(const std::vector<double>& z) {
  std::vector<int32_t> order(z.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const double x = z[static_cast<size_t>(a)], y = z[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  return order;
}

int32_t draw(const SampleRow& r, const std::vector<double>& z) {
  std::vector<int32_t> order = ranked(z);
  if (r.temperature <= 0) return order.front();
  const double top = z[static_cast<size_t>(order.front())];
  const auto weight = [&](int32_t id) { return std::exp((z[static_cast<size_t>(id)] - top) / r.temperature); };
  if (r.min_p > 0) {
    size_t kept = 1;
    while (kept < order.size() && weight(order[kept]) >= r.min_p) ++kept;
    order.resize(kept);
  }
  if (r.top_k > 0 && static_cast<size_t>(r.top_k) < order.size()) order.resize(static_cast<size_t>(r.top_k));
  double total = 0;
  for (int32_t id : order) total += weight(id);
  if (r.top_p < 1) {
    double sum = 0;
    size_t kept = 0;
    while (kept < order.size() && sum < r.top_p * total) sum += weight(order[kept++]);
    order.resize(std::max<size_t>(kept, 1));
    total = 0;
    for (int32_t id : order) total += weight(id);
  }
  double left = uniform(r.seed, r.sample_index, r.position, Draw::sample) * total;
  for (int32_t id : order)
    if ((left -= weight(id)) < 0) return id;
  return order.back();
}

}  // namespace

void sample_ref(const ExecContext&, const SampleDesc& d, const SampleParams& p) {
  for (int64_t row = 0; row < p.rows; ++row) {
    const float* logits = p.logits + row * d.vocab;
    std::vector<double> z(logits, logits + d.vocab);
    if (!d.greedy_only) apply_penalties(p.row[row], z);
    const SampleRow greedy{};
    p.token[row] = draw(d.greedy_only ? greedy : p.row[row], z);
    if (p.logprob == nullptr) continue;
    const double top = *std::max_element(logits, logits + d.vocab);
    double sum = 0;
    for (int64_t i = 0; i < d.vocab; ++i) sum += std::exp(logits[i] - top);
    p.logprob[row] = static_cast<float>(logits[p.token[row]] - top - std::log(sum));
  }
}

}  // namespace attune
