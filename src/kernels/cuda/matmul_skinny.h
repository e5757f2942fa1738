#pragma once

// What the page and the kernel of cuda.matmul.skinny agree on. Plain C++.

#include "ops/matmul.h"

namespace attune::cuda {

inline constexpr int kSplit = 4;          ///< parts of K: the blocks of a cluster
inline constexpr int64_t kMostRows = 64;  ///< of x
inline constexpr int kMostClusters = 33;  ///< at work at once: one block a multiprocessor of an H100 or H200

/// How the work is cut; no bit of the result depends on it.
struct SkinnyShape {
  int tiles = 1;    ///< of 64 rows of weights that a cluster works on at once
  int depth = 2;    ///< steps of 64 along K a stage
  int stages = 5;   ///< of the ring
  int buffers = 2;  ///< for partial sums
  int clusters = kMostClusters;
  int split = kSplit;
};

/// Rows of x that the products are made for.
constexpr int skinny_rows(int64_t m) { return m <= 8 ? 8 : m <= 16 ? 16 : m <= 32 ? 32 : 64; }

constexpr int64_t skinny_shared_memory(int rows, const SkinnyShape& s) {
  const int64_t stage = static_cast<int64_t>(s.depth) * 128 * (s.tiles * 64 + rows),
                part = static_cast<int64_t>(s.tiles) * 4 / s.split * rows / 8 * 512;
  return s.stages * (stage + 16) + s.buffers * s.split * part + 32;
}

/// The shape for a call: two blocks fit a multiprocessor, so that the successor's can begin.
constexpr SkinnyShape skinny_shape(const MatmulDesc&, int64_t m) {
  SkinnyShape s;
  if (m > 32)
    s = {.tiles = 2, .depth = 1, .stages = 3, .buffers = 1};
  else if (m > 16)
    s = {.tiles = 2, .depth = 1, .stages = 4, .buffers = 1};
  return s;
}

/// The most that a call within the desc's bucket asks for.
constexpr int64_t skinny_shared_memory_of(const MatmulDesc& d) {
  int64_t most = 0;
  for (int64_t m = 1; m <= d.rows && m <= kMostRows; m = skinny_rows(m) + 1) {
    const int64_t bytes = skinny_shared_memory(skinny_rows(m), skinny_shape(d, m));
    most = bytes > most ? bytes : most;
  }
  return most;
}

}  // namespace attune::cuda
