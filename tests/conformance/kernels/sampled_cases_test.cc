// Every declared kernel that can run here, over cases drawn from its own capability; every kernel's refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstring>

#include <unistd.h>

#include "proof/run_case.h"
#include "select/judge.h"

namespace attune {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int64_t kCasesPerKernel = 48;

/// A kernel that runs into a guard page ends the program; the line says which case it was.
void report_fault(int signal_number) {
  constexpr char kWords[] = "\nfault in: ";
  (void)!write(2, kWords, sizeof(kWords) - 1);
  (void)!write(2, running_case(), std::strlen(running_case()));
  (void)!write(2, "\n", 1);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

template <class Op>
void run_sampled_cases(double seconds) {
  signal(SIGSEGV, report_fault);
  signal(SIGBUS, report_fault);
  const DeviceProps cpu = detect_cpu();
  ThreadPool pool(2);
  RunOptions options{.pool = &pool};
  int kernels = 0;
  for (const Kernel<Op>* kernel : catalogue().template kernels<Op>()) {
    if (!check_device(kernel->info, kernel->launch != nullptr, cpu).empty()) continue;
    ++kernels;
    const auto start = std::chrono::steady_clock::now();
    size_t ran = 0;
    double worst = 0;
    std::vector<Case<Op>> cases;
    for (int64_t i = 0; i < kCasesPerKernel; ++i) {
      const auto c = draw_case(*kernel, kSeed, i);
      ASSERT_TRUE(c) << kernel->info.name << ": no case " << i;
      cases.push_back(*c);
    }
    for (const Case<Op>& c : end_cases(*kernel, kSeed)) cases.push_back(c);
    for (const Case<Op>& c : cases) {
      // Half of the cases have the forbidden page before their data.
      options.style.guard = ran % 2 == 0 ? Guard::after : Guard::before;
      const CaseResult r = run_case(*kernel, c, options);
      EXPECT_TRUE(r.passed) << r.text << "\n" << r.repro;
      EXPECT_EQ(to_text(parse_case<Op>(to_text(c))), to_text(c));
      worst = std::max(worst, r.max_error_over_bound);
      ++ran;
      const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (spent > seconds && ran >= 12) break;
    }
    EXPECT_THAT(unexercised(*kernel, cases), testing::IsEmpty()) << kernel->info.name;
    std::printf("%-32s %3d cases, largest error %.3f of its bound\n", std::string(kernel->info.name).c_str(), static_cast<int>(ran), worst);
  }
  EXPECT_GT(kernels, 0);
}

TEST(SampledCases, Attention) { run_sampled_cases<Attention>(3); }
TEST(SampledCases, KvWrite) { run_sampled_cases<KvWrite>(1); }
TEST(SampledCases, Matmul) { run_sampled_cases<Matmul>(1.5); }
TEST(SampledCases, Norm) { run_sampled_cases<Norm>(1); }
TEST(SampledCases, Rope) { run_sampled_cases<Rope>(1); }
TEST(SampledCases, Activation) { run_sampled_cases<ActivationOp>(1); }
TEST(SampledCases, RopeKvWrite) { run_sampled_cases<RopeKvWrite>(1); }
TEST(SampledCases, Embed) { run_sampled_cases<Embed>(1); }
TEST(SampledCases, Sample) { run_sampled_cases<Sample>(1); }

/// A machine on which nothing but the desc can refuse the kernel.
template <class Op>
DeviceProps machine_for(const Kernel<Op>& kernel) {
  for (DeviceProps device : invented_devices()) {
    const LibraryNeed& library = kernel.info.device.library;
    if (!library.name.empty()) device.libraries.push_back({std::string(library.name), library.min_version});
    if (check_device(kernel.info, kernel.launch != nullptr, device).empty()) return device;
  }
  ADD_FAILURE() << kernel.info.name << ": no invented device suits it";
  return {};
}

template <class Op>
void expect_named_refusals(int& refused) {
  for (const Kernel<Op>* kernel : catalogue().template kernels<Op>()) {
    const DeviceProps device = machine_for(*kernel);
    const auto inside = draw_case(*kernel, kSeed, 0);
    ASSERT_TRUE(inside) << kernel->info.name;
    EXPECT_TRUE(check(*kernel, device, inside->desc).empty()) << kernel->info.name << ": " << to_text(check(*kernel, device, inside->desc));
    for (const Outside<Op>& outside : outside_descs(*kernel, kSeed)) {
      bool named = false;
      ++refused;
      for (const Reason& reason : check(*kernel, device, outside.desc)) named |= reason.code == ReasonCode::problem && reason.field == outside.field;
      EXPECT_TRUE(named) << kernel->info.name << " admits " << outside.field << " of " << to_text(outside.desc);
    }
  }
}

TEST(Outside, IsRefusedNamingTheField) {
  int refused = 0;
  for_each_op([&]<class Op>() { expect_named_refusals<Op>(refused); });
  EXPECT_GT(refused, 10);
}

TEST(CaseText, EverySeedComesBackAndNoOtherNumberIsTaken) {
  const Case<Norm> c{.desc = {.hidden = 64}, .rows = 2, .seed = ~uint64_t{0}};
  EXPECT_EQ(parse_case<Norm>(to_text(c)).seed, c.seed);
  for (const char* text : {"seed=-1", "seed=18446744073709551616", "seed=", "seed=1x"}) EXPECT_THROW(parse_case<Norm>(text), Error) << text;
}

}  // namespace
}  // namespace attune
