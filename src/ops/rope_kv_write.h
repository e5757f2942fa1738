#pragma once

#include <string>
#include <vector>

#include "ops/kv_write.h"
#include "ops/rope.h"

namespace attune {

/// What stands between a layer's qkv projection and its attention, in one step: an RMS norm over each head of q and k (or none), the rotation of
/// q and k, q rounded to out_dtype, K and V written to the cache's pages. As norm, rope and kv_write one after the other with f32 between them:
/// each of the three rounds once, to f32, and the last to what is stored.
struct RopeKvWriteDesc {
  DType x_dtype = DType::f32;
  DType out_dtype = DType::bf16;
  DType kv_dtype = DType::bf16;
  int64_t num_kv_heads = 8;
  int64_t gqa_group = 4;  ///< query heads a KV head
  int64_t head_dim = 128;
  int64_t rotary_dim = 128;  ///< even, ≤ head_dim; the rest of a head is copied
  RopeStyle style = RopeStyle::neox;
  bool norm = false;
  DType w_dtype = DType::bf16;  ///< of the norms' weights
  bool unit_offset = false;     ///< of the norms: Gemma's 1 + w
  int64_t block_size = 16;
  KvLayout kv_layout = KvLayout::hnd;
  Scales kv_scale = Scales::none;  ///< as in kv_write
  constexpr bool operator==(const RopeKvWriteDesc&) const = default;

  constexpr int64_t num_q_heads() const { return num_kv_heads * gqa_group; }
  constexpr KvWriteDesc kv_write() const {
    return {.x_dtype = x_dtype,
            .kv_dtype = kv_dtype,
            .num_kv_heads = num_kv_heads,
            .head_dim = head_dim,
            .block_size = block_size,
            .kv_layout = kv_layout,
            .kv_scale = kv_scale};
  }
};

struct RopeKvWriteParams {
  const void* qkv = nullptr;  ///< (tokens, num_q_heads + 2·num_kv_heads, head_dim), x_stride elements between tokens
  int64_t x_stride = 0;
  void* q = nullptr;  ///< (tokens, num_q_heads, head_dim), q_stride elements between tokens
  int64_t q_stride = 0;
  int64_t tokens = 0;
  const void* q_weight = nullptr;  ///< [head_dim], if norm
  const void* k_weight = nullptr;
  float eps = 1e-6f;
  const int32_t* positions = nullptr;  ///< [tokens]
  const float* inv_freq = nullptr;     ///< [rotary_dim / 2], scaling applied
  float attention_factor = 1;
  const int64_t* slot_mapping = nullptr;  ///< [tokens]: block · block_size + offset; −1: K and V of the token are not written
  void* k_cache = nullptr;
  void* v_cache = nullptr;
  int64_t num_blocks = 0;
  float* k_scale = nullptr;  ///< token_head: written; tensor [1] and head [Hkv]: read
  float* v_scale = nullptr;
};

struct RopeKvWriteCapability {
  Constraint<DType> x_dtype, out_dtype, kv_dtype;
  Constraint<int64_t> num_kv_heads, gqa_group, head_dim, rotary_dim;
  Constraint<RopeStyle> style;
  Constraint<bool> norm;
  Constraint<DType> w_dtype;
  Constraint<bool> unit_offset;
  Constraint<int64_t> block_size;
  Constraint<KvLayout> kv_layout;
  Constraint<Scales> kv_scale;
};

struct RopeKvWrite {
  static constexpr std::string_view kName = "rope_kv_write";
  using Desc = RopeKvWriteDesc;
  using Params = RopeKvWriteParams;
  using Capability = RopeKvWriteCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"x_dtype", "x", true}, c.x_dtype, d.x_dtype, def.x_dtype, kWideTypes);
    f(FieldName{"out_dtype", "out", true}, c.out_dtype, d.out_dtype, def.out_dtype, kWideTypes);
    f(FieldName{"kv_dtype", "kv", true}, c.kv_dtype, d.kv_dtype, def.kv_dtype, kStorageTypes);
    f(FieldName{"num_kv_heads", "kv_heads", true}, c.num_kv_heads, d.num_kv_heads, def.num_kv_heads, Constraint<int64_t>(range{1, 1024}));
    f(FieldName{"gqa_group", "group", true}, c.gqa_group, d.gqa_group, def.gqa_group, Constraint<int64_t>(range{1, 256}));
    f(FieldName{"head_dim", "head_dim", true}, c.head_dim, d.head_dim, def.head_dim, Constraint<int64_t>(range{1, 1024}));
    f(FieldName{"rotary_dim", "rotary_dim", true}, c.rotary_dim, d.rotary_dim, def.rotary_dim, Constraint<int64_t>(range{2, 1024}));
    f(FieldName{"style", "style"}, c.style, d.style, def.style, Constraint<RopeStyle>(one_of({RopeStyle::neox, RopeStyle::interleaved})));
    f(FieldName{"norm", "norm"}, c.norm, d.norm, def.norm, kYesNo);
    f(FieldName{"w_dtype", "w"}, c.w_dtype, d.w_dtype, def.w_dtype, kWideTypes);
    f(FieldName{"unit_offset", "unit_offset"}, c.unit_offset, d.unit_offset, def.unit_offset, kYesNo);
    f(FieldName{"block_size", "block", true}, c.block_size, d.block_size, def.block_size, Constraint<int64_t>(range{1, 4096}));
    f(FieldName{"kv_layout", "layout"}, c.kv_layout, d.kv_layout, def.kv_layout, Constraint<KvLayout>(one_of({KvLayout::hnd})));
    f(FieldName{"kv_scale", "kv_scale"}, c.kv_scale, d.kv_scale, def.kv_scale,
      Constraint<Scales>(one_of({Scales::none, Scales::tensor, Scales::head, Scales::token_head})));
  }
};
using RopeKvWriteKernel = Kernel<RopeKvWrite>;

std::string to_text(const RopeKvWriteDesc& desc);

/// One head of q, then k, in double, before it is stored: y, of head_dim.
void rotated_head(const RopeKvWriteDesc& desc, const RopeKvWriteParams& params, int64_t token, int64_t head, std::vector<double>& y);
void rope_kv_write_ref(const ExecContext& ctx, const RopeKvWriteDesc& desc, const RopeKvWriteParams& params);

}  // namespace attune
