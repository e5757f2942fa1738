#pragma once

#include <string>

#include "ops/attention.h"

namespace attune {

/// Writes new keys and values into the cache's pages.
struct KvWriteDesc {
  DType x_dtype = DType::f32;
  DType kv_dtype = DType::bf16;
  int64_t num_kv_heads = 8;
  int64_t head_dim = 128;
  int64_t block_size = 16;
  KvLayout kv_layout = KvLayout::hnd;
  Scales kv_scale = Scales::none;  ///< token_head: computed here as max|x| / largest finite value; tensor and head: given
  constexpr bool operator==(const KvWriteDesc&) const = default;
};

struct KvWriteParams {
  const void* k = nullptr;  ///< (tokens, num_kv_heads, head_dim), x_stride elements between tokens
  const void* v = nullptr;
  int64_t x_stride = 0;
  int64_t tokens = 0;
  const int64_t* slot_mapping = nullptr;  ///< [tokens]: block · block_size + offset; −1 skips the token
  void* k_cache = nullptr;
  void* v_cache = nullptr;
  int64_t num_blocks = 0;
  float* k_scale = nullptr;  ///< token_head: written; tensor [1] and head [Hkv]: read
  float* v_scale = nullptr;
};

struct KvWriteCapability {
  Constraint<DType> x_dtype, kv_dtype;
  Constraint<int64_t> num_kv_heads, head_dim, block_size;
  Constraint<KvLayout> kv_layout;
  Constraint<Scales> kv_scale;
};

struct KvWrite {
  static constexpr std::string_view kName = "kv_write";
  using Desc = KvWriteDesc;
  using Params = KvWriteParams;
  using Capability = KvWriteCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"x_dtype", "x", true}, c.x_dtype, d.x_dtype, def.x_dtype, kWideTypes);
    f(FieldName{"kv_dtype", "kv", true}, c.kv_dtype, d.kv_dtype, def.kv_dtype, kStorageTypes);
    f(FieldName{"num_kv_heads", "kv_heads", true}, c.num_kv_heads, d.num_kv_heads, def.num_kv_heads, Constraint<int64_t>(range{1, 1024}));
    f(FieldName{"head_dim", "head_dim", true}, c.head_dim, d.head_dim, def.head_dim, Constraint<int64_t>(range{1, 1024}));
    f(FieldName{"block_size", "block", true}, c.block_size, d.block_size, def.block_size, Constraint<int64_t>(range{1, 4096}));
    f(FieldName{"kv_layout", "layout"}, c.kv_layout, d.kv_layout, def.kv_layout, Constraint<KvLayout>(one_of({KvLayout::hnd})));
    f(FieldName{"kv_scale", "kv_scale"}, c.kv_scale, d.kv_scale, def.kv_scale,
      Constraint<Scales>(one_of({Scales::none, Scales::tensor, Scales::head, Scales::token_head})));
  }
};
using KvWriteKernel = Kernel<KvWrite>;

std::string to_text(const KvWriteDesc& desc);
void kv_write_ref(const ExecContext& ctx, const KvWriteDesc& desc, const KvWriteParams& params);

}  // namespace attune
