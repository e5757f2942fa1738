#include "core/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace attune {
namespace {

TEST(Dtype, Bf16RoundsToNearestEven) {
  EXPECT_EQ(to_bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000u)).bits, 0x3f80);  // tie, even below
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000u)).bits, 0x3f82);  // tie, even above
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(Dtype, F16MatchesTheCompilersHalfOnEveryCodeAndTie) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const float x = to_float(f16_t{static_cast<uint16_t>(code)});
    if (std::isnan(x)) continue;
    EXPECT_EQ(to_f16(x).bits, code);
    const float next = std::nextafter(x, std::numeric_limits<float>::infinity());
    EXPECT_EQ(to_float(to_f16(next)), static_cast<float>(static_cast<_Float16>(next))) << code;
  }
}

/// Nearest code by exhaustive search, ties to the even code.
template <class F>
uint8_t nearest(float x, F decode, uint8_t codes) {
  uint8_t best = 0;
  for (int c = 1; c <= codes; ++c) {
    const double d = std::abs(static_cast<double>(decode(static_cast<uint8_t>(c))) - x);
    const double b = std::abs(static_cast<double>(decode(best)) - x);
    if (d < b || (d == b && c % 2 == 0)) best = static_cast<uint8_t>(c);
  }
  return best;
}

TEST(Dtype, F8RoundsLikeAnExhaustiveSearch) {
  for (int i = 0; i < 20000; ++i) {
    const float x = std::ldexp(1.0f + static_cast<float>(i % 257) / 257.0f, i % 24 - 14);
    EXPECT_EQ(to_f8_e4m3(x).bits, nearest(
                                      x, [](uint8_t c) { return to_float(f8_e4m3_t{c}); }, 0x7e))
        << x;
    EXPECT_EQ(to_f8_e4m3fnuz(x).bits, nearest(
                                          x, [](uint8_t c) { return to_float(f8_e4m3fnuz_t{c}); }, 0x7f))
        << x;
  }
  for (int c = 0; c < 256; ++c) {
    const float x = to_float(f8_e4m3_t{static_cast<uint8_t>(c)});
    if (!std::isnan(x)) EXPECT_EQ(to_f8_e4m3(x).bits, c);
    const float z = to_float(f8_e4m3fnuz_t{static_cast<uint8_t>(c)});
    if (!std::isnan(z)) EXPECT_EQ(to_f8_e4m3fnuz(z).bits, c);
  }
  EXPECT_EQ(to_float(to_f8_e4m3(1e9f)), 448.0f);
  EXPECT_EQ(to_float(to_f8_e4m3fnuz(-1e9f)), -240.0f);
  EXPECT_EQ(to_f8_e4m3fnuz(-0.0f).bits, 0);
}

TEST(Dtype, NamesParse) {
  EXPECT_EQ(parse_dtype("bfloat16"), DType::bf16);
  EXPECT_EQ(parse_dtype("f8_e4m3"), DType::f8_e4m3);
  EXPECT_FALSE(parse_dtype("int7").has_value());
}

}  // namespace
}  // namespace attune
