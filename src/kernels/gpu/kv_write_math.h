#pragma once

// Where a head of a token stands in the cache, and its scale.

#include "kernels/gpu/portable.h"
#include "ops/attention_math.h"
#include "ops/kv_write.h"

namespace attune::gpu {

/// Index among all (block, head, offset): of the vector, and of its token-head scale.
__device__ inline int64_t place_of(const KvWriteDesc& d, int64_t slot, int64_t head) {
  const int64_t block = quotient(slot, d.block_size);
  return paged_scale_index(block, head, slot - block * d.block_size, d.num_kv_heads, d.block_size);
}

/// What a vector is divided by: 1, the given scale, or `peak` (its largest magnitude) over the largest finite value, which `writer` stores.
__device__ inline float side_scale(const KvWriteDesc& d, float* scales, int64_t head, int64_t place, float peak, bool writer) {
  if (d.kv_scale == Scales::none) return 1;
  if (d.kv_scale != Scales::token_head) return scales[d.kv_scale == Scales::head ? head : 0];
  const float scale = peak > 0 ? peak / (d.kv_dtype == DType::f8_e4m3fnuz ? 240.0f : 448.0f) : 1.0f;
  if (writer) scales[place] = scale;
  return scale;
}

}  // namespace attune::gpu
