// The engine's state machine under random arrivals, cancellations, preemptions, prefix hits and shared samples: blocks are conserved after every
// step, and each request's tokens equal its run alone. A long run: bin/model_engine --gtest_filter='*EngineRandom*' --gtest_repeat=2500
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

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

/// A course: for each number a request arrives, one is cancelled, or a step is made.
struct Course {
  explicit Course(int64_t blocks, bool ahead) : measure(options(1 << 20)), engine(options(blocks * 16 * measure.model().kv_bytes_per_token, ahead)) {}

  void arrive(const Spec& spec) {
    all.push_back(std::make_unique<Live>());
    all.back()->spec = spec;
    all.back()->id = engine.submit(request(spec, all.back()->out, all.back()->aborted));
  }
  void cancel(size_t which) {
    all[which]->cancelled = true;
    engine.cancel(all[which]->id);
  }
  bool conserved() const { return engine.stats().free_blocks + engine.stats().used_blocks == engine.stats().total_blocks; }

  /// What a request got that it does not get alone; empty if all is right.
  std::string wrong() const {
    for (const auto& l : all) {
      const Tokens expected = alone(l->spec);
      if (l->aborted && !l->cancelled) return "a request ended that nobody cancelled";
      for (const auto& [sample, ids] : l->out) {  // of a cancelled one what came before the end
        const auto& whole = expected.at(sample);
        if (ids.size() > whole.size() || !std::equal(ids.begin(), ids.end(), whole.begin())) return "other tokens than alone";
      }
      if (!l->aborted && l->out != expected) return "fewer tokens than alone";
    }
    return "";
  }

  Engine measure, engine;
  std::vector<std::unique_ptr<Live>> all;
};

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
  Course course(9 + rng.below(20), GetParam());
  for (int step = 0; step < 400; ++step) {
    if (rng.below(5) == 0 && course.all.size() < 60) course.arrive(draw_spec(rng));
    if (!course.all.empty() && rng.below(40) == 0) course.cancel(static_cast<size_t>(rng.below(static_cast<int64_t>(course.all.size()))));
    advance(course.engine);
    ASSERT_TRUE(course.conserved());
  }
  while (advance(course.engine)) {
  }
  EXPECT_EQ(course.engine.stats().used_blocks, 0);
  EXPECT_EQ(course.engine.stats().overlapped_steps > 0, GetParam());
  EXPECT_EQ(course.wrong(), "");
}

/// The same by rapidcheck, which makes a course that fails as short as it can.
TEST_P(EngineRandom, NoShortCourseBreaksIt) {
  EXPECT_TRUE(rc::check("blocks are conserved, and tokens equal a run alone", [&](const std::vector<uint32_t>& numbers, uint8_t blocks) {
    Course course(9 + blocks % 20, GetParam());
    for (const uint32_t n : numbers) {
      const uint32_t what = n % 8, rest = n / 8;
      if (what < 2)
        course.arrive({static_cast<int>(rest % 4), static_cast<int>(1 + rest / 4 % 80), static_cast<int>(1 + rest / 320 % 40),
                       static_cast<int>(1 + rest / 12800 % 2), rest / 25600 % 2 == 0});
      else if (what == 2 && !course.all.empty())
        course.cancel(rest % course.all.size());
      else
        advance(course.engine);
      RC_ASSERT(course.conserved());
    }
    while (advance(course.engine)) RC_ASSERT(course.conserved());
    RC_ASSERT(course.engine.stats().used_blocks == 0);
    RC_ASSERT(course.wrong() == "");
  }));
}

}  // namespace
}  // namespace attune
