// Every declared CPU kernel that this machine can run, against the reference over cases drawn from its own capability.
#include <gtest/gtest.h>

#include <iostream>

#include "proof/run_case.h"
#include "select/judge.h"

namespace attune {
namespace {

template <class Op>
void check_cpu_kernels(int64_t cases) {
  const DeviceProps device = detect_cpu();
  ThreadPool pool(2);
  int kernels = 0;
  for (const Kernel<Op>* kernel : catalogue().kernels<Op>()) {
    if (kernel->info.backend() != "cpu") continue;
    if (!check_device(kernel->info, kernel->launch != nullptr, device).empty()) {
      std::cout << "not run: " << kernel->info.name << '\n';
      continue;
    }
    ++kernels;
    for (int64_t i = 0; i < cases; ++i) {
      const auto drawn = draw_case(*kernel, 7, i);
      ASSERT_TRUE(drawn) << kernel->info.name;
      RunOptions options;
      options.style.guard = i % 2 == 0 ? Guard::after : Guard::before;
      options.pool = &pool;
      const CaseResult result = run_case(*kernel, *drawn, options);
      EXPECT_TRUE(result.passed) << result.repro << "\n  " << result.text;
    }
  }
  EXPECT_GT(kernels, 0);
}

TEST(CpuKernels, Matmul) { check_cpu_kernels<Matmul>(60); }
TEST(CpuKernels, Norm) { check_cpu_kernels<Norm>(40); }
TEST(CpuKernels, Rope) { check_cpu_kernels<Rope>(40); }
TEST(CpuKernels, Activation) { check_cpu_kernels<ActivationOp>(40); }
TEST(CpuKernels, Embed) { check_cpu_kernels<Embed>(30); }
TEST(CpuKernels, KvWrite) { check_cpu_kernels<KvWrite>(40); }
TEST(CpuKernels, Sample) { check_cpu_kernels<Sample>(30); }

}  // namespace
}  // namespace attune
