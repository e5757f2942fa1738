// The block pool and its tables against a plain model of what they promise, under random operations.
#include "kv/block_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>

#include "core/error.h"
#include "kv/block_table.h"
#include "kv/kv_cache.h"

namespace attune {
namespace {

TEST(BlockPool, ReusesTheLeastRecentlyFreedUnregisteredFirst) {
  BlockPool pool(3, 4, true);
  const int32_t a = *pool.allocate(), b = *pool.allocate(), c = *pool.allocate();
  EXPECT_FALSE(pool.allocate().has_value());
  const std::vector<int32_t> tokens{1, 2, 3, 4};
  pool.register_full(a, 0, tokens);
  pool.release(a);
  pool.release(b);
  pool.release(c);
  EXPECT_EQ(*pool.allocate(), c);
  EXPECT_EQ(*pool.allocate(), b);
  EXPECT_TRUE(pool.find(0, tokens).has_value()) << "the registered block was kept longest";
  pool.check();
}

TEST(BlockPool, AReusedBlockIsNoLongerFound) {
  BlockPool pool(1, 2, true);
  const std::vector<int32_t> tokens{5, 6};
  pool.register_full(*pool.allocate(), 0, tokens);
  pool.release(0);
  pool.allocate();
  EXPECT_FALSE(pool.find(0, tokens).has_value());
}

TEST(BlockPool, ReleasingTooOftenIsAnError) {
  BlockPool pool(1, 2, true);
  EXPECT_THROW(pool.release(0), Error);
}

TEST(BlockTable, APrefixHitNeverCoversTheWholePrompt) {
  BlockPool pool(8, 4, true);
  std::vector<int32_t> tokens(12);
  for (int i = 0; i < 12; ++i) tokens[static_cast<size_t>(i)] = i;
  {
    BlockTable t(pool);
    ASSERT_TRUE(t.reserve(12));
    t.register_computed(tokens);
  }
  BlockTable again(pool);
  EXPECT_EQ(again.match_prefix(tokens), 8);
  BlockTable longer(pool);
  tokens.push_back(99);
  EXPECT_EQ(longer.match_prefix(tokens), 12);
}

TEST(BlockTable, WritingASharedBlockCopiesIt) {
  BlockPool pool(8, 4, true);
  BlockTable a(pool);
  ASSERT_TRUE(a.reserve(6));
  BlockTable b(pool);
  b.share(a, 6);
  EXPECT_EQ(pool.used(), 2);
  const auto copy = b.make_writable(6);
  EXPECT_EQ(copy.from, a.blocks()[1]);
  EXPECT_EQ(copy.to, b.blocks()[1]);
  EXPECT_NE(a.blocks()[1], b.blocks()[1]);
  EXPECT_EQ(a.make_writable(6).from, -1) << "a is now alone on it";
  EXPECT_EQ(pool.used(), 3);
}

TEST(KvCache, CopiesAPageOfEveryLayer) {
  const auto device = open_device(find_device("cpu"));
  KvCache kv(*device, {{2, 8, 0}, {1, 16, 0}}, DType::f8_e4m3, Scales::token_head, 4, 16);
  auto* page = static_cast<uint8_t*>(kv.k(1));
  page[16 * 16] = 77;  // first byte of block 1
  kv.v_scale(0)[2 * 16] = 3.5f;
  kv.copy_block(1, 3, device->make_stream());
  EXPECT_EQ(page[3 * 16 * 16], 77);
  EXPECT_EQ(kv.v_scale(0)[3 * 2 * 16], 3.5f);
  EXPECT_EQ(KvCache::bytes_per_token(kv.layers(), kv.dtype(), kv.scales()), 2 * (16 + 16) + 2 * 4 * 3);
}

TEST(KvCache, HoldsTheScalesItIsGiven) {
  const auto device = open_device(find_device("cpu"));
  KvCache kv(*device, {{2, 8, 0, {0.5f, 2}, {3, 4}}, {1, 16, 0, {5}, {6}}}, DType::f8_e4m3, Scales::head, 4, 16);
  EXPECT_EQ(kv.k_scale(0)[1], 2);
  EXPECT_EQ(kv.v_scale(0)[0], 3);
  EXPECT_EQ(kv.v_scale(1)[0], 6);
  kv.copy_block(0, 1, device->make_stream());
  EXPECT_EQ(kv.k_scale(0)[0], 0.5f);
  EXPECT_EQ(KvCache::bytes_per_token(kv.layers(), kv.dtype(), kv.scales()), 2 * (16 + 16));
  KvCache one(*device, {{2, 8, 0, {0.5f}, {3}}}, DType::f8_e4m3, Scales::tensor, 4, 16);
  EXPECT_EQ(one.k_scale(0)[0], 0.5f);
}

/// Random sequences that grow, share, register, hit and go away: blocks are conserved, and a hit returns the tokens' own block.
RC_GTEST_PROP(BlockPool, BlocksAreConserved, ()) {
  const auto size = static_cast<int64_t>(*rc::gen::element(1, 2, 4));
  BlockPool pool(*rc::gen::inRange<int64_t>(1, 24), size, *rc::gen::arbitrary<bool>());
  struct Live {
    std::unique_ptr<BlockTable> table;
    std::vector<int32_t> tokens;
    int64_t computed = 0;
  };
  std::vector<Live> live;
  for (int step = 0; step < 60; ++step) {
    const int action = *rc::gen::inRange(0, 5);
    if (action == 0 || live.empty()) {
      Live s{std::make_unique<BlockTable>(pool), *rc::gen::container<std::vector<int32_t>>(*rc::gen::inRange<size_t>(1, 20), rc::gen::inRange(0, 2)),
             0};
      s.computed = s.table->match_prefix(s.tokens);
      RC_ASSERT(s.computed < static_cast<int64_t>(s.tokens.size()));
      live.push_back(std::move(s));
      continue;
    }
    const size_t i = *rc::gen::inRange<size_t>(0, live.size());
    Live& s = live[i];
    if (action == 1) {  // compute more
      const auto copy = s.table->make_writable(s.computed);
      if (copy.to != -2 && s.table->reserve(static_cast<int64_t>(s.tokens.size()))) {
        s.computed = static_cast<int64_t>(s.tokens.size());
        s.table->register_computed(s.tokens);
        for (int32_t b : s.table->blocks()) RC_ASSERT(pool.references(b) >= 1);
      }
    } else if (action == 2) {  // a token was drawn
      s.tokens.push_back(*rc::gen::inRange(0, 2));
    } else if (action == 3 && s.computed > 0) {  // a fork
      Live f{std::make_unique<BlockTable>(pool), {s.tokens.begin(), s.tokens.begin() + s.computed}, s.computed};
      f.table->share(*s.table, s.computed);
      live.push_back(std::move(f));
    } else {
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
    }
    pool.check();
  }
  live.clear();
  pool.check();
  RC_ASSERT(pool.used() == 0);
}

}  // namespace
}  // namespace attune
