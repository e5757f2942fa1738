// Measured times decide jointly over the variants of a use that share an order of arithmetic.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/kernel_binder.h"

namespace attune {
namespace {

constexpr KernelInfo kFirst{.name = "cpu.jam.first", .reduction = "one"};
constexpr KernelInfo kSecond{.name = "cpu.jam.second", .reduction = "two"};
constexpr KernelInfo kThird{.name = "cpu.jam.third", .reduction = "three"};
constexpr KernelInfo kReference{.name = "ref.jam", .tier = Tier::reference, .reduction = "ref"};

/// A kernel's selections over variants that take so many µs; 0: not measured.
std::vector<Selection> takes(const KernelInfo& kernel, const std::vector<double>& us) {
  std::vector<Selection> out;
  for (const double t : us) {
    Selection s;
    s.chosen = &kernel, s.rule = "default";
    s.eligible = {{&kernel, t > 0 ? std::optional(t) : std::nullopt}};
    out.push_back(std::move(s));
  }
  return out;
}

std::string_view chosen(std::vector<std::vector<Selection>> candidates) { return fastest_of(std::move(candidates)).front().chosen->name; }

TEST(FastestOf, TheMeanOfAllVariantsDecides) {
  // Twice as fast at one variant, three times as slow at another.
  EXPECT_EQ(chosen({takes(kFirst, {10, 100}), takes(kSecond, {5, 300})}), kFirst.name);
  EXPECT_EQ(chosen({takes(kFirst, {10, 100}), takes(kSecond, {5, 110})}), kSecond.name);
  EXPECT_EQ(chosen({takes(kFirst, {10, 100}), takes(kSecond, {5, 110}), takes(kThird, {4, 100})}), kThird.name);
  const auto all = fastest_of({takes(kFirst, {10, 100}), takes(kSecond, {5, 50})});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].chosen, &kSecond);
  EXPECT_THAT(all[1].rule,
              testing::HasSubstr("measured 50.0 % faster, over all variants, than the order of arithmetic of the default cpu.jam.first"));
}

TEST(FastestOf, TheDefaultStaysWithoutAllTimesOrForLess) {
  EXPECT_EQ(chosen({takes(kFirst, {10, 100})}), kFirst.name);
  EXPECT_EQ(chosen({takes(kFirst, {10, 0}), takes(kSecond, {1, 1})}), kFirst.name);
  EXPECT_EQ(chosen({takes(kFirst, {10, 100}), takes(kSecond, {1, 0})}), kFirst.name);
  EXPECT_EQ(chosen({takes(kFirst, {10, 100}), takes(kSecond, {9.8, 98})}), kFirst.name);
  EXPECT_EQ(chosen({takes(kFirst, {10, 100}), takes(kReference, {1, 1})}), kFirst.name);
}

}  // namespace
}  // namespace attune
