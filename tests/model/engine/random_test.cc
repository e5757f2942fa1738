// The engine's state machine under random arrivals, cancellations, preemptions, prefix hits and shared samples: blocks are conserved after every
// step, and each request's tokens equal its run alone. Rapidcheck draws the courses, prints the seed of one that fails and makes it as short as it
// can. Longer and more of them:
//     RC_PARAMS="max_success=2500 max_size=250" bin/model_engine --gtest_filter='*EngineRandom*'
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdio>
#include <map>
#include <tuple>

#include "attune/engine.h"
#include "deferring_device.h"
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
  o.threads = 1, o.graphs = false;
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

int64_t kv_bytes_per_token() {
  static const int64_t bytes = Engine(options(1 << 20)).model().kv_bytes_per_token;
  return bytes;
}

/// A course: for each number a request arrives, one is cancelled, or a step is made.
struct Course {
  Course(int64_t blocks, bool ahead) : engine(options(blocks * 16 * kv_bytes_per_token(), ahead)) {}

  void act(uint32_t number) {
    const uint32_t what = number % 40, rest = number / 40;
    if (what < 8)
      arrive({static_cast<int>(rest % 4), static_cast<int>(1 + rest / 4 % 80), static_cast<int>(1 + rest / 320 % 40),
              static_cast<int>(rest / 12800 % 5 == 1 ? 2 + rest / 64000 % 2 : 1), rest / 128000 % 2 == 0});
    else if (what == 8 && !all.empty())
      cancel(rest % all.size());
    else
      advance();
  }
  bool advance() {
    const bool more = engine.step();
    ++(more ? worked : idle);
    return more;
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

  Engine engine;
  static inline int64_t worked = 0, idle = 0;  // steps of all courses

 private:
  void arrive(const Spec& spec) {
    all.push_back(std::make_unique<Live>());
    all.back()->spec = spec;
    all.back()->id = engine.submit(request(spec, all.back()->out, all.back()->aborted));
  }
  void cancel(size_t which) {
    all[which]->cancelled = true;
    engine.cancel(all[which]->id);
  }

  std::vector<std::unique_ptr<Live>> all;
};

/// With steps launched ahead of the tokens they follow (true), and without.
class EngineRandom : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Ahead, EngineRandom, testing::Bool());

TEST_P(EngineRandom, BlocksAreConservedAndTokensEqualARunAlone) {
  Course::worked = Course::idle = 0;
  int64_t overlapped = 0, preempted = 0, reused = 0;
  EXPECT_TRUE(rc::check("blocks are conserved, and tokens equal a run alone", [&] {
    Course course(*rc::gen::inRange(9, 29), GetParam());
    const auto numbers = *rc::gen::scale(4, rc::gen::arbitrary<std::vector<uint32_t>>());  // up to 400 of them
    for (const uint32_t n : numbers) {
      course.act(n);
      RC_ASSERT(course.conserved());
    }
    while (course.advance()) RC_ASSERT(course.conserved());
    const EngineStats stats = course.engine.stats();
    RC_ASSERT(stats.used_blocks == 0);
    RC_ASSERT(course.wrong() == "");
    overlapped += stats.overlapped_steps, preempted += stats.preemptions, reused += stats.cached_tokens;
  }));
  EXPECT_EQ(overlapped > 0, GetParam());
  EXPECT_GT(preempted, 0);
  EXPECT_GT(reused, 0);
  std::printf("%lld steps that worked, %lld with nothing to do; %lld preemptions, %lld tokens of prefix hits\n",
              static_cast<long long>(Course::worked), static_cast<long long>(Course::idle), static_cast<long long>(preempted),
              static_cast<long long>(reused));
}

/// The same courses on a device whose streams do their work in every order that its events allow.
class EngineStreams : public testing::TestWithParam<std::tuple<bool, engine_test::Order>> {
 protected:
  void SetUp() override {
    alone({});  // on the CPU as it is
    wrap_devices(&engine_test::DeferringDevice::wrap);
  }
  void TearDown() override { wrap_devices(nullptr); }
};
std::string name_of_order(const testing::TestParamInfo<EngineStreams::ParamType>& i) {
  constexpr const char* kNames[] = {"InOrder", "FirstEarly", "FirstLate", "Drawn"};
  return std::string(kNames[static_cast<int>(std::get<1>(i.param))]) + (std::get<0>(i.param) ? "Ahead" : "");
}
INSTANTIATE_TEST_SUITE_P(Orders, EngineStreams,
                         testing::Combine(testing::Bool(), testing::Values(engine_test::Order::in_order, engine_test::Order::first_early,
                                                                           engine_test::Order::first_late, engine_test::Order::drawn)),
                         name_of_order);

TEST_P(EngineStreams, AnyOrderThatEventsAllowGivesTheSameTokens) {
  const auto [ahead, order] = GetParam();
  const int64_t before = engine_test::DeferringDevice::overtakings();
  int64_t preempted = 0;
  EXPECT_TRUE(rc::check("tokens equal a run alone on the CPU", [&, ahead = ahead, order = order] {
    engine_test::DeferringDevice::choose(order, *rc::gen::arbitrary<uint32_t>());
    Course course(*rc::gen::inRange(9, 29), ahead);
    for (const uint32_t n : *rc::gen::scale(2, rc::gen::arbitrary<std::vector<uint32_t>>())) course.act(n);
    while (course.advance()) {
    }
    RC_ASSERT(course.wrong() == "");
    preempted += course.engine.stats().preemptions;
  }));
  const int64_t overtakings = engine_test::DeferringDevice::overtakings() - before;
  if (order == engine_test::Order::in_order) EXPECT_EQ(overtakings, 0);
  if (order == engine_test::Order::first_late || order == engine_test::Order::drawn || (order == engine_test::Order::first_early && ahead))
    EXPECT_GT(overtakings, 0);
  EXPECT_GT(preempted, 0);
}

}  // namespace
}  // namespace attune
