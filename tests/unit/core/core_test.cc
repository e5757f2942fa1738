#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <set>
#include <thread>
#include <vector>

#include "core/buffer.h"
#include "core/error.h"
#include "core/rng.h"
#include "core/thread_pool.h"
#include "core/utf8.h"

namespace attune {
namespace {

TEST(Philox, KnownAnswers) {
  // From the authors' kat_vectors: philox4x32-10 of zeros, of ones, and of the digits of pi.
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t f = 0xffffffff;
  EXPECT_EQ(philox({f, f, f, f}, {f, f}), (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Uniform, EveryPartOfTheKeyMatters) {
  const double base = uniform(1, 2, 3, Draw::sample);
  std::set<double> seen{base,
                        uniform(2, 2, 3, Draw::sample),
                        uniform(1, 3, 3, Draw::sample),
                        uniform(1, 2, 4, Draw::sample),
                        uniform(1, 2, 3, Draw::accept),
                        uniform(1, 2, uint64_t{3} << 32, Draw::sample),
                        uniform(uint64_t{1} << 32, 2, 3, Draw::sample)};
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(base, uniform(1, 2, 3, Draw::sample));
  double sum = 0;
  for (uint64_t i = 0; i < 100000; ++i) {
    const double u = uniform(9, 0, i, Draw::sample);
    ASSERT_TRUE(0 <= u && u < 1);
    sum += u;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 4 / std::sqrt(12.0 * 100000));
}

TEST(ThreadPool, DoesEveryTaskOnceOnTheSameWorker) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(tasks));
      std::vector<int> first(static_cast<size_t>(tasks)), second(static_cast<size_t>(tasks));
      pool.parallel_for(tasks, [&](int64_t i, int worker) { ++done[static_cast<size_t>(i)], first[static_cast<size_t>(i)] = worker; });
      pool.parallel_for(tasks, [&](int64_t i, int worker) { ++done[static_cast<size_t>(i)], second[static_cast<size_t>(i)] = worker; });
      for (const auto& d : done) EXPECT_EQ(d, 2);
      EXPECT_EQ(first, second) << "the partition is fixed";
    }
  }
}

TEST(ThreadPool, WakesAfterSleeping) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> sum{0};
    pool.parallel_for(3, [&](int64_t i, int) { sum += static_cast<int>(i) + 1; });
    EXPECT_EQ(sum, 6);
    std::this_thread::sleep_for(std::chrono::microseconds(round * 40));  // from spinning to well asleep
  }
}

TEST(ThreadPool, RefusesARunInsideARun) {
  ThreadPool pool(2);
  std::atomic<int> refused{0};
  pool.parallel_for(2, [&](int64_t, int worker) {
    if (worker != 0) return;
    try {
      pool.parallel_for(1, [](int64_t, int) {});
    } catch (const Error& e) {
      refused += e.code() == ErrorCode::internal;
    }
  });
  EXPECT_EQ(refused, 1);
}

TEST(Utf8, KnowsWhatIsWellFormed) {
  EXPECT_TRUE(utf8_valid("a é € 😀"));
  for (const char* bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xe2\x28\xa1"})
    EXPECT_FALSE(utf8_valid(bad)) << printable(bad);
  EXPECT_TRUE(utf8_incomplete("\xe2\x82"));
  EXPECT_TRUE(utf8_incomplete("\xf0\x9f\x98"));
  EXPECT_FALSE(utf8_incomplete("\xe2\x28"));
  EXPECT_FALSE(utf8_incomplete("a"));
}

TEST(Utf8, DecodesWhatItAppends) {
  for (const char32_t c :
       {U'\0', U'a', U'\x7f', U'\x80', U'é', U'\x7ff', U'\x800', U'€', U'\xd7ff', U'\xe000', U'\xffff', U'\x10000', U'😀', U'\x10ffff'}) {
    std::string s;
    utf8_append(s, c);
    EXPECT_EQ(utf8_sequence(s), s.size());
    EXPECT_EQ(utf8_decode(s), c);
  }
}

TEST(Printable, EscapesAndCuts) {
  EXPECT_EQ(printable("a\n\xff\x01é"), "a\\x0a\\xff\\x01é");
  EXPECT_EQ(printable(std::string(100, 'x'), 5), "xxxxx…");
}

TEST(Buffer, IsZeroedAlignedAndSaysWhatFailed) {
  const Buffer b(3 << 20, "test");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data()) % 4096, 0u);
  EXPECT_EQ(b.as<char>()[(3 << 20) - 1], 0);
  try {
    const Buffer huge(size_t{1} << 60, "a very large test");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::out_of_memory);
    EXPECT_EQ(e.message(), "a very large test: expected 1152921504606846976 bytes of memory; got none left");
  }
}

}  // namespace
}  // namespace attune
