#pragma once

// Sums by lanes, with lanes of another kind. Where a vector runs along the sum (one row of weights, one key), each of its sixteen lanes sums its own
// pairs and sum() folds the lanes. Here vectors run along columns instead: the sixteen chains follow each other, and are folded by the same tree, so
// that the bits are the same while nothing has to be added across a vector.

#include "kernels/cpu/simd_tiles.h"

namespace attune::cpu::ATTUNE_ISA {

inline constexpr int kLanes = 16;
inline constexpr int kLaneOrder[kLanes] = {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15};  // neighbours are what sum() adds first

/// Where element (row or column vector, lane, block) of a packed operand stands, in floats; a float holds one pair.
struct LaneStrides {
  int64_t lane, block;
};

/// out[R][C vectors] = Σ over lanes and blocks of a · b: a holds one pair for each row (`a_row` apart), b the pairs of C·kWidth columns. Two lanes at
/// a time where the registers hold both: what they add up to is stored half as often.
template <int R, int C>
ATTUNE_INLINE void multiply_lanes(const float* a, int64_t a_row, LaneStrides as, const float* b, LaneStrides bs, int64_t blocks, float* out,
                                  int64_t out_row) {
  constexpr int kAtOnce = 2 * R * C <= kRegisters - 8 ? 2 : 1, kFirstLevel = kAtOnce - 1, kLevels = 4;
  alignas(64) float pending[kLevels][R][C][kWidth];
  for (int i = 0; i < kLanes; i += kAtOnce) {
    Vec acc[kAtOnce][R][C];
    for (int n = 0; n < kAtOnce; ++n)
      for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) acc[n][r][c] = zero();
    const float *x[kAtOnce], *w[kAtOnce];
    for (int n = 0; n < kAtOnce; ++n) x[n] = a + kLaneOrder[i + n] * as.lane, w[n] = b + kLaneOrder[i + n] * bs.lane;
    for (int64_t block = 0; block < blocks; ++block) {
      for (int n = 0; n < kAtOnce; ++n) {
        Vec column[C];
        for (int c = 0; c < C; ++c) column[c] = load(w[n] + block * bs.block + c * kWidth);
        for (int r = 0; r < R; ++r) {
          const Vec row = broadcast(x[n][block * as.block + r * a_row]);
          for (int c = 0; c < C; ++c) acc[n][r][c] = dot(as_pairs(row), as_pairs(column[c]), acc[n][r][c]);
        }
      }
    }
    if constexpr (kAtOnce == 2)
      for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) acc[0][r][c] = acc[1][r][c] + acc[0][r][c];
    const int last = i + kFirstLevel;
    int level = kFirstLevel;
    for (; (last >> level & 1) != 0; ++level)
      for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) acc[0][r][c] = acc[0][r][c] + load(pending[level][r][c]);
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) store(level < kLevels ? pending[level][r][c] : out + r * out_row + c * kWidth, acc[0][r][c]);
  }
}

}  // namespace attune::cpu::ATTUNE_ISA
