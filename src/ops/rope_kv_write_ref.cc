#include "ops/rope_kv_write.h"

#include <cmath>
#include <vector>

namespace attune {
namespace {

/// One head in double: normed by `w` unless null.
void load_head(const RopeKvWriteDesc& d, const RopeKvWriteParams& p, int64_t from, const void* w, std::vector<double>& head) {
  double squares = 0;
  for (int64_t i = 0; i < d.head_dim; ++i) {
    head[static_cast<size_t>(i)] = load_as_float(p.qkv, d.x_dtype, from + i);
    squares += head[static_cast<size_t>(i)] * head[static_cast<size_t>(i)];
  }
  if (w == nullptr) return;
  const double inverse = 1 / std::sqrt(squares / static_cast<double>(d.head_dim) + p.eps);
  for (int64_t i = 0; i < d.head_dim; ++i) head[static_cast<size_t>(i)] *= inverse * (load_as_float(w, d.w_dtype, i) + (d.unit_offset ? 1.0 : 0.0));
}

void rotate(const RopeKvWriteDesc& d, const RopeKvWriteParams& p, int32_t position, std::vector<double>& head) {
  const int64_t half = d.rotary_dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    const bool neox = d.style == RopeStyle::neox;
    double& a = head[static_cast<size_t>(neox ? i : 2 * i)];
    double& b = head[static_cast<size_t>(neox ? i + half : 2 * i + 1)];
    const double angle = static_cast<double>(static_cast<float>(position) * p.inv_freq[i]);
    const double c = std::cos(angle) * p.attention_factor, s = std::sin(angle) * p.attention_factor, x = a, y = b;
    a = x * c - y * s;
    b = y * c + x * s;
  }
}

}  // namespace

void rotated_head(const RopeKvWriteDesc& d, const RopeKvWriteParams& p, int64_t token, int64_t head, std::vector<double>& y) {
  load_head(d, p, token * p.x_stride + head * d.head_dim, d.norm ? (head < d.num_q_heads() ? p.q_weight : p.k_weight) : nullptr, y);
  rotate(d, p, p.positions[token], y);
}

void rope_kv_write_ref(const ExecContext& ctx, const RopeKvWriteDesc& d, const RopeKvWriteParams& p) {
  const int64_t heads = d.num_q_heads() + d.num_kv_heads, kv_width = d.num_kv_heads * d.head_dim;
  std::vector<double> head(static_cast<size_t>(d.head_dim));
  std::vector<float> kv(static_cast<size_t>(2 * p.tokens * kv_width));  // K rows, then V rows
  for (int64_t t = 0; t < p.tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      const bool is_q = h < d.num_q_heads();
      rotated_head(d, p, t, h, head);
      for (int64_t i = 0; i < d.head_dim; ++i) {
        const float y = static_cast<float>(head[static_cast<size_t>(i)]);
        if (is_q)
          store_from_float(p.q, d.out_dtype, t * p.q_stride + h * d.head_dim + i, y);
        else
          kv[static_cast<size_t>(t * kv_width + (h - d.num_q_heads()) * d.head_dim + i)] = y;
      }
    }
    for (int64_t i = 0; i < kv_width; ++i)
      kv[static_cast<size_t>((p.tokens + t) * kv_width + i)] = load_as_float(p.qkv, d.x_dtype, t * p.x_stride + heads * d.head_dim + i);
  }
  KvWriteDesc write = d.kv_write();
  write.x_dtype = DType::f32;
  kv_write_ref(ctx, write,
               {.k = kv.data(),
                .v = kv.data() + p.tokens * kv_width,
                .x_stride = kv_width,
                .tokens = p.tokens,
                .slot_mapping = p.slot_mapping,
                .k_cache = p.k_cache,
                .v_cache = p.v_cache,
                .num_blocks = p.num_blocks,
                .k_scale = p.k_scale,
                .v_scale = p.v_scale});
}

}  // namespace attune
