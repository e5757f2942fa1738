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

/// out[R][C vectors] = Σ over lanes and blocks of a · b: a holds one pair for each row (`a_row` apart), b the pairs of C·kWidth columns.
template <int R, int C>
ATTUNE_INLINE void multiply_lanes(const float* a, int64_t a_row, LaneStrides as, const float* b, LaneStrides bs, int64_t blocks, float* out,
                                  int64_t out_row) {
  constexpr int kLevels = 4;
  alignas(64) float pending[kLevels][R][C][kWidth];
  for (int i = 0; i < kLanes; ++i) {
    Vec acc[R][C];
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) acc[r][c] = zero();
    const float *x = a + kLaneOrder[i] * as.lane, *w = b + kLaneOrder[i] * bs.lane;
    for (int64_t block = 0; block < blocks; ++block, x += as.block, w += bs.block) {
      Vec column[C];
      for (int c = 0; c < C; ++c) column[c] = load(w + c * kWidth);
      for (int r = 0; r < R; ++r) {
        const Vec row = broadcast(x[r * a_row]);
        for (int c = 0; c < C; ++c) acc[r][c] = dot(as_pairs(row), as_pairs(column[c]), acc[r][c]);
      }
    }
    int level = 0;
    for (; (i >> level & 1) != 0; ++level)
      for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) acc[r][c] = acc[r][c] + load(pending[level][r][c]);
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) store(level < kLevels ? pending[level][r][c] : out + r * out_row + c * kWidth, acc[r][c]);
  }
}

}  // namespace attune::cpu::ATTUNE_ISA
