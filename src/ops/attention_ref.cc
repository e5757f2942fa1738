// The oracle of attention. For row i of a sequence, query head h and visible keys j:
//   s_j = softcap(scale · (q · k_j)) + alibi_j;  p_j = exp(s_j − M) / (Σ_j exp(s_j − M) [+ exp(sink_h − M)]);  out = Σ_j p_j v_j
// q, k and v are the stored values times their scales. Everything is double; the output is rounded once. Invisible slots are never read.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/attention.h"
#include "ops/attention_math.h"

namespace attune {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

/// Where one key and value of a KV head stand, and which scale they use.
struct Slot {
  int64_t element;
  int64_t scale;
};

struct Call {
  const AttentionDesc& desc;
  const AttentionParams& params;

  Slot slot(int64_t seq, int64_t kv_head, int64_t key) const {
    if (desc.kv_source == KvSource::ragged) {
      const int64_t token = params.kv_start[seq] + key;
      return {token * params.kv_stride + kv_head * desc.head_dim, scale_index(desc.kv_scale, seq, token, kv_head, desc.num_kv_heads)};
    }
    const int64_t block = params.block_table[seq * params.max_blocks + key / desc.block_size];
    const int64_t offset = key % desc.block_size;
    const int64_t scale = desc.kv_scale == Scales::token_head ? paged_scale_index(block, kv_head, offset, desc.num_kv_heads, desc.block_size)
                                                              : scale_index(desc.kv_scale, seq, 0, kv_head, desc.num_kv_heads);
    return {hnd_offset(block, kv_head, offset, desc.num_kv_heads, desc.block_size, desc.head_dim), scale};
  }

  RowView row(int64_t seq, int64_t token) const {
    const int64_t first = params.q_start[seq];
    RowView r;
    r.q_len = params.q_start[seq + 1] - first;
    r.kv_len = params.kv_lens[seq];
    r.position = r.kv_len - r.q_len + (token - first);
    r.causal = desc.mask == Mask::causal || (desc.mask == Mask::per_request && params.causal[seq] != 0);
    r.tree = desc.mask == Mask::tree ? params.tree + token * params.tree_words : nullptr;
    r.ranges = desc.ranges ? params.ranges + seq * params.num_ranges * 2 : nullptr;
    r.num_ranges = desc.ranges ? params.num_ranges : 0;
    r.window = desc.window;
    r.window_right = desc.window_right;
    return r;
  }

  double alibi(int64_t head, int64_t position, int64_t key) const {
    if (desc.alibi == Alibi::none) return 0;
    const double slope = params.alibi_slopes[head];
    if (desc.alibi == Alibi::plain) return slope * static_cast<double>(key - position);
    return key < position ? -slope * std::sqrt(static_cast<double>(position - key)) : 0;
  }

  void read_query(int64_t seq, int64_t token, int64_t head, std::vector<double>& q) const {
    const double scale = desc.q_scale == Scales::none ? 1 : params.q_scale[scale_index(desc.q_scale, seq, token, head, desc.num_q_heads())];
    const int64_t first = token * params.q_stride + head * desc.head_dim;
    for (int64_t d = 0; d < desc.head_dim; ++d) q[d] = scale * load_as_float(params.q, desc.q_dtype, first + d);
  }

  double score(const std::vector<double>& q, const Slot& s) const {
    double dot = 0;
    for (int64_t d = 0; d < desc.head_dim; ++d) dot += q[d] * load_as_float(params.k, desc.kv_dtype, s.element + d);
    if (desc.kv_scale != Scales::none) dot *= params.k_scale[s.scale];
    dot *= params.scale;
    return desc.softcap > 0 ? desc.softcap * std::tanh(dot / desc.softcap) : dot;
  }

  void add_value(double weight, const Slot& s, std::vector<double>& out) const {
    if (desc.kv_scale != Scales::none) weight *= params.v_scale[s.scale];
    for (int64_t d = 0; d < desc.head_dim; ++d) out[d] += weight * load_as_float(params.v, desc.kv_dtype, s.element + d);
  }
};

/// A visible key and its score.
struct Scored {
  Slot slot;
  double score;
};

struct Scratch {
  std::vector<double> q, out;
  std::vector<Scored> scored;
};

void store_row(const Call& c, int64_t token, int64_t head, const std::vector<double>& out) {
  const double divisor = c.desc.out_scale ? c.params.out_scale[0] : 1;
  const int64_t first = token * c.params.out_stride + head * c.desc.head_dim;
  for (int64_t d = 0; d < c.desc.head_dim; ++d) store_from_float(c.params.out, c.desc.out_dtype, first + d, static_cast<float>(out[d] / divisor));
}

void attend_row(const Call& c, int64_t seq, int64_t token, int64_t head, Scratch& scratch) {
  const RowView row = c.row(seq, token);
  const int64_t kv_head = head / c.desc.gqa_group;
  c.read_query(seq, token, head, scratch.q);
  const bool sink = c.desc.sinks;
  double largest = sink ? c.params.sinks[head] : kNothing;
  scratch.scored.clear();
  for (int64_t key = 0; key < row.kv_len; ++key) {
    if (!visible(row, key)) continue;
    const Slot s = c.slot(seq, kv_head, key);
    const double score = c.score(scratch.q, s) + c.alibi(head, row.position, key);
    largest = std::max(largest, score);
    scratch.scored.push_back({s, score});
  }
  std::fill(scratch.out.begin(), scratch.out.end(), 0.0);
  double sum = sink && largest != kNothing ? std::exp(c.params.sinks[head] - largest) : 0;
  if (largest != kNothing) {
    for (const Scored& k : scratch.scored) sum += std::exp(k.score - largest);
    for (const Scored& k : scratch.scored) c.add_value(std::exp(k.score - largest) / sum, k.slot, scratch.out);
  }
  store_row(c, token, head, scratch.out);
  if (c.desc.lse) c.params.lse[token * c.desc.num_q_heads() + head] = static_cast<float>(largest == kNothing ? kNothing : largest + std::log(sum));
}

}  // namespace

void attention_ref(const ExecContext&, const AttentionDesc& desc, const AttentionParams& params) {
  const Call call{desc, params};
  Scratch scratch{std::vector<double>(desc.head_dim), std::vector<double>(desc.head_dim), {}};
  for (int64_t seq = 0; seq < params.num_seqs; ++seq)
    for (int64_t token = params.q_start[seq]; token < params.q_start[seq + 1]; ++token)
      for (int64_t head = 0; head < desc.num_q_heads(); ++head) attend_row(call, seq, token, head, scratch);
}

}  // namespace attune
