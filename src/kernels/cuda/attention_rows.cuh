#pragma once

// What the consumers of cuda.attention.wgmma_split_kv do for the rows of a unit whichever way their products lie: queries, masks, extras.
#include "kernels/cuda/attention_nodes.cuh"

namespace attune::cuda {

struct Ring {
  int stage = 0;
  uint32_t phase = 0;
  __device__ __forceinline__ void next(int stages) {
    if (++stage == stages) stage = 0, phase ^= 1;
  }
};

__device__ __forceinline__ void await_tile(uint32_t barriers, const Ring& ring) { barrier_wait(barriers + ring.stage * 16, ring.phase); }

/// This warp needs a stage no more.
__device__ __forceinline__ void release(uint32_t barriers, int stage) {
  __syncwarp();
  if (threadIdx.x % 32 == 0) barrier_arrive(barriers + stage * 16 + 8);
}

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
    const Divided at = divided(r, c.group, c.by_group);
    const int64_t from = static_cast<int64_t>(u.span.q_first + at.quotient) * c.q_stride + (u.head * c.group + at.remainder) * c.head_dim;
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

/// q, the limits of each row's view, and what multiplies its scores (log₂ units unless there is a softcap). All consumers, between barriers.
template <class F>
__device__ void begin_unit(const AttentionCall& c, const Unit& u, unsigned char* base, const Layout& at) {
  int2* limits = reinterpret_cast<int2*>(base + at.limits);
  float* factors = reinterpret_cast<float*>(base + at.factors);
  const float common = c.scale * (F::kF8 ? common_scale(c, u, c.k_scale) : 1.0f) * (F::kExtras && c.softcap > 0 ? 1.0f : kLog2E);
  named_sync(1, F::kConsumers);
  if (u.runs > 0) wait_for_predecessor();  // it may have written q, and read what this writes
  load_rows<F>(c, u, base + at.query, factors, common);
  for (int row = static_cast<int>(threadIdx.x); row < F::kRows; row += F::kConsumers) {
    const int position = u.span.kv_len - u.span.q_len + divided(u.first_row + row, c.group, c.by_group).quotient;
    limits[row] = row < u.rows ? make_int2(low_of(c, position), high_of(c, u.span, position)) : make_int2(0, 0);
    if (F::kExtras && c.alibi != Alibi::none && row < u.rows)
      reinterpret_cast<float*>(base + at.slopes)[row] = kLog2E * c.alibi_slopes[u.head * c.group + (u.first_row + row) % c.group];
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

/// A score with what the extras ask for, in log₂ units. softcap·tanh(s / softcap) = softcap − 2·softcap / (1 + e^(2s / softcap)).
template <class F>
__device__ __forceinline__ float with_extras(const AttentionCall& c, const Unit& u, float score, int row, int key, const unsigned char* base,
                                             const Layout& at) {
  if (c.softcap > 0) {
    const float cap = c.softcap * kLog2E;
    score = __fmaf_rn(-2 * cap, reciprocal_fast(__fadd_rn(exp2_fast(__fmul_rn(score, c.softcap_inverse)), 1.0f)), cap);
  }
  if (c.alibi != Alibi::none) {
    const float slope = reinterpret_cast<const float*>(base + at.slopes)[row];
    const float distance = static_cast<float>(key - (u.span.kv_len - u.span.q_len + (u.first_row + row) / c.group));
    if (c.alibi == Alibi::plain) score = __fmaf_rn(slope, distance, score);
    if (c.alibi == Alibi::sqrt && distance < 0) score = __fmaf_rn(-slope, sqrtf(-distance), score);
  }
  return score;
}

/// What a key's own scales do: `key` multiplies its scores, a value's scale goes into its weight and out of the sum of weights again.
struct KeyScale {
  float key = 1, value_log2 = 0, value_inverse = 1;
};
template <class F>
__device__ __forceinline__ KeyScale key_scale(const unsigned char* base, const Layout& at, int k_stage, int v_stage, int key) {
  const unsigned char* scales = base + (F::kConverts ? at.matrix_scales : at.scales);
  const float k = reinterpret_cast<const float*>(scales + k_stage * F::kScaleBytes)[key];
  const float v = fmaxf(reinterpret_cast<const float*>(scales + v_stage * F::kScaleBytes)[key], 0x1p-100f);
  return {k, log2_fast(v), reciprocal_fast(v)};
}

/// A tile's step of a row's maximum: what sums and accumulators so far are multiplied with, and what is subtracted from scores.
struct Step {
  float rescale, base;
};
template <class F>
__device__ __forceinline__ Step step_of(float before, float now) {
  const float safe = now == kNothing ? 0.0f : now;
  return {exp2_fast(__fsub_rn(before, safe)), __fsub_rn(safe, F::kBias)};
}

/// A part of a row's sum with the weights of two keys, 8 apart, in the one order that all forms keep.
template <class F>
__device__ __forceinline__ float sum_of_two(float sum, float rescale, float x, float y, const KeyScale& sx, const KeyScale& sy) {
  if (!F::kF8) return __fadd_rn(__fmaf_rn(sum, rescale, x), y);
  return __fmaf_rn(y, sy.value_inverse, __fmaf_rn(x, sx.value_inverse, __fmul_rn(sum, rescale)));
}

/// Zeroes the tile's rows of V that no row of the unit sees. All consumers.
template <class F>
__device__ __forceinline__ void hide_values(const AttentionCall& c, const Unit& u, int tile, const uint64_t* seen, unsigned char* values) {
  constexpr int kShare = F::kConsumers / kTile;  // threads of a key
  const int t = static_cast<int>(threadIdx.x) % kTile, key = tile * kTile + t;
  bool hidden = key < u.low || key >= u.high;
  if (c.mask == Mask::tree) {
    uint64_t any = 0;
#pragma unroll 1
    for (int row = 0; row < F::kRows; ++row) any |= seen[row];
    hidden = ((any >> t) & 1) == 0;
  }
  if (hidden)
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x) / kTile; i < F::kMatrixPanels * 8; i += kShare)
      *reinterpret_cast<uint4*>(values + i / 8 * F::kPanelBytes + t * 128 + i % 8 * 16) = uint4{};
  fence_async();
  named_sync(1, F::kConsumers);
}

}  // namespace attune::cuda
