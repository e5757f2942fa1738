// rope_kv_write says what norm, rope and kv_write say one after the other: their references, with f32 between them, meet its bounds, and a wrong
// step does not.
#include <gtest/gtest.h>

#include <vector>

#include "proof/run_case.h"

namespace attune {
namespace {

/// What may go wrong between the three.
enum class Slip { none, weights_swapped, values_rotated, norm_after_rotation };

template <Slip S>
void one_by_one(const ExecContext& ctx, const RopeKvWriteDesc& d, const RopeKvWriteParams& p) {
  const int64_t q_width = d.num_q_heads() * d.head_dim, kv_width = d.num_kv_heads * d.head_dim, width = q_width + 2 * kv_width;
  std::vector<float> rows(static_cast<size_t>(p.tokens * width));
  for (int64_t t = 0; t < p.tokens; ++t)
    for (int64_t i = 0; i < width; ++i) rows[static_cast<size_t>(t * width + i)] = load_as_float(p.qkv, d.x_dtype, t * p.x_stride + i);
  float *q = rows.data(), *k = q + q_width, *v = k + kv_width;
  const auto norm = [&](float* x, int64_t heads, const void* w) {
    if (!d.norm) return;
    norm_ref(ctx, {.w_dtype = d.w_dtype, .hidden = d.head_dim, .unit_offset = d.unit_offset},
             {.x = x, .out = x, .groups = p.tokens, .rows = heads, .x_group_stride = width, .out_group_stride = width, .w = w, .eps = p.eps});
  };
  const auto rope = [&](float* x, int64_t heads, DType out_dtype, void* out, int64_t out_stride) {
    rope_ref(ctx, {.out_dtype = out_dtype, .head_dim = d.head_dim, .rotary_dim = d.rotary_dim, .style = d.style},
             {.x = x,
              .out = out,
              .tokens = p.tokens,
              .heads = heads,
              .x_stride = width,
              .out_stride = out_stride,
              .positions = p.positions,
              .inv_freq = p.inv_freq,
              .attention_factor = p.attention_factor});
  };
  const bool swapped = S == Slip::weights_swapped, late = S == Slip::norm_after_rotation;
  norm(q, d.num_q_heads(), swapped ? p.k_weight : p.q_weight);
  if (!late) norm(k, d.num_kv_heads, swapped ? p.q_weight : p.k_weight);
  rope(q, d.num_q_heads(), d.out_dtype, p.q, p.q_stride);
  rope(k, S == Slip::values_rotated ? 2 * d.num_kv_heads : d.num_kv_heads, DType::f32, k, width);
  if (late) norm(k, d.num_kv_heads, p.k_weight);
  KvWriteDesc write = d.kv_write();
  write.x_dtype = DType::f32;
  kv_write_ref(ctx, write,
               {.k = k,
                .v = v,
                .x_stride = width,
                .tokens = p.tokens,
                .slot_mapping = p.slot_mapping,
                .k_cache = p.k_cache,
                .v_cache = p.v_cache,
                .num_blocks = p.num_blocks,
                .k_scale = p.k_scale,
                .v_scale = p.v_scale});
}

const RopeKvWriteKernel& reference() { return *catalogue().kernels<RopeKvWrite>().back(); }

RopeKvWriteKernel kernel_of(RopeKvWriteKernel::Launch launch) {
  RopeKvWriteKernel k = reference();
  k.launch = launch;
  return k;
}

TEST(RopeKvWrite, IsNormRopeAndKvWriteInOne) {
  const RopeKvWriteKernel kernel = kernel_of(one_by_one<Slip::none>);
  for (int64_t i = 0; i < 120; ++i) {
    const auto c = draw_case(reference(), 5, i);
    ASSERT_TRUE(c.has_value());
    const CaseResult r = run_case(kernel, *c);
    EXPECT_TRUE(r.passed) << r.text << "\n" << to_text(*c);
  }
}

TEST(RopeKvWrite, ASlipIsSeen) {
  const auto c = parse_case<RopeKvWrite>("x=f32 out=f32 kv=f32 kv_heads=2 group=2 head_dim=64 rotary_dim=64 norm=yes block=16 rows=8 seed=3");
  EXPECT_TRUE(run_case(kernel_of(one_by_one<Slip::none>), c).passed);
  EXPECT_FALSE(run_case(kernel_of(one_by_one<Slip::weights_swapped>), c).passed);
  EXPECT_FALSE(run_case(kernel_of(one_by_one<Slip::values_rotated>), c).passed);
  EXPECT_FALSE(run_case(kernel_of(one_by_one<Slip::norm_after_rotation>), c).passed);
}

}  // namespace
}  // namespace attune
