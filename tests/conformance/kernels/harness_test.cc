// The parts of the harness: guards, bounds, case text, comparison.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "proof/attention_rows.h"
#include "proof/run_case.h"

namespace attune {
namespace {

TEST(GuardedBuffer, IsPoisonedAndSeesWritesAroundIt) {
  for (Guard guard : {Guard::after, Guard::before, Guard::slack}) {
    GuardedBuffer b(100, 64, guard, 0xff);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data()) % 64, 0u);
    EXPECT_EQ(b.data()[0], 0xff);
    EXPECT_EQ(b.data()[99], 0xff);
    b.fill(0);
    EXPECT_TRUE(b.surroundings_untouched());
    b.data()[100] = 0;
    EXPECT_FALSE(b.surroundings_untouched());
  }
}

TEST(GuardedBuffer, EndsAtAForbiddenPage) {
  EXPECT_DEATH(
      {
        GuardedBuffer b(100, 1, Guard::after, 0xff);
        static_cast<volatile uint8_t*>(b.data())[100] = 1;
      },
      "");
  EXPECT_DEATH(
      {
        GuardedBuffer b(100, 1, Guard::before, 0xff);
        static_cast<volatile uint8_t*>(b.data())[-1] = 1;
      },
      "");
}

TEST(Memory, NamesWhatWasChanged) {
  Memory memory(Guard::after);
  auto* in = memory.add<float>("in", DType::f32, 4);
  auto* out = memory.add<float>("out", DType::f32, 6);
  memory.may_write(out, 0, 2);
  memory.may_write(out, 3, 2);
  memory.freeze();
  out[0] = out[1] = out[3] = out[4] = 1;
  EXPECT_EQ(memory.damage(), "");
  EXPECT_EQ(memory.written().size(), 16u);
  out[2] = 0;
  EXPECT_EQ(memory.damage(), "out, byte 8");
  memory.restore();
  out[5] = 0;
  EXPECT_EQ(memory.damage(), "out, byte 20");
  memory.restore();
  in[3] = 0;
  EXPECT_EQ(memory.damage(), "in, byte 12");
}

TEST(Poison, IsNotANumberInEveryType) {
  for (DType t : {DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e4m3fnuz}) {
    const uint32_t bits = poison_byte(t) * 0x01010101u;
    EXPECT_TRUE(std::isnan(load_as_float(&bits, t, 0))) << to_text(t);
  }
}

TEST(Bounds, HalfUlpCoversEveryRounding) {
  Fill fill(1);
  for (DType t : {DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e4m3fnuz})
    for (int i = 0; i < 20000; ++i) {
      const float x = static_cast<float>(fill.between(-200, 200) * std::pow(2.0, -static_cast<double>(fill.below(20))));
      uint32_t stored_bits = 0;
      store_from_float(&stored_bits, t, 0, x);
      EXPECT_LE(std::abs(static_cast<double>(load_as_float(&stored_bits, t, 0)) - x), half_ulp(t, x)) << to_text(t) << " " << x;
    }
}

TEST(Bounds, ReadTheReductionTag) {
  EXPECT_EQ(declared_rounding("chunk256.lanes16.p_bf16").p, 0x1.0p-8);
  EXPECT_EQ(declared_rounding("chunk256.lanes16.p_bf16").q, 0);
  EXPECT_EQ(declared_rounding("p_f16.x_bf16").p, 0x1.0p-11);
  EXPECT_EQ(declared_rounding("p_f16.x_bf16").x, 0x1.0p-8);
  EXPECT_EQ(declared_rounding("p_f16").p_floor, 0x1.0p-25);
  EXPECT_EQ(declared_rounding("tile64.p_bf16.p_f16_scaled14").p, 0x1.0p-8);
  EXPECT_EQ(declared_rounding("tile64.p_bf16.p_f16_scaled14").p_floor, 0x1.0p-39);
  EXPECT_EQ(declared_rounding("chunk256.p_bf16").p_floor, 0);
  EXPECT_EQ(declared_rounding("chunk256.f32_fma").p, 0);
  EXPECT_EQ(declared_rounding("top_bf16").p, 0);
}

TEST(Comparison, FailsOnNanInfinityExcessAndDrift) {
  const auto where = [] { return std::string("here"); };
  const auto verdict = [&](double got, double want, ErrorBound bound) {
    Comparison c;
    c.add(got, want, bound, where);
    return c.verdict();
  };
  EXPECT_EQ(verdict(1, 1.5, {1, 1}), "");
  EXPECT_EQ(verdict(-INFINITY, -INFINITY, {}), "");
  EXPECT_EQ(verdict(0, 0, {}), "");
  EXPECT_NE(verdict(NAN, 1, {1, 1}).find("here"), std::string::npos);
  EXPECT_NE(verdict(INFINITY, 1, {1, 1}), "");
  EXPECT_NE(verdict(1, -INFINITY, {1, 1}), "");
  EXPECT_NE(verdict(1, 2.5, {1, 1}), "");
  EXPECT_NE(verdict(1e-30, 0, {}), "");
  Comparison drift;
  for (int i = 0; i < 300; ++i) drift.add(1.5, 1, {1, 0.1}, where);
  EXPECT_NE(drift.verdict().find("independent roundings"), std::string::npos);
}

/// Errors that are small for each output, but all of one sign, or of one part among many others.
TEST(Comparison, FailsOnALeanAndJudgesPartsApart) {
  const auto where = [] { return std::string("here"); };
  Comparison leaning, fair, two;
  for (int row = 0; row < 100; ++row) {
    const double error = row % 2 == 0 ? 0.1 : -0.1;
    leaning.add_lean(OutputKind::values, 3, {0.1 + error / 10, 1, 0.01, 0});
    fair.add_lean(OutputKind::values, 3, {error, 1, 0.01, 0});
  }
  EXPECT_NE(leaning.verdict().find("values of all heads lean by 0.1"), std::string::npos) << leaning.verdict();
  EXPECT_EQ(fair.verdict(), "");
  for (int i = 0; i < 5000; ++i) two.add(1, 1, {1, 0.1, 0}, where);
  for (int i = 0; i < 100; ++i) two.add(1.5, 1, {1, 0.1, 0}, where, OutputKind::lse);
  EXPECT_NE(two.verdict().find("over 100 log-sum-exps"), std::string::npos) << two.verdict();
  Comparison few;
  for (int i = 0; i < 10; ++i) few.add(1.5, 1, {1, 0.1, 0}, where, OutputKind::logprobs);
  EXPECT_EQ(few.verdict(), "");
  EXPECT_EQ(few.few().outputs, 10);
  EXPECT_NEAR(few.few().ratios, 250, 1e-6);
}

/// A mean square that no single output's bound would show.
TEST(Typical, ActivationsAFewUnitsOffAreCaught) {
  const auto c = parse_case<ActivationOp>("x=f32 out=f32 act=silu rows=65 seed=5");
  ActivationKernel kernel = *catalogue().kernels<ActivationOp>().back();
  EXPECT_EQ(run_case(kernel, c).text, "");
  kernel.launch = [](const ExecContext& ctx, const ActivationDesc& d, const ActivationParams& p) {
    activation_ref(ctx, d, p);
    for (int64_t i = 0; i < p.rows * p.width; ++i) static_cast<float*>(p.out)[i] *= 1 + 3 * 0x1.0p-23f;  // within the worst case
  };
  EXPECT_NE(run_case(kernel, c).text.find("mean square error"), std::string::npos) << run_case(kernel, c).text;
}

TEST(Bounds, RoundingsHaveTheVarianceThatIsClaimed) {
  Fill fill(3);
  for (DType t : {DType::f16, DType::bf16, DType::f8_e4m3}) {
    double squares = 0, expected = 0, relative = 0;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) {
      const auto x = static_cast<float>(std::exp(fill.between(-2, 4)));
      uint32_t bits = 0;
      store_from_float(&bits, t, 0, x);
      const double error = static_cast<double>(load_as_float(&bits, t, 0)) - x;
      squares += error * error, expected += rounding_variance(t, x), relative += error / x * (error / x);
    }
    EXPECT_NEAR(squares / expected, 1, 0.05) << to_text(t);
    EXPECT_NEAR(relative / kDraws / relative_variance(unit_roundoff(t)), 1, 0.05) << to_text(t);
  }
}

TEST(CaseText, RoundTripsAndRefuses) {
  const auto c = parse_case<Attention>("q=bf16 kv=f8_e4m3 heads=8:2 head_dim=80 block=32 phase=verify mask=tree q_lens=1*3,5 kv_lens=7*3,129 seed=4");
  EXPECT_EQ(c.q_lens, (std::vector<int64_t>{1, 1, 1, 5}));
  EXPECT_EQ(c.kv_lens, (std::vector<int64_t>{7, 7, 7, 129}));
  EXPECT_EQ(c.seed, 4u);
  EXPECT_EQ(to_text(c), "q=bf16 kv=f8_e4m3 heads=8:2 head_dim=80 block=32 phase=verify mask=tree q_lens=1*3,5 kv_lens=7*3,129 seed=4");
  EXPECT_EQ(parse_case<Matmul>("n=5 k=7 m=3 seed=2").rows, 3);
  EXPECT_EQ(parse_case<Norm>("hidden=5 rows=3").rows, 3);
  for (const char* bad : {"q_lens=1,2 kv_lens=1", "q_lens=-1", "q_lens=1,,2", "q_lens=1*0", "q_lens=1*99999999999", "q_lens=", "kv_lens=99999999999",
                          "seed=x", "rows=3", "q_lens=1 q_lens=2", "q_lens=2", "phase=verify q_lens=33", "head_dim=0", "nonsense"})
    EXPECT_THROW(parse_case<Attention>(bad), Error) << bad;
  EXPECT_THROW(parse_case<Matmul>("m=-1"), Error);
  EXPECT_THROW(parse_case<Matmul>("q_lens=1"), Error);
}

/// The rows that cases are judged by against the reference itself, through f32 outputs.
TEST(AttentionRows, EqualTheReference) {
  for (int64_t i = 0; i < 24; ++i) {
    const AttentionKernel& reference = *catalogue().kernels<Attention>().back();
    ASSERT_EQ(reference.info.name, "ref.attention");
    auto c = draw_case(reference, 5, i);
    ASSERT_TRUE(c);
    c->desc.out_dtype = DType::f32;
    c->desc.out_scale = false;
    Problem<Attention> problem(*c, {});
    reference.launch({}, c->desc, problem.params);
    AttentionRows rows(c->desc, problem.params);
    const AttentionParams& p = problem.params;
    for (int64_t s = 0; s < p.num_seqs; ++s)
      for (int64_t t = p.q_start[s]; t < p.q_start[s + 1]; t += 3)
        for (int64_t h = 0; h < c->desc.num_q_heads(); h += 2) {
          const AttentionRow& row = rows.row(s, t, h);
          for (int64_t e = 0; e < c->desc.head_dim; ++e) {
            const double got = static_cast<float*>(p.out)[t * p.out_stride + h * c->desc.head_dim + e];
            // The reference rounds once, to f32; its double sums differ from these by some 1e-13.
            ASSERT_NEAR(got, row.out[static_cast<size_t>(e)], half_ulp(DType::f32, got) + 1e-11 * row.magnitude[static_cast<size_t>(e)])
                << to_text(*c);
          }
        }
  }
}

TEST(AttentionProblem, ComparesRowsThatAreThereAndNotAllThereIsRoomFor) {
  const auto c = parse_case<Attention>("q=bf16 kv=bf16 heads=4:2 head_dim=64 block=16 phase=verify mask=causal q_lens=1,2 kv_lens=5,7 seed=3");
  ProblemStyle style;
  style.room_q = {40, 40}, style.room_kv = {64, 64};
  const Problem<Attention> p(c, style);
  ASSERT_EQ(p.params.total_q, 80);
  for (int64_t row = 0; row < 3; ++row) std::memset(static_cast<uint16_t*>(p.params.out) + row * p.params.out_stride, 0, 4 * 64 * 2);
  Comparison out;
  p.compare(catalogue().kernels<Attention>().front()->info.reduction, 64, out);
  EXPECT_EQ(out.count(), 3 * 4 * 64) << "outputs of three rows of four heads";
}

}  // namespace
}  // namespace attune
