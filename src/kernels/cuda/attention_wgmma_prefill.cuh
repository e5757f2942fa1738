#pragma once

// cuda.attention.wgmma_prefill: paged attention for many query tokens. S = Q·Kᵀ and O += P·V by wgmma, 64 rows a warpgroup; rows are query tokens ×
// the query heads of one KV head, P stays in registers.
//
// A block is two warps that copy through maps of the page pool, (block, head, slot) × head_dim, one queries and keys, one values, and two warpgroups
// that each own 64 of a unit's 128 rows. A warpgroup starts a tile's scores, then the products of the tile before; meanwhile the other computes
// weights. Units are handed out by a ticket, longest first in each sequence. Tiles are absolute multiples of kTile keys, from the row's last one down
// to its first; for a row that sees nothing of a tile it is the identity. So a row's bits depend neither on the batch nor on how a prompt is cut.
//
// What each version reached on one H200 (TFLOP/s; 32:8 heads of 128, bf16, causal, graph replay, cold L2; block 16 | 64):
//                                                                                              1×4k         1×16k
//   1  one copying warp, two tiles in flight, turns by barriers                                459 | 529    491 | 585
//   2  queries of the next unit copied ahead: units are drawn too early, the end is uneven     415 | 474    476 | 568   taken back
//   3  three tiles in flight instead of two                                                    456 | 535    489 | 588
//   4  values copied by a warp of their own: small boxes are bound by who issues them          500 | 536    551 | 580
//   5  accumulators rescaled only where a maximum changed                                      513 | 533    559 | 584
//   6  4 without turns                                                                         509 | 542    559 | 596
//   7  5 and 6                                                                                 523 | 548    580 | 609
// What bounds it: power. The chip draws 690 of its 700 W and lowers its clock from 1980 to 1635 MHz, where the tensor cores could do 884. A wait for
// P·V after the weights instead of before them changed nothing, nor did 256 bytes of L2 promotion. Few rows leave most blocks idle.
#include "kernels/cuda/attention_prefill.h"
#include "kernels/cuda/attention_products.h"

namespace attune::cuda::prefill {

inline constexpr float kNothing = -__builtin_inff();
inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;
inline constexpr int kWarps = kPrefillConsumers / 32;  // that consume

/// Everything of a kernel that is known when it is compiled. T: element of q, keys, values and weights.
template <class T_, int Dim_, bool Extras_>
struct Form {
  using T = T_;
  static constexpr bool kExtras = Extras_;
  static constexpr int kDim = Dim_, kTile = prefill_tile(Dim_), kStages = prefill_stages(Dim_);
  static constexpr int kPanels = kDim / 64;  // of 128 bytes a row
  static constexpr int kPanelBytes = kTile * 128, kTileBytes = kPanels * kPanelBytes;
  static constexpr int kQueryPanelBytes = kPrefillRows * 128;
  static constexpr int kPart = kDim % 128 == 0 ? 128 : 64, kParts = kDim / kPart;  // columns of one product P·V
  static constexpr int kScores = kTile / 2;                                        // registers of S
  static constexpr float kBias = std::is_same_v<T, __half> ? 14.0f : 0.0f;         // weights are 2^bias·p, to stay clear of f16's subnormals
};

/// One unit: some tokens of a sequence × the query heads of one KV head.
struct Unit {
  int token, rows;  // the first's index among all, and rows in use
  int position;     // of the first token
  int kv_len, causal, head, seq;
  int first_tile, last_tile;  // half-open; last_tile −1: there are no more units
  int all_low, all_high;      // keys that every row sees
  int low, high;              // keys that some row of the sequence sees: others may be anything
};

__device__ __forceinline__ int low_of(const PrefillCall& c, int position) { return c.window > 0 ? max(0, position - c.window + 1) : 0; }
__device__ __forceinline__ int high_of(const PrefillCall& c, int kv_len, bool causal, int position) {
  int high = kv_len;
  if (causal) high = min(high, position + 1);
  if (c.window_right >= 0) high = min(high, position + c.window_right + 1);
  return max(high, 0);
}

template <int kPlaces>
struct Ring {
  int place = 0;
  uint32_t phase = 0;
  __device__ __forceinline__ void next() {
    if (++place == kPlaces) place = 0, phase ^= 1;
  }
};

/// Addresses of the barriers.
template <class F>
struct Barriers {
  uint32_t base;
  __device__ __forceinline__ uint32_t landed() const { return base; }  // values that are not ready for products yet
  __device__ __forceinline__ uint32_t query_full() const { return base + 8; }
  __device__ __forceinline__ uint32_t query_empty() const { return base + 16; }
  __device__ __forceinline__ uint32_t keys_full(int place) const { return base + 24 + place * 8; }
  __device__ __forceinline__ uint32_t keys_empty(int place) const { return keys_full(F::kStages + place); }
  __device__ __forceinline__ uint32_t values_full(int place) const { return keys_full(2 * F::kStages + place); }
  __device__ __forceinline__ uint32_t values_empty(int place) const { return keys_full(3 * F::kStages + place); }

  __device__ __forceinline__ void make() const {  // one thread
    barrier_init(landed(), 1), barrier_init(query_full(), 1), barrier_init(query_empty(), kPrefillConsumers + 32);
    for (int i = 0; i < F::kStages; ++i) {
      barrier_init(keys_full(i), 1), barrier_init(values_full(i), 1);
      barrier_init(keys_empty(i), kWarps), barrier_init(values_empty(i), kWarps);
    }
    fence_barrier_init();
  }
};

// ---- the copying warps ----------------------------------------------------------------------------------------------------------------------------

/// Hands out units, and finds where they are. Indices grow from call to call. All lanes of a warp.
template <class F>
struct Finder {
  const PrefillCall& c;
  int lane;
  int stretch = 0, before = 0;  // 32 sequences from `stretch` on, and units before them

  __device__ Unit find(int index) {
    Unit u = {};
    u.last_tile = -1;
    for (; stretch < c.num_seqs; stretch += 32) {
      const int seq = stretch + lane;
      int q_first = 0, q_len = 0;
      if (seq < c.num_seqs) q_first = c.q_start[seq], q_len = c.q_start[seq + 1] - q_first;
      const int items = (q_len + c.tokens - 1) / c.tokens * c.kv_heads;
      int end = items;
#pragma unroll
      for (int step = 1; step < 32; step *= 2) {
        const int other = __shfl_up_sync(~0u, end, step);
        if (lane >= step) end += other;
      }
      const int total = __shfl_sync(~0u, end, 31);
      if (index - before >= total) {
        before += total;
        continue;
      }
      const int owner = __ffs(static_cast<int>(__ballot_sync(~0u, end > index - before))) - 1;
      const int item = index - before - __shfl_sync(~0u, end - items, owner);
      describe(u, stretch + owner, __shfl_sync(~0u, q_first, owner), __shfl_sync(~0u, q_len, owner), item);
      break;
    }
    return u;
  }

  /// Item 0 holds the last tokens, which see the most keys.
  __device__ void describe(Unit& u, int seq, int q_first, int q_len, int item) const {
    const int first = ((q_len + c.tokens - 1) / c.tokens - 1 - item / c.kv_heads) * c.tokens, count = min(c.tokens, q_len - first);
    u.seq = seq, u.kv_len = c.kv_lens[seq];
    u.causal = c.mask == Mask::causal || (c.mask == Mask::per_request && c.causal[seq] != 0);
    u.token = q_first + first, u.rows = count * c.group, u.head = item % c.kv_heads;
    const int start = u.kv_len - q_len, last = start + first + count - 1;
    u.position = start + first;
    u.low = low_of(c, start), u.high = high_of(c, u.kv_len, u.causal, u.kv_len - 1);
    u.all_low = low_of(c, last), u.all_high = high_of(c, u.kv_len, u.causal, u.position);
    const int from = low_of(c, u.position), to = high_of(c, u.kv_len, u.causal, last);
    u.first_tile = from / F::kTile;
    u.last_tile = from < to ? (to + F::kTile - 1) / F::kTile : u.first_tile;
  }
};

/// One of two warps: one copies queries and keys, the other values.
template <class F>
struct Copier {
  static constexpr PrefillLayout kAt{F::kDim};
  const PrefillCall& c;
  const CUtensorMap *q_map, *map;
  unsigned char* memory;
  uint32_t base;
  Barriers<F> barriers;
  int lane;
  Ring<F::kStages> ring;
  uint32_t query_phase = 0, landed_phase = 0;

  __device__ __forceinline__ int piece() const { return lane / F::kPanels; }
  /// The row of the pool's map where this lane's piece of a tile starts.
  __device__ __forceinline__ int row_of(const Unit& u, int tile) const {
    const int key = tile * F::kTile + piece() * c.box;
    if (piece() * c.box >= F::kTile || key >= u.high || key + c.box <= u.low) return c.nowhere;
    const int page = key / c.block_size;
    return (c.block_table[u.seq * c.max_blocks + page] * c.kv_heads + u.head) * c.block_size + key - page * c.block_size;
  }

  __device__ __forceinline__ void copy(uint32_t to, int row, uint32_t empty, uint32_t full) {
    if (lane == 0) {
      barrier_wait(empty, ring.phase ^ 1);
      barrier_arrive_expect(full, F::kTileBytes);
    }
    __syncwarp();
    const int panel = lane % F::kPanels;
    if (piece() * c.box < F::kTile) copy_box(to + panel * F::kPanelBytes + piece() * c.box * 128, map, panel * 64, row, full);
  }

  /// Values that no row of the sequence sees must not reach a product, whatever they are.
  __device__ __forceinline__ void copy_values(const Unit& u, int tile, int row) {
    const int at = kAt.values + ring.place * F::kTileBytes, first = tile * F::kTile;
    const uint32_t full = barriers.values_full(ring.place), empty = barriers.values_empty(ring.place);
    if (first >= u.low && first + F::kTile <= u.high) {
      copy(base + at, row, empty, full);
    } else {
      copy(base + at, row, empty, barriers.landed());
      barrier_wait(barriers.landed(), landed_phase);
      landed_phase ^= 1;
      for (int key = lane / 8; key < F::kTile; key += 4)
        if (first + key < u.low || first + key >= u.high)
          for (int panel = 0; panel < F::kPanels; ++panel)
            *reinterpret_cast<uint4*>(memory + at + panel * F::kPanelBytes + key * 128 + lane % 8 * 16) = uint4{};
      fence_async();
      __syncwarp();
      if (lane == 0) barrier_arrive(full);
    }
    ring.next();
  }

  /// Rows of q by ordinary loads, where the copy engine cannot read them.
  __device__ void load_query(const Unit& u) {
    unsigned char* to = memory + kAt.query;
    for (int i = lane; i < u.rows * F::kDim; i += 32) {
      const int row = i / F::kDim, d = i % F::kDim, token = row / c.group;
      const int64_t from =
          (u.token + static_cast<int64_t>(token)) * c.q_stride + (static_cast<int64_t>(u.head) * c.group + row % c.group) * c.head_dim + d;
      const uint16_t x = d < c.head_dim ? static_cast<const uint16_t*>(c.q)[from] : uint16_t{0};
      *reinterpret_cast<uint16_t*>(to + d / 64 * F::kQueryPanelBytes + row * 128 + ((d % 64 / 8) ^ (row % 8)) * 16 + d % 8 * 2) = x;
    }
    fence_async();
  }

  /// The unit's description and its rows of q.
  __device__ __forceinline__ void copy_query(const Unit& u) {
    const uint32_t full = barriers.query_full(), to = base + kAt.query;
    const bool some = u.last_tile > u.first_tile;
    if (lane == 0) barrier_wait(barriers.query_empty(), query_phase ^ 1);
    __syncwarp();
    if (some && !c.q_mapped) load_query(u);
    __syncwarp();
    if (lane == 0) {
      *reinterpret_cast<Unit*>(memory + kAt.unit) = u;
      barrier_arrive_expect(full, some && c.q_mapped ? c.tokens * c.group * 128 * F::kPanels : 0);
      if (some && c.q_mapped)
#pragma unroll
        for (int panel = 0; panel < F::kPanels; ++panel)
          copy_heads(to + panel * F::kQueryPanelBytes, q_map, panel * 64, u.head * c.group, u.token, full);
    }
    query_phase ^= 1;
  }

  __device__ void run_keys() {
    wait_for_predecessor();
    Finder<F> finder{c, lane};
    for (int index = static_cast<int>(blockIdx.x);;) {
      const Unit u = finder.find(index);
      for (int tile = u.last_tile - 1; tile >= u.first_tile; --tile) {
        const int row = row_of(u, tile);
        copy(base + kAt.keys + ring.place * F::kTileBytes, row, barriers.keys_empty(ring.place), barriers.keys_full(ring.place));
        ring.next();
        if (tile == u.last_tile - 1) copy_query(u);
      }
      if (u.last_tile <= u.first_tile) copy_query(u);
      if (u.last_tile < 0) break;
      int taken = 0;
      if (lane == 0) taken = atomicAdd(c.ticket, 1);
      index = static_cast<int>(gridDim.x) + __shfl_sync(~0u, taken, 0);
    }
  }

  __device__ void run_values() {
    for (;;) {
      barrier_wait(barriers.query_full(), query_phase);
      const Unit u = *reinterpret_cast<const Unit*>(memory + kAt.unit);
      barrier_arrive(barriers.query_empty());
      query_phase ^= 1;
      if (u.last_tile < 0) break;
      for (int tile = u.last_tile - 1; tile >= u.first_tile; --tile) copy_values(u, tile, row_of(u, tile));
    }
  }
};

// ---- a warpgroup's rows ---------------------------------------------------------------------------------------------------------------------------

/// Starts S = Q·Kᵀ.
template <class F>
__device__ __forceinline__ void start_scores(float (&s)[F::kScores], uint32_t query, uint32_t keys) {
  const uint64_t q = swizzled_matrix(query), k = swizzled_matrix(keys);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < F::kDim / 16; ++step) {
    const uint64_t a = q + (step / 4 * F::kQueryPanelBytes + step % 4 * 32) / 16, b = k + (step / 4 * F::kPanelBytes + step % 4 * 32) / 16;
    wgmma_step<typename F::T>(step == 0, s, a, b);
  }
  wgmma_commit();
}

/// Starts O += P·V.
template <class F>
__device__ __forceinline__ void start_values(float (&o)[F::kParts][F::kPart / 2], const uint32_t (&p)[F::kTile / 16][4], uint32_t values) {
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < F::kTile / 16; ++step)
#pragma unroll
    for (int part = 0; part < F::kParts; ++part)
      wgmma_registers<typename F::T, true, true>(
          o[part], p[step], swizzled_matrix(values, F::kPanelBytes) + (part * (F::kPart / 64) * F::kPanelBytes + step * 2048) / 16);
  wgmma_commit();
}

/// What a thread knows of its two rows, `row` and row + 8 of its warp's 16.
struct Rows {
  int low[2], high[2];  // keys they see
  float maximum[2], sum[2];
  float factor[2];  // of what was summed before the last tile
  float slope[2];
  int position[2];
};

/// A score with what the extras ask for. tanh x = 1 − 2 / (e²ˣ + 1) is off by a few roundings of 1, as the bound of a softcap allows.
__device__ __forceinline__ float with_extras(const PrefillCall& c, float score, float slope, int position, int key) {
  score *= c.scale;
  if (c.softcap > 0) score = c.softcap * (1.0f - __fdividef(2.0f, exp2_fast(score * (2 * kLog2E / c.softcap)) + 1.0f));
  if (c.alibi == Alibi::plain) score = fmaf(slope, static_cast<float>(key - position), score);
  if (c.alibi == Alibi::sqrt && key < position) score -= slope * sqrtf(static_cast<float>(position - key));
  return score;
}

/// Scores of keys that a row does not see become −∞.
template <class F>
__device__ __forceinline__ void hide(float (&s)[F::kScores], const Rows& r, int first_key) {
  first_key += static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
  for (int i = 0; i < F::kScores; ++i) {
    const int key = first_key + i / 4 * 8 + i % 2, h = i / 2 % 2;
    s[i] = key >= r.low[h] && key < r.high[h] ? s[i] : kNothing;
  }
}

/// Scores become weights 2^bias·p; maxima and sums follow, and r.factor is what earlier values are to be multiplied with.
template <class F>
__device__ __forceinline__ void weigh(const PrefillCall& c, float (&s)[F::kScores], Rows& r, int first_key) {
  if constexpr (F::kExtras) {
    first_key += static_cast<int>(threadIdx.x % 4) * 2;
#pragma unroll
    for (int i = 0; i < F::kScores; ++i)
      s[i] = s[i] == kNothing ? kNothing : with_extras(c, s[i], r.slope[i / 2 % 2], r.position[i / 2 % 2], first_key + i / 4 * 8 + i % 2);
  }
  const float scale = F::kExtras ? kLog2E : c.scale * kLog2E;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float even = fmaxf(s[2 * h], s[2 * h + 4]), odd = fmaxf(s[2 * h + 1], s[2 * h + 5]);
#pragma unroll
    for (int i = 8 + 2 * h; i < F::kScores; i += 4) even = fmaxf(even, s[i]), odd = fmaxf(odd, s[i + 1]);
    float most = fmaxf(even, odd);
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
    most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
    most = fmaxf(r.maximum[h], __fmul_rn(most, scale));  // rounded before it is compared, so that an equal maximum makes a factor of exactly 1
    const float safe = most == kNothing ? 0.0f : most, shift = F::kBias - safe;
    r.factor[h] = exp2_fast(r.maximum[h] - safe);
    r.maximum[h] = most;
    float sum[2] = {0, 0};
#pragma unroll
    for (int i = 2 * h; i < F::kScores; i += 4)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        s[i + e] = exp2_fast(fmaf(s[i + e], scale, shift));
        sum[e] += s[i + e];
      }
    r.sum[h] = fmaf(r.sum[h], r.factor[h], sum[0] + sum[1]);
  }
}

/// Weights as operands of products.
template <class F>
__device__ __forceinline__ void pack_weights(uint32_t (&p)[F::kTile / 16][4], const float (&s)[F::kScores]) {
#pragma unroll
  for (int i = 0; i < F::kTile / 4; ++i) p[i / 4][i % 4] = pack(s[2 * i], s[2 * i + 1], typename F::T{});
}

template <class F>
__device__ __forceinline__ void rescale(float (&o)[F::kParts][F::kPart / 2], const Rows& r) {
#pragma unroll
  for (int part = 0; part < F::kParts; ++part)
#pragma unroll
    for (int i = 0; i < F::kPart / 2; ++i) o[part][i] *= r.factor[i / 2 % 2];
}

/// Four neighbouring lanes hold words 0..3 of four 16-byte pieces; afterwards lane i holds piece i whole.
__device__ __forceinline__ void exchange(uint32_t (&w)[4]) {
  const bool odd = threadIdx.x % 2 != 0, upper = threadIdx.x % 4 >= 2;
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    const uint32_t got = __shfl_xor_sync(~0u, odd ? w[i] : w[i + 1], 1);
    (odd ? w[i] : w[i + 1]) = got;
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const uint32_t got = __shfl_xor_sync(~0u, upper ? w[i] : w[i + 2], 2);
    (upper ? w[i] : w[i + 2]) = got;
  }
}

__device__ __forceinline__ uint32_t pack_out(DType t, float x, float y) {
  return t == DType::bf16 ? pack(x, y, __nv_bfloat16{}) : pack(x, y, __half{});
}

/// Stores a row's part of O, multiplied with `factor`, from element `at` on. All lanes; those of rows not in use store nothing.
template <class F>
__device__ __forceinline__ void store_row(const PrefillCall& c, const float (&o)[F::kParts][F::kPart / 2], int h, float factor, int64_t at,
                                          bool used) {
  const int lane = static_cast<int>(threadIdx.x % 4);
#pragma unroll
  for (int g = 0; g < F::kDim / 32; ++g) {
    const float* from = &o[g * 32 / F::kPart][g * 32 % F::kPart / 2 + 2 * h];
    if (c.out_dtype != DType::f32 && c.out_aligned) {
      uint32_t w[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) w[i] = pack_out(c.out_dtype, from[4 * i] * factor, from[4 * i + 1] * factor);
      exchange(w);
      const int d = g * 32 + lane * 8;
      if (used && d < c.head_dim) *reinterpret_cast<uint4*>(static_cast<uint16_t*>(c.out) + at + d) = {w[0], w[1], w[2], w[3]};
      continue;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int d = g * 32 + i * 8 + lane * 2;
      const float x = from[4 * i] * factor, y = from[4 * i + 1] * factor;
      if (!used || d >= c.head_dim) continue;
      if (c.out_dtype == DType::f32) {
        float* to = static_cast<float*>(c.out) + at + d;
        if (c.out_aligned)
          *reinterpret_cast<float2*>(to) = {x, y};
        else
          to[0] = x, to[1] = y;
      } else {
        const uint32_t bits = pack_out(c.out_dtype, x, y);
        uint16_t* to = static_cast<uint16_t*>(c.out) + at + d;
        to[0] = static_cast<uint16_t>(bits), to[1] = static_cast<uint16_t>(bits >> 16);
      }
    }
  }
}

/// Outputs and LSE of the thread's two rows.
template <class F>
__device__ void finish(const PrefillCall& c, const Unit& u, int row, Rows& r, const float (&o)[F::kParts][F::kPart / 2]) {
#pragma unroll
  for (int h = 0; h < 2; ++h, row += 8) {
    float sum = r.sum[h], maximum = r.maximum[h] - F::kBias, factor = 1;
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    const bool used = row < u.rows;
    const int64_t token = u.token + row / c.group;
    const int head = u.head * c.group + row % c.group;
    if (c.sinks != nullptr && used) {
      const float sink = c.sinks[head] * kLog2E, most = fmaxf(maximum, sink), safe = most == kNothing ? 0.0f : most;
      factor = exp2_fast(maximum - safe);
      sum = fmaf(sum, factor, exp2_fast(sink - safe));
      maximum = most;
    }
    if (c.lse != nullptr && used && threadIdx.x % 4 == 0)
      c.lse[token * (c.kv_heads * c.group) + head] = sum > 0 ? (maximum + log2f(sum)) * kLn2 : kNothing;
    store_row<F>(c, o, h, sum > 0 ? factor / sum : 0.0f, token * c.out_stride + static_cast<int64_t>(head) * c.head_dim, used);
  }
}

template <class F>
__device__ void attend_rows(const PrefillCall& c, const unsigned char* memory, uint32_t base, Barriers<F> barriers) {
  constexpr PrefillLayout at(F::kDim);
  const int group = static_cast<int>(threadIdx.x) / 128, lane = static_cast<int>(threadIdx.x % 32);
  const int own = static_cast<int>(threadIdx.x) / 32 * 16 + lane / 4;
  Ring<F::kStages> keys, values;
  const uint32_t query = base + at.query + group * 64 * 128;
  uint32_t query_phase = 0;
  const auto release = [&](uint32_t barrier) {
    __syncwarp();
    if (lane == 0) barrier_arrive(barrier);
  };
  for (;;) {
    barrier_wait(barriers.query_full(), query_phase);
    const Unit u = *reinterpret_cast<const Unit*>(memory + at.unit);
    if (u.last_tile < 0) break;
    query_phase ^= 1;
    Rows r;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int row = own + h * 8;
      r.position[h] = u.position + row / c.group;
      r.low[h] = low_of(c, r.position[h]), r.high[h] = high_of(c, u.kv_len, u.causal != 0, r.position[h]);
      r.maximum[h] = kNothing, r.sum[h] = 0;
      r.slope[h] = F::kExtras && c.alibi != Alibi::none && row < u.rows ? c.alibi_slopes[u.head * c.group + row % c.group] : 0.0f;
    }
    float o[F::kParts][F::kPart / 2];
#pragma unroll
    for (int part = 0; part < F::kParts; ++part)
#pragma unroll
      for (int i = 0; i < F::kPart / 2; ++i) o[part][i] = 0;
    if (u.last_tile == u.first_tile) {
      barrier_arrive(barriers.query_empty());
    } else {
      float s[F::kScores];
      uint32_t p[F::kTile / 16][4];
      const auto weigh_tile = [&](int tile) {
        const int first = tile * F::kTile;
        if (first < u.all_low || first + F::kTile > u.all_high) hide<F>(s, r, first);
        weigh<F>(c, s, r, first);
      };
      int tile = u.last_tile - 1;
      barrier_wait(barriers.keys_full(keys.place), keys.phase);
      start_scores<F>(s, query, base + at.keys + keys.place * F::kTileBytes);
      wgmma_wait<0>();
      pin(s);
      release(barriers.keys_empty(keys.place));
      keys.next();
      weigh_tile(tile);
      pack_weights<F>(p, s);
      for (--tile; tile >= u.first_tile; --tile) {
        barrier_wait(barriers.keys_full(keys.place), keys.phase);
        start_scores<F>(s, query, base + at.keys + keys.place * F::kTileBytes);
        barrier_wait(barriers.values_full(values.place), values.phase);
        start_values<F>(o, p, base + at.values + values.place * F::kTileBytes);
        wgmma_wait<1>();
        pin(s);
        release(barriers.keys_empty(keys.place));
        keys.next();
        weigh_tile(tile);
        wgmma_wait<0>();
#pragma unroll
        for (int part = 0; part < F::kParts; ++part) pin(o[part]);
        release(barriers.values_empty(values.place));
        values.next();
        pack_weights<F>(p, s);
        if (__any_sync(~0u, r.factor[0] != 1.0f || r.factor[1] != 1.0f)) rescale<F>(o, r);
      }
      barrier_arrive(barriers.query_empty());
      barrier_wait(barriers.values_full(values.place), values.phase);
      start_values<F>(o, p, base + at.values + values.place * F::kTileBytes);
      wgmma_wait<0>();
#pragma unroll
      for (int part = 0; part < F::kParts; ++part) pin(o[part]);
      release(barriers.values_empty(values.place));
      values.next();
    }
    finish<F>(c, u, own, r, o);
  }
}

template <class F>
__global__ void __launch_bounds__(kPrefillThreads, 1) attend(const __grid_constant__ PrefillCall c, const __grid_constant__ CUtensorMap q_map,
                                                             const __grid_constant__ CUtensorMap k_map, const __grid_constant__ CUtensorMap v_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const uint32_t base = shared_address(shared);
  const Barriers<F> barriers{base + PrefillLayout(F::kDim).barriers};
  if (threadIdx.x == 0) barriers.make();
  __syncthreads();
  if (threadIdx.x >= kPrefillConsumers) {
    give_registers<40>();
    const int warp = static_cast<int>(threadIdx.x - kPrefillConsumers) / 32, lane = static_cast<int>(threadIdx.x % 32);
    if (warp == 0) Copier<F>{c, &q_map, &k_map, shared, base, barriers, lane}.run_keys();
    if (warp == 1) Copier<F>{c, nullptr, &v_map, shared, base, barriers, lane}.run_values();
  } else {
    take_registers<232>();
    attend_rows<F>(c, shared, base, barriers);
  }
}

template <class T>
const void* form_of(int dim, bool extras) {
  const auto pick = [extras]<int Dim>() {
    return extras ? reinterpret_cast<const void*>(&attend<Form<T, Dim, true>>) : reinterpret_cast<const void*>(&attend<Form<T, Dim, false>>);
  };
  switch (dim) {
    case 64: return pick.template operator()<64>();
    case 128: return pick.template operator()<128>();
    case 192: return pick.template operator()<192>();
    case 256: return pick.template operator()<256>();
    default: return nullptr;
  }
}

}  // namespace attune::cuda::prefill
