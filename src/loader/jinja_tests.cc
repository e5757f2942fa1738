#include <algorithm>
#include <iterator>

#include "loader/jinja_runtime.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

using Kind = Value::Kind;

const Value& defined(const Value& v) {
  if (v.is_undefined()) mistake("a defined value", v.undefined_text());
  return v;
}

Value modulo_is(Call& c, const Value& divisor, int64_t rest) {
  return Value(equal(c.runtime.binary("%", defined(c.self), divisor), Value(rest), c.runtime.budget));
}

/// str.islower() and str.isupper(): at least one cased character, and all of them of that case.
Value all_cased(Call& c, bool upper) {
  bool any = false;
  for (const char32_t x : decode(c.runtime.text(c.self))) {
    if (is_title(x) || (upper ? is_lower(x) : is_upper(x))) return Value(false);
    any = any || (upper ? is_upper(x) : is_lower(x));
  }
  return Value(any);
}

Value order(Call& c, std::string_view op) { return Value(c.runtime.compare(op, c.self, c[0])); }

Value is_same(Call& c) {
  const Value &a = c.self, &b = c[0];
  if (a.kind() != b.kind() || a.is_undefined()) return Value(false);
  if (a.identity() != nullptr) return Value(a.identity() == b.identity());
  return Value(equal(a, b, c.runtime.budget));
}

Value is_sequence(Call& c) {
  const Value& v = c.self;
  return Value(v.is_undefined() || v.is_text() || v.is(Kind::dict) || v.is(Kind::range) || v.is_list() || v.is_flavor(Flavor::tuple));
}

constexpr Builtin kTests[] = {
    {"!=", "other", [](Call& c) { return order(c, "!="); }},
    {"<", "other", [](Call& c) { return order(c, "<"); }},
    {"<=", "other", [](Call& c) { return order(c, "<="); }},
    {"==", "other", [](Call& c) { return order(c, "=="); }},
    {">", "other", [](Call& c) { return order(c, ">"); }},
    {">=", "other", [](Call& c) { return order(c, ">="); }},
    {"boolean", "", [](Call& c) { return Value(c.self.is(Kind::boolean)); }},
    {"callable", "", [](Call& c) { return Value(c.self.is(Kind::function) || c.self.is_undefined() || c.self.is(Kind::loop)); }},
    {"defined", "", [](Call& c) { return Value(!c.self.is_undefined()); }},
    {"divisibleby", "num", [](Call& c) { return modulo_is(c, defined(c[0]), 0); }},
    {"eq", "other", [](Call& c) { return order(c, "=="); }},
    {"equalto", "other", [](Call& c) { return order(c, "=="); }},
    {"escaped", "", [](Call& c) { return Value(c.self.is_text() && c.self.text().escaped); }},
    {"even", "", [](Call& c) { return modulo_is(c, Value(int64_t{2}), 0); }},
    {"false", "", [](Call& c) { return Value(c.self.is(Kind::boolean) && !c.self.boolean()); }},
    {"filter", "", [](Call& c) { return Value(c.self.is_text() && find_filter(c.self.bytes()) != nullptr); }},
    {"float", "", [](Call& c) { return Value(c.self.is(Kind::real)); }},
    {"ge", "other", [](Call& c) { return order(c, ">="); }},
    {"greaterthan", "other", [](Call& c) { return order(c, ">"); }},
    {"gt", "other", [](Call& c) { return order(c, ">"); }},
    {"in", "seq", [](Call& c) { return Value(c.runtime.contains(c[0], c.self)); }},
    {"integer", "", [](Call& c) { return Value(c.self.is(Kind::integer)); }},
    {"iterable", "", [](Call& c) { return Value(Cursor::can_walk(c.self)); }},
    {"le", "other", [](Call& c) { return order(c, "<="); }},
    {"lessthan", "other", [](Call& c) { return order(c, "<"); }},
    {"lower", "", [](Call& c) { return all_cased(c, false); }},
    {"lt", "other", [](Call& c) { return order(c, "<"); }},
    {"mapping", "", [](Call& c) { return Value(c.self.is(Kind::dict)); }},
    {"ne", "other", [](Call& c) { return order(c, "!="); }},
    {"none", "", [](Call& c) { return Value(c.self.is_none()); }},
    {"number", "", [](Call& c) { return Value(c.self.is_number()); }},
    {"odd", "", [](Call& c) { return modulo_is(c, Value(int64_t{2}), 1); }},
    {"sameas", "other", is_same},
    {"sequence", "", is_sequence},
    {"string", "", [](Call& c) { return Value(c.self.is_text()); }},
    {"test", "", [](Call& c) { return Value(c.self.is_text() && find_test(c.self.bytes()) != nullptr); }},
    {"true", "", [](Call& c) { return Value(c.self.is(Kind::boolean) && c.self.boolean()); }},
    {"undefined", "", [](Call& c) { return Value(c.self.is_undefined()); }},
    {"upper", "", [](Call& c) { return all_cased(c, true); }},
};

}  // namespace

const Builtin* find_test(std::string_view name) {
  const auto* it = std::find_if(std::begin(kTests), std::end(kTests), [name](const Builtin& b) { return b.name == name; });
  return it == std::end(kTests) ? nullptr : it;
}

}  // namespace attune::jinja
