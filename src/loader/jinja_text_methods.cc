#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "loader/jinja_filters.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

std::string repeated(std::string_view fill, int64_t times, size_t size, const Budget& budget) {
  if (times <= 0) return "";
  if (static_cast<uint64_t>(times) > budget.max_text_bytes / fill.size() || size > budget.max_text_bytes) {
    mistake(fmt::format("text of at most {} bytes", budget.max_text_bytes), "more");
  }
  std::string out;
  for (int64_t i = 0; i < times; ++i) out += fill;
  return out;
}

const std::string& self_text(const Call& c) { return c.self.bytes(); }

std::optional<std::string_view> characters(const Call& c, size_t i) {
  if (!c.has(i) || c[i].is_none()) return std::nullopt;
  return c.text(i);
}

Value stripped(Call& c, bool left, bool right) { return c.runtime.make_text(strip(self_text(c), characters(c, 0), left, right)); }

Value parts(Call& c, const std::vector<std::string_view>& texts, Flavor flavor = Flavor::list) {
  std::vector<Value> out;
  for (const std::string_view s : texts) out.push_back(c.runtime.make_text(s));
  return c.runtime.make_list(std::move(out), flavor);
}

/// The part of the text that the arguments `start` and `end` at `i` name, with its offset; nothing when start lies behind it.
struct Window {
  std::string_view text;
  int64_t offset = 0;
  bool valid = true;
};

Window window(Call& c, size_t i) {
  const Text& t = c.self.text();
  const auto size = static_cast<int64_t>(t.length);
  const auto bound = [&](size_t k, int64_t otherwise) {
    int64_t v = c.has(k) && !c[k].is_none() ? c.integer(k, 0) : otherwise;
    if (v < 0) v = std::max<int64_t>(0, v < -size ? 0 : v + size);
    return v;
  };
  const int64_t start = bound(i, 0), end = std::min(bound(i + 1, size), size);
  if (start > size || start > end) return {"", start, false};
  const size_t from = byte_offset(t.bytes, static_cast<size_t>(start)), to = byte_offset(t.bytes, static_cast<size_t>(end));
  return {std::string_view(t.bytes).substr(from, to - from), start, true};
}

Value find(Call& c, bool from_end, bool must) {
  const std::string& part = c.text(0);
  const Window w = window(c, 1);
  const size_t at = !w.valid ? std::string_view::npos : from_end ? w.text.rfind(part) : w.text.find(part);
  if (at != std::string_view::npos) return Value(w.offset + static_cast<int64_t>(code_points(w.text.substr(0, at))));
  if (must) mistake("a part of the text", "another text");
  return Value(int64_t{-1});
}

Value count(Call& c) {
  const std::string& part = c.text(0);
  const Window w = window(c, 1);
  if (!w.valid) return Value(int64_t{0});
  if (part.empty()) return Value(static_cast<int64_t>(code_points(w.text)) + 1);
  int64_t n = 0;
  for (size_t at = w.text.find(part); at != std::string_view::npos; at = w.text.find(part, at + part.size())) ++n;
  return Value(n);
}

/// startswith and endswith: one text or a tuple of them.
Value at_end(Call& c, bool start) {
  std::vector<Value> options{c[0]};
  if (c[0].is_flavor(Flavor::tuple)) options = c[0].items().items;
  const Window w = window(c, 1);
  bool found = false;
  for (const Value& option : options) {
    if (!option.is_text()) mistake("text or a tuple of texts", std::string(type_name(option)));
    const std::string& s = option.bytes();
    const bool here = w.valid && w.text.size() >= s.size() && (start ? w.text.substr(0, s.size()) : w.text.substr(w.text.size() - s.size())) == s;
    found = found || here;
  }
  return Value(found);
}

Value partition(Call& c, bool from_end) {
  const std::string_view s = self_text(c), separator = c.text(0);
  if (separator.empty()) mistake("a separator that is not empty", "\"\"");
  const size_t at = from_end ? s.rfind(separator) : s.find(separator);
  if (at == std::string_view::npos) return from_end ? parts(c, {"", "", s}, Flavor::tuple) : parts(c, {s, "", ""}, Flavor::tuple);
  return parts(c, {s.substr(0, at), separator, s.substr(at + separator.size())}, Flavor::tuple);
}

Value split_text(Call& c, bool from_end) {
  const int64_t limit = c.integer(1, -1);
  return parts(c, from_end ? rsplit(self_text(c), characters(c, 0), limit) : split(self_text(c), characters(c, 0), limit));
}

Value join(Call& c) {
  std::string out;
  bool first = true;
  Cursor cursor(c[0]);
  for (Value item; cursor.next(item); first = false) {
    if (!item.is_text()) mistake("texts to join", std::string(type_name(item)));
    if (!first) out += self_text(c);
    out += item.bytes();
    c.runtime.budget.charge_bytes(self_text(c).size() + item.bytes().size());
    if (out.size() > c.runtime.budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", c.runtime.budget.max_text_bytes), "more");
  }
  return c.runtime.make_text(std::move(out));
}

Value padded(Call& c, std::string (*pad)(const std::string&, int64_t, std::string_view, const Budget&)) {
  const std::string fill = c.has(1) ? c.text(1) : " ";
  if (code_points(fill) != 1) mistake("one character to fill with", fill.substr(0, 80));
  return c.runtime.make_text(pad(self_text(c), c.integer(0, 0), fill, c.runtime.budget));
}

Value zero_filled(Call& c) {
  const std::string& s = self_text(c);
  const size_t sign = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
  const std::string zeros = repeated("0", c.integer(0, 0) - static_cast<int64_t>(c.self.text().length), s.size(), c.runtime.budget);
  return c.runtime.make_text(s.substr(0, sign) + zeros + s.substr(sign));
}

Value without_affix(Call& c, bool prefix) {
  const std::string_view s = self_text(c), affix = c.text(0);
  const bool there = s.size() >= affix.size() && (prefix ? s.substr(0, affix.size()) : s.substr(s.size() - affix.size())) == affix;
  if (!there) return c.self;
  return c.runtime.make_text(prefix ? s.substr(affix.size()) : s.substr(0, s.size() - affix.size()));
}

Value all_of(Call& c, bool (*is)(char32_t)) {
  const std::u32string text = decode(self_text(c));
  return Value(!text.empty() && std::all_of(text.begin(), text.end(), is));
}

Value all_cased(Call& c, bool (*wanted)(char32_t), bool (*other)(char32_t)) {
  const std::u32string text = decode(self_text(c));
  const bool none_other = std::none_of(text.begin(), text.end(), [other](char32_t x) { return other(x) || is_title(x); });
  return Value(none_other && std::any_of(text.begin(), text.end(), wanted));
}

Value replaced(Call& c) {
  return c.runtime.make_text(replace(self_text(c), c.text(0), c.text(1), c.integer(2, -1), c.runtime.budget.max_text_bytes));
}

constexpr Builtin kMethods[] = {
    {"capitalize", "/", [](Call& c) { return c.runtime.make_text(capitalize(self_text(c))); }},
    {"center", "/ width fillchar?", [](Call& c) { return padded(c, pad_center); }},
    {"count", "/ sub start? end?", count},
    {"endswith", "/ suffix start? end?", [](Call& c) { return at_end(c, false); }},
    {"find", "/ sub start? end?", [](Call& c) { return find(c, false, false); }},
    {"format", "*", [](Call& c) { return brace_format(c.runtime, self_text(c), c.rest); }},
    {"index", "/ sub start? end?", [](Call& c) { return find(c, false, true); }},
    {"isalnum", "/", [](Call& c) { return all_of(c, [](char32_t x) { return is_alpha(x) || is_numeric(x); }); }},
    {"isalpha", "/", [](Call& c) { return all_of(c, is_alpha); }},
    {"isascii", "/", [](Call& c) { return Value(c.self.text().ascii()); }},
    {"isdecimal", "/", [](Call& c) { return all_of(c, is_decimal); }},
    {"isdigit", "/", [](Call& c) { return all_of(c, is_digit); }},
    {"islower", "/", [](Call& c) { return all_cased(c, is_lower, is_upper); }},
    {"isnumeric", "/", [](Call& c) { return all_of(c, is_numeric); }},
    {"isspace", "/", [](Call& c) { return all_of(c, is_space); }},
    {"isupper", "/", [](Call& c) { return all_cased(c, is_upper, is_lower); }},
    {"join", "/ iterable", join},
    {"ljust", "/ width fillchar?", [](Call& c) { return padded(c, pad_right); }},
    {"lower", "/", [](Call& c) { return c.runtime.make_text(lower(self_text(c))); }},
    {"lstrip", "/ chars?", [](Call& c) { return stripped(c, true, false); }},
    {"partition", "/ sep", [](Call& c) { return partition(c, false); }},
    {"removeprefix", "/ prefix", [](Call& c) { return without_affix(c, true); }},
    {"removesuffix", "/ suffix", [](Call& c) { return without_affix(c, false); }},
    {"replace", "/ old new count?", replaced},
    {"rfind", "/ sub start? end?", [](Call& c) { return find(c, true, false); }},
    {"rindex", "/ sub start? end?", [](Call& c) { return find(c, true, true); }},
    {"rjust", "/ width fillchar?", [](Call& c) { return padded(c, pad_left); }},
    {"rpartition", "/ sep", [](Call& c) { return partition(c, true); }},
    {"rsplit", "sep? maxsplit?", [](Call& c) { return split_text(c, true); }},
    {"rstrip", "/ chars?", [](Call& c) { return stripped(c, false, true); }},
    {"split", "sep? maxsplit?", [](Call& c) { return split_text(c, false); }},
    {"splitlines", "keepends?", [](Call& c) { return parts(c, split_lines(self_text(c), c.flag(0, false))); }},
    {"startswith", "/ prefix start? end?", [](Call& c) { return at_end(c, true); }},
    {"strip", "/ chars?", [](Call& c) { return stripped(c, true, true); }},
    {"swapcase", "/", [](Call& c) { return c.runtime.make_text(swap_case(self_text(c))); }},
    {"title", "/", [](Call& c) { return c.runtime.make_text(title(self_text(c))); }},
    {"upper", "/", [](Call& c) { return c.runtime.make_text(upper(self_text(c))); }},
    {"zfill", "/ width", zero_filled},
};

}  // namespace

std::string pad_center(const std::string& s, int64_t width, std::string_view fill, const Budget& budget) {
  const int64_t room = width - static_cast<int64_t>(code_points(s));
  if (room <= 0) return s;
  const int64_t left = room / 2 + (room & width & 1);
  return repeated(fill, left, s.size(), budget) + s + repeated(fill, room - left, s.size(), budget);
}

std::string pad_right(const std::string& s, int64_t width, std::string_view fill, const Budget& budget) {
  return s + repeated(fill, width - static_cast<int64_t>(code_points(s)), s.size(), budget);
}

std::string pad_left(const std::string& s, int64_t width, std::string_view fill, const Budget& budget) {
  return repeated(fill, width - static_cast<int64_t>(code_points(s)), s.size(), budget) + s;
}

const Builtin* find_text_method(std::string_view name) {
  const auto* it = std::find_if(std::begin(kMethods), std::end(kMethods), [name](const Builtin& b) { return b.name == name; });
  return it == std::end(kMethods) ? nullptr : it;
}

}  // namespace attune::jinja
