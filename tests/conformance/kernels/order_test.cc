// The order of arithmetic: equal reduction tags mean equal bits; a row's bits depend on neither batch nor phase nor M.
#include <gtest/gtest.h>

#include "proof/order.h"
#include "proof/planted.h"
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
