#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "ops/catalogue.h"

namespace attune {

// The sizes that test cases use where a kernel admits more: small ones, odd ones, primes, the neighbours of powers of two. Types and modes
// are always taken from the op's own domain.

template <class Op>
Constraint<int64_t> test_sizes(std::string_view field);

template <>
inline Constraint<int64_t> test_sizes<Attention>(std::string_view field) {
  if (field == "num_kv_heads") return one_of({1, 2, 3, 5, 8});
  if (field == "gqa_group") return one_of({1, 2, 4, 5, 7, 8, 64});
  if (field == "head_dim") return one_of({64, 128, 80, 96, 256, 8, 32, 40, 112, 192, 17, 512});
  if (field == "block_size") return one_of({16, 64, 128, 48, 256, 32, 1, 7});
  if (field == "window") return one_of({0, 1, 17, 100, 300, 1 << 30});
  return one_of({-1, 0, 5, 40, 1 << 30});  // window_right
}
template <>
inline Constraint<int64_t> test_sizes<KvWrite>(std::string_view field) {
  if (field == "num_kv_heads") return one_of({1, 2, 3, 8});
  if (field == "head_dim") return one_of({64, 128, 80, 96, 256, 8, 40, 17, 512});
  return one_of({16, 64, 48, 256, 1, 7});
}
template <>
inline Constraint<int64_t> test_sizes<Matmul>(std::string_view field) {
  if (field == "n") return one_of({64, 1, 15, 16, 17, 33, 97, 128, 200, 257});
  if (field == "k") return one_of({256, 1, 7, 16, 31, 64, 100, 128, 513, 1000, 1024});
  if (field == "rows") return one_of({1, 2, 4, 8, 16, 17, 33, 64, 70});
  return range{1, 3};  // segments
}
template <>
inline Constraint<int64_t> test_sizes<Norm>(std::string_view) {
  return one_of({64, 1, 7, 80, 256, 1000, 1024, 4096, 16384});
}
template <>
inline Constraint<int64_t> test_sizes<Rope>(std::string_view field) {
  if (field == "head_dim") return one_of({64, 128, 80, 96, 256, 8, 40});
  return one_of({64, 2, 8, 32, 40, 80, 128, 256});
}
template <>
inline Constraint<int64_t> test_sizes<RopeKvWrite>(std::string_view field) {
  if (field == "num_kv_heads") return one_of({2, 1, 3, 8});
  if (field == "gqa_group") return one_of({1, 2, 3, 4, 7});
  if (field == "block_size") return one_of({16, 1, 7, 32, 64});
  return test_sizes<Rope>(field);
}
template <>
inline Constraint<int64_t> test_sizes<ActivationOp>(std::string_view) {
  return range{1, 1};
}
template <>
inline Constraint<int64_t> test_sizes<Embed>(std::string_view) {
  return one_of({64, 1, 7, 80, 256, 1000, 1024, 16384});
}
template <>
inline Constraint<int64_t> test_sizes<Sample>(std::string_view) {
  return one_of({1000, 1, 2, 33, 4096, 32000, 151936});
}

inline constexpr Constraint<double> kTestSoftcaps = one_of({0, 50, 1, 30});

/// Makes a freshly drawn desc meaningful: scales only for 8-bit types, rotary_dim ≤ head_dim, and so on.
inline void repair(AttentionDesc& d) {
  if (!is_f8(d.q_dtype)) d.q_scale = Scales::none;
  if (!is_f8(d.kv_dtype)) d.kv_scale = Scales::none;
  if (d.mask == Mask::tree) d.kv_source = KvSource::self_paged;
}
inline void repair(KvWriteDesc& d) {
  if (!is_f8(d.kv_dtype)) d.kv_scale = Scales::none;
}
inline void repair(MatmulDesc& d) {
  if (d.n < d.segments) d.segments = 1;
  if (!is_f8(d.w_dtype)) d.w_scale = Scales::none, d.quantize = Quantize::none, d.accumulate = Accumulate::promoted;
  if (!is_f8(d.x_dtype)) d.x_scale = Scales::none;
  if (d.quantize != Quantize::none && is_f8(d.x_dtype)) d.quantize = Quantize::none;
}
/// The largest rotation brings its head along, which else few cases would have; others shrink to the head.
template <class Desc>
void fit_rotary(Desc& d) {
  if (d.rotary_dim > 128) d.head_dim = std::max(d.head_dim, d.rotary_dim);
  if (d.rotary_dim > d.head_dim) d.rotary_dim = d.head_dim - d.head_dim % 2;
}
inline void repair(RopeDesc& d) {
  d.rotary_dim -= d.rotary_dim % 2;
  fit_rotary(d);
}
inline void repair(RopeKvWriteDesc& d) {
  d.rotary_dim -= d.rotary_dim % 2;
  fit_rotary(d);
  if (!is_f8(d.kv_dtype)) d.kv_scale = Scales::none;
}
inline void repair(NormDesc&) {}
inline void repair(ActivationDesc&) {}
inline void repair(EmbedDesc&) {}
inline void repair(SampleDesc&) {}

}  // namespace attune
