// The engine's state machine under random arrivals, cancellations, preemptions, prefix hits and shared samples: blocks are conserved after every
// step, and each request's tokens equal its run alone. A long run: bin/model_engine --gtest_filter='*EngineRandom*' --gtest_repeat=2500
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <tuple>

#include "attune/engine.h"
#include "core/rng.h"
#include "tiny_engine.h"

namespace attune {
namespace {

/// What a request is made from: its equal gives equal tokens.
struct Spec {
  int salt = 0, length = 1, tokens = 1, samples = 1;
  bool greedy = false;
  auto operator<=>(const Spec&) const = default;
};

using Tokens = std::map<int, std::vector<int32_t>>;  // sample -> ids

EngineOptions options(int64_t kv_bytes, bool ahead = false) {
  EngineOptions o = tiny_engine("qwen2-linear", 8, kv_bytes);
  o.async_scheduling = ahead;
  o.threads = 1;
  o.max_model_len = 128;
  o.max_num_batched_tokens = 48;
  return o;
}

Request request(const Spec& s, Tokens& out, bool& aborted) {
  Request r;
  // Few salts and a common beginning, so that prefixes are shared.
  for (int i = 0; i < s.length; ++i) r.token_ids.push_back((i < 32 ? i * 7 : i * 7 + s.salt * (i - 31)) % 90);
  r.sampling.temperature = s.greedy ? 0 : 1.2;
  r.sampling.n = s.samples;
  r.sampling.seed = static_cast<uint64_t>(s.salt);
  r.sampling.max_tokens = s.tokens;
  r.sampling.ignore_eos = true;
  r.on_event = [&out, &aborted](const RequestEvent& e) {
    if (!e.finished) return;
    out[e.index] = e.completion->token_ids;
    aborted |= e.completion->finish_reason == FinishReason::abort;
    EXPECT_NE(e.completion->finish_reason, FinishReason::error) << e.completion->error;
  };
  return r;
}

Tokens alone(const Spec& s) {
  static std::map<Spec, Tokens> known;
  if (const auto it = known.find(s); it != known.end()) return it->second;
  static Engine engine([] {
    EngineOptions o = options(64 << 20);
    o.enable_prefix_caching = false;
    return o;
  }());
  Tokens out;
  bool aborted = false;
  engine.submit(request(s, out, aborted));
  while (engine.step()) {
  }
  return known[s] = out;
}

struct Live {
  Spec spec;
  Tokens out;
  uint64_t id = 0;
  bool aborted = false, cancelled = false;
};

Spec draw_spec(Rng& rng) {
  return {static_cast<int>(rng.below(4)), static_cast<int>(1 + rng.below(80)), static_cast<int>(1 + rng.below(40)),
          rng.below(5) == 0 ? static_cast<int>(2 + rng.below(2)) : 1, rng.below(2) == 0};
}

int64_t worked = 0, idle = 0;  // steps of the random courses, over all repetitions

class EngineRandom : public testing::TestWithParam<bool> {
 public:
  static void TearDownTestSuite() {
    std::printf("random courses so far: %lld steps that worked, %lld with nothing to do\n", static_cast<long long>(worked),
                static_cast<long long>(idle));
  }

 protected:
  static bool advance(Engine& engine) {
    const bool more = engine.step();
    ++(more ? worked : idle);
    return more;
  }
};

/// With steps launched ahead of the tokens they follow (true), and without.
INSTANTIATE_TEST_SUITE_P(Ahead, EngineRandom, testing::Bool());

TEST_P(EngineRandom, BlocksAreConservedAndTokensEqualARunAlone) {
  static uint64_t seed = 0;  // a new course at each repetition
  ++seed;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  Engine measure(options(1 << 20));
  Engine engine(options((9 + rng.below(20)) * 16 * measure.model().kv_bytes_per_token, GetParam()));
  std::vector<std::unique_ptr<Live>> all;
  for (int step = 0; step < 400; ++step) {
    if (rng.below(5) == 0 && all.size() < 60) {
      all.push_back(std::make_unique<Live>());
      Live& l = *all.back();
      l.spec = draw_spec(rng);
      l.id = engine.submit(request(l.spec, l.out, l.aborted));
    }
    if (!all.empty() && rng.below(40) == 0) {
      Live& l = *all[static_cast<size_t>(rng.below(static_cast<int64_t>(all.size())))];
      l.cancelled = true;
      engine.cancel(l.id);
    }
    advance(engine);
    const EngineStats s = engine.stats();
    ASSERT_EQ(s.free_blocks + s.used_blocks, s.total_blocks);
  }
  while (advance(engine)) {
  }
  EXPECT_EQ(engine.stats().used_blocks, 0);
  EXPECT_EQ(engine.stats().overlapped_steps > 0, GetParam());
  for (const auto& l : all) {
    const Tokens expected = alone(l->spec);
    if (!l->aborted) {
      EXPECT_EQ(l->out, expected);
      continue;
    }
    EXPECT_TRUE(l->cancelled);
    for (const auto& [sample, ids] : l->out) {  // what came before the end is right
      const auto& whole = expected.at(sample);
      ASSERT_LE(ids.size(), whole.size());
      EXPECT_TRUE(std::equal(ids.begin(), ids.end(), whole.begin()));
    }
  }
}

}  // namespace
}  // namespace attune
