// A case of kv_write as tensors: tokens scattered over a permuted pool, some skipped; every other slot of the cache must keep its poison.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "ops/attention_math.h"
#include "proof/problem.h"

namespace attune {

Problem<KvWrite>::Problem(const Case<KvWrite>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  const KvWriteDesc& d = case_.desc;
  Fill fill(c.seed ^ 0x4b7);
  params.tokens = c.rows;
  params.x_stride = d.num_kv_heads * d.head_dim + 8 * fill.below(3);
  params.num_blocks = std::max(case_.pool, params.tokens / d.block_size + 3);
  params.k = add_input(fill, "k");
  params.v = add_input(fill, "v");
  map_slots(fill);
  params.k_cache = add_cache("k_cache");
  params.v_cache = add_cache("v_cache");
  if (d.kv_scale == Scales::none) return;
  params.k_scale = add_scales(fill, "k_scale");
  params.v_scale = add_scales(fill, "v_scale");
}

const void* Problem<KvWrite>::add_input(Fill& fill, const char* name) {
  const KvWriteDesc& d = case_.desc;
  void* x = memory.add(name, d.x_dtype, params.tokens > 0 ? (params.tokens - 1) * params.x_stride + d.num_kv_heads * d.head_dim : 0);
  for (int64_t t = 0; t < params.tokens; ++t)
    for (int64_t h = 0; h < d.num_kv_heads; ++h)
      // Heads of different size, and now and then a zero vector, whose dynamic scale is 1.
      fill.values(x, d.x_dtype, t * params.x_stride + h * d.head_dim, d.head_dim, fill.one_in(12) ? 0 : 0.5 + static_cast<double>(h));
  return x;
}

void Problem<KvWrite>::map_slots(Fill& fill) {
  const KvWriteDesc& d = case_.desc;
  // A permutation of all slots; in a large pool, the last slot and then drawn ones.
  const int64_t slots = params.num_blocks * d.block_size;
  std::vector<int64_t> order;
  if (case_.pool == 0) {
    order.resize(static_cast<size_t>(slots));
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[static_cast<size_t>(fill.below(static_cast<int64_t>(i)))]);
  }
  for (std::set<int64_t> taken; case_.pool > 0 && static_cast<int64_t>(order.size()) < params.tokens;) {
    const int64_t slot = order.empty() ? slots - 1 : fill.below(slots);
    if (taken.insert(slot).second) order.push_back(slot);
  }
  auto* mapping = memory.add<int64_t>("slot_mapping", DType::i64, params.tokens);
  for (int64_t t = 0; t < params.tokens; ++t) {
    mapping[t] = t > 0 && fill.one_in(5) ? -1 : order[static_cast<size_t>(t)];
    if (mapping[t] >= 0)
      for (int64_t h = 0; h < d.num_kv_heads; ++h) places_.push_back(place(mapping[t], h));
  }
  std::sort(places_.begin(), places_.end());
  params.slot_mapping = mapping;
}

/// `width` elements for each block of the pool; a large one is poisoned where tokens are written, and beside.
void* Problem<KvWrite>::add_pool(const char* name, DType t, int64_t width, size_t align) {
  if (case_.pool == 0) return memory.add(name, t, params.num_blocks * width, align);
  void* data = memory.add_sparse(name, t, params.num_blocks * width, align);
  std::set<int64_t> near;
  for (const int64_t p : places_)
    for (int64_t step = -1; step <= 1; ++step) near.insert(p / (case_.desc.num_kv_heads * case_.desc.block_size) + step);
  for (const int64_t block : near)
    if (block >= 0 && block < params.num_blocks) memory.poison(data, block * width, width);
  return data;
}

void* Problem<KvWrite>::add_cache(const char* name) {
  const KvWriteDesc& d = case_.desc;
  void* cache = add_pool(name, d.kv_dtype, d.block_size * d.num_kv_heads * d.head_dim, 128);
  for (int64_t place : places_) memory.may_write(cache, place * d.head_dim, d.head_dim);
  return cache;
}

float* Problem<KvWrite>::add_scales(Fill& fill, const char* name) {
  const KvWriteDesc& d = case_.desc;
  const bool dynamic = d.kv_scale == Scales::token_head;
  const int64_t count = d.kv_scale == Scales::head ? d.num_kv_heads : 1;
  auto* scales =
      dynamic ? static_cast<float*>(add_pool(name, DType::f32, d.block_size * d.num_kv_heads, 4)) : memory.add<float>(name, DType::f32, count);
  if (!dynamic) fill.scales(scales, count, 0.01, 0.05);
  if (dynamic)
    for (int64_t place : places_) memory.may_write(scales, place, 1);
  return scales;
}

int64_t Problem<KvWrite>::place(int64_t slot, int64_t head) const {
  const KvWriteDesc& d = case_.desc;
  return paged_scale_index(slot / d.block_size, head, slot % d.block_size, d.num_kv_heads, d.block_size);
}

void Problem<KvWrite>::compare(std::string_view, int64_t, Comparison& out) const {
  for (int64_t t = 0; t < params.tokens; ++t) {
    if (params.slot_mapping[t] < 0) continue;
    for (int64_t h = 0; h < case_.desc.num_kv_heads; ++h) {
      compare_vector("k", params.k, params.k_cache, params.k_scale, t, h, out);
      compare_vector("v", params.v, params.v_cache, params.v_scale, t, h, out);
    }
  }
}

void Problem<KvWrite>::compare_vector(const char* name, const void* x, const void* cache, const float* scales, int64_t t, int64_t h,
                                      Comparison& out) const {
  const KvWriteDesc& d = case_.desc;
  const double most = d.kv_dtype == DType::f8_e4m3 ? 448 : d.kv_dtype == DType::f8_e4m3fnuz ? 240 : INFINITY;
  const int64_t to = place(params.slot_mapping[t], h);
  std::vector<double> from(static_cast<size_t>(d.head_dim)), got(from.size());
  load_values(x, d.x_dtype, t * params.x_stride + h * d.head_dim, d.head_dim, from.data());
  load_values(cache, d.kv_dtype, to * d.head_dim, d.head_dim, got.data());
  double scale = 1;
  if (d.kv_scale == Scales::token_head) {
    double peak = 0;
    for (double value : from) peak = std::max(peak, std::abs(value));
    // Without 8-bit storage there is no largest value to scale to: the reference's constant.
    const double want = peak > 0 ? peak / (std::isfinite(most) ? most : 448) : 1;
    scale = scales[to];
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

}  // namespace attune
