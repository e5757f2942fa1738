// The harness on a device, shown on one without hardware: every pointer is translated, misalignment and margins are kept, outputs come back,
// a captured launch is replayed with other lengths, and what is wrong is caught.
#include <gtest/gtest.h>

#include <thread>

#include "proof/call.h"
#include "proof/device_params.h"
#include "proof/laws.h"
#include "proof/order.h"
#include "proof/probe.h"
#include "proof/run_case.h"
#include "twin_device.h"

namespace attune::device_test {
namespace {

int64_t launches = 0, strangers = 0;  // pointers to memory that is not the device's

template <class Params>
void check_pointers(const Params& params) {
  Params p = params;
  ++launches;
  for_each_pointer(p, [](const auto* pointer) { strangers += pointer != nullptr && !TwinDevice::owns(pointer); });
  if constexpr (std::is_same_v<Params, SampleParams>)
    for (int64_t r = 0; r < p.rows; ++r) {
      SampleRow row = p.row[r];
      strangers += !TwinDevice::owns(p.row);
      for_each_pointer(row, [](const auto* pointer) { strangers += pointer != nullptr && !TwinDevice::owns(pointer); });
    }
}

template <class Op, auto Reference>
void on_twin(const ExecContext& ctx, const typename Op::Desc& d, const typename Op::Params& p) {
  static_cast<TwinStream*>(ctx.stream)->run([d, p] {
    check_pointers(p);
    Reference({}, d, p);
  });
}

/// The reference of an op as a kernel of the twin device.
template <class Op>
Kernel<Op> kernel_of(typename Kernel<Op>::Launch launch, GraphLevel graph = GraphLevel::mixed) {
  Kernel<Op> k = *catalogue().kernels<Op>().back();
  k.info.name = "twin.kernel", k.info.tier = Tier::portable, k.info.device.kind = DeviceKind::cuda, k.info.graph = graph;
  k.launch = launch;
  return k;
}

struct Twin : testing::Test {
  TwinDevice device;
  CaseDevice site{device};
  ThreadPool pool{2};

  template <class Op>
  CaseResult run(const Kernel<Op>& kernel, const Case<Op>& c, Guard guard = Guard::after) {
    return run_case(kernel, c, {.style = {.guard = guard}, .samples = 0, .pool = &pool, .device = &site});
  }
  CaseResult run(AttentionKernel::Launch launch, GraphLevel graph = GraphLevel::none) {
    // No wild table entries: a defect must be seen here, not end the test.
    const RunOptions options{.style = {.guard = Guard::after, .wild = false}, .samples = 0, .pool = &pool, .device = &site};
    return run_case(kernel_of<Attention>(launch, graph), parse_case<Attention>(kUsual), options);
  }
  template <class Op>
  void pass(typename Kernel<Op>::Launch launch) {
    const Kernel<Op> kernel = kernel_of<Op>(launch);
    launches = strangers = 0;
    for (int64_t i = 0; i < 12; ++i) {
      const auto c = draw_case(kernel, 3, i);
      ASSERT_TRUE(c);
      const CaseResult r = run(kernel, *c, i % 2 ? Guard::before : Guard::after);
      EXPECT_TRUE(r.passed) << r.text << "\n" << to_text(*c);
      EXPECT_GE(r.replays, 2);
    }
    EXPECT_GE(launches, 12 * 4);
    EXPECT_EQ(strangers, 0);
  }

  static constexpr std::string_view kUsual =
      "q=bf16 kv=bf16 heads=4:2 head_dim=64 block=16 mask=causal phase=prefill q_lens=33,4,1 kv_lens=40,130,7 seed=3";
};

TEST_F(Twin, EveryOpFindsItsTensors) {
  pass<Attention>(on_twin<Attention, attention_ref>);
  pass<KvWrite>(on_twin<KvWrite, kv_write_ref>);
  pass<Matmul>(on_twin<Matmul, matmul_ref>);
  pass<Norm>(on_twin<Norm, norm_ref>);
  pass<Rope>(on_twin<Rope, rope_ref>);
  pass<RopeKvWrite>(on_twin<RopeKvWrite, rope_kv_write_ref>);
  pass<ActivationOp>(on_twin<ActivationOp, activation_ref>);
  pass<Embed>(on_twin<Embed, embed_ref>);
  pass<Sample>(on_twin<Sample, sample_ref>);
}

TEST_F(Twin, CopiesKeepMisalignmentAndMargins) {
  Memory memory(Guard::after);
  std::vector<uint16_t*> tensors;
  for (int64_t n : {1, 3, 64, 1001}) tensors.push_back(memory.add<uint16_t>("t" + std::to_string(n), DType::bf16, n));
  memory.freeze();
  DeviceTwin twin(site, memory);
  for (uint16_t* host : tensors) {
    const auto* there = static_cast<const uint8_t*>(twin.find(host));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(there) % 256, reinterpret_cast<uintptr_t>(host) % 256);
    EXPECT_EQ(twin.find(reinterpret_cast<uint8_t*>(host) + 1), there + 1);
  }
  EXPECT_EQ(twin.find(&memory), nullptr);
  twin.upload();
  auto* there = static_cast<uint8_t*>(const_cast<void*>(twin.find(tensors[2])));
  there[5] = 7;
  EXPECT_EQ(twin.download(), "");
  EXPECT_EQ(memory.damage(), "t64, byte 5");
  EXPECT_EQ(reinterpret_cast<uint8_t*>(tensors[2])[5], 7);
  memory.restore();
  for (const int64_t at : {-1, -300, 128, 1500}) {
    twin.upload();
    there[at] = 7;
    EXPECT_EQ(twin.download(), "t64") << at;
  }
}

TEST_F(Twin, LargePoolsAreWatchedWhereTheyAreUsed) {
  const auto attention = parse_case<Attention>(
      "q=bf16 kv=f8_e4m3 heads=4:2 head_dim=64 block=16 mask=causal kv_scale=token_head phase=decode q_lens=1*3 kv_lens=1,37,130 seed=3 pool=32768");
  EXPECT_TRUE(run(kernel_of<Attention>(on_twin<Attention, attention_ref>), attention).passed);
  const auto write = parse_case<KvWrite>("kv=f8_e4m3 kv_scale=token_head rows=9 seed=2 pool=32768");
  EXPECT_TRUE(run(kernel_of<KvWrite>(on_twin<KvWrite, kv_write_ref>), write).passed);
}

TEST_F(Twin, OrderTagsAndLawsHoldThere) {
  const auto kernel = kernel_of<Attention>(on_twin<Attention, attention_ref>);
  const LaunchSite there(pool, &site);
  for (int64_t i = 0; i < 8; ++i) {
    const auto c = draw_case(kernel, 4, i);
    EXPECT_EQ(check_order(kernel, *c, there), "");
    EXPECT_EQ(output_bits(kernel, *c, there), output_bits(*catalogue().kernels<Attention>().back(), *c, pool));
    const auto matmul = kernel_of<Matmul>(on_twin<Matmul, matmul_ref>);
    EXPECT_EQ(check_order(matmul, *draw_case(matmul, 4, i), there), "");
  }
  launches = strangers = 0;
  for (const LawResult& law : check_laws(kernel_of<Sample>(on_twin<Sample, sample_ref>), 5000, 5, there)) EXPECT_EQ(law.text, "") << law.law;
  EXPECT_GT(launches, 0);
  EXPECT_EQ(strangers, 0);
}

/// The reference, then `damage(params)`.
template <auto Damage>
void and_damage(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  static_cast<TwinStream*>(ctx.stream)->run([d, p] {
    attention_ref({}, d, p);
    Damage(d, p);
  });
}

TEST_F(Twin, WritesOutsideAreCaught) {
  const auto text = [&](AttentionKernel::Launch launch) { return run(launch).text; };
  EXPECT_EQ(text(and_damage<[](const AttentionDesc&, const AttentionParams&) {}>), "");
  EXPECT_EQ(text(and_damage<[](const AttentionDesc&, const AttentionParams& p) { static_cast<uint8_t*>(p.out)[-1] = 0; }>),
            "wrote where it must not: around out");
  EXPECT_EQ(text(and_damage<[](const AttentionDesc&, const AttentionParams& p) { static_cast<uint8_t*>(const_cast<void*>(p.q))[3] ^= 1; }>),
            "wrote where it must not: q, byte 3");
  EXPECT_EQ(text(and_damage<[](const AttentionDesc&, const AttentionParams& p) { const_cast<int32_t*>(p.kv_lens)[0] = 1; }>),
            "wrote where it must not: kv_lens, byte 0");
}

TEST_F(Twin, WrongResultsAndErrorsAreCaught) {
  const CaseResult wrong = run(and_damage<[](const AttentionDesc& d, const AttentionParams& p) { store_from_float(p.out, d.out_dtype, 0, 9); }>);
  EXPECT_NE(wrong.text.find("sequence 0, row 0, head 0, element 0"), std::string::npos) << wrong.text;
  const CaseResult refused = run([](const ExecContext&, const AttentionDesc&, const AttentionParams&) { invalid("kernel", "less", "more"); });
  EXPECT_EQ(refused.text, "the kernel refused: kernel: expected less; got more");
  EXPECT_FALSE(refused.device_lost);
  const CaseResult lost = run([](const ExecContext&, const AttentionDesc&, const AttentionParams&) {
    fail(ErrorCode::device_error, "device", "success", "an illegal memory access");
  });
  EXPECT_FALSE(lost.passed);
  EXPECT_TRUE(lost.device_lost);
  EXPECT_NE(lost.text.find("illegal memory access"), std::string::npos);
}

/// Reads the lengths when it is launched, not when it runs: right unless a captured launch meets others.
void with_lengths_of_the_launch(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  const auto n = static_cast<size_t>(p.num_seqs);
  std::vector<int32_t> lens(p.kv_lens, p.kv_lens + n);
  static_cast<TwinStream*>(ctx.stream)->run([d, p, lens] {
    AttentionParams mine = p;
    mine.kv_lens = lens.data();
    attention_ref({}, d, mine);
  });
}

/// Counts its launches in the output: another result with every run.
void never_the_same(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  static_cast<TwinStream*>(ctx.stream)->run([d, p] {
    static uint8_t runs = 0;
    attention_ref({}, d, p);
    static_cast<uint8_t*>(p.out)[0] ^= static_cast<uint8_t>(++runs / 3 & 1);  // the lowest bit: within the bound
  });
}

void not_in_a_graph(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  if (static_cast<TwinStream*>(ctx.stream)->capturing) fail(ErrorCode::not_supported, "kernel", "no capture", "one");
  attention_ref({}, d, p);
}

TEST_F(Twin, DeclaredGraphLevelsAreReplayed) {
  EXPECT_EQ(run(on_twin<Attention, attention_ref>, GraphLevel::none).replays, 0);
  EXPECT_EQ(run(on_twin<Attention, attention_ref>, GraphLevel::uniform).replays, 3);
  EXPECT_TRUE(run(on_twin<Attention, attention_ref>, GraphLevel::mixed).passed);
  EXPECT_TRUE(run(with_lengths_of_the_launch, GraphLevel::none).passed);
  for (const GraphLevel level : {GraphLevel::uniform, GraphLevel::mixed}) {
    const CaseResult stale = run(with_lengths_of_the_launch, level);
    EXPECT_NE(stale.text.find("a replay of the captured launch: with other lengths: "), std::string::npos) << stale.text;
  }
  EXPECT_NE(run(never_the_same, GraphLevel::mixed).text.find("gave other bits"), std::string::npos);
  EXPECT_TRUE(run(not_in_a_graph, GraphLevel::none).passed);
  EXPECT_NE(run(not_in_a_graph, GraphLevel::uniform).text.find("expected no capture"), std::string::npos);
}

/// Every sequence is read one key short.
void short_lengths(const ExecContext& ctx, const AttentionDesc& d, const AttentionParams& p) {
  static_cast<TwinStream*>(ctx.stream)->run([d, p] {
    std::vector<int32_t> lens(p.kv_lens, p.kv_lens + p.num_seqs);
    for (int32_t& n : lens) n = std::max(n - 1, 0);
    AttentionParams mine = p;
    mine.kv_lens = lens.data();
    attention_ref({}, d, mine);
  });
}

TEST_F(Twin, TheProbeRunsThereAndExcludes) {
  EXPECT_TRUE(probe(kernel_of<Attention>(on_twin<Attention, attention_ref>), AttentionDesc{}, &site).passed);
  EXPECT_TRUE(probe(kernel_of<Sample>(on_twin<Sample, sample_ref>), SampleDesc{.greedy_only = false}, &site).passed);
  for (const Phase phase : {Phase::decode, Phase::verify, Phase::prefill}) {
    const ProbeResult r = probe(kernel_of<Attention>(short_lengths), AttentionDesc{.phase = phase}, &site);
    EXPECT_FALSE(r.passed);
    EXPECT_NE(r.text, "");
  }
}

}  // namespace
}  // namespace attune::device_test
