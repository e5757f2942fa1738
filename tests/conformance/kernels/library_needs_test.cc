// Kernels of vendor libraries on a device where nothing else refuses them: without the library, with one that is too old, too new or lacks a
// function.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/catalogue.h"
#include "select/judge.h"

namespace attune {
namespace {

DeviceProps hopper(std::vector<LibraryProps> libraries) {
  for (DeviceProps device : invented_devices()) {
    if (device.name != "h200") continue;
    device.present = true, device.libraries = std::move(libraries);
    return device;
  }
  ADD_FAILURE() << "no invented device h200";
  return {};
}

std::string reasons_of(const KernelInfo& kernel, std::vector<LibraryProps> libraries) {
  return to_text(check_device(kernel, true, hopper(std::move(libraries))));
}

template <class Op>
int expect_reasons() {
  int found = 0;
  for (const Kernel<Op>* kernel : catalogue().template kernels<Op>()) {
    const LibraryNeed& need = kernel->info.device.library;
    if (need.name.empty()) continue;
    ++found;
    const std::string name(need.name),
        wanted = name + ": needs version " + std::to_string(need.min_version) + " to " + std::to_string(need.max_version);
    EXPECT_EQ(reasons_of(kernel->info, {}), wanted + "; got absent");
    EXPECT_EQ(reasons_of(kernel->info, {{name, need.min_version - 1, ""}}), wanted + "; got version " + std::to_string(need.min_version - 1));
    EXPECT_EQ(reasons_of(kernel->info, {{name, need.max_version + 1, ""}}), wanted + "; got version " + std::to_string(need.max_version + 1));
    EXPECT_THAT(reasons_of(kernel->info, {{name, need.min_version, "aFunction"}}), testing::HasSubstr("needs the function aFunction"));
    EXPECT_EQ(reasons_of(kernel->info, {{"another", need.min_version, ""}, {name, need.min_version, ""}}), "");
  }
  return found;
}

TEST(LibraryNeeds, AreReasonsWhereTheyAreNotMet) {
  EXPECT_EQ(expect_reasons<Attention>(), 1);
  EXPECT_EQ(expect_reasons<Matmul>(), 1);
}

}  // namespace
}  // namespace attune
