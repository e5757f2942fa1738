// The harness can fail: every planted defect is caught by run_case and by the probe, and the same kernel without a defect passes.
#include "proof/planted.h"

#include <gtest/gtest.h>

#include "proof/probe.h"
#include "proof/run_case.h"

namespace attune {
namespace {

struct Shape {
  bool one_row;
  std::string_view text;
};

constexpr Shape kShapes[] = {
    {true, " phase=decode q_lens=1*3 kv_lens=1,37,530 seed=3"},
    {true, " phase=decode window=100 q_lens=1*3 kv_lens=1,37,530 seed=3"},
    {false, " phase=prefill q_lens=33,4 kv_lens=40,530 seed=3"},
    {false, " phase=prefill window=100 q_lens=33,4 kv_lens=40,530 seed=3"},
};

TEST(Planted, AttentionIsCaughtAtOneRowAndMoreWithAndWithoutWindow) {
  for (const auto& defect : planted<Attention>())
    for (const Shape& shape : kShapes) {
      const auto c = parse_case<Attention>(std::string(defect.desc) + std::string(shape.text));
      const CaseResult result = run_case(defect.kernel, c);
      if (shape.one_row && defect.hidden_at_one_row)
        EXPECT_TRUE(result.passed) << defect.name << " should not show: " << result.text;
      else
        EXPECT_FALSE(result.passed) << defect.name << " was MISSED by " << result.repro;
      const ProbeResult probed = probe(defect.kernel, c.desc);
      EXPECT_EQ(probed.passed, shape.one_row && defect.hidden_at_one_row)
          << defect.name << " and the probe of " << to_text(c.desc) << ": " << probed.text;
      EXPECT_EQ(probed.text.empty(), probed.passed);
    }
}

TEST(Planted, TheSameKernelWithoutADefectPasses) {
  for (const auto& defect : planted<Attention>())
    for (const Shape& shape : kShapes) {
      const auto c = parse_case<Attention>(std::string(defect.desc) + std::string(shape.text));
      const CaseResult result = run_case(unplanted_attention(), c);
      EXPECT_TRUE(result.passed) << result.text << "\n" << result.repro;
      const ProbeResult probed = probe(unplanted_attention(), c.desc);
      EXPECT_TRUE(probed.passed) << probed.text;
    }
  for (int64_t i = 0; i < 24; ++i) {
    const auto c = draw_case(unplanted_attention(), 11, i);
    ASSERT_TRUE(c);
    const CaseResult result = run_case(unplanted_attention(), *c);
    EXPECT_TRUE(result.passed) << result.text << "\n" << result.repro;
  }
}

template <class Op>
void expect_caught(const char* lengths) {
  EXPECT_FALSE(planted<Op>().empty());
  for (const auto& defect : planted<Op>()) {
    const auto c = parse_case<Op>(std::string(defect.desc) + lengths);
    if (defect.faults) continue;  // the program's tests run it in a child process
    const CaseResult result = run_case(defect.kernel, c);
    EXPECT_FALSE(result.passed) << defect.name << " was MISSED by " << result.repro;
    EXPECT_NE(result.repro.find(to_text(c)), std::string::npos) << result.repro;
    EXPECT_FALSE(probe(defect.kernel, c.desc).passed) << defect.name << " was MISSED by the probe";
  }
}

TEST(Planted, MatmulIsCaught) { expect_caught<Matmul>(" m=17 seed=3"); }
TEST(Planted, KvWriteIsCaught) { expect_caught<KvWrite>(" rows=12 seed=3"); }
TEST(Planted, NormIsCaught) { expect_caught<Norm>(" rows=5 seed=3"); }

TEST(Planted, AKernelThatIsNotBuiltNeverPasses) {
  AttentionKernel kernel = unplanted_attention();
  kernel.launch = nullptr;
  const CaseResult result = run_case(kernel, parse_case<Attention>("q=bf16 q_lens=1 kv_lens=5"));
  EXPECT_FALSE(result.passed);
  EXPECT_EQ(result.text, "not built");
  EXPECT_FALSE(probe(kernel, AttentionDesc{}).passed);
}

}  // namespace
}  // namespace attune
