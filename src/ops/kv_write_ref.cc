#include <algorithm>
#include <cmath>

#include "ops/attention_math.h"
#include "ops/kv_write.h"

namespace attune {
namespace {

float largest(DType t) { return t == DType::f8_e4m3fnuz ? 240.0f : 448.0f; }

/// The scale of one head of one token: given, or (token_head) max|x| / largest finite value, 1 for a zero vector; written back.
float head_scale(const KvWriteDesc& d, const void* x, int64_t at, int64_t slot, int64_t head, float* scales) {
  if (d.kv_scale == Scales::none) return 1;
  if (d.kv_scale != Scales::token_head) return scales[scale_index(d.kv_scale, 0, 0, head, d.num_kv_heads)];
  float peak = 0;
  for (int64_t i = 0; i < d.head_dim; ++i) peak = std::max(peak, std::abs(load_as_float(x, d.x_dtype, at + i)));
  const float scale = peak > 0 ? peak / largest(d.kv_dtype) : 1.0f;
  scales[paged_scale_index(slot / d.block_size, head, slot % d.block_size, d.num_kv_heads, d.block_size)] = scale;
  return scale;
}

void write_side(const KvWriteDesc& d, const KvWriteParams& p, const void* x, void* cache, float* scales) {
  for (int64_t t = 0; t < p.tokens; ++t) {
    const int64_t slot = p.slot_mapping[t];
    if (slot < 0) continue;
    for (int64_t h = 0; h < d.num_kv_heads; ++h) {
      const int64_t from = t * p.x_stride + h * d.head_dim;
      const int64_t to = hnd_offset(slot / d.block_size, h, slot % d.block_size, d.num_kv_heads, d.block_size, d.head_dim);
      const float scale = head_scale(d, x, from, slot, h, scales);
      for (int64_t i = 0; i < d.head_dim; ++i) store_from_float(cache, d.kv_dtype, to + i, load_as_float(x, d.x_dtype, from + i) / scale);
    }
  }
}

}  // namespace

void kv_write_ref(const ExecContext&, const KvWriteDesc& d, const KvWriteParams& p) {
  write_side(d, p, p.k, p.k_cache, p.k_scale);
  write_side(d, p, p.v, p.v_cache, p.v_scale);
}

}  // namespace attune
