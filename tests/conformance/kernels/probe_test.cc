// The probe accepts what is right, and all probes of a model together cost little.
#include "proof/probe.h"

#include <gtest/gtest.h>

#include <ctime>

#include "build_info.h"
#include "select/desc_text.h"
#include "select/judge.h"

namespace attune {
namespace {

/// Probes the first kernel of the catalogue that this machine and the desc admit; returns the seconds.
template <class Op>
double probe_first(const typename Op::Desc& desc) {
  const DeviceProps cpu = detect_cpu();
  for (const Kernel<Op>* kernel : catalogue().template kernels<Op>()) {
    if (!check(*kernel, cpu, desc).empty()) continue;
    const ProbeResult result = probe(*kernel, desc);
    EXPECT_TRUE(result.passed) << kernel->info.name << ", " << to_text(desc) << ": " << result.text;
    return result.seconds;
  }
  ADD_FAILURE() << "no kernel for " << to_text(desc);
  return 0;
}

/// Every (kernel, desc) of a model of 1024 hidden, 16:8 heads of 128, 3072 intermediate and 151,936 tokens, in bf16.
double probe_model() {
  double seconds = 0;
  for (Phase phase : {Phase::decode, Phase::verify, Phase::prefill})
    for (int64_t window : {0, 100}) seconds += probe_first<Attention>({.q_dtype = DType::bf16, .gqa_group = 2, .phase = phase, .window = window});
  seconds += probe_first<KvWrite>({});
  for (int64_t rows : {1, 8, 64, 2048}) {
    seconds += probe_first<Matmul>({.n = 4096, .k = 1024, .rows = rows, .segments = 3});
    seconds += probe_first<Matmul>({.n = 1024, .k = 2048, .rows = rows, .residual = true});
    seconds += probe_first<Matmul>({.n = 6144, .k = 1024, .rows = rows, .segments = 2});
    seconds += probe_first<Matmul>({.n = 1024, .k = 3072, .rows = rows, .residual = true});
    seconds += probe_first<Matmul>({.n = 151936, .k = 1024, .rows = rows});
  }
  seconds += probe_first<Norm>({.out_dtype = DType::bf16, .hidden = 1024});
  seconds += probe_first<Norm>({.hidden = 128});
  seconds += probe_first<Rope>({.out_dtype = DType::bf16});
  seconds += probe_first<ActivationOp>({});
  seconds += probe_first<Embed>({.hidden = 1024});
  seconds += probe_first<Sample>({.vocab = 151936});
  seconds += probe_first<Sample>({.vocab = 151936, .greedy_only = false});
  return seconds;
}

TEST(Probe, AModelCostsAtMostThreeTenthsOfASecond) {
  // Processor time is judged, so that a busy machine does not fail; an idle one needs no more than that on the wall.
  const std::clock_t start = std::clock();
  const double wall = probe_model();
  const double spent = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("all probes of a model: %.3f s of processor time, %.3f s on the wall\n", spent, wall);
  if (*build::kSanitize != 0) GTEST_SKIP() << "the limit is one of builds without " << build::kSanitize << ", which makes code slower";
  EXPECT_LE(spent, 0.3);
}

TEST(Probe, OddShapesPassOnEveryKernel) {
  const DeviceProps cpu = detect_cpu();
  for (std::string_view text : {"q=f32 kv=f32 heads=7:1 head_dim=80 block=16 mask=causal phase=prefill window=7",
                                "q=bf16 kv=f8_e4m3 heads=8:2 head_dim=64 block=32 mask=causal kv_scale=token_head phase=decode",
                                "q=f16 kv=f16 heads=4:4 head_dim=96 block=16 mask=none kv_source=ragged phase=verify softcap=30"})
    for (const auto* kernel : catalogue().kernels<Attention>()) {
      const auto desc = parse_desc<Attention>(text);
      if (!check(*kernel, cpu, desc).empty()) continue;
      const ProbeResult result = probe(*kernel, desc);
      EXPECT_TRUE(result.passed) << kernel->info.name << ": " << result.text;
    }
}

}  // namespace
}  // namespace attune
