#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "loader/jinja_value.h"

namespace attune::jinja {

/// Python's int(text, base); nothing where Python raises ValueError.
std::optional<int64_t> parse_integer(std::string_view s, int64_t base);

/// Python's float(text).
std::optional<double> parse_real(std::string_view s);

/// Python's int(float), a Mistake beyond 64 bits, nothing for NaN.
std::optional<int64_t> truncated(double d);

/// Python's round(value, digits).
Value rounded(const Value& v, int64_t digits);

}  // namespace attune::jinja
