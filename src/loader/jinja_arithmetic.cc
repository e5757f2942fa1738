#include <fmt/format.h>

#include <cmath>

#include "loader/jinja_runtime.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

[[noreturn]] void overflow() { mistake("integers of at most 64 bits", "a larger one"); }

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == -1) {
    if (a == INT64_MIN) overflow();
    return -a;
  }
  return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

double floor_modulo(double a, double b) {
  double r = std::fmod(a, b);
  if (r != 0.0) return (b < 0) != (r < 0) ? r + b : r;
  return std::copysign(0.0, b);
}

double floor_divide(double a, double b) {
  const double modulo = floor_modulo(a, b);
  const double quotient = (a - modulo) / b;
  if (quotient == 0.0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

Value power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) mistake("a base other than 0 for a negative power", "0");
    return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) overflow();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) overflow();
  }
  return Value(result);
}

Value power(double base, double exponent) {
  if (base == 0.0 && exponent < 0) mistake("a base other than 0 for a negative power", "0.0");
  if (base < 0 && std::isfinite(base) && std::isfinite(exponent) && exponent != std::floor(exponent))
    mistake("a power that is a real number", "a complex one");
  const double r = std::pow(base, exponent);
  if (std::isinf(r) && std::isfinite(base) && std::isfinite(exponent)) mistake("a power within the range of floats", "a larger one");
  return Value(r);
}

Value integers(std::string_view op, int64_t a, int64_t b) {
  int64_t r = 0;
  if (op == "+") {
    if (__builtin_add_overflow(a, b, &r)) overflow();
    return Value(r);
  }
  if (op == "-") {
    if (__builtin_sub_overflow(a, b, &r)) overflow();
    return Value(r);
  }
  if (op == "*") {
    if (__builtin_mul_overflow(a, b, &r)) overflow();
    return Value(r);
  }
  if (op == "**") return power(a, b);
  if (b == 0) mistake("a divisor other than 0", "0");
  if (op == "//") return Value(floor_divide(a, b));
  if (op == "%") return Value(floor_modulo(a, b));
  return Value(static_cast<double>(a) / static_cast<double>(b));
}

Value reals(std::string_view op, double a, double b) {
  if (op == "+") return Value(a + b);
  if (op == "-") return Value(a - b);
  if (op == "*") return Value(a * b);
  if (op == "**") return power(a, b);
  if (b == 0.0) mistake("a divisor other than 0", "0.0");
  if (op == "//") return Value(floor_divide(a, b));
  if (op == "%") return Value(floor_modulo(a, b));
  return Value(a / b);
}

bool can_repeat(const Value& v) { return v.is_text() || v.is_list() || v.is_flavor(Flavor::tuple); }

}  // namespace

Value Runtime::arithmetic(std::string_view op, const Value& a, const Value& b) const {
  return a.is_integral() && b.is_integral() ? integers(op, a.integer(), b.integer()) : reals(op, a.real(), b.real());
}

Value Runtime::repeat(const Value& sequence, int64_t times) {
  const auto size = static_cast<uint64_t>(*length_of(sequence));
  const uint64_t count = times > 0 && size > 0 ? static_cast<uint64_t>(times) : 0;
  if (sequence.is_text()) {
    const std::string& s = sequence.bytes();
    if (count > 0 && count > budget.max_text_bytes / s.size()) mistake(fmt::format("text of at most {} bytes", budget.max_text_bytes), "more");
    std::string out;
    out.reserve(s.size() * count);
    for (uint64_t i = 0; i < count; ++i) out += s;
    return make_text(std::move(out));
  }
  if (count > 0 && count > budget.max_items / size) mistake(fmt::format("lists of at most {} items", budget.max_items), "more");
  std::vector<Value> out;
  const auto& items = sequence.items().items;
  for (uint64_t i = 0; i < count; ++i) out.insert(out.end(), items.begin(), items.end());
  return make_list(std::move(out), sequence.items().flavor);
}

Value Runtime::binary(std::string_view op, const Value& a, const Value& b) {
  budget.charge();
  if (a.is_number() && b.is_number()) return arithmetic(op, a, b);
  if (op == "%" && a.is_text()) return percent_format(*this, a.bytes(), b);
  for (const Value* v : {&a, &b}) {
    if (v->is_undefined()) mistake(fmt::format("defined values around {}", op), v->undefined_text());
  }
  if (op == "+" && a.is_text() && b.is_text()) {
    if (a.bytes().size() + b.bytes().size() > budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", budget.max_text_bytes), "more");
    if (!a.text().escaped && !b.text().escaped) return make_text(a.bytes() + b.bytes());
    const auto part = [](const Text& t) { return t.escaped ? t.bytes : escape_html(t.bytes); };
    return Value::escaped(make_text(part(a.text()) + part(b.text())).bytes());
  }
  if (op == "+" && ((a.is_list() && b.is_list()) || (a.is_flavor(Flavor::tuple) && b.is_flavor(Flavor::tuple)))) {
    std::vector<Value> out = a.items().items;
    out.insert(out.end(), b.items().items.begin(), b.items().items.end());
    return make_list(std::move(out), a.items().flavor);
  }
  if (op == "*" && can_repeat(a) && b.is_integral()) return repeat(a, b.integer());
  if (op == "*" && can_repeat(b) && a.is_integral()) return repeat(b, a.integer());
  mistake(fmt::format("values that {} works on", op), fmt::format("{} and {}", type_name(a), type_name(b)));
}

Value Runtime::negative(const Value& v) const {
  if (v.is(Value::Kind::real)) return Value(-v.real());
  if (!v.is_integral()) mistake("a number after -", v.is_undefined() ? v.undefined_text() : std::string(type_name(v)));
  if (v.integer() == INT64_MIN) overflow();
  return Value(-v.integer());
}

}  // namespace attune::jinja
