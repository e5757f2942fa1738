#pragma once

// cuda.attention.wgmma_split_kv: paged attention for few query tokens (decode, verify). S = K·Qᵀ and Oᵀ = Vᵀ·Pᵀ: keys and head_dim lie along the 64
// rows of wgmma, the rows of a KV head (query tokens × its query heads) along its columns, so that 4 rows cost little and 64 rows nothing more.
//
// A block is a warp that copies pages into a ring of tiles of 64 keys, and one or two groups of 4 warps that consume them, each for kColumns rows.
// Keys are cut at absolute multiples of kChunk; a chunk starts fresh accumulators, in it the maximum is carried from tile to tile. Chunks are joined
// by the binary tree over their absolute index: a block joins an aligned run of 2ⁿ chunks; if a row has several runs, the block that finishes last
// joins them. So a row's bits depend neither on the batch nor on how keys are split. Hidden keys: scores are selected to −∞, rows of V zeroed.
//
// What each version took on one H200 (µs; block 16, graph replay, cold L2; 32×4k decode bf16 | f8_e4m3 | verify of 16 tokens, 32×4k bf16, 1×4k):
//   1  two blocks a multiprocessor, units in turn                                          144 |  87 | 233 | 38
//   2  next scores start with this tile's values; a ticket hands out units;
//      64 rows in one warpgroup; outputs by rows through memory                            140 | 109 | 198 | 51
//   3  rows of q are loaded at once; joins of runs overlap their loads                     140 |  98 | 190 | 42
//   4  three tiles of 16-bit keys in flight instead of six                                 136
// What bounds it: bf16 decode the memory system at 4.1 TB/s of 4.35; one short batch 3.5 µs of planning and 3 µs to the first tile in every block;
// e4m3 and 64 rows the consumers, a barrier and a fence twice a tile; the join of many rows by one block (20 µs of verify 1×4k).
#include "kernels/cuda/attention_nodes.cuh"

namespace attune::cuda {

// ---- the copying warp ---------------------------------------------------------------------------------------------------------------------------

/// The row of the tensor map (key of the cache) where this lane's piece of a chunk starts; −1: no row of the unit sees it, or there is none.
__device__ __forceinline__ int piece_of(const AttentionCall& c, const Unit& u, int chunk) {
  const int key = chunk * kChunk + static_cast<int>(threadIdx.x % 32) * c.box;
  if (key >= u.high || key + c.box <= u.low || static_cast<int>(threadIdx.x % 32) * c.box >= kChunk) return -1;
  const int page = key / c.block_size;
  return (c.block_table[u.seq * c.max_blocks + page] * c.kv_heads + u.head) * c.block_size + key - page * c.block_size;
}

struct Ring {
  int stage = 0;
  uint32_t phase = 0;
  __device__ __forceinline__ void next(int stages) {
    if (++stage == stages) stage = 0, phase ^= 1;
  }
};

/// Units on their way from the copying warp to the consumers.
struct Queue {
  int* units;
  uint32_t barriers;  // full and empty of each place
  int place = 0;
  uint32_t phase = 0;

  __device__ __forceinline__ void put(int unit) {  // one thread
    barrier_wait(barriers + place * 16 + 8, phase ^ 1);
    units[place] = unit;
    barrier_arrive(barriers + place * 16);
    next();
  }
  __device__ __forceinline__ int take() {  // all consumers
    barrier_wait(barriers + place * 16, phase);
    const int unit = units[place];
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barriers + place * 16 + 8);
    next();
    return unit;
  }
  __device__ __forceinline__ void next() {
    if (++place == kQueue) place = 0, phase ^= 1;
  }
};
template <class F>
__device__ __forceinline__ Queue queue_of(unsigned char* base, const Layout& at) {
  return {reinterpret_cast<int*>(base + at.barriers) - kQueue, shared_address(base) + at.units};
}

template <class F>
__device__ __forceinline__ void copy_tile(const AttentionCall& c, const CUtensorMap* map, const float* scales, int row, bool copies, uint32_t base,
                                          const Layout& at, const Ring& ring, int piece, int panel) {
  const uint32_t full = base + at.barriers + ring.stage * 16, empty = full + 8;
  const int count = __popc(__ballot_sync(~0u, copies));
  const int scaled = __popc(__ballot_sync(~0u, copies && panel == 0));
  const bool with_scales = F::kF8 && c.kv_scale == Scales::token_head;
  if (threadIdx.x % 32 == 0) {
    barrier_wait(empty, ring.phase ^ 1);
    barrier_arrive_expect(full, count * c.box * 128 + (with_scales ? scaled * c.box * 4 : 0));
  }
  __syncwarp();
  if (!copies) return;
  const uint32_t to = base + ring.stage * F::kTileBytes + panel * F::kPanelBytes + piece * c.box * 128;
  if (c.read_once)
    copy_box(to, map, panel * 64, row, full, policy_evict_first());
  else
    copy_box(to, map, panel * 64, row, full);
  if (with_scales && panel == 0) copy_bytes(base + at.scales + ring.stage * F::kScaleBytes + piece * c.box * 4, scales + row, c.box * 4, full);
}

template <class F>
__device__ void produce(const AttentionCall& c, const CUtensorMap* k_map, const CUtensorMap* v_map, const Plan& plan, const int* firsts,
                        unsigned char* memory, const Layout& at) {
  const int lane = static_cast<int>(threadIdx.x % 32), pieces = kTile / c.box;
  const int piece = lane / F::kPanels, panel = lane % F::kPanels;
  const uint32_t base = shared_address(memory);
  Queue queue = queue_of<F>(memory, at);
  Ring ring;
  for (int index = static_cast<int>(blockIdx.x);;) {
    if (lane == 0) queue.put(index);
    if (index >= plan.units) break;
    const Unit u = unit_at<F>(c, plan, firsts, index);
    int rows = u.first_tile < u.last_tile ? piece_of(c, u, u.first_tile / kTilesPerChunk) : -1, next = -1;
    for (int tile = u.first_tile; tile < u.last_tile; ++tile) {
      if (tile % kTilesPerChunk == 0 && tile != u.first_tile) rows = next;
      if (tile % kTilesPerChunk == 0 || tile == u.first_tile) next = piece_of(c, u, tile / kTilesPerChunk + 1);
      const int row = __shfl_sync(~0u, rows, tile % kTilesPerChunk * pieces + min(piece, pieces - 1));
      const bool copies = piece < pieces && row >= 0;
      copy_tile<F>(c, k_map, c.k_scale, row, copies, base, at, ring, piece, panel);
      ring.next(c.stages);
      copy_tile<F>(c, v_map, c.v_scale, row, copies, base, at, ring, piece, panel);
      ring.next(c.stages);
    }
    int taken = 0;
    if (lane == 0) {
      wait_for_predecessor();  // it cleared the ticket
      taken = atomicAdd(c.ticket, 1);
    }
    index = static_cast<int>(gridDim.x) + __shfl_sync(~0u, taken, 0);
  }
}
// ---- the consumers: one unit's rows
// -----------------------------------------------------------------------------------------------------------------

/// Where element d of a row stands in the query's panels: e4m3 keys are read in an order of their own.
template <class F>
__device__ __forceinline__ uint32_t query_at(int row, int d) {
  int k = d;
  if (F::kF8) {
    const int in = d % 128, step = in % 32 / 4, rest = in % 4;
    k = d / 128 * 128 + step * 16 + in / 32 * 2 + rest % 2 + rest / 2 * 8;
  }
  const int in = k % 64;
  return static_cast<uint32_t>((k / 64 * F::kRows + row) * 128 + ((in / 8) ^ (row % 8)) * 16 + in % 8 * 2);
}

/// Eight elements of a row of q from `d` on; zeros beyond head_dim.
__device__ __forceinline__ uint4 load_query(const AttentionCall& c, int64_t row, int d) {
  uint4 eight = {};
  const uint16_t* from = static_cast<const uint16_t*>(c.q) + row + d;
  if (d >= c.head_dim) return eight;
  if (c.q_aligned) return *reinterpret_cast<const uint4*>(from);
  eight.x = from[0] | static_cast<uint32_t>(from[1]) << 16, eight.y = from[2] | static_cast<uint32_t>(from[3]) << 16;
  eight.z = from[4] | static_cast<uint32_t>(from[5]) << 16, eight.w = from[6] | static_cast<uint32_t>(from[7]) << 16;
  return eight;
}

/// Stores eight elements of a row for products with e4m3 keys: as f16, scaled by the power of two that brings the row's largest element near 2¹⁴,
/// which is exact but for elements below 2⁻²⁸ of it. `lanes` neighbouring threads hold the row. Returns what undoes the scale.
template <class F>
__device__ __forceinline__ float store_scaled(const AttentionCall& c, unsigned char* query, int row, int d, const uint4& eight, int lanes) {
  const uint32_t words[4] = {eight.x, eight.y, eight.z, eight.w};
  float x[8], largest = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const uint32_t bits = i % 2 != 0 ? words[i / 2] >> 16 : words[i / 2] & 0xffffu;
    x[i] = c.q_dtype == DType::bf16 ? __uint_as_float(bits << 16) : __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
    largest = fmaxf(largest, fabsf(x[i]));
  }
  for (int step = lanes / 2; step > 0; step /= 2) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
  const int exponent = static_cast<int>(__float_as_uint(largest) >> 23) - 127, shift = largest > 0 ? min(max(14 - exponent, -100), 100) : 0;
  const float up = __uint_as_float(static_cast<uint32_t>(127 + shift) << 23);
#pragma unroll
  for (int i = 0; i < 8; i += 2) *reinterpret_cast<uint32_t*>(query + query_at<F>(row, d + i)) = pack(x[i] * up, x[i + 1] * up, __half{});
  return __uint_as_float(static_cast<uint32_t>(127 - shift) << 23);
}

/// Copies the unit's rows of q to shared memory, and what their scores are multiplied with besides `common`. All consumers; all loads in flight.
template <class F>
__device__ __forceinline__ void load_rows(const AttentionCall& c, const Unit& u, unsigned char* query, float* factors, float common) {
  constexpr int kLanes = F::kDim == 192 ? 32 : F::kDim / 8, kAtOnce = F::kConsumers / kLanes, kPasses = (F::kRows + kAtOnce - 1) / kAtOnce;
  const int d = static_cast<int>(threadIdx.x) % kLanes * 8, first = static_cast<int>(threadIdx.x) / kLanes;
  uint4 eight[kPasses];
#pragma unroll
  for (int i = 0; i < kPasses; ++i) {
    const int row = first + i * kAtOnce, r = u.first_row + row;
    const int64_t from =
        (u.span.q_first + static_cast<int64_t>(r / c.group)) * c.q_stride + (static_cast<int64_t>(u.head) * c.group + r % c.group) * c.head_dim;
    eight[i] = row < u.rows ? load_query(c, from, d) : uint4{};
  }
#pragma unroll
  for (int i = 0; i < kPasses; ++i) {
    const int row = first + i * kAtOnce;
    float undo = 1;
    static_assert(F::kRows % kAtOnce == 0 || kAtOnce % F::kRows == 0);
    if constexpr (F::kF8) undo = store_scaled<F>(c, query, row % F::kRows, d, eight[i], kLanes);
    if (row >= F::kRows || d >= F::kDim) continue;
    if constexpr (!F::kF8) *reinterpret_cast<uint4*>(query + query_at<F>(row, d)) = eight[i];
    if (d == 0) factors[row] = undo * common;
  }
}

/// q, the limits of each row's view, and what multiplies its scores (log₂ units unless there are extras). All consumers, between barriers.
template <class F>
__device__ void begin_unit(const AttentionCall& c, const Unit& u, unsigned char* base, const Layout& at) {
  int2* limits = reinterpret_cast<int2*>(base + at.limits);
  float* factors = reinterpret_cast<float*>(base + at.factors);
  const float common = c.scale * (F::kF8 ? common_scale(c, u, c.k_scale) : 1.0f) * (F::kExtras ? 1.0f : kLog2E);
  named_sync(1, F::kConsumers);
  load_rows<F>(c, u, base + at.query, factors, common);
  for (int row = static_cast<int>(threadIdx.x); row < F::kRows; row += F::kConsumers) {
    const int position = u.span.kv_len - u.span.q_len + (u.first_row + row) / c.group;
    limits[row] = row < u.rows ? make_int2(low_of(c, position), high_of(c, u.span, position)) : make_int2(0, 0);
    if (F::kExtras && c.alibi != Alibi::none && row < u.rows)
      reinterpret_cast<float*>(base + at.slopes)[row] = c.alibi_slopes[u.head * c.group + (u.first_row + row) % c.group];
  }
  fence_async();
  named_sync(1, F::kConsumers);
}

/// 64 bits of a tree mask's row, from bit `first` on; bits before the row are set, bits after it are not.
__device__ __forceinline__ uint64_t tree_bits(const AttentionCall& c, int64_t token, int first) {
  uint64_t bits = 0;
#pragma unroll 1
  for (int i = 0; i < 64; ++i) {
    const int j = first + i;
    const bool set = j < 0 || (j < c.tree_words * 32 && ((c.tree[token * c.tree_words + j / 32] >> (j % 32)) & 1u) != 0);
    bits |= static_cast<uint64_t>(set) << i;
  }
  return bits;
}

/// Which keys of a tile each row of the unit sees, as bits in shared memory. All consumers, between barriers.
template <class F>
__device__ __forceinline__ void look(const AttentionCall& c, const Unit& u, int tile, unsigned char* base, const Layout& at) {
  const int first = tile * kTile, before = u.span.kv_len - u.span.q_len;
  named_sync(1, F::kConsumers);
  for (int row = static_cast<int>(threadIdx.x); row < F::kRows; row += F::kConsumers) {
    const int2 limit = reinterpret_cast<const int2*>(base + at.limits)[row];
    const int low = min(max(limit.x - first, 0), kTile), high = min(max(limit.y - first, 0), kTile);
    uint64_t bits = high > low ? (~uint64_t{0} >> (64 - (high - low))) << low : 0;
    if (c.mask == Mask::tree && bits != 0) bits &= tree_bits(c, u.span.q_first + (u.first_row + row) / c.group, first - before);
    reinterpret_cast<uint64_t*>(base + at.seen)[row] = bits;
  }
  named_sync(1, F::kConsumers);
}

/// A score with what the extras ask for, in log₂ units.
__device__ __forceinline__ float with_extras(const AttentionCall& c, float score, float slope, int position, int key) {
  if (c.softcap > 0) {
    const float x = score / c.softcap, a = fabsf(x), e = exp2_fast(fminf(a, 20.0f) * (2 * kLog2E));
    const float far = 1.0f - 2.0f / (e + 1.0f), s = a * a;
    const float near = fmaf(a * s, fmaf(s, fmaf(s, fmaf(s, 2.18694885e-2f, -5.39682540e-2f), 1.33333333e-1f), -3.33333333e-1f), a);
    score = c.softcap * copysignf(a < 0.25f ? near : far, x);
  }
  const float distance = static_cast<float>(key - position);
  if (c.alibi == Alibi::plain) score = fmaf(slope, distance, score);
  if (c.alibi == Alibi::sqrt && key < position) score -= slope * sqrtf(-distance);
  return score * kLog2E;
}

// ---- the consumers: one tile ----------------------------------------------------------------------------------------------------------------------

/// e4m3 operands of a product wait in registers as f16.
template <class F>
struct Operands {
  uint32_t a[F::kF8 ? F::kDim / 16 : 1][4];
};

/// Of e4m3 keys: this thread's part of A, for each 16 elements of head_dim in the order of query_at().
template <class F>
__device__ __forceinline__ void load_keys(Operands<F>& operands, uint32_t keys) {
  if constexpr (F::kF8) {
    const Place p = place_of();
#pragma unroll
    for (int i = 0; i < F::kPanels * 4; ++i) {
      const int panel = i / 4, h = i / 2 % 2, half = i % 2;
      const uint4 x = load_16(keys + panel * F::kPanelBytes + (p.warp * 16 + h * 8 + p.row) * 128 + (((p.column + half) ^ p.row) * 16));
      const uint32_t words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        operands.a[panel * 8 + half * 4 + w][h] = halves_of_e4m3(words[w]);
        operands.a[panel * 8 + half * 4 + w][h + 2] = halves_of_e4m3(words[w] >> 16);
      }
    }
  }
}

/// Of e4m3 values: A = Vᵀ of one tile; [block of 64 dims × 4 + 16 keys].
template <class F>
__device__ __forceinline__ void load_values(Operands<F>& operands, uint32_t values) {
  if constexpr (F::kF8) {
    const Place p = place_of();
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
      for (int two = 0; two < 2; ++two) {
        uint32_t m[4];
        const int key = two * 32 + p.lane, chunk = b % 2 * 4 + p.warp;
        load_transposed(m, values + b / 2 * F::kPanelBytes + key * 128 + ((chunk ^ (key % 8)) * 16));
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const uint32_t paired = __byte_perm(m[i], 0, 0x3120);  // both keys' even element, then both keys' odd one
          operands.a[b * 4 + two * 2 + i / 2][i % 2 * 2] = halves_of_e4m3(paired);
          operands.a[b * 4 + two * 2 + i / 2][i % 2 * 2 + 1] = halves_of_e4m3(paired >> 16);
        }
      }
  }
}

/// Starts S = K·Qᵀ for one tile and the group's columns.
template <class F>
__device__ __forceinline__ void start_scores(float (&s)[F::kScores], const Operands<F>& operands, uint32_t keys, uint32_t query) {
  const uint64_t k = swizzled_matrix(keys), q = swizzled_matrix(query);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < F::kDim / 16; ++step) {
    const uint64_t b = q + (step / 4 * F::kRows * 128 + step % 4 * 32) / 16;
    const uint64_t a = k + (step / 4 * F::kPanelBytes + step % 4 * 32) / 16;
    if constexpr (F::kF8) {
      if (step == 0)
        multiply_registers<typename F::T, false>(s, operands.a[step], b);
      else
        multiply_registers<typename F::T, true>(s, operands.a[step], b);
    } else {
      if (step == 0)
        multiply<typename F::T, false, false>(s, a, b);
      else
        multiply<typename F::T, false, true>(s, a, b);
    }
  }
  wgmma_commit();
}

/// Starts Oᵀ += Vᵀ·Pᵀ for one tile and the group's columns.
template <class F>
__device__ __forceinline__ void start_values(float (&o)[F::kDimBlocks][F::kScores], const Operands<F>& operands, uint32_t values, uint32_t weights) {
  const uint64_t v = swizzled_matrix(values), w = swizzled_matrix(weights);
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b) pin(o[b]);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step)
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b) {
      if constexpr (F::kF8)
        multiply_registers<typename F::T, true>(o[b], operands.a[b * 4 + step], w + step * 2);
      else
        multiply<typename F::T, true, true>(o[b], v + (b * F::kPanelBytes + step * 2048) / 16, w + step * 2);
    }
  wgmma_commit();
}

/// Zeroes the tile's rows of V that no row of the unit sees. All consumers.
template <class F>
__device__ __forceinline__ void hide_values(const uint64_t* seen, unsigned char* values) {
  const int t = static_cast<int>(threadIdx.x);
  uint64_t any = 0;
#pragma unroll 1
  for (int row = 0; row < F::kRows; ++row) any |= seen[row];
  if (t < kTile && ((any >> t) & 1) == 0)
#pragma unroll 1
    for (int i = 0; i < F::kPanels * 8; ++i) *reinterpret_cast<uint4*>(values + i / 8 * F::kPanelBytes + t * 128 + i % 8 * 16) = uint4{};
  fence_async();
  named_sync(1, F::kConsumers);
}

/// Scores of one tile become weights in shared memory; maxima, sums and accumulators follow. All threads of a group.
template <class F>
__device__ __forceinline__ void weigh(const AttentionCall& c, const Unit& u, int tile, float (&s)[F::kScores], Node<F>& n, unsigned char* base,
                                      const Layout& at, int stage, int v_stage, bool edge) {
  const Place p = place_of();
  const int first_key = tile * kTile + p.warp * 16 + p.row;
  const float* factors = reinterpret_cast<const float*>(base + at.factors) + p.group * F::kColumns + p.column;
  const bool scaled = F::kF8 && c.kv_scale == Scales::token_head;
  float key_factor[2] = {1, 1}, value_bits[2] = {0, 0}, value_inverse[2] = {1, 1};
  if (scaled)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = p.warp * 16 + p.row + h * 8;
      key_factor[h] = reinterpret_cast<const float*>(base + at.scales + stage * F::kScaleBytes)[i];
      const float v = fmaxf(reinterpret_cast<const float*>(base + at.scales + v_stage * F::kScaleBytes)[i], 0x1p-100f);
      value_bits[h] = log2_fast(v), value_inverse[h] = 1.0f / v;
    }
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    const float2 f = *reinterpret_cast<const float2*>(factors + nb * 8);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float& x = s[nb * 4 + h * 2];
      float& y = s[nb * 4 + h * 2 + 1];
      x *= f.x, y *= f.y;
      if (F::kF8) x *= key_factor[h], y *= key_factor[h];
      if (F::kExtras) {
        const int row = p.group * F::kColumns + nb * 8 + p.column, before = u.span.kv_len - u.span.q_len;
        const float2 slope = *reinterpret_cast<const float2*>(base + at.slopes + row * 4);
        x = with_extras(c, x, slope.x, before + (u.first_row + row) / c.group, first_key + h * 8);
        y = with_extras(c, y, slope.y, before + (u.first_row + row + 1) / c.group, first_key + h * 8);
      }
      if (F::kF8) x += value_bits[h], y += value_bits[h];
    }
  }
  if (edge) {
    const uint32_t* seen = reinterpret_cast<const uint32_t*>(base + at.seen) + p.group * F::kColumns * 2 + p.warp / 2;
#pragma unroll
    for (int i = 0; i < F::kScores; ++i) {
      const uint32_t bits = seen[(i / 4 * 8 + p.column + i % 2) * 2] >> (p.warp % 2 * 16 + p.row);
      s[i] = ((bits >> (i / 2 % 2 * 8)) & 1u) != 0 ? s[i] : kNothing;
    }
  }
  float* maxima = reinterpret_cast<float*>(base + at.maxima) + p.group * 4 * F::kColumns;
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float x = fmaxf(s[nb * 4], s[nb * 4 + 2]), y = fmaxf(s[nb * 4 + 1], s[nb * 4 + 3]);
#pragma unroll
    for (int step = 4; step < 32; step *= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step)), y = fmaxf(y, __shfl_xor_sync(~0u, y, step));
    if (p.row == 0) *reinterpret_cast<float2*>(maxima + p.warp * F::kColumns + nb * 8 + p.column) = {x, y};
  }
  named_sync(2 + p.group, kGroup);
  uint32_t packed[F::kColumns / 8][2];
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float most[2] = {n.maximum[nb * 2], n.maximum[nb * 2 + 1]};
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const float2 m = *reinterpret_cast<const float2*>(maxima + w * F::kColumns + nb * 8 + p.column);
      most[0] = fmaxf(most[0], m.x), most[1] = fmaxf(most[1], m.y);
    }
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int j = nb * 2 + e;
      const float safe = most[e] == kNothing ? 0.0f : most[e], rescale = exp2_fast(n.maximum[j] - safe);
      n.maximum[j] = most[e];
      float sum = n.sum[j] * rescale;
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float& x = s[nb * 4 + h * 2 + e];
        x = exp2_fast(x - (safe - F::kBias));
        sum = F::kF8 ? fmaf(x, value_inverse[h], sum) : sum + x;
#pragma unroll
        for (int b = 0; b < F::kDimBlocks; ++b) n.values[b][nb * 4 + h * 2 + e] *= rescale;
      }
      n.sum[j] = sum;
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) packed[nb][h] = pack(s[nb * 4 + h * 2], s[nb * 4 + h * 2 + 1], typename F::T{});
  }
  const uint32_t weights = shared_address(base) + at.weights + p.group * F::kWeightBytes;
  if constexpr (F::kColumns == 8) {
    const int row = p.lane % 8, chunk = p.warp * 2 + p.lane / 8 % 2;
    store_transposed(weights + row * 128 + ((chunk ^ row) * 16), packed[0][0], packed[0][1]);
  } else {
#pragma unroll
    for (int nb = 0; nb < F::kColumns / 8; nb += 2) {
      const int row = p.lane % 8, chunk = p.warp * 2 + p.lane / 8 % 2;
      store_transposed(weights + ((nb + p.lane / 16) * 8 + row) * 128 + ((chunk ^ row) * 16), packed[nb][0], packed[nb][1], packed[nb + 1][0],
                       packed[nb + 1][1]);
    }
  }
  fence_async();
  named_sync(2 + p.group, kGroup);
}

/// The sums of a chunk over all its keys; the maximum becomes what sums and values are relative to.
template <class F>
__device__ __forceinline__ void end_chunk(Node<F>& n, float* maxima) {
  const Place p = place_of();
  maxima += p.group * 4 * F::kColumns;
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float x = n.sum[nb * 2], y = n.sum[nb * 2 + 1];
#pragma unroll
    for (int step = 4; step < 32; step *= 2) x += __shfl_xor_sync(~0u, x, step), y += __shfl_xor_sync(~0u, y, step);
    if (p.row == 0) *reinterpret_cast<float2*>(maxima + p.warp * F::kColumns + nb * 8 + p.column) = {x, y};
  }
  named_sync(2 + p.group, kGroup);
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float2 part[4];
#pragma unroll
    for (int w = 0; w < 4; ++w) part[w] = *reinterpret_cast<const float2*>(maxima + w * F::kColumns + nb * 8 + p.column);
    n.sum[nb * 2] = (part[0].x + part[1].x) + (part[2].x + part[3].x);
    n.sum[nb * 2 + 1] = (part[0].y + part[1].y) + (part[2].y + part[3].y);
    n.maximum[nb * 2] -= F::kBias, n.maximum[nb * 2 + 1] -= F::kBias;
  }
  named_sync(2 + p.group, kGroup);
}

/// Joins a finished chunk with its waiting left relatives; n is the run's node after the last chunk.
template <class F>
__device__ __forceinline__ void put_chunk(const Waiting<F>& waiting, uint32_t& present, Node<F>& n, int chunk, bool last, int levels) {
  for (int level = 0; level < levels; ++level) {
    if ((chunk >> level) & 1) {
      if ((present >> level) & 1) waiting.join_left(level, n);
      present &= ~(1u << level);
    } else if (!last) {
      waiting.push(level, n);
      present |= 1u << level;
      break;
    }
  }
}

/// Stores a run's node where others find it; who stores the last one of a row writes the output. A row's only run goes through `own`.
template <class F>
__device__ void finish_unit(const AttentionCall& c, const Unit& u, const Node<F>& n, int* flag, Stored own) {
  if (u.runs > 1) own = stored_at<F>(c, u.slot + u.run);
  write_partial<F>(u, own, n);
  if (u.runs > 1) __threadfence();
  named_sync(1, F::kConsumers);
  if (u.runs > 1) {
    if (threadIdx.x == 0) {
      wait_for_predecessor();  // it cleared the counters
      *flag = atomicAdd(&c.arrived[u.slot], 1) == u.runs - 1;
    }
    named_sync(1, F::kConsumers);
    if (*flag == 0) return;
    __threadfence();
  }
  write_rows<F>(c, u, own);
}

template <class F>
__device__ void consume(const AttentionCall& c, const Plan& plan, const int* firsts, unsigned char* base, const Layout& at) {
  const Place p = place_of();
  const uint32_t address = shared_address(base), barriers = address + at.barriers;
  float* maxima = reinterpret_cast<float*>(base + at.maxima);
  int* flag = reinterpret_cast<int*>(base + at.barriers) - kQueue - 1;
  const Waiting<F> waiting{reinterpret_cast<float*>(base + at.nodes), c.spill + static_cast<int64_t>(blockIdx.x) * c.spill_levels * F::kNodeFloats,
                           c.shared_levels};
  Ring ring;
  const auto release = [&](int stage) {
    __syncwarp();
    if (p.lane == 0) barrier_arrive(barriers + stage * 16 + 8);
  };
  const auto arrived = [&](const Ring& r) { barrier_wait(barriers + r.stage * 16, r.phase); };
  const uint32_t query = address + at.query + p.group * F::kColumns * 128, weights = address + at.weights + p.group * F::kWeightBytes;
  float* nodes = reinterpret_cast<float*>(base + at.nodes);  // none waits there when a unit ends
  const Stored own = c.shared_levels > 0 ? Stored{nodes, nodes + F::kRows * F::kDim} : stored_at<F>(c, c.partials + static_cast<int>(blockIdx.x));
  Queue queue = queue_of<F>(base, at);
  for (int index = queue.take(); index < plan.units; index = queue.take()) {
    const Unit u = unit_at<F>(c, plan, firsts, index);
    begin_unit<F>(c, u, base, at);
    Node<F> n;
    n.clear();
    uint32_t present = 0;
    float s[F::kScores];
    if (u.first_tile < u.last_tile) {
      arrived(ring);
      Operands<F> keys;
      load_keys<F>(keys, address + ring.stage * F::kTileBytes);
      start_scores<F>(s, keys, address + ring.stage * F::kTileBytes, query);
      wgmma_wait<0>();
      pin(s);
    }
    for (int tile = u.first_tile; tile < u.last_tile; ++tile) {
      const int k_stage = ring.stage, first = tile * kTile;
      const bool last = tile + 1 == u.last_tile;
      const bool edge = first < u.all_low || first + kTile > u.all_high || (c.mask == Mask::tree && first + kTile > u.span.kv_len - u.span.q_len);
      if (!F::kF8) release(k_stage);
      ring.next(c.stages);
      const int v_stage = ring.stage;
      const uint32_t values = address + v_stage * F::kTileBytes;
      if (edge || F::kF8) arrived(ring);
      if (edge) {
        look<F>(c, u, tile, base, at);
        hide_values<F>(reinterpret_cast<const uint64_t*>(base + at.seen), base + v_stage * F::kTileBytes);
      }
      weigh<F>(c, u, tile, s, n, base, at, k_stage, v_stage, edge);
      if (F::kF8) release(k_stage);
      if (!edge && !F::kF8) arrived(ring);
      ring.next(c.stages);
      if (!last) arrived(ring);
      // The next tile's scores follow this one's values at once; after the last tile they are garbage that nobody reads.
      const uint32_t next = address + ring.stage * F::kTileBytes;
      Operands<F> operands, keys;
      load_values<F>(operands, values);
      start_values<F>(n.values, operands, values, weights);
      if (F::kF8 && F::kWide) wgmma_wait<0>();  // registers for both operands are scarce
      load_keys<F>(keys, next);
      start_scores<F>(s, keys, next, query);
      wgmma_wait<0>();
      pin(s);
#pragma unroll
      for (int b = 0; b < F::kDimBlocks; ++b) pin(n.values[b]);
      release(v_stage);
      if (!last && (tile + 1) % kTilesPerChunk != 0) continue;
      end_chunk<F>(n, maxima);
      put_chunk<F>(waiting, present, n, tile / kTilesPerChunk, last, plan.level);
      if (!last) n.clear();
    }
    finish_unit<F>(c, u, n, flag, own);
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks)
    attend(const AttentionCall c, const __grid_constant__ CUtensorMap k_map, const __grid_constant__ CUtensorMap v_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const Layout at = layout_of<F>(c.stages, c.shared_levels);
  const uint32_t address = shared_address(shared);
  if (threadIdx.x == F::kConsumers) prefetch_map(&k_map), prefetch_map(&v_map);
  if (threadIdx.x == 0) {
    for (int i = 0; i < c.stages; ++i) {
      barrier_init(address + at.barriers + i * 16, 1);
      barrier_init(address + at.barriers + i * 16 + 8, F::kConsumers / 32);
    }
    for (int i = 0; i < kQueue; ++i) {
      barrier_init(address + at.units + i * 16, 1);
      barrier_init(address + at.units + i * 16 + 8, F::kConsumers / 32);
    }
    fence_barrier_init();
  }
  int* firsts = reinterpret_cast<int*>(shared + at.plan);
  const Plan plan = make_plan<F>(c, firsts);  // its barriers also publish the ones above
  if (threadIdx.x >= F::kConsumers) {
    if constexpr (F::kWide) give_registers<40>();
    if (threadIdx.x < F::kConsumers + 32) produce<F>(c, &k_map, &v_map, plan, firsts, shared, at);
  } else {
    if constexpr (F::kWide) take_registers<F::kBlocks == 1 ? 232 : 208>();
    consume<F>(c, plan, firsts, shared, at);
  }
  wait_for_predecessor();  // so that who waits for this kernel has waited for it, too
}

}  // namespace attune::cuda
