#pragma once

// What attention needs of sm_90a beyond hopper.h and warpgroup.h: barriers of a part of the block, matrix fragments and fast functions.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/hopper.h"
#include "kernels/cuda/warpgroup.h"

namespace attune::cuda {

/// Waits for `threads` threads that name the same barrier (1..15; 0 is the block's).
__device__ __forceinline__ void named_sync(int barrier, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory"); }

/// What all lanes have, so that the compiler knows: descriptors of products then cost few instructions and no vector registers.
__device__ __forceinline__ uint32_t of_first(uint32_t x) { return __shfl_sync(~0u, x, 0); }

/// Copies `bytes`, a multiple of 16 as are both addresses.
__device__ __forceinline__ void copy_bytes(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes),
               "r"(barrier)
               : "memory");
}

__device__ __forceinline__ int load_acquire(const int* from) {
  int x;
  asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(x) : "l"(from) : "memory");
  return x;
}

// ---- matrix fragments -----------------------------------------------------------------------------------------------------------------------

/// Stores 8×8 matrices of 16-bit elements, transposed: lanes 8i..8i+7 name the rows of matrix i.
__device__ __forceinline__ void store_transposed(uint32_t row, uint32_t a, uint32_t b) {
  asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(row), "r"(a), "r"(b) : "memory");
}
__device__ __forceinline__ void store_transposed(uint32_t row, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
}
__device__ __forceinline__ void load_transposed(uint32_t (&m)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(row)
               : "memory");
}
__device__ __forceinline__ void load_matrices(uint32_t (&m)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(row)
               : "memory");
}
__device__ __forceinline__ uint4 load_16(uint32_t address) {
  uint4 x;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w) : "r"(address) : "memory");
  return x;
}

/// Loads from shared memory, here and not where the values are used.
__device__ __forceinline__ void load_now(uint32_t from, float& a, float& b, float& c, float& d) {
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "r"(from));
}
/// Loads here and not where the values are used.
__device__ __forceinline__ void load_now(const float4* from, float& a, float& b, float& c, float& d) {
  asm volatile("ld.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "l"(from));
}

/// Two bytes of e4m3 (the low half) to two halves.
__device__ __forceinline__ uint32_t halves_of_e4m3(uint32_t two) {
  uint32_t h;
  asm("{\n.reg .b16 x, y;\nmov.b32 {x, y}, %1;\ncvt.rn.f16x2.e4m3x2 %0, x;\n}" : "=r"(h) : "r"(two));
  return h;
}
/// The same of the high half.
__device__ __forceinline__ uint32_t halves_of_e4m3_high(uint32_t two) {
  uint32_t h;
  asm("{\n.reg .b16 x, y;\nmov.b32 {x, y}, %1;\ncvt.rn.f16x2.e4m3x2 %0, y;\n}" : "=r"(h) : "r"(two));
  return h;
}

__device__ __forceinline__ uint32_t pack(float low, float high, __nv_bfloat16) {
  uint32_t x;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(x) : "f"(high), "f"(low));
  return x;
}
__device__ __forceinline__ uint32_t pack(float low, float high, __half) {
  uint32_t x;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(x) : "f"(high), "f"(low));
  return x;
}

__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float log2_fast(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Keeps the compiler from moving what it computes for these registers past this point.
template <int Size>
__device__ __forceinline__ void pin(float (&x)[Size]) {
#pragma unroll
  for (int i = 0; i < Size; ++i) asm volatile("" : "+f"(x[i])::"memory");
}

}  // namespace attune::cuda
