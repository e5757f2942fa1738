#pragma once

#include <cstdint>
#include <vector>

#include "loader/weights.h"

namespace attune {

/// Scales of one layer's 8-bit keys and values, value = stored · scale: one for all heads, or one a head.
struct LayerKvScales {
  std::vector<float> k, v;
};

/// The scales that a checkpoint stores for `layers` layers of `kv_heads` heads; empty if it stores none. If any of them is given a head, all are.
/// They may be called, below "model.layers.3.self_attn", k_scale, attn.k_scale, k_proj.k_scale or k_proj.output_scale, v alike, or kv_scale for
/// both; f32, bf16 or f16; a scalar, [1] or [kv_heads] (trailing extents of 1 do not count). InvalidArgument if a layer has some and another none,
/// if one has two names, and for a scale that is not a positive finite number, or is subnormal.
std::vector<LayerKvScales> read_kv_scales(const Weights& weights, int64_t layers, int64_t kv_heads);

}  // namespace attune
