// The rows of `attune bench attention --anchors`.
#include "proof/attention_anchors.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/rng.h"
#include "proof/tree_mask.h"
#include "select/select.h"

namespace attune {
namespace {

TEST(Anchors, AreServedOnTheDeviceOfTheirGoals) {
  std::set<std::string> names;
  std::map<double, int> shares;  // goals as shares of the plain row: how many
  int with_goal = 0;
  for (const AttentionAnchor& a : attention_anchors(DeviceKind::cuda)) {
    EXPECT_TRUE(names.insert(a.name).second) << a.name << " stands twice";
    const Selection s = select<Attention>(catalogue().kernels<Attention>(), find_device("h200"), a.call.desc, "", {}, {}, {});
    ASSERT_NE(s.chosen, nullptr) << a.name;
    EXPECT_EQ(a.peer.empty(), a.peer_us == 0 && a.peer_tflop == 0) << a.name;
    with_goal += a.goal_us > 0;
    if (a.goal_us > 0) EXPECT_EQ(s.chosen->tier, Tier::specialized) << a.name;
    EXPECT_EQ(a.call.q_lens.size(), a.call.kv_lens.size());
    if (a.goal_of_plain > 0) ++shares[a.goal_of_plain];
    EXPECT_TRUE(names.contains(a.plain) || a.plain == kPlainAnchor) << a.name << ": what it is compared with comes before it";
  }
  EXPECT_EQ(shares[0.95], 5) << "sinks, also with a window or 8-bit keys; softcap; ALiBi";
  EXPECT_EQ(shares[0.75], 13) << "odd shapes, also of 8-bit keys and of verify";
  EXPECT_EQ(with_goal, 42) << "11 of decode and 10 of verify at two block sizes";
  EXPECT_TRUE(names.contains(std::string(kPlainAnchor)));
}

TEST(Anchors, AreComparedWithThePlainRowOfTheirBytes) {
  struct Expected {
    const char* plain;
    double goal;
  };
  const std::map<std::string, Expected> rows{
      {"decode f8_e4m3 32x4k block 16, sinks", {"decode f8_e4m3 32x4k block 16", 0.95}},
      {"decode bf16 32x4k block 16, sinks, window 1024", {"decode bf16 32x1k block 16", 0.95}},
      {"decode f8_e4m3 32x4k block 16, head_dim 96", {"decode f8_e4m3 32x4k block 16", 0.75}},
      {"verify bf16 32x4k q 16 block 16, head_dim 96", {"verify bf16 32x4k q 16 block 16", 0.75}},
      {"verify f8_e4m3 32x4k q 16 block 16, scales a token and head", {"verify f8_e4m3 32x4k q 16 block 16", 0}},
      {"verify bf16 32x4k q 16 block 16, tree mask", {"verify bf16 32x4k q 16 block 16", 0}},
  };
  size_t found = 0;
  for (const AttentionAnchor& a : attention_anchors(DeviceKind::cuda)) {
    const auto expected = rows.find(a.name);
    if (expected == rows.end()) continue;
    ++found;
    EXPECT_EQ(a.plain, expected->second.plain) << a.name;
    EXPECT_EQ(a.goal_of_plain, expected->second.goal) << a.name;
    EXPECT_EQ(a.call.desc.mask == Mask::tree, a.name.ends_with("tree mask"));
    EXPECT_EQ(a.call.desc.sinks, a.name.find("sinks") != std::string::npos);
  }
  EXPECT_EQ(found, rows.size());
}

TEST(Anchors, TreesAreClosedUnderAncestors) {
  const std::vector<int32_t> starts{0, 16, 16, 17, 57};
  constexpr int64_t kWords = 2;
  std::vector<uint32_t> bits(static_cast<size_t>(starts.back() * kWords), 0xffffffff);
  Rng random(5);
  fill_trees(
      starts, kWords, [&](int64_t n) { return random.below(n); }, bits.data());
  const auto sees = [&](int64_t row, int64_t j) { return (bits[static_cast<size_t>(row * kWords + j / 32)] >> (j % 32) & 1) != 0; };
  int64_t hidden = 0;
  for (size_t s = 0; s + 1 < starts.size(); ++s)
    for (int64_t row = starts[s]; row < starts[s + 1]; ++row)
      for (int64_t j = 0; j < 32 * kWords; ++j) {
        const int64_t own = row - starts[s];
        if (j >= own) {
          EXPECT_EQ(sees(row, j), j == own) << row << ", " << j;
          continue;
        }
        hidden += !sees(row, j);
        for (int64_t a = 0; sees(row, j) && a < j; ++a)
          if (sees(starts[s] + j, a)) EXPECT_TRUE(sees(row, a)) << "an ancestor's ancestor";
      }
  EXPECT_GT(hidden, 100) << "trees, not chains";
}

TEST(Anchors, OfACpuHaveNoGoals) {
  for (const AttentionAnchor& a : attention_anchors(DeviceKind::cpu)) {
    EXPECT_NE(select<Attention>(catalogue().kernels<Attention>(), detect_cpu(), a.call.desc, "", {}, {}, {}).chosen, nullptr) << a.name;
    EXPECT_TRUE(a.goal_us == 0 && a.goal_tflop == 0 && a.goal_of_plain == 0 && a.peer.empty());
  }
}

}  // namespace
}  // namespace attune
