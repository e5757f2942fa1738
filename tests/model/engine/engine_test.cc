// The engine over a tiny model: batching, prefix reuse, preemption, sampling laws, stops, cancellation. Equality is of bits.
#include "attune/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "../scaled_checkpoint.h"
#include "attune/error.h"
#include "attune/kernels.h"
#include "attune/log.h"
#include "tiny_engine.h"

namespace attune {
namespace {

using testing::HasSubstr;

EngineOptions options() { return tiny_engine("qwen3-gqa7-tied", 16, 32 << 20); }

/// Output of a request: ids and their log-probabilities, per sample.
struct Out {
  std::map<int, std::vector<int32_t>> ids;
  std::map<int, std::vector<float>> logprobs;
  std::map<int, FinishReason> reason;
  std::vector<float> prompt;  // log-probabilities of the prompt's tokens, where asked for
  int64_t cached = 0;
  bool operator==(const Out& o) const { return ids == o.ids && logprobs == o.logprobs && reason == o.reason && prompt == o.prompt; }
};

uint64_t submit(Engine& e, Out& out, std::vector<int32_t> ids, SamplingParams p) {
  p.logprobs = 2;
  Request r;
  r.token_ids = std::move(ids);
  r.sampling = p;
  r.on_event = [&out](const RequestEvent& event) {
    if (!event.finished) return;
    out.ids[event.index] = event.completion->token_ids;
    out.reason[event.index] = event.completion->finish_reason;
    out.cached = event.cached_tokens;
    if (event.prompt_logprobs)
      for (const auto& l : *event.prompt_logprobs) out.prompt.push_back(l.logprob);
    for (const auto& l : event.completion->logprobs) out.logprobs[event.index].push_back(l.logprob);
  };
  return e.submit(std::move(r));
}

void drain(Engine& e) {
  while (e.step()) {
    const EngineStats s = e.stats();
    ASSERT_EQ(s.free_blocks + s.used_blocks, s.total_blocks);
  }
  EXPECT_EQ(e.stats().used_blocks, 0);
}

SamplingParams sampled(uint64_t seed, int64_t tokens = 12) {
  SamplingParams p;
  p.temperature = 1.1, p.top_k = 40, p.top_p = 0.95, p.min_p = 0.01;
  p.repetition_penalty = 1.1, p.presence_penalty = 0.2, p.frequency_penalty = 0.1;
  p.seed = seed, p.max_tokens = tokens, p.ignore_eos = true;
  return p;
}

Out alone(const EngineOptions& o, const std::vector<int32_t>& ids, const SamplingParams& p) {
  Engine e(o);
  Out out;
  submit(e, out, ids, p);
  drain(e);
  return out;
}

TEST(Engine, ARequestDoesNotDependOnItsNeighbours) {
  Engine e(options());
  std::vector<Out> together(6);
  for (int i = 0; i < 6; ++i) submit(e, together[static_cast<size_t>(i)], prompt(5 + 17 * i, i), sampled(static_cast<uint64_t>(i)));
  drain(e);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(together[static_cast<size_t>(i)], alone(options(), prompt(5 + 17 * i, i), sampled(static_cast<uint64_t>(i)))) << i;
}

TEST(Engine, RequestsJoinAndLeaveBetweenSteps) {
  Engine e(options());
  std::vector<Out> out(4);
  for (int i = 0; i < 4; ++i) {
    submit(e, out[static_cast<size_t>(i)], prompt(40, i), sampled(7, 6 + i));
    e.step();
    e.step();
  }
  drain(e);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], alone(options(), prompt(40, i), sampled(7, 6 + i))) << i;
}

TEST(Engine, APrefixHitIsBitEqualToAColdRun) {
  Engine e(options());
  Out cold, warm;
  submit(e, cold, prompt(100), sampled(1));
  drain(e);
  submit(e, warm, prompt(100), sampled(1));
  drain(e);
  EXPECT_EQ(cold.cached, 0);
  EXPECT_EQ(warm.cached, 96);
  EXPECT_EQ(cold, warm);
  EXPECT_EQ(e.stats().cached_tokens, 96);
  EngineOptions off = options();
  off.enable_prefix_caching = false;
  Engine without(off);
  for (Out* o : {&cold, &warm}) {
    *o = {};
    submit(without, *o, prompt(100), sampled(1));
    drain(without);
    EXPECT_EQ(o->cached, 0);
  }
  EXPECT_EQ(cold, warm);
}

TEST(Engine, PreemptedRequestsComeOutTheSame) {
  EngineOptions small = options();
  small.max_model_len = 128;
  Engine probe(small);
  small.kv_cache_memory_bytes = 18 * 16 * probe.model().kv_bytes_per_token;  // two and a bit full contexts
  Engine e(small);
  std::vector<Out> out(6);
  for (int i = 0; i < 6; ++i) submit(e, out[static_cast<size_t>(i)], prompt(50, i), sampled(static_cast<uint64_t>(i), 60));
  drain(e);
  EXPECT_GT(e.stats().preemptions, 0);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], alone(options(), prompt(50, i), sampled(static_cast<uint64_t>(i), 60))) << i;
}

TEST(Engine, PromptLogprobsSurvivePreemption) {
  EngineOptions small = options();
  small.max_model_len = 128;
  Engine probe(small);
  small.kv_cache_memory_bytes = 12 * 16 * probe.model().kv_bytes_per_token;
  small.max_num_batched_tokens = 24;
  Engine e(small);
  std::vector<Out> out(5);
  SamplingParams p = sampled(4, 50);
  p.prompt_logprobs = 0;
  for (int i = 0; i < 5; ++i) submit(e, out[static_cast<size_t>(i)], prompt(60, i), p);
  drain(e);
  EXPECT_GT(e.stats().preemptions, 0);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(out[static_cast<size_t>(i)].prompt.size(), 59u);
    EXPECT_EQ(out[static_cast<size_t>(i)], alone(options(), prompt(60, i), p)) << i;
  }
}

TEST(Engine, SamplesOfOnePromptShareItAndDiffer) {
  Engine e(options());
  Out many;
  SamplingParams p = sampled(5);
  p.n = 4;
  submit(e, many, prompt(70), p);
  ASSERT_TRUE(e.step());
  EXPECT_LE(e.stats().used_blocks, 5 + 4) << "the prompt's blocks are shared";
  drain(e);
  ASSERT_EQ(many.ids.size(), 4u);
  EXPECT_NE(many.ids[0], many.ids[1]);
  const Out one = alone(options(), prompt(70), sampled(5));
  EXPECT_EQ(many.ids[0], one.ids.at(0)) << "sample 0 is what n = 1 gives";
}

TEST(Engine, MaskedAndZeroTemperatureAndBias) {
  SamplingParams greedy;
  greedy.temperature = 0, greedy.max_tokens = 5, greedy.ignore_eos = true;
  const Out base = alone(options(), prompt(9), greedy);
  SamplingParams one = greedy;
  one.temperature = 3, one.top_k = 1;
  EXPECT_EQ(alone(options(), prompt(9), one).ids, base.ids) << "top-1 is greedy at any temperature";
  SamplingParams biased = greedy;
  biased.logit_bias = {{42, 100.0f}};
  EXPECT_THAT(alone(options(), prompt(9), biased).ids.at(0), testing::Each(42));
}

TEST(Engine, StopIdsEndAndMinTokensHoldThemBack) {
  SamplingParams p;
  p.temperature = 0, p.max_tokens = 8, p.ignore_eos = true;
  const auto ids = alone(options(), prompt(9), p).ids.at(0);
  p.stop_token_ids = {ids[2]};
  const auto first = static_cast<size_t>(std::find(ids.begin(), ids.end(), ids[2]) - ids.begin());
  Out out = alone(options(), prompt(9), p);
  EXPECT_EQ(out.ids[0].size(), first + 1);
  EXPECT_EQ(out.reason[0], FinishReason::stop);
  p.min_tokens = 6;
  out = alone(options(), prompt(9), p);
  EXPECT_GE(out.ids[0].size(), 6u);
  for (size_t i = 0; i < 5; ++i) EXPECT_NE(out.ids[0][i], ids[2]);
}

void expect_order_of_arithmetic_in_fp8(EngineOptions o) {
  o.kv_cache_dtype = "fp8";
  const Out whole = alone(o, prompt(100), sampled(3));
  EXPECT_NE(whole, alone(options(), prompt(100), sampled(3))) << "8 bits are not 16";
  EngineOptions chunked = o;
  chunked.max_num_batched_tokens = 13;
  EXPECT_EQ(whole, alone(chunked, prompt(100), sampled(3)));
  Engine e(o);
  Out cold, warm;
  submit(e, cold, prompt(100), sampled(3));
  drain(e);
  submit(e, warm, prompt(100), sampled(3));
  drain(e);
  EXPECT_EQ(warm.cached, 96);
  EXPECT_EQ(whole, cold);
  EXPECT_EQ(whole, warm);
}

/// 8-bit KV without checkpoint scales: dynamic token-head scales, written once, so that bits still do not depend on chunks or hits.
TEST(Engine, Fp8KvKeepsTheOrderOfArithmetic) { expect_order_of_arithmetic_in_fp8(options()); }

TEST(Engine, Fp8KvWithScalesOfTheCheckpointKeepsTheOrderOfArithmetic) {
  for (const size_t heads : {1, 2}) {
    const auto folder = std::filesystem::path(testing::TempDir()) / ("attune-engine-scales-" + std::to_string(getpid()));
    test::copy_with_scales(options().model, folder, test::some_scales(2, heads));
    EngineOptions o = options();
    o.model = folder.string();
    expect_order_of_arithmetic_in_fp8(o);
    o.kv_cache_dtype = "fp8";
    Engine e(o);
    EXPECT_EQ(e.model().kv_scales, heads == 1 ? "scales of the checkpoint, one a layer" : "scales of the checkpoint, one a head");
    std::filesystem::remove_all(folder);
  }
}

/// A kernel that fails its probe is passed over, and so is one the user disables.
TEST(Engine, DisabledKernelsAreNotChosen) {
  EngineOptions o = options();
  o.disable_kernels = {"cpu.attention.*"};
  Engine e(o);
  EXPECT_THAT(e.kernels_line(), HasSubstr("attention ref.attention"));
  EXPECT_THAT(e.selections_json(), HasSubstr("disabled by --disable-kernel cpu.attention.*"));
}

/// One INFO line a distinct decision: op, role, chosen, and every other kernel of the op with its reasons.
TEST(Engine, EachDecisionIsLoggedOnceWithAllReasons) {
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel level, std::string_view line) {
    if (level == LogLevel::info) lines.emplace_back(line);
  });
  Engine e(options());
  set_log_sink({});
  const auto decisions = nlohmann::json::parse(e.selections_json());
  const auto catalogue = nlohmann::json::parse(kernels_json(""));
  ASSERT_GE(decisions.size(), 15u);
  const auto use = [](const nlohmann::json& d) { return d["op"].get<std::string>() + "." + d["role"].get<std::string>(); };
  std::erase_if(lines, [](const std::string& line) { return line.find(" [") == std::string::npos; });
  std::vector<std::string> tails;  // what a decision is, without the desc
  for (const auto& line : lines) tails.push_back(line.substr(0, line.find(" [")) + line.substr(line.find("]")));
  for (const auto& tail : tails) EXPECT_EQ(std::count(tails.begin(), tails.end(), tail), 1) << tail;
  EXPECT_LT(lines.size(), decisions.size());
  for (const auto& d : decisions) {
    // The line of the same use and kernel; several only where the reasons differ.
    const auto about = [&](const std::string& line) {
      return line.starts_with(use(d) + " [") && line.find("]") != std::string::npos &&
             line.find(": " + d["chosen"].get<std::string>() + " (") != std::string::npos;
    };
    ASSERT_EQ(std::count_if(lines.begin(), lines.end(), about), 1) << use(d);
    const std::string& line = *std::find_if(lines.begin(), lines.end(), about);
    for (const auto& k : catalogue)
      if (k["op"] == d["op"]) EXPECT_THAT(line, HasSubstr(k["kernel"].get<std::string>())) << line;
    for (const auto& r : d["rejected"]) {
      const auto& reasons = r["reasons"];
      if (std::any_of(reasons.begin(), reasons.end(), [](const auto& reason) { return reason["code"] == "device"; })) continue;
      for (const auto& reason : reasons) EXPECT_THAT(line, HasSubstr(reason["text"].get<std::string>()));
    }
  }
}

TEST(Engine, TheLineOfADecisionNamesTheVariantsThatShareIt) {
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  EngineOptions o = options();
  o.disable_kernels = {"cpu.matmul.avx512*"};
  const Engine e(o);
  set_log_sink({});
  const auto starting = [&](const std::string& head) {
    std::vector<std::string> out;
    for (const auto& line : lines)
      if (line.starts_with(head)) out.push_back(line);
    return out;
  };
  ASSERT_EQ(starting("matmul.qkv ").size(), 1u);
  EXPECT_THAT(starting("matmul.qkv ")[0], testing::ContainsRegex("\\] for rows<=1, rows<=64, rows<=[0-9]+: "));
  ASSERT_EQ(starting("attention.self ").size(), 1u);
  EXPECT_THAT(starting("attention.self ")[0], HasSubstr("] for decode, verify, prefill: "));
}

TEST(Engine, OnlyThisMachineRuns) {
  EngineOptions o = options();
  o.device = "h200";
  EXPECT_THROW(Engine{o}, Error);
}

TEST(Engine, CancelEndsOneRequestOnly) {
  Engine e(options());
  Out gone, kept;
  const uint64_t id = submit(e, gone, prompt(30), sampled(1, 50));
  submit(e, kept, prompt(30, 1), sampled(2, 10));
  for (int i = 0; i < 3; ++i) e.step();
  e.cancel(id);
  e.cancel(999);
  drain(e);
  EXPECT_EQ(gone.reason[0], FinishReason::abort);
  EXPECT_EQ(gone.ids[0].size(), 3u);
  EXPECT_EQ(kept, alone(options(), prompt(30, 1), sampled(2, 10)));
}

TEST(Engine, ACallbackThatThrowsFailsItsRequestOnly) {
  Engine e(options());
  Out kept;
  Request bad;
  bad.token_ids = prompt(12);
  bad.sampling = sampled(1);
  bad.on_event = [](const RequestEvent&) { throw std::runtime_error("no more"); };
  e.submit(std::move(bad));
  submit(e, kept, prompt(30, 1), sampled(2, 10));
  drain(e);
  EXPECT_EQ(kept, alone(options(), prompt(30, 1), sampled(2, 10)));
}

TEST(Engine, OneAttentionLaunchALayerKindAndPhase) {
  EngineOptions o = options();
  o.model = std::string(ATTUNE_SOURCE_DIR) + "/tests/model/goldens/gemma2-gqa7";
  o.trace_kernels = true;
  Engine e(o);
  std::vector<Out> out(3);
  submit(e, out[0], prompt(40), sampled(0, 8));
  while (e.stats().generated_tokens < 2) e.step();
  submit(e, out[1], prompt(60, 1), sampled(1, 8));
  submit(e, out[2], prompt(20, 2), sampled(2, 8));
  drain(e);
  std::map<int64_t, std::map<std::string, int>> launches;  // step -> phase -> attention launches
  for (const auto& l : e.launches())
    if (l.op == "attention") ++launches[l.step][l.variant];
  std::set<size_t> phases;
  for (const auto& [step, by_phase] : launches) {
    phases.insert(by_phase.size());
    for (const auto& [phase, count] : by_phase) EXPECT_EQ(count, e.model().num_layers) << "step " << step << ", " << phase;
  }
  EXPECT_TRUE(phases.contains(3)) << "a mixed step holds decode, verify and prefill";
}

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.message();
  }
  return "accepted";
}

TEST(Engine, BadRequestsAreRefusedWithTheValue) {
  Engine e(options());
  Out out;
  const int64_t context = e.model().max_model_len;
  EXPECT_THAT(message([&] { submit(e, out, {}, {}); }), HasSubstr("prompt: expected token_ids"));
  EXPECT_THAT(message([&] { submit(e, out, prompt(static_cast<int>(context)), {}); }), HasSubstr("tokens (context"));
  EXPECT_THAT(message([&] { submit(e, out, {-1}, {}); }), HasSubstr("got -1"));
  EXPECT_THAT(message([&] { submit(e, out, {1 << 20}, {}); }), HasSubstr("got 1048576"));
  const auto refused = [&](auto change) {
    SamplingParams p;
    change(p);
    return message([&] { submit(e, out, prompt(4), p); });
  };
  EXPECT_EQ(refused([](auto& p) { p.temperature = -1; }), "temperature: expected a number from 0 to 1000; got -1");
  EXPECT_EQ(refused([](auto& p) { p.temperature = NAN; }), "temperature: expected a number from 0 to 1000; got nan");
  EXPECT_EQ(refused([](auto& p) { p.top_p = 0; }), "top_p: expected a number above 0 and up to 1; got 0");
  EXPECT_EQ(refused([](auto& p) { p.max_tokens = 0; }), "max_tokens: expected a positive integer; got 0");
  EXPECT_EQ(refused([](auto& p) { p.n = 0; }), "n: expected an integer from 1 to 1024; got 0");
  EXPECT_EQ(refused([](auto& p) { p.n = 17; }), "n: expected at most --max-num-seqs (16); got 17");
  EXPECT_FALSE(e.step()) << "nothing was taken";
}

}  // namespace
}  // namespace attune
