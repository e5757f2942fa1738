#pragma once

// What the page and the kernel of cuda.matmul.wgmma agree on. Plain C++.

#include "ops/matmul.h"

namespace attune::cuda {

inline constexpr int kWideRows = 128;  ///< of x, a block's tile

/// How the output is cut; but for `splits` no bit of it depends on that.
struct WideShape {
  int columns = 256;    ///< rows of weights of a block's tile
  int blocks = 2;       ///< of a cluster: neighbours along M that share the weights they read
  int stages = 4;       ///< of the ring
  int band = 8;         ///< tiles along N that are worked on together
  bool splits = false;  ///< sums over K in the parts of cuda.matmul.skinny
};

constexpr int64_t wide_shared_memory(const WideShape& s) { return s.stages * (int64_t{128} * (kWideRows + s.columns) + 16); }

/// Rows of weights that a call reads.
constexpr int64_t weight_rows(const MatmulDesc& d) { return d.gated ? 2 * d.n : d.n; }

/// The largest tiles that give every multiprocessor some of them.
constexpr WideShape wide_shape(const MatmulDesc& d, int64_t m) {
  const int64_t rows = (m + kWideRows - 1) / kWideRows;
  if (rows > 1 && (rows + 1) / 2 * ((weight_rows(d) + 255) / 256) >= 50) return {};
  if (rows > 1 && (rows + 1) / 2 * ((weight_rows(d) + 127) / 128) >= 50) return {.columns = 128, .blocks = 2, .stages = 6};
  return {.columns = 128, .blocks = 1, .stages = 6};
}

constexpr WideShape wide_split_shape(const MatmulDesc& d, int64_t m) {
  WideShape s = wide_shape(d, m);
  if (s.columns == 256) s = {.columns = 128, .blocks = 2, .stages = 6};
  s.splits = true;
  return s;
}

constexpr int64_t wide_shared_memory_of(const MatmulDesc& d) { return wide_shared_memory(wide_shape(d, d.rows)); }

constexpr int64_t wide_split_shared_memory_of(const MatmulDesc& d) { return wide_shared_memory(wide_split_shape(d, d.rows)); }

}  // namespace attune::cuda
