// New keys and values into the pages [num_blocks, num_kv_heads, block_size, head_dim], with their scales.
#include "ops/kv_write.h"

#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

template <class T>
constexpr bool is_8bit = sizeof(T) == 1;

/// What a dynamic scale maps the row's largest magnitude to.
template <class T>
constexpr float largest = 448.0f;
template <>
constexpr float largest<f8_e4m3fnuz_t> = 240.0f;

template <class X>
ATTUNE_INLINE float largest_magnitude(const X* x, int64_t n) {
  Vec m = zero();
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) m = max(m, abs(load(x + i)));
  if (i < n) m = max(m, abs(load_tail(x + i, static_cast<int>(n - i))));
  return max_of(m);
}

template <class X, class T>
ATTUNE_INLINE void write_row(const X* x, T* out, int64_t n, float scale) {
  const Vec divisor = broadcast(scale);
  const auto scaled = [&](Vec v) { return scale != 1.0f ? v / divisor : v; };
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    if constexpr (is_8bit<T>)
      store_f8(out + i, scaled(load(x + i)), kWidth);
    else
      store(out + i, scaled(load(x + i)));
  }
  if (i == n) return;
  const int rest = static_cast<int>(n - i);
  if constexpr (is_8bit<T>)
    store_f8(out + i, scaled(load_tail(x + i, rest)), rest);
  else
    store_tail(out + i, scaled(load_tail(x + i, rest)), rest);
}

/// One side, keys or values, of one token.
template <class X, class T>
ATTUNE_INLINE void write_token(const KvWriteDesc& d, const X* x, T* cache, float* scales, int64_t block, int64_t offset) {
  for (int64_t h = 0; h < d.num_kv_heads; ++h) {
    const X* row = x + h * d.head_dim;
    const int64_t slot = (block * d.num_kv_heads + h) * d.block_size + offset;
    float scale = 1;
    if (d.kv_scale == Scales::tensor) scale = scales[0];
    if (d.kv_scale == Scales::head) scale = scales[h];
    if (d.kv_scale == Scales::token_head) {
      const float m = largest_magnitude(row, d.head_dim);
      scale = scales[slot] = m > 0 ? m / largest<T> : 1.0f;
    }
    write_row(row, cache + slot * d.head_dim, d.head_dim, scale);
  }
}

template <class X, class T>
void write_tokens(const ExecContext& ctx, const KvWriteDesc& d, const KvWriteParams& p) {
  parallel_ranges(ctx, p.tokens, 2 * d.num_kv_heads * d.head_dim, [&](int64_t first, int64_t last, int) {
    for (int64_t t = first; t < last; ++t) {
      const int64_t slot = p.slot_mapping[t];
      if (slot < 0) continue;
      const int64_t block = slot / d.block_size, offset = slot % d.block_size;
      write_token(d, static_cast<const X*>(p.k) + t * p.x_stride, static_cast<T*>(p.k_cache), p.k_scale, block, offset);
      write_token(d, static_cast<const X*>(p.v) + t * p.x_stride, static_cast<T*>(p.v_cache), p.v_scale, block, offset);
    }
  });
}

}  // namespace

void kv_write(const ExecContext& ctx, const KvWriteDesc& d, const KvWriteParams& p) {
  with_wide_type(d.x_dtype, [&](auto x) {
    using X = typename decltype(x)::Of;
    if (d.kv_dtype == DType::f8_e4m3) return write_tokens<X, f8_e4m3_t>(ctx, d, p);
    if (d.kv_dtype == DType::f8_e4m3fnuz) return write_tokens<X, f8_e4m3fnuz_t>(ctx, d, p);
    with_wide_type(d.kv_dtype, [&](auto kv) { write_tokens<X, typename decltype(kv)::Of>(ctx, d, p); });
  });
}

}  // namespace attune::cpu::ATTUNE_ISA
