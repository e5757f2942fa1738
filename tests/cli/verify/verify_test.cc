// attune verify as its user sees it: exit codes, lines, repro commands that work, the report and what explain makes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;
using testing::HasSubstr;

struct Output {
  std::string text;  // stdout and stderr
  int code = -1;
};

std::filesystem::path cache_folder() { return std::filesystem::path(testing::TempDir()) / ("attune-verify-" + std::to_string(getpid())); }

/// Runs `attune ARGUMENTS` in a cache folder of this test's own.
Output attune(const std::string& arguments) {
  const std::string command = "XDG_CACHE_HOME='" + cache_folder().string() + "' " ATTUNE_BINARY_DIR "/bin/attune " + arguments + " 2>&1";
  Output out;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return out;
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.text.append(buffer, n);
  const int status = pclose(pipe);
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return out;
}

/// The JSON of a run whose children may say more on stderr: a sanitizer reports the fault that a planted kernel makes.
json json_of(const Output& out) {
  const std::string start = "{\"held\":";
  const size_t first = out.text.find(start), last = first == std::string::npos ? first : out.text.find('\n', first);
  return json::parse(first == std::string::npos ? out.text : out.text.substr(first, last - first));
}

/// The report of a run that does not hold.
json json_of_failure(const std::string& arguments) {
  const Output out = attune(arguments);
  EXPECT_EQ(out.code, 1) << out.text;
  return json_of(out);
}

TEST(Verify, OneCaseOfOneKernel) {
  const Output out = attune("verify --kernel cpu.norm.plain --desc 'x=f32 w=bf16 hidden=80 rows=3 seed=5'");
  EXPECT_EQ(out.code, 0) << out.text;
  EXPECT_THAT(out.text, HasSubstr("cpu.norm.plain"));
  EXPECT_THAT(out.text, HasSubstr("held: 1 kernels"));
}

TEST(Verify, AKernelThatCannotRunIsNotPassedAndFailsWhenRequired) {
  const Output out = attune("verify --op attention --kernel 'gpu.*' --json");
  EXPECT_EQ(out.code, 0) << out.text;
  const json j = json::parse(out.text);
  EXPECT_GT(j["counts"]["not_run"], 0);
  EXPECT_EQ(j["counts"]["passed"], 0);
  EXPECT_NE(j["kernels"][0]["reason"], "");
  const Output required = attune("verify --op attention --kernel 'gpu.*' --require 'gpu.*'");
  EXPECT_EQ(required.code, 1);
  // The kernel has an entry for each kind of device; its name is said once.
  const std::string line = "gpu.attention.split_kv: required, but not run";
  EXPECT_THAT(required.text, HasSubstr(line));
  EXPECT_EQ(required.text.find(line), required.text.rfind(line)) << required.text;
}

TEST(Verify, HelpSaysThatAKernelIsNamedByAGlob) {
  EXPECT_THAT(attune("verify --help").text, HasSubstr("--kernel GLOB"));
  EXPECT_THAT(attune("generate --help").text, HasSubstr("--kernel OP[.ROLE]=NAME"));
}

TEST(Verify, ThePlantedDefectFailsAndItsReproLineRepeatsIt) {
  const Output out = attune("verify --op attention --kernel 'planted.*' --plant mask_off_by_one --samples 4 --json");
  EXPECT_EQ(out.code, 1) << out.text;
  const json j = json::parse(out.text);
  ASSERT_EQ(j["kernels"].size(), 1u);
  EXPECT_EQ(j["kernels"][0]["status"], "failed");
  ASSERT_FALSE(j["kernels"][0]["failures"].empty());
  for (const json& failure : j["kernels"][0]["failures"]) {
    const std::string repro = failure["repro"];
    ASSERT_EQ(repro.rfind("attune ", 0), 0u) << repro;
    const Output again = attune(repro.substr(7));
    EXPECT_EQ(again.code, 1) << repro << "\n" << again.text;
    EXPECT_THAT(again.text, HasSubstr("FAILED"));
  }
}

TEST(Verify, AFaultIsAFailedCaseAndTheRunGoesOn) {
  const json j = json_of_failure("verify --op norm --kernel 'planted.*' --plant past_all_memory --json");
  ASSERT_EQ(j["kernels"].size(), 1u);
  EXPECT_GT(j["kernels"][0]["cases"], 20);
  int faults = 0;
  for (const json& failure : j["kernels"][0]["failures"]) {
    if (failure["text"].get<std::string>().find("its process ") == std::string::npos) continue;
    ++faults;
    const Output again = attune(failure["repro"].get<std::string>().substr(7));
    EXPECT_EQ(again.code, 1) << again.text;
    EXPECT_THAT(again.text, HasSubstr("its process "));
  }
  EXPECT_GT(faults, 0);
}

TEST(Verify, ADeviceThatIsAbsentSaysWhy) {
  setenv("CUDA_VISIBLE_DEVICES", "", 1);  // so that a machine that has one hides it
  const Output out = attune("verify --device cuda");
  unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_EQ(out.code, 3) << out.text;
  EXPECT_THAT(out.text, HasSubstr("expected a CUDA device"));
}

TEST(Verify, EveryPlantedDefectIsCaught) {
  const Output out = attune("verify --planted --json");
  EXPECT_EQ(out.code, 0) << out.text;
  const json j = json_of(out);
  EXPECT_TRUE(j["held"]);
  int hidden = 0;
  std::vector<std::string> names;
  for (const json& defect : j["planted"]) {
    names.push_back(defect["defect"]);
    for (const json& trial : defect["trials"])
      if (defect["defect"] != "none" && trial["shape"] == "q=1" && !trial["caught"]) ++hidden;
  }
  EXPECT_EQ(hidden, 2);
  EXPECT_THAT(names, testing::IsSupersetOf({"mask_off_by_one", "past_end", "wrong_kv_head", "sink_in_value", "softcap_overflow", "missing_rescale",
                                            "scale_of_head_0", "split_race", "causal_under_none", "lens_from_q", "past_all_memory"}));
}

TEST(Verify, SupportNamesTheValuesThatWereRun) {
  const Output out = attune("verify --mode support --kernel cpu.rope.plain");
  EXPECT_EQ(out.code, 0) << out.text;
  EXPECT_THAT(out.text, HasSubstr("style"));
  EXPECT_THAT(out.text, HasSubstr("interleaved"));
  EXPECT_THAT(out.text, testing::Not(HasSubstr("NOT EXERCISED")));
}

TEST(Verify, ListRunsNothing) {
  const Output out = attune("verify --list --kernel cpu.attention.plain --suite lengths");
  EXPECT_EQ(out.code, 0);
  EXPECT_THAT(out.text, HasSubstr("q_lens=1,5,129 kv_lens=128,18,463"));
  EXPECT_THAT(out.text, HasSubstr("pool=32768"));
}

TEST(Verify, ExplainSaysWhenAKernelWasLastVerified) {
  const std::string asked = "explain embed --desc 'w=f32 hidden=64'";
  std::filesystem::remove_all(cache_folder());
  EXPECT_THAT(attune(asked).text, HasSubstr("verified: never on this machine"));
  EXPECT_EQ(attune("verify --op embed --desc 'w=f32 hidden=64 rows=3'").code, 0);
  EXPECT_THAT(attune(asked).text, HasSubstr("verified: never on this machine")) << "one case says little";
  EXPECT_EQ(attune("verify --kernel cpu.embed.plain --samples 35").code, 0);
  EXPECT_THAT(attune(asked).text, HasSubstr("verified: never on this machine")) << "fewer cases than usual";
  EXPECT_EQ(attune("verify --kernel cpu.embed.plain").code, 0);
  EXPECT_THAT(attune(asked).text,
              testing::ContainsRegex("verified: 2[0-9]+-[0-9]+-[0-9]+ [0-9:]+ UTC, [0-9]+ cases, largest error 0.000 of its bound"));
  const json explained = json::parse(attune("explain embed --desc 'w=f32 hidden=64' --json").text);
  int known = 0;
  for (const json& k : explained["eligible"]) known += !k["verified"].is_null();
  EXPECT_EQ(known, 1);
  std::ofstream(cache_folder() / "attune" / "verify.json") << "{\"format\": 1, \"kernels\": {\"cpu.embed.plain\": []}}";
  const Output broken = attune(asked);
  EXPECT_EQ(broken.code, 0) << broken.text;
  EXPECT_THAT(broken.text, HasSubstr("what was verified is unknown"));
  std::filesystem::remove_all(cache_folder());
}

TEST(Verify, TheReportFileHoldsTheJson) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / ("attune-report-" + std::to_string(getpid()) + ".json");
  EXPECT_EQ(attune("verify --kernel cpu.embed.plain --report " + file.string()).code, 0);
  std::ifstream in(file);
  const json j = json::parse(in);
  EXPECT_TRUE(j["held"]);
  EXPECT_EQ(j["kernels"][0]["kernel"], "cpu.embed.plain");
  EXPECT_GT(j["kernels"][0]["exercised"]["hidden"].size(), 3u);
  std::filesystem::remove(file);
  EXPECT_EQ(attune("verify --kernel cpu.embed.plain --report /proc/none/x.json").code, 5);
}

TEST(Verify, FuzzAndBenchRun) {
  const Output fuzz = attune("verify --mode fuzz --seconds 0.3 --op norm --seed 4");
  EXPECT_EQ(fuzz.code, 0) << fuzz.text;
  EXPECT_THAT(fuzz.text, HasSubstr("held"));
  const Output bench = attune("verify --mode bench --op matmul --desc 'n=64 k=64 rows=17' --kernel 'cpu.matmul.plain'");
  EXPECT_EQ(bench.code, 0) << bench.text;
  EXPECT_THAT(bench.text, HasSubstr("17 rows")) << "as many as the desc names";
  EXPECT_THAT(bench.text, HasSubstr("GFLOP/s"));
  EXPECT_THAT(bench.text, testing::Not(HasSubstr("ref.matmul")));
  const Output table = attune("verify --mode bench --markdown --warm-cache --op matmul --desc 'n=64 k=64 rows=17' --kernel 'cpu.matmul.*'");
  EXPECT_EQ(table.code, 0) << table.text;
  EXPECT_THAT(table.text, HasSubstr("| `cpu.matmul.plain` |"));
  const Output csv = attune("verify --mode bench --csv --op matmul --desc 'n=64 k=64 rows=17' --kernel 'cpu.matmul.plain'");
  EXPECT_THAT(csv.text, testing::ContainsRegex("op,desc,call.*\nmatmul,"));
  const Output all = attune("verify --mode bench --kernel 'cpu.matmul.plain' --kernel 'cpu.norm.*'");
  EXPECT_EQ(all.code, 0) << all.text;
  for (const char* kernel : {"cpu.matmul.plain ", "cpu.norm.plain "}) EXPECT_THAT(all.text, HasSubstr(kernel));
  for (const char* op : {"rope", "rope_kv_write", "kv_write", "activation", "embed", "sample"}) {
    const Output one = attune(std::string("verify --mode bench --json --op ") + op);
    EXPECT_EQ(one.code, 0) << one.text;
    const json report = json_of(one);
    for (const json& p : report["problems"]) {
      EXPECT_GT(p["bytes"].get<double>(), 0) << op;
      EXPECT_GT(p["kernels"].size(), 0u) << op;
    }
  }
}

TEST(Verify, WhatAModePassesOverIsRefused) {
  for (const auto& [words, flag] : {std::pair{"--mode fuzz --suite laws", "--suite"}, std::pair{"--mode bench --samples 3", "--samples"},
                                    std::pair{"--seconds 3", "--seconds"}, std::pair{"--mode support --threads 2", "--threads"}}) {
    const Output out = attune(std::string("verify --op norm ") + words);
    EXPECT_EQ(out.code, 2) << words;
    EXPECT_THAT(out.text, HasSubstr(std::string(flag) + ": expected an option of --mode ")) << words;
  }
  const Output decode = attune("verify --op attention --desc 'phase=decode q_lens=5 kv_lens=9'");
  EXPECT_EQ(decode.code, 2);
  EXPECT_THAT(decode.text, HasSubstr("q_lens: expected at most 1 in phase=decode; got 5"));
}

TEST(Verify, ARequiredKernelMustRunInEveryMode) {
  const std::string problem = "--mode bench --op attention --desc 'heads=2:1 head_dim=64' --kernel ref.attention --require gpu.attention.split_kv";
  const Output bench = attune("verify " + problem);
  EXPECT_EQ(bench.code, 1) << bench.text;
  EXPECT_THAT(bench.text, testing::ContainsRegex("gpu.attention.split_kv: required, but not timed: [a-z]"));
  EXPECT_THAT(bench.text, HasSubstr("ref.attention ")) << "the others are timed";
  const json j = json_of(attune("verify " + problem + " --json"));
  EXPECT_EQ(j["held"], false);
  EXPECT_TRUE(j["not_timed"].contains("gpu.attention.split_kv"));
  const Output other_op = attune("verify --mode bench --desc 'n=64 k=64' --op matmul --kernel 'cpu.matmul.plain' --require 'cpu.matmul.plain'");
  EXPECT_EQ(other_op.code, 0) << other_op.text;
  const Output fuzz = attune("verify --mode fuzz --seconds 0.1 --kernel cpu.norm.plain --require 'gpu.norm.*'");
  EXPECT_EQ(fuzz.code, 1) << fuzz.text;
  EXPECT_THAT(fuzz.text, HasSubstr("required, but not run: "));
  const Output suite = attune("verify --suite lengths --kernel cpu.kv_write.plain --require cpu.norm.plain");
  EXPECT_EQ(suite.code, 1) << suite.text;
  EXPECT_THAT(suite.text, HasSubstr("cpu.norm.plain: required, but not run: this suite has no case of its op"));
}

TEST(Verify, NothingRunDoesNotHold) {
  const Output desc = attune("verify --kernel cpu.attention.plain --desc 'heads=2:1 head_dim=600'");
  EXPECT_EQ(desc.code, 1) << desc.text;
  EXPECT_THAT(desc.text, HasSubstr("--desc: no kernel ran a case of it"));
  EXPECT_THAT(desc.text, testing::ContainsRegex("cpu.attention.plain +not run: head_dim: needs "));
  const Output bench = attune("verify --mode bench --op attention --kernel 'gpu.*' --desc 'heads=2:1 head_dim=64'");
  EXPECT_EQ(bench.code, 1) << bench.text;
  EXPECT_THAT(bench.text, testing::ContainsRegex("gpu.attention.split_kv: not timed: [a-z]"));
  EXPECT_THAT(bench.text, HasSubstr("no kernel was timed"));
}

TEST(Verify, APlantedKernelIsAlwaysPartOfTheRun) {
  const json j = json_of_failure("verify --kernel cpu.embed.plain --plant write_nowhere --desc 'w=f32 hidden=64 rows=3' --json");
  ASSERT_EQ(j["kernels"].size(), 2u);
  EXPECT_EQ(j["kernels"][0]["status"], "passed");
  EXPECT_EQ(j["kernels"][1]["kernel"], "planted.embed.write_nowhere");
  EXPECT_EQ(j["kernels"][1]["status"], "failed");
  ASSERT_FALSE(j["tags"][0]["failures"].empty());
  const std::string repro = j["tags"][0]["failures"][0]["repro"];
  EXPECT_THAT(repro, HasSubstr(" --plant write_nowhere"));
  EXPECT_THAT(attune(repro.substr(7)).text, HasSubstr("OTHER BITS")) << repro;
  const Output other_op = attune("verify --kernel cpu.rope.plain --plant no_eps --samples 1");
  EXPECT_EQ(other_op.code, 1) << other_op.text;
  EXPECT_THAT(other_op.text, HasSubstr("planted.norm.no_eps"));
  const Output bench = attune("verify --mode bench --op matmul --desc 'n=64 k=64 rows=1' --kernel cpu.matmul.plain --plant k_tail");
  EXPECT_THAT(bench.text, HasSubstr("planted.matmul.k_tail")) << bench.text;
}

TEST(Verify, ARefusalNamesTheFlagThatWasGiven) {
  const Output require = attune("verify --require 'cuda.*' --op embed");
  EXPECT_EQ(require.code, 2);
  EXPECT_THAT(require.text, testing::ContainsRegex("--require: expected .* of op embed has .*; got cuda"));
  const Output kernel = attune("verify --require 'cpu.*' --kernel 'fly.*'");
  EXPECT_THAT(kernel.text, testing::ContainsRegex("--kernel: expected .* some kernel has .*; got fly"));
}

TEST(Verify, SamplesOfADescAreAsManyAsAskedFor) {
  for (const auto& [samples, cases] : {std::pair("", 16), {"--samples 3", 6}, {"--samples 9", 18}}) {
    const Output out = attune("verify --kernel cpu.norm.plain --desc 'x=f32 hidden=80' --json " + std::string(samples));
    EXPECT_EQ(json_of(out)["counts"]["cases"], cases) << samples;  // each with the forbidden page before and after
  }
}

TEST(Verify, AllSaysWhatItIsGoingToRunAndRunsThat) {
  const Output out = attune("verify --all --kernel cpu.rope.plain --kernel cpu.rope.avx2");
  EXPECT_EQ(out.code, 0) << out.text;
  EXPECT_THAT(out.text, testing::ContainsRegex("cpu.rope.plain: [0-9]+ cases; [0-9]+ of them are [0-9]+ descs at 7 lengths"));
  EXPECT_THAT(out.text, testing::ContainsRegex("cpu.rope.avx2 = cpu.rope.plain: [0-9]+ cases|cpu.rope.plain = cpu.rope.avx2: [0-9]+ cases"));
  EXPECT_THAT(out.text, testing::Not(HasSubstr("ENDED EARLY")));
  const auto cases = [](const std::string& how) {
    return json_of(attune("verify --all --json --kernel cpu.embed.plain" + how))["counts"]["cases"].get<int64_t>();
  };
  EXPECT_EQ(cases(" --shard 1/3") + cases(" --shard 2/3") + cases(" --shard 3/3"), cases(""));
  const int64_t all = cases(""), some = cases(" --samples 5"), more = cases(" --samples 9");
  EXPECT_EQ(more - some, 4);
  EXPECT_GT(all, more + 20) << "so many cases of the product stand beside the others";
}

TEST(Verify, BenchTimesTheCaseOfAFailureLine) {
  const std::string attention = "heads=4:2 head_dim=64 block=16";
  for (const auto& [op, text, call] :
       {std::tuple{"attention", attention + " phase=prefill q_lens=1,5,9 kv_lens=128,18,46 seed=3", "q_lens=1,5,9 kv_lens=128,18,46"},
        {"matmul", "n=64 k=64 rows=17 m=5 seed=3", "5 rows"},
        {"norm", "hidden=80 rows=3 seed=5", "3 rows"},
        {"rope", "rows=3 seed=5", "3 rows"},
        {"rope_kv_write", "kv_heads=1 rows=3 seed=5", "3 rows"},
        {"kv_write", "pool=32768 rows=3 seed=5", "3 rows"},
        {"activation", "rows=3 seed=5", "3 rows"},
        {"embed", "hidden=64 rows=3 seed=5", "3 rows"},
        {"sample", "vocab=100 rows=3 seed=5", "3 rows"}}) {
    const json j = json_of(attune(std::string("verify --mode bench --json --op ") + op + " --desc '" + text + "'"));
    ASSERT_EQ(j["problems"].size(), 1u) << op;
    EXPECT_THAT(j["problems"][0]["call"].get<std::string>(), HasSubstr(call)) << op;
    EXPECT_GT(j["problems"][0]["kernels"].size(), 0u) << op;
  }
  // The line of a failure names the kernel, and no op.
  const Output line = attune("verify --mode bench --kernel cpu.attention.plain --desc '" + attention + " phase=verify q_lens=2 kv_lens=30 seed=3'");
  EXPECT_EQ(line.code, 0) << line.text;
  for (const auto& [op, text, why] :
       {std::tuple{"attention", attention + " q_lens=0*3 kv_lens=1,2,3", "q_lens: expected a query token"},
        {"attention", "heads=8:8 head_dim=128 block=256 pool=32768 q_lens=1 kv_lens=9", "pool: expected blocks of at most"},
        {"attention", attention + " q_lens=1,2 kv_lens=9", "kv_lens: expected as many as q_lens"},
        {"matmul", "n=64 k=64 rows=17 m=18", "m: expected at most the desc's rows, 17; got 18"},
        {"norm", "rows=0", "rows: expected 1 to 65536"}}) {
    const Output out = attune(std::string("verify --mode bench --op ") + op + " --desc '" + text + "'");
    EXPECT_EQ(out.code, 2) << text;
    EXPECT_THAT(out.text, HasSubstr(why));
  }
  EXPECT_EQ(attune("bench attention --desc 'q_lens=1 kv_lens=5' --input-len 5").code, 2);
  const Output phase = attune("bench attention --desc phase=decode --q-len 4 --input-len 512");
  EXPECT_EQ(phase.code, 2);
  EXPECT_THAT(phase.text, HasSubstr("--q-len: expected at most 1 in phase=decode; got 4"));
  EXPECT_EQ(attune("bench attention --desc phase=verify --q-len 33 --input-len 512").code, 2);
}

TEST(Verify, WhatNamesNothingIsRefused) {
  for (const char* arguments : {"--mode fly",
                                "--suite fly",
                                "--op fly",
                                "--kernel 'fly.*'",
                                "--plant fly",
                                "--device fly",
                                "--seed x",
                                "--samples -1",
                                "--shard 3/2",
                                "--shard 1",
                                "--mode bench --shard 1/2",
                                "--desc 'x=f32'",
                                "--op norm --desc 'x=f99'",
                                "--op norm --desc 'x=f32 hidden=0'",
                                "fly",
                                "--suite lengths --op sample",
                                "--suite seed --op matmul",
                                "--suite laws --kernel cpu.norm.plain",
                                "--suite seed --op attention --desc 'head_dim=64'",
                                "--list --require 'cpu.*'",
                                "--mode bench --op nothing",
                                "--mode bench --op attention --kernel 'fly.*'",
                                "--op norm --plant k_tail",
                                "--suite seed --plant k_tail",
                                "--mode bench --op matmul --plant no_eps",
                                "--planted --kernel 'cpu.*'",
                                "--planted --mode bench",
                                "--planted --op norm",
                                "--planted --require 'cpu.*'",
                                "--planted --desc 'x=f32'",
                                "--planted --suite seed",
                                "--planted --plant k_tail",
                                "--planted --samples 3",
                                "--planted --shard 1/2",
                                "--planted --all",
                                "--planted --seconds 3",
                                "--planted --threads 2",
                                "--planted --device cuda",
                                "--planted --list"}) {
    const Output out = attune(std::string("verify ") + arguments);
    EXPECT_EQ(out.code, 2) << arguments << "\n" << out.text;
    EXPECT_THAT(out.text, HasSubstr("expected")) << arguments;
  }
}

}  // namespace
