#include "loader/jinja_print.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/utf8.h"
#include "loader/jinja_loop.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

/// Prints into one string whose size is limited, which also bounds the walk over shared containers.
class Printer {
 public:
  explicit Printer(Budget& budget) : budget_(budget) {}

  std::string take() {
    check();
    return std::move(out_);
  }

  void repr(const Value& v, int depth) {
    check();
    if (depth > 2 * kMaxValueDepth) mistake("a value that is not so deep that it cannot be printed", "more");
    switch (v.kind()) {
      case Value::Kind::undefined: out_ += "Undefined"; return;
      case Value::Kind::none: out_ += "None"; return;
      case Value::Kind::boolean: out_ += v.boolean() ? "True" : "False"; return;
      case Value::Kind::integer: out_ += fmt::format("{}", v.integer()); return;
      case Value::Kind::real: out_ += float_text(v.real()); return;
      case Value::Kind::text:
        if (v.text().escaped) out_ += "Markup(";
        quoted(v.bytes());
        if (v.text().escaped) out_ += ')';
        return;
      case Value::Kind::sequence: sequence(v.items(), depth); return;
      case Value::Kind::dict: dict(v.dict(), depth); return;
      case Value::Kind::range: range(v.range()); return;
      case Value::Kind::record:
        out_ += "<Namespace ";
        dict(v.record().attributes, depth);
        out_ += ">";
        return;
      case Value::Kind::loop: out_ += fmt::format("<LoopContext {}/{}>", v.loop().index0() + 1, v.loop().length()); return;
      case Value::Kind::function: mistake("something that can be printed", "a function");
    }
  }

 private:
  void check() {
    budget_.charge();
    if (out_.size() > budget_.max_text_bytes) mistake(fmt::format("text of at most {} bytes", budget_.max_text_bytes), "more");
  }

  void quoted(const std::string& s) {
    budget_.charge_bytes(s.size());
    const char quote = s.find('\'') != std::string::npos && s.find('"') == std::string::npos ? '"' : '\'';
    out_ += quote;
    for (const char32_t c : decode(s)) {
      if (c == static_cast<char32_t>(quote) || c == '\\') {
        out_ += '\\';
        out_ += static_cast<char>(c);
      } else if (c == '\n' || c == '\r' || c == '\t') {
        out_ += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
      } else if (is_printable(c)) {
        utf8_append(out_, c);
      } else if (c < 0x100) {
        out_ += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
      } else if (c < 0x10000) {
        out_ += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
      } else {
        out_ += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
      }
    }
    out_ += quote;
  }

  void sequence(const Sequence& s, int depth) {
    if (s.flavor == Flavor::iterator) mistake("something that can be printed", "an iterator (add `| list`)");
    const bool view = s.flavor != Flavor::list && s.flavor != Flavor::tuple;
    if (view) out_ += s.flavor == Flavor::keys ? "dict_keys(" : s.flavor == Flavor::values ? "dict_values(" : "dict_items(";
    out_ += s.flavor == Flavor::tuple ? '(' : '[';
    for (size_t i = 0; i < s.items.size(); ++i) {
      if (i > 0) out_ += ", ";
      repr(s.items[i], depth + 1);
    }
    if (s.flavor == Flavor::tuple && s.items.size() == 1) out_ += ',';
    out_ += s.flavor == Flavor::tuple ? ')' : ']';
    if (view) out_ += ')';
  }

  void dict(const Dict& d, int depth) {
    out_ += '{';
    for (size_t i = 0; i < d.items().size(); ++i) {
      if (i > 0) out_ += ", ";
      repr(d.items()[i].first, depth + 1);
      out_ += ": ";
      repr(d.items()[i].second, depth + 1);
    }
    out_ += '}';
  }

  void range(const Range& r) {
    out_ += r.step == 1 ? fmt::format("range({}, {})", r.start, r.stop) : fmt::format("range({}, {}, {})", r.start, r.stop, r.step);
  }

  Budget& budget_;
  std::string out_;
};

}  // namespace

std::string float_text(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific);
  const std::string_view s(buffer, static_cast<size_t>(end - buffer));
  const size_t e = s.find('e');
  const bool negative = s[0] == '-';
  std::string digits(1, s[negative]);
  if (e > size_t{negative} + 1) digits += s.substr(size_t{negative} + 2, e - size_t{negative} - 2);
  const int exponent = std::stoi(std::string(s.substr(e + 1)));
  std::string out = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string to_repr(const Value& v, Budget& budget) {
  Printer printer(budget);
  printer.repr(v, 0);
  return printer.take();
}

std::string to_text(const Value& v, Budget& budget) {
  if (v.is_text()) return v.bytes();
  if (v.is_undefined()) return "";
  return to_repr(v, budget);
}

}  // namespace attune::jinja
