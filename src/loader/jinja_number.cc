#include "loader/jinja_number.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

/// Value of a digit in bases up to 36, 99 for anything else.
int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower_case = static_cast<char>(c | 0x20);
  return lower_case >= 'a' && lower_case <= 'z' ? lower_case - 'a' + 10 : 99;
}

/// Removes single underscores between digits; nothing when one stands elsewhere.
std::optional<std::string> without_underscores(std::string_view s) {
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '_') {
      out += s[i];
      continue;
    }
    if (i == 0 || i + 1 == s.size() || digit_value(s[i - 1]) == 99 || digit_value(s[i + 1]) == 99) return std::nullopt;
  }
  return out;
}

bool is_decimal_number(std::string_view s) {
  size_t i = 0, digits = 0;
  const auto run = [&] {
    const size_t begin = i;
    while (i < s.size() && s[i] >= '0' && s[i] <= '9') ++i;
    return i - begin;
  };
  digits = run();
  if (i < s.size() && s[i] == '.') {
    ++i;
    digits += run();
  }
  if (digits == 0) return false;
  if (i < s.size() && (s[i] == 'e' || s[i] == 'E')) {
    ++i;
    if (i < s.size() && (s[i] == '+' || s[i] == '-')) ++i;
    if (run() == 0) return false;
  }
  return i == s.size();
}

}  // namespace

std::optional<int64_t> parse_integer(std::string_view s, int64_t base) {
  if (base != 0 && (base < 2 || base > 36)) mistake("a base of 0 or 2 to 36", fmt::format("{}", base));
  s = strip(s, std::nullopt, true, true);
  const bool negative = !s.empty() && s[0] == '-';
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) s.remove_prefix(1);
  const char kind = s.size() > 1 && s[0] == '0' ? static_cast<char>(s[1] | 0x20) : '\0';
  const int64_t named = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
  if (named != 0 && (base == 0 || base == named)) {
    s.remove_prefix(s.size() > 2 && s[2] == '_' ? 3 : 2);
    base = named;
  }
  if (base == 0) {
    if (s.size() > 1 && s[0] == '0' && s.find_first_not_of("0_") != std::string_view::npos) return std::nullopt;
    base = 10;
  }
  const auto digits = without_underscores(s);
  if (!digits || digits->empty()) return std::nullopt;
  int64_t out = 0;
  bool too_large = false;
  for (const char c : *digits) {
    const int d = digit_value(c);
    if (d >= base) return std::nullopt;
    too_large = too_large || __builtin_mul_overflow(out, base, &out) || __builtin_sub_overflow(out, int64_t{d}, &out);
  }
  if (too_large || (!negative && out == INT64_MIN)) mistake("integers of at most 64 bits", "a larger one");
  return negative ? out : -out;
}

std::optional<double> parse_real(std::string_view s) {
  s = strip(s, std::nullopt, true, true);
  const bool negative = !s.empty() && s[0] == '-';
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) s.remove_prefix(1);
  const std::string word = lower(s);
  double d = 0;
  if (word == "inf" || word == "infinity") {
    d = HUGE_VAL;
  } else if (word == "nan") {
    d = std::nan("");
  } else {
    const auto digits = without_underscores(word);
    if (!digits || !is_decimal_number(*digits)) return std::nullopt;
    d = std::strtod(digits->c_str(), nullptr);
  }
  return negative ? -d : d;
}

std::optional<int64_t> truncated(double d) {
  if (std::isnan(d)) return std::nullopt;
  if (!(std::abs(d) < 9.2233720368547e18)) mistake("integers of at most 64 bits", "a larger one");
  return static_cast<int64_t>(d);
}

Value rounded(const Value& v, int64_t digits) {
  if (!v.is_number()) mistake("a number to round", v.is_undefined() ? v.undefined_text() : std::string(type_name(v)));
  if (v.is_integral() && digits >= 0) return Value(v.integer());
  const double d = v.real();
  if (digits >= 0) {
    if (digits > 323 || !std::isfinite(d)) return Value(d);
    return Value(std::strtod(fmt::format("{:.{}f}", d, digits).c_str(), nullptr));
  }
  if (v.is_integral()) {
    if (digits < -18) return Value(int64_t{0});
    int64_t unit = 1;
    for (int64_t i = 0; i < -digits; ++i) unit *= 10;
    const int64_t n = v.integer();
    int64_t whole = n / unit - (n % unit < 0 ? 1 : 0);
    const int64_t twice = 2 * (n - whole * unit) - unit;
    if (twice > 0 || (twice == 0 && whole % 2 != 0)) ++whole;
    return Value(whole * unit);
  }
  if (digits < -308) return Value(std::copysign(0.0, d));
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return Value(std::nearbyint(d / unit) * unit);
}

}  // namespace attune::jinja
