// Vendor libraries at run time: found, absent, too old, without a function; each a reason. The libraries are made by this folder's build.
#include "device/shared_library.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "select/judge.h"

namespace attune {
namespace {

constexpr const char* kSymbols[] = {"fakeCreate", "fakeMatmul"};

std::string path_of(const char* state) { return std::string(ATTUNE_BINARY_DIR) + "/fake_library/fake_" + state + ".so"; }

std::optional<LibraryProps> detected(const std::vector<std::string>& files) {
  std::vector<const char*> names;
  for (const auto& f : files) names.push_back(f.c_str());
  return detect_library({"fake", names, "fakeGetVersion", kSymbols});
}

/// The reasons that a kernel in need of versions 120000 to 139999 meets on a device whose library is the given one.
std::vector<Reason> reasons_of(const std::optional<LibraryProps>& library) {
  DeviceProps device;
  device.kind = DeviceKind::cuda, device.present = true;
  if (library) device.libraries.push_back(*library);
  KernelInfo info;
  info.name = "cuda.matmul.fake";
  info.device = {.kind = DeviceKind::cuda, .library = {.name = "fake", .min_version = 120000, .max_version = 139999}};
  return check_device(info, true, device);
}

TEST(SharedLibrary, WholeOneIsNoReason) {
  const auto found = detected({path_of("whole")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "fake");
  EXPECT_EQ(found->version, 130100);
  EXPECT_EQ(found->missing_symbol, "");
  EXPECT_TRUE(reasons_of(found).empty());
}

TEST(SharedLibrary, FunctionsCanBeCalled) {
  const std::string file = path_of("whole");
  const char* files[] = {file.c_str()};
  const auto library = SharedLibrary::find({"fake", files, "fakeGetVersion", kSymbols});
  ASSERT_TRUE(library);
  EXPECT_EQ(library->file(), file);
  EXPECT_EQ(library->function<int()>("fakeMatmul")(), 7);
  EXPECT_EQ(library->symbol("fakeDestroy"), nullptr);
}

TEST(SharedLibrary, AbsentIsAReason) {
  const auto found = detected({"libattune_has_no_such_library.so.1"});
  EXPECT_FALSE(found);
  EXPECT_EQ(to_text(reasons_of(found)), "fake: needs version 120000 to 139999; got absent");
}

TEST(SharedLibrary, WhatCannotBeOpenedSaysWhy) {
  const std::string empty = testing::TempDir() + "/attune-empty-library.so";
  std::ofstream(empty).flush();
  const char* files[] = {"libattune_has_no_such_library.so.1", empty.c_str()};
  std::string why;
  EXPECT_FALSE(SharedLibrary::find({"fake", files, "fakeGetVersion", kSymbols}, &why));
  EXPECT_NE(why.find("libattune_has_no_such_library.so.1: cannot open shared object file"), std::string::npos) << why;
  EXPECT_NE(why.find("attune-empty-library.so: file too short"), std::string::npos) << why;
  std::filesystem::remove(empty);
}

TEST(SharedLibrary, TooOldIsAReason) {
  const auto found = detected({path_of("old")});
  ASSERT_TRUE(found);
  const auto reasons = reasons_of(found);
  EXPECT_EQ(to_text(reasons), "fake: needs version 120000 to 139999; got version 110300");
  ASSERT_EQ(reasons.size(), 1u);
  EXPECT_EQ(reasons[0].code, ReasonCode::library);
}

TEST(SharedLibrary, MissingFunctionIsAReason) {
  const auto found = detected({path_of("partial")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->missing_symbol, "fakeMatmul");
  const auto reasons = reasons_of(found);
  EXPECT_EQ(to_text(reasons), "fake: needs the function fakeMatmul; got version 130100 without it");
  ASSERT_EQ(reasons.size(), 1u);
  EXPECT_EQ(reasons[0].code, ReasonCode::library);
}

TEST(SharedLibrary, WithoutAVersionItIsTooOld) {
  const auto found = detected({path_of("nameless")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->version, 0);
  EXPECT_EQ(found->missing_symbol, "fakeGetVersion");
  EXPECT_EQ(to_text(reasons_of(found)), "fake: needs version 120000 to 139999; got version 0");
}

TEST(SharedLibrary, FirstFileThatIsThereWins) {
  const auto found = detected({"libattune_has_no_such_library.so.1", path_of("old"), path_of("whole")});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->version, 110300);
}

TEST(SharedLibrary, CublasLtIsFoundOrAbsentWithoutHarm) {
  const auto found = detect_library(cublaslt_recipe());
  if (found) {
    EXPECT_GE(found->version, 100000);
  }
}

TEST(SharedLibrary, CudnnIsFoundOrAbsentWithoutHarm) {
  const auto found = detect_library(cudnn_recipe());
  if (found) {
    EXPECT_GE(found->version, 90000);
  }
}

TEST(SharedLibrary, ARecipeNamesTheFirstFunctionThatAnotherLibraryLacks) {
  const std::string file = path_of("whole");
  const char* files[] = {file.c_str()};
  for (const LibraryRecipe* recipe : {&cublaslt_recipe(), &cudnn_recipe()}) {
    const auto found = detect_library({recipe->name, files, "fakeGetVersion", recipe->symbols});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->name, recipe->name);
    EXPECT_EQ(found->missing_symbol, recipe->symbols.front());
  }
}

}  // namespace
}  // namespace attune
