#pragma once

// Tiles of cuda.attention.wgmma_split_kv for 64 rows a warpgroup: S = Q·Kᵀ and O = P·V. The rows of the unit lie along the 64 rows of wgmma, so that
// a row's scores are in four lanes and its weights never leave the registers. Products, maxima and sums are taken in the order of
// attention_few_rows.cuh, so bits are the same.
#include "kernels/cuda/attention_rows.cuh"

namespace attune::cuda {

/// Queries wait in registers where there is room: A of each 16 elements of head_dim.
template <class F>
struct Queries {
  uint32_t a[F::kQueryWaits ? F::kDim / 16 : 1][4];

  /// All consumers; what stood at `query` may be overwritten afterwards.
  __device__ __forceinline__ void load(uint32_t query) {
    if constexpr (F::kQueryWaits) {
      const Place p = place_of();
      const int row = p.group * F::kColumns + p.warp * 16 + p.lane % 16;
#pragma unroll
      for (int step = 0; step < F::kDim / 16; ++step) {
        const int chunk = step % 4 * 2 + p.lane / 16;
        load_matrices(a[step], query + (step / 4 * F::kRows + row) * 128 + ((chunk ^ (row % 8)) * 16));
      }
      named_sync(1, F::kConsumers);
    }
  }
};

/// A of P·V for each 16 keys, and parts of the rows' sums: [row][16 keys][key % 2].
template <class F>
struct Weights {
  uint32_t a[4][4];
  float sums[2][4][2];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int i = 0; i < 16; ++i) sums[i / 8][i / 2 % 4][i % 2] = 0;
  }
};

// ---- e4m3 keys and values become f16 in shared memory, for products read B there ------------------------------------------------------------------

__device__ __forceinline__ void store_16(uint32_t address, const uint32_t (&x)[4]) {
  asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3]) : "memory");
}
__device__ __forceinline__ uint32_t load_4(uint32_t address) {
  uint32_t x;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(x) : "r"(address));
  return x;
}

/// A converting lane's place: 16 elements `step` of every 64, of key `key` of every 8, so that neither loads nor stores of a warp meet in a bank. A
/// warp takes every kConvertingWarps-th 8 keys. Offsets in a matrix of rows of 128 bytes, whose columns of 16 bytes are swizzled; ^ 16·i is i columns on.
struct Lane {
  uint32_t keys, values, converted;
  bool most;  // has as many pieces as any
};
inline constexpr int kPieces = (kTile / 8 + kConvertingWarps - 1) / kConvertingWarps;
template <class F>
__device__ __forceinline__ Lane lane_of() {
  const uint32_t t = threadIdx.x - F::kConsumers - 32, warp = t / 32, lane = t % 32, step = lane % 4, key = lane / 8 ^ (lane / 4 % 2 * 5);
  const uint32_t row = (warp * 8 + key) * 128 + key * 16;
  return {row + step * 4, row ^ (step * 16), row ^ (step * 32), (kPieces - 1) * kConvertingWarps + warp < kTile / 8};
}
/// Calls load(piece, words) and store(piece, words) of a lane's pieces of a panel, all loads before what follows on them.
template <class L, class S>
__device__ __forceinline__ void for_each_piece(const Lane& l, const L& load, const S& store) {
  static_assert(kPieces == 3);
  constexpr int kNext = kConvertingWarps * 8 * 128;  // bytes
  uint32_t words[3][2][4];
  load(0, words[0]);
  load(kNext, words[1]);
  if (l.most) load(2 * kNext, words[2]);
  store(0, words[0]);
  store(kNext, words[1]);
  if (l.most) store(2 * kNext, words[2]);
}
/// Stores 16 elements, words[i] those of its i-th four.
__device__ __forceinline__ void store_converted(uint32_t to, const uint32_t (&low)[4], const uint32_t (&high)[4]) {
  store_16(to, low), store_16(to ^ 16, high);
}

/// Keys, their elements in the order of query_at(): element i of four at 32 bytes' distance.
template <class F>
__device__ __forceinline__ void convert_keys(uint32_t to, uint32_t keys, const Lane& l) {
#pragma unroll
  for (int panel = 0; panel < F::kPanels; ++panel)
    for_each_piece(
        l,
        [&](int piece, uint32_t (&words)[2][4]) {
#pragma unroll
          for (int i = 0; i < 8; ++i) words[i % 2][i / 2] = load_4(((keys + panel * F::kPanelBytes + l.keys) ^ (i * 16)) + piece);
        },
        [&](int piece, const uint32_t (&words)[2][4]) {
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            uint32_t low[4], high[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) low[i] = halves_of_e4m3(words[half][i]), high[i] = halves_of_e4m3_high(words[half][i]);
            store_converted(to + (panel * 2 + half) * kTile * 128 + l.converted + piece, low, high);
          }
        });
}

/// Values, in their order.
template <class F>
__device__ __forceinline__ void convert_values(uint32_t to, uint32_t values, const Lane& l) {
#pragma unroll
  for (int panel = 0; panel < F::kPanels; ++panel)
    for_each_piece(
        l,
        [&](int piece, uint32_t (&words)[2][4]) {
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const uint4 x = load_16(((values + panel * F::kPanelBytes + l.values) ^ (half * 64)) + piece);
            words[half][0] = x.x, words[half][1] = x.y, words[half][2] = x.z, words[half][3] = x.w;
          }
        },
        [&](int piece, const uint32_t (&words)[2][4]) {
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            uint32_t out[2][4];
#pragma unroll
            for (int i = 0; i < 4; ++i)
              out[i / 2][i % 2 * 2] = halves_of_e4m3(words[half][i]), out[i / 2][i % 2 * 2 + 1] = halves_of_e4m3_high(words[half][i]);
            store_converted(to + (panel * 2 + half) * kTile * 128 + l.converted + piece, out[0], out[1]);
          }
        });
}

// ---- products -------------------------------------------------------------------------------------------------------------------------------------

/// Starts S = Q·Kᵀ of the group's rows and one tile.
template <class F>
__device__ __forceinline__ void start_scores(float (&s)[F::kScores], const Queries<F>& queries, uint32_t query, uint32_t keys) {
  constexpr int kPanel = kTile * 128;
  const uint64_t q = swizzled_matrix(query), k = swizzled_matrix(keys);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < F::kDim / 16; ++step) {
    const uint64_t b = k + (step / 4 * kPanel + step % 4 * 32) / 16, a = q + (step / 4 * F::kRows * 128 + step % 4 * 32) / 16;
    if constexpr (F::kQueryWaits)
      wgmma_step<typename F::T>(step == 0, s, queries.a[step], b);
    else
      wgmma_step<typename F::T>(step == 0, s, a, b);
  }
  wgmma_commit();
}

/// Starts O += P·V of the group's rows and one tile.
template <class F>
__device__ __forceinline__ void start_values(float (&o)[F::kDimBlocks][F::kScores], const Weights<F>& weights, uint32_t values) {
  const uint64_t v = swizzled_matrix(values);
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b) pin(o[b]);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step)
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
      wgmma_registers<typename F::T, true, true>(o[b], weights.a[step], v + (b * kTile * 128 + step * 2048) / 16);
  wgmma_commit();
}

/// Scores of one tile become weights; maxima, sums and accumulators follow. No thread waits for another warp.
template <class F, bool kScaled>
__device__ __forceinline__ void weigh(const AttentionCall& c, const Unit& u, int tile, float (&s)[F::kScores], Node<F>& n, Weights<F>& weights,
                                      const unsigned char* base, const Layout& at, int k_stage, int v_stage, bool edge) {
  const Place p = place_of();
  float factor[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) factor[h] = reinterpret_cast<const float*>(base + at.factors)[row_of<F>(p, h)];
  const auto scale_of = [&](int i) {  // of the key of element i
    return kScaled ? key_scale<F>(base, at, k_stage, v_stage, i / 4 * 8 + p.column + i % 2) : KeyScale{};
  };
#pragma unroll
  for (int i = 0; i < F::kScores; i += i % 2 == 0 ? 1 : 3) {
    const KeyScale scale = scale_of(i);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float& x = s[i + h * 2];
      x = __fmul_rn(x, factor[h]);
      if (kScaled) x = __fmul_rn(x, scale.key);
      if (F::kExtras) x = with_extras<F>(c, u, x, row_of<F>(p, h), tile * kTile + i / 4 * 8 + p.column + i % 2, base, at);
      if (kScaled) x = __fadd_rn(x, scale.value_log2);
    }
  }
  if (edge) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const uint64_t seen = reinterpret_cast<const uint64_t*>(base + at.seen)[row_of<F>(p, h)] >> p.column;
#pragma unroll
      for (int i = h * 2; i < F::kScores; i += (i % 2 == 0 ? 1 : 3)) s[i] = ((seen >> (i / 4 * 8 + i % 2)) & 1u) != 0 ? s[i] : kNothing;
    }
  }
  float most[2] = {n.maximum[0], n.maximum[1]};
#pragma unroll
  for (int i = 0; i < F::kScores; ++i) most[own_of<F>(i)] = fmaxf(most[own_of<F>(i)], s[i]);
  Step step[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    most[h] = fmaxf(most[h], __shfl_xor_sync(~0u, most[h], 1));
    most[h] = fmaxf(most[h], __shfl_xor_sync(~0u, most[h], 2));
    step[h] = step_of<F>(n.maximum[h], most[h]);
    n.maximum[h] = most[h];
  }
#pragma unroll
  for (int i = 0; i < F::kScores; ++i) s[i] = exp2_fast(__fsub_rn(s[i], step[own_of<F>(i)].base));
#pragma unroll
  for (int i = 0; i < 16; ++i) {  // [row][16 keys][key % 2]
    const int h = i / 8, sixteen = i / 2 % 4, e = i % 2, x = sixteen * 8 + h * 2 + e;
    float& sum = weights.sums[h][sixteen][e];
    sum = sum_of_two<F>(sum, step[h].rescale, s[x], s[x + 4], scale_of(x), scale_of(x + 4));
  }
#pragma unroll
  for (int i = 0; i < 16; ++i) weights.a[i / 4][i % 4] = pack(s[i * 2], s[i * 2 + 1], typename F::T{});
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
    for (int i = 0; i < F::kScores; ++i) n.values[b][i] *= step[own_of<F>(i)].rescale;
}

/// The sums of a chunk over all its keys; the maximum becomes what sums and values are relative to.
template <class F>
__device__ __forceinline__ void end_chunk(Node<F>& n, Weights<F>& weights) {
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float part[4];
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      part[w] = weights.sums[h][w][0] + weights.sums[h][w][1];
      part[w] += __shfl_xor_sync(~0u, part[w], 1);
      part[w] += __shfl_xor_sync(~0u, part[w], 2);
    }
    n.sum[h] = (part[0] + part[1]) + (part[2] + part[3]);
    n.maximum[h] -= F::kBias;
  }
  weights.clear();
}

/// Walks the tiles of a unit; n becomes its node. All consumers.
template <class F>
__device__ __forceinline__ void walk_many(const AttentionCall& c, const Unit& u, const Waiting<F>& waiting, unsigned char* base, const Layout& at,
                                          Ring& ring, Node<F>& n) {
  const uint32_t address = shared_address(base), barriers = address + (F::kConverts ? at.made : at.barriers);
  const uint32_t query = address + at.query + static_cast<uint32_t>(place_of().group) * F::kColumns * 128;
  const int stages = F::kConverts ? kMatrices : c.stages;
  const auto offset = [&](int stage) { return F::kConverts ? at.matrices + stage * F::kMatrixBytes : stage * F::kTileBytes; };
  Queries<F> queries;
  queries.load(address + at.query);
  Weights<F> weights;
  weights.clear();
  uint32_t present = 0;
  float s[F::kScores];
  const int first_tile = u.first_tile, last_tile = u.last_tile, all_low = u.all_low, all_high = u.all_high;  // `u` is in shared memory
  if (first_tile < last_tile) {
    await_tile(barriers, ring);
    start_scores<F>(s, queries, query, address + offset(ring.stage));
    wgmma_wait<0>();
    pin(s);
  }
  for (int tile = first_tile; tile < last_tile; ++tile) {
    const int k_stage = ring.stage, first = tile * kTile;
    const bool last = tile + 1 == last_tile;
    const bool edge = first < all_low || first + kTile > all_high || (c.mask == Mask::tree && first + kTile > u.span.kv_len - u.span.q_len);
    const bool scaled = F::kF8 && c.kv_scale == Scales::token_head;  // the stages hold what weigh() reads
    if (!scaled) release(barriers, k_stage);
    ring.next(stages);
    const int v_stage = ring.stage;
    if (edge || scaled) await_tile(barriers, ring);
    if (edge) {
      look<F>(c, u, tile, base, at);
      hide_values<F>(c, u, tile, reinterpret_cast<const uint64_t*>(base + at.seen), base + offset(v_stage));
    }
    if (scaled) {
      weigh<F, F::kF8>(c, u, tile, s, n, weights, base, at, k_stage, v_stage, edge);
      release(barriers, k_stage);
    } else {
      weigh<F, false>(c, u, tile, s, n, weights, base, at, k_stage, v_stage, edge);
    }
    if (!edge && !scaled) await_tile(barriers, ring);
    ring.next(stages);
    // The next tile's scores follow this one's values at once; after the last tile they are garbage that nobody reads.
    start_values<F>(n.values, weights, address + offset(v_stage));
    if (!last) await_tile(barriers, ring);
    start_scores<F>(s, queries, query, address + offset(ring.stage));
    wgmma_wait<0>();
    pin(s);
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b) pin(n.values[b]);
    release(barriers, v_stage);
    if (!last && (tile + 1) % kTilesPerChunk != 0) continue;
    end_chunk<F>(n, weights);
    if (u.by_chunk)
      write_partial<F>(u, stored_at<F>(c, u.slot + tile / kTilesPerChunk - u.first_leaf), n);
    else
      put_chunk<F>(waiting, present, n, tile / kTilesPerChunk, last);
    if (!last) n.clear();
  }
}

}  // namespace attune::cuda
