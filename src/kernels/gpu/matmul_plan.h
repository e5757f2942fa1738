#pragma once

// What the page and the kernel of gpu.matmul.plain agree on. Plain C++.

#include "ops/matmul.h"

namespace attune::gpu {

inline constexpr int kMatmulPart = 1024;   ///< elements of K in shared memory
inline constexpr int kMostMatmulRows = 8;  ///< of a block
constexpr int matmul_rows(int64_t m) { return m == 1 ? 1 : m <= 4 ? 4 : kMostMatmulRows; }
/// A part of each row of x, and its scale.
constexpr int64_t matmul_tile_bytes(int rows) { return rows * (kMatmulPart + 1) * static_cast<int64_t>(sizeof(float)); }
/// The most that a call within the desc's bucket asks for.
constexpr int64_t matmul_shared_memory(const MatmulDesc& d) { return matmul_tile_bytes(matmul_rows(d.rows)); }

}  // namespace attune::gpu
