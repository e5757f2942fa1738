// Attention on the CPU. Neither a score nor an output depends on how many rows or keys share a tile: every output is one chain of products over
// tokens, its lanes head dimensions. With bf16 products a score is sixteen chains, one a lane of head_dim, folded by a fixed tree (K is used as it
// lies); elsewhere it is one chain over head_dim, its lanes keys (K is transposed on its way into the registers).
//
// Order of arithmetic: KV is cut at absolute multiples of kChunk keys. A chunk gives a row (maximum, sum, accumulator) with fresh accumulators;
// a fixed binary tree over the absolute chunk index combines them. Work is handed out as (sequence, KV heads, tile of rows, aligned power-of-two
// run of chunks); a run is one node of the tree. A fully masked chunk has maximum −inf, sum 0, accumulator 0, which combines to the other side.
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/attention_tiles.h"

namespace attune::cpu::ATTUNE_ISA {

void attention(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);
int64_t attention_workspace(const AttentionDesc& desc, const Limits& limits);

namespace {

constexpr int kGroups = kChunk / kGroup;
constexpr int kNear = 1, kFar = kNativePairs ? 4 : 3;  // how many groups later what is fetched now will be read

/// What the query tokens of a tile may see of one chunk: an interval of keys, and single bits where that is not all.
struct TokenView {
  int first = 0, last = 0;
  bool holes = false;
  uint32_t bits[kChunk / 32];
};
struct ChunkView {
  uint32_t seen[kChunk / 32];  // keys that some row of the tile sees
  TokenView tokens[kMaxRows];

  uint32_t seen16(int key) const { return (seen[key / 32] >> (key % 32)) & 0xffffu; }
};

void set_bits(uint32_t* bits, int first, int last) {
  for (int w = first / 32; w * 32 < last; ++w) {
    const int a = first > w * 32 ? first - w * 32 : 0, b = last < w * 32 + 32 ? last - w * 32 : 32;
    bits[w] |= (b == 32 ? ~0u : (1u << b) - 1u) & ~((1u << a) - 1u);
  }
}

[[gnu::flatten]] void view_token(const RowView& row, int64_t chunk_first, TokenView* v) {
  const KeySpan s = key_span(row);
  const int64_t first = larger(s.first, chunk_first), last = smaller(s.last, chunk_first + kChunk);
  v->first = last > first ? static_cast<int>(first - chunk_first) : 0;
  v->last = last > first ? static_cast<int>(last - chunk_first) : 0;
  bool ranged = false;
  for (int64_t i = 0; i < row.num_ranges; ++i) ranged |= row.ranges[2 * i] <= row.position && row.position < row.ranges[2 * i + 1];
  v->holes = last > first && (ranged || (row.tree != nullptr && last > row.kv_len - row.q_len));
  if (!v->holes) return;
  for (uint32_t& b : v->bits) b = 0;
  const int from = v->first, to = v->last;
  v->first = v->last = 0;
  for (int key = from; key < to; ++key) {
    if (!visible(row, chunk_first + key)) continue;
    if (v->last == 0) v->first = key;
    v->last = key + 1;
    v->bits[key / 32] |= 1u << (key % 32);
  }
}

void view_chunk(const Plan& p, const Tile& t, int64_t chunk, ChunkView* view) {
  for (uint32_t& s : view->seen) s = 0;
  const int64_t group = p.desc.gqa_group, first_token = t.first_row / group, last_token = (t.first_row + t.rows - 1) / group;
  for (int64_t token = first_token; token <= last_token; ++token) {
    TokenView& v = view->tokens[token - first_token];
    view_token(row_view(p, t.seq, token), chunk * kChunk, &v);
    if (v.holes)
      for (int w = 0; w < kChunk / 32; ++w) view->seen[w] |= v.bits[w];
    else
      set_bits(view->seen, v.first, v.last);
  }
}

/// The visible ones among kWidth keys from `key` on, as bits.
uint32_t visible_bits(const TokenView& v, int key) {
  constexpr uint32_t kAll = (1u << kWidth) - 1u;
  if (v.holes) return (v.bits[key / 32] >> (key % 32)) & kAll;
  const int a = v.first - key, b = v.last - key;
  const uint32_t below = b >= kWidth ? kAll : b <= 0 ? 0 : (1u << b) - 1u;
  return a <= 0 ? below : a >= kWidth ? 0 : below & ~((1u << a) - 1u);
}

float exp_of(float x) {
  float lanes[kWidth];
  store(lanes, exp(broadcast(x)));
  return lanes[0];
}

void store_vector(void* out, DType type, int64_t at, Vec x, int n) {
  x = x + zero();  // −0 depends on how many masked keys a tile held; +0 does not
  switch (type) {
    case DType::bf16: return n == kWidth ? store(static_cast<bf16_t*>(out) + at, x) : store_tail(static_cast<bf16_t*>(out) + at, x, n);
    case DType::f16: return n == kWidth ? store(static_cast<f16_t*>(out) + at, x) : store_tail(static_cast<f16_t*>(out) + at, x, n);
    case DType::f8_e4m3: return store_f8(static_cast<f8_e4m3_t*>(out) + at, x, n);
    case DType::f8_e4m3fnuz: return store_f8(static_cast<f8_e4m3fnuz_t*>(out) + at, x, n);
    default: return n == kWidth ? store(static_cast<float*>(out) + at, x) : store_tail(static_cast<float*>(out) + at, x, n);
  }
}

/// Outputs [d, d + kWidth) of a row, which stand in the order of zip_parts where V was multiplied in pairs.
Vec load_output(const Plan& p, const float* row, int64_t d) {
  if constexpr (!kNativePairs) return load(row + d);
  const int64_t zipped = size_of(p.desc.kv_dtype) == 1 ? kZipped<f8_e4m3_t> : kZipped<bf16_t>, block = d / (16 * zipped) * 16 * zipped;
  const float* from[kWidth / 4];
  for (int i = 0; i < kWidth / 4; ++i) {
    const int64_t at = d + 4 * i - block;
    from[i] = row + block + at % (4 * zipped) / 4 * 16 + at / (4 * zipped) * 4;
  }
  return load_fours(from);
}

/// Divides by the sums, adds the sinks, and stores the rows of a finished tile; `memory` is null where no key is visible at all.
[[gnu::flatten]] void write_tile(const Plan& p, const Tile& t, float* memory) {
  const AttentionDesc& desc = p.desc;
  const AttentionParams& a = p.params;
  const Node node{memory, p.tile_rows, p.padded};
  for (int64_t r = 0; r < t.all_rows(); ++r) {
    const RowIndex at = row_index(p, t, r);
    float m = memory != nullptr ? node.maximum()[r] : -kInfinity, l = memory != nullptr ? node.sum()[r] : 0, factor = 1;
    if (desc.sinks && a.sinks[at.head] > -kInfinity) {
      const float largest = m > a.sinks[at.head] ? m : a.sinks[at.head];
      factor = exp_of(m - largest);
      l = l * factor + exp_of(a.sinks[at.head] - largest);
      m = largest;
    }
    if (desc.lse) a.lse[at.call_token * desc.num_q_heads() + at.head] = l == 0 ? -kInfinity : m + __builtin_logf(l);
    factor = l == 0 ? 0 : factor / l;
    if (desc.kv_scale != Scales::none && desc.kv_scale != Scales::token_head)
      factor *= a.v_scale[scale_index(desc.kv_scale, t.seq, 0, at.kv_head, desc.num_kv_heads)];
    if (desc.out_scale) factor /= a.out_scale[0];
    const int64_t out = at.call_token * a.out_stride + at.head * desc.head_dim;
    for (int64_t d = 0; d < desc.head_dim; d += kWidth) {
      const Vec x = memory != nullptr ? load_output(p, node.acc + r * p.padded, d) * broadcast(factor) : zero();
      store_vector(a.out, desc.out_dtype, out + d, x, static_cast<int>(smaller(kWidth, desc.head_dim - d)));
    }
  }
}

void copy_node(const Plan& p, const Tile& t, const float* from, float* to) {
  const int64_t statistics = p.tile_rows * p.padded, size = node_floats(p.tile_rows, p.padded);
  __builtin_memcpy(to, from, static_cast<size_t>(t.all_rows() * p.padded) * sizeof(float));
  __builtin_memcpy(to + statistics, from + statistics, static_cast<size_t>(size - statistics) * sizeof(float));
}

/// One worker's pass over its tiles, for KV elements of type T.
template <class T>
struct Worker {
  /// K or V of kGroup tokens of the tile's first KV head, and which of them may be read.
  struct Group {
    const T* first;
    uint32_t seen;
  };

  const Plan& p;
  Scratch& s;
  ChunkView view;
  Group keys[kGroups], values[kGroups], next;  // of a chunk, and the first keys of the next one
  struct Piece {
    uint8_t group, head;
  } pieces[kGroups * kMaxRows];
  int num_pieces;

  // ---- queries ----

  template <class Q>
  void pack_query_row(const Q* q, float* out) {
    const int64_t dim = p.desc.head_dim;
    if constexpr (!kNativePairs) {
      for (int64_t d = 0; d < p.padded; d += kWidth) store(out + d, load_tail(q + d, static_cast<int>(larger(0, smaller(kWidth, dim - d)))));
    } else if constexpr (sizeof(Q) == 1 || __is_same(Q, bf16_t)) {
      for (int64_t d = 0; d < 2 * p.query; d += 2 * kWidth)
        store(out + d / 2, as_vec(load_pairs_tail(q + d, static_cast<int>(larger(0, smaller(2 * kWidth, dim - d))))));
      if constexpr (kParts < T >> 1)
        for (int64_t d = 0; d < 2 * p.query; d += 64) part_order(reinterpret_cast<bf16_t*>(out) + d);
    }
  }

  void pack_query(const Tile& t) {
    const AttentionDesc& desc = p.desc;
    const AttentionParams& a = p.params;
    for (int64_t r = 0; r < t.all_rows(); ++r) {
      const RowIndex row = row_index(p, t, r);
      const int64_t at = row.call_token * a.q_stride + row.head * desc.head_dim;
      float* out = s.query + r * p.query;
      switch (desc.q_dtype) {
        case DType::bf16: pack_query_row(static_cast<const bf16_t*>(a.q) + at, out); break;
        case DType::f16: pack_query_row(static_cast<const f16_t*>(a.q) + at, out); break;
        case DType::f8_e4m3: pack_query_row(static_cast<const f8_e4m3_t*>(a.q) + at, out); break;
        case DType::f8_e4m3fnuz: pack_query_row(static_cast<const f8_e4m3fnuz_t*>(a.q) + at, out); break;
        default: pack_query_row(static_cast<const float*>(a.q) + at, out); break;
      }
      float factor = a.scale;
      if (desc.q_scale != Scales::none) factor *= a.q_scale[scale_index(desc.q_scale, t.seq, row.call_token, row.head, desc.num_q_heads())];
      if (desc.kv_scale != Scales::none && desc.kv_scale != Scales::token_head)
        factor *= a.k_scale[scale_index(desc.kv_scale, t.seq, 0, row.kv_head, desc.num_kv_heads)];
      s.row_factor[r] = factor;
    }
  }

  // ---- keys and values ----

  bool ragged() const { return p.desc.kv_source == KvSource::ragged; }
  int64_t block_of(const Tile& t, int64_t key) const { return p.params.block_table[t.seq * p.params.max_blocks + key / p.desc.block_size]; }

  /// Where the K or V of a token of the tile's first KV head stands.
  const T* find(const Tile& t, const void* cache, int64_t key) const {
    const AttentionDesc& desc = p.desc;
    if (ragged()) return static_cast<const T*>(cache) + (p.params.kv_start[t.seq] + key) * p.params.kv_stride + t.kv_head * desc.head_dim;
    return static_cast<const T*>(cache) +
           hnd_offset(block_of(t, key), t.kv_head, key % desc.block_size, desc.num_kv_heads, desc.block_size, desc.head_dim);
  }

  [[gnu::flatten]] void find_groups(const Tile& t, int64_t chunk) {
    for (int g = 0; g < kGroups; ++g) {
      const uint32_t seen = view.seen16(g * kGroup);
      const int64_t key = chunk * kChunk + g * kGroup;
      keys[g] = {seen != 0 ? find(t, p.params.k, key) : nullptr, seen};
      values[g] = {seen != 0 ? find(t, p.params.v, key) : nullptr, seen};
    }
    const int64_t key = (chunk + 1) * kChunk;
    const bool goes_on = chunk + 1 < t.last_chunk && keys[kGroups - 1].seen == 0xffffu && key < p.params.kv_lens[t.seq];
    next = {goes_on ? find(t, p.params.k, key) : nullptr, 0};
  }

  /// The first element of a group for a head of the tile; null if nobody sees it.
  const T* first_of(const Group& group, int64_t head) const {
    return group.first == nullptr ? nullptr : group.first + head * p.desc.head_dim * (ragged() ? 1 : p.desc.block_size);
  }
  /// The rows of a group as they lie in the cache or, where some may not be read or end inside a vector, a copy with zeros in it.
  Rows<T> rows_of(const Group& group, int64_t head, const T* near, const T* far) {
    const T* first = first_of(group, head);
    const int64_t dim = p.desc.head_dim, stride = ragged() ? p.params.kv_stride : dim;
    constexpr int64_t kWhole = kParts<T> * 32;
    T* copy = reinterpret_cast<T*>(s.staging);
    if (near == nullptr || ragged()) near = first != nullptr ? first : copy;
    if (far == nullptr || ragged()) far = near;
    if (group.seen == 0xffffu && dim % kWhole == 0) return {first, stride, near, far};
    const int64_t copy_stride = round_up(dim, kWhole);
    __builtin_memset(copy, 0, static_cast<size_t>(kGroup * copy_stride) * sizeof(T));
    for (int i = 0; i < kGroup; ++i)
      if ((group.seen >> i & 1) != 0) __builtin_memcpy(copy + i * copy_stride, first + i * stride, static_cast<size_t>(dim) * sizeof(T));
    return {copy, copy_stride, near, far};
  }

  /// Scales of the chunk's tokens; 0 where nobody looks.
  [[gnu::flatten]] void load_token_scales(const Tile& t, int64_t chunk) {
    const AttentionDesc& desc = p.desc;
    for (int64_t head = 0; head < t.heads; ++head)
      for (int g = 0; g < kGroups; ++g) {
        float *k = s.key_scale + head * kChunk + g * kGroup, *v = s.value_scale + head * kChunk + g * kGroup;
        int64_t at = 0, stride = 1;
        const int64_t key = chunk * kChunk + g * kGroup;
        if (ragged())
          at = (p.params.kv_start[t.seq] + key) * desc.num_kv_heads + t.kv_head + head, stride = desc.num_kv_heads;
        else if (keys[g].seen != 0)
          at = paged_scale_index(block_of(t, key), t.kv_head + head, key % desc.block_size, desc.num_kv_heads, desc.block_size);
        for (int i = 0; i < kGroup; ++i) {
          const bool seen = (keys[g].seen >> i & 1) != 0;
          k[i] = seen ? p.params.k_scale[at + i * stride] : 0;
          v[i] = seen ? p.params.v_scale[at + i * stride] : 0;
        }
      }
  }

  // ---- rows ----

  const TokenView& token_of(const Tile& t, int64_t r) const {
    return view.tokens[(t.first_row + r % t.rows) / p.desc.gqa_group - t.first_row / p.desc.gqa_group];
  }
  /// The keys that any of rows [r, r + n) sees lie in [first, last).
  void group_view(const Tile& t, int64_t r, int64_t n, int* first, int* last) const {
    *first = kChunk, *last = 0;
    for (int64_t i = 0; i < n; ++i) {
      const TokenView& v = token_of(t, r + i);
      if (v.last <= v.first) continue;
      *first = v.first < *first ? v.first : *first;
      *last = v.last > *last ? v.last : *last;
    }
  }

  /// Scores of kWidth keys: scales, softcap, ALiBi, mask. `distance` is that of the first key from the query, `scales` those of the keys.
  Vec final_scores(Vec dots, Vec factor, const float* scales, int64_t distance, float slope, uint32_t bits) {
    const AttentionDesc& desc = p.desc;
    Vec x = dots * factor;
    if (desc.kv_scale == Scales::token_head) x = x * load(scales);
    if (desc.softcap > 0) {
      const float cap = static_cast<float>(desc.softcap);
      x = broadcast(cap) * tanh(x / broadcast(cap));
    }
    if (desc.alibi != Alibi::none) {
      float bias[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        const float apart = static_cast<float>(distance + i);  // key − query
        bias[i] = desc.alibi == Alibi::plain ? slope * apart : apart < 0 ? -slope * __builtin_sqrtf(-apart) : 0.0f;
      }
      x = x + load(static_cast<const float*>(bias));
    }
    return select(mask_of_bits(bits), x, broadcast(-kInfinity));
  }

  /// Scores → weights exp(score − maximum) of one row, in place, over the vectors of keys [first, last); the rest of them 0.
  void weigh_row(const Tile& t, int64_t chunk, int64_t r, int first, int last, const Node& node) {
    const TokenView& v = token_of(t, r);
    const RowIndex at = row_index(p, t, r);
    const int64_t position = p.params.kv_lens[t.seq] - p.rows(t.seq) / p.desc.gqa_group + at.token, scales = (at.kv_head - t.kv_head) * kChunk;
    const float slope = p.desc.alibi != Alibi::none ? p.params.alibi_slopes[at.head] : 0;
    const Vec factor = broadcast(s.row_factor[r]);
    float* x = s.scores + r * kChunk;
    const int from = first / kWidth * kWidth;
    Vec largest = broadcast(-kInfinity);
    for (int key = from; key < last; key += kWidth) {
      const uint32_t bits = visible_bits(v, key);
      const int64_t distance = chunk * kChunk + key - position;
      const Vec y = bits != 0 ? final_scores(load(x + key), factor, s.key_scale + scales + key, distance, slope, bits) : broadcast(-kInfinity);
      largest = max(largest, y);
      store(x + key, y);
    }
    const float m = max_of(largest);
    const Vec base = broadcast(m > -kInfinity ? m : 0.0f);
    constexpr int kSums = 16 / kWidth;  // sixteen partial sums, whatever the width
    Vec sums[kSums];
    for (Vec& y : sums) y = zero();
    for (int key = from; key < last; key += kWidth) {
      Vec w = exp(load(x + key) - base);
      sums[key / kWidth % kSums] = sums[key / kWidth % kSums] + w;
      if (p.desc.kv_scale == Scales::token_head) w = w * load(s.value_scale + scales + key);
      store_weights(x, key, w);
    }
    if constexpr (kSums == 2) sums[0] = sums[0] + sums[1];
    node.maximum()[r] = m;
    node.sum()[r] = sum(sums[0]);
  }

  /// Before a chunk every row is the identity.
  void clear_node(const Tile& t, const Node& node) {
    for (int64_t r = 0; r < t.all_rows(); ++r) node.maximum()[r] = -kInfinity, node.sum()[r] = 0;
    for (int64_t i = 0; i < t.all_rows() * p.padded; i += kWidth) store(node.acc + i, zero());
  }

  // ---- many rows of one head: K and V are packed, and register tiles of rows run over them ----

  void add_scores(const Tile& t) {
    for (int tile = 0; tile < kChunk; tile += kKeyTile) {
      if ((view.seen[tile / 32] | view.seen[tile / 32 + 1]) == 0) continue;
      for (int g = tile / kGroup; g < (tile + kKeyTile) / kGroup; ++g)
        if (keys[g].seen != 0)
          pack_keys(rows_of(keys[g], 0, nullptr, g + 2 < kGroups ? keys[g + 2].first : values[g + 2 - kGroups].first), p.padded,
                    s.keys + (g * kGroup - tile));
      for (int64_t r = 0; r < t.rows; r += kRowGroup) {
        const int64_t n = smaller(kRowGroup, t.rows - r);
        int first, last;
        group_view(t, r, n, &first, &last);
        const int64_t a = larger(first, tile) / kWidth, b = (smaller(last, tile + kKeyTile) + kWidth - 1) / kWidth;
        if (b > a) multiply_keys(n, s.query + r * p.query, p.query, s.keys + (a * kWidth - tile), p.query, s.scores + r * kChunk + a * kWidth, b - a);
      }
    }
  }

  void add_values(const Tile& t, const Node& node) {
    for (int tile = 0; tile < kChunk; tile += kValueTile) {
      bool any_seen = false;
      for (int g = tile / kGroup; g < (tile + kValueTile) / kGroup; ++g) any_seen |= values[g].seen != 0;
      if (!any_seen) continue;
      for (int g = tile / kGroup; g < (tile + kValueTile) / kGroup; ++g)
        pack_values(rows_of(values[g], 0, nullptr, g + 2 < kGroups ? values[g + 2].first : next.first), p.padded,
                    s.values + (g * kGroup - tile) / kPair * p.padded);
      for (int64_t r = 0; r < t.rows; r += kRowGroup) {
        const int64_t n = smaller(kRowGroup, t.rows - r);
        int first, last;
        group_view(t, r, n, &first, &last);
        const int64_t a = larger(first, tile) / kPair, b = (smaller(last, tile + kValueTile) + kPair - 1) / kPair;
        if (b <= a) continue;
        multiply<false>(n, s.scores + r * kChunk + a, kChunk, s.values + (a - tile / kPair) * p.padded, p.padded, b - a, node.acc + r * p.padded,
                        p.padded, p.padded / kWidth);
      }
    }
  }

  void run_many(const Tile& t, int64_t chunk, const Node& node) {
    add_scores(t);
    for (int64_t r = 0; r < t.rows; r += kRowGroup) {
      const int64_t n = smaller(kRowGroup, t.rows - r);
      int first, last;
      group_view(t, r, n, &first, &last);
      for (int64_t i = r; i < r + n && first < last; ++i) weigh_row(t, chunk, i, first, last, node);
    }
    add_values(t, node);
  }

  // ---- few rows of several heads: K and V are used as they come, in the order in which they lie in memory: block, head, token ----

  /// Lists the groups [first, last) of all heads of a chunk in the order of memory.
  void order_pieces(const Tile& t, int64_t chunk, int first, int last) {
    const int64_t in_block = ragged() ? 1 : p.desc.block_size / kGroup;
    num_pieces = 0;
    for (int begin = first, end; begin < last; begin = end) {
      end = static_cast<int>(smaller(last, begin + in_block - (chunk * kGroups + begin) % in_block));
      for (int64_t head = 0; head < t.heads; ++head)
        for (int g = begin; g < end; ++g) pieces[num_pieces++] = {static_cast<uint8_t>(g), static_cast<uint8_t>(head)};
    }
  }
  /// What lies `ahead` pieces behind piece i of K: further keys, then values. The same for V: values, then the first keys of the next chunk.
  const T* ahead_of_keys(int i, int ahead) const {
    const int at = i + ahead;
    if (at < num_pieces) return first_of(keys[pieces[at].group], pieces[at].head);
    return at - num_pieces < num_pieces ? first_of(values[pieces[at - num_pieces].group], pieces[at - num_pieces].head) : nullptr;
  }
  const T* ahead_of_values(int i, int ahead) const {
    const int at = i + ahead;
    if (at < num_pieces) return first_of(values[pieces[at].group], pieces[at].head);
    return next.first == nullptr ? nullptr : next.first + (at - num_pieces) * kGroup * p.desc.head_dim;
  }

  void run_few(const Tile& t, int64_t chunk, const Node& node) {
    int first, last;
    group_view(t, 0, t.rows, &first, &last);
    if (first >= last) return;
    const int a = first / kGroup, b = (last + kGroup - 1) / kGroup;
    order_pieces(t, chunk, a, b);
    with_few_rows(t.rows, [&](auto count) {
      constexpr int kRows = decltype(count)::value;
      for (int i = 0; i < num_pieces; ++i) {
        const int g = pieces[i].group, head = pieces[i].head;
        if (keys[g].seen == 0) continue;
        score_group<kRows>(rows_of(keys[g], head, ahead_of_keys(i, kNear), ahead_of_keys(i, kFar)), s.query + head * kRows * p.query, p.query,
                           p.padded, s.scores + head * kRows * kChunk + g * kGroup);
      }
      for (int64_t r = 0; r < t.all_rows(); ++r) weigh_row(t, chunk, r, a * kGroup, b * kGroup, node);
      for (int i = 0; i < num_pieces; ++i) {
        const int g = pieces[i].group, head = pieces[i].head;
        weigh_group<kRows>(rows_of(values[g], head, ahead_of_values(i, kNear), ahead_of_values(i, kFar)),
                           s.scores + head * kRows * kChunk + g * kGroup / kPair, p.padded, node.acc + head * kRows * p.padded);
      }
    });
  }

  /// Chunks [first, last) of a tile → one node of the tree, written to `slot` or, where that is null, to the output.
  void run_tile(const Tile& t, int64_t first, int64_t last, float* slot) {
    pack_query(t);
    Tree tree{p.tile_rows, p.padded, t.all_rows(), &s};
    for (int64_t chunk = first; chunk < last; ++chunk) {
      float* memory = s.spare[--s.spare_count];
      const Node node{memory, p.tile_rows, p.padded};
      clear_node(t, node);
      view_chunk(p, t, chunk, &view);
      find_groups(t, chunk);
      if (p.desc.kv_scale == Scales::token_head) load_token_scales(t, chunk);
      t.rows <= kFewRows ? run_few(t, chunk, node) : run_many(t, chunk, node);
      tree.put(memory, chunk);
    }
    float* root = tree.finish();
    if (slot != nullptr)
      copy_node(p, t, root, slot);
    else
      write_tile(p, t, root);
    if (root != nullptr) s.spare[s.spare_count++] = root;
  }
};

template <class T>
void run_share(const Plan& p, int64_t share, float* memory) {
  Scratch scratch(p, memory);
  Worker<T> worker{p, scratch, {}, {}, {}, {}, {}, 0};
  const int64_t size = node_floats(p.tile_rows, p.padded);
  for_each_unit(p, share, [&](const Tile& t, int64_t first, int64_t last, int64_t slot) {
    worker.run_tile(t, first, last, slot < 0 ? nullptr : p.slots + slot * size);
  });
}

template <class T>
[[gnu::noinline]] void run_share_on_stack(const Plan& p, int64_t share) {
  alignas(64) float memory[kStackFloats];
  run_share<T>(p, share, memory);
}

/// Joins the runs of every tile that was split; tiles are dealt out in turn.
void finish_share(const Plan& p, int64_t share) {
  const int64_t size = node_floats(p.tile_rows, p.padded);
  int64_t turn = 0;
  for_each_split_tile(p, [&](const Tile& t, int64_t slot) {
    if (turn++ % p.workers != share) return;
    Tree tree{p.tile_rows, p.padded, t.all_rows(), nullptr};
    for (int64_t run = 0; run < t.runs(p.run); ++run) tree.put(p.slots + (slot + run) * size, t.first_chunk / p.run + run);
    write_tile(p, t, tree.finish());
  });
}

template <class T>
void launch(const ExecContext& ctx, const Plan& p) {
  parallel(ctx, p.workers, [&](int64_t share, int) {
    if (p.scratch != nullptr)
      run_share<T>(p, share, p.scratch + share * p.scratch_size);
    else
      run_share_on_stack<T>(p, share);
  });
  if (p.total_slots > 0) parallel(ctx, p.workers, [&](int64_t share, int) { finish_share(p, share); });
}

}  // namespace

int64_t attention_workspace(const AttentionDesc& desc, const Limits& limits) {
  const int64_t padded = widest_padding(desc), nodes = node_count((larger(1, limits.longest_kv) + kChunk - 1) / kChunk),
                threads = larger(1, limits.threads);
  int64_t scratch = 0, slot = 0;
  // A call may hold any number of query tokens up to the phase's most: take the largest of all shapes.
  const int64_t most_tokens = desc.phase == Phase::decode ? 1 : desc.phase == Phase::verify ? 32 : larger(1, limits.tokens);
  for (int64_t tokens = 1; tokens <= most_tokens; ++tokens) {
    const TileShape shape = tile_shape(desc, tokens * desc.gqa_group);
    scratch = larger(scratch, round_up(scratch_floats(shape.rows, shape.heads, padded, nodes), 16));
    slot = larger(slot, node_floats(shape.rows, padded));
    if (tokens * desc.gqa_group > kMaxRows) break;  // larger ones look the same
  }
  return threads * scratch * int64_t{sizeof(float)} + smaller(threads * 48 * slot * int64_t{sizeof(float)}, kMaxSlotBytes) + 64;
}

void attention(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params) {
  Plan plan{desc, params};
  make_plan(ctx, &plan);
  switch (desc.kv_dtype) {
    case DType::bf16: return launch<bf16_t>(ctx, plan);
    case DType::f8_e4m3: return launch<f8_e4m3_t>(ctx, plan);
    case DType::f8_e4m3fnuz: return launch<f8_e4m3fnuz_t>(ctx, plan);
    case DType::f16:
      if constexpr (!kNativePairs) launch<f16_t>(ctx, plan);
      return;
    default:
      if constexpr (!kNativePairs) launch<float>(ctx, plan);
      return;
  }
}

}  // namespace attune::cpu::ATTUNE_ISA
