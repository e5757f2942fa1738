// The gpu page judged on machines that are not here: which devices its kernels accept, what they say to the others, what they ask for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <set>

#include "ops/catalogue.h"
#include "proof/cases.h"
#include "select/judge.h"
#include "select/select.h"

namespace attune {
namespace {

constexpr std::string_view kName = "gpu.attention.split_kv";

std::vector<const AttentionKernel*> entries() {
  std::vector<const AttentionKernel*> out;
  for (const AttentionKernel* k : catalogue().kernels<Attention>())
    if (k->info.name == kName) out.push_back(k);
  return out;
}

const AttentionKernel& entry(DeviceKind kind) {
  for (const AttentionKernel* k : entries())
    if (k->info.device.kind == kind) return *k;
  throw std::runtime_error("no entry of this kind");
}

Selection selected_on(const std::string& device, const AttentionDesc& desc, const Policy& policy = {}) {
  return select<Attention>(catalogue().kernels<Attention>(), find_device(device), desc, "", Bucket{}, {}, policy);
}

/// Descs from the corners of the op's domain, as cases draw them.
std::vector<AttentionDesc> corner_descs() {
  std::vector<AttentionDesc> out;
  for (int64_t i = 0; i < 100; ++i)
    if (const auto c = draw_case(*entries().front(), 11, i)) out.push_back(c->desc);
  return out;
}

TEST(GpuPage, OneEntryAVendor) {
  const auto all = entries();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_NE(all[0]->info.device.kind, all[1]->info.device.kind);
  for (const AttentionKernel* k : all) {
    EXPECT_EQ(k->info.tier, Tier::portable);
    EXPECT_NE(k->info.device.kind, DeviceKind::cpu);
    EXPECT_EQ(k->info.reduction, all[0]->info.reduction);
  }
}

TEST(GpuPage, ChosenAsIfBuiltForEveryDesc) {
  const auto descs = corner_descs();
  ASSERT_GE(descs.size(), 90u);
  for (const char* device : {"h100", "h200", "mi250x", "mi300x"})
    for (const AttentionDesc& d : descs) {
      const Selection s = selected_on(device, d);
      ASSERT_NE(s.chosen, nullptr) << device << ": " << to_text(d) << "\n" << refusals_text(s);
      EXPECT_EQ(s.chosen->device.kind, find_device(device).kind);
      EXPECT_TRUE(s.as_if_built);
      bool listed = false;
      for (const Eligible& e : s.eligible) listed |= e.kernel->name == kName;
      EXPECT_TRUE(listed) << device << ": " << to_text(d);
    }
}

TEST(GpuPage, OverrideFindsTheEntryOfTheDevice) {
  Policy policy;
  policy.overrides.push_back({.op = "attention", .role = "", .kernel = std::string(kName)});
  for (const char* device : {"h200", "mi300x"}) {
    const Selection s = selected_on(device, AttentionDesc{}, policy);
    ASSERT_NE(s.chosen, nullptr) << device;
    EXPECT_EQ(s.chosen->name, kName);
    EXPECT_EQ(s.chosen->device.kind, find_device(device).kind);
  }
}

TEST(GpuPage, OtherArchitecturesAreRefusedByName) {
  for (const char* device : {"sm80", "b200"}) {
    const auto reasons = check(entry(DeviceKind::cuda), find_device(device), AttentionDesc{});
    ASSERT_EQ(reasons.size(), 1u) << device << ": " << to_text(reasons);
    EXPECT_EQ(reasons[0].code, ReasonCode::device);
    EXPECT_EQ(reasons[0].field, "arch");
    EXPECT_EQ(reasons[0].allowed, "one of {sm90a}");
  }
  EXPECT_EQ(to_text(check(entry(DeviceKind::cuda), find_device("sm80"), AttentionDesc{})), "arch: needs one of {sm90a}; got sm80");
}

TEST(GpuPage, TheOtherVendorIsRefusedByKind) {
  const auto on_amd = check(entry(DeviceKind::cuda), find_device("mi300x"), AttentionDesc{});
  ASSERT_EQ(on_amd.size(), 1u);
  EXPECT_EQ(to_text(on_amd[0]), "device: needs cuda; got hip");
  const auto on_nvidia = check(entry(DeviceKind::hip), find_device("h200"), AttentionDesc{});
  ASSERT_EQ(on_nvidia.size(), 1u);
  EXPECT_EQ(to_text(on_nvidia[0]), "device: needs hip; got cuda");
}

TEST(GpuPage, TheCpuNeverTakesThem) {
  const DeviceProps cpu = find_device("cpu");
  for (const AttentionKernel* k : entries()) {
    const auto reasons = check(*k, cpu, AttentionDesc{});
    const auto has = [&](ReasonCode code) { return std::any_of(reasons.begin(), reasons.end(), [&](const Reason& r) { return r.code == code; }); };
    EXPECT_TRUE(has(ReasonCode::device)) << to_text(reasons);
    EXPECT_EQ(has(ReasonCode::not_built), k->launch == nullptr) << to_text(reasons);
  }
  for (const AttentionDesc& d : corner_descs()) {
    const Selection s = selected_on("cpu", d);
    ASSERT_NE(s.chosen, nullptr);
    EXPECT_EQ(s.chosen->device.kind, DeviceKind::cpu);
  }
}

TEST(GpuPage, SharedMemoryFitsTheSmallestDevice) {
  AttentionDesc d;
  for (const int64_t head_dim : {1, 64, 128, 256, 512, 1024}) {
    d.head_dim = head_dim;
    const int64_t bytes = entry(DeviceKind::hip).shared_memory(d);
    EXPECT_GT(bytes, 0);
    EXPECT_LE(bytes, 48 << 10) << "more needs an opt-in of the runtime";
    EXPECT_LE(bytes, find_device("mi300x").shared_memory);
  }
}

TEST(GpuPage, SharedMemoryIsDeclared) {
  const DeviceProps h200 = find_device("h200");
  for_each_op([&]<class Op>() {
    for (const Kernel<Op>* k : catalogue().kernels<Op>()) {
      if (k->info.backend() == "cuda") EXPECT_EQ(k->shared_memory != nullptr, k->info.device.library.name.empty()) << k->info.name;
      if (k->info.device.kind == DeviceKind::cpu || !k->shared_memory) continue;
      for (int64_t i = 0; i < 40; ++i) {
        const auto c = draw_case(*k, 13, i);
        ASSERT_TRUE(c.has_value()) << k->info.name;
        const int64_t bytes = k->shared_memory(c->desc);
        EXPECT_GT(bytes, 0) << k->info.name;
        EXPECT_LE(bytes, k->info.backend() == "gpu" ? 48 << 10 : h200.shared_memory) << k->info.name << ": " << to_text(*c);
      }
    }
  });
  const auto matmul = [](int64_t rows) {
    const auto all = catalogue().kernels<Matmul>();
    return (*std::find_if(all.begin(), all.end(), [](const MatmulKernel* k) { return k->info.name == "gpu.matmul.plain"; }))
        ->shared_memory({.rows = rows});
  };
  EXPECT_EQ(matmul(1), 1025 * 4);
  EXPECT_EQ(matmul(4), 4 * 1025 * 4);
  EXPECT_EQ(matmul(512), 8 * 1025 * 4);
}

TEST(GpuPage, MarksAreByArchitecture) {
  std::ifstream in(ATTUNE_SOURCE_DIR "/tests/emulated/cases.txt");
  std::map<std::string, int> cases;  // as the emulator runs them
  for (std::string line; std::getline(in, line);)
    if (!line.empty() && line[0] != '#') ++cases[line.substr(0, line.find(' '))];
  ASSERT_FALSE(cases.empty());
  std::set<std::string_view> found;
  for_each_op([&]<class Op>() {
    for (const Kernel<Op>* k : catalogue().kernels<Op>()) {
      if (k->info.device.kind != DeviceKind::hip) continue;
      EXPECT_EQ(mark_text(k->info, Arch::gfx90a), "compiled") << k->info.name;
      EXPECT_EQ(k->info.mark, Mark::compiled) << k->info.name;
      for (const Emulated& e : catalogue().emulated) {
        if (e.kernel != k->info.name) continue;
        found.insert(e.kernel);
        EXPECT_TRUE(k->info.device.arch.admits(e.arch, Arch::generic));
        EXPECT_EQ(e.cases, cases[std::string(e.kernel)]) << e.kernel << ": all its cases";
        EXPECT_EQ(mark_text(k->info, e.arch), fmt::format("emulated ({} cases)", e.cases));
      }
    }
  });
  EXPECT_EQ(found.size(), catalogue().emulated.size()) << "each is of a kernel for AMD, named once";
  for (const NormKernel* k : catalogue().kernels<Norm>()) {
    if (k->info.device.kind == DeviceKind::hip) EXPECT_EQ(mark_text(k->info), "gfx90a: compiled, gfx942: emulated (5 cases)");
    if (k->info.device.kind == DeviceKind::cuda) EXPECT_EQ(mark_text(k->info), "run");
  }
  EXPECT_EQ(mark_text(entry(DeviceKind::hip).info), "compiled");
}

TEST(GpuPage, WorkspaceIsBoundedAndGrowsWithTheWork) {
  const auto workspace = entry(DeviceKind::cuda).workspace;
  AttentionDesc d;
  EXPECT_EQ(workspace(d, {.tokens = 1, .sequences = 1, .longest_kv = 256}), 0) << "one chunk needs no partial results";
  const int64_t one = workspace(d, {.tokens = 1, .sequences = 1, .longest_kv = 8192});
  EXPECT_EQ(one, 32 * 32 * (128 + 2) * 4) << "32 heads × 32 chunks × (accumulators, maximum, sum)";
  int64_t before = 0;
  for (const int64_t tokens : {1, 4, 16, 100, 8192}) {
    const int64_t now = workspace(d, {.tokens = tokens, .sequences = tokens, .longest_kv = 131072});
    EXPECT_GE(now, before);
    before = now;
  }
  d.num_kv_heads = 1024, d.gqa_group = 256, d.head_dim = 1024;
  EXPECT_LE(workspace(d, {.tokens = 1 << 20, .sequences = 1 << 10, .longest_kv = INT32_MAX}), 32 << 20);
}

TEST(GpuPage, EveryOpHasItsFloorOnEveryGpu) {
  for_each_op([]<class Op>() {
    std::vector<const Kernel<Op>*> floors;
    for (const Kernel<Op>* k : catalogue().kernels<Op>())
      if (k->info.tier == Tier::portable && k->info.device.kind != DeviceKind::cpu) floors.push_back(k);
    ASSERT_GE(floors.size(), 2u) << Op::kName;
    for (const char* device : {"h200", "mi250x", "mi300x"})
      for (int64_t i = 0; i < 40; ++i) {
        const auto c = draw_case(*floors.front(), 7, i);
        ASSERT_TRUE(c.has_value()) << Op::kName;
        const Selection s = select<Op>(catalogue().kernels<Op>(), find_device(device), c->desc, "", Bucket{}, {}, {});
        ASSERT_NE(s.chosen, nullptr) << device << ", " << Op::kName << ": " << to_text(c->desc) << "\n" << refusals_text(s);
        EXPECT_EQ(s.chosen->device.kind, find_device(device).kind);
        EXPECT_NE(s.chosen->tier, Tier::reference);
      }
  });
}

TEST(GpuPage, OneSourceOneTag) {
  for_each_op([]<class Op>() {
    for (const Kernel<Op>* a : catalogue().kernels<Op>())
      for (const Kernel<Op>* b : catalogue().kernels<Op>())
        if (a->info.backend() == "gpu" && a->info.name == b->info.name) EXPECT_EQ(a->info.reduction, b->info.reduction) << a->info.name;
  });
}

TEST(GpuPage, SamplingScratchIsBounded) {
  const auto* kernel = *std::find_if(catalogue().kernels<Sample>().begin(), catalogue().kernels<Sample>().end(),
                                     [](const SampleKernel* k) { return k->info.name == "gpu.sample.rows"; });
  const Limits many{.tokens = 8192, .sequences = 256}, one{};
  constexpr int64_t kVocab = 151936;
  EXPECT_LE(kernel->workspace({.vocab = kVocab, .greedy_only = true}, many), 4 << 20);
  EXPECT_LE(kernel->workspace({.vocab = kVocab, .greedy_only = false}, many), 68 << 20);
  EXPECT_GE(kernel->workspace({.vocab = kVocab, .greedy_only = false}, one), kVocab * 8) << "a mark and a list entry for each token";
  EXPECT_GE(kernel->workspace({.vocab = int64_t{1} << 24, .greedy_only = false}, one), int64_t{8} << 24) << "one row always fits";
}

}  // namespace
}  // namespace attune
