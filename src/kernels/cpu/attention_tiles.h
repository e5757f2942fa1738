#pragma once

// The arithmetic of attention.cc: scores and weighted sums of a few rows over K and V as they lie, and products of packed tiles. Included by
// attention.cc alone.

#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/lanes.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

constexpr int kPair = kNativePairs ? 2 : 1;                  // elements of a product step: head_dim is summed in bf16 pairs or one by one
constexpr int kRowGroup = 6;                                 // rows of a register tile
constexpr int kColumns = kWidth == 16 ? 4 : kFused ? 2 : 1;  // vectors of a register tile

template <int N>
struct Count {
  static constexpr int value = N;
};

/// Calls f with the number of rows, 1 to kFewRows, as a constant.
template <class F>
ATTUNE_INLINE void with_few_rows(int64_t rows, const F& f) {
  switch (rows) {
    case 1: return f(Count<1>{});
    case 2: return f(Count<2>{});
    case 3: return f(Count<3>{});
    case 4: return f(Count<4>{});
    case 5: return f(Count<5>{});
    case 6: return f(Count<6>{});
    case 7: return f(Count<7>{});
    default: return f(Count<8>{});
  }
}

/// c[R][C] = a · b, or += where not Fresh, over `steps`: a [R][steps], b [steps][C vectors]. Each element is one chain of products in rising step.
template <bool Fresh, int R, int C>
void multiply_tile(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t steps, float* c, int64_t c_stride) {
  Vec acc[R][C];
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < C; ++j) acc[r][j] = Fresh ? zero() : load(c + r * c_stride + j * kWidth);
  for (int64_t k = 0; k < steps; ++k) {
    Vec x[C];
    for (int j = 0; j < C; ++j) x[j] = load(b + k * b_stride + j * kWidth);
    for (int r = 0; r < R; ++r)
      for (int j = 0; j < C; ++j) acc[r][j] = product(a + r * a_stride + k, x[j], acc[r][j]);
  }
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < C; ++j) store(c + r * c_stride + j * kWidth, acc[r][j]);
}

/// Calls f(Count<rows>, Count<vectors>, first vector) for the register tiles of up to kRowGroup rows by `vectors`.
template <class F>
ATTUNE_INLINE void for_tiles(int64_t rows, int64_t vectors, const F& f) {
  with_few_rows(smaller(rows, kRowGroup), [&](auto count) {
    constexpr Count < decltype(count)::value<kRowGroup ? decltype(count)::value : kRowGroup> kRows{};
    int64_t j = 0;
    for (; j + kColumns <= vectors; j += kColumns) f(kRows, Count<kColumns>{}, j);
    if constexpr (kColumns > 2)
      for (; j + 2 <= vectors; j += 2) f(kRows, Count<2>{}, j);
    for (; j < vectors; ++j) f(kRows, Count<1>{}, j);
  });
}

template <bool Fresh>
void multiply(int64_t rows, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t steps, float* c, int64_t c_stride,
              int64_t vectors) {
  for_tiles(rows, vectors, [&](auto r, auto columns, int64_t j) {
    multiply_tile<Fresh, decltype(r)::value, decltype(columns)::value>(a, a_stride, b + j * kWidth, b_stride, steps, c + j * kWidth, c_stride);
  });
}

/// The scores of rows for packed keys, `steps` pairs or elements of head_dim each: one chain an output, or one a lane (see score_group).
template <bool ByLanes = kNativePairs>
void multiply_keys(int64_t rows, const float* query, int64_t query_stride, const float* keys, int64_t steps, float* scores, int64_t vectors) {
  if constexpr (!ByLanes) {
    multiply<true>(rows, query, query_stride, keys, kKeyTile, steps, scores, kChunk, vectors);
  } else {
    for_tiles(rows, vectors, [&](auto r, auto columns, int64_t j) {
      constexpr int kTogether = decltype(columns)::value > 2 ? 2 : decltype(columns)::value;  // two lanes of as many stay in registers
      for (int64_t i = j; i < j + decltype(columns)::value; i += kTogether)
        multiply_lanes<decltype(r)::value, kTogether>(query, query_stride, {1, kLanes}, keys + i * kWidth, {kKeyTile, kLanes * kKeyTile},
                                                      steps / kLanes, scores + i * kWidth, kChunk);
    });
  }
}

/// K or V of kGroup consecutive tokens, all of them readable, rows of whole vectors (see Worker::rows_of). `near` is what will be read next, `far`
/// what comes kFar groups later: one is fetched into the first cache, the other into the second, which alone keeps enough lines in flight.
template <class T>
struct Rows {
  const T* first;
  int64_t stride;
  const T *near, *far;
};

/// Fetches ahead at an offset, beside load number `i` of `Bytes` each: one line for every 64 bytes read.
template <int Bytes, class T>
ATTUNE_INLINE void fetch(const Rows<T>& rows, int64_t offset, int i) {
  if (Bytes < 64 && i % (64 / Bytes) != 0) return;
  prefetch(rows.near + offset);
  if constexpr (!kNativePairs) prefetch_second(rows.far + offset);
}

/// Fetches all of the far group at once, before the work on this one: with bf16 products that work is too short to spread the fetches over it.
template <class T>
ATTUNE_INLINE void fetch_far(const Rows<T>& rows, int64_t padded) {
  if constexpr (kNativePairs)
    for (int64_t i = 0; i < kGroup * padded; i += 64 / static_cast<int>(sizeof(T))) prefetch_second(rows.far + i);
}

/// Calls f(step, vector of keys [key, key + kWidth)) for each step of head_dim, in order.
template <class T, class F>
ATTUNE_INLINE void for_each_key_step(const Rows<T>& rows, int key, int64_t padded, const F& f) {
  constexpr bool kTwoHalves = __is_same(T, bf16_t);  // transposed in pairs, widened afterwards
  constexpr int kDims = kTwoHalves ? 2 * kWidth : kWidth, kBytes = kDims * static_cast<int>(sizeof(T));
  const T* row = rows.first + key * rows.stride;
  for (int64_t d = 0; d < padded; d += kDims) {
    Vec block[kWidth];
    for (int i = 0; i < kWidth; ++i) {
      fetch<kBytes>(rows, key * padded + d * kWidth + i * kDims, i);
      if constexpr (kTwoHalves)
        block[i] = as_vec(load_pairs(row + i * rows.stride + d));
      else
        block[i] = load(row + i * rows.stride + d);
    }
    transpose(block);
    for (int i = 0; i < kWidth; ++i) {
      if (kDims > kWidth && i % 4 == 0 && padded - d <= i * (kDims / kWidth)) return;  // head_dim ends inside this block
      if constexpr (kTwoHalves)
        f(d + 2 * i, even_half(block[i])), f(d + 2 * i + 1, odd_half(block[i]));
      else
        f(d + i, block[i]);
    }
  }
}

/// Calls f(vector j of dimensions [d, d + C·kWidth), j) for j < C, of token i or, in pairs, of tokens i and i + 1 (see zip_parts).
template <int C, class T, class F>
ATTUNE_INLINE void for_each_value_vector(const Rows<T>& rows, int i, int64_t d, int64_t padded, const F& f) {
  const T* row = rows.first + i * rows.stride + d;
  if constexpr (kNativePairs) {
    constexpr int kVectors = kZipped<T>, kDims = kVectors * kWidth;
    for (int j = 0; j < C; j += kVectors) {
      fetch<64>(rows, i * padded + d + j * kWidth, 0), fetch<64>(rows, (i + 1) * padded + d + j * kWidth, 0);
      Pairs x[kVectors];
      zip_parts(row + j / kVectors * kDims, row + rows.stride + j / kVectors * kDims, x);
      for (int v = 0; v < kVectors; ++v) f(as_vec(x[v]), j + v);
    }
  } else {
    constexpr int kBytes = kWidth * static_cast<int>(sizeof(T));
    for (int j = 0; j < C; ++j) {
      fetch<kBytes>(rows, i * padded + d + j * kWidth, j);
      f(load(row + j * kWidth), j);
    }
  }
}

/// K of kGroup keys → [steps][kGroup] at `out`, kKeyTile floats apart.
template <class T>
void pack_keys(const Rows<T>& rows, int64_t padded, float* out) {
  if constexpr (!kNativePairs) {
    for (int key = 0; key < kGroup; key += kWidth)
      for_each_key_step(rows, key, padded, [&](int64_t step, Vec x) { store(out + step * kKeyTile + key, x); });
  } else {
    for (int64_t d = 0; d < padded; d += 64 / static_cast<int>(sizeof(T)))
      for (int part = 0; part < kParts<T>; ++part, out += kLanes * kKeyTile) {
        Vec block[kGroup];
        for (int key = 0; key < kGroup; ++key) {
          if (part == 0) fetch<64>(rows, key * padded + d, 0);
          Pairs x[kParts<T>];
          load_parts(rows.first + key * rows.stride + d, x);
          block[key] = as_vec(x[part]);
        }
        transpose(block);
        for (int lane = 0; lane < kLanes; ++lane) store(out + lane * kKeyTile, block[lane]);
      }
  }
}

/// V of kGroup tokens → [steps][padded] at `out`.
template <class T>
void pack_values(const Rows<T>& rows, int64_t padded, float* out) {
  for (int i = 0; i < kGroup; i += kPair)
    for (int64_t d = 0; d < padded; d += kZipped<T> * kWidth)
      for_each_value_vector<kZipped<T>>(rows, i, d, padded, [&](Vec x, int j) { store(out + i / kPair * padded + d + j * kWidth, x); });
}

/// Scores of R query rows for kGroup keys, without packing: the same chains of products as multiply().
template <int R, class T>
void score_by_keys(const Rows<T>& rows, const float* query, int64_t query_stride, int64_t padded, float* scores) {
  for (int key = 0; key < kGroup; key += kWidth) {
    Vec acc[R];
    for (Vec& a : acc) a = zero();
    for_each_key_step(rows, key, padded, [&](int64_t step, Vec x) {
      for (int r = 0; r < R; ++r) acc[r] = product(query + r * query_stride + step, x, acc[r]);
    });
    for (int r = 0; r < R; ++r) store(scores + r * kChunk + key, acc[r]);
  }
}

/// The same sums for `out` of K consecutive keys of all R rows, whose accumulators stand in acc[r·K + key].
template <int R, int K>
ATTUNE_INLINE void fold_scores(const Vec* acc, float* scores) {
  if constexpr (K == 16) {
    for (int r = 0; r < R; ++r) sums16(acc + r * K, scores + r * kChunk);
  } else if constexpr (K == 8) {
    for (int r = 0; r < R; ++r) sums8(acc + r * K, scores + r * kChunk);
  } else {
    static_assert(K == 4 && R == 4);
    float sums[16];
    sums16(acc, sums);
    for (int r = 0; r < R; ++r) __builtin_memcpy(scores + r * kChunk, sums + r * K, K * sizeof(float));
  }
}

/// Scores of R rows for kGroup keys from products of bf16 pairs: each lane sums its pairs of head_dim in rising order, then the lanes are folded.
template <int R, bool Ahead, class T>
void score_by_lanes(const Rows<T>& rows, const float* query, int64_t query_stride, int64_t padded, float* scores) {
  constexpr int K = R == 1 ? 16 : R <= 3 ? 8 : 4, kDims = 64 / static_cast<int>(sizeof(T));
  for (int key = 0; key < kGroup; key += K) {
    Vec acc[R * K], sums[R * K];
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < K; ++k) acc[r * K + k] = zero();
    const T* row = rows.first + key * rows.stride;
    int64_t ahead = key * padded;
    for (int64_t d = 0; d < padded; d += kDims) {
      Pairs q[R][kParts<T>];
      for (int r = 0; r < R; ++r)
        for (int part = 0; part < kParts<T>; ++part) q[r][part] = as_pairs(load(query + r * query_stride + d / 2 + part * kWidth));
      for (int k = 0; k < K; ++k, ahead += kDims) {
        if constexpr (Ahead) fetch<64>(rows, ahead, 0);
        Pairs x[kParts<T>];
        load_parts(row + k * rows.stride + d, x);
        for (int part = 0; part < kParts<T>; ++part)
          for (int r = 0; r < R; ++r) acc[r * K + k] = dot(q[r][part], x[part], acc[r * K + k]);
      }
    }
    for (int r = 0; r < R; ++r)  // a copy, so that the accumulators themselves stay in registers
      for (int k = 0; k < K; ++k) sums[r * K + k] = acc[r * K + k];
    fold_scores<R, K>(sums, scores + key);
  }
}

/// Scores of R query rows for kGroup keys, without packing. Rows are taken so that the accumulators of some keys stay in registers.
template <int R, class T>
void score_group(const Rows<T>& rows, const float* query, int64_t query_stride, int64_t padded, float* scores) {
  if constexpr (!kNativePairs) {
    score_by_keys<R>(rows, query, query_stride, padded, scores);
  } else {
    constexpr int kFirst = R <= 4 ? R : R <= 6 ? 3 : 4;
    fetch_far(rows, padded);
    score_by_lanes<kFirst, true>(rows, query, query_stride, padded, scores);
    if constexpr (R > kFirst) score_by_lanes<R - kFirst, false>(rows, query + kFirst * query_stride, query_stride, padded, scores + kFirst * kChunk);
  }
}

/// Adds kGroup tokens to C vectors of dimensions from d on of R output rows, without packing.
template <int R, int C, class T>
void weigh_columns(const Rows<T>& rows, const float* weights, int64_t d, float* out, int64_t padded) {
  Vec acc[R][C];
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < C; ++j) acc[r][j] = load(out + r * padded + d + j * kWidth);
  for (int i = 0; i < kGroup; i += kPair)
    for_each_value_vector<C>(rows, i, d, padded, [&](Vec x, int j) {
      for (int r = 0; r < R; ++r) acc[r][j] = product(weights + r * kChunk + i / kPair, x, acc[r][j]);
    });
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < C; ++j) store(out + r * padded + d + j * kWidth, acc[r][j]);
}

template <int R, class T>
void weigh_group(const Rows<T>& rows, const float* weights, int64_t padded, float* out) {
  constexpr int kMost = (kRegisters - 8) / R / (kFused ? 1 : 2), kVectors = kMost >= 8 ? 8 : kMost >= 4 ? 4 : kMost >= 2 ? 2 : 1;
  constexpr int kLeast = kZipped<T>;
  if constexpr (kVectors < kLeast) {
    weigh_group<R / 2>(rows, weights, padded, out);
    weigh_group<R - R / 2>(rows, weights + R / 2 * kChunk, padded, out + R / 2 * padded);
  } else {
    fetch_far(rows, padded);
    int64_t d = 0;
    for (; d + kVectors * kWidth <= padded; d += kVectors * kWidth) weigh_columns<R, kVectors>(rows, weights, d, out, padded);
    if constexpr (kVectors > 2 && kLeast < 2)
      for (; d + 2 * kWidth <= padded; d += 2 * kWidth) weigh_columns<R, 2>(rows, weights, d, out, padded);
    if constexpr (kVectors > kLeast)
      for (; d < padded; d += kLeast * kWidth) weigh_columns<R, kLeast>(rows, weights, d, out, padded);
  }
}

}  // namespace
}  // namespace attune::cpu::ATTUNE_ISA
