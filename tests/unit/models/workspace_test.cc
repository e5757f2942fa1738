// Scratch memory: as large as the most that a bound kernel may need, and then fixed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/kernel_binder.h"

namespace attune {
namespace {

using testing::HasSubstr;

KernelBinder::Options options() {
  KernelBinder::Options o;
  o.device = find_device("cpu");
  o.runtime = open_device(o.device);
  o.probe = false;
  o.limits = {.tokens = 64, .sequences = 8, .longest_kv = 128, .threads = 2};
  return o;
}

Bound<Sample> bind(KernelBinder& binder, int64_t vocab) {
  return binder.bind<Sample>("full", {{"rows", {.vocab = vocab, .greedy_only = false}, {}}});
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::internal);
    return e.message();
  }
  return "";
}

TEST(Workspace, IsTheMostThatAKernelNeedsAndThenFixed) {
  KernelBinder binder(options());
  EXPECT_EQ(binder.workspace_bytes(), 0);
  const std::string name(bind(binder, 1000).variants[0].kernel->info.name);
  const int64_t small = binder.workspace_bytes();
  ASSERT_GT(small, 0) << name << " needs none: another op must be asked here";
  EXPECT_EQ(binder.workspace_kernel(), name);
  bind(binder, 50000);
  const int64_t large = binder.lock_workspace();
  EXPECT_GT(large, small);
  bind(binder, 2000);
  EXPECT_EQ(binder.workspace_bytes(), large);
  const std::string error = error_of([&] { bind(binder, 60000); });
  EXPECT_THAT(error, testing::StartsWith(name + ": expected at most " + std::to_string(large) + " bytes of scratch, as set aside at load; got "));
}

TEST(Workspace, ALaunchWithLessNamesTheKernel) {
  KernelBinder binder(options());
  const Bound<Sample> bound = bind(binder, 1000);
  std::vector<char> memory(static_cast<size_t>(binder.workspace_bytes()) - 1);
  const ExecContext ctx{.workspace = {memory.data(), memory.size()}};
  EXPECT_THAT(error_of([&] { bound(ctx, {}); }), HasSubstr(std::string(bound.variants[0].kernel->info.name) + ": expected at most"));
}

}  // namespace
}  // namespace attune
