#pragma once

// What the page and the kernel of cuda.matmul.skinny agree on. Plain C++.

#include "ops/matmul.h"

namespace attune::cuda {

inline constexpr int kSplit = 2;          ///< parts of K: the blocks of a cluster
inline constexpr int kDepth = 2;          ///< steps of 64 along K a stage of the ring
inline constexpr int64_t kMostRows = 64;  ///< of x

/// How the work is laid out; no bit of the result depends on it.
struct SkinnyShape {
  int stages = 6;      ///< of the ring
  int clusters = 132;  ///< at work at once
};

/// Rows of x that the products are made for.
constexpr int skinny_rows(int64_t m) { return m <= 8 ? 8 : m <= 16 ? 16 : m <= 32 ? 32 : 64; }

/// The fewest tiles that a call for `d` can have.
constexpr int64_t skinny_tiles(const MatmulDesc& d) { return ((d.gated ? 2 : 1) * d.n + 63) / 64; }

/// For few rows two blocks share a multiprocessor, so that the successor's can begin, unless each cluster has but one tile: then the successor would
/// only take its bandwidth, and have nothing left to ask for while it waits for what comes between. Else the ring takes all of the memory.
constexpr SkinnyShape skinny_shape(const MatmulDesc& d, int rows) {
  constexpr int kWhole = 66;  // clusters with a multiprocessor a block
  if (rows <= 32 && skinny_tiles(d) > kWhole) return {.stages = rows == 8 ? 6 : rows == 16 ? 5 : 4, .clusters = 2 * kWhole};
  return {.stages = rows == 8 ? 12 : rows == 16 ? 11 : rows == 32 ? 8 : 6, .clusters = kWhole};
}

constexpr int64_t skinny_shared_memory(int rows, const SkinnyShape& s) {
  const int64_t stage = int64_t{kDepth} * 128 * (64 + rows), part = int64_t{4} / kSplit * rows / 8 * 512;
  return s.stages * (stage + 16) + kSplit * part + 16;
}

/// The most that a call within the desc's bucket asks for.
constexpr int64_t skinny_shared_memory_of(const MatmulDesc& d) {
  int64_t most = 0;
  for (const int rows : {8, 16, 32, 64}) {
    if (rows > skinny_rows(d.rows)) break;
    const int64_t bytes = skinny_shared_memory(rows, skinny_shape(d, rows));
    most = bytes > most ? bytes : most;
  }
  return most;
}

}  // namespace attune::cuda
