#include "kernels/cuda/tensor_map.h"

#include <cuda_runtime.h>
#include <fmt/ranges.h>

#include "core/error.h"

namespace attune::cuda {
namespace {

using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                            const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

Encode find_encoder() {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
  if (error != cudaSuccess || result != cudaDriverEntryPointSuccess)
    fail(ErrorCode::device_error, "cuTensorMapEncodeTiled", "a driver that has it", cudaGetErrorString(error));
  return reinterpret_cast<Encode>(found);
}

/// Sizes and box from the innermost dimension on; strides in elements, without the innermost.
template <int kRank>
CUtensorMap map_of(const void* data, DType dtype, const cuuint64_t (&sizes)[kRank], const int64_t (&strides)[kRank - 1],
                   const cuuint32_t (&box)[kRank]) {
  static const Encode encode = find_encoder();
  CUtensorMap map;
  cuuint64_t bytes[kRank - 1];
  for (int i = 0; i < kRank - 1; ++i) bytes[i] = static_cast<cuuint64_t>(strides[i]) * 2;
  cuuint32_t steps[kRank];
  for (cuuint32_t& step : steps) step = 1;
  const CUresult result = encode(&map, dtype == DType::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, kRank,
                                 const_cast<void*>(data), sizes, bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    fail(ErrorCode::device_error, "cuTensorMapEncodeTiled", "success",
         fmt::format("{} for ({}) by {}", static_cast<int>(result), fmt::join(sizes, ", "), fmt::join(strides, ", ")));
  return map;
}

}  // namespace

CUtensorMap matrix_map(const void* data, DType dtype, int64_t rows, int64_t columns, int64_t stride, int box_rows) {
  return map_of<2>(data, dtype, {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(rows)}, {stride},
                   {kBoxColumns, static_cast<cuuint32_t>(box_rows)});
}

CUtensorMap heads_map(const void* data, DType dtype, int64_t rows, int64_t heads, int64_t columns, int64_t stride, int box_rows, int box_heads) {
  return map_of<3>(data, dtype, {static_cast<cuuint64_t>(columns), static_cast<cuuint64_t>(heads), static_cast<cuuint64_t>(rows)}, {columns, stride},
                   {kBoxColumns, static_cast<cuuint32_t>(box_heads), static_cast<cuuint32_t>(box_rows)});
}

}  // namespace attune::cuda
