#pragma once

// Elements of tensors by type, one or four at a time.

#include "core/dtype.h"
#include "kernels/gpu/portable.h"

namespace attune::gpu {

__device__ inline float load_element(const void* data, DType t, int64_t i) {
  switch (t) {
    case DType::f16: return to_float(static_cast<const f16_t*>(data)[i]);
    case DType::bf16: return to_float(static_cast<const bf16_t*>(data)[i]);
    case DType::f8_e4m3: return to_float(static_cast<const f8_e4m3_t*>(data)[i]);
    case DType::f8_e4m3fnuz: return to_float(static_cast<const f8_e4m3fnuz_t*>(data)[i]);
    default: return static_cast<const float*>(data)[i];
  }
}

__device__ inline void store_element(void* data, DType t, int64_t i, float x) {
  switch (t) {
    case DType::f16: static_cast<f16_t*>(data)[i] = to_f16(x); return;
    case DType::bf16: static_cast<bf16_t*>(data)[i] = to_bf16(x); return;
    case DType::f8_e4m3: static_cast<f8_e4m3_t*>(data)[i] = to_f8_e4m3(x); return;
    case DType::f8_e4m3fnuz: static_cast<f8_e4m3fnuz_t*>(data)[i] = to_f8_e4m3fnuz(x); return;
    default: static_cast<float*>(data)[i] = x; return;
  }
}

/// Four neighbouring elements as floats.
struct Four {
  float x[4];
};

/// `N` elements that move in one load or store; the address must be a multiple of their size.
template <class T, int N>
struct alignas(sizeof(T) * N) Packed {
  T x[N];
};

template <class T>
__device__ inline Four load_packed(const void* data, int64_t i) {
  const auto p = *reinterpret_cast<const Packed<T, 4>*>(static_cast<const T*>(data) + i);
  return {{to_float(p.x[0]), to_float(p.x[1]), to_float(p.x[2]), to_float(p.x[3])}};
}

/// Elements [i, i + 4) of f32, f16 or bf16; the first is aligned to four elements.
__device__ inline Four load_four(const void* data, DType t, int64_t i) {
  if (t == DType::bf16) return load_packed<bf16_t>(data, i);
  if (t == DType::f16) return load_packed<f16_t>(data, i);
  return load_packed<float>(data, i);
}

__device__ inline void store_four(void* data, DType t, int64_t i, const Four& v) {
  if (t == DType::bf16) {
    *reinterpret_cast<Packed<bf16_t, 4>*>(static_cast<bf16_t*>(data) + i) = {{to_bf16(v.x[0]), to_bf16(v.x[1]), to_bf16(v.x[2]), to_bf16(v.x[3])}};
  } else if (t == DType::f16) {
    *reinterpret_cast<Packed<f16_t, 4>*>(static_cast<f16_t*>(data) + i) = {{to_f16(v.x[0]), to_f16(v.x[1]), to_f16(v.x[2]), to_f16(v.x[3])}};
  } else {
    *reinterpret_cast<Packed<float, 4>*>(static_cast<float*>(data) + i) = {{v.x[0], v.x[1], v.x[2], v.x[3]}};
  }
}

/// Elements [i, i + 4) of which `n` exist (the others read as zero), by one load where `aligned`.
__device__ inline Four load_four(const void* data, DType t, int64_t i, int64_t n, bool aligned) {
  if (aligned && n >= 4) return load_four(data, t, i);
  Four v = {};
  for (int j = 0; j < 4; ++j)
    if (j < n) v.x[j] = load_element(data, t, i + j);
  return v;
}

__device__ inline void store_four(void* data, DType t, int64_t i, int64_t n, bool aligned, const Four& v) {
  if (aligned && n >= 4) return store_four(data, t, i, v);
  for (int j = 0; j < 4; ++j)
    if (j < n) store_element(data, t, i + j, v.x[j]);
}

/// True if rows of `t` that start `stride` elements apart at `data` are aligned to four elements. For the host.
inline bool fours_are_aligned(const void* data, DType t, int64_t stride) {
  return stride % 4 == 0 && reinterpret_cast<uintptr_t>(data) % (4 * size_of(t)) == 0;
}

}  // namespace attune::gpu
