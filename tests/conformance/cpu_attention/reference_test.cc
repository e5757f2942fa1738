// Every CPU attention kernel that runs here against the reference: descs drawn over the whole declared domain, poison in everything unused.
#include <gtest/gtest.h>

#include <cmath>

#include "core/rng.h"
#include "problem.h"

namespace attune {
namespace {

void reference_kernel(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) { attention_ref(ctx, d, p); }
constexpr AttentionKernel kReference{.info = {.name = "ref.attention"}, .launch = reference_kernel};

ThreadPool& pool() {
  static ThreadPool two(2);
  return two;
}

void check(const AttentionDesc& desc, const std::vector<SequenceSpec>& sequences, uint64_t seed) {
  Attention::validate(desc);
  Problem problem(desc, sequences, seed);
  const auto kernels = kernels_for(desc);
  ASSERT_FALSE(kernels.empty()) << to_text(desc);
  const std::string expected = problem.run(kReference, pool());
  for (const AttentionKernel* k : kernels) {
    const std::string got = problem.run(*k, pool());
    EXPECT_EQ(compare(problem, *k, got, expected), "") << k->info.name << " " << describe(problem) << " seed=" << seed;
    EXPECT_TRUE(got == problem.run(*k, pool())) << k->info.name << " differs when repeated: " << describe(problem);
    EXPECT_TRUE(got == problem.run(*k, pool(), 0)) << k->info.name << " differs without a workspace: " << describe(problem);
  }
}

template <class T>
T pick(Rng& rng, std::initializer_list<T> values) {
  return values.begin()[rng.below(static_cast<int64_t>(values.size()))];
}

AttentionDesc sampled_desc(Rng& rng) {
  AttentionDesc d;
  const auto types = {DType::f32, DType::f16, DType::bf16, DType::bf16, DType::f8_e4m3, DType::f8_e4m3, DType::f8_e4m3fnuz};
  const auto scales = {Scales::none, Scales::tensor, Scales::head, Scales::seq_head, Scales::token_head};
  d.q_dtype = rng.below(2) == 0 ? DType::bf16 : pick(rng, types);
  d.kv_dtype = pick(rng, types);
  d.out_dtype = rng.below(2) == 0 ? DType::f32 : pick(rng, types);
  d.num_kv_heads = pick<int64_t>(rng, {1, 2, 3});
  d.gqa_group = pick<int64_t>(rng, {1, 2, 3, 4, 5, 6, 7, 8});
  d.head_dim = pick<int64_t>(rng, {32, 64, 64, 80, 96, 112, 128, 128, 16, 33, 72, 192, 256});
  d.block_size = pick<int64_t>(rng, {16, 16, 64, 128, 48});
  d.phase = pick(rng, {Phase::decode, Phase::verify, Phase::prefill});
  d.kv_source = pick(rng, {KvSource::self_paged, KvSource::self_paged, KvSource::cross_paged, KvSource::ragged});
  d.mask = pick(rng, {Mask::none, Mask::causal, Mask::causal, Mask::per_request, Mask::tree});
  if (d.mask == Mask::tree) d.kv_source = KvSource::self_paged;
  d.ranges = rng.below(4) == 0;
  d.window = pick<int64_t>(rng, {0, 0, 1, 17, 64, 300});
  d.window_right = pick<int64_t>(rng, {-1, -1, 0, 5, 70});
  d.softcap = pick(rng, {0.0, 0.0, 5.0, 50.0});
  d.alibi = pick(rng, {Alibi::none, Alibi::none, Alibi::plain, Alibi::sqrt});
  d.sinks = rng.below(3) == 0;
  d.q_scale = is_f8(d.q_dtype) && rng.below(3) != 0 ? pick(rng, scales) : Scales::none;
  d.kv_scale = is_f8(d.kv_dtype) && rng.below(5) != 0 ? pick(rng, scales) : Scales::none;
  d.out_scale = rng.below(4) == 0;
  d.lse = rng.below(2) == 0;
  return d;
}

std::vector<SequenceSpec> sampled_sequences(Rng& rng, Phase phase) {
  const int64_t most = phase == Phase::decode ? 1 : phase == Phase::verify ? 32 : 80;
  std::vector<SequenceSpec> out;
  const int64_t n = 1 + rng.below(4);
  for (int64_t i = 0; i < n; ++i) {
    SequenceSpec s;
    s.content = static_cast<uint64_t>(i + 1);
    s.q_len = rng.below(6) == 0 ? 0 : phase == Phase::decode ? 1 : 1 + rng.below(most);
    s.kv_len = pick<int64_t>(rng, {0, 1, 15, 16, 17, 63, 129, 255, 256, 257, 300, 511, 530, 700});
    out.push_back(s);
  }
  return out;
}

TEST(CpuAttention, MatchesTheReferenceOnSampledDescs) {
  Rng rng(20260);
  for (uint64_t i = 0; i < 120; ++i) {
    const AttentionDesc d = sampled_desc(rng);
    check(d, sampled_sequences(rng, d.phase), 1000 + i);
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(CpuAttention, LengthsOfTheField) {
  AttentionDesc d;
  d.out_dtype = DType::f32, d.head_dim = 64, d.num_kv_heads = 1, d.gqa_group = 2, d.phase = Phase::prefill, d.lse = true;
  check(d, {{1, 1, 128}, {2, 5, 18}, {3, 129, 463}}, 1);
  check(d, {{1, 10, 256}, {2, 5, 64}, {3, 32, 128}}, 2);
  check(d, {{1, 1, 1024}, {2, 5, 18}, {3, 33, 1328}}, 3);
  d.block_size = 64;
  check(d, {{1, 64, 128}, {2, 32, 256}, {3, 16, 512}}, 4);
  check(d, {{1, 167, 75}}, 5);  // more queries than keys: the first rows see nothing
  check(d, {{1, 0, 75}, {2, 3, 0}, {3, 0, 0}, {4, 1, 1}}, 6);
  d.mask = Mask::none;
  check(d, {{1, 1, 1}, {2, 4, 15}, {3, 17, 16}, {4, 17, 1500}, {5, 4, 17}}, 7);
}

TEST(CpuAttention, ManyShortSequences) {
  AttentionDesc d;
  d.out_dtype = DType::f32, d.head_dim = 32, d.num_kv_heads = 2, d.gqa_group = 2;
  std::vector<SequenceSpec> s;
  for (uint64_t i = 0; i < 200; ++i) s.push_back({i, 1, 1 + static_cast<int64_t>(i % 3)});
  check(d, s, 8);
}

TEST(CpuAttention, WideHeadsAndLargeGroups) {
  AttentionDesc d;
  d.out_dtype = DType::f32, d.head_dim = 512, d.num_kv_heads = 1, d.gqa_group = 3, d.phase = Phase::verify;
  check(d, {{1, 4, 300}}, 9);
  d.head_dim = 1;
  check(d, {{1, 4, 300}}, 10);
  d.head_dim = 64, d.gqa_group = 71;
  check(d, {{1, 3, 270}}, 11);
}

TEST(CpuAttention, RowsThatSeeNothingAreZero) {
  AttentionDesc d;
  d.out_dtype = DType::f32, d.head_dim = 64, d.num_kv_heads = 1, d.gqa_group = 2, d.phase = Phase::verify, d.lse = true;
  for (const bool sinks : {false, true}) {
    d.sinks = sinks;
    for (const AttentionKernel* k : kernels_for(d)) {
      Problem p(d, {{1, 5, 2}, {2, 2, 0}}, 12);
      const std::string got = p.run(*k, pool());
      for (const int64_t token : {0, 1, 2, 5, 6})
        for (int64_t h = 0; h < 2; ++h) {
          for (int64_t x = 0; x < 64; ++x) EXPECT_TRUE(p.output(got, token, h, x) == 0 && !std::signbit(p.output(got, token, h, x)));
          EXPECT_EQ(p.lse(got, token, h), sinks ? p.params.sinks[h] : -INFINITY);
        }
      EXPECT_NE(p.output(got, 4, 0, 0), 0);
    }
  }
}

}  // namespace
}  // namespace attune
