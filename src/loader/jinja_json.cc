#include "loader/jinja_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/utf8.h"
#include "loader/jinja_print.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

std::string checked(const std::string& s) {
  if (!utf8_valid(s)) mistake("text in UTF-8", "other bytes");
  return s;
}

class Writer {
 public:
  Writer(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  std::string take() { return std::move(out_); }

  void write(const Value& v, size_t level) {
    budget_.charge();
    if (out_.size() > budget_.max_text_bytes) mistake(fmt::format("text of at most {} bytes", budget_.max_text_bytes), "more");
    if (v.is_text()) {
      quoted(v.bytes());
    } else if (v.is(Value::Kind::dict)) {
      object(v.dict(), level);
    } else if (v.is_list() || v.is_flavor(Flavor::tuple)) {
      array(v.items().items, level);
    } else if (auto s = plain(v)) {
      out_ += *s;
    } else {
      mistake("a value that JSON can hold", v.is_undefined() ? v.undefined_text() : std::string(type_name(v)));
    }
  }

 private:
  static std::optional<std::string> plain(const Value& v) {
    switch (v.kind()) {
      case Value::Kind::none: return "null";
      case Value::Kind::boolean: return v.boolean() ? "true" : "false";
      case Value::Kind::integer: return fmt::format("{}", v.integer());
      case Value::Kind::real:
        if (std::isnan(v.real())) return "NaN";
        if (std::isinf(v.real())) return v.real() > 0 ? "Infinity" : "-Infinity";
        return float_text(v.real());
      default: return std::nullopt;
    }
  }

  void unit(uint32_t u) { out_ += fmt::format("\\u{:04x}", u); }

  void quoted(const std::string& s) {
    budget_.charge_bytes(s.size());
    constexpr std::string_view kFrom = "\"\\\n\r\t\f\b", kTo = "\"\\nrtfb";
    out_ += '"';
    for (const char32_t c : decode(s)) {
      const size_t known = c < 0x80 ? kFrom.find(static_cast<char>(c)) : std::string_view::npos;
      if (known != std::string_view::npos) {
        out_ += '\\';
        out_ += kTo[known];
      } else if (c < 0x20 || (style_.ascii && c > 0x7e && c < 0x10000)) {
        unit(c);
      } else if (style_.ascii && c >= 0x10000) {
        unit(0xd800 + ((c - 0x10000) >> 10));
        unit(0xdc00 + ((c - 0x10000) & 0x3ff));
      } else {
        utf8_append(out_, c);
      }
    }
    out_ += '"';
  }

  void new_line(size_t level) {
    if (!style_.lines) return;
    out_ += '\n';
    for (size_t i = 0; i < level; ++i) out_ += style_.indent;
    if (out_.size() > budget_.max_text_bytes) mistake(fmt::format("text of at most {} bytes", budget_.max_text_bytes), "more");
  }

  void array(const std::vector<Value>& items, size_t level) {
    out_ += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      new_line(level + 1);
      write(items[i], level + 1);
    }
    if (!items.empty()) new_line(level);
    out_ += ']';
  }

  void object(const Dict& d, size_t level) {
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : d.items()) items.push_back(&item);
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(), [this](const auto* a, const auto* b) { return less(a->first, b->first, false, budget_); });
    }
    out_ += '{';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      new_line(level + 1);
      key(items[i]->first);
      out_ += style_.key_separator;
      write(items[i]->second, level + 1);
    }
    if (!items.empty()) new_line(level);
    out_ += '}';
  }

  void key(const Value& k) {
    if (k.is_text()) return quoted(k.bytes());
    const auto s = plain(k);
    if (!s) mistake("a key that JSON can hold", std::string(type_name(k)));
    quoted(*s);
  }

  const JsonStyle& style_;
  Budget& budget_;
  std::string out_;
};

}  // namespace

Value from_json(const nlohmann::ordered_json& json, int depth) {
  if (depth >= kMaxValueDepth) mistake(fmt::format("values nested at most {} deep", kMaxValueDepth), "more");
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::boolean: return Value(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer: return Value(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned: {
      const auto u = json.get<uint64_t>();
      if (u > static_cast<uint64_t>(INT64_MAX)) mistake("integers of at most 64 bits", fmt::format("{}", u));
      return Value(static_cast<int64_t>(u));
    }
    case nlohmann::ordered_json::value_t::number_float: return Value(json.get<double>());
    case nlohmann::ordered_json::value_t::string: return Value(checked(json.get_ref<const std::string&>()));
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(from_json(item, depth + 1));
      return Value::sequence(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      auto out = std::make_shared<Dict>();
      for (const auto& [key, value] : json.items()) out->set(Value(checked(key)), from_json(value, depth + 1));
      return Value(std::shared_ptr<const Dict>(std::move(out)));
    }
    default: return Value(None{});
  }
}

std::string to_json(const Value& v, const JsonStyle& style, Budget& budget) {
  Writer writer(style, budget);
  writer.write(v, 0);
  return writer.take();
}

}  // namespace attune::jinja
