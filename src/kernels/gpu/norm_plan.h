#pragma once

// What the page and the kernel of gpu.norm.rows agree on. Plain C++.

#include "ops/norm.h"

namespace attune::gpu {

inline constexpr int kMostNormThreads = 512;
/// The sums of a row's warps; whole for every row, since several are read at once.
constexpr int64_t norm_shared_memory(const NormDesc&) { return kMostNormThreads / 32 * static_cast<int64_t>(sizeof(float)); }

}  // namespace attune::gpu
