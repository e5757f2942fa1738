#pragma once

// What the page and the kernel of gpu.rope_kv_write.heads agree on. Plain C++.

#include "ops/rope_kv_write.h"

namespace attune::gpu {

inline constexpr int kHeadsAtOnce = 4;  ///< of a block
constexpr int64_t padded_head(int64_t head_dim) { return (head_dim + 3) / 4 * 4; }
/// What a head has in shared memory: its elements and, where it is normed, the weights.
constexpr int64_t head_floats(const RopeKvWriteDesc& d) { return padded_head(d.head_dim) * (d.norm ? 2 : 1); }
constexpr int64_t rope_kv_write_shared_memory(const RopeKvWriteDesc& d) {
  return kHeadsAtOnce * head_floats(d) * static_cast<int64_t>(sizeof(float));
}

}  // namespace attune::gpu
