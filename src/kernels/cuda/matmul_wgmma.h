#pragma once

// What the page and the kernels of cuda.matmul.wgmma agree on. Plain C++.

#include "ops/matmul.h"

namespace attune::cuda {

inline constexpr int kWideRows = 128;  ///< of x, a block's tile

/// How an output is summed over K: in one chain, in the parts of cuda.matmul.skinny one after the other, or in those by a block each.
enum class Sums : uint8_t { whole, in_turn, halves };

/// How the output is cut; but for `sums` no bit of it depends on that.
struct WideShape {
  int columns = 256;  ///< rows of weights of a block's tile
  int blocks = 2;     ///< neighbours along M, in a cluster, that share the weights they read
  int stages = 4;     ///< of the ring
  int band = 8;       ///< tiles along N that are worked on together
  Sums sums = Sums::whole;
};

/// The ring, a pair of barriers a stage and one more.
constexpr int64_t wide_shared_memory(const WideShape& s) { return s.stages * (int64_t{128} * (kWideRows + s.columns) + 16) + 16; }
inline constexpr int64_t kMostWideMemory = wide_shared_memory({.columns = 192, .stages = 5});  ///< of all shapes

constexpr int wide_stages(int columns) { return columns <= 64 ? 8 : columns <= 128 ? 6 : columns <= 192 ? 5 : 4; }
constexpr WideShape shape_of(int columns, int blocks, Sums sums) {
  return {.columns = columns, .blocks = blocks, .stages = wide_stages(columns), .sums = sums};
}

/// Outputs of the segments, whose ends tiles do not cross. A desc tells only their sum.
struct Segments {
  int64_t rows[3];
  int64_t count;
};
constexpr Segments segments_of(const MatmulDesc& d) { return {{d.n}, 1}; }
constexpr Segments segments_of(const MatmulDesc& d, const MatmulParams& p) {
  return {{p.segments[0].rows, p.segments[1].rows, p.segments[2].rows}, d.segments};
}

/// Clocks that a call takes, roughly: waves of tiles over 132 multiprocessors, the steps of 64 along K of a tile (bound by shared memory where there
/// are few columns), and what a block that has a tile of its own does before and after them.
constexpr int64_t wide_clocks(const MatmulDesc& d, int64_t m, const Segments& segments, const WideShape& s) {
  const int64_t columns = d.gated ? s.columns / 2 : s.columns, rows = kWideRows * s.blocks, steps = (d.k + 63) / 64;
  int64_t tiles = 0;
  for (int64_t i = 0; i < segments.count; ++i) tiles += (segments.rows[i] + columns - 1) / columns * ((m + rows - 1) / rows);
  const int64_t step = s.columns <= 64 ? 448 : s.columns <= 128 ? 640 : s.columns <= 192 ? 850 : 1024;
  const int64_t at_once = 132 / (s.sums == Sums::halves ? 2 : s.blocks), waves = (tiles + at_once - 1) / at_once;
  return s.sums == Sums::halves ? waves * ((steps + 1) / 2 * step + 6000) : waves * steps * step;
}

constexpr WideShape wide_shape(const MatmulDesc& d, int64_t m, const Segments& segments) {
  const int most = m > kWideRows ? 2 : 1;
  WideShape best = shape_of(most == 2 ? 256 : 128, most, Sums::whole);
  for (const int columns : {192, 128})
    for (int blocks = most; blocks > 0; --blocks)
      if (const WideShape s = shape_of(columns, blocks, Sums::whole); wide_clocks(d, m, segments, s) < wide_clocks(d, m, segments, best)) best = s;
  return best;
}

constexpr WideShape wide_split_shape(const MatmulDesc& d, int64_t m, const Segments& segments) {
  const WideShape pair = shape_of(128, 2, Sums::in_turn), single = shape_of(128, 1, Sums::in_turn);
  return m > kWideRows && wide_clocks(d, m, segments, pair) <= wide_clocks(d, m, segments, single) ? pair : single;
}

constexpr WideShape halves_shape(const MatmulDesc& d, int64_t m, const Segments& segments) {
  WideShape best = shape_of(256, 1, Sums::halves);
  for (const int columns : {192, 128, 64})
    if (const WideShape s = shape_of(columns, 1, Sums::halves); wide_clocks(d, m, segments, s) < wide_clocks(d, m, segments, best)) best = s;
  return best;
}

/// Whether tiles of the largest size are so few that each has a cluster of two blocks at once.
constexpr bool halves_pay(const MatmulDesc& d) { return (d.n + 255) / 256 * ((d.rows + kWideRows - 1) / kWideRows) <= 66; }

constexpr int64_t wide_shared_memory_of(const MatmulDesc&) { return kMostWideMemory; }

}  // namespace attune::cuda
