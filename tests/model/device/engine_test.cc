// The engine on a GPU beside the engine on the CPU: every architecture, graphs and eager, one order of arithmetic, draws, faults. Needs a CUDA
// device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "../scaled_checkpoint.h"
#include "attune/engine.h"
#include "attune/error.h"
#include "core/thread_pool.h"
#include "device/runtime.h"
#include "device/upload.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(ATTUNE_SOURCE_DIR) / "tests/model/goldens";

std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGoldens)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

EngineOptions options_for(const std::string& golden, const std::string& device, const std::string& dtype = "float32") {
  EngineOptions o;
  o.model = (kGoldens / golden).string();
  o.device = device, o.dtype = dtype;
  o.tokenizer = false;
  o.threads = 2;
  o.max_num_seqs = 8;
  o.kv_cache_memory_bytes = 64 << 20;
  return o;
}

struct Answer {
  std::vector<TokenLogprob> prompt;
  std::vector<int32_t> tokens;
  std::string error;
};

std::vector<std::vector<int32_t>> prompts_of(const std::string& golden) {
  nlohmann::json facts;
  std::ifstream(kGoldens / golden / "golden.json") >> facts;
  std::vector<std::vector<int32_t>> out;
  for (const auto& p : facts["prompts"]) out.push_back(p["token_ids"].get<std::vector<int32_t>>());
  return out;
}

/// Answers to all prompts, submitted at once or one after the other.
std::vector<Answer> run(const EngineOptions& o, const std::vector<std::vector<int32_t>>& prompts, SamplingParams p, bool together) {
  Engine engine(o);
  std::vector<Answer> out(prompts.size());
  for (size_t i = 0; i < prompts.size(); ++i) {
    Request r;
    r.token_ids = prompts[i];
    r.sampling = p;
    r.on_event = [&out, i](const RequestEvent& e) {
      if (!e.finished) return;
      out[i].error = e.completion->error;
      if (e.prompt_logprobs) out[i].prompt = *e.prompt_logprobs;
      out[i].tokens = e.completion->token_ids;
    };
    engine.submit(std::move(r));
    if (!together)
      while (engine.step()) {
      }
  }
  while (engine.step()) {
  }
  return out;
}

SamplingParams greedy(int64_t tokens, std::optional<int> prompt_logprobs = {}) {
  SamplingParams p;
  p.temperature = 0, p.ignore_eos = true, p.max_tokens = tokens, p.prompt_logprobs = prompt_logprobs;
  return p;
}

double worst_difference(const std::vector<Answer>& a, const std::vector<Answer>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].error, "");
    EXPECT_EQ(b[i].error, "");
    EXPECT_EQ(a[i].prompt.size(), b[i].prompt.size());
    for (size_t t = 0; t < std::min(a[i].prompt.size(), b[i].prompt.size()); ++t)
      worst = std::max(worst, std::abs(static_cast<double>(a[i].prompt[t].logprob) - b[i].prompt[t].logprob));
  }
  return worst;
}

void expect_same_bits(const std::vector<Answer>& a, const std::vector<Answer>& b, const std::string& what) {
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tokens, b[i].tokens) << what << ", prompt " << i;
    ASSERT_EQ(a[i].prompt.size(), b[i].prompt.size()) << what;
    for (size_t t = 0; t < a[i].prompt.size(); ++t)
      EXPECT_EQ(a[i].prompt[t].logprob, b[i].prompt[t].logprob) << what << ", prompt " << i << ", " << t;
  }
}

class OnTheDevice : public testing::TestWithParam<std::string> {};

TEST_P(OnTheDevice, FloatLogprobsAndGreedyTokensAreThoseOfTheCpu) {
  const auto prompts = prompts_of(GetParam());
  const auto cpu = run(options_for(GetParam(), "cpu"), prompts, greedy(24, 0), true);
  const auto gpu = run(options_for(GetParam(), "cuda"), prompts, greedy(24, 0), true);
  EXPECT_LE(worst_difference(cpu, gpu), 1e-4);
  for (size_t i = 0; i < cpu.size(); ++i) EXPECT_EQ(cpu[i].tokens, gpu[i].tokens) << "prompt " << i;
}

/// Both engines round at the same points, so they are as near as two orders of sums of bf16 products are.
TEST_P(OnTheDevice, BfloatLogprobsAreNearThoseOfTheCpu) {
  const auto prompts = prompts_of(GetParam());
  nlohmann::json facts;
  std::ifstream(kGoldens / GetParam() / "golden.json") >> facts;
  const double rounding = facts["bfloat16_max_logprob_difference"]["matmul_inputs"].get<double>();
  const auto cpu = run(options_for(GetParam(), "cpu", "bfloat16"), prompts, greedy(1, 0), true);
  const auto gpu = run(options_for(GetParam(), "cuda", "bfloat16"), prompts, greedy(1, 0), true);
  EXPECT_LE(worst_difference(cpu, gpu), 3 * rounding);
}

TEST_P(OnTheDevice, GraphsGiveTheBitsOfEagerSteps) {
  const auto prompts = prompts_of(GetParam());
  EngineOptions eager = options_for(GetParam(), "cuda", "bfloat16");
  eager.invariant = true;  // a padded step may pick other rows' kernels otherwise
  EngineOptions graphs = eager;
  eager.graphs = false;
  expect_same_bits(run(eager, prompts, greedy(16, 0), true), run(graphs, prompts, greedy(16, 0), true), "graphs");
}

TEST_P(OnTheDevice, InvariantBitsDoNotDependOnHowTheWorkIsCut) {
  const auto prompts = prompts_of(GetParam());
  EngineOptions o = options_for(GetParam(), "cuda", "bfloat16");
  o.invariant = true;
  const auto whole = run(o, prompts, greedy(8, 0), false);
  for (const int64_t chunk : {1, 7, 33}) {
    EngineOptions c = o;
    c.max_num_batched_tokens = chunk;
    expect_same_bits(whole, run(c, prompts, greedy(8, 0), true), "chunks of " + std::to_string(chunk));
  }
}

TEST_P(OnTheDevice, EightBitKeysRun) {
  EngineOptions o = options_for(GetParam(), "cuda", "bfloat16"), c = options_for(GetParam(), "cpu", "bfloat16");
  o.kv_cache_dtype = c.kv_cache_dtype = "fp8";
  const auto prompts = prompts_of(GetParam());
  nlohmann::json facts;
  std::ifstream(kGoldens / GetParam() / "golden.json") >> facts;
  const double rounding = facts["bfloat16_max_logprob_difference"]["matmul_inputs"].get<double>();
  EXPECT_LE(worst_difference(run(c, prompts, greedy(1, 0), true), run(o, prompts, greedy(1, 0), true)), 6 * rounding);
}

/// One scale a layer, and one a head, that the checkpoint stores: other values than without them, and those of the CPU.
TEST_P(OnTheDevice, ScalesOfTheCheckpointRun) {
  const fs::path folder = fs::path(testing::TempDir()) / ("attune-device-scales-" + std::to_string(getpid()));
  nlohmann::json facts, config;
  std::ifstream(kGoldens / GetParam() / "golden.json") >> facts;
  std::ifstream(kGoldens / GetParam() / "config.json") >> config;
  const double rounding = facts["bfloat16_max_logprob_difference"]["matmul_inputs"].get<double>();
  const auto prompts = prompts_of(GetParam());
  const auto answers = [&](const std::string& device, const std::string& model) {
    EngineOptions o = options_for(GetParam(), device, "bfloat16");
    o.kv_cache_dtype = "fp8", o.model = model;
    return run(o, prompts, greedy(1, 0), true);
  };
  const auto without = answers("cuda", options_for(GetParam(), "cuda").model);
  for (const auto heads : {size_t{1}, config["num_key_value_heads"].get<size_t>()}) {
    test::copy_with_scales(kGoldens / GetParam(), folder, test::some_scales(config["num_hidden_layers"].get<int>(), heads));
    const auto here = answers("cuda", folder.string());
    EXPECT_LE(worst_difference(answers("cpu", folder.string()), here), 6 * rounding) << heads;
    EXPECT_GT(worst_difference(without, here), 0) << heads;
  }
  fs::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(All, OnTheDevice, testing::ValuesIn(golden_names()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

const char* const kModel = "qwen3-gqa7-tied";

std::vector<std::vector<int32_t>> several(int count) {
  std::vector<std::vector<int32_t>> out;
  for (int i = 0; i < count; ++i) {
    out.emplace_back();
    for (int t = 0; t < 5 + 9 * i; ++t) out.back().push_back((t * 37 + i * 11 + t * t) % 90);
  }
  return out;
}

/// Batches that no power of two and no multiple of 8 holds: the largest has a graph of its own.
TEST(DeviceEngine, TheLargestBatchIsAGraph) {
  for (const int most : {3, 12}) {
    EngineOptions graphs = options_for(kModel, "cuda", "bfloat16");
    graphs.invariant = true, graphs.max_num_seqs = most;
    EXPECT_EQ(Engine(graphs).model().graphs, most == 3 ? 3 : 5);
    EngineOptions eager = graphs;
    eager.graphs = false;
    expect_same_bits(run(eager, several(most), greedy(16, 0), true), run(graphs, several(most), greedy(16, 0), true), "the largest batch");
  }
}

TEST(DeviceEngine, DrawsDoNotDependOnWhatRunsBeside) {
  EngineOptions o = options_for(kModel, "cuda");
  o.invariant = true;
  SamplingParams p;
  p.temperature = 1.1, p.top_k = 40, p.top_p = 0.95, p.min_p = 0.01;
  p.repetition_penalty = 1.1, p.presence_penalty = 0.2, p.frequency_penalty = 0.1;
  p.seed = 7, p.max_tokens = 12, p.ignore_eos = true;
  expect_same_bits(run(o, several(6), p, false), run(o, several(6), p, true), "beside others");
}

/// Steps launched ahead of the tokens they follow, by graphs and one kernel at a time, greedy and drawn, with ends that differ.
TEST(DeviceEngine, StepsLaunchedAheadDrawTheSameTokens) {
  for (const bool graphs : {true, false}) {
    EngineOptions o = options_for(kModel, "cuda");
    o.invariant = true, o.graphs = graphs;
    EngineOptions after = o;
    after.async_scheduling = false;
    expect_same_bits(run(after, several(6), greedy(30), true), run(o, several(6), greedy(30), true), "greedy");
    expect_same_bits(run(after, several(1), greedy(30), true), run(o, several(1), greedy(30), true), "alone");
    SamplingParams p = greedy(30);
    p.temperature = 1.1, p.top_k = 40, p.top_p = 0.95, p.seed = 7;
    p.stop_token_ids = {3, 17, 40, 61};
    expect_same_bits(run(after, several(6), p, true), run(o, several(6), p, true), "drawn");
  }
}

TEST(DeviceEngine, StepsAreLaunchedAhead) {
  Engine engine(options_for(kModel, "cuda"));
  Request r;
  r.token_ids = several(1)[0];
  r.sampling = greedy(20);
  engine.submit(std::move(r));
  while (engine.step()) {
  }
  EXPECT_EQ(engine.stats().overlapped_steps, 18);
  EXPECT_EQ(engine.stats().used_blocks, 0);
}

TEST(DeviceEngine, PreemptionChangesNoToken) {
  EngineOptions wide = options_for(kModel, "cuda");
  wide.invariant = true;
  EngineOptions narrow = wide;
  narrow.max_model_len = 128, wide.max_model_len = 128;
  narrow.kv_cache_memory_bytes = 0;
  Engine probe(wide);
  narrow.kv_cache_memory_bytes = probe.model().kv_bytes_per_token * probe.model().block_size * 4;
  expect_same_bits(run(wide, several(6), greedy(40), true), run(narrow, several(6), greedy(40), true), "preempted");
}

/// Every GPU of the machine at once, each engine made and driven by a thread of its own: the bits of the first one alone.
TEST(DeviceEngine, GpusSideBySideGiveTheSameBits) {
  std::vector<std::string> gpus;
  for (const DeviceProps& d : present_devices())
    if (d.name.starts_with("cuda")) gpus.push_back(d.name);
  if (gpus.size() < 2) GTEST_SKIP() << "GPUs are compared with each other, and this machine has one";
  EngineOptions first = options_for(kModel, "cuda", "bfloat16");
  const auto expected = run(first, several(6), greedy(40, 0), true);
  std::vector<std::vector<Answer>> answers(gpus.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < gpus.size(); ++i)
    threads.emplace_back([&, i] {
      EngineOptions o = first;
      o.device = gpus[i];
      answers[i] = run(o, several(6), greedy(40, 0), true);
    });
  for (std::thread& t : threads) t.join();
  for (size_t i = 0; i < gpus.size(); ++i) expect_same_bits(expected, answers[i], gpus[i]);
}

/// Pieces of an upload take turns in pinned memory: all of them arrive as they were.
TEST(DeviceEngine, WeightsArriveWhole) {
  const auto device = open_device(find_device("cuda"));
  const Stream stream = device->make_stream();
  ThreadPool pool(4);
  Upload upload(*device, &pool);
  std::vector<uint32_t> from((size_t{300} << 20) / 4 + 5), back(from.size());
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<uint32_t>(i * 2654435761u);
  const Buffer to = device->allocate(from.size() * 4, "target");
  upload.send(to.data(), from.data(), from.size() * 4);
  upload.finish();
  device->copy(back.data(), to.data(), back.size() * 4, stream);
  device->synchronize(stream);
  EXPECT_EQ(from, back);
}

/// All memory but a little is taken: whatever is short, one line names it, the bytes and an option; then the memory is there again.
TEST(DeviceEngine, ShortMemoryAtLoadNamesWhatItWasFor) {
  const auto device = open_device(find_device("cuda"));
  for (const size_t left : {size_t{16} << 20, size_t{80} << 20, size_t{120} << 20}) {
    const Buffer taken = device->allocate(device->free_memory() - left, "everything");
    try {
      Engine engine(options_for(kModel, "cuda"));
      ADD_FAILURE() << "loaded into " << left << " bytes";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::out_of_memory) << e.what();
      EXPECT_THAT(e.what(), testing::MatchesRegex(".*: expected .*; got .*--.*"));
    }
  }
  Engine engine(options_for(kModel, "cuda"));
  EXPECT_GT(engine.model().graphs, 0);
}

/// The output of a command, and its exit code.
std::pair<std::string, int> shell(const std::string& command) {
  std::pair<std::string, int> out;
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  char buffer[4096];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.first.append(buffer, n);
  out.second = WEXITSTATUS(pclose(pipe));
  return out;
}

/// `attune generate` over a tiny model with a planted kernel: its output and exit code.
std::pair<std::string, int> planted(const std::string& plant, const std::string& more) {
  const std::string command = "echo '{\"token_ids\":[1,2,3],\"max_tokens\":4}' | XDG_CACHE_HOME=" + testing::TempDir() +
                              "attune-planted " ATTUNE_BINARY_DIR "/bin/attune generate --json --device cuda --dtype bfloat16 --prompts - --model " +
                              (kGoldens / kModel).string() + " --plant " + plant + " " + more;
  return shell(command);
}

TEST(DeviceFaults, APlantedKernelThatIsWrongOrFaultsIsExcludedByItsProbe) {
  for (const std::string plant : {"gpu_scale", "gpu_nowhere"}) {
    const auto [text, code] = planted(plant, "--verbose");
    EXPECT_EQ(code, 0) << text;
    EXPECT_THAT(text, testing::HasSubstr("probe: planted.attention." + plant + " failed"));
    EXPECT_THAT(text, testing::HasSubstr("planted.attention." + plant + " (failed its probe"));
  }
}

/// Times of the model's own calls are taken, and the next load chooses by them.
TEST(DeviceFaults, APlantedKernelThatIsSlowIsExcludedByItsTimes) {
  const fs::path folder = fs::path(testing::TempDir()) / ("attune-slow-" + std::to_string(getpid()));
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << nlohmann::json{{"architectures", {"Qwen3ForCausalLM"}},
                                                          {"hidden_size", 512},
                                                          {"intermediate_size", 512},
                                                          {"num_hidden_layers", 1},
                                                          {"num_attention_heads", 32},
                                                          {"num_key_value_heads", 8},
                                                          {"head_dim", 128},
                                                          {"vocab_size", 512},
                                                          {"max_position_embeddings", 4096},
                                                          {"torch_dtype", "bfloat16"}};
  const std::string attune = "XDG_CACHE_HOME=" + (folder / "cache").string() + " " ATTUNE_BINARY_DIR "/bin/attune ";
  const std::string model = " --device cuda --load-format dummy --kv-cache-memory-bytes 64M --plant gpu_slow --model " + folder.string();
  const auto [measured, code] = shell(attune + "bench generate --save --batch-size 1 --input-len 32 --output-len 8" + model);
  EXPECT_EQ(code, 0) << measured;
  EXPECT_THAT(measured, testing::HasSubstr("planted.attention.gpu_slow "));
  const auto [text, next] = shell("echo '{\"token_ids\":[1,2,3],\"max_tokens\":4}' | " + attune + "generate --json --verbose --prompts -" + model);
  EXPECT_EQ(next, 0) << text;
  EXPECT_THAT(text, testing::ContainsRegex("measured [0-9.]+ % faster than the default planted.attention.gpu_slow")) << measured;
  fs::remove_all(folder);
}

/// Graphs of 20,000 sequences take longer to capture than the first line about them takes to come.
TEST(DeviceFaults, CtrlCWhileGraphsAreCaptured) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO), close(ends[0]), close(ends[1]);
    const std::string model = (kGoldens / kModel).string();
    execl(ATTUNE_BINARY_DIR "/bin/attune", "attune", "generate", "--json", "--device", "cuda", "--max-num-seqs", "20000", "--max-num-batched-tokens",
          "20000", "--kv-cache-memory-bytes", "64M", "--prompts", "/dev/null", "--model", model.c_str(), nullptr);
    _exit(127);
  }
  close(ends[1]);
  std::string shown;
  char buffer[4096];
  bool sent = false;
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    shown.append(buffer, static_cast<size_t>(n));
    if (!sent && shown.find("capturing graphs") != std::string::npos) sent = kill(child, SIGINT) == 0;
  }
  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(sent) << shown;
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130) << shown;
  EXPECT_THAT(shown, testing::EndsWith("attune: interrupted\n"));
}

TEST(DeviceFaults, AFaultInAStepIsOneLineAndAFailedRequest) {
  const auto [text, code] = planted("gpu_nowhere", "--no-probe");
  EXPECT_EQ(code, 1) << text;
  EXPECT_THAT(text, testing::HasSubstr("\"finish_reason\":\"error\""));
  EXPECT_THAT(text, testing::HasSubstr("illegal memory access"));
}

TEST(DeviceEngine, AModelThatDoesNotFitSaysSo) {
  EngineOptions o = options_for(kModel, "cuda");
  o.kv_cache_memory_bytes = int64_t{1} << 46;
  o.max_num_seqs = 8;
  try {
    Engine engine(o);
    FAIL() << "2⁴⁶ bytes of pages were allocated";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::out_of_memory);
    // All pages, less than a block short of what was asked for.
    EXPECT_THAT(e.what(), testing::MatchesRegex("KV cache: expected 703687[0-9]+ bytes of memory on cuda; got [0-9]+ free, 70[0-9]+ missing; lower "
                                                "--kv-cache-memory-bytes"));
  }
}

}  // namespace
}  // namespace attune
