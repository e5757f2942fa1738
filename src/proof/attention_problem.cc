// A case of attention as tensors: ragged queries with gaps between tokens, a pool of permuted blocks of which every slot that no row sees
// is NaN, table tails that must not be followed, scales that differ.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "proof/attention_rows.h"
#include "proof/problem.h"
#include "proof/tree_mask.h"

namespace attune {
namespace {

constexpr int32_t kWildBlock = 1 << 28;
constexpr double kScoreSpread = 2.5;  // standard deviation of scores: soft enough for many keys to count, sharp enough for errors to show
constexpr double kStored = 100;       // amplitude of values stored under scales

int64_t scale_count(Scales s, int64_t sequences, int64_t tokens, int64_t heads) {
  switch (s) {
    case Scales::tensor: return 1;
    case Scales::head: return heads;
    case Scales::seq_head: return sequences * heads;
    case Scales::token_head: return tokens * heads;
    default: return 0;
  }
}

int64_t last_element(int64_t rows, int64_t stride, int64_t width) { return rows > 0 ? (rows - 1) * stride + width : 0; }

}  // namespace

Problem<Attention>::Layout::Layout(uint64_t seed) {
  Fill fill(seed ^ 0x1a40);
  longest_kv = fill.below(3) * 50;
  kv_stride = 8 * fill.below(3);
  max_blocks = 1 + fill.below(3);
  out_stride = 4 * fill.below(3);
  q_stride = 8 * fill.below(3);
  scale = fill.between(0.7, 1.3);
}

Problem<Attention>::Problem(const Case<Attention>& c, const ProblemStyle& style) : memory(style.guard), case_(c), desc_(case_.desc), layout_(c.seed) {
  Fill fill(c.seed ^ 0xa77e);
  size_up(style);
  place_sequences(fill, style);
  add_masks(fill);
  add_outputs(fill);
  fill_queries(fill);
  fill_keys(fill);
}

Limits Problem<Attention>::limits() const {
  return {.tokens = params.total_q, .sequences = params.num_seqs, .longest_kv = std::max<int64_t>(params.longest_kv, 1)};
}

/// Everything that does not depend on what the lengths are, but on the room for them.
void Problem<Attention>::size_up(const ProblemStyle& style) {
  const auto& q_room = style.room_q.empty() ? case_.q_lens : style.room_q;
  const auto& kv_room = style.room_kv.empty() ? case_.kv_lens : style.room_kv;
  params.num_seqs = static_cast<int64_t>(case_.q_lens.size());
  int64_t kv_total = 0, blocks = 0;
  for (size_t s = 0; s < q_room.size(); ++s) {
    const int64_t needed = (kv_room[s] + desc_.block_size - 1) / desc_.block_size;
    params.total_q += q_room[s];
    params.longest_q = std::max(params.longest_q, q_room[s]);
    params.longest_kv = std::max(params.longest_kv, kv_room[s]);
    params.max_blocks = std::max(params.max_blocks, needed);
    kv_total += kv_room[s], blocks += needed;
  }
  params.longest_kv += layout_.longest_kv;  // an upper bound only
  if (desc_.kv_source == KvSource::ragged) {
    params.max_blocks = 0;
    params.kv_stride = desc_.num_kv_heads * desc_.head_dim + layout_.kv_stride;
    params.num_blocks = kv_total;  // rows of the ragged tensors, for the fill
  } else {
    params.max_blocks += layout_.max_blocks;
    // A pool with spare blocks of poison.
    params.num_blocks = case_.contents == Contents::report ? std::max<int64_t>(case_.pool, 1) : std::max(case_.pool, blocks + 2);
  }
}

void Problem<Attention>::place_sequences(Fill& fill, const ProblemStyle& style) {
  const int64_t n = params.num_seqs;
  auto* q_start = memory.add<int32_t>("q_start", DType::i32, n + 1);
  auto* kv_lens = memory.add<int32_t>("kv_lens", DType::i32, n);
  q_start[0] = 0;
  for (int64_t s = 0; s < n; ++s) {
    const auto at = static_cast<size_t>(s);
    q_start[s + 1] = static_cast<int32_t>(q_start[s] + case_.q_lens[at]);
    kv_lens[s] = static_cast<int32_t>(case_.kv_lens[at]);
  }
  tokens_ = q_start[n];
  params.q_start = q_start;
  params.kv_lens = kv_lens;
  if (desc_.kv_source != KvSource::ragged) {
    place_blocks(fill, style);
    return;
  }
  auto* kv_start = memory.add<int32_t>("kv_start", DType::i32, n + 1);
  kv_start[0] = 0;
  for (int64_t s = 0; s < n; ++s) kv_start[s + 1] = kv_start[s] + kv_lens[s];
  params.kv_start = kv_start;
}

/// A permuted pool; the tail of each table row points at one of its spare blocks, or nowhere.
void Problem<Attention>::place_blocks(Fill& fill, const ProblemStyle& style) {
  const int64_t n = params.num_seqs;
  std::vector<int32_t> pool(static_cast<size_t>(params.num_blocks));
  std::iota(pool.begin(), pool.end(), 0);
  for (size_t i = pool.size(); i > 1; --i) std::swap(pool[i - 1], pool[static_cast<size_t>(fill.below(static_cast<int64_t>(i)))]);
  // The first key stands in the last block of a large pool: its offset is the largest there is.
  if (case_.pool > 0) std::iter_swap(pool.begin(), std::find(pool.begin(), pool.end(), static_cast<int32_t>(params.num_blocks - 1)));
  auto* table = memory.add<int32_t>("block_table", DType::i32, n * params.max_blocks);
  size_t next = 0;
  for (int64_t s = 0; s < n; ++s) {
    const int64_t needed = (params.kv_lens[s] + desc_.block_size - 1) / desc_.block_size;
    for (int64_t b = 0; b < params.max_blocks; ++b) {
      int32_t& entry = table[s * params.max_blocks + b];
      if (b >= needed)
        entry = style.wild ? kWildBlock : pool.back();
      else if (case_.contents == Contents::report)
        entry = static_cast<int32_t>(fill.below(params.num_blocks));
      else
        entry = pool[next++];
    }
    // A shared prefix: the first block of the sequence before, where both fill it.
    if (s > 0 && params.kv_lens[s] >= desc_.block_size && params.kv_lens[s - 1] >= desc_.block_size && fill.one_in(4))
      table[s * params.max_blocks] = table[(s - 1) * params.max_blocks];
  }
  params.block_table = table;
}

void Problem<Attention>::add_masks(Fill& fill) {
  const int64_t n = params.num_seqs;
  if (desc_.mask == Mask::per_request) {
    auto* causal = memory.add<uint8_t>("causal", DType::u8, n);
    for (int64_t s = 0; s < n; ++s) causal[s] = static_cast<uint8_t>((s + static_cast<int64_t>(case_.seed)) % 2);
    params.causal = causal;
  }
  if (desc_.mask == Mask::tree) {
    params.tree_words = (params.longest_q + 31) / 32;
    auto* tree = memory.add<uint32_t>("tree", DType::i32, params.total_q * params.tree_words);
    fill_trees(
        std::span(params.q_start, static_cast<size_t>(n) + 1), params.tree_words, [&](int64_t i) { return fill.below(i); }, tree);
    params.tree = tree;
  }
  if (desc_.ranges) {
    params.num_ranges = 2;
    auto* ranges = memory.add<int32_t>("ranges", DType::i32, n * 4);
    for (int64_t s = 0; s < n; ++s)
      for (int64_t r = 0; r < 2; ++r) {
        const int64_t first = fill.below(params.kv_lens[s] + 1);
        ranges[s * 4 + r * 2] = static_cast<int32_t>(first);
        ranges[s * 4 + r * 2 + 1] = static_cast<int32_t>(r == 1 && fill.one_in(2) ? first : first + fill.below(40));
      }
    params.ranges = ranges;
  }
}

void Problem<Attention>::add_outputs(Fill& fill) {
  const int64_t heads = desc_.num_q_heads();
  if (desc_.sinks) {
    auto* sinks = memory.add<float>("sinks", DType::f32, heads);
    fill.scales(sinks, heads, -2, 5);
    params.sinks = sinks;
  }
  if (desc_.alibi != Alibi::none) {
    auto* slopes = memory.add<float>("alibi_slopes", DType::f32, heads);
    fill.scales(slopes, heads, 0.004, 0.3);
    params.alibi_slopes = slopes;
  }
  params.out_stride = heads * desc_.head_dim + layout_.out_stride;
  params.out = memory.add("out", desc_.out_dtype, last_element(params.total_q, params.out_stride, heads * desc_.head_dim));
  for (int64_t t = 0; t < tokens_; ++t) memory.may_write(params.out, t * params.out_stride, heads * desc_.head_dim);
  if (desc_.lse) {
    params.lse = memory.add<float>("lse", DType::f32, params.total_q * heads);
    memory.may_write(params.lse, 0, tokens_ * heads);
  }
  if (desc_.out_scale) {
    auto* scale = memory.add<float>("out_scale", DType::f32, 1);
    fill.scales(scale, 1, 0.01, 0.05);
    params.out_scale = scale;
  }
}

void Problem<Attention>::fill_queries(Fill& fill) {
  const int64_t heads = desc_.num_q_heads(), dim = desc_.head_dim;
  // Scores have the spread wanted at scale 1/√D when q is uniform in ±a and k in ±√3: a/√3 is the spread.
  const double amplitude = kScoreSpread * std::sqrt(3.0) * fill.between(0.5, 1.5);
  const bool report = case_.contents == Contents::report;
  params.past_stands = case_.seed % 2 == 0;  // all stands: a kernel may read early, and has to give the same
  params.scale = static_cast<float>((report ? 1 : layout_.scale) / std::sqrt(static_cast<double>(dim)));
  const bool scaled = desc_.q_scale != Scales::none;
  params.q_stride = heads * dim + layout_.q_stride;
  params.q = memory.add("q", desc_.q_dtype, last_element(params.total_q, params.q_stride, heads * dim));
  for (int64_t t = 0; t < tokens_; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      if (report) {
        fill.normal(const_cast<void*>(params.q), desc_.q_dtype, t * params.q_stride + h * dim, dim, INFINITY);
        continue;
      }
      const double of_head = scaled ? kStored : amplitude * (0.5 + static_cast<double>(h % 3) / 2);
      // With a softcap one row in four lies far beyond it: a tanh made of exponentials must not overflow.
      const double hot = desc_.softcap > 0 && !scaled && (t + h) % 4 == 0 ? 100 * desc_.softcap / kScoreSpread : 1;
      fill.values(const_cast<void*>(params.q), desc_.q_dtype, t * params.q_stride + h * dim, dim, of_head * hot);
    }
  if (!scaled) return;
  const int64_t count = scale_count(desc_.q_scale, params.num_seqs, params.total_q, heads);
  auto* scales = memory.add<float>("q_scale", DType::f32, count);
  fill.scales(scales, count, 0.5 * amplitude / kStored, 1.5 * amplitude / kStored);
  if (report) std::fill_n(scales, count, 0.75f);
  params.q_scale = scales;
}

std::vector<uint8_t> Problem<Attention>::seen_keys(int64_t seq) const {
  std::vector<uint8_t> seen(static_cast<size_t>(params.kv_lens[seq]), 0);
  for (int64_t token = params.q_start[seq]; token < params.q_start[seq + 1]; ++token) {
    const RowView row = AttentionRows::view(desc_, params, seq, token);
    for (int64_t key = 0; key < row.kv_len; ++key)
      if (seen[static_cast<size_t>(key)] == 0 && visible(row, key)) seen[static_cast<size_t>(key)] = 1;
  }
  return seen;
}

void* Problem<Attention>::add_pool(const char* name, DType t, int64_t elements, int64_t block_elements) {
  if (case_.pool == 0 || desc_.kv_source == KvSource::ragged) return memory.add(name, t, elements, 128);
  void* data = memory.add_sparse(name, t, elements, 128);
  // Poison where a stray read of a used block or of its neighbours would land.
  std::set<int64_t> near;
  for (int64_t i = 0; i < params.num_seqs * params.max_blocks; ++i)
    for (int64_t b = params.block_table[i] - 1; b <= params.block_table[i] + 1; ++b)
      if (b >= 0 && b < params.num_blocks) near.insert(b);
  for (const int64_t b : near) memory.poison(data, b * block_elements, block_elements);
  return data;
}

void Problem<Attention>::fill_keys(Fill& fill) {
  const bool ragged = desc_.kv_source == KvSource::ragged, scaled = desc_.kv_scale != Scales::none;
  const int64_t heads = desc_.num_kv_heads, dim = desc_.head_dim, bs = desc_.block_size;
  const int64_t rows = ragged ? params.num_blocks : params.num_blocks * bs;
  const int64_t elements = ragged ? last_element(rows, params.kv_stride, heads * dim) : rows * heads * dim;
  const bool per_slot = desc_.kv_scale == Scales::token_head, sparse = case_.pool > 0 && !ragged;
  void* k = add_pool("k", desc_.kv_dtype, elements, dim * heads * bs);
  void* v = add_pool("v", desc_.kv_dtype, elements, dim * heads * bs);
  params.k = k, params.v = v;
  const int64_t scales = scale_count(desc_.kv_scale, params.num_seqs, rows, heads);
  const auto add_scales = [&](const char* name) {
    if (!scaled) return static_cast<float*>(nullptr);
    return per_slot && sparse ? static_cast<float*>(add_pool(name, DType::f32, scales, heads * bs)) : memory.add<float>(name, DType::f32, scales);
  };
  float* k_scale = add_scales("k_scale");
  float* v_scale = add_scales("v_scale");
  params.k_scale = k_scale, params.v_scale = v_scale;
  const bool report = case_.contents == Contents::report;
  const double amplitude = std::sqrt(3.0), unit = amplitude / kStored;
  if (scaled && !per_slot) fill.scales(k_scale, scales, 0.5 * unit, 1.5 * unit), fill.scales(v_scale, scales, 0.5 * unit, 1.5 * unit);
  if (scaled && report) std::fill_n(k_scale, scales, 0.5f), std::fill_n(v_scale, scales, 0.25f);
  for (int64_t s = 0; s < params.num_seqs; ++s) {
    const auto seen = seen_keys(s);
    for (int64_t key = 0; key < params.kv_lens[s]; ++key) {
      if (seen[static_cast<size_t>(key)] == 0) continue;
      const int64_t block = ragged ? 0 : params.block_table[s * params.max_blocks + key / bs];
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t token = ragged ? params.kv_start[s] + key : 0;
        const int64_t at = ragged ? token * params.kv_stride + h * dim : hnd_offset(block, h, key % bs, heads, bs, dim);
        const int64_t slot = ragged ? token * heads + h : paged_scale_index(block, h, key % bs, heads, bs);
        if (report) {
          fill.normal(k, desc_.kv_dtype, at, dim, is_f8(desc_.kv_dtype) ? 1 : INFINITY);
          fill.normal(v, desc_.kv_dtype, at, dim, is_f8(desc_.kv_dtype) ? 1 : INFINITY);
          continue;
        }
        fill.values(k, desc_.kv_dtype, at, dim, scaled ? kStored : amplitude);
        fill.values(v, desc_.kv_dtype, at, dim, scaled ? kStored : amplitude);
        if (per_slot) fill.scales(k_scale + slot, 1, 0.5 * unit, 1.5 * unit), fill.scales(v_scale + slot, 1, 0.5 * unit, 1.5 * unit);
      }
    }
  }
  if (ragged) params.num_blocks = 0;
}

namespace {

struct Pair {
  int64_t seq, token, head;
};

/// Which rows are compared: all, or the corners of each sequence (first row and head, last row of the first and last head, one drawn) and drawn ones,
/// `samples` or more, each once.
std::vector<Pair> sampled_pairs(const AttentionParams& p, int64_t heads, int64_t samples, uint64_t seed) {
  const auto order = [](const Pair& a, const Pair& b) { return std::tie(a.seq, a.head, a.token) < std::tie(b.seq, b.head, b.token); };
  std::set<Pair, decltype(order)> out(order);
  Fill draw(seed ^ 0x5a3d);
  const bool all = samples == 0 || p.q_start[p.num_seqs] * heads <= samples;  // total_q may be larger: there is room for more rows than there are
  std::vector<int64_t> asking;                                                // sequences with rows
  for (int64_t s = 0; s < p.num_seqs; ++s) {
    const int64_t first = p.q_start[s], last = p.q_start[s + 1] - 1;
    if (last < first) continue;
    asking.push_back(s);
    for (int64_t h = 0; all && h < heads; ++h)
      for (int64_t t = first; t <= last; ++t) out.insert({s, t, h});
    if (!all) out.insert({{s, first, 0}, {s, last, heads - 1}, {s, last, 0}, {s, first + draw.below(last - first + 1), draw.below(heads)}});
  }
  for (size_t i = 0; !all && static_cast<int64_t>(out.size()) < samples; ++i) {
    const int64_t s = asking[i % asking.size()], first = p.q_start[s];
    out.insert({s, first + draw.below(p.q_start[s + 1] - first), draw.below(heads)});
  }
  return {out.begin(), out.end()};
}

double clamped(DType t, double x) {
  const double most = t == DType::f8_e4m3 ? 448 : t == DType::f8_e4m3fnuz ? 240 : INFINITY;
  return std::clamp(x, -most, most);
}

}  // namespace

void Problem<Attention>::compare_values(const AttentionRow& row, const DeclaredRounding& declared, int64_t seq, int64_t token, int64_t head,
                                        Comparison& out) const {
  const int64_t dim = desc_.head_dim;
  const double divisor = desc_.out_scale ? std::abs(params.out_scale[0]) : 1;
  // Where roundings are not independent they say nothing of a lean: rows of one or two keys may be copies of one another; a scale of values that is
  // folded into rounded weights rounds the largest weight, which is 1, in every row alike; 8-bit floats are too coarse.
  constexpr double kFewKeys = 0.45;
  const bool leans =
      row.facts.weight_squares < kFewKeys * row.share * row.share && !is_f8(desc_.out_dtype) && (declared.p == 0 || desc_.kv_scale == Scales::none);
  Lean lean{.variance = relative_variance(declared.p) * row.along / std::pow(divisor, 4)};
  std::vector<double> got(static_cast<size_t>(dim));
  load_values(params.out, desc_.out_dtype, token * params.out_stride + head * dim, dim, got.data());
  for (int64_t i = 0; i < dim; ++i) {
    const auto at = static_cast<size_t>(i);
    const double exact = row.out[at] / divisor, want = clamped(desc_.out_dtype, exact);
    ErrorBound bound{};  // a row without a visible key is exactly 0
    if (row.facts.keys > 0) {
      const ErrorBound computed =
          attention_bound(row.facts, declared, row.magnitude[at] / divisor, row.squares[at] / (divisor * divisor), row.reach[at] / divisor);
      bound = stored(computed, desc_.out_dtype, exact);
      lean.error += (got[at] - want) * want, lean.size += want * want, lean.common += std::abs(want) * bound.common;
      lean.variance +=
          (rounding_variance(desc_.out_dtype, want) + relative_variance(declared.v) * row.squares[at] / (divisor * divisor)) * want * want;
    }
    out.add(got[at], want, bound, [&] { return fmt::format("sequence {}, row {}, head {}, element {}", seq, token - params.q_start[seq], head, i); });
  }
  if (leans) out.add_lean(OutputKind::values, head, lean);
}

void Problem<Attention>::compare(std::string_view reduction, int64_t samples, Comparison& out) const {
  const int64_t heads = desc_.num_q_heads(), dim = desc_.head_dim;
  const DeclaredRounding declared = declared_rounding(reduction);
  AttentionRows rows(desc_, params, declared.p > 0 || declared.v > 0, declared.p);
  for (const Pair& p : sampled_pairs(params, heads, samples, case_.seed)) {
    const AttentionRow& row = rows.row(p.seq, p.token, p.head);
    compare_values(row, declared, p.seq, p.token, p.head, out);
    if (!desc_.lse) continue;
    ErrorBound bound = softmax_bound(row.facts, declared);
    const double far = 0x1.0p-22 * std::abs(row.lse), got = params.lse[p.token * heads + p.head];
    bound = stored({bound.worst + far, bound.typical + far, bound.common + far}, DType::f32, row.lse);
    if (!std::isfinite(row.lse)) bound = {};
    out.add(
        got, row.lse, bound, [&] { return fmt::format("lse of sequence {}, row {}, head {}", p.seq, p.token - params.q_start[p.seq], p.head); },
        OutputKind::lse);
    const double spread = relative_variance(declared.p) * row.alike + rounding_variance(DType::f32, row.lse);
    out.add_lean(OutputKind::lse, p.head, {got - row.lse, 1, spread, bound.common});
  }
  std::vector<double> got(static_cast<size_t>(heads * dim));
  // What was not compared must at least be finite.
  for (int64_t t = 0; t < tokens_; ++t) {
    load_values(params.out, desc_.out_dtype, t * params.out_stride, heads * dim, got.data());
    for (int64_t i = 0; i < heads * dim; ++i)
      if (!std::isfinite(got[static_cast<size_t>(i)])) {
        out.add(got[static_cast<size_t>(i)], 0, {}, [&] { return fmt::format("token {}, head {}, element {}", t, i / dim, i % dim); });
        return;
      }
  }
}

}  // namespace attune
