#pragma once

// Warpgroup products of sm_90a: D (64 × N, f32, in registers) = A (64 × 16) · B (16 × N) [+ D], of bf16 or f16. An operand in shared memory lies in
// rows of 128 bytes with the copy engine's 128-byte swizzle. Of D, thread t of the warpgroup (warp w = t / 32, lane l = t % 32) holds for each 8
// columns 8j … 8j + 7 four values d[4j …]: row 16w + l / 4, columns 8j + 2(l % 4) and the next; then the same of row + 8.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace attune::cuda {

/// What a product reads of shared memory: an operand that starts at `address`, a multiple of 1024 plus 32 bytes a step of 16 along K. Its rows of 64
/// elements lie along K, in groups of 8 that follow each other, or (transposed) along M or N; then `panel` bytes lie between 64 columns and the next.
__device__ __forceinline__ uint64_t swizzled_matrix(uint32_t address, uint32_t panel = 16) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62, kGroup = uint64_t{1024 / 16} << 32;
  return kSwizzle128 | kGroup | static_cast<uint64_t>(panel >> 4) << 16 | ((address & 0x3ffff) >> 4);
}

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// Waits until at most kPending committed groups of products are not done.
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// An instruction names its registers one by one: these are the first of d as operands, and their places in the text.
#define ATTUNE_D4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define ATTUNE_D8(i) ATTUNE_D4(i), ATTUNE_D4((i) + 4)
#define ATTUNE_D16(i) ATTUNE_D8(i), ATTUNE_D8((i) + 8)
#define ATTUNE_D32(i) ATTUNE_D16(i), ATTUNE_D16((i) + 16)
#define ATTUNE_D64(i) ATTUNE_D32(i), ATTUNE_D32((i) + 32)
#define ATTUNE_D128(i) ATTUNE_D64(i), ATTUNE_D64((i) + 64)
#define ATTUNE_PLACES4 "%0, %1, %2, %3"
#define ATTUNE_PLACES8 \
  ATTUNE_PLACES4       \
  ", %4, %5, %6, %7"
#define ATTUNE_PLACES16 \
  ATTUNE_PLACES8        \
  ", %8, %9, %10, %11, %12, %13, %14, %15"
#define ATTUNE_PLACES32 \
  ATTUNE_PLACES16       \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define ATTUNE_PLACES64                                                              \
  ATTUNE_PLACES32                                                                    \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define ATTUNE_PLACES128                                                                         \
  ATTUNE_PLACES64                                                                                \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"             \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"             \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

/// Registers of D for which there are instructions here.
template <class T, int Size, int Most>
inline constexpr bool kHasProduct = Size >= 4 && Size <= Most && (Size & (Size - 1)) == 0 &&
                                    (std::is_same_v<T, __nv_bfloat16> || std::is_same_v<T, __half>);

// The product for one number of registers: its columns, and what follows D in the text; then the operands.
#define ATTUNE_TYPED(size, columns, type, rest, ...)                                                                    \
  asm volatile("wgmma.mma_async.sync.aligned.m64n" columns "k16.f32." type "." type " {" ATTUNE_PLACES##size "}, " rest \
               : ATTUNE_D##size(0)                                                                                      \
               : __VA_ARGS__)
#define ATTUNE_PRODUCT(size, columns, rest, ...)                                                                            \
  if constexpr (Size == (size) && std::is_same_v<T, __nv_bfloat16>) ATTUNE_TYPED(size, columns, "bf16", rest, __VA_ARGS__); \
  if constexpr (Size == (size) && std::is_same_v<T, __half>) ATTUNE_TYPED(size, columns, "f16", rest, __VA_ARGS__)

/// d (64 rows × N columns) = A·B [+ d], both in shared memory. A transposed: its rows lie along M.
template <class T, bool TransposedA, bool Accumulate, int Size>
__device__ __forceinline__ void wgmma(float (&d)[Size], uint64_t a, uint64_t b) {
  static_assert(kHasProduct<T, Size, 128>);
#define ATTUNE_OPERANDS "l"(a), "l"(b), "n"(TransposedA ? 1 : 0), "n"(Accumulate ? 1 : 0)
  ATTUNE_PRODUCT(4, "8", "%4, %5, %7, 1, 1, %6, 0;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(8, "16", "%8, %9, %11, 1, 1, %10, 0;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(16, "32", "%16, %17, %19, 1, 1, %18, 0;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(32, "64", "%32, %33, %35, 1, 1, %34, 0;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(64, "128", "%64, %65, %67, 1, 1, %66, 0;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(128, "256", "%128, %129, %131, 1, 1, %130, 0;", ATTUNE_OPERANDS);
#undef ATTUNE_OPERANDS
}

/// The same with A (64 × 16) in registers. B transposed: its rows lie along N.
template <class T, bool Accumulate, bool TransposedB = false, int Size>
__device__ __forceinline__ void wgmma_registers(float (&d)[Size], const uint32_t (&a)[4], uint64_t b) {
  static_assert(kHasProduct<T, Size, 64>);
#define ATTUNE_OPERANDS "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(Accumulate ? 1 : 0), "n"(TransposedB ? 1 : 0)
  ATTUNE_PRODUCT(4, "8", "{%4, %5, %6, %7}, %8, %9, 1, 1, %10;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(8, "16", "{%8, %9, %10, %11}, %12, %13, 1, 1, %14;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(16, "32", "{%16, %17, %18, %19}, %20, %21, 1, 1, %22;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(32, "64", "{%32, %33, %34, %35}, %36, %37, 1, 1, %38;", ATTUNE_OPERANDS);
  ATTUNE_PRODUCT(64, "128", "{%64, %65, %66, %67}, %68, %69, 1, 1, %70;", ATTUNE_OPERANDS);
#undef ATTUNE_OPERANDS
}

/// A step of a sum over K: the first sets d, the others add. A in shared memory, or in registers.
template <class T, int Size>
__device__ __forceinline__ void wgmma_step(bool first, float (&d)[Size], uint64_t a, uint64_t b) {
  if (first)
    wgmma<T, false, false>(d, a, b);
  else
    wgmma<T, false, true>(d, a, b);
}
template <class T, int Size>
__device__ __forceinline__ void wgmma_step(bool first, float (&d)[Size], const uint32_t (&a)[4], uint64_t b) {
  if (first)
    wgmma_registers<T, false>(d, a, b);
  else
    wgmma_registers<T, true>(d, a, b);
}

#undef ATTUNE_PRODUCT
#undef ATTUNE_TYPED
#undef ATTUNE_D4
#undef ATTUNE_PLACES4
#undef ATTUNE_D8
#undef ATTUNE_PLACES8
#undef ATTUNE_D16
#undef ATTUNE_PLACES16
#undef ATTUNE_D32
#undef ATTUNE_PLACES32
#undef ATTUNE_D64
#undef ATTUNE_PLACES64
#undef ATTUNE_D128
#undef ATTUNE_PLACES128

}  // namespace attune::cuda
