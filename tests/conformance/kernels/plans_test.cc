// What the harness runs: pairs of values, length sets, the suite of another project, large pools; and that a wrong law of sampling shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/rng.h"
#include "proof/covering.h"
#include "proof/field_corners.h"
#include "proof/laws.h"
#include "proof/length_sets.h"
#include "proof/planted.h"
#include "proof/product.h"
#include "proof/run_case.h"
#include "proof/sample_law.h"
#include "proof/suites.h"
#include "proof/verify.h"
#include "select/select.h"

namespace attune {
namespace {

const SampleKernel& reference_sample() { return *catalogue().kernels<Sample>().back(); }

template <class Op>
void expect_pairs_covered() {
  for (const Kernel<Op>* kernel : catalogue().template kernels<Op>()) {
    PairCoverage coverage;
    const auto cases = covering_cases(*kernel, 3, &coverage);
    EXPECT_EQ(coverage.covered, coverage.possible) << kernel->info.name;
    EXPECT_GT(coverage.possible, 0) << kernel->info.name;
    for (const auto& c : cases) EXPECT_TRUE(admits(*kernel, c.desc)) << kernel->info.name << ": " << to_text(c);
    EXPECT_EQ(cases, covering_cases(*kernel, 3)) << "a seed gives the same cases";
  }
}

TEST(Covering, EveryPairOfValuesThatAKernelAdmitsMeets) {
  for_each_op([]<class Op>() { expect_pairs_covered<Op>(); });
}

/// Head sizes and mask of which only some pairs are admitted: what is counted as possible must be just these.
TEST(Covering, CountsOnlyPairsThatTheRulesAdmit) {
  static constexpr Rule<NormDesc> kRules[] = {{"residual needs hidden 64", [](const NormDesc& d) { return !d.residual || d.hidden == 64; }}};
  NormKernel kernel = *catalogue().kernels<Norm>().back();
  kernel.can = {.hidden = one_of({64, 80, 256}), .residual = flag};
  kernel.rules = kRules;
  PairCoverage coverage;
  const auto cases = covering_cases(kernel, 1, &coverage);
  // Fields: x, w, out and unit_offset have one value each; hidden three, residual two. Of the 6 pairs (hidden, residual) 4 are admitted.
  EXPECT_EQ(coverage.possible, 6 + 4 * (3 + 2) + 4);
  std::set<std::pair<int64_t, bool>> met;
  for (const auto& c : cases) met.emplace(c.desc.hidden, c.desc.residual);
  EXPECT_EQ(met.size(), 4u);
}

/// A pair that needs company of a rare kind is possible all the same, and is run.
TEST(Covering, FindsPairsThatNeedRareCompany) {
  static constexpr Rule<AttentionDesc> kRules[] = {{"ranges and a softcap need head_dim 17 and blocks of 7", [](const AttentionDesc& d) {
                                                      return !d.ranges || d.softcap == 0 || (d.head_dim == 17 && d.block_size == 7);
                                                    }}};
  AttentionKernel kernel = *catalogue().kernels<Attention>().back();
  kernel.rules = kRules;
  for (const uint64_t seed : {1, 2, 3, 4}) {
    PairCoverage coverage;
    std::set<double> met;
    for (const auto& c : covering_cases(kernel, seed, &coverage))
      if (c.desc.ranges && c.desc.softcap > 0) met.insert(c.desc.softcap);
    EXPECT_EQ(met.size(), 3u) << "seed " << seed;
    EXPECT_EQ(coverage.covered, coverage.possible);
  }
}

/// What a kernel lists is run, however large, in all company; the largest size of a long range in a case of its own.
TEST(Corners, LargeSizesAreRunAndCounted) {
  NormKernel kernel = *catalogue().kernels<Norm>().back();
  kernel.can.hidden = one_of({64, 5120, 30'000});
  EXPECT_THAT(declared_corners(kernel), testing::IsSupersetOf({"hidden=64", "hidden=5120", "hidden=30000"}));
  EXPECT_THAT(unexercised(kernel, covering_cases(kernel, 1)), testing::IsEmpty());
  EXPECT_THAT(unexercised(kernel, std::vector<Case<Norm>>{}), testing::Contains("hidden=30000"));
  kernel.can.hidden = range{1, 8192};
  EXPECT_THAT(declared_corners(kernel), testing::IsSupersetOf({"hidden=1", "hidden=8192"}));
  EXPECT_THAT(end_cases(kernel, 1), testing::IsEmpty());
  kernel.can.hidden = multiple_of{24};
  EXPECT_THAT(declared_corners(kernel), testing::IsSupersetOf({"hidden=24", "hidden=32760"}));
  ASSERT_EQ(end_cases(kernel, 1).size(), 1u);
  EXPECT_EQ(end_cases(kernel, 1)[0].desc.hidden, 32760);
  kernel.can.hidden = any;
  for (const auto& [field, text] : declared_fields(kernel))
    if (field == "hidden") EXPECT_EQ(text, "any of 1..32768");
}

template <class Op>
void expect_ends_run() {
  for (const Kernel<Op>* kernel : catalogue().template kernels<Op>())
    for (const uint64_t seed : {1, 2, 3}) {
      std::vector<Case<Op>> cases = covering_cases(*kernel, seed);
      for (Case<Op>& c : end_cases(*kernel, seed)) {
        EXPECT_TRUE(admits(*kernel, c.desc)) << to_text(c);
        cases.push_back(std::move(c));
      }
      EXPECT_THAT(unexercised(*kernel, cases), testing::IsEmpty()) << kernel->info.name << ", seed " << seed;
    }
}
TEST(Corners, EveryKernelMeetsTheLargestOfEveryField) {
  for_each_op([]<class Op>() { expect_ends_run<Op>(); });
}

/// Of a large case 64 rows and heads are compared, each once, however its sequences are cut.
TEST(Samples, AreAsManyAsAskedFor) {
  const AttentionKernel& kernel = *catalogue().kernels<Attention>().back();
  for (const char* lengths : {"q_lens=1,5,129 kv_lens=102,18,132", "q_lens=64,32,16,0,0 kv_lens=128,256,51,0,0", "q_lens=1*5,40 kv_lens=1*5,40"}) {
    const auto c = parse_case<Attention>(std::string("q=f32 kv=f32 heads=4:4 head_dim=16 phase=prefill mask=causal ") + lengths);
    const CaseResult r = run_case(kernel, c, {.samples = 64, .twice = false});
    EXPECT_TRUE(r.passed) << r.text;
    EXPECT_EQ(r.outputs, 64 * 16) << lengths;
  }
}

/// The roundings of a long sum add up: rows whose only fault was their length.
TEST(Samples, LongNormsHold) {
  const DeviceProps cpu = detect_cpu();
  for (const NormKernel* kernel : catalogue().kernels<Norm>()) {
    if (!check_device(kernel->info, kernel->launch != nullptr, cpu).empty()) continue;
    for (const int seed : {103, 494, 770, 1101}) {
      const CaseResult r = run_case(*kernel, parse_case<Norm>(fmt::format("x=bf16 w=f32 hidden=32768 rows=1 seed={}", seed)), {.twice = false});
      EXPECT_TRUE(r.passed) << kernel->info.name << ": " << r.text;
      EXPECT_LT(r.typical_ratio, 2) << kernel->info.name;
    }
  }
}

TEST(Covering, PairsThatWouldTakeGigabytesAreCountedApart) {
  MatmulKernel kernel = *catalogue().kernels<Matmul>().back();
  kernel.can = {.n = one_of({64, 151'936}), .k = one_of({64, 14'336})};
  kernel.rules = {};
  PairCoverage coverage;
  const auto cases = covering_cases(kernel, 1, &coverage);
  EXPECT_EQ(coverage.too_large, 1);
  EXPECT_EQ(coverage.covered, coverage.possible);
  EXPECT_THAT(unexercised(kernel, cases), testing::IsEmpty());
}

TEST(LengthSets, HoldWhatTheFieldHasAndReachEveryKernel) {
  std::vector<std::string> texts;
  for (const LengthSet& s : length_sets()) {
    ASSERT_EQ(s.q_lens.size(), s.kv_lens.size()) << s.name;
    texts.push_back(to_text(Case<Attention>{.q_lens = s.q_lens, .kv_lens = s.kv_lens}));
  }
  for (const char* wanted : {"q_lens=1,5,129 kv_lens=128,18,463 ", "q_lens=10,5,32 kv_lens=256,64,128 ", "q_lens=1,5,129 kv_lens=1024,18,1328 ",
                             "q_lens=1*4 kv_lens=128,256,384,512 ", "q_lens=1*3 kv_lens=1024,1536,2048 ", "q_lens=256,128 kv_lens=256,512 ",
                             "q_lens=64,32,16 kv_lens=128,256,512 ", "q_lens=256,128 kv_lens=1024,2048 ", "q_lens=1*533 kv_lens=1*533 ",
                             "q_lens=567 kv_lens=275 ", "q_lens=17*5 kv_lens=1,15,16,17,1500 "})
    EXPECT_THAT(texts, testing::Contains(testing::HasSubstr(wanted)));
  for (const AttentionKernel* kernel : catalogue().kernels<Attention>()) {
    const auto cases = length_set_cases(*kernel, 1, 2e8, 1, false);
    std::set<int64_t> heads, sizes, blocks;
    bool large = false;
    for (const auto& c : cases) {
      EXPECT_TRUE(admits(*kernel, c.desc)) << kernel->info.name;
      EXPECT_LE(flops_of(c), 2e8);
      heads.insert(c.desc.gqa_group), sizes.insert(c.desc.head_dim), blocks.insert(c.desc.block_size);
      large |= c.pool >= 32768;
    }
    EXPECT_TRUE(large) << kernel->info.name;
    const auto of_its_phases = std::count_if(length_sets().begin(), length_sets().end(),
                                             [&](const LengthSet& s) { return kernel->can.phase.admits(s.phase, AttentionDesc{}.phase); });
    EXPECT_GE(cases.size(), static_cast<size_t>(of_its_phases) - 2) << kernel->info.name;
    EXPECT_GE(heads.size(), std::min<size_t>(4, cases.size() / 3)) << kernel->info.name;
    size_t possible = 0;
    for (const int64_t size : {32, 64, 80, 96, 112, 128, 192, 256}) possible += kernel->can.head_dim.admits(size, AttentionDesc{}.head_dim);
    EXPECT_GE(sizes.size(), possible > 5 ? 5 : std::min<size_t>(possible, 3)) << kernel->info.name;
    EXPECT_GE(blocks.size(), 4u) << kernel->info.name;
  }
}

/// Whatever the seed: an offset kept in 32 bits must show.
TEST(LengthSets, LargePoolsLieBeyond32Bits) {
  for (const AttentionKernel* kernel : catalogue().kernels<Attention>())
    for (const uint64_t seed : {0, 1, 2, 3}) {
      if (kernel->info.tier == Tier::reference) continue;
      int64_t largest = 0;
      for (const auto& c : length_set_cases(*kernel, seed, 2e8, 1, false))
        largest = std::max(largest, c.pool * c.desc.num_kv_heads * c.desc.block_size * c.desc.head_dim);
      EXPECT_GT(largest, int64_t{1} << 32) << kernel->info.name << ", seed " << seed;
    }
}

/// Reads the block that a 32-bit offset would reach.
void wrap_offsets(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  const int64_t reach = (int64_t{1} << 32) / (d.num_kv_heads * d.block_size * d.head_dim);
  std::vector<int32_t> table(p.block_table, p.block_table + p.num_seqs * p.max_blocks);
  for (int32_t& block : table)
    if (block < p.num_blocks) block = static_cast<int32_t>(block % reach);
  AttentionParams wrong = p;
  wrong.block_table = table.data();
  unplanted_attention().launch(ctx, d, wrong);
}

TEST(LengthSets, AnOffsetThatWrapsIsCaughtWhateverTheSeed) {
  AttentionKernel kernel = unplanted_attention();
  kernel.launch = wrap_offsets;
  for (const uint64_t seed : {0, 1, 2, 3}) {
    int caught = 0;
    for (const auto& c : length_set_cases(kernel, seed, 2e7, 1, false)) {
      const int64_t block = c.desc.num_kv_heads * c.desc.block_size * c.desc.head_dim;
      if (c.pool * block > int64_t{1} << 32) caught += !run_case(kernel, c, {.samples = 16, .twice = false}).passed;
    }
    EXPECT_GT(caught, 0) << "seed " << seed;
  }
}

/// Rows of ops without lengths: every admitted desc at every number of rows, once.
TEST(Product, EveryDescAtEveryNumberOfRows) {
  NormKernel kernel = *catalogue().kernels<Norm>().back();
  kernel.can = {.hidden = one_of({64, 80, 256}), .residual = flag};
  const auto covering = covering_cases(kernel, 1);
  const auto all = product_of(kernel, covering, 1, 1e9);
  std::set<std::tuple<int64_t, bool, int64_t>> met;
  for (const auto& c : all.cases) met.emplace(c.desc.hidden, c.desc.residual, c.rows);
  EXPECT_EQ(met.size(), 6u * 8);
  EXPECT_EQ(all.cases.size(), met.size()) << "none twice";
  EXPECT_EQ(all.cases, product_of(kernel, covering, 1, 1e9).cases) << "a fixed order";
}

/// No length set is left out of any desc that admits it; heads and blocks may change, by cost and for far offsets.
TEST(Product, EveryDescAtEveryLengthSet) {
  const auto key = [](AttentionDesc d, const std::vector<int64_t>& q, const std::vector<int64_t>& kv, bool pool) {
    d.num_kv_heads = d.gqa_group = 1, d.block_size = 16;
    return to_text(Case<Attention>{.desc = d, .q_lens = q, .kv_lens = kv, .pool = pool});
  };
  for (const AttentionKernel* kernel : catalogue().kernels<Attention>()) {
    if (kernel->info.tier == Tier::reference) continue;
    const auto covering = covering_cases(*kernel, 1);
    const auto all = product_of(*kernel, covering, 1, 1e15);
    EXPECT_EQ(all.too_large, 0) << kernel->info.name;
    std::set<std::string> met;
    for (const auto& c : all.cases) {
      EXPECT_TRUE(admits(*kernel, c.desc)) << to_text(c);
      met.insert(key(c.desc, c.q_lens, c.kv_lens, c.pool > 0));
    }
    for (const auto& c : covering)
      for (const LengthSet& set : length_sets()) {
        AttentionDesc d = c.desc;
        d.phase = set.phase;
        if (set.desc.starts_with("mask=none")) d.mask = Mask::none;
        if (set.desc == "mask=causal") d.mask = Mask::causal;
        if (set.desc.find("cross_paged") != std::string_view::npos) d.kv_source = KvSource::cross_paged;
        if (set.desc.find("ragged") != std::string_view::npos) d.kv_source = KvSource::ragged;
        if (d.mask == Mask::tree) d.kv_source = KvSource::self_paged;
        if (!is_valid<Attention>(d) || !admits(*kernel, d)) continue;
        EXPECT_TRUE(met.contains(key(d, set.q_lens, set.kv_lens, set.pool > 0))) << kernel->info.name << ", " << set.name << ": " << to_text(d);
      }
  }
}

/// A product that is too large to be compared whole must still show a small systematic defect.
TEST(SampledOutputs, AreEnoughForTheMeanSquare) {
  MatmulKernel kernel = *catalogue().kernels<Matmul>().back();
  const auto c = parse_case<Matmul>("x=bf16 w=bf16 n=200 k=8192 rows=3 m=3 seed=4");
  EXPECT_EQ(run_case(kernel, c, {.samples = 64}).text, "");
  kernel.launch = [](const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
    matmul_ref(ctx, d, p);
    for (int64_t m = 0; m < p.m; ++m)
      for (int64_t n = 0; n < d.n; ++n) static_cast<float*>(p.out)[m * p.out_stride + n] *= 1.0001f;
  };
  EXPECT_THAT(run_case(kernel, c, {.samples = 64}).text, testing::HasSubstr("mean square error"));
}

/// A run on an invented GPU whose cases another pretends to do.
KernelReport pretended_run(VerifySuite suite, int64_t memory, const CaseResult& result) {
  VerifyOptions o{.op = "attention", .kernels = {"gpu.attention.split_kv"}, .suite = suite};
  for (const DeviceProps& device : invented_devices())
    if (device.name == "h100") o.device = device;
  o.device.memory = memory;
  o.perform = [&](const Task&) { return TaskResult{.result = result}; };
  for (KernelReport& k : run_verify(o).kernels)
    if (k.status != KernelReport::Status::not_run) return std::move(k);
  ADD_FAILURE() << "the kernel was not run";
  return {};
}

TEST(Verify, ADeviceWithTooLittleMemorySkipsLargePoolsAndSaysSo) {
  const KernelReport small = pretended_run(VerifySuite::lengths, int64_t{8} << 30, {.passed = true});
  ASSERT_FALSE(small.skipped.empty());
  EXPECT_THAT(small.skipped[0].text, testing::HasSubstr("its pool needs"));
  EXPECT_THAT(small.skipped[0].repro, testing::HasSubstr("pool=32768"));
  EXPECT_TRUE(small.held());
  const KernelReport large = pretended_run(VerifySuite::lengths, int64_t{1} << 40, {.passed = true});
  EXPECT_TRUE(large.skipped.empty());
  EXPECT_EQ(large.cases, small.cases + static_cast<int64_t>(small.skipped.size()));
}

/// A run whose cases another pretends to do, ended when `tasks` of them are done; `last`: what the one that is ended comes to.
VerifyReport ended_run(VerifyOptions options, int64_t tasks, const CaseResult& last = {.passed = true}, const std::vector<LawResult>& laws = {}) {
  options.device = detect_cpu();
  int64_t done = 0;
  options.perform = [&](const Task&) {
    TaskResult result;
    result.laws = laws, result.result.passed = true;
    if (++done == tasks) result.result = last;
    return result;
  };
  options.stop = [&] { return done >= tasks; };
  return run_verify(options);
}

const VerifyOptions kNorm{.op = "norm", .kernels = {"ref.norm"}};

void expect_ended_early(const VerifyReport& report, int64_t cases) {
  ASSERT_EQ(report.kernels.size(), 1u);
  const KernelReport& k = report.kernels[0];
  EXPECT_EQ(k.status, KernelReport::Status::ended_early) << to_text(k.status);
  EXPECT_FALSE(k.held());
  EXPECT_EQ(k.cases, cases);
  EXPECT_TRUE(report.stopped);
  EXPECT_FALSE(report.held());
  EXPECT_EQ(report.failed(), 0) << "what did not run is no failure";
}

TEST(EndedEarly, IsAKernelWhoseCasesDidNotAllRun) {
  expect_ended_early(ended_run(kNorm, 3), 3);
  expect_ended_early(ended_run(kNorm, 3, {.inconclusive = true}), 2);  // Ctrl-C ended the process that ran the third
  const VerifyReport whole = ended_run(kNorm, int64_t{1} << 40);
  EXPECT_EQ(whole.kernels[0].status, KernelReport::Status::passed);
  EXPECT_EQ(whole.kernels[0].cases, whole.kernels[0].planned);
  EXPECT_TRUE(whole.held());
}

TEST(EndedEarly, IsAKernelWhoseDeclarationWasNotJudged) {
  const int64_t planned = ended_run(kNorm, 1).kernels[0].planned;
  expect_ended_early(ended_run(kNorm, planned), planned);
  VerifyOptions desc = kNorm;
  desc.desc = "hidden=64 rows=3";
  EXPECT_EQ(ended_run(desc, 2).kernels[0].status, KernelReport::Status::passed) << "a desc has no declaration to judge";
}

TEST(EndedEarly, IsAKernelWhoseLawsWereNotJudged) {
  const VerifyOptions laws{.op = "sample", .kernels = {"ref.sample"}, .suite = VerifySuite::laws};
  expect_ended_early(ended_run(laws, 1, {.text = "the process was ended", .inconclusive = true}), 0);
  EXPECT_EQ(ended_run(laws, 1, {.passed = true}, {{.law = "temperature", .draws = 100}}).kernels[0].status, KernelReport::Status::passed);
}

TEST(EndedEarly, IsAKernelWhoseTimeForRandomCasesWasNotOver) {
  VerifyOptions fuzz = kNorm;
  fuzz.fuzz_seconds = 3600;
  expect_ended_early(ended_run(fuzz, 4), 4);
}

TEST(EndedEarly, AFailureStaysOne) {
  const VerifyReport report = ended_run(kNorm, 3, {.text = "row 3"});
  EXPECT_EQ(report.kernels[0].status, KernelReport::Status::failed);
  EXPECT_EQ(report.failed(), 1);
  EXPECT_LT(report.kernels[0].cases, report.kernels[0].planned);
}

/// Each case has a few of them, whose mean square alone says nothing.
TEST(Verify, OutputsThatComeInSmallNumbersAreJudgedOverAllCases) {
  const auto with = [](double ratio) { return pretended_run(VerifySuite::lengths, int64_t{1} << 40, {.passed = true, .few = {5, 5 * ratio}}); };
  EXPECT_TRUE(with(1).held());
  EXPECT_FALSE(with(5).held());
  EXPECT_THAT(with(5).failures[0].text, testing::HasSubstr("outputs of many cases"));
}

/// Log-probabilities off by far less than the worst sum of so many terms allows: five a case, too few to judge there.
TEST(Typical, LogProbabilitiesALittleOffAreCaughtOverManyCases) {
  SampleKernel kernel = reference_sample();
  const auto ratio = [&] {
    Comparison::Few few;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
      const CaseResult r = run_case(kernel, parse_case<Sample>(fmt::format("vocab=32000 greedy_only=yes rows=4 seed={}", seed)), {.twice = false});
      EXPECT_TRUE(r.passed) << r.text;
      few.outputs += r.few.outputs, few.ratios += r.few.ratios;
    }
    EXPECT_GE(few.outputs, 64);
    return few.ratios / static_cast<double>(few.outputs);
  };
  EXPECT_LT(ratio(), 1);
  kernel.launch = [](const ExecContext& ctx, const SampleDesc& d, const SampleParams& p) {
    sample_ref(ctx, d, p);
    for (int64_t r = 0; p.logprob && r < p.rows; ++r) p.logprob[r] += 1e-4f;
  };
  EXPECT_GT(ratio(), 4);
}

TEST(SeedSuite, HasItsSixtyFiveCasesAndTolerances) {
  const auto suite = seed_suite();
  ASSERT_EQ(suite.size(), 65u);
  int wide = 0, eight = 0;
  std::set<std::string> texts;
  for (const SuiteCase& s : suite) {
    const AttentionDesc& d = s.problem.desc;
    EXPECT_EQ(d.num_kv_heads, 8);
    EXPECT_EQ(d.gqa_group, 1);
    EXPECT_EQ(d.mask, Mask::causal);
    EXPECT_EQ(d.window, 0);
    (is_f8(d.q_dtype) || is_f8(d.kv_dtype) ? eight : wide) += 1;
    EXPECT_EQ(s.tolerance.atol, is_f8(d.q_dtype) || is_f8(d.kv_dtype) ? 0.15 : 1.5e-2);
    texts.insert(s.name);
    EXPECT_EQ(parse_case<Attention>(to_text(s.problem)), s.problem);
  }
  EXPECT_EQ(wide, 35);
  EXPECT_EQ(eight, 30);
  EXPECT_EQ(texts.size(), 65u);
}

TEST(LargePool, IsSparsePoisonedAndWatched) {
  const auto c = parse_case<Attention>("q=bf16 kv=f32 heads=2:1 head_dim=256 block=256 mask=causal phase=prefill q_lens=3 kv_lens=20 pool=32768");
  Problem<Attention> problem(c, {});
  const AttentionParams& p = problem.params;
  EXPECT_EQ(p.num_blocks, 32768);
  EXPECT_EQ(p.block_table[0], 32767) << "the largest offset is used";
  const auto* k = static_cast<const float*>(p.k);
  const int64_t block = 256 * 256, used = p.block_table[0] * block;
  EXPECT_FALSE(std::isnan(k[used]));
  EXPECT_TRUE(std::isnan(k[used + 20 * 256])) << "past the last key";
  EXPECT_TRUE(std::isnan(k[used - 1])) << "the block before";
  problem.memory.freeze();
  EXPECT_EQ(problem.memory.damage(), "");
  const_cast<float*>(k)[used - 5] = 0;
  EXPECT_NE(problem.memory.damage(), "");
  problem.memory.restore();
  EXPECT_EQ(problem.memory.damage(), "");
  EXPECT_TRUE(run_case(unplanted_attention(), c).passed);
}

TEST(CaseText, PoolAndContentsRoundTrip) {
  const std::string text = "q=bf16 kv=bf16 heads=8:2 head_dim=80 block=32 mask=causal q_lens=1 kv_lens=7 pool=64 contents=report seed=4";
  EXPECT_EQ(to_text(parse_case<Attention>(text)), text);
  for (const char* bad : {"pool=-1", "pool=99999999", "contents=other", "pool=x"}) EXPECT_THROW(parse_case<Attention>(bad), Error) << bad;
  EXPECT_THROW(parse_case<Norm>("pool=4"), Error);
  EXPECT_EQ(parse_case<KvWrite>("pool=70 rows=3").pool, 70);
}

// ---- the laws of sampling ------------------------------------------------------------------------------------------------------------------

TEST(Laws, TheReferenceFollowsThemAll) {
  ThreadPool pool(1);
  for (const LawResult& law : check_laws(reference_sample(), 20000, 5, pool)) {
    EXPECT_EQ(law.text, "") << law.law;
    EXPECT_EQ(law.draws, 20000);
  }
}

/// Draws as the reference does, with one thing wrong.
template <class Spoil>
void spoiled(const ExecContext& ctx, const SampleDesc& d, const SampleParams& p) {
  std::vector<SampleRow> rows(p.row, p.row + p.rows);
  for (SampleRow& r : rows) Spoil{}(r);
  SampleParams wrong = p;
  wrong.row = rows.data();
  sample_ref(ctx, d, wrong);
}

template <class Spoil>
std::vector<std::string> laws_broken_by(Spoil) {
  ThreadPool pool(1);
  SampleKernel kernel = reference_sample();
  kernel.launch = spoiled<Spoil>;
  std::vector<std::string> out;
  for (const LawResult& law : check_laws(kernel, 20000, 5, pool))
    if (!law.text.empty()) out.push_back(law.law);
  return out;
}

TEST(Laws, AWrongLawShows) {
  using testing::Contains;
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.temperature *= 1.2f; }), Contains("temperature 1"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.top_k += r.top_k > 0; }), Contains("top_k 7"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.top_p = r.top_p < 1 ? r.top_p + 0.04f : 1; }), Contains("top_p 0.8"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.min_p = 0; }), Contains("min_p 0.1"));
  const auto one_less = [](SampleRow& r) { r.output_tokens > 0 ? (++r.output, --r.output_tokens) : 0; };  // of the token that came thrice
  EXPECT_THAT(laws_broken_by(one_less), Contains("frequency penalty 0.5"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.repetition_penalty = 1; }), Contains("repetition penalty 1.4"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.presence_penalty = 0; }), Contains("presence penalty 0.8"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.frequency_penalty = 0; }), Contains("frequency penalty 0.5"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.num_banned = 0; }), Contains("bias and bans"));
  EXPECT_THAT(laws_broken_by([](SampleRow& r) { r.position = 7; }), testing::Not(testing::IsEmpty()));
}

TEST(Laws, DistanceOfADrawToATokensShare) {
  const std::vector<float> logits = {0, 0};
  SampleRow row;
  row.temperature = 1, row.seed = 3;
  const SampleLaw law = sample_law(logits, row);
  ASSERT_EQ(law.kept.size(), 2u);
  const double drawn = uniform(3, 0, 0, Draw::sample);
  EXPECT_DOUBLE_EQ(law.distance(row, drawn < 0.5 ? 0 : 1), 0);
  EXPECT_NEAR(law.distance(row, drawn < 0.5 ? 1 : 0), std::abs(drawn - 0.5), 1e-12);
  EXPECT_EQ(law.distance(row, 2), INFINITY);
}

}  // namespace
}  // namespace attune
