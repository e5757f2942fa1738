#pragma once

// One more product of a warpgroup beside warpgroup.h's: D (64 × 192) += A (64 × 16) · B (16 × 192), both in shared memory.

#include "kernels/cuda/warpgroup.h"

namespace attune::cuda {

#define ATTUNE_D4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define ATTUNE_D16(i) ATTUNE_D4(i), ATTUNE_D4((i) + 4), ATTUNE_D4((i) + 8), ATTUNE_D4((i) + 12)
#define ATTUNE_PRODUCT192(type)                                                                                                                 \
  asm volatile("wgmma.mma_async.sync.aligned.m64n192k16.f32." type "." type                                                                     \
               " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26," \
               " %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51,"  \
               " %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76,"  \
               " %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95}, %96, %97, 1, 1, 1, 0, 0;"      \
               : ATTUNE_D16(0), ATTUNE_D16(16), ATTUNE_D16(32), ATTUNE_D16(48), ATTUNE_D16(64), ATTUNE_D16(80)                                  \
               : "l"(a), "l"(b))

template <class T>
__device__ __forceinline__ void wgmma192(float (&d)[96], uint64_t a, uint64_t b) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>)
    ATTUNE_PRODUCT192("bf16");
  else
    ATTUNE_PRODUCT192("f16");
}

#undef ATTUNE_PRODUCT192
#undef ATTUNE_D16
#undef ATTUNE_D4

}  // namespace attune::cuda
