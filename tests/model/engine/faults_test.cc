// What a device can do to an engine: memory that is short at load, at capture and in a step; errors in the middle of a step; a device that is lost.
// One line says what happened, finished requests keep what they have, and what can go on goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attune/engine.h"
#include "attune/error.h"
#include "engine/load.h"
#include "faulty_device.h"
#include "tiny_engine.h"

namespace attune::engine_test {
namespace {

using testing::HasSubstr;

struct EngineFaults : testing::Test {
  void SetUp() override {
    FaultyDevice::plan({});
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

TEST_F(EngineFaults, TheAdviceFitsWhatIsShort) {
  EngineOptions o = options();
  EXPECT_EQ(with_advice("KV cache", o), "lower --kv-cache-memory-bytes");
  EXPECT_EQ(with_advice("activations", o), "lower --max-num-batched-tokens");
  EXPECT_EQ(with_advice("logits", o), "lower --max-num-seqs");
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

TEST_F(EngineFaults, AGraphThatCannotBeLaunched) {
  Engine e(options(true));
  FaultyDevice::plan({.call = "replay", .at = 1});
  const Out out = run(e);
  EXPECT_EQ(out.reason, FinishReason::error);
  EXPECT_EQ(out.error, "graph launch: expected success; got a planned failure");
}

}  // namespace
}  // namespace attune::engine_test
