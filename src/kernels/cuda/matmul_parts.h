#pragma once

// What the matmul kernels of this folder share: segments of weights, the epilogue, and copies that the copy engine cannot make.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "kernels/cuda/hopper.h"
#include "kernels/cuda/tensor_map.h"
#include "kernels/gpu/math.h"
#include "ops/matmul.h"

namespace attune::cuda {

inline constexpr int kMultiprocessors = 132;  ///< of an H100 or H200 with SXM; a grid for another number is correct, not best

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <bool kHalf>
using Element = std::conditional_t<kHalf, __half, __nv_bfloat16>;

/// A matrix of 16-bit elements as the producer reads it: by its map, or element by element where its address or stride forbids one.
struct Matrix {
  CUtensorMap map;
  const uint16_t* data;
  int64_t stride, rows;
  bool mapped;
};

inline Matrix matrix_of(const void* data, DType dtype, int64_t rows, int64_t columns, int64_t stride, int box_rows) {
  Matrix m{{}, static_cast<const uint16_t*>(data), stride, rows, is_mappable(data, stride)};
  if (m.mapped) m.map = matrix_map(data, dtype, rows, columns, stride, box_rows);
  return m;
}

/// act(sum + bias[row]) (gated: times the other sum + up_bias[row]) + residual[m, n], stored in the output's type.
struct Epilogue {
  void* out;
  const float* residual;
  const void *bias[3], *up_bias[3];  // of each segment; null: none
  int64_t out_stride;
  DType out_dtype, bias_dtype;
  Activation activation;
  bool gated;
};

inline Epilogue epilogue_of(const MatmulDesc& d, const MatmulParams& p) {
  Epilogue e{p.out, d.residual ? p.residual : nullptr, {}, {}, p.out_stride, d.out_dtype, p.bias_dtype, d.activation, d.gated};
  for (int s = 0; s < d.segments && d.bias; ++s) e.bias[s] = p.segments[s].bias, e.up_bias[s] = p.segments[s].up_bias;
  return e;
}

__device__ inline float load_wide(const void* data, DType t, int64_t i) {
  if (t == DType::f32) return static_cast<const float*>(data)[i];
  return t == DType::f16 ? __half2float(static_cast<const __half*>(data)[i]) : __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
}

__device__ inline float bias_at(const Epilogue& e, const void* bias, int64_t row) { return bias ? load_wide(bias, e.bias_dtype, row) : 0.0f; }
__device__ inline float residual_at(const Epilogue& e, int64_t m, int64_t n) { return e.residual ? e.residual[m * e.out_stride + n] : 0.0f; }

/// x·σ(z).
__device__ inline float gated(float x, float z) { return __fdividef(x, __fadd_rn(1.0f, __expf(-z))); }

/// The tanh form of GELU is x·σ(1.5957691 x + 0.071354816 x³), since (1 + tanh u) / 2 = σ(2u). Nothing contracts, so that kernels agree on the bits.
__device__ inline float activated(Activation a, float x) {
  if (a == Activation::silu) return gated(x, x);
  if (a == Activation::gelu_tanh) return gated(x, __fmul_rn(x, __fmaf_rn(__fmul_rn(0.07135481627f, x), x, 1.5957691216f)));
  if (a == Activation::gelu) return __fmul_rn(__fmul_rn(0.5f, x), __fadd_rn(1.0f, erff(__fmul_rn(x, 0.7071067811865476f))));
  return x;
}

/// The product of a gate and its factor: the bits of gpu.activation.elementwise.
__device__ inline float gated_by(Activation a, float gate, float up) { return __fmul_rn(gpu::activate(a, gate), up); }

__device__ inline void store_wide(void* data, DType t, int64_t i, float x) {
  if (t == DType::f32)
    static_cast<float*>(data)[i] = x;
  else
    static_cast<uint16_t*>(data)[i] = t == DType::f16 ? __half_as_ushort(__float2half_rn(x)) : __bfloat16_as_ushort(__float2bfloat16_rn(x));
}

/// Two neighbouring values as 16-bit floats, the first in the low half.
__device__ inline uint32_t packed(bool is_f16, float first, float second) {
  uint32_t f16, bf16;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(f16) : "f"(second), "f"(first));
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bf16) : "f"(second), "f"(first));
  return is_f16 ? f16 : bf16;
}

/// What copy_box does, by the 32 threads of a warp: rows [row, row + box_rows) of 64 elements from `column` on, of `columns` in all.
__device__ inline void copy_elements(unsigned char* to, const Matrix& m, int64_t columns, int64_t column, int64_t row, int box_rows, int lane) {
  for (int i = lane; i < box_rows * kBoxColumns; i += 32) {
    const int r = i / kBoxColumns, c = i % kBoxColumns;
    const bool inside = row + r < m.rows && column + c < columns;
    const uint16_t x = inside ? m.data[(row + r) * m.stride + column + c] : uint16_t{0};
    *reinterpret_cast<uint16_t*>(to + r * 128 + ((c / 8) ^ (r % 8)) * 16 + c % 8 * 2) = x;
  }
  fence_async();
}

}  // namespace attune::cuda
