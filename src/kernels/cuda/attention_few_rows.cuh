#pragma once

// Tiles of cuda.attention.wgmma_split_kv for 8 or 16 rows: S = K·Qᵀ and Oᵀ = Vᵀ·Pᵀ, so that 4 rows cost little. Keys and head_dim lie along the 64
// rows of wgmma, the rows of the unit along its columns.
#include "kernels/cuda/attention_rows.cuh"

namespace attune::cuda {

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
        operands.a[panel * 8 + half * 4 + w][h + 2] = halves_of_e4m3_high(words[w]);
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
          operands.a[b * 4 + two * 2 + i / 2][i % 2 * 2 + 1] = halves_of_e4m3_high(paired);
        }
      }
  }
}

/// Starts S = K·Qᵀ for one tile and the group's columns.
template <class F>
__device__ __forceinline__ void start_scores(float (&s)[F::kScores], const Operands<F>& operands, uint32_t keys, uint32_t query) {
  const uint64_t k = swizzled_matrix(of_first(keys)), q = swizzled_matrix(of_first(query));
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < F::kDim / 16; ++step) {
    const uint64_t b = q + (step / 4 * F::kRows * 128 + step % 4 * 32) / 16;
    const uint64_t a = k + (step / 4 * F::kPanelBytes + step % 4 * 32) / 16;
    if constexpr (F::kF8)
      wgmma_step<typename F::T>(step == 0, s, operands.a[step], b);
    else
      wgmma_step<typename F::T>(step == 0, s, a, b);
  }
  wgmma_commit();
}

/// Starts Oᵀ += Vᵀ·Pᵀ for one tile and the group's columns.
template <class F>
__device__ __forceinline__ void start_values(float (&o)[F::kDimBlocks][F::kScores], const Operands<F>& operands, uint32_t values, uint32_t weights) {
  const uint64_t v = swizzled_matrix(of_first(values)), w = swizzled_matrix(of_first(weights));
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b) pin(o[b]);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step)
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b) {
      if constexpr (F::kF8)
        wgmma_registers<typename F::T, true>(o[b], operands.a[b * 4 + step], w + step * 2);
      else
        wgmma<typename F::T, true, true>(o[b], v + (b * F::kPanelBytes + step * 2048) / 16, w + step * 2);
    }
  wgmma_commit();
}

/// Scores of one tile become weights in shared memory; maxima, sums and accumulators follow. All threads of a group.
template <class F>
__device__ __forceinline__ void weigh(const AttentionCall& c, const Unit& u, int tile, float (&s)[F::kScores], Node<F>& n, unsigned char* base,
                                      const Layout& at, int stage, int v_stage, bool edge) {
  const Place p = place_of();
  const int first_key = tile * kTile + p.warp * 16 + p.row;
  const float* factors = reinterpret_cast<const float*>(base + at.factors) + p.group * F::kColumns + p.column;
  const bool scaled = F::kF8 && c.kv_scale == Scales::token_head;
  KeyScale scale[2];
  if (scaled)
#pragma unroll
    for (int h = 0; h < 2; ++h) scale[h] = key_scale<F>(base, at, stage, v_stage, p.warp * 16 + p.row + h * 8);
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    const float2 f = *reinterpret_cast<const float2*>(factors + nb * 8);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float& x = s[nb * 4 + h * 2];
      float& y = s[nb * 4 + h * 2 + 1];
      x = __fmul_rn(x, f.x), y = __fmul_rn(y, f.y);
      if (F::kF8) x = __fmul_rn(x, scale[h].key), y = __fmul_rn(y, scale[h].key);
      if (F::kExtras) {
        const int row = p.group * F::kColumns + nb * 8 + p.column;
        x = with_extras<F>(c, u, x, row, first_key + h * 8, base, at), y = with_extras<F>(c, u, y, row + 1, first_key + h * 8, base, at);
      }
      if (F::kF8) x = __fadd_rn(x, scale[h].value_log2), y = __fadd_rn(y, scale[h].value_log2);
    }
  }
  if (edge && c.mask != Mask::tree) {
    const int2* limits = reinterpret_cast<const int2*>(base + at.limits) + p.group * F::kColumns + p.column;
#pragma unroll
    for (int i = 0; i < F::kScores; ++i) {
      const int2 limit = limits[i / 4 * 8 + i % 2];
      const int key = first_key + i / 2 % 2 * 8;
      s[i] = key >= limit.x && key < limit.y ? s[i] : kNothing;
    }
  } else if (edge) {
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
      const Step step = step_of<F>(n.maximum[j], most[e]);
      n.maximum[j] = most[e];
#pragma unroll
      for (int h = 0; h < 2; ++h) s[nb * 4 + h * 2 + e] = exp2_fast(__fsub_rn(s[nb * 4 + h * 2 + e], step.base));
      n.sum[j] = sum_of_two<F>(n.sum[j], step.rescale, s[nb * 4 + e], s[nb * 4 + 2 + e], scale[0], scale[1]);
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int b = 0; b < F::kDimBlocks; ++b) n.values[b][nb * 4 + h * 2 + e] *= step.rescale;
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
  maxima += (F::kGroups + p.group) * 4 * F::kColumns;  // behind the maxima, which the next tile's warps may write before all have read here
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
}

/// Walks the tiles of a unit; n becomes its node.
template <class F>
__device__ __forceinline__ void walk_few(const AttentionCall& c, const Unit& u, const Waiting<F>& waiting, unsigned char* base, const Layout& at,
                                         Ring& ring, Node<F>& n) {
  const uint32_t address = shared_address(base), barriers = address + (u.runs > 0 ? at.barriers : at.practice), query = address + at.query,
                 weights = address + at.weights;
  float* maxima = reinterpret_cast<float*>(base + at.maxima);
  uint32_t present = 0;
  float s[F::kScores];
  if (u.first_tile < u.last_tile) {
    await_tile(barriers, ring);
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
    if (!F::kF8) release(barriers, k_stage);
    ring.next(c.stages);
    const int v_stage = ring.stage;
    const uint32_t values = address + v_stage * F::kTileBytes;
    if (edge || F::kF8) await_tile(barriers, ring);
    if (edge) {
      if (c.mask == Mask::tree) look<F>(c, u, tile, base, at);
      hide_values<F>(c, u, tile, reinterpret_cast<const uint64_t*>(base + at.seen), base + v_stage * F::kTileBytes);
    }
    weigh<F>(c, u, tile, s, n, base, at, k_stage, v_stage, edge);
    if (F::kF8) release(barriers, k_stage);
    if (!edge && !F::kF8) await_tile(barriers, ring);
    ring.next(c.stages);
    // The next tile's scores follow this one's values at once; after the last tile they are garbage that nobody reads.
    const uint32_t next = address + ring.stage * F::kTileBytes;
    Operands<F> operands, keys;
    load_values<F>(operands, values);
    start_values<F>(n.values, operands, values, weights);
    if (!last) await_tile(barriers, ring);
    if (F::kBlocks > 3) wgmma_wait<0>();  // no registers for both operands
    load_keys<F>(keys, next);
    start_scores<F>(s, keys, next, query);
    wgmma_wait<0>();
    pin(s);
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b) pin(n.values[b]);
    release(barriers, v_stage);
    if (!last && (tile + 1) % kTilesPerChunk != 0) continue;
    end_chunk<F>(n, maxima);
    if (u.by_chunk)
      write_partial<F>(u, stored_at<F>(c, u.slot + tile / kTilesPerChunk - u.first_leaf), n);
    else
      put_chunk<F>(waiting, present, n, tile / kTilesPerChunk, last);
    if (!last) n.clear();
  }
}

}  // namespace attune::cuda
