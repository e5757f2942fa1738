#pragma once

#include <cstdint>
#include <vector>

#include "device/runtime.h"
#include "ops/kv_write.h"

namespace attune {

/// Geometry of one layer's pages, and the scales that a checkpoint gives.
struct KvLayer {
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t window = 0;                   ///< 0: full attention; the pages of a window layer are kept whole for now
  std::vector<float> k_scale, v_scale;  ///< Scales::tensor: one each; Scales::head: [num_kv_heads]; else none
};

/// The KV memory of a model: per layer K and V in the hnd layout, and f32 scales where the dtype is 8-bit: of each slot, or those given.
class KvCache {
 public:
  /// Token-head scales are kept when `scales` says so, and copies of the layers' own when it says tensor or head. The device must outlive the cache.
  KvCache(Device& device, std::vector<KvLayer> layers, DType dtype, Scales scales, int64_t num_blocks, int64_t block_size);

  DType dtype() const { return dtype_; }
  Scales scales() const { return scales_; }
  int64_t num_blocks() const { return num_blocks_; }
  int64_t block_size() const { return block_size_; }
  const std::vector<KvLayer>& layers() const { return layers_; }

  void* k(size_t layer) const { return pages_[layer].k.data(); }
  void* v(size_t layer) const { return pages_[layer].v.data(); }
  float* k_scale(size_t layer) const { return pages_[layer].k_scale.as<float>(); }
  float* v_scale(size_t layer) const { return pages_[layer].v_scale.as<float>(); }

  /// Copies one page of every layer (copy-on-write) with its slots' scales, in the order of the stream.
  void copy_block(int32_t from, int32_t to, const Stream& stream);

  /// Bytes one token takes over all layers, scales of slots included.
  static int64_t bytes_per_token(const std::vector<KvLayer>& layers, DType dtype, Scales scales);

 private:
  struct Pages {
    Buffer k, v, k_scale, v_scale;
  };
  Device& device_;
  std::vector<KvLayer> layers_;
  DType dtype_;
  Scales scales_;
  int64_t num_blocks_, block_size_;
  std::vector<Pages> pages_;
};

}  // namespace attune
