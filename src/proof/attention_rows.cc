#include "proof/attention_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "proof/fill.h"

namespace attune {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

double norm(const double* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return std::sqrt(sum);
}

void multiply(double* x, int64_t n, double factor) {
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

}  // namespace

RowView AttentionRows::view(const AttentionDesc& d, const AttentionParams& p, int64_t seq, int64_t token) {
  RowView r;
  r.q_len = p.q_start[seq + 1] - p.q_start[seq];
  r.kv_len = p.kv_lens[seq];
  r.position = r.kv_len - r.q_len + (token - p.q_start[seq]);
  r.causal = d.mask == Mask::causal || (d.mask == Mask::per_request && p.causal[seq] != 0);
  r.tree = d.mask == Mask::tree ? p.tree + token * p.tree_words : nullptr;
  r.ranges = d.ranges ? p.ranges + seq * p.num_ranges * 2 : nullptr;
  r.num_ranges = d.ranges ? p.num_ranges : 0;
  r.window = d.window;
  r.window_right = d.window_right;
  return r;
}

void AttentionRows::load_head(int64_t seq, int64_t kv_head) {
  if (seq == seq_ && kv_head == kv_head_) return;
  seq_ = seq, kv_head_ = kv_head;
  const int64_t keys = p_.kv_lens[seq], dim = d_.head_dim;
  k_.resize(static_cast<size_t>(keys * dim));
  v_.resize(k_.size());
  k_norm_.resize(static_cast<size_t>(keys));
  for (int64_t key = 0; key < keys; ++key) {
    int64_t at, scale;
    if (d_.kv_source == KvSource::ragged) {
      const int64_t token = p_.kv_start[seq] + key;
      at = token * p_.kv_stride + kv_head * dim;
      scale = scale_index(d_.kv_scale, seq, token, kv_head, d_.num_kv_heads);
    } else {
      const int64_t block = p_.block_table[seq * p_.max_blocks + key / d_.block_size], offset = key % d_.block_size;
      at = hnd_offset(block, kv_head, offset, d_.num_kv_heads, d_.block_size, dim);
      scale = d_.kv_scale == Scales::token_head ? paged_scale_index(block, kv_head, offset, d_.num_kv_heads, d_.block_size)
                                                : scale_index(d_.kv_scale, seq, 0, kv_head, d_.num_kv_heads);
    }
    double* k = &k_[static_cast<size_t>(key * dim)];
    double* v = &v_[static_cast<size_t>(key * dim)];
    load_values(p_.k, d_.kv_dtype, at, dim, k);
    load_values(p_.v, d_.kv_dtype, at, dim, v);
    if (d_.kv_scale != Scales::none) multiply(k, dim, p_.k_scale[scale]), multiply(v, dim, p_.v_scale[scale]);
    k_norm_[static_cast<size_t>(key)] = norm(k, dim);
  }
}

double AttentionRows::query(int64_t seq, int64_t token, int64_t head) {
  q_.resize(static_cast<size_t>(d_.head_dim));
  load_values(p_.q, d_.q_dtype, token * p_.q_stride + head * d_.head_dim, d_.head_dim, q_.data());
  if (d_.q_scale != Scales::none) multiply(q_.data(), d_.head_dim, p_.q_scale[scale_index(d_.q_scale, seq, token, head, d_.num_q_heads())]);
  return norm(q_.data(), d_.head_dim);
}

void AttentionRows::score_keys(const RowView& view, int64_t head, double q_norm) {
  scored_.clear();
  AttentionRowFacts& facts = row_.facts;
  const int64_t dim = d_.head_dim;
  for (int64_t key = 0; key < view.kv_len; ++key) {
    if (!visible(view, key)) continue;
    const double* k = &k_[static_cast<size_t>(key * dim)];
    double s = 0;
    for (int64_t i = 0; i < dim; ++i) s += q_[static_cast<size_t>(i)] * k[i];
    s *= p_.scale;
    if (d_.softcap > 0) s = d_.softcap * std::tanh(s / d_.softcap);
    double bias = 0;
    if (d_.alibi == Alibi::plain) bias = static_cast<double>(p_.alibi_slopes[head]) * static_cast<double>(key - view.position);
    if (d_.alibi == Alibi::sqrt && key < view.position) bias = -p_.alibi_slopes[head] * std::sqrt(static_cast<double>(view.position - key));
    facts.score_magnitude = std::max(facts.score_magnitude, std::abs(p_.scale) * q_norm * k_norm_[static_cast<size_t>(key)]);
    facts.bias_magnitude = std::max(facts.bias_magnitude, std::abs(bias));
    scored_.push_back({key, s + bias});
  }
  facts.keys = static_cast<double>(scored_.size());
}

const AttentionRow& AttentionRows::row(int64_t seq, int64_t token, int64_t head) {
  load_head(seq, head / d_.gqa_group);
  const double q_norm = query(seq, token, head);
  row_.facts = {.head_dim = static_cast<double>(d_.head_dim), .softcap = d_.softcap};
  score_keys(view(d_, p_, seq, token), head, q_norm);
  double largest = kNothing, sum = 0;
  for (const Scored& s : scored_) largest = std::max(largest, s.score);
  if (d_.sinks) {
    largest = std::max<double>(largest, p_.sinks[head]);
    row_.facts.bias_magnitude = std::max<double>(row_.facts.bias_magnitude, std::abs(p_.sinks[head]));
    sum = std::exp(p_.sinks[head] - largest);
  }
  for (const Scored& s : scored_) sum += std::exp(s.score - largest);
  row_.lse = largest == kNothing ? kNothing : largest + std::log(sum);
  row_.share = 0;
  for (Scored& s : scored_) {
    s.score = std::exp(s.score - largest) / sum;
    row_.share += s.score, row_.facts.weight_squares += s.score * s.score;
  }
  add_values();
  return row_;
}

void AttentionRows::add_values() {
  const auto dim = static_cast<size_t>(d_.head_dim);
  row_.out.assign(dim, 0), row_.magnitude.assign(dim, 0), row_.squares.assign(dim, 0), row_.reach.assign(dim, 0);
  for (const Scored& s : scored_) {
    const double* v = &v_[static_cast<size_t>(s.key) * dim];
    for (size_t i = 0; i < dim; ++i) {
      const double x = s.score * v[i];
      row_.out[i] += x;
      row_.magnitude[i] += std::abs(x), row_.reach[i] += std::abs(v[i]);
    }
    for (size_t i = 0; spread_ && i < dim; ++i) row_.squares[i] += s.score * v[i] * (s.score * v[i]);
  }
  row_.along = row_.alike = 0;
  if (spread_) add_spread();
}

void AttentionRows::add_spread() {
  const auto dim = static_cast<size_t>(d_.head_dim);
  alike_.clear();
  for (const Scored& s : scored_) {
    if (s.score <= 0) continue;
    const double* v = &v_[static_cast<size_t>(s.key) * dim];
    double dot = 0;
    for (size_t i = 0; i < dim; ++i) dot += v[i] * row_.out[i];
    const double step = roundoff_ > 0 ? std::floor(std::log(s.score) / (roundoff_ / 2)) : static_cast<double>(s.key);
    alike_.push_back({static_cast<int64_t>(step), {s.score * dot, s.score}});
  }
  std::sort(alike_.begin(), alike_.end());
  for (size_t i = 0; i < alike_.size();) {
    double along = 0, weight = 0;
    const int64_t group = alike_[i].first;
    for (; i < alike_.size() && alike_[i].first == group; ++i) along += alike_[i].second.first, weight += alike_[i].second.second;
    row_.along += along * along, row_.alike += weight * weight;
  }
}

}  // namespace attune
