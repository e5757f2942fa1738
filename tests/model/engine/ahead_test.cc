// Decode steps launched before the tokens of the last one are read: the same tokens and ends as without, whatever a request asks for and however it
// ends. On the CPU here; tests/model/device does the same on a GPU.
#include <gtest/gtest.h>

#include "attune/engine.h"
#include "attune/error.h"
#include "tiny_engine.h"

namespace attune {
namespace {

EngineOptions options(bool ahead) {
  EngineOptions o = tiny_engine("qwen3-gqa7-tied", 16, 32 << 20);
  o.async_scheduling = ahead;
  return o;
}

SamplingParams greedy(int64_t tokens) {
  SamplingParams p;
  p.temperature = 0, p.max_tokens = tokens, p.ignore_eos = true;
  return p;
}

SamplingParams drawn(uint64_t seed, int64_t tokens) {
  SamplingParams p = greedy(tokens);
  p.temperature = 1.1, p.top_k = 40, p.top_p = 0.95, p.min_p = 0.01, p.seed = seed;
  p.logit_bias = {{3, 1.0f}};
  return p;
}

struct Out {
  std::vector<std::vector<int32_t>> ids;  // of each sample
  std::vector<FinishReason> reasons;
  std::vector<float> logprobs;
  std::string error;
  bool operator==(const Out&) const = default;
};

Request request(std::vector<int32_t> ids, const SamplingParams& p, Out& out) {
  Request r;
  r.token_ids = std::move(ids);
  r.sampling = p;
  out.ids.resize(static_cast<size_t>(p.n)), out.reasons.resize(static_cast<size_t>(p.n));
  r.on_event = [&out](const RequestEvent& e) {
    if (!e.finished) return;
    const auto i = static_cast<size_t>(e.index);
    out.ids[i] = e.completion->token_ids, out.reasons[i] = e.completion->finish_reason, out.error = e.completion->error;
    for (const TokenLogprob& l : e.completion->logprobs) out.logprobs.push_back(l.logprob);
  };
  return r;
}

void drain(Engine& e) {
  while (e.step()) {
    const EngineStats s = e.stats();
    ASSERT_EQ(s.free_blocks + s.used_blocks, s.total_blocks);
  }
  EXPECT_EQ(e.stats().used_blocks, 0);
}

std::vector<Out> run(const EngineOptions& o, const std::vector<SamplingParams>& asks, int64_t* overlapped = nullptr) {
  Engine e(o);
  std::vector<Out> outs(asks.size());
  for (size_t i = 0; i < asks.size(); ++i) e.submit(request(prompt(5 + 11 * static_cast<int>(i % 9), static_cast<int>(i)), asks[i], outs[i]));
  drain(e);
  if (overlapped) *overlapped = e.stats().overlapped_steps;
  return outs;
}

/// Both ways, equal; how many steps were launched ahead.
int64_t overlapped_of(const std::vector<SamplingParams>& asks, const std::function<void(EngineOptions&)>& change = {}) {
  EngineOptions plain = options(false), ahead = options(true);
  if (change) change(plain), change(ahead);
  int64_t none = 0, some = 0;
  EXPECT_EQ(run(plain, asks, &none), run(ahead, asks, &some));
  EXPECT_EQ(none, 0);
  return some;
}

TEST(EngineAhead, GreedyAndDrawnTokensAreTheSame) {
  EXPECT_EQ(overlapped_of({greedy(20)}), 18) << "all steps but the prompt's and the first decode";
  EXPECT_EQ(overlapped_of({greedy(12), greedy(12), drawn(3, 12), drawn(4, 12)}), 10);
  EXPECT_GT(overlapped_of({greedy(5), drawn(3, 30), drawn(4, 17), greedy(30)}), 15) << "requests that end at different steps";
}

TEST(EngineAhead, WhatFollowsAStopIsDropped) {
  const auto ids = run(options(false), {greedy(30)})[0].ids[0];
  SamplingParams p = greedy(30);
  p.stop_token_ids = {ids[7]};
  const Out stopped = run(options(true), {p})[0];
  const auto first = std::find(ids.begin(), ids.end(), ids[7]) - ids.begin();
  EXPECT_EQ(stopped.ids[0], std::vector<int32_t>(ids.begin(), ids.begin() + first + 1));
  EXPECT_EQ(stopped.reasons[0], FinishReason::stop);
  EXPECT_GT(overlapped_of({p, greedy(25), drawn(9, 25)}), 10) << "its neighbours go on";
}

/// Laws that need the tokens drawn before, or rows of logits on the host, are launched when these are known.
TEST(EngineAhead, LawsThatAskTheHostWait) {
  SamplingParams p = greedy(12);
  p.repetition_penalty = 1.3;
  EXPECT_EQ(overlapped_of({p}), 0);
  p = greedy(12), p.presence_penalty = 0.5;
  EXPECT_EQ(overlapped_of({p, greedy(12)}), 0);
  p = greedy(12), p.frequency_penalty = 0.5;
  EXPECT_EQ(overlapped_of({p, greedy(3)}), 0);
  p = greedy(12), p.logprobs = 2;
  EXPECT_EQ(overlapped_of({p}), 0);
  p = greedy(12), p.prompt_logprobs = 0;
  EXPECT_EQ(overlapped_of({p}), 10) << "its decode steps ask nothing";
  p = greedy(12), p.min_tokens = 9, p.stop_token_ids = run(options(false), {greedy(12)})[0].ids[0];
  EXPECT_GT(overlapped_of({p}), 5) << "how many tokens were drawn is known";
}

TEST(EngineAhead, SamplesOfOnePrompt) {
  SamplingParams p = drawn(5, 20);
  p.n = 4;
  EXPECT_GT(overlapped_of({p, greedy(20)}), 15);
  Engine e(options(true));
  Out one, other;
  e.submit(request({7}, p, one));  // a prompt of one token is a decode step that makes the samples
  drain(e);
  Engine sync(options(false));
  sync.submit(request({7}, p, other));
  drain(sync);
  EXPECT_EQ(one, other);
}

TEST(EngineAhead, ShortOfBlocks) {
  const auto narrow = [](EngineOptions& o) {
    o.max_model_len = 128;
    EngineOptions wide = o;
    const Engine measure(wide);
    o.kv_cache_memory_bytes = 12 * 16 * measure.model().kv_bytes_per_token;
  };
  EXPECT_GT(overlapped_of({greedy(60), drawn(1, 60), drawn(2, 60), greedy(60), drawn(3, 60)}, narrow), 5);
}

TEST(EngineAhead, TheContextEnds) {
  const auto shortened = [](EngineOptions& o) { o.max_model_len = 32; };
  EXPECT_GT(overlapped_of({greedy(100), drawn(1, 100)}, shortened), 5);
}

TEST(EngineAhead, MoreSequencesThanRowsOfLogitsRunAsBefore) {
  std::vector<SamplingParams> asks;
  for (int i = 0; i < 40; ++i) asks.push_back(drawn(static_cast<uint64_t>(i), 6));
  const auto wide = [](EngineOptions& o) {
    o.max_num_seqs = 40, o.max_num_batched_tokens = 4096, o.max_model_len = 128, o.kv_cache_memory_bytes = 128 << 20;
  };
  EXPECT_EQ(overlapped_of(asks, wide), 0);
}

TEST(EngineAhead, RequestsThatComeAndGoWhileAStepIsInFlight) {
  std::vector<Out> outs[2];
  for (const bool ahead : {false, true}) {
    Engine e(options(ahead));
    auto& out = outs[ahead];
    out.resize(6);
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < out.size(); ++i) {
      ids.push_back(e.submit(request(prompt(20, static_cast<int>(i)), drawn(i, 14), out[i])));
      for (int step = 0; step < 5; ++step) e.step();
    }
    drain(e);
  }
  EXPECT_EQ(outs[0], outs[1]);
}

TEST(EngineAhead, ACancelledRequestKeepsWhatWasReadAndItsNeighboursGoOn) {
  Engine e(options(true));
  Out gone, kept;
  const uint64_t id = e.submit(request(prompt(30), greedy(50), gone));
  e.submit(request(prompt(30, 1), greedy(20), kept));
  for (int i = 0; i < 6; ++i) e.step();
  e.cancel(id);
  drain(e);
  EXPECT_EQ(gone.reasons[0], FinishReason::abort);
  EXPECT_EQ(kept.reasons[0], FinishReason::length);
  EXPECT_EQ(kept.ids[0].size(), 20u);
  Engine alone(options(false));
  Out expected;
  alone.submit(request(prompt(30), greedy(50), expected));
  drain(alone);
  ASSERT_LT(gone.ids[0].size(), expected.ids[0].size());
  EXPECT_TRUE(std::equal(gone.ids[0].begin(), gone.ids[0].end(), expected.ids[0].begin()));
}

/// The engine may go while a step is in flight.
TEST(EngineAhead, AnEngineMayEndInFlight) {
  Out out;
  Engine e(options(true));
  e.submit(request(prompt(10), greedy(50), out));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(e.step());
  EXPECT_GT(e.stats().overlapped_steps, 0);
}

}  // namespace
}  // namespace attune
