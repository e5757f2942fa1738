// Small systematic defects of attention with softmax weights in bf16: below the worst case of every output, and below the noise of each, but all to
// one side. A right kernel's errors lean to none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "proof/planted.h"
#include "proof/run_case.h"
#include "proof/verify.h"
#include "select/judge.h"

namespace attune {
namespace {

const AttentionKernel* base = nullptr;  // what the kernels below spoil

/// One head's outputs are 1.001 of what they should be, before they are rounded.
void scale_one_head(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  const int64_t heads = d.num_q_heads(), width = heads * d.head_dim, tokens = p.q_start[p.num_seqs];
  std::vector<float> exact(static_cast<size_t>(p.total_q * width));
  AttentionDesc wide = d;
  wide.out_dtype = DType::f32;
  AttentionParams own = p;
  own.out = exact.data(), own.out_stride = width;
  base->launch(ctx, wide, own);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < width; ++i)
      store_from_float(p.out, d.out_dtype, t * p.out_stride + i, exact[static_cast<size_t>(t * width + i)] * (i / d.head_dim == 1 ? 1.001f : 1.0f));
}

/// The log-sum-exp is 0.001 low where there are sinks.
void lower_lse(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  base->launch(ctx, d, p);
  for (int64_t i = 0; d.sinks && d.lse && i < p.q_start[p.num_seqs] * d.num_q_heads(); ++i) p.lse[i] -= 1e-3f;
}

AttentionKernel spoiled(AttentionKernel::Launch launch) {
  AttentionKernel kernel = *base;
  kernel.launch = launch;
  return kernel;
}

/// Kernels that round the weights to bf16 and say so: the catalogue's that run here, and a plain one that runs everywhere.
std::vector<AttentionKernel> kernels_with_narrow_weights() {
  std::vector<AttentionKernel> out = {*find_planted<Attention>("narrow_weights")};
  out[0].info.reduction = "planted.p_bf16";
  const DeviceProps cpu = detect_cpu();
  for (const AttentionKernel* k : catalogue().kernels<Attention>())
    if (declared_rounding(k->info.reduction).p > 0 && check_device(k->info, k->launch != nullptr, cpu).empty()) out.push_back(*k);
  return out;
}

constexpr std::string_view kShapes[] = {
    "phase=decode q_lens=1*200 kv_lens=40*50,300*50,31*50,77*50",
    "phase=verify q_lens=8*16 kv_lens=130*8,515*4,64*4",
    "phase=prefill q_lens=129,70 kv_lens=463,70",
    "phase=prefill window=100 q_lens=129,70 kv_lens=463,70",
};
constexpr std::string_view kHeads[] = {"heads=4:2 head_dim=64", "heads=2:1 head_dim=128", "heads=5:1 head_dim=80"};

template <class F>
void for_each_problem(F&& f) {
  for (const std::string_view shape : kShapes)
    for (const std::string_view heads : kHeads)
      for (const std::string_view out : {"", " out=f32"})
        f(parse_case<Attention>(
            fmt::format("q=bf16 kv=bf16{} {} block=16 mask=causal sinks=yes lse=yes {} seed={}", out, heads, shape, heads.size() + shape.size())));
}

TEST(Lean, ARightKernelLeansToNoSide) {
  for (const AttentionKernel& kernel : kernels_with_narrow_weights())
    for_each_problem([&](const Case<Attention>& c) {
      const CaseResult r = run_case(kernel, c, {.samples = 0, .twice = false});
      EXPECT_TRUE(r.passed) << r.text << "\n" << r.repro;
      EXPECT_LT(r.levers.ratio(), 0.75) << r.repro;
      EXPECT_LT(r.typical_ratio, 2) << r.repro;
    });
}

/// A softcap of 1 makes most weights equal, so that their roundings, each the same, look like a factor.
TEST(Lean, WeightsThatCoincideRoundAlike) {
  const auto c = parse_case<Attention>(
      "q=f16 kv=f16 out=f16 heads=8:2 head_dim=32 block=7 phase=verify kv_source=ragged mask=per_request ranges=yes window=17 window_right=40 "
      "softcap=1 "
      "sinks=yes lse=yes q_lens=26,15 kv_lens=45,227 seed=1000050");
  int ran = 0;
  for (const AttentionKernel& kernel : kernels_with_narrow_weights()) {
    if (!admits(kernel, c.desc)) continue;
    ++ran;
    const CaseResult r = run_case(kernel, c, {.samples = 0, .twice = false});
    EXPECT_TRUE(r.passed) << kernel.info.name << ": " << r.text;
    EXPECT_LT(r.levers.ratio(), 1) << kernel.info.name;  // 1.34 where they count as independent; rows share them, too
  }
  EXPECT_GT(ran, 0);
}

TEST(Lean, OneHeadThatIsAThousandthTooLargeIsCaught) {
  for (const AttentionKernel& kernel : kernels_with_narrow_weights()) {
    base = &kernel;
    for_each_problem([&](const Case<Attention>& c) {
      const CaseResult r = run_case(spoiled(scale_one_head), c, {.samples = 0, .twice = false});
      EXPECT_THAT(r.text, testing::HasSubstr("lean by")) << r.repro;
    });
  }
}

TEST(Lean, LogSumExpsThatAreAThousandthTooLowAreCaught) {
  for (const AttentionKernel& kernel : kernels_with_narrow_weights()) {
    base = &kernel;
    for_each_problem([&](const Case<Attention>& c) {
      const CaseResult r = run_case(spoiled(lower_lse), c, {.samples = 0, .twice = false});
      EXPECT_THAT(r.text, testing::HasSubstr("log-sum-exps")) << r.repro;
    });
  }
}

/// What verify runs of a kernel, each case by the spoiled one, judged as there: sampled outputs where a case is large, and all cases together.
KernelReport verified(AttentionKernel::Launch launch) {
  static const AttentionKernel narrow = kernels_with_narrow_weights()[0];
  base = &narrow;
  const AttentionKernel kernel = launch ? spoiled(launch) : narrow;
  VerifyOptions o{.op = "attention", .kernels = {"planted.*"}, .plant = "narrow_weights", .device = detect_cpu()};
  o.perform = [&](const Task& task) {
    return TaskResult{.result = run_case(kernel, parse_case<Attention>(task.problem), {.samples = task.samples, .twice = false})};
  };
  return run_verify(o).kernels.at(0);
}

TEST(Lean, VerifyCatchesBothAndPassesARightKernel) {
  const KernelReport right = verified(nullptr);
  EXPECT_TRUE(right.held()) << right.failures[0].text;
  EXPECT_LT(right.lean_ratio, 0.8);
  EXPECT_FALSE(verified(scale_one_head).held());
  EXPECT_FALSE(verified(lower_lse).held());
}

}  // namespace
}  // namespace attune
