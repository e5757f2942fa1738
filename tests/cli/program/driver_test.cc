// `--device cuda` where it cannot be: no build, no driver, a driver that is not one. One line, exit code 3, and the CPU goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "program.h"

namespace attune::test {
namespace {

Outcome generate(const std::string& device, const std::map<std::string, std::string>& environment) {
  return attune({.args = {"generate", "--json", "--model", golden("qwen2-linear"), "--device", device, "--prompts", "-"},
                 .input = "{\"token_ids\":[1,2,3],\"max_tokens\":2}\n",
                 .environment = environment});
}

void expect_refused(const Outcome& o) {
  EXPECT_EQ(o.code, 3) << o.err;
  EXPECT_EQ(o.out, "");
  EXPECT_EQ(std::count(o.err.begin(), o.err.end(), '\n'), 1) << o.err;
  EXPECT_THAT(o.err, testing::StartsWith("attune: --device: expected a CUDA device; got "));
}

/// A folder in which the driver's library is another library, without its functions.
struct WrongDriver : testing::Test {
  void SetUp() override {
    std::filesystem::copy_file(std::filesystem::path(ATTUNE_BINARY_DIR) / "fake_library/fake_old.so", folder.path() / "libcuda.so.1");
    const char* libraries = std::getenv("LD_LIBRARY_PATH");
    environment["LD_LIBRARY_PATH"] = folder.path().string() + (libraries ? std::string(":") + libraries : "");
  }
  TempFolder folder;
  std::map<std::string, std::string> environment;
};

TEST_F(WrongDriver, IsOneLine) { expect_refused(generate("cuda", environment)); }

TEST_F(WrongDriver, DoesNotTouchTheCpu) {
  const Outcome o = generate("cpu", environment);
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_EQ(o.json().at(0)["token_ids"].size(), 2u);
}

/// The loader's own words say what is wrong with a driver's library that is there.
TEST(Driver, OneThatCannotBeOpenedIsNotCalledAbsent) {
  const TempFolder folder;
  folder.write("libcuda.so.1", "");
  const char* libraries = std::getenv("LD_LIBRARY_PATH");
  const Outcome o = generate("cuda", {{"LD_LIBRARY_PATH", folder.path().string() + (libraries ? std::string(":") + libraries : "")}});
  expect_refused(o);
  if (o.err.find("built without cuda") == std::string::npos) EXPECT_THAT(o.err, testing::HasSubstr("libcuda.so.1: file too short"));
}

TEST(Driver, WithoutOneTheDeviceIsRefused) {
  const Outcome o = generate("cuda", {{"CUDA_VISIBLE_DEVICES", "-1"}});
  expect_refused(o);
}

TEST(Driver, AnotherDeviceThanThereIs) {
  const Outcome o = generate("cuda:77", {});
  EXPECT_EQ(o.code, 2) << o.err;
  EXPECT_THAT(o.err, testing::MatchesRegex("attune: --device: expected one of cpu, cuda[^\n]*; got cuda:77\n"));
}

TEST(Driver, WhatRunsListsWhatItTakesAndExplainWhatItKnows) {
  const std::vector<std::vector<std::string>> running{{"generate", "x"}, {"verify"}, {"bench", "matmul"}, {"bench", "attention", "--anchors"}};
  for (std::vector<std::string> words : running) {
    words.insert(words.end(), {"--device", "toaster"});
    const Outcome o = attune(words);
    EXPECT_EQ(o.code, 2) << words[0];
    EXPECT_THAT(o.err, testing::MatchesRegex("attune: --device: expected one of cpu, cuda(, cuda:[0-9]+)*; got toaster\n")) << words[0];
    words.back() = "h200";
    const Outcome invented = attune(words);
    EXPECT_EQ(invented.code, 3) << words[0];
    EXPECT_THAT(invented.err, testing::MatchesRegex(
                                  "attune: --device: expected one of cpu, cuda(, cuda:[0-9]+)*; got h200, which only explain can be asked about\n"))
        << words[0];
  }
  const Outcome o = attune({"explain", "matmul", "--device", "toaster"});
  EXPECT_EQ(o.code, 2);
  EXPECT_THAT(o.err, testing::MatchesRegex("attune: --device: expected one of cpu, cuda, [^\n]*h200, [^\n]*mi300x; got toaster\n"));
}

TEST(Driver, HelpNamesTheDevicesOfTheCommand) {
  EXPECT_THAT(attune({"generate", "--help"}).out, testing::HasSubstr("cpu, cuda"));
  EXPECT_THAT(attune({"generate", "--help"}).out, testing::Not(testing::HasSubstr("h200")));
  EXPECT_THAT(attune({"explain", "--help"}).out, testing::HasSubstr("h200"));
}

}  // namespace
}  // namespace attune::test
