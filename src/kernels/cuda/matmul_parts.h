#pragma once

// What the matmul kernels of this folder share: segments of weights, the epilogue, and copies that the copy engine cannot make.

#include "kernels/cuda/hopper.h"
#include "kernels/cuda/tensor_map.h"
#include "ops/matmul.h"

namespace attune::cuda {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

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

/// act(sum + bias[row]) + residual[m, n], stored in the output's type.
struct Epilogue {
  void* out;
  const float* residual;
  const void* bias[3];  // of each segment; null: none
  int64_t out_stride;
  DType out_dtype, bias_dtype;
  Activation activation;
};

inline Epilogue epilogue_of(const MatmulDesc& d, const MatmulParams& p) {
  Epilogue e{p.out, d.residual ? p.residual : nullptr, {}, p.out_stride, d.out_dtype, p.bias_dtype, d.activation};
  for (int s = 0; s < d.segments; ++s) e.bias[s] = d.bias ? p.segments[s].bias : nullptr;
  return e;
}

__device__ inline float load_wide(const void* data, DType t, int64_t i) {
  if (t == DType::f32) return static_cast<const float*>(data)[i];
  if (t == DType::f16) return to_float(static_cast<const f16_t*>(data)[i]);
  return to_float(static_cast<const bf16_t*>(data)[i]);
}

__device__ inline float bias_at(const Epilogue& e, int segment, int64_t row) {
  return e.bias[segment] ? load_wide(e.bias[segment], e.bias_dtype, row) : 0.0f;
}
__device__ inline float residual_at(const Epilogue& e, int64_t m, int64_t n) { return e.residual ? e.residual[m * e.out_stride + n] : 0.0f; }

__device__ inline float activated(Activation a, float x) {
  switch (a) {
    case Activation::silu: return x / (1.0f + expf(-x));
    case Activation::gelu_tanh: return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
    case Activation::gelu: return 0.5f * x * (1.0f + erff(x * 0.7071067811865476f));
    default: return x;
  }
}

__device__ inline void store_out(const Epilogue& e, int64_t m, int64_t n, float x) {
  const int64_t at = m * e.out_stride + n;
  if (e.out_dtype == DType::f32)
    static_cast<float*>(e.out)[at] = x;
  else if (e.out_dtype == DType::f16)
    static_cast<f16_t*>(e.out)[at] = to_f16(x);
  else
    static_cast<bf16_t*>(e.out)[at] = to_bf16(x);
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
