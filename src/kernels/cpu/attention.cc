// Attention on the CPU. Lanes are keys for scores (K is transposed while it is packed) and head dimensions for values, so that every score is
// one chain of products over head_dim and every output one chain over tokens: neither depends on how many rows or keys share a register tile.
//
// Order of arithmetic: KV is cut at absolute multiples of kChunk keys. A chunk gives a row (maximum, sum, accumulator) with fresh accumulators;
// a fixed binary tree over the absolute chunk index combines them. Work is handed out as (sequence, KV head, tile of rows, aligned power-of-two
// run of chunks); a run is one node of the tree. A fully masked chunk has maximum −inf, sum 0, accumulator 0, which combines to the other side.
#include "ops/attention.h"

#include "kernels/cpu/simd_tiles.h"
#include "ops/attention_math.h"

namespace attune::cpu::ATTUNE_ISA {

void attention(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);
int64_t attention_workspace(const AttentionDesc& desc, const Limits& limits);

namespace {

constexpr int kChunk = 256;
constexpr int kKeyTile = 64;                                 // keys packed at a time
constexpr int kValueTile = 128;                              // values packed at a time
constexpr int kPair = kNativePairs ? 2 : 1;                  // elements of a product step: the dimension is summed in bf16 pairs or one by one
constexpr int kRowGroup = 6;                                 // rows of a register tile
constexpr int kColumns = kWidth == 16 ? 4 : kFused ? 2 : 1;  // vectors of a register tile
constexpr int kMaxRows = 128;                                // rows of a tile: query tokens × heads of the group
constexpr int kMaxLevels = 32;
constexpr int64_t kStackFloats = 160 * 1024;  // scratch of a worker where the workspace is too small
constexpr int64_t kMaxSlotBytes = int64_t{32} << 20;

constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t padded_dim(int64_t head_dim) { return round_up(head_dim, 16); }
constexpr int64_t preferred_rows(int64_t head_dim) { return larger(16, smaller(kMaxRows, 16384 / padded_dim(head_dim) / 16 * 16)); }

/// Buffers of the combining tree that can be alive at once for a number of chunks.
constexpr int64_t node_count(int64_t chunks) {
  int64_t levels = 1;
  while ((chunks >> levels) > 0) ++levels;
  return levels + 1;
}
/// A node: accumulators [rows][padded], maxima [rows], sums [rows]; the last two are handled sixteen at a time.
constexpr int64_t node_floats(int64_t rows, int64_t padded) { return rows * padded + 2 * round_up(rows, 16); }
constexpr int64_t scratch_floats(int64_t rows, int64_t padded, int64_t nodes) {
  return rows * (padded + kChunk + 1) + padded * (kKeyTile + kValueTile + 1) + 2 * kChunk + nodes * node_floats(rows, padded) + 64;
}

/// Everything about a launch that does not depend on the element type.
struct Plan {
  const AttentionDesc& desc;
  const AttentionParams& params;
  int64_t padded = 0;     // head_dim, rounded up
  int64_t tile_rows = 0;  // a multiple of 16
  int64_t nodes = 0;
  int64_t run = 1;  // chunks of a run, a power of two
  int64_t total_cost = 0;
  int64_t total_slots = 0;
  int workers = 1;
  float* scratch = nullptr;  // [workers][scratch_size]; null: on the worker's stack
  int64_t scratch_size = 0;
  float* slots = nullptr;  // [total_slots] nodes: the runs of rows that have more than one

  int64_t q_len(int64_t seq) const { return params.q_start[seq + 1] - params.q_start[seq]; }
  int64_t rows(int64_t seq) const { return q_len(seq) * desc.gqa_group; }
};

/// Rows [first_row, first_row + rows) of (sequence, KV head), and the chunks they can see. Row r is query token r / group, head r % group.
struct Tile {
  int64_t seq = 0, kv_head = 0, first_row = 0, rows = 0;
  int64_t first_chunk = 0, last_chunk = 0;
  int64_t runs(int64_t run) const { return last_chunk > first_chunk ? (last_chunk - 1) / run - first_chunk / run + 1 : 1; }
};

[[gnu::flatten]] RowView row_view(const Plan& p, int64_t seq, int64_t token) {
  const AttentionDesc& d = p.desc;
  RowView r;
  r.q_len = p.q_len(seq);
  r.kv_len = p.params.kv_lens[seq];
  r.position = r.kv_len - r.q_len + token;
  r.causal = d.mask == attune::Mask::causal || (d.mask == attune::Mask::per_request && p.params.causal[seq] != 0);
  if (d.mask == attune::Mask::tree) r.tree = p.params.tree + (p.params.q_start[seq] + token) * p.params.tree_words;
  if (d.ranges) r.ranges = p.params.ranges + seq * p.params.num_ranges * 2, r.num_ranges = p.params.num_ranges;
  r.window = d.window;
  r.window_right = d.window_right;
  return r;
}

[[gnu::flatten]] void find_chunks(const Plan& p, Tile* t) {
  const int64_t first_token = t->first_row / p.desc.gqa_group, last_token = (t->first_row + t->rows - 1) / p.desc.gqa_group;
  int64_t first = INT64_MAX, last = 0;
  for (int64_t token = first_token; token <= last_token; ++token) {
    const KeySpan s = key_span(row_view(p, t->seq, token));
    if (s.last <= s.first) continue;
    first = smaller(first, s.first), last = larger(last, s.last);
  }
  t->first_chunk = last > 0 ? first / kChunk : 0;
  t->last_chunk = last > 0 ? (last + kChunk - 1) / kChunk : 0;
}

Tile tile_at(const Plan& p, int64_t seq, int64_t index) {
  Tile t;
  t.seq = seq;
  t.first_row = index * p.tile_rows;
  t.rows = smaller(p.tile_rows, p.rows(seq) - t.first_row);
  find_chunks(p, &t);
  return t;
}

/// The cost of a unit of work, in rows × chunks: packing a chunk is worth about 16 rows.
int64_t unit_cost(const Tile& t, int64_t chunks) { return chunks * (t.rows + 16) + 1; }

/// What one KV head of a sequence costs, and how many nodes its split tiles store.
struct HeadCost {
  int64_t cost = 0, slots = 0, largest = 0;
};
HeadCost head_cost(const Plan& p, int64_t seq) {
  HeadCost c;
  const int64_t tiles = (p.rows(seq) + p.tile_rows - 1) / p.tile_rows;
  for (int64_t i = 0; i < tiles; ++i) {
    const Tile t = tile_at(p, seq, i);
    const int64_t runs = t.runs(p.run), cost = unit_cost(t, t.last_chunk - t.first_chunk) + runs - 1;
    c.cost += cost;
    c.largest = larger(c.largest, cost);
    c.slots += runs > 1 ? runs : 0;
  }
  return c;
}

/// The rows of a worker's scratch memory.
struct Scratch {
  float* query;        // [rows][padded / kPair]
  float* scores;       // [rows][kChunk]; then the weights, in steps
  float* keys;         // [padded / kPair][kKeyTile]
  float* values;       // [kValueTile / kPair][padded]
  float* row_factor;   // [rows]
  float* key_scale;    // [kChunk]
  float* value_scale;  // [kChunk]
  float* zeros;        // [padded]
  float* spare[kMaxLevels + 2];
  int spare_count = 0;

  Scratch(const Plan& p, float* memory) {
    const auto take = [&](int64_t n) { return memory += n, memory - n; };
    query = take(p.tile_rows * p.padded);
    scores = take(p.tile_rows * kChunk);
    keys = take(p.padded * kKeyTile);
    values = take(p.padded * kValueTile);
    key_scale = take(kChunk);
    value_scale = take(kChunk);
    row_factor = take(p.tile_rows);
    zeros = take(p.padded);
    for (int64_t i = 0; i < p.padded; ++i) zeros[i] = 0;
    for (; spare_count < p.nodes; ++spare_count) spare[spare_count] = take(node_floats(p.tile_rows, p.padded));
  }
};

/// The partial result of all rows of a tile over some chunks.
struct Node {
  float* acc;
  int64_t rows, padded;
  float* maximum() const { return acc + rows * padded; }
  float* sum() const { return acc + rows * padded + round_up(rows, 16); }
};

/// right ← left combined with right. Exact where one side is the identity.
void combine(const Node& left, const Node& right, int64_t rows) {
  for (int64_t r = 0; r < rows; r += kWidth) {
    const Vec ml = load(left.maximum() + r), mr = load(right.maximum() + r), m = max(ml, mr);
    const Vec safe = select(less(broadcast(-kInfinity), m), m, zero());
    const Vec fl = exp(ml - safe), fr = exp(mr - safe);
    store(right.sum() + r, fma(load(right.sum() + r), fr, load(left.sum() + r) * fl));
    store(right.maximum() + r, m);
    float left_factor[kWidth], right_factor[kWidth];
    store(left_factor, fl), store(right_factor, fr);
    for (int64_t i = 0; i < kWidth && r + i < rows; ++i) {
      const Vec a = broadcast(left_factor[i]), b = broadcast(right_factor[i]);
      const float* x = left.acc + (r + i) * left.padded;
      float* y = right.acc + (r + i) * right.padded;
      for (int64_t d = 0; d < right.padded; d += kWidth) store(y + d, fma(load(y + d), b, load(x + d) * a));
    }
  }
}

/// The pending left children of the combining tree, by level. Chunks (or runs) are put in with rising absolute index.
struct Tree {
  int64_t rows, padded, used_rows;
  Scratch* spares;  // where buffers go back to, or null
  float* pending[kMaxLevels] = {};

  void join(float* left, float* right) {
    combine({left, rows, padded}, {right, rows, padded}, used_rows);
    if (spares != nullptr) spares->spare[spares->spare_count++] = left;
  }
  void put(float* node, int64_t index) {
    int level = 0;
    for (; ((index >> level) & 1) != 0; ++level) {
      if (pending[level] != nullptr) join(pending[level], node);
      pending[level] = nullptr;
    }
    pending[level] = node;
  }
  /// The root; null if nothing was put in.
  float* finish() {
    float* node = nullptr;
    for (float* left : pending) {
      if (left == nullptr) continue;
      if (node != nullptr) join(left, node);
      node = node != nullptr ? node : left;
    }
    return node;
  }
};

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

/// c[R][C] (+)= a · b over `steps`: a [R][steps] is broadcast, b [steps][C vectors]. Each element is one chain of products in rising step.
template <int R, int C>
void multiply_tile(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t steps, float* c, int64_t c_stride, bool fresh) {
  Vec acc[R][C];
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < C; ++j) acc[r][j] = fresh ? zero() : load(c + r * c_stride + j * kWidth);
  for (int64_t k = 0; k < steps; ++k) {
    if constexpr (kNativePairs) {
      Pairs x[C];
      for (int j = 0; j < C; ++j) x[j] = load_pairs(reinterpret_cast<const bf16_t*>(b + k * b_stride + j * kWidth));
      for (int r = 0; r < R; ++r) {
        const auto* y = reinterpret_cast<const bf16_t*>(a + r * a_stride + k);
        for (int j = 0; j < C; ++j) acc[r][j] = dot(broadcast_pair(y[0], y[1]), x[j], acc[r][j]);
      }
    } else {
      Vec x[C];
      for (int j = 0; j < C; ++j) x[j] = load(b + k * b_stride + j * kWidth);
      for (int r = 0; r < R; ++r)
        for (int j = 0; j < C; ++j) acc[r][j] = fma(broadcast(a[r * a_stride + k]), x[j], acc[r][j]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < C; ++j) store(c + r * c_stride + j * kWidth, acc[r][j]);
}

template <int R>
void multiply_rows(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t steps, float* c, int64_t c_stride, int64_t vectors,
                   bool fresh) {
  int64_t j = 0;
  for (; j + kColumns <= vectors; j += kColumns)
    multiply_tile<R, kColumns>(a, a_stride, b + j * kWidth, b_stride, steps, c + j * kWidth, c_stride, fresh);
  if constexpr (kColumns > 2)
    for (; j + 2 <= vectors; j += 2) multiply_tile<R, 2>(a, a_stride, b + j * kWidth, b_stride, steps, c + j * kWidth, c_stride, fresh);
  for (; j < vectors; ++j) multiply_tile<R, 1>(a, a_stride, b + j * kWidth, b_stride, steps, c + j * kWidth, c_stride, fresh);
}

void multiply(int64_t rows, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t steps, float* c, int64_t c_stride,
              int64_t vectors, bool fresh) {
  switch (rows) {
    case 1: return multiply_rows<1>(a, a_stride, b, b_stride, steps, c, c_stride, vectors, fresh);
    case 2: return multiply_rows<2>(a, a_stride, b, b_stride, steps, c, c_stride, vectors, fresh);
    case 3: return multiply_rows<3>(a, a_stride, b, b_stride, steps, c, c_stride, vectors, fresh);
    case 4: return multiply_rows<4>(a, a_stride, b, b_stride, steps, c, c_stride, vectors, fresh);
    case 5: return multiply_rows<5>(a, a_stride, b, b_stride, steps, c, c_stride, vectors, fresh);
    default: return multiply_rows<6>(a, a_stride, b, b_stride, steps, c, c_stride, vectors, fresh);
  }
}

/// A vector of a row of a query, key or value: `n` elements from p, zeros behind them.
template <class T>
ATTUNE_INLINE Vec load_part(const T* p, int64_t n) {
  return n >= kWidth ? load(p) : load_tail(p, static_cast<int>(n > 0 ? n : 0));
}
template <class T>
ATTUNE_INLINE Pairs load_pairs_part(const T* p, int64_t n) {
  return n >= 2 * kWidth ? load_pairs(p) : load_pairs_tail(p, static_cast<int>(n > 0 ? n : 0));
}

/// The rows of kWidth consecutive keys; those that nobody sees are not read.
template <class T>
struct KeyRows {
  const T* row[kWidth];
};

/// K of kWidth keys → [steps][kWidth] at `out`, kKeyTile floats apart.
template <class T>
void pack_keys(const KeyRows<T>& rows, int64_t dim, int64_t padded, float* out) {
  Vec block[kWidth];
  if constexpr (kNativePairs) {
    for (int64_t d = 0; d < dim; d += 2 * kWidth) {
      for (int i = 0; i < kWidth; ++i) block[i] = as_vec(load_pairs_part(rows.row[i] + d, dim - d));
      transpose(block);
      const int64_t steps = smaller(kWidth, (padded - d) / 2);
      for (int64_t i = 0; i < steps; ++i) store(out + (d / 2 + i) * kKeyTile, block[i]);
    }
  } else if constexpr (sizeof(T) == 2 && __is_same(T, bf16_t)) {
    for (int64_t d = 0; d < dim; d += 2 * kWidth) {
      for (int i = 0; i < kWidth; ++i) block[i] = as_vec(load_pairs_part(rows.row[i] + d, dim - d));
      transpose(block);
      const int64_t steps = smaller(kWidth, (padded - d) / 2);
      for (int64_t i = 0; i < steps; ++i) {
        store(out + (d + 2 * i) * kKeyTile, even_half(block[i]));
        store(out + (d + 2 * i + 1) * kKeyTile, odd_half(block[i]));
      }
    }
  } else {
    for (int64_t d = 0; d < padded; d += kWidth) {
      for (int i = 0; i < kWidth; ++i) block[i] = load_part(rows.row[i] + d, dim - d);
      transpose(block);
      for (int i = 0; i < kWidth; ++i) store(out + (d + i) * kKeyTile, block[i]);
    }
  }
}

/// V of kWidth tokens → [steps][padded] at `out`.
template <class T>
void pack_values(const KeyRows<T>& rows, int64_t dim, int64_t padded, float* out) {
  for (int i = 0; i < kWidth; i += kPair) {
    float* step = out + i / kPair * padded;
    if constexpr (kNativePairs) {
      for (int64_t d = 0; d < padded; d += 2 * kWidth) {
        Pairs low, high;
        zip(load_pairs_part(rows.row[i] + d, dim - d), load_pairs_part(rows.row[i + 1] + d, dim - d), &low, &high);
        store(step + d, as_vec(low));
        if (d + kWidth < padded) store(step + d + kWidth, as_vec(high));
      }
    } else {
      for (int64_t d = 0; d < padded; d += kWidth) store(step + d, load_part(rows.row[i] + d, dim - d));
    }
  }
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

/// Divides by the sums, adds the sinks, and stores the rows of a finished tile; `node` is null where no key is visible at all.
[[gnu::flatten]] void write_tile(const Plan& p, const Tile& t, float* memory) {
  const AttentionDesc& desc = p.desc;
  const AttentionParams& a = p.params;
  const Node node{memory, p.tile_rows, p.padded};
  float unit = 1;
  if (desc.kv_scale != Scales::none && desc.kv_scale != Scales::token_head)
    unit = a.v_scale[scale_index(desc.kv_scale, t.seq, 0, t.kv_head, desc.num_kv_heads)];
  for (int64_t r = 0; r < t.rows; ++r) {
    const int64_t row = t.first_row + r, token = a.q_start[t.seq] + row / desc.gqa_group, head = t.kv_head * desc.gqa_group + row % desc.gqa_group;
    float m = memory != nullptr ? node.maximum()[r] : -kInfinity, l = memory != nullptr ? node.sum()[r] : 0, factor = 1;
    if (desc.sinks && a.sinks[head] > -kInfinity) {
      const float largest = m > a.sinks[head] ? m : a.sinks[head];
      factor = exp_of(m - largest);
      l = l * factor + exp_of(a.sinks[head] - largest);
      m = largest;
    }
    if (desc.lse) a.lse[token * desc.num_q_heads() + head] = l == 0 ? -kInfinity : m + __builtin_logf(l);
    factor = l == 0 ? 0 : factor / l * unit;
    if (desc.out_scale) factor /= a.out_scale[0];
    for (int64_t d = 0; d < desc.head_dim; d += kWidth) {
      const Vec x = memory != nullptr ? load(node.acc + r * p.padded + d) * broadcast(factor) : zero();
      store_vector(a.out, desc.out_dtype, token * a.out_stride + head * desc.head_dim + d, x, static_cast<int>(smaller(kWidth, desc.head_dim - d)));
    }
  }
}

void copy_node(const Plan& p, const Tile& t, const float* from, float* to) {
  const int64_t statistics = p.tile_rows * p.padded, size = node_floats(p.tile_rows, p.padded);
  __builtin_memcpy(to, from, static_cast<size_t>(t.rows * p.padded) * sizeof(float));
  __builtin_memcpy(to + statistics, from + statistics, static_cast<size_t>(size - statistics) * sizeof(float));
}

/// One worker's pass over its tiles, for KV elements of type T.
template <class T>
struct Worker {
  const Plan& p;
  Scratch& s;
  ChunkView view;

  // ---- queries ----

  template <class Q>
  void pack_query_row(const Q* q, float* out) {
    const int64_t dim = p.desc.head_dim;
    if constexpr (!kNativePairs) {
      for (int64_t d = 0; d < p.padded; d += kWidth) store(out + d, load_part(q + d, dim - d));
    } else if constexpr (sizeof(Q) == 1 || __is_same(Q, bf16_t)) {
      for (int64_t d = 0; d < p.padded; d += 2 * kWidth) {
        const int64_t steps = (p.padded - d) / 2;
        store_tail(out + d / 2, as_vec(load_pairs_part(q + d, dim - d)), static_cast<int>(smaller(kWidth, steps)));
      }
    }
  }

  void pack_query(const Tile& t) {
    const AttentionDesc& desc = p.desc;
    const AttentionParams& a = p.params;
    for (int64_t r = 0; r < t.rows; ++r) {
      const int64_t row = t.first_row + r, token = a.q_start[t.seq] + row / desc.gqa_group, head = t.kv_head * desc.gqa_group + row % desc.gqa_group;
      const int64_t at = token * a.q_stride + head * desc.head_dim;
      float* out = s.query + r * (p.padded / kPair);
      switch (desc.q_dtype) {
        case DType::bf16: pack_query_row(static_cast<const bf16_t*>(a.q) + at, out); break;
        case DType::f16: pack_query_row(static_cast<const f16_t*>(a.q) + at, out); break;
        case DType::f8_e4m3: pack_query_row(static_cast<const f8_e4m3_t*>(a.q) + at, out); break;
        case DType::f8_e4m3fnuz: pack_query_row(static_cast<const f8_e4m3fnuz_t*>(a.q) + at, out); break;
        default: pack_query_row(static_cast<const float*>(a.q) + at, out); break;
      }
      float factor = a.scale;
      if (desc.q_scale != Scales::none) factor *= a.q_scale[scale_index(desc.q_scale, t.seq, token, head, desc.num_q_heads())];
      if (desc.kv_scale != Scales::none && desc.kv_scale != Scales::token_head) factor *= a.k_scale[head_scale(t)];
      s.row_factor[r] = factor;
    }
  }
  int64_t head_scale(const Tile& t) const { return scale_index(p.desc.kv_scale, t.seq, 0, t.kv_head, p.desc.num_kv_heads); }

  // ---- keys and values ----

  /// Finds the rows of keys [key, key + kWidth); `seen` has a bit for each that may be read.
  void find_rows(const Tile& t, const void* cache, int64_t key, uint32_t seen, KeyRows<T>* rows) {
    const AttentionDesc& desc = p.desc;
    int64_t first, stride = desc.head_dim;
    if (desc.kv_source == KvSource::ragged) {
      first = (p.params.kv_start[t.seq] + key) * p.params.kv_stride + t.kv_head * desc.head_dim;
      stride = p.params.kv_stride;
    } else {
      const int64_t block = p.params.block_table[t.seq * p.params.max_blocks + key / desc.block_size];
      first = hnd_offset(block, t.kv_head, key % desc.block_size, desc.num_kv_heads, desc.block_size, desc.head_dim);
    }
    const T* base = static_cast<const T*>(cache) + first;
    for (int i = 0; i < kWidth; ++i) rows->row[i] = (seen >> i & 1) != 0 ? base + i * stride : reinterpret_cast<const T*>(s.zeros);
  }

  /// Scales of the chunk's tokens; 0 where nobody looks.
  void load_token_scales(const Tile& t, int64_t chunk) {
    const AttentionDesc& desc = p.desc;
    for (int i = 0; i < kChunk; ++i) {
      s.key_scale[i] = s.value_scale[i] = 0;
      if ((view.seen[i / 32] >> (i % 32) & 1) == 0) continue;
      const int64_t key = chunk * kChunk + i;
      int64_t at;
      if (desc.kv_source == KvSource::ragged)
        at = (p.params.kv_start[t.seq] + key) * desc.num_kv_heads + t.kv_head;
      else
        at = paged_scale_index(p.params.block_table[t.seq * p.params.max_blocks + key / desc.block_size], t.kv_head, key % desc.block_size,
                               desc.num_kv_heads, desc.block_size);
      s.key_scale[i] = p.params.k_scale[at];
      s.value_scale[i] = p.params.v_scale[at];
    }
  }

  // ---- one chunk ----

  const TokenView& token_of(const Tile& t, int64_t r) const {
    return view.tokens[(t.first_row + r) / p.desc.gqa_group - t.first_row / p.desc.gqa_group];
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

  void add_scores(const Tile& t, int64_t chunk) {
    const int64_t steps = p.padded / kPair;
    for (int tile = 0; tile < kChunk; tile += kKeyTile) {
      if ((view.seen[tile / 32] | view.seen[tile / 32 + 1]) == 0) continue;
      for (int key = tile; key < tile + kKeyTile; key += kWidth) {
        const uint32_t seen = view.seen16(key) & ((1u << kWidth) - 1u);
        if (seen == 0) continue;
        KeyRows<T> rows;
        find_rows(t, p.params.k, chunk * kChunk + key, seen, &rows);
        pack_keys(rows, p.desc.head_dim, p.padded, s.keys + (key - tile));
      }
      for (int64_t r = 0; r < t.rows; r += kRowGroup) {
        const int64_t n = smaller(kRowGroup, t.rows - r);
        int first, last;
        group_view(t, r, n, &first, &last);
        const int64_t a = larger(first, tile) / kWidth, b = (smaller(last, tile + kKeyTile) + kWidth - 1) / kWidth;
        if (b <= a) continue;
        multiply(n, s.query + r * steps, steps, s.keys + (a * kWidth - tile), kKeyTile, steps, s.scores + r * kChunk + a * kWidth, kChunk, b - a,
                 true);
      }
    }
  }

  /// Scores of kWidth keys: scales, softcap, ALiBi, mask.
  Vec final_scores(Vec dots, Vec factor, int key, int64_t distance, float slope, uint32_t bits) {
    const AttentionDesc& desc = p.desc;
    Vec x = dots * factor;
    if (desc.kv_scale == Scales::token_head) x = x * load(s.key_scale + key);
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
    const int64_t row = t.first_row + r, head = t.kv_head * p.desc.gqa_group + row % p.desc.gqa_group;
    const int64_t position = p.params.kv_lens[t.seq] - p.q_len(t.seq) + row / p.desc.gqa_group;
    const float slope = p.desc.alibi != Alibi::none ? p.params.alibi_slopes[head] : 0;
    const Vec factor = broadcast(s.row_factor[r]);
    float* x = s.scores + r * kChunk;
    const int from = first / kWidth * kWidth;
    Vec largest = broadcast(-kInfinity);
    for (int key = from; key < last; key += kWidth) {
      const uint32_t bits = visible_bits(v, key);
      const Vec y = bits != 0 ? final_scores(load(x + key), factor, key, chunk * kChunk + key - position, slope, bits) : broadcast(-kInfinity);
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
      if (p.desc.kv_scale == Scales::token_head) w = w * load(s.value_scale + key);
      store_weights(x, key, w);
    }
    if constexpr (kSums == 2) sums[0] = sums[0] + sums[1];
    node.maximum()[r] = m;
    node.sum()[r] = sum(sums[0]);
  }

  void add_values(const Tile& t, int64_t chunk, const Node& node) {
    for (int tile = 0; tile < kChunk; tile += kValueTile) {
      bool any_seen = false;
      for (int key = tile; key < tile + kValueTile; key += kWidth) {
        const uint32_t seen = view.seen16(key) & ((1u << kWidth) - 1u);
        KeyRows<T> rows;
        if (seen != 0)
          find_rows(t, p.params.v, chunk * kChunk + key, seen, &rows);
        else
          for (auto& row : rows.row) row = reinterpret_cast<const T*>(s.zeros);
        any_seen |= seen != 0;
        pack_values(rows, p.desc.head_dim, p.padded, s.values + (key - tile) / kPair * p.padded);
      }
      if (!any_seen) continue;
      for (int64_t r = 0; r < t.rows; r += kRowGroup) {
        const int64_t n = smaller(kRowGroup, t.rows - r);
        int first, last;
        group_view(t, r, n, &first, &last);
        const int64_t a = larger(first, tile) / kPair, b = (smaller(last, tile + kValueTile) + kPair - 1) / kPair;
        if (b <= a) continue;
        multiply(n, s.scores + r * kChunk + a, kChunk, s.values + (a - tile / kPair) * p.padded, p.padded, b - a, node.acc + r * p.padded, p.padded,
                 p.padded / kWidth, first >= tile);
      }
    }
  }

  void run_chunk(const Tile& t, int64_t chunk, const Node& node) {
    view_chunk(p, t, chunk, &view);
    if (p.desc.kv_scale == Scales::token_head) load_token_scales(t, chunk);
    add_scores(t, chunk);
    for (int64_t r = 0; r < t.rows; r += kRowGroup) {
      const int64_t n = smaller(kRowGroup, t.rows - r);
      int first, last;
      group_view(t, r, n, &first, &last);
      for (int64_t i = r; i < r + n; ++i) {
        if (first < last) {
          weigh_row(t, chunk, i, first, last, node);
          continue;
        }
        node.maximum()[i] = -kInfinity, node.sum()[i] = 0;
        for (int64_t d = 0; d < p.padded; ++d) node.acc[i * p.padded + d] = 0;
      }
    }
    add_values(t, chunk, node);
  }

  /// Chunks [first, last) of a tile → one node of the tree, written to `slot` or, where that is null, to the output.
  void run_tile(const Tile& t, int64_t first, int64_t last, float* slot) {
    pack_query(t);
    Tree tree{p.tile_rows, p.padded, t.rows, &s};
    for (int64_t chunk = first; chunk < last; ++chunk) {
      float* node = s.spare[--s.spare_count];
      run_chunk(t, chunk, {node, p.tile_rows, p.padded});
      tree.put(node, chunk);
    }
    float* root = tree.finish();
    if (slot != nullptr)
      copy_node(p, t, root, slot);
    else
      write_tile(p, t, root);
    if (root != nullptr) s.spare[s.spare_count++] = root;
  }
};

/// Calls f(tile, first chunk, last chunk, slot) for every unit of work in a worker's share: a tile's run of chunks, in a fixed order. `slot`
/// counts the runs of tiles that have more than one; −1 for the others. A unit belongs to the share that holds its middle.
template <class F>
void for_each_unit(const Plan& p, int64_t share, const F& f) {
  const int64_t low = p.total_cost * share / p.workers * 2, high = p.total_cost * (share + 1) / p.workers * 2;  // twice the cost: middles are whole
  int64_t cost = 0, slot = 0;
  for (int64_t seq = 0; seq < p.params.num_seqs && 2 * cost < high; ++seq) {
    const HeadCost each = head_cost(p, seq);
    for (int64_t head = 0; head < p.desc.num_kv_heads; ++head) {
      if (2 * (cost + each.cost) <= low || 2 * cost >= high) {
        cost += each.cost, slot += each.slots;
        continue;
      }
      for (int64_t i = 0; i * p.tile_rows < p.rows(seq); ++i) {
        Tile t = tile_at(p, seq, i);
        t.kv_head = head;
        const int64_t runs = t.runs(p.run), first_run = t.first_chunk / p.run;
        for (int64_t run = 0; run < runs; ++run) {
          const int64_t first = larger(t.first_chunk, (first_run + run) * p.run), last = smaller(t.last_chunk, (first_run + run + 1) * p.run);
          const int64_t unit = unit_cost(t, last - first);
          if (2 * cost + unit > low && 2 * cost + unit <= high) f(t, first, last, runs > 1 ? slot + run : -1);
          cost += unit;
        }
        slot += runs > 1 ? runs : 0;
      }
    }
  }
}

template <class T>
void run_share(const Plan& p, int64_t share, float* memory) {
  Scratch scratch(p, memory);
  Worker<T> worker{p, scratch, {}};
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
  int64_t slot = 0, split = 0;
  for (int64_t seq = 0; seq < p.params.num_seqs; ++seq)
    for (int64_t head = 0; head < p.desc.num_kv_heads; ++head)
      for (int64_t i = 0; i * p.tile_rows < p.rows(seq); ++i) {
        Tile t = tile_at(p, seq, i);
        t.kv_head = head;
        const int64_t runs = t.runs(p.run);
        if (runs == 1) continue;
        if (split++ % p.workers == share) {
          Tree tree{p.tile_rows, p.padded, t.rows, nullptr};
          for (int64_t run = 0; run < runs; ++run) tree.put(p.slots + (slot + run) * size, t.first_chunk / p.run + run);
          write_tile(p, t, tree.finish());
        }
        slot += runs;
      }
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

HeadCost total_cost(const Plan& p) {
  HeadCost total;
  for (int64_t seq = 0; seq < p.params.num_seqs; ++seq) {
    const HeadCost each = head_cost(p, seq);
    total.cost += each.cost * p.desc.num_kv_heads;
    total.slots += each.slots * p.desc.num_kv_heads;
    total.largest = larger(total.largest, each.largest);
  }
  return total;
}

/// Chooses rows of a tile and chunks of a run so that the work spreads over the workers and fits the workspace. Neither changes a bit of the result.
void make_plan(const ExecContext& ctx, Plan* p) {
  int64_t most_rows = 1, longest_kv = 1;
  for (int64_t seq = 0; seq < p->params.num_seqs; ++seq) {
    most_rows = larger(most_rows, p->rows(seq));
    longest_kv = larger(longest_kv, p->params.kv_lens[seq]);
  }
  const int64_t chunks = (longest_kv + kChunk - 1) / kChunk;
  p->workers = ctx.pool->size();
  p->padded = padded_dim(p->desc.head_dim);
  p->nodes = node_count(chunks);
  p->tile_rows = smaller(preferred_rows(p->desc.head_dim), round_up(most_rows, 16));
  p->scratch_size = round_up(scratch_floats(p->tile_rows, p->padded, p->nodes), 16);
  const uintptr_t address = reinterpret_cast<uintptr_t>(ctx.workspace.data), aligned = (address + 63) / 64 * 64;
  int64_t room = static_cast<int64_t>(ctx.workspace.bytes) - static_cast<int64_t>(aligned - address);
  room = ctx.workspace.data == nullptr || room < 0 ? 0 : room / static_cast<int64_t>(sizeof(float));
  float* memory = reinterpret_cast<float*>(aligned);
  if (p->scratch_size * p->workers <= room) {
    p->scratch = memory;
    p->slots = memory + p->scratch_size * p->workers;
    room -= p->scratch_size * p->workers;
  } else {
    while (p->tile_rows > 4 && scratch_floats(p->tile_rows, p->padded, p->nodes) > kStackFloats) p->tile_rows /= 2;
    p->slots = memory;
  }
  p->run = int64_t{1} << 40;
  HeadCost total = total_cost(*p);
  p->total_cost = total.cost;
  if (p->workers > 1 && total.largest * p->workers * 8 > total.cost) {
    const int64_t wanted = total.cost / (p->workers * 8 * (smaller(most_rows, p->tile_rows) + 16));  // chunks a unit
    for (p->run = 1; p->run * 2 <= wanted;) p->run *= 2;
    total = total_cost(*p);
    while (total.slots * node_floats(p->tile_rows, p->padded) > room) {
      p->run *= 2;
      total = total_cost(*p);
    }
    p->total_cost = total.cost;
    p->total_slots = total.slots;
  }
}

}  // namespace

int64_t attention_workspace(const AttentionDesc& desc, const Limits& limits) {
  const int64_t padded = padded_dim(desc.head_dim), chunks = (larger(1, limits.longest_kv) + kChunk - 1) / kChunk;
  const int64_t most_rows = desc.gqa_group * (desc.phase == Phase::decode ? 1 : desc.phase == Phase::verify ? 32 : larger(1, limits.tokens));
  const int64_t rows = smaller(preferred_rows(desc.head_dim), round_up(most_rows, 16));
  const int64_t scratch = round_up(scratch_floats(rows, padded, node_count(chunks)), 16) * larger(1, limits.threads);
  const int64_t slots = larger(1, limits.threads) * 48 * node_floats(rows, padded);
  return smaller(slots * int64_t{sizeof(float)}, kMaxSlotBytes) + scratch * int64_t{sizeof(float)} + 64;
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
