// A case of kv_write as tensors: tokens scattered over a permuted pool, some skipped; every other slot of the cache must keep its poison.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/attention_math.h"
#include "proof/problem.h"

namespace attune {

Problem<KvWrite>::Problem(const Case<KvWrite>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  const KvWriteDesc& d = case_.desc;
  Fill fill(c.seed ^ 0x4b7);
  const int64_t width = d.num_kv_heads * d.head_dim;
  params.tokens = c.rows;
  params.x_stride = width + 8 * fill.below(3);
  params.num_blocks = params.tokens / d.block_size + 3;
  const int64_t slots = params.num_blocks * d.block_size, elements = params.tokens > 0 ? (params.tokens - 1) * params.x_stride + width : 0;
  void* inputs[2];
  for (int side = 0; side < 2; ++side) {
    inputs[side] = memory.add(side == 0 ? "k" : "v", d.x_dtype, elements);
    for (int64_t t = 0; t < params.tokens; ++t)
      for (int64_t h = 0; h < d.num_kv_heads; ++h)
        // Heads of different size, and now and then a zero vector, whose dynamic scale is 1.
        fill.values(inputs[side], d.x_dtype, t * params.x_stride + h * d.head_dim, d.head_dim, fill.one_in(12) ? 0 : 0.5 + static_cast<double>(h));
  }
  params.k = inputs[0], params.v = inputs[1];
  std::vector<int64_t> order(static_cast<size_t>(slots));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[static_cast<size_t>(fill.below(static_cast<int64_t>(i)))]);
  auto* mapping = memory.add<int64_t>("slot_mapping", DType::i64, params.tokens);
  std::vector<int64_t> used;
  for (int64_t t = 0; t < params.tokens; ++t) {
    mapping[t] = t > 0 && fill.one_in(5) ? -1 : order[static_cast<size_t>(t)];
    if (mapping[t] >= 0) used.push_back(mapping[t]);
  }
  std::sort(used.begin(), used.end(), [&](int64_t a, int64_t b) { return a < b; });
  params.slot_mapping = mapping;
  // Writable places in rising order: within a block heads come before offsets.
  std::vector<int64_t> places;
  for (int64_t slot : used)
    for (int64_t h = 0; h < d.num_kv_heads; ++h)
      places.push_back(paged_scale_index(slot / d.block_size, h, slot % d.block_size, d.num_kv_heads, d.block_size));
  std::sort(places.begin(), places.end());
  for (int side = 0; side < 2; ++side) {
    void* cache = memory.add(side == 0 ? "k_cache" : "v_cache", d.kv_dtype, slots * width, 128);
    for (int64_t place : places) memory.may_write(cache, place * d.head_dim, d.head_dim);
    (side == 0 ? params.k_cache : params.v_cache) = cache;
    const int64_t scales = d.kv_scale == Scales::tensor ? 1 : d.kv_scale == Scales::head ? d.num_kv_heads : slots * d.num_kv_heads;
    if (d.kv_scale == Scales::none) continue;
    auto* scale = memory.add<float>(side == 0 ? "k_scale" : "v_scale", DType::f32, scales);
    (side == 0 ? params.k_scale : params.v_scale) = scale;
    if (d.kv_scale != Scales::token_head) fill.scales(scale, scales, 0.01, 0.05);
    if (d.kv_scale == Scales::token_head)
      for (int64_t place : places) memory.may_write(scale, place, 1);
  }
}

void Problem<KvWrite>::compare(std::string_view, int64_t, Comparison& out) const {
  const KvWriteDesc& d = case_.desc;
  const double most = d.kv_dtype == DType::f8_e4m3 ? 448 : d.kv_dtype == DType::f8_e4m3fnuz ? 240 : INFINITY;
  for (int side = 0; side < 2; ++side) {
    const void* x = side == 0 ? params.k : params.v;
    const void* cache = side == 0 ? params.k_cache : params.v_cache;
    const float* scales = side == 0 ? params.k_scale : params.v_scale;
    const char* name = side == 0 ? "k" : "v";
    for (int64_t t = 0; t < params.tokens; ++t) {
      const int64_t slot = params.slot_mapping[t];
      if (slot < 0) continue;
      for (int64_t h = 0; h < d.num_kv_heads; ++h) {
        const int64_t place = paged_scale_index(slot / d.block_size, h, slot % d.block_size, d.num_kv_heads, d.block_size);
        std::vector<double> from(static_cast<size_t>(d.head_dim)), got(from.size());
        load_values(x, d.x_dtype, t * params.x_stride + h * d.head_dim, d.head_dim, from.data());
        load_values(cache, d.kv_dtype, place * d.head_dim, d.head_dim, got.data());
        double scale = 1;
        if (d.kv_scale == Scales::token_head) {
          double peak = 0;
          for (double value : from) peak = std::max(peak, std::abs(value));
          scale = scales[place];
          const double want = peak > 0 ? peak / most : 1;
          out.add(scale, want, {0x1.0p-23 * want, 0x1.0p-23 * want}, [&] { return fmt::format("{} scale of token {}, head {}", name, t, h); });
        } else if (d.kv_scale != Scales::none) {
          scale = scales[d.kv_scale == Scales::head ? h : 0];
        }
        for (int64_t i = 0; i < d.head_dim; ++i) {
          const double want = std::clamp(from[static_cast<size_t>(i)] / scale, -most, most);
          // Without a scale the value is rounded once; with one, a quotient (or a product with the reciprocal) precedes.
          const double quotient = d.kv_scale == Scales::none ? 0 : 0x1.0p-23 * std::abs(want);
          out.add(got[static_cast<size_t>(i)], want, stored({quotient, quotient}, d.kv_dtype, want),
                  [&] { return fmt::format("{} of token {}, head {}, element {}", name, t, h, i); });
        }
      }
    }
  }
}

}  // namespace attune
