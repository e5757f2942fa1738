#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/utf8.h"
#include "loader/jinja_filters.h"
#include "loader/jinja_number.h"
#include "loader/jinja_print.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

constexpr int64_t kMostDigits = 1000;

/// What a conversion asks for, in either of Python's two format languages.
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';    // - + or a space
  bool alternate = false;
  char grouping = '\0';
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

int64_t read_number(std::string_view s, size_t& i) {
  int64_t n = 0;
  while (i < s.size() && s[i] >= '0' && s[i] <= '9') {
    n = n * 10 + (s[i++] - '0');
    if (n > 1'000'000) mistake("a width and a precision of at most 1000000", "more");
  }
  return n;
}

std::string grouped(const std::string& digits, char separator, size_t every) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) out += separator;
    out += digits[i];
  }
  return out;
}

/// Digits of an integer without its sign.
std::string integer_digits(const Spec& spec, int64_t v) {
  const uint64_t magnitude = v < 0 ? uint64_t{0} - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
  switch (spec.type) {
    case 'x': return fmt::format("{:x}", magnitude);
    case 'X': return fmt::format("{:X}", magnitude);
    case 'o': return fmt::format("{:o}", magnitude);
    case 'b': return fmt::format("{:b}", magnitude);
    default: return fmt::format("{}", magnitude);
  }
}

/// Digits of a float without its sign.
std::string real_digits(const Spec& spec, double v) {
  const double d = std::abs(v);
  const bool upper_case = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
  if (!std::isfinite(d))
    return std::string(std::isnan(d) ? (upper_case ? "NAN" : "nan") : (upper_case ? "INF" : "inf")) + (spec.type == '%' ? "%" : "");
  const int64_t precision = spec.precision < 0 ? 6 : spec.precision;
  if (precision > kMostDigits) mistake(fmt::format("a precision of at most {}", kMostDigits), fmt::format("{}", precision));
  const auto p = static_cast<int>(precision);
  switch (spec.type) {
    case 'e': return spec.alternate ? fmt::format("{:#.{}e}", d, p) : fmt::format("{:.{}e}", d, p);
    case 'E': return spec.alternate ? fmt::format("{:#.{}E}", d, p) : fmt::format("{:.{}E}", d, p);
    case 'g': return spec.alternate ? fmt::format("{:#.{}g}", d, std::max(p, 1)) : fmt::format("{:.{}g}", d, std::max(p, 1));
    case 'G': return spec.alternate ? fmt::format("{:#.{}G}", d, std::max(p, 1)) : fmt::format("{:.{}G}", d, std::max(p, 1));
    case '%': return fmt::format("{:.{}f}%", d * 100, p);
    default: return spec.alternate ? fmt::format("{:#.{}f}", d, p) : fmt::format("{:.{}f}", d, p);
  }
}

/// Puts sign, prefix and padding around the digits.
std::string with_sign(const Spec& spec, bool negative, const std::string& prefix, std::string digits, const Budget& budget) {
  std::string head = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  head += prefix;
  if (spec.align == '=') {
    const int64_t room = spec.width - static_cast<int64_t>(head.size());
    return head + pad_left(digits, room, spec.fill, budget);
  }
  digits = head + digits;
  if (spec.align == '<') return pad_right(digits, spec.width, spec.fill, budget);
  if (spec.align == '^') {
    const int64_t room = std::max<int64_t>(0, spec.width - static_cast<int64_t>(digits.size()));
    return pad_right(pad_left(digits, static_cast<int64_t>(digits.size()) + room / 2, spec.fill, budget), spec.width, spec.fill, budget);
  }
  return pad_left(digits, spec.width, spec.fill, budget);
}

std::string format_integer(const Spec& spec, int64_t v, const Budget& budget) {
  std::string digits = integer_digits(spec, v);
  if (spec.grouping != '\0')
    digits = grouped(digits, spec.grouping, spec.type == 'x' || spec.type == 'X' || spec.type == 'o' || spec.type == 'b' ? 4 : 3);
  const bool prefixed = spec.alternate && (spec.type == 'x' || spec.type == 'X' || spec.type == 'o' || spec.type == 'b');
  return with_sign(spec, v < 0, prefixed ? std::string("0") + spec.type : "", std::move(digits), budget);
}

std::string format_real(const Spec& spec, double v, const Budget& budget) {
  std::string digits = real_digits(spec, v);
  if (spec.grouping != '\0') {
    const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
    digits = grouped(digits.substr(0, whole), spec.grouping, 3) + digits.substr(whole);
  }
  return with_sign(spec, std::signbit(v) && !std::isnan(v), "", std::move(digits), budget);
}

std::string format_text(const Spec& spec, std::string s, const Budget& budget) {
  if (spec.precision >= 0) s = s.substr(0, byte_offset(s, static_cast<size_t>(spec.precision)));
  if (spec.align == '>') return pad_left(s, spec.width, spec.fill, budget);
  if (spec.align != '^') return pad_right(s, spec.width, spec.fill, budget);
  const auto length = static_cast<int64_t>(code_points(s));
  const int64_t room = std::max<int64_t>(0, spec.width - length);
  return pad_right(pad_left(s, length + room / 2, spec.fill, budget), spec.width, spec.fill, budget);
}

/// One run of `format % values`.
class Percent {
 public:
  Percent(Runtime& runtime, std::string_view format, const Value& values) : runtime_(runtime), format_(format), values_(values) {
    is_tuple_ = values.is_flavor(Flavor::tuple);
    is_mapping_ = values.is(Value::Kind::dict) || values.is_list() || values.is(Value::Kind::range) || values.is_undefined();
  }

  std::string run() {
    std::string out;
    while (at_ < format_.size()) {
      const size_t next = std::min(format_.find('%', at_), format_.size());
      out += format_.substr(at_, next - at_);
      at_ = next;
      if (at_ < format_.size()) {
        ++at_;
        out += conversion();
      }
      if (out.size() > runtime_.budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", runtime_.budget.max_text_bytes), "more");
    }
    const size_t count = is_tuple_ ? values_.items().items.size() : 1;
    if (used_ < count && !is_mapping_) mistake("a format that uses all its values", "one that leaves some");
    return out;
  }

 private:
  Value next_value() {
    if (is_tuple_ && used_ < values_.items().items.size()) return values_.items().items[used_++];
    if (is_tuple_ || used_ > 0) mistake("enough values for the format", "fewer");
    ++used_;
    return values_;
  }

  int64_t width_or_star() {
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      const Value v = next_value();
      if (!v.is_integral() || std::abs(v.real()) > 1e6) mistake("an integer of at most 1000000 for *", std::string(type_name(v)));
      return v.integer();
    }
    return read_number(format_, at_);
  }

  std::string conversion() {
    Spec spec;
    std::optional<Value> value;
    if (at_ < format_.size() && format_[at_] == '(') {
      const size_t close = format_.find(')', at_);
      if (close == std::string_view::npos || !values_.is(Value::Kind::dict)) mistake("a mapping for %(name)", std::string(type_name(values_)));
      const Value* v = values_.dict().find_name(format_.substr(at_ + 1, close - at_ - 1));
      if (v == nullptr) mistake("a mapping that has every name of the format", "one that lacks some");
      value = *v;
      at_ = close + 1;
    }
    bool zero = false, left = false;
    for (; at_ < format_.size() && std::string_view("#0- +").find(format_[at_]) != std::string_view::npos; ++at_) {
      const char flag = format_[at_];
      zero = zero || flag == '0';
      left = left || flag == '-';
      spec.alternate = spec.alternate || flag == '#';
      if (flag == '+' || (flag == ' ' && spec.sign != '+')) spec.sign = flag;
    }
    spec.width = width_or_star();
    if (spec.width < 0) left = true;
    spec.width = std::abs(spec.width);
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      spec.precision = std::max<int64_t>(0, width_or_star());
    }
    while (at_ < format_.size() && (format_[at_] == 'h' || format_[at_] == 'l' || format_[at_] == 'L')) ++at_;
    if (at_ == format_.size()) mistake("a complete format", "one that ends within %");
    spec.type = format_[at_++];
    if (spec.type == '%') return "%";
    spec.align = left ? '<' : '>';
    return convert(spec, value ? *value : next_value(), zero && !left);
  }

  std::string convert(Spec& spec, const Value& v, bool zero) {
    const Budget& budget = runtime_.budget;
    switch (spec.type) {
      case 's': return format_text(spec, runtime_.text(v), budget);
      case 'r': return format_text(spec, to_repr(v, runtime_.budget), budget);
      case 'c': return character(spec, v);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o': return integer(spec, v, zero);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (!v.is_number()) mistake("a number in a format", v.is_undefined() ? v.undefined_text() : std::string(type_name(v)));
        if (zero) spec.align = '=', spec.fill = "0";
        return format_real(spec, v.real(), budget);
      default: mistake("a known conversion in a format", std::string(1, spec.type));
    }
  }

  std::string integer(Spec& spec, const Value& v, bool zero) {
    const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    if (!v.is_integral() && !(decimal && v.is(Value::Kind::real)))
      mistake("an integer in a format", v.is_undefined() ? v.undefined_text() : std::string(type_name(v)));
    const auto n = v.is_integral() ? v.integer() : truncated(v.real());
    if (!n) mistake("an integer in a format", "nan");
    std::string digits = integer_digits(spec, *n);
    digits = pad_left(digits, spec.precision, "0", runtime_.budget);
    const bool prefixed = spec.alternate && !decimal;
    if (zero) spec.align = '=', spec.fill = "0";
    return with_sign(spec, *n < 0, prefixed ? std::string("0") + spec.type : "", std::move(digits), runtime_.budget);
  }

  std::string character(const Spec& spec, const Value& v) {
    std::string s;
    if (v.is_text() && v.text().length == 1) {
      s = v.bytes();
    } else if (v.is_integral() && v.integer() >= 0 && v.integer() <= 0x10ffff && (v.integer() < 0xd800 || v.integer() > 0xdfff)) {
      utf8_append(s, static_cast<char32_t>(v.integer()));
    } else {
      mistake("a character in a format", std::string(type_name(v)));
    }
    return format_text(spec, std::move(s), runtime_.budget);
  }

  Runtime& runtime_;
  std::string_view format_;
  const Value& values_;
  size_t at_ = 0, used_ = 0;
  bool is_tuple_ = false, is_mapping_ = false;
};

/// One run of format.format(…).
class Braces {
 public:
  Braces(Runtime& runtime, const Arguments& arguments) : runtime_(runtime), arguments_(arguments) {}

  std::string run(std::string_view format, int depth) {
    std::string out;
    for (size_t i = 0; i < format.size();) {
      const char c = format[i];
      if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
        out += c;
        i += 2;
      } else if (c == '}') {
        mistake("{ before } in a format", "none");
      } else if (c != '{') {
        out += c;
        ++i;
      } else {
        const size_t end = closing(format, i);
        out += field(format.substr(i + 1, end - i - 1), depth);
        i = end + 1;
      }
      if (out.size() > runtime_.budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", runtime_.budget.max_text_bytes), "more");
    }
    runtime_.budget.charge_bytes(out.size());
    return out;
  }

 private:
  static size_t closing(std::string_view format, size_t open) {
    int nested = 0;
    for (size_t i = open; i < format.size(); ++i) {
      if (format[i] == '{') ++nested;
      if (format[i] == '}' && --nested == 0) return i;
    }
    mistake("} after { in a format", "none");
  }

  std::string field(std::string_view inside, int depth) {
    if (depth > 1) mistake("fields of a format nested at most once", "more");
    const size_t name_end = std::min(inside.find_first_of("!:"), inside.size());
    Value v = look_up(inside.substr(0, name_end));
    std::string_view rest = inside.substr(name_end);
    if (rest.substr(0, 1) == "!") {
      const char kind = rest.size() > 1 ? rest[1] : '\0';
      if (kind != 's' && kind != 'r') mistake("!s or !r in a format", std::string(1, kind));
      v = kind == 's' ? Value(runtime_.text(v)) : Value(to_repr(v, runtime_.budget));
      rest.remove_prefix(2);
    }
    if (!rest.empty() && rest[0] != ':') mistake(": before the rest of a field", "something else");
    return convert(v, rest.empty() ? "" : run(rest.substr(1), depth + 1));
  }

  Value look_up(std::string_view path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value v = argument(path.substr(0, end));
    path.remove_prefix(end);
    while (!path.empty()) {
      if (path[0] == '.') {
        const size_t stop = std::min(path.find_first_of(".[", 1), path.size());
        v = runtime_.attribute(v, std::string(path.substr(1, stop - 1)));
        path.remove_prefix(stop);
        continue;
      }
      const size_t close = path.find(']');
      if (path[0] != '[' || close == std::string_view::npos) mistake("] after [ in a format", "none");
      const auto key = path.substr(1, close - 1);
      v = runtime_.item(v, is_index(key) ? Value(int64_t{std::stol(std::string(key))}) : Value(key));
      path.remove_prefix(close + 1);
    }
    return v;
  }

  static bool is_index(std::string_view s) {
    return !s.empty() && s.size() < 10 && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  Value argument(std::string_view name) {
    if (name.empty() || is_index(name)) {
      const int mode = name.empty() ? 1 : 2;
      if (mode_ != 0 && mode_ != mode) mistake("fields of a format that are all numbered or all not", "both");
      mode_ = mode;
      const size_t i = name.empty() ? next_++ : static_cast<size_t>(std::stol(std::string(name)));
      if (i >= arguments_.positional.size()) mistake("enough values for the format", "fewer");
      return arguments_.positional[i];
    }
    for (const auto& [key, value] : arguments_.keywords) {
      if (key == name) return value;
    }
    mistake("a value for every name of the format", std::string(name.substr(0, 80)));
  }

  static Spec parse(std::string_view s, bool number) {
    Spec spec;
    size_t i = 0;
    const auto is_align = [&](size_t k) { return k < s.size() && std::string_view("<>^=").find(s[k]) != std::string_view::npos; };
    const size_t first = s.empty() ? 0 : utf8_sequence(s);
    if (first > 0 && is_align(first)) {
      spec.fill = std::string(s.substr(0, first));
      spec.align = s[first];
      i = first + 1;
    } else if (is_align(0)) {
      spec.align = s[i++];
    }
    if (i < s.size() && (s[i] == '+' || s[i] == '-' || s[i] == ' ')) spec.sign = s[i++];
    if (i < s.size() && s[i] == '#') {
      spec.alternate = true;
      ++i;
    }
    if (i < s.size() && s[i] == '0') {
      if (spec.align == '\0') {
        spec.fill = "0";
        spec.align = number ? '=' : '<';
      }
      ++i;
    }
    spec.width = read_number(s, i);
    if (i < s.size() && (s[i] == ',' || s[i] == '_')) spec.grouping = s[i++];
    if (i < s.size() && s[i] == '.') {
      ++i;
      const size_t begin = i;
      spec.precision = read_number(s, i);
      if (i == begin) mistake("digits after . in a format", "none");
    }
    if (i < s.size()) spec.type = s[i++];
    if (i != s.size()) mistake("a format that ends after its type", std::string(s.substr(0, 80)));
    return spec;
  }

  std::string convert(const Value& v, std::string_view text) {
    const Budget& budget = runtime_.budget;
    if (text.empty()) return runtime_.text(v);
    Spec spec = parse(text, v.is_number());
    const auto type_is = [&](std::string_view types) { return spec.type == '\0' || types.find(spec.type) != std::string_view::npos; };
    if (v.is_text() && type_is("s") && spec.align != '=' && spec.sign == '-' && spec.grouping == '\0') return format_text(spec, v.bytes(), budget);
    if (v.is_integral() && (type_is("dxXob") && spec.type != '\0' ? true : spec.type == '\0' && v.is(Value::Kind::integer)) && spec.precision < 0) {
      return format_integer(spec, v.integer(), budget);
    }
    if (v.is_number() && spec.type != '\0' && type_is("eEfFgG%")) return format_real(spec, v.real(), budget);
    if (v.is(Value::Kind::real) && spec.type == '\0' && spec.precision < 0) {
      return with_sign(spec, std::signbit(v.real()), "", float_text(std::abs(v.real())), budget);
    }
    mistake("a format that fits the value", fmt::format("{:.80} for {}", text, type_name(v)));
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  size_t next_ = 0;
  int mode_ = 0;
};

}  // namespace

Value percent_format(Runtime& runtime, const std::string& format, const Value& values) {
  return runtime.make_text(Percent(runtime, format, values).run());
}

Value brace_format(Runtime& runtime, const std::string& format, const Arguments& arguments) {
  return runtime.make_text(Braces(runtime, arguments).run(format, 0));
}

}  // namespace attune::jinja
