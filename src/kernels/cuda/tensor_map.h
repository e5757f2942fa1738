#pragma once

// What the copy engine is told of a matrix. The driver's encoder is looked up at run time.

#include <cuda.h>

#include <cstdint>

#include "core/dtype.h"

namespace attune::cuda {

inline constexpr int kBoxColumns = 64;  ///< of 16 bits: one row of the 128-byte swizzle

/// True if the copy engine can read rows of `stride` elements of 16 bits from `data` on.
inline bool is_mappable(const void* data, int64_t stride) { return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 8 == 0; }

/// The map of a row-major (rows, columns) matrix of bf16 or f16, read in boxes of (box_rows, kBoxColumns) with the 128-byte swizzle; elements
/// outside are zeros. Throws DeviceError if the driver refuses.
CUtensorMap matrix_map(const void* data, DType dtype, int64_t rows, int64_t columns, int64_t stride, int box_rows);

/// The same of a (rows, heads, columns) tensor whose heads follow each other, read in boxes of (box_rows, box_heads, kBoxColumns).
CUtensorMap heads_map(const void* data, DType dtype, int64_t rows, int64_t heads, int64_t columns, int64_t stride, int box_rows, int box_heads);

}  // namespace attune::cuda
