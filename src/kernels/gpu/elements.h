#pragma once

// Elements of tensors by type, one or four at a time.

#include <type_traits>

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

/// Four elements as they are stored, of which `left` exist (the others are zero bits), by one load where `aligned`.
template <class T>
__device__ inline Packed<T, 4> load_raw(const T* data, int64_t left, bool aligned) {
  if (aligned && left >= 4) return *reinterpret_cast<const Packed<T, 4>*>(data);
  Packed<T, 4> v = {};
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (j < left) v.x[j] = data[j];
  return v;
}

template <class T>
__device__ inline void store_raw(T* data, int64_t left, bool aligned, const Packed<T, 4>& v) {
  if (aligned && left >= 4) {
    *reinterpret_cast<Packed<T, 4>*>(data) = v;
    return;
  }
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (j < left) data[j] = v.x[j];
}

template <class T>
__device__ inline T rounded(float x) {
  if constexpr (std::is_same_v<T, f16_t>)
    return to_f16(x);
  else if constexpr (std::is_same_v<T, bf16_t>)
    return to_bf16(x);
  else if constexpr (std::is_same_v<T, f8_e4m3_t>)
    return to_f8_e4m3(x);
  else if constexpr (std::is_same_v<T, f8_e4m3fnuz_t>)
    return to_f8_e4m3fnuz(x);
  else
    return x;
}
template <class T>
__device__ inline Packed<T, 4> rounded(const float (&x)[4]) {
  return {{rounded<T>(x[0]), rounded<T>(x[1]), rounded<T>(x[2]), rounded<T>(x[3])}};
}

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

template <class T>
__device__ inline void store_packed(void* data, int64_t i, const Four& v) {
  *reinterpret_cast<Packed<T, 4>*>(static_cast<T*>(data) + i) = rounded<T>(v.x);
}

/// Any storage type.
__device__ inline void store_four(void* data, DType t, int64_t i, const Four& v) {
  switch (t) {
    case DType::f16: return store_packed<f16_t>(data, i, v);
    case DType::bf16: return store_packed<bf16_t>(data, i, v);
    case DType::f8_e4m3: return store_packed<f8_e4m3_t>(data, i, v);
    case DType::f8_e4m3fnuz: return store_packed<f8_e4m3fnuz_t>(data, i, v);
    default: return store_packed<float>(data, i, v);
  }
}

/// Elements [i, i + 4) of which `n` exist (the others read as zero), by one load where `aligned`.
__device__ inline Four load_four(const void* data, DType t, int64_t i, int64_t n, bool aligned) {
  if (aligned && n >= 4) return load_four(data, t, i);
  Four v = {};
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (j < n) v.x[j] = load_element(data, t, i + j);
  return v;
}

__device__ inline void store_four(void* data, DType t, int64_t i, int64_t n, bool aligned, const Four& v) {
  if (aligned && n >= 4) return store_four(data, t, i, v);
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (j < n) store_element(data, t, i + j, v.x[j]);
}

/// f(T{}) for the type T of f32, f16 or bf16. For the host.
template <class F>
void with_wide_type(DType t, F&& f) {
  switch (t) {
    case DType::f16: return f(f16_t{});
    case DType::bf16: return f(bf16_t{});
    default: return f(float{});
  }
}

/// True if rows of `t` that start `stride` elements apart at `data` are aligned to four elements. For the host.
inline bool fours_are_aligned(const void* data, DType t, int64_t stride) {
  return stride % 4 == 0 && reinterpret_cast<uintptr_t>(data) % (4 * size_of(t)) == 0;
}

}  // namespace attune::gpu
