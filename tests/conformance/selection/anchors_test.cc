// The rows of `attune bench attention --anchors`.
#include "proof/attention_anchors.h"

#include <gtest/gtest.h>

#include <set>

#include "select/select.h"

namespace attune {
namespace {

TEST(Anchors, AreServedOnTheDeviceOfTheirGoals) {
  std::set<std::string> names;
  int with_goal = 0;
  for (const AttentionAnchor& a : attention_anchors(DeviceKind::cuda)) {
    EXPECT_TRUE(names.insert(a.name).second) << a.name << " stands twice";
    const Selection s = select<Attention>(catalogue().kernels<Attention>(), find_device("h200"), a.call.desc, "", {}, {}, {});
    ASSERT_NE(s.chosen, nullptr) << a.name;
    EXPECT_EQ(a.peer.empty(), a.peer_us == 0 && a.peer_tflop == 0) << a.name;
    with_goal += a.goal_us > 0;
    if (a.goal_us > 0) EXPECT_EQ(s.chosen->tier, Tier::specialized) << a.name;
    EXPECT_EQ(a.call.q_lens.size(), a.call.kv_lens.size());
    if (a.goal_of_plain > 0) EXPECT_TRUE(names.contains(a.plain)) << a.name << ": what it is compared with comes before it";
  }
  EXPECT_EQ(with_goal, 42) << "11 of decode and 10 of verify at two block sizes";
  EXPECT_TRUE(names.contains(std::string(kPlainAnchor)));
}

TEST(Anchors, OfACpuHaveNoGoals) {
  for (const AttentionAnchor& a : attention_anchors(DeviceKind::cpu)) {
    EXPECT_NE(select<Attention>(catalogue().kernels<Attention>(), detect_cpu(), a.call.desc, "", {}, {}, {}).chosen, nullptr) << a.name;
    EXPECT_TRUE(a.goal_us == 0 && a.goal_tflop == 0 && a.goal_of_plain == 0 && a.peer.empty());
  }
}

}  // namespace
}  // namespace attune
