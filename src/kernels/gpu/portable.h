#pragma once

// The seam between the portable kernels and the vendors: CUDA (nvcc) and HIP (clang). Everything a portable kernel uses beyond plain C++ has a
// name here; the kernels themselves know no vendor. Arithmetic is IEEE and spelled out (the sources are compiled without contraction of a·b + c
// and without flushing of subnormals), so that one source gives the same bits on every GPU.

#include <bit>
#include <cstdint>

#include "device/device.h"

#if defined(__HIP__)
#include <hip/hip_runtime.h>
#else
#include <cuda_runtime.h>
#endif

namespace attune::gpu {

#if defined(__HIP__)

inline constexpr DeviceKind kDevice = DeviceKind::hip;
using Stream = hipStream_t;

/// The text of the last launch's error, or null.
inline const char* last_error() {
  const hipError_t e = hipGetLastError();
  return e == hipSuccess ? nullptr : hipGetErrorString(e);
}

/// `x` of the thread whose index in the warp differs by the bits of `mask`; every thread of the warp takes part.
__device__ inline float shuffle_xor(float x, int mask) { return __shfl_xor(x, mask); }

#else

inline constexpr DeviceKind kDevice = DeviceKind::cuda;
using Stream = cudaStream_t;

inline const char* last_error() {
  const cudaError_t e = cudaGetLastError();
  return e == cudaSuccess ? nullptr : cudaGetErrorString(e);
}

__device__ inline float shuffle_xor(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }

#endif

/// Reductions run over this many neighbouring threads: a warp of 32, or either half of one of 64, so that their order is the same.
inline constexpr int kLanes = 32;

__device__ inline int thread_index() { return static_cast<int>(threadIdx.x); }
__device__ inline int64_t block_index() { return static_cast<int64_t>(blockIdx.x); }
__device__ inline int64_t block_count() { return static_cast<int64_t>(gridDim.x); }

/// Waits for all threads of the block; what they wrote to shared memory is then visible.
__device__ inline void block_sync() { __syncthreads(); }

/// The block's dynamic shared memory, 16-byte aligned.
__device__ inline unsigned char* shared_memory() {
  extern __shared__ uint4 memory[];
  return reinterpret_cast<unsigned char*>(memory);
}

/// Starts `kernel` on `blocks` blocks of `threads` threads; null, or the text of what went wrong.
template <class... Parameters, class... Arguments>
const char* launch(void (*kernel)(Parameters...), int64_t blocks, int threads, int64_t shared_bytes, void* stream, const Arguments&... arguments) {
  kernel<<<dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), static_cast<size_t>(shared_bytes),
           static_cast<Stream>(stream)>>>(arguments...);
  return last_error();
}

/// 16 bytes that move in one load; the address must be a multiple of 16.
struct alignas(16) Vector16 {
  uint32_t words[4];
};

// ---- reductions ---------------------------------------------------------------------------------------------------------------------------

/// The sum over groups of `width` neighbouring threads (a power of two ≤ kLanes), the same bits in each of them.
__device__ inline float sum_over(float x, int width) {
  for (int mask = width / 2; mask > 0; mask /= 2) x = x + shuffle_xor(x, mask);
  return x;
}

__device__ inline float max_over(float x, int width) {
  for (int mask = width / 2; mask > 0; mask /= 2) x = fmaxf(x, shuffle_xor(x, mask));
  return x;
}

// ---- elementary functions: fma, adders and one polynomial, so equal bits on every device ------------------------------------------------------

__device__ inline float fma(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline float larger(float a, float b) { return fmaxf(a, b); }

/// Correctly rounded square root, as a function object for ops/attention_math.h.
struct SquareRoot {
  __host__ __device__ float operator()(float x) const { return sqrtf(x); }
};

/// 2ⁿ for −126 ≤ n ≤ 127.
__device__ inline float power_of_two(int n) { return std::bit_cast<float>(static_cast<uint32_t>(n + 127) << 23); }

/// e^x, error below 2 units in the last place; exp(0) is 1, exp(−∞) is 0.
__device__ inline float exp(float x) {
  const float y = x < -104.0f ? -104.0f : x > 88.7f ? 88.7f : x;
  const float n = rintf(y * 1.44269504f);
  const float r = fma(n, 1.43241613e-6f, fma(n, -0.693148613f, y));  // y − n·ln 2, ln 2 in two parts
  float p = 1.98412698e-4f;
  p = fma(p, r, 1.38888889e-3f);
  p = fma(p, r, 8.33333333e-3f);
  p = fma(p, r, 4.16666667e-2f);
  p = fma(p, r, 1.66666667e-1f);
  p = fma(p, r, 0.5f);
  p = fma(p, r, 1.0f);
  p = fma(p, r, 1.0f);
  const int whole = static_cast<int>(n), half = whole / 2;  // two factors: 2ⁿ alone may be subnormal
  return p * power_of_two(half) * power_of_two(whole - half);
}

/// tanh x: its series where x is small, else by the exponential; no overflow for any x.
__device__ inline float tanh(float x) {
  const float a = fabsf(x), s = x * x;
  if (a < 0.25f) return fma(x * s, fma(s, fma(s, fma(s, 2.18694885e-2f, -5.39682540e-2f), 1.33333333e-1f), -3.33333333e-1f), x);
  return copysignf(1.0f - 2.0f / (exp(a < 10.0f ? 2.0f * a : 20.0f) + 1.0f), x);
}

/// ln x of a positive normal number.
__device__ inline float log(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x) - 0x3f3504f3u;  // the mantissa into [√½, √2)
  const float e = static_cast<float>(static_cast<int32_t>(bits) >> 23);
  const float f = std::bit_cast<float>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  const float s = f / (f + 2.0f), z = s * s;  // ln((1 + s) / (1 − s))
  const float tail = z * fma(z, fma(z, fma(z, 2.22222222e-1f, 2.85714286e-1f), 4.00000000e-1f), 6.66666667e-1f);
  return fma(e, 0.693147182f, fma(s, tail, fma(e, -1.90465421e-9f, 2.0f * s)));
}

}  // namespace attune::gpu
