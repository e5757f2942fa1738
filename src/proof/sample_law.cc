#include "proof/sample_law.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/rng.h"

namespace attune {
namespace {

/// Logits after bias, bans and penalties.
std::vector<double> changed_logits(std::span<const float> logits, const SampleRow& r) {
  std::vector<double> z(logits.begin(), logits.end());
  const auto at = [&](int32_t id) { return static_cast<size_t>(id); };
  for (int64_t i = 0; i < r.num_bias; ++i) z[at(r.bias_ids[i])] += r.bias[i];
  for (int64_t i = 0; i < r.num_banned; ++i) z[at(r.banned[i])] = -INFINITY;
  std::vector<int64_t> times(z.size(), 0);
  std::vector<uint8_t> seen(z.size(), 0);
  for (int64_t i = 0; i < r.prompt_tokens; ++i) seen[at(r.prompt[i])] = 1;
  for (int64_t i = 0; i < r.output_tokens; ++i) seen[at(r.output[i])] = 1, ++times[at(r.output[i])];
  for (size_t id = 0; id < z.size(); ++id) {
    if (seen[id]) z[id] = z[id] > 0 ? z[id] / r.repetition_penalty : z[id] * r.repetition_penalty;
    if (times[id] > 0) z[id] -= static_cast<double>(times[id]) * r.frequency_penalty + r.presence_penalty;
  }
  return z;
}

}  // namespace

SampleLaw sample_law(std::span<const float> logits, const SampleRow& r) {
  const std::vector<double> z = changed_logits(logits, r);
  std::vector<size_t> order(z.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return z[a] > z[b]; });
  const double top = z[order.front()];
  const auto weight = [&](size_t rank) { return std::exp((z[order[rank]] - top) / r.temperature); };
  size_t kept = order.size();
  if (r.top_k > 0) kept = std::min(kept, static_cast<size_t>(r.top_k));
  while (kept > 1 && weight(kept - 1) < r.min_p) --kept;
  double all = 0;
  for (size_t i = 0; i < kept; ++i) all += weight(i);
  SampleLaw law;
  for (size_t i = 0; i < kept && (i == 0 || law.total < r.top_p * all); ++i) {
    law.kept.emplace_back(static_cast<int32_t>(order[i]), weight(i));
    law.total += weight(i);
  }
  return law;
}

double SampleLaw::distance(const SampleRow& row, int32_t token) const {
  const double drawn = uniform(row.seed, row.sample_index, row.position, Draw::sample) * total;
  double first = 0;
  for (const auto& [id, weight] : kept) {
    if (id == token) return std::max({0.0, first - drawn, drawn - first - weight}) / total;
    first += weight;
  }
  return INFINITY;
}

}  // namespace attune
