// Many threads: wide pools, several engines at once, and requests and cancellations that other threads ask for. Meant for `make tsan` as much as
// for its assertions.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "attune/engine.h"
#include "attune/log.h"
#include "core/rng.h"
#include "core/thread_pool.h"
#include "tiny_engine.h"

namespace attune {
namespace {

EngineOptions options(int threads) {
  EngineOptions o = tiny_engine("qwen3-gqa7-tied", 12, 4 << 20);
  o.threads = threads;
  o.probe = true;
  o.max_num_batched_tokens = 64;  // prompts come in chunks beside decoding sequences
  o.max_model_len = 128;
  return o;
}

using Tokens = std::map<int, std::vector<int32_t>>;

Request request(int salt, Tokens& out, bool& aborted) {
  Request r;
  for (int i = 0; i < 4 + salt * 5 % 70; ++i) r.token_ids.push_back((i * 7 + (i > 20 ? salt : 0)) % 90);
  r.sampling.temperature = salt % 3 == 0 ? 0 : 1.1;
  r.sampling.top_p = 0.95, r.sampling.repetition_penalty = 1.05;
  r.sampling.n = salt % 5 == 0 ? 2 : 1;
  r.sampling.seed = static_cast<uint64_t>(salt);
  r.sampling.max_tokens = 3 + salt % 9;
  r.sampling.ignore_eos = true;
  r.on_event = [&out, &aborted](const RequestEvent& e) {
    if (!e.finished) return;
    out[e.index] = e.completion->token_ids;
    aborted |= e.completion->finish_reason == FinishReason::abort;
    EXPECT_NE(e.completion->finish_reason, FinishReason::error) << e.completion->error;
  };
  return r;
}

Tokens alone(int salt) {
  Engine engine(options(1));
  Tokens out;
  bool aborted = false;
  engine.submit(request(salt, out, aborted));
  while (engine.step()) {
  }
  return out;
}

/// What other threads ask of the thread that drives an engine, as a server would.
class Inbox {
 public:
  void ask(int salt) {
    std::lock_guard lock(mutex_);
    salts_.push_back(salt);
  }
  void cancel(int salt) {
    std::lock_guard lock(mutex_);
    cancelled_.push_back(salt);
  }
  std::pair<std::vector<int>, std::vector<int>> take() {
    std::lock_guard lock(mutex_);
    return {std::exchange(salts_, {}), std::exchange(cancelled_, {})};
  }

 private:
  std::mutex mutex_;
  std::vector<int> salts_, cancelled_;
};

TEST(EngineThreads, OtherThreadsAskAndCancelWhileEightCompute) {
  constexpr int kClients = 3, kEach = 12;
  Inbox inbox;
  std::atomic<int> asking{kClients};
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c)
    clients.emplace_back([&inbox, &asking, c] {
      Rng rng(static_cast<uint64_t>(c) + 1);
      for (int i = 0; i < kEach; ++i) {
        const int salt = c * kEach + i;
        inbox.ask(salt);
        std::this_thread::sleep_for(std::chrono::microseconds(rng.below(500)));
        if (i % 4 == 3) inbox.cancel(salt - static_cast<int>(rng.below(3)));
      }
      --asking;
    });
  struct Asked {
    Tokens out;
    bool aborted = false;
    uint64_t id = 0;
  };
  std::map<int, Asked> asked;
  Engine engine(options(8));
  for (bool more = true; more;) {
    more = asking > 0;
    const auto [salts, cancelled] = inbox.take();
    for (const int salt : salts) asked[salt].id = engine.submit(request(salt, asked[salt].out, asked[salt].aborted));
    for (const int salt : cancelled) engine.cancel(asked[salt].id);
    more |= engine.step() || !salts.empty();
    const EngineStats s = engine.stats();
    ASSERT_EQ(s.free_blocks + s.used_blocks, s.total_blocks);
  }
  for (auto& t : clients) t.join();
  EXPECT_EQ(engine.stats().used_blocks, 0);
  EXPECT_EQ(asked.size(), static_cast<size_t>(kClients * kEach));
  for (const int salt : {0, 1, 7, 14, 23, 35}) {
    if (!asked[salt].aborted) EXPECT_EQ(asked[salt].out, alone(salt)) << salt;
  }
}

TEST(EngineThreads, EnginesOfSeveralThreadsDoNotMeet) {
  std::mutex mutex;
  int64_t lines = 0;
  set_log_sink([&](LogLevel, std::string_view) {
    std::lock_guard lock(mutex);
    ++lines;
  });
  std::vector<Tokens> out(3);
  std::vector<std::thread> drivers;
  for (int d = 0; d < 3; ++d)
    drivers.emplace_back([&out, d] {
      Engine engine(options(2 + d));
      bool aborted = false;
      Tokens other;
      engine.submit(request(11, out[static_cast<size_t>(d)], aborted));
      engine.submit(request(20 + d, other, aborted));
      while (engine.step()) {
      }
    });
  for (auto& t : drivers) t.join();
  set_log_sink({});
  EXPECT_GT(lines, 0);
  EXPECT_EQ(out[0], out[1]);
  EXPECT_EQ(out[0], out[2]);
  EXPECT_FALSE(out[0].empty());
}

TEST(ThreadPool, ManyRunsSeeEachOthersWrites) {
  ThreadPool pool(8);
  std::vector<int64_t> cells(97);
  for (int64_t run = 1; run <= 300; ++run) {
    pool.parallel_for(static_cast<int64_t>(cells.size()), [&](int64_t i, int) { cells[static_cast<size_t>(i)] += run; });
    if (run % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // long enough for the workers to sleep
  }
  for (const int64_t c : cells) ASSERT_EQ(c, 300 * 301 / 2);
}

}  // namespace
}  // namespace attune
