#pragma once

// The rotation of one pair of elements.

#include "kernels/gpu/math.h"
#include "ops/rope.h"

namespace attune::gpu {

struct Rotation {
  float cosine, sine;
};
struct Pair {
  float a, b;
};

__device__ inline Rotation rotation_of(int32_t position, float inv_freq, float factor) {
  const SineCosine s = sine_cosine(static_cast<float>(position) * inv_freq);
  return {s.cosine * factor, s.sine * factor};
}

__device__ inline Pair rotated(Pair x, Rotation r) { return {fma(x.a, r.cosine, -(x.b * r.sine)), fma(x.b, r.cosine, x.a * r.sine)}; }

/// Elements of pair `i` of `half` pairs.
__device__ inline int first_of_pair(RopeStyle style, int i) { return style == RopeStyle::neox ? i : 2 * i; }
__device__ inline int second_of_pair(RopeStyle style, int i, int half) { return style == RopeStyle::neox ? i + half : 2 * i + 1; }

}  // namespace attune::gpu
