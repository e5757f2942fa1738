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

template <class... Parameters, class... Arguments>
const char* launch_after(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes, Stream stream,
                         const Arguments&... arguments) {
  kernel<<<blocks, threads, shared_bytes, stream>>>(arguments...);
  return last_error();
}

/// Lets the launch behind take its places; what follows may read what no launch writes. take_turn() comes after.
__device__ inline void let_next_start() {}

/// Opens every other kernel: the launch behind may take its places now; goes on when all that was launched before is done and visible.
__device__ inline void take_turn() {}

/// `x` of the thread whose index in the warp differs by the bits of `mask`; every thread of the warp takes part.
__device__ inline float shuffle_xor(float x, int mask) { return __shfl_xor(x, mask); }

#else

inline constexpr DeviceKind kDevice = DeviceKind::cuda;
using Stream = cudaStream_t;

inline const char* last_error() {
  const cudaError_t e = cudaGetLastError();
  return e == cudaSuccess ? nullptr : cudaGetErrorString(e);
}

// A launch may start while the one before it ends (programmatic dependent launch): take_turn() is where it waits. One of few blocks asks for the
// division of L1 that big kernels have, so that it may stand beside one; many blocks need L1 for what they have in flight.
template <class... Parameters, class... Arguments>
const char* launch_after(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes, Stream stream,
                         const Arguments&... arguments) {
  cudaLaunchAttribute wishes[2] = {};
  wishes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization, wishes[0].val.programmaticStreamSerializationAllowed = 1;
  wishes[1].id = cudaLaunchAttributePreferredSharedMemoryCarveout, wishes[1].val.sharedMemCarveout = cudaSharedmemCarveoutMaxShared;
  cudaLaunchConfig_t config{};
  config.gridDim = blocks, config.blockDim = threads, config.dynamicSmemBytes = shared_bytes, config.stream = stream;
  config.attrs = wishes, config.numAttrs = blocks.x > 132 ? 1 : 2;
  const cudaError_t e = cudaLaunchKernelEx(&config, kernel, arguments...);
  if (e != cudaSuccess) cudaGetLastError();
  return e == cudaSuccess ? nullptr : cudaGetErrorString(e);
}

__device__ inline void let_next_start() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
__device__ inline void take_turn() { asm volatile("griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;" ::: "memory"); }

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

/// Adds to a word that other threads of the block change as well; what it was before. And the same for setting bits.
__device__ inline uint32_t add_to(uint32_t* word, uint32_t x) { return atomicAdd(word, x); }
__device__ inline void set_bits(uint32_t* word, uint32_t bits) { atomicOr(word, bits); }

/// Starts `kernel` on `blocks` blocks of `threads` threads; null, or the text of what went wrong.
template <class... Parameters, class... Arguments>
const char* launch(void (*kernel)(Parameters...), int64_t blocks, int threads, int64_t shared_bytes, void* stream, const Arguments&... arguments) {
  return launch_after(kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), static_cast<size_t>(shared_bytes),
                      static_cast<Stream>(stream), arguments...);
}

/// 16 bytes that move in one load; the address must be a multiple of 16.
struct alignas(16) Vector16 {
  uint32_t words[4];
};

/// a / b of numbers that are not negative; cheap where 32 bits hold both.
__device__ inline int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}

/// Blocks of a launch whose blocks take units of work in turn.
inline constexpr int64_t kMostBlocks = 65536;
constexpr int64_t blocks_for(int64_t units) { return units < kMostBlocks ? units : kMostBlocks; }

/// The same where a block goes on from unit to unit and loads ahead: as many a multiprocessor of a large GPU as it has room for.
constexpr int64_t blocks_at_work(int64_t units, int a_multiprocessor) { return units < 132 * a_multiprocessor ? units : 132 * a_multiprocessor; }

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

__device__ inline uint32_t shuffle_xor(uint32_t x, int mask) { return std::bit_cast<uint32_t>(shuffle_xor(std::bit_cast<float>(x), mask)); }
__device__ inline uint64_t shuffle_xor(uint64_t x, int mask) {
  return uint64_t{shuffle_xor(static_cast<uint32_t>(x >> 32), mask)} << 32 | shuffle_xor(static_cast<uint32_t>(x), mask);
}

}  // namespace attune::gpu
