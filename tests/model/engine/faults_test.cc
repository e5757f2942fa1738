// What a device can do to an engine: memory that is short at load, at capture and in a step; errors in the middle of a step; a device that is lost.
// One line says what happened, finished requests keep what they have, and what can go on goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>

#include "attune/engine.h"
#include "attune/error.h"
#include "engine/load.h"
#include "engine/model_runner.h"
#include "faulty_device.h"
#include "tiny_engine.h"

namespace attune::engine_test {
namespace {

using testing::HasSubstr;

struct EngineFaults : testing::Test {
  void SetUp() override {
    FaultyDevice::plan({});
    FaultyDevice::bound_memory(0);
    wrap_devices(&FaultyDevice::wrap);
  }
  void TearDown() override { wrap_devices(nullptr); }
};

EngineOptions options(bool graphs = false) {
  EngineOptions o = tiny_engine("qwen2-linear", 4, 4 << 20);
  o.graphs = graphs;
  return o;
}

struct Out {
  std::vector<int32_t> ids;
  FinishReason reason = FinishReason::none;
  std::string error;
};

Request request(int salt, int64_t tokens, bool greedy, Out& out) {
  Request r;
  for (int i = 0; i < 12; ++i) r.token_ids.push_back((i * 37 + salt * 11) % 90);
  r.sampling.max_tokens = tokens, r.sampling.ignore_eos = true, r.sampling.seed = 3;
  r.sampling.temperature = greedy ? 0 : 1.1;
  if (!greedy) r.sampling.repetition_penalty = 1.2;
  r.on_event = [&out](const RequestEvent& e) {
    if (e.finished) out = {e.completion->token_ids, e.completion->finish_reason, e.completion->error};
  };
  return r;
}

void drain(Engine& e) {
  for (int steps = 0; e.step(); ++steps) ASSERT_LT(steps, 500) << "no end";
  EXPECT_EQ(e.stats().used_blocks, 0);
}

Out run(Engine& e, bool greedy = true) {
  Out out;
  e.submit(request(1, 8, greedy, out));
  drain(e);
  return out;
}

Error load_error(const EngineOptions& o) {
  try {
    Engine e(o);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "it was loaded";
  return Error(ErrorCode::internal, "");
}

std::string with_advice(const std::string& what, const EngineOptions& o) {
  const std::string line = what + ": expected 64 bytes; got none";
  const std::string said = with_memory_advice(Error(ErrorCode::out_of_memory, line), o).message();
  EXPECT_TRUE(said.starts_with(line + "; ")) << said;
  return said.substr(line.size() + 2);
}

/// Inputs twice, tokens late, rows of the law on the device: the same tokens as where all is one memory.
TEST_F(EngineFaults, WithoutAFaultADeviceOfItsOwnGivesTheTokensOfTheCpu) {
  Engine there(options());
  EXPECT_GT(FaultyDevice::calls("copy"), 0);
  const Out a = run(there), b = run(there, false);
  EXPECT_GT(there.stats().overlapped_steps, 0);
  wrap_devices(nullptr);
  Engine here(options());
  EXPECT_EQ(a.ids, run(here).ids);
  EXPECT_EQ(b.ids, run(here, false).ids);
}

TEST_F(EngineFaults, MemoryThatIsShortAtLoadIsOneLineWithAnOption) {
  { Engine counted(options(true)); }
  const int64_t allocations = FaultyDevice::calls("allocate");
  ASSERT_GT(allocations, 10);
  for (int64_t i = 1; i <= allocations; ++i) {
    FaultyDevice::plan({ErrorCode::out_of_memory, "allocate", i});
    const Error e = load_error(options(true));
    EXPECT_EQ(e.code(), ErrorCode::out_of_memory) << e.message();
    EXPECT_THAT(e.message(), testing::MatchesRegex("[a-zA-Z -]+: expected 64 bytes of memory on faulty; got 0 free, 64 missing; .*--.*"));
    EXPECT_EQ(e.message().find('\n'), std::string::npos);
  }
  FaultyDevice::plan({});
  Engine whole(options());
  EXPECT_EQ(run(whole).reason, FinishReason::length) << "nothing of the failed loads is left";
}

TEST_F(EngineFaults, PinnedMemoryThatIsShortIsTheHosts) {
  { Engine counted(options()); }
  const int64_t pinned = FaultyDevice::calls("pinned");
  ASSERT_GT(pinned, 3);
  for (int64_t i = 1; i <= pinned; ++i) {
    FaultyDevice::plan({ErrorCode::out_of_memory, "pinned", i});
    const Error e = load_error(options());
    EXPECT_EQ(e.code(), ErrorCode::out_of_memory);
    EXPECT_THAT(e.message(),
                testing::MatchesRegex("[a-z ]+: expected [0-9]+ bytes of pinned memory of the host; got [0-9]+ free, 0 missing: the driver "
                                      "refuses to pin them; free memory of the host, or lower --max-num-seqs or --max-num-batched-tokens"));
  }
}

/// The numbers of a message: asked for, there, missing.
std::vector<int64_t> numbers_of(const std::string& message) {
  std::vector<int64_t> out;
  for (size_t at = 0; at < message.size();) {
    if (!std::isdigit(static_cast<unsigned char>(message[at]))) {
      ++at;
      continue;
    }
    size_t used = 0;
    const bool negative = at > 0 && message[at - 1] == '-';
    out.push_back((negative ? -1 : 1) * std::stoll(message.substr(at), &used));
    at += used;
  }
  return out;
}

/// Whatever the format, the weights are counted as they will lie on the device, and before any memory of it is asked for.
TEST_F(EngineFaults, WeightsThatDoNotFitAreCountedWhole) {
  for (const bool dummy : {false, true})
    for (const char* dtype : {"auto", "bfloat16"}) {
      EngineOptions o = options();
      o.dtype = dtype;
      if (dummy) o.load_format = "dummy";
      FaultyDevice::bound_memory(int64_t{1} << 30);
      const int64_t bytes = Engine(o).model().weight_bytes;
      FaultyDevice::bound_memory(bytes - 1000);
      FaultyDevice::plan({});
      EXPECT_EQ(load_error(o).message(),
                fmt::format("weights: expected {} bytes of memory on cpu; got {} free, 1000 missing; choose a device with more "
                            "free memory by --device, or a smaller --dtype",
                            bytes, bytes - 1000));
    }
}

TEST_F(EngineFaults, PagesThatDoNotFitAreCountedWhole) {
  EngineOptions o = options();
  FaultyDevice::bound_memory(int64_t{1} << 30);
  o.kv_cache_memory_bytes = int64_t{200} << 30;
  const std::string said = load_error(o).message();
  EXPECT_THAT(said, testing::MatchesRegex(
                        "KV cache: expected [0-9]+ bytes of memory on cpu; got [0-9]+ free, [0-9]+ missing; lower --kv-cache-memory-bytes"));
  const auto n = numbers_of(said);
  EXPECT_GT(n[0], (int64_t{200} << 30) - (1 << 20)) << "all layers, and not one of them";
  EXPECT_LE(n[0], int64_t{200} << 30);
  EXPECT_LT(n[1], int64_t{1} << 30);
  EXPECT_EQ(n[2], n[0] - n[1]);
}

/// What is missing counts what is taken beyond the share that may be.
TEST_F(EngineFaults, AShareThatTheWeightsExceedMissesThemToo) {
  EngineOptions o = options();
  o.kv_cache_memory_bytes = 0, o.gpu_memory_utilization = 0.01, o.max_model_len = 64;
  constexpr int64_t kMemory = int64_t{4} << 30;
  FaultyDevice::bound_memory(kMemory);
  const Error e = load_error(o);
  EXPECT_EQ(e.code(), ErrorCode::out_of_memory);
  EXPECT_THAT(e.message(), testing::MatchesRegex("KV cache: expected room for 64 tokens \\([0-9]+ bytes\\); got -[0-9]+ bytes \\([0-9]+ by "
                                                 "--gpu-memory-utilization 0.01, less [0-9]+ taken and [0-9]+ for scratch\\), [0-9]+ missing; raise "
                                                 "--gpu-memory-utilization"));
  const auto n = numbers_of(e.message());  // tokens, needed, got, budget, 0, 01, taken, scratch, missing
  ASSERT_EQ(n.size(), 9u) << e.message();
  EXPECT_EQ(n[3], kMemory / 100);
  EXPECT_GT(n[6], 0);
  EXPECT_EQ(n[2], n[3] - n[6] - n[7]);
  EXPECT_EQ(n[8], n[1] - n[2]);
  o.gpu_memory_utilization = (static_cast<double>(n[3] + n[8]) + 0.5) / static_cast<double>(kMemory);
  EXPECT_EQ(run(*std::make_unique<Engine>(o)).reason, FinishReason::length) << "what was missing is enough";
  o.gpu_memory_utilization = (static_cast<double>(n[3] + n[8]) - 1.5) / static_cast<double>(kMemory);
  EXPECT_EQ(load_error(o).code(), ErrorCode::out_of_memory) << "and no byte less";
}

TEST_F(EngineFaults, MoreThanTheDeviceHasIsNotAShareTooSmall) {
  EngineOptions o = options();
  o.kv_cache_memory_bytes = 0, o.max_model_len = 64;
  FaultyDevice::bound_memory(int64_t{300} << 20);
  EXPECT_THAT(load_error(o).message(), testing::EndsWith(" missing; choose a device with more free memory by --device, or a smaller --dtype"));
}

/// Weights, pages and scratch stay within --gpu-memory-utilization however many rows of logits there are.
TEST_F(EngineFaults, TheShareBoundsScratch) {
  for (const int64_t sequences : {4, 4000}) {
    EngineOptions o = options();
    o.kv_cache_memory_bytes = 0, o.gpu_memory_utilization = 0.2, o.max_num_seqs = sequences, o.max_num_batched_tokens = 4096;
    constexpr int64_t kMemory = int64_t{8} << 30;
    FaultyDevice::bound_memory(kMemory);
    const Engine e(o);
    EXPECT_LE(static_cast<double>(FaultyDevice::taken()), 0.2 * static_cast<double>(kMemory) - (256 << 20)) << "what is left is the driver's";
    if (sequences == 4000) EXPECT_GE(static_cast<double>(FaultyDevice::taken()), 0.2 * static_cast<double>(kMemory) - (260 << 20));
  }
}

TEST_F(EngineFaults, TheAdviceFitsWhatIsShort) {
  EngineOptions o = options();
  EXPECT_EQ(with_advice("KV cache", o), "lower --kv-cache-memory-bytes");
  EXPECT_EQ(with_advice("activations", o), "lower --max-num-batched-tokens");
  EXPECT_EQ(with_advice("logits", o), "lower --max-num-seqs");
  EXPECT_EQ(
      with_memory_advice(Error(ErrorCode::out_of_memory, "x: expected 1 bytes of pinned memory of the host; got 0 free"), o).message(),
      "x: expected 1 bytes of pinned memory of the host; got 0 free; free memory of the host, or lower --max-num-seqs or --max-num-batched-tokens");
  EXPECT_EQ(with_advice("weights", o), "choose a device with more free memory by --device, or a smaller --dtype");
  o.device = "cuda", o.kv_cache_memory_bytes = 0;
  EXPECT_EQ(with_advice("KV scales", o), "lower --gpu-memory-utilization");
  EXPECT_EQ(with_advice("graph", o), "lower --gpu-memory-utilization, or give --enforce-eager");
}

TEST_F(EngineFaults, AnErrorAtAnyCallOfALoadEndsIt) {
  { Engine counted(options(true)); }
  const int64_t all = FaultyDevice::calls("");
  for (int64_t i = 1; i <= all; i += i < 40 ? 1 : 7) {
    FaultyDevice::plan({.at = i});
    EXPECT_EQ(load_error(options(true)).code(), ErrorCode::device_error) << i;
    FaultyDevice::plan({.at = i, .forever = true});
    EXPECT_EQ(load_error(options(true)).code(), ErrorCode::device_error) << i;
  }
}

TEST_F(EngineFaults, ACaptureThatFails) {
  FaultyDevice::plan({ErrorCode::out_of_memory, "graph", 2});
  const Error e = load_error(options(true));
  EXPECT_EQ(e.code(), ErrorCode::out_of_memory);
  EXPECT_THAT(e.message(), HasSubstr("--enforce-eager"));
  FaultyDevice::plan({.call = "capture", .at = 1});
  EXPECT_EQ(load_error(options(true)).message(), "graph capture: expected success; got a planned failure");
  FaultyDevice::plan({});
  EXPECT_EQ(Engine(options(true)).model().graphs, 3) << "steps of 1, 2 and 4";
}

/// Every call of a run fails once: the requests of that step end with the reason, those before keep their tokens, those after run.
TEST_F(EngineFaults, AnErrorInAStepEndsItsRequestsAndNoOthers) {
  for (const bool ahead : {true, false})
    for (const bool greedy : {true, false}) {
      EngineOptions o = options();
      o.async_scheduling = ahead;
      Engine e(o);
      FaultyDevice::plan({});
      const Out whole = run(e, greedy);
      const int64_t calls = FaultyDevice::calls("");
      ASSERT_GT(calls, 20);
      for (int64_t i = 1; i <= calls; ++i) {
        SCOPED_TRACE("call " + std::to_string(i));
        Out before, during, beside;
        FaultyDevice::plan({});
        e.submit(request(1, 8, greedy, before));
        drain(e);
        FaultyDevice::plan({.at = i});
        e.submit(request(1, 8, greedy, during));
        e.submit(request(2, 2, greedy, beside));
        drain(e);
        EXPECT_EQ(before.ids, whole.ids);
        EXPECT_EQ(before.reason, FinishReason::length);
        if (during.reason == FinishReason::error) {
          EXPECT_THAT(during.error, HasSubstr("a planned failure"));
          EXPECT_TRUE(beside.reason == FinishReason::error || beside.ids.size() == 2);
        } else {
          EXPECT_EQ(during.ids, whole.ids);
        }
        const bool reached = FaultyDevice::calls("") >= i;  // two requests at once take fewer calls than one after the other
        EXPECT_EQ(during.reason == FinishReason::error || beside.reason == FinishReason::error, reached);
        FaultyDevice::plan({});
        EXPECT_EQ(run(e, greedy).ids, whole.ids) << "the engine goes on";
      }
    }
}

TEST_F(EngineFaults, MemoryThatIsShortInAStep) {
  Engine e(options());
  const Out whole = run(e, true);
  FaultyDevice::plan({ErrorCode::out_of_memory, "allocate", 1});
  const Out penalised = run(e, false);  // its law is the first that needs memory for token lists
  EXPECT_EQ(penalised.reason, FinishReason::error);
  EXPECT_THAT(penalised.error, HasSubstr("expected 64 bytes of memory on faulty; got 0 free, 64 missing"));
  EXPECT_EQ(run(e, true).ids, whole.ids);
  EXPECT_EQ(run(e, false).reason, FinishReason::length) << "there is memory now";
}

TEST_F(EngineFaults, ALostDeviceEndsEveryRequestOnce) {
  for (const char* call : {"copy", "wait", "record", ""}) {
    Engine e(options());
    Out done;
    e.submit(request(1, 4, true, done));
    drain(e);
    std::vector<Out> rest(7);
    std::vector<int> ends(rest.size());
    for (size_t i = 0; i < rest.size(); ++i) {
      Request r = request(static_cast<int>(i), 20, true, rest[i]);
      r.on_event = [&, i, inner = r.on_event](const RequestEvent& event) {
        ends[i] += event.finished;
        inner(event);
      };
      e.submit(std::move(r));
    }
    for (int i = 0; i < 4; ++i) e.step();
    FaultyDevice::plan({.call = call, .at = 1, .forever = true});
    drain(e);
    EXPECT_EQ(done.ids.size(), 4u);
    for (size_t i = 0; i < rest.size(); ++i) {
      EXPECT_EQ(rest[i].reason, FinishReason::error) << call;
      EXPECT_THAT(rest[i].error, HasSubstr("a planned failure"));
      EXPECT_EQ(ends[i], 1);
    }
    FaultyDevice::plan({});
  }
}

/// The next step's inputs come in a stream of their own: they must not meet what a failed step has launched.
TEST_F(EngineFaults, NothingIsCopiedBeforeAFailedStepHasEnded) {
  for (const bool ahead : {true, false}) {
    EngineOptions o = options();
    o.async_scheduling = ahead;
    Engine e(o);
    FaultyDevice::plan({});
    run(e);
    const int64_t calls = FaultyDevice::calls("");
    for (int64_t i = 1; i <= calls; ++i) {
      FaultyDevice::plan({.at = i});
      run(e);
      run(e);
      EXPECT_EQ(FaultyDevice::copies_into_the_unknown(), 0) << "call " << i;
    }
  }
}

/// The largest batch finds a graph, whatever its size.
TEST_F(EngineFaults, EveryBatchUpToTheLimitHasAGraph) {
  using Sizes = std::vector<int64_t>;
  EXPECT_EQ(ModelRunner::graph_sizes(1), Sizes({1}));
  EXPECT_EQ(ModelRunner::graph_sizes(3), Sizes({1, 2, 3}));
  EXPECT_EQ(ModelRunner::graph_sizes(8), Sizes({1, 2, 4, 8}));
  EXPECT_EQ(ModelRunner::graph_sizes(12), Sizes({1, 2, 4, 8, 12}));
  EXPECT_EQ(ModelRunner::graph_sizes(20), Sizes({1, 2, 4, 8, 16, 20}));
  EXPECT_EQ(ModelRunner::graph_sizes(100).back(), 100);
  for (const int most : {3, 12}) {
    EngineOptions o = options(true);
    o.max_num_seqs = most;
    Engine e(o);
    EXPECT_EQ(e.model().graphs, most == 3 ? 3 : 5);
    FaultyDevice::plan({});
    std::vector<Out> outs(static_cast<size_t>(most));
    for (int i = 0; i < most; ++i) e.submit(request(i, 6, true, outs[static_cast<size_t>(i)]));
    drain(e);
    EXPECT_EQ(FaultyDevice::calls("replay"), 5) << "every step but the prompts'";
  }
}

TEST_F(EngineFaults, AGraphThatCannotBeLaunched) {
  Engine e(options(true));
  FaultyDevice::plan({.call = "replay", .at = 1});
  const Out out = run(e);
  EXPECT_EQ(out.reason, FinishReason::error);
  EXPECT_EQ(out.error, "graph launch: expected success; got a planned failure");
}

}  // namespace
}  // namespace attune::engine_test
