// The order of arithmetic: equal reduction tags mean equal bits; a row's bits depend on neither batch nor phase nor M.
#include <gtest/gtest.h>

#include "ops/attention_math.h"
#include "proof/order.h"
#include "proof/planted.h"
#include "proof/problem.h"
#include "proof/run_case.h"
#include "select/judge.h"

namespace attune {
namespace {

constexpr uint64_t kSeed = 23;

template <class Op>
std::vector<const Kernel<Op>*> runnable() {
  std::vector<const Kernel<Op>*> out;
  const DeviceProps cpu = detect_cpu();
  for (const Kernel<Op>* kernel : catalogue().template kernels<Op>())
    if (check_device(kernel->info, kernel->launch != nullptr, cpu).empty()) out.push_back(kernel);
  return out;
}

template <class Op>
void expect_equal_tags_equal_bits() {
  ThreadPool two(2), one(1);
  const auto kernels = runnable<Op>();
  for (size_t a = 0; a < kernels.size(); ++a)
    for (size_t b = a + 1; b < kernels.size(); ++b) {
      if (kernels[a]->info.reduction != kernels[b]->info.reduction) continue;
      for (int64_t i = 0; i < 16; ++i) {
        const auto c = draw_case(*kernels[a], kSeed, i);
        ASSERT_TRUE(c);
        if (!admits(*kernels[b], c->desc)) continue;
        EXPECT_TRUE(output_bits(*kernels[a], *c, two) == output_bits(*kernels[b], *c, one))
            << kernels[a]->info.name << " and " << kernels[b]->info.name << " share the tag " << kernels[a]->info.reduction
            << " but not their bits:\n"
            << repro_line(*kernels[a], *c);
      }
    }
}

TEST(Order, EqualTagsEqualBits) {
  for_each_op([]<class Op>() { expect_equal_tags_equal_bits<Op>(); });
}

template <class Op>
void expect_order_kept() {
  ThreadPool pool(2);
  for (const Kernel<Op>* kernel : runnable<Op>())
    for (int64_t i = 0; i < 24; ++i) {
      const auto c = draw_case(*kernel, kSeed, i);
      ASSERT_TRUE(c);
      EXPECT_EQ(check_order(*kernel, *c, pool), "") << repro_line(*kernel, *c);
    }
}

TEST(Order, AttentionRowsDoNotDependOnBatchOrPhase) { expect_order_kept<Attention>(); }
TEST(Order, MatmulRowsDoNotDependOnM) { expect_order_kept<Matmul>(); }

TEST(Order, NormRowsAreTheSameAlone) { expect_order_kept<Norm>(); }
TEST(Order, RopeRowsAreTheSameAlone) { expect_order_kept<Rope>(); }
TEST(Order, ActivationRowsAreTheSameAlone) { expect_order_kept<ActivationOp>(); }
TEST(Order, EmbedRowsAreTheSameAlone) { expect_order_kept<Embed>(); }
TEST(Order, KvWriteRowsAreTheSameAlone) { expect_order_kept<KvWrite>(); }
TEST(Order, RopeKvWriteRowsAreTheSameAlone) { expect_order_kept<RopeKvWrite>(); }
TEST(Order, SampleRowsAreTheSameAlone) { expect_order_kept<Sample>(); }

// ---- kernels whose last row has another last bit in a batch than alone ---------------------------------------------------------------------------

void flip(void* out, DType t, int64_t element) { static_cast<uint8_t*>(out)[static_cast<size_t>(element) * size_of(t)] ^= 1; }

void spoil(const NormDesc& d, const NormParams& p) {
  const int64_t at = (p.groups - 1) * p.out_group_stride;
  if (p.groups > 1) d.residual ? flip(p.residual, DType::f32, at) : flip(p.out, d.out_dtype, at);
}
void spoil(const RopeDesc& d, const RopeParams& p) {
  if (p.tokens > 1) flip(p.out, d.out_dtype, (p.tokens - 1) * p.out_stride);
}
void spoil(const ActivationDesc& d, const ActivationParams& p) {
  if (p.rows > 1) flip(p.out, d.out_dtype, (p.rows - 1) * p.width);
}
void spoil(const EmbedDesc& d, const EmbedParams& p) {
  if (p.tokens > 1) flip(p.out, d.out_dtype, (p.tokens - 1) * d.hidden);
}
template <class Desc, class Params>
void spoil_page(const Desc& d, const Params& p) {
  const int64_t slot = p.slot_mapping[p.tokens - 1];
  if (p.tokens > 1 && slot >= 0)
    flip(p.v_cache, d.kv_dtype, hnd_offset(slot / d.block_size, 0, slot % d.block_size, d.num_kv_heads, d.block_size, d.head_dim));
}
void spoil(const KvWriteDesc& d, const KvWriteParams& p) { spoil_page(d, p); }
void spoil(const RopeKvWriteDesc& d, const RopeKvWriteParams& p) { spoil_page(d, p); }
void spoil(const SampleDesc&, const SampleParams& p) {
  if (p.rows > 1 && p.logprob) flip(p.logprob, DType::f32, p.rows - 1);
}

template <class Op>
void expect_batch_dependence_caught(std::string_view text) {
  Kernel<Op> kernel = *catalogue().template kernels<Op>().back();
  const Case<Op> c = parse_case<Op>(text);
  ThreadPool pool(2);
  EXPECT_EQ(check_order(kernel, c, pool), "") << text;
  kernel.launch = [](const ExecContext& ctx, const typename Op::Desc& d, const typename Op::Params& p) {
    catalogue().template kernels<Op>().back()->launch(ctx, d, p);
    spoil(d, p);
  };
  EXPECT_NE(check_order(kernel, c, pool), "") << text;
}

TEST(Order, ARowWhoseBitsDependOnTheBatchIsCaught) {
  expect_batch_dependence_caught<Norm>("x=f32 w=bf16 hidden=80 rows=5 seed=3");
  expect_batch_dependence_caught<Norm>("x=f32 w=bf16 hidden=80 residual=yes rows=5 seed=3");
  for (const int seed : {1, 2, 3, 4})
    expect_batch_dependence_caught<Rope>(fmt::format("x=f32 out=f32 head_dim=64 rotary_dim=64 rows=5 seed={}", seed));
  expect_batch_dependence_caught<ActivationOp>("x=f32 act=silu rows=5 seed=3");
  expect_batch_dependence_caught<Embed>("w=bf16 hidden=80 rows=5 seed=3");
  int pages = 0;
  for (const int seed : {1, 2, 3}) {
    const auto c = parse_case<KvWrite>(fmt::format("x=f32 kv=f8_e4m3 kv_heads=2 head_dim=64 block=16 kv_scale=token_head rows=5 seed={}", seed));
    if (Problem<KvWrite>(c, {}).params.slot_mapping[4] < 0) continue;
    ++pages;
    expect_batch_dependence_caught<KvWrite>(to_text(c));
  }
  EXPECT_GT(pages, 0);
  for (const int seed : {1, 2, 3}) {
    const auto c = parse_case<RopeKvWrite>(
        fmt::format("x=f32 out=bf16 kv=bf16 kv_heads=2 group=2 head_dim=64 rotary_dim=64 norm=yes block=16 rows=5 seed={}", seed));
    if (Problem<RopeKvWrite>(c, {}).params.slot_mapping[4] >= 0) expect_batch_dependence_caught<RopeKvWrite>(to_text(c));
  }
  for (const int seed : {1, 2, 3, 4, 5, 6}) {
    const auto c = parse_case<Sample>(fmt::format("vocab=100 greedy_only=no rows=5 seed={}", seed));
    if (Problem<Sample>(c, {}).params.logprob) expect_batch_dependence_caught<Sample>(to_text(c));
  }
}

TEST(Order, AKernelWhoseBitsDependOnThePhaseIsCaught) {
  ThreadPool pool(2);
  for (const auto& defect : planted<Attention>())
    if (defect.name == "lens_from_q") {
      const auto c = parse_case<Attention>("q=bf16 kv=bf16 heads=4:2 head_dim=64 mask=none phase=prefill q_lens=5 kv_lens=9 seed=1");
      EXPECT_NE(check_order(defect.kernel, c, pool), "");
    }
}

}  // namespace
}  // namespace attune
