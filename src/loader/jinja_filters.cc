#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "loader/jinja_filters.h"
#include "loader/jinja_json.h"
#include "loader/jinja_number.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

Value absolute(Call& c) {
  if (!c.self.is_number()) mistake("a number for abs", c.self.is_undefined() ? c.self.undefined_text() : std::string(type_name(c.self)));
  if (c.self.is(Value::Kind::real)) return Value(std::abs(c.self.real()));
  return c.self.integer() < 0 ? c.runtime.negative(c.self) : Value(c.self.integer());
}

Value centered(Call& c) { return c.runtime.make_text(pad_center(c.runtime.text(c.self), c.integer(0, 80), " ", c.runtime.budget)); }

Value fallback(Call& c) {
  if (c.self.is_undefined() || (c.flag(1, false) && !truth(c.self))) return c.or_else(0, Value(""));
  return c.self;
}

Value escaped(Call& c) {
  if (c.self.is_text() && c.self.text().escaped) return c.self;
  return Value::escaped(c.runtime.make_text(escape_html(c.runtime.text(c.self))).bytes());
}

Value to_integer(Call& c) {
  const Value& v = c.self;
  const Value otherwise = c.or_else(0, Value(int64_t{0}));
  if (v.is_undefined()) mistake("a defined value for int", v.undefined_text());
  if (v.is_integral()) return Value(v.integer());
  std::optional<int64_t> out;
  if (v.is(Value::Kind::real)) {
    out = truncated(v.real());
  } else if (v.is_text()) {
    out = parse_integer(v.bytes(), c.integer(1, 10));
    const std::optional<double> d = out ? std::nullopt : parse_real(v.bytes());
    if (d && std::isfinite(*d)) out = truncated(*d);
  }
  return out ? Value(*out) : otherwise;
}

Value to_real(Call& c) {
  const Value& v = c.self;
  if (v.is_undefined()) mistake("a defined value for float", v.undefined_text());
  if (v.is_number()) return Value(v.real());
  const std::optional<double> d = v.is_text() ? parse_real(v.bytes()) : std::nullopt;
  return d ? Value(*d) : c.or_else(0, Value(0.0));
}

Value indented(Call& c) {
  if (!c.self.is_text()) mistake("text to indent", c.self.is_undefined() ? c.self.undefined_text() : std::string(type_name(c.self)));
  const Value width = c.or_else(0, Value(int64_t{4}));
  const std::string indent = width.is_text() ? width.bytes() : c.runtime.binary("*", Value(" "), width).bytes();
  const std::string text = c.self.bytes() + "\n";
  const bool blank = c.flag(2, false);
  std::string out = c.flag(1, false) ? indent : "";
  bool first = true;
  for (const std::string_view line : split_lines(text, false)) {
    if (!first) {
      out += '\n';
      if (blank || !line.empty()) out += indent;
    }
    out += line;
    first = false;
    c.runtime.budget.charge_bytes(indent.size());
    if (out.size() > c.runtime.budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", c.runtime.budget.max_text_bytes), "more");
  }
  return c.runtime.make_text(std::move(out));
}

Value replaced(Call& c) {
  const std::string text = c.runtime.text(c.self);
  const int64_t limit = c.has(2) && !c[2].is_none() ? c.integer(2, -1) : -1;
  return c.runtime.make_text(replace(text, c.runtime.text(c[0]), c.runtime.text(c[1]), limit, c.runtime.budget.max_text_bytes));
}

Value round_filter(Call& c) {
  const int64_t digits = c.integer(0, 0);
  const std::string method = c.has(1) ? c.text(1) : "common";
  if (method == "common") return rounded(c.self, digits);
  if (method != "ceil" && method != "floor") mistake("common, ceil or floor as the method of round", method.substr(0, 80));
  const Value unit = c.runtime.binary("**", Value(int64_t{10}), Value(digits));
  const Value scaled = c.runtime.binary("*", c.self, unit);
  if (!scaled.is_number()) mistake("a number to round", std::string(type_name(c.self)));
  const auto whole = scaled.is_integral() ? scaled.integer() : truncated(method == "ceil" ? std::ceil(scaled.real()) : std::floor(scaled.real()));
  if (!whole) mistake("a finite number to round", "nan");
  return c.runtime.binary("/", Value(*whole), unit);
}

/// Jinja's own title case: the first character after white space or one of -({[< is upper case, all others lower case.
Value titled(Call& c) {
  const std::u32string text = decode(c.runtime.text(c.self));
  const auto is_break = [](char32_t x) { return x == '-' || x == '(' || x == '{' || x == '[' || x == '<' || is_space(x); };
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && is_break(text[end]) == is_break(text[i])) ++end;
    out += upper(encode(text.substr(i, 1))) + lower(encode(text.substr(i + 1, end - i - 1)));
    i = end;
  }
  return c.runtime.make_text(std::move(out));
}

Value to_json_text(Call& c) {
  JsonStyle style;
  style.ascii = c.flag(0, false);
  style.sort_keys = c.flag(3, false);
  if (c.has(1) && !c[1].is_none()) {
    style.lines = true;
    style.item_separator = ",";
    style.indent = c[1].is_text() ? c[1].bytes() : c.runtime.binary("*", Value(" "), Value(c.integer(1, 0))).bytes();
  }
  if (c.has(2) && !c[2].is_none()) {
    const std::vector<Value> parts = items_of(c[2], c.runtime.budget);
    if (parts.size() != 2 || !parts[0].is_text() || !parts[1].is_text()) mistake("two texts as separators", "something else");
    style.item_separator = parts[0].bytes();
    style.key_separator = parts[1].bytes();
  }
  return c.runtime.make_text(to_json(c.self, style, c.runtime.budget));
}

Value trimmed(Call& c) {
  const std::string text = c.runtime.text(c.self);
  if (!c.has(0) || c[0].is_none()) return c.runtime.make_text(strip(text, std::nullopt, true, true));
  return c.runtime.make_text(strip(text, c.text(0), true, true));
}

Value truncated_text(Call& c) {
  const std::string end = c.has(2) ? c.text(2) : "...";
  const int64_t length = c.integer(0, 255), leeway = c.has(3) && !c[3].is_none() ? c.integer(3, 5) : 5;
  const auto end_length = static_cast<int64_t>(code_points(end));
  if (length < end_length || leeway < 0) mistake("a length of at least the end's", fmt::format("{}", length));
  const int64_t size = length_of(c.self).value_or(INT64_MAX);
  if (size <= length || size - length <= leeway) return c.self;
  if (!c.self.is_text()) mistake("text to truncate", std::string(type_name(c.self)));
  const Text& text = c.self.text();
  const std::string_view kept = std::string_view(text.bytes).substr(0, byte_offset(text.bytes, static_cast<size_t>(length - end_length)));
  const std::string_view whole_words = c.flag(1, false) ? kept : kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  return c.runtime.make_text(std::string(whole_words) + end);
}

Value word_count(Call& c) {
  int64_t words = 0;
  bool inside = false;
  for (const char32_t x : decode(c.runtime.text(c.self))) {
    const bool is_part = is_word(x);
    words += is_part && !inside ? 1 : 0;
    inside = is_part;
  }
  return Value(words);
}

Value formatted(Call& c) {
  const std::string format = c.runtime.text(c.self);
  if (c.rest.keywords.empty()) return percent_format(c.runtime, format, c.runtime.make_list(std::move(c.rest.positional), Flavor::tuple));
  if (!c.rest.positional.empty()) mistake("arguments by position or by name", "both");
  auto names = std::make_shared<Dict>();
  for (auto& [key, value] : c.rest.keywords) names->set(Value(key), std::move(value));
  return percent_format(c.runtime, format, Value(std::shared_ptr<const Dict>(std::move(names))));
}

Value length(Call& c) {
  const auto n = length_of(c.self);
  if (!n) mistake("something that has a length", std::string(type_name(c.self)));
  return Value(*n);
}

Value method_only(Call& c) {
  bool forbidden = false;
  const std::string& name = c.text(0);
  const Builtin* builtin = find_method(c.self, name, forbidden);
  if (builtin == nullptr || forbidden) return Value::undefined(name.substr(0, 80) + ", which is undefined");
  return c.runtime.attribute(c.self, name);
}

constexpr Builtin kFilters[] = {
    {"abs", "/", absolute},
    {"attr", "name", method_only},
    {"capitalize", "", [](Call& c) { return c.runtime.make_text(capitalize(c.runtime.text(c.self))); }},
    {"center", "width?", centered},
    {"count", "/", length},
    {"d", "default_value? boolean?", fallback},
    {"default", "default_value? boolean?", fallback},
    {"e", "/", escaped},
    {"escape", "/", escaped},
    {"float", "default?", to_real},
    {"format", "*", formatted},
    {"indent", "width? first? blank?", indented},
    {"int", "default? base?", to_integer},
    {"length", "/", length},
    {"lower", "", [](Call& c) { return c.runtime.make_text(lower(c.runtime.text(c.self))); }},
    {"replace", "old new count?", replaced},
    {"round", "precision? method?", round_filter},
    {"safe", "", [](Call& c) { return Value::escaped(c.runtime.text(c.self)); }},
    {"string", "", [](Call& c) { return c.self.is_text() ? c.self : c.runtime.make_text(c.runtime.text(c.self)); }},
    {"title", "", titled},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", to_json_text},
    {"trim", "chars?", trimmed},
    {"truncate", "length? killwords? end? leeway?", truncated_text},
    {"upper", "", [](Call& c) { return c.runtime.make_text(upper(c.runtime.text(c.self))); }},
    {"wordcount", "", word_count},
};

}  // namespace

const Builtin* find_filter(std::string_view name) {
  const auto* it = std::find_if(std::begin(kFilters), std::end(kFilters), [name](const Builtin& b) { return b.name == name; });
  return it == std::end(kFilters) ? find_sequence_filter(name) : it;
}

}  // namespace attune::jinja
