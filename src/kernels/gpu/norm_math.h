#pragma once

// RMS norm: how many threads share a row, and what becomes of an element.

#include "kernels/gpu/norm_plan.h"
#include "kernels/gpu/portable.h"

namespace attune::gpu {

/// A thread for each four elements up to 256 threads, then for each eight; at least one warp and at most a block. With the elements of a thread in
/// order, then a butterfly over kLanes, then those sums in order, this is the order of a sum of squares.
constexpr int norm_threads(int64_t hidden) {
  int threads = 32;
  while (threads < 256 ? 4 * threads < hidden : threads < kMostNormThreads && 8 * threads < hidden) threads *= 2;
  return threads;
}

__device__ inline float inverse_rms(float squares, int64_t hidden, float eps) { return 1.0f / sqrtf(squares / static_cast<float>(hidden) + eps); }
__device__ inline float normed(float x, float scale, float w, bool unit_offset) { return x * scale * (unit_offset ? 1.0f + w : w); }

}  // namespace attune::gpu
