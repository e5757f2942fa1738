// Probes and tasks in a child process, the program itself: faults, what is remembered, and children that do not answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "proof/load_probes.h"
#include "proof/probe_record.h"
#include "proof/task_child.h"

namespace attune {
namespace {

using testing::HasSubstr;

const std::vector<std::string> kProgram = {ATTUNE_BINARY_DIR "/bin/attune", "verify-child"};

struct Probes : testing::Test {
  void TearDown() override { std::filesystem::remove_all(folder); }
  LoadProbes::Options options() const { return {kProgram, record.string(), detect_cpu()}; }

  std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / ("attune-probes-" + std::to_string(getpid()));
  std::filesystem::path record = folder / "attune" / "probes.json";
  const ProbeQuestion right{.op = "norm", .kernel = "cpu.norm.plain", .desc = to_text(NormDesc{.hidden = 64})};
  const ProbeQuestion wrong{.op = "norm", .kernel = "planted.norm.no_eps", .desc = to_text(NormDesc{.hidden = 64})};
  const ProbeQuestion fault{.op = "embed", .kernel = "planted.embed.write_nowhere", .desc = to_text(EmbedDesc{.hidden = 64})};
};

TEST_F(Probes, AreDoneByAChildAndRemembered) {
  {
    LoadProbes probes(options());
    const ProbeResult passed = probes.probe(right);
    EXPECT_TRUE(passed.passed) << passed.text;
    EXPECT_TRUE(probes.probe(right).passed);
    EXPECT_EQ(probes.asked(), 1);
    const ProbeResult failed = probes.probe(wrong);
    EXPECT_FALSE(failed.passed);
    EXPECT_THAT(failed.text, HasSubstr("attune verify --kernel planted.norm.no_eps"));
    EXPECT_EQ(probes.asked(), 2);
  }
  LoadProbes later(options());
  EXPECT_TRUE(later.probe(right).passed);
  EXPECT_FALSE(later.probe(wrong).passed);
  EXPECT_EQ(later.asked(), 0);
  ProbeQuestion newer = right;
  newer.version = 2;
  EXPECT_TRUE(later.probe(newer).passed);
  EXPECT_EQ(later.asked(), 1);
}

TEST_F(Probes, AFaultIsARefusalAndTheNextIsAnswered) {
  LoadProbes probes(options());
  const ProbeResult faulted = probes.probe(fault);
  EXPECT_FALSE(faulted.passed);
  EXPECT_THAT(faulted.text, HasSubstr("its process "));
  EXPECT_TRUE(probes.probe(right).passed);
  probes.save();
  LoadProbes later(options());
  EXPECT_FALSE(later.probe(fault).passed);
  EXPECT_EQ(later.asked(), 0);
}

TEST_F(Probes, WhatSaysNothingOfTheKernelIsNotRemembered) {
  for (const char* end : {"exit 4", "kill -TERM $$", "kill -KILL $$"}) {
    LoadProbes probes({{"/bin/sh", "-c", end}, record.string(), detect_cpu()});
    const ProbeResult ended = probes.probe(right);
    EXPECT_FALSE(ended.passed);
    EXPECT_TRUE(ended.inconclusive) << ended.text;
  }
  LoadProbes later(options());
  EXPECT_TRUE(later.probe(right).passed);
  EXPECT_EQ(later.asked(), 1);
}

TEST_F(Probes, ABrokenRecordIsNotBelieved) {
  std::filesystem::create_directories(record.parent_path());
  std::ofstream(record) << "{\"format\": 1, \"probes\": {\"x\": {\"passed\": 1, \"text\": \"\"}}}";
  LoadProbes probes(options());
  EXPECT_TRUE(probes.probe(right).passed);
  EXPECT_EQ(probes.asked(), 1);
}

TEST(ProbeRecord, RoundTripsAndRefuses) {
  std::map<std::string, ProbeResult> probes;
  probes["a | b"].passed = true;
  probes["c"].text = "a \"text\"\nof two lines";
  const auto again = parse_probes(probes_text(probes));
  ASSERT_EQ(again.size(), 2u);
  EXPECT_TRUE(again.at("a | b").passed);
  EXPECT_FALSE(again.at("c").passed);
  EXPECT_THAT(again.at("c").text, HasSubstr("of two lines"));
  const std::string long_key(3000, 'k');
  const std::vector<std::string> all_bad = {"",
                                            "[]",
                                            "{\"format\": 1}",
                                            "{\"format\": 3, \"probes\": {}}",
                                            "{\"format\": 1, \"probes\": []}",
                                            "{\"format\": 1, \"probes\": {\"k\": {\"passed\": true}}}",
                                            "{\"format\": 1, \"probes\": {\"k\": []}}",
                                            "{\"format\": 1, \"probes\": {\"" + long_key + "\": {\"passed\": true, \"text\": \"\"}}}"};
  for (const std::string& bad : all_bad) EXPECT_THROW(parse_probes(bad), Error) << bad.substr(0, 60);
}

TEST(TaskChild, WhoDoesNotAnswerIsEnded) {
  TaskChild sleeper({"/bin/sleep", "100"}, 0.2);
  const TaskResult late = sleeper.perform({.op = "norm"});
  EXPECT_FALSE(late.result.passed);
  EXPECT_THAT(late.result.text, HasSubstr("did not end within 0.2 seconds"));
  EXPECT_TRUE(late.result.inconclusive);
  TaskChild quitter({"/bin/false"});
  EXPECT_THAT(quitter.perform({.op = "norm"}).result.text, HasSubstr("ended with code 1"));
  EXPECT_EQ(quitter.lost(), 1);
  TaskChild nobody({"/no/such/program"});
  EXPECT_THROW(nobody.perform({.op = "norm"}), Error);
  TaskChild talker({"/bin/sh", "-c", "echo nonsense >&0; sleep 5"});
  EXPECT_THROW(talker.perform({.op = "norm"}), Error);
}

TEST(TaskChild, UnknownNamesAreFailuresAndLinesRoundTrip) {
  std::vector<std::string> command = kProgram;
  command.push_back("cpu");
  TaskChild child(command);
  EXPECT_THAT(child.perform({.op = "fly"}).result.text, HasSubstr("expected the name of an op"));
  EXPECT_THAT(child.perform({.op = "norm", .kernel = "cpu.norm.fly"}).result.text, HasSubstr("expected a kernel of norm"));
  Task task{
      .op = "norm", .kernel = "cpu.norm.plain", .problem = "hidden=64 rows=3", .order = true, .tolerance = {0.1, 0.2}, .seed = 5, .repro = "again"};
  task.guard = Guard::before, task.samples = 7;
  EXPECT_EQ(to_line(parse_task(to_line(task))), to_line(task));
  const TaskResult done = child.perform(task);
  EXPECT_TRUE(done.result.passed) << done.result.text;
  EXPECT_EQ(done.result.outputs, 64 * 3);
  EXPECT_EQ(done.result.repro, "again");
  EXPECT_EQ(to_line(parse_task_result(to_line(done))), to_line(done));
  EXPECT_EQ(child.lost(), 0);
  EXPECT_THROW(parse_task("{}"), Error);
  EXPECT_THROW(parse_task_result("nonsense"), Error);
}

}  // namespace
}  // namespace attune
