#include "loader/jinja_value.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "loader/jinja_function.h"
#include "loader/jinja_text.h"

namespace attune::jinja {

void mistake(std::string expected, std::string got) { throw Mistake{std::move(expected), std::move(got)}; }

void Budget::charge(uint64_t n) {
  steps += n;
  if (steps > max_steps) mistake(fmt::format("at most {} steps", max_steps), "more");
}

int64_t Range::size() const {
  if (step > 0) return start < stop ? (stop - start - 1) / step + 1 : 0;
  return start > stop ? (start - stop - 1) / -step + 1 : 0;
}

Value::Value(std::string s) {
  auto text = std::make_shared<Text>();
  text->length = code_points(s);
  text->bytes = std::move(s);
  data_ = std::shared_ptr<const Text>(std::move(text));
}

Value Value::escaped(std::string s) {
  Value v(std::move(s));
  auto text = std::make_shared<Text>(v.text());
  text->escaped = true;
  v.data_ = std::shared_ptr<const Text>(std::move(text));
  return v;
}

Value Value::undefined(std::string what) {
  Value v;
  v.data_ = Undefined{std::make_shared<const std::string>(std::move(what))};
  return v;
}

Value Value::sequence(std::vector<Value> items, Flavor flavor) {
  auto sequence = std::make_shared<Sequence>();
  sequence->flavor = flavor;
  for (const Value& item : items) sequence->depth = std::max(sequence->depth, item.depth() + 1);
  if (sequence->depth > kMaxValueDepth) mistake(fmt::format("values nested at most {} deep", kMaxValueDepth), "more");
  sequence->items = std::move(items);
  Value v;
  v.data_ = std::shared_ptr<const Sequence>(std::move(sequence));
  return v;
}

std::string Value::undefined_text() const {
  const auto& u = std::get<Undefined>(data_);
  return u.what ? *u.what : "an undefined value";
}

const void* Value::identity() const {
  switch (kind()) {
    case Kind::sequence: return &items();
    case Kind::dict: return &dict();
    case Kind::record: return &record();
    case Kind::loop: return &loop();
    case Kind::function: return &function();
    default: return nullptr;
  }
}

int Value::depth() const {
  switch (kind()) {
    case Kind::sequence: return items().depth;
    case Kind::dict: return dict().depth();
    case Kind::function: return function().self.depth() + 1;
    default: return 0;
  }
}

const Value* Dict::find(const Value& key) const {
  const auto k = hash_key(key);
  if (!k) mistake("a hashable key", std::string(type_name(key)));
  const auto it = index_.find(*k);
  return it == index_.end() ? nullptr : &items_[it->second].second;
}

const Value* Dict::find_name(std::string_view key) const {
  std::string k = "s";
  k += key;
  const auto it = index_.find(k);
  return it == index_.end() ? nullptr : &items_[it->second].second;
}

void Dict::set(const Value& key, Value value) {
  auto k = hash_key(key);
  if (!k) mistake("a hashable key", std::string(type_name(key)));
  depth_ = std::max({depth_, key.depth() + 1, value.depth() + 1});
  if (depth_ > kMaxValueDepth) mistake(fmt::format("values nested at most {} deep", kMaxValueDepth), "more");
  const auto [it, added] = index_.try_emplace(std::move(*k), items_.size());
  if (added) {
    items_.emplace_back(key, std::move(value));
  } else {
    items_[it->second].second = std::move(value);
  }
}

std::string_view type_name(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::undefined: return "Undefined";
    case Value::Kind::none: return "NoneType";
    case Value::Kind::boolean: return "bool";
    case Value::Kind::integer: return "int";
    case Value::Kind::real: return "float";
    case Value::Kind::text: return "str";
    case Value::Kind::dict: return "dict";
    case Value::Kind::range: return "range";
    case Value::Kind::record: return "Namespace";
    case Value::Kind::loop: return "LoopContext";
    case Value::Kind::function: return "function";
    case Value::Kind::sequence: break;
  }
  switch (v.items().flavor) {
    case Flavor::list: return "list";
    case Flavor::tuple: return "tuple";
    case Flavor::keys: return "dict_keys";
    case Flavor::values: return "dict_values";
    case Flavor::pairs: return "dict_items";
    case Flavor::iterator: return "iterator";
  }
  return "object";
}

std::optional<int64_t> length_of(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::undefined: return 0;
    case Value::Kind::text: return static_cast<int64_t>(v.text().length);
    case Value::Kind::sequence:
      if (v.items().flavor == Flavor::iterator) return std::nullopt;
      return static_cast<int64_t>(v.items().items.size());
    case Value::Kind::dict: return static_cast<int64_t>(v.dict().items().size());
    case Value::Kind::range: return v.range().size();
    default: return std::nullopt;
  }
}

bool truth(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::undefined:
    case Value::Kind::none: return false;
    case Value::Kind::boolean: return v.boolean();
    case Value::Kind::integer: return v.integer() != 0;
    case Value::Kind::real: return v.real() != 0.0;
    default: return length_of(v).value_or(1) != 0;
  }
}

namespace {

/// Exact order of an integer and a float: -1, 0, 1, or 2 when the float is NaN.
int order(int64_t a, double b) {
  if (std::isnan(b)) return 2;
  if (b >= 9223372036854775808.0) return -1;
  if (b < -9223372036854775808.0) return 1;
  const auto whole = static_cast<int64_t>(b);
  if (a != whole) return a < whole ? -1 : 1;
  const double rest = b - static_cast<double>(whole);
  return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

int order_numbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
  if (a.is_integral()) return order(a.integer(), b.real());
  if (b.is_integral()) {
    const int o = order(b.integer(), a.real());
    return o == 2 ? 2 : -o;
  }
  const double x = a.real(), y = b.real();
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

bool equal_dicts(const Dict& a, const Dict& b, Budget& budget) {
  if (a.items().size() != b.items().size()) return false;
  for (const auto& [key, value] : a.items()) {
    const Value* other = b.find(key);
    if (other == nullptr || !equal(value, *other, budget)) return false;
  }
  return true;
}

bool equal_ranges(const Range& a, const Range& b) {
  if (a.size() != b.size()) return false;
  return a.size() == 0 || (a.start == b.start && (a.size() == 1 || a.step == b.step));
}

}  // namespace

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.charge();
  if (a.is_number() && b.is_number()) return order_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Value::Kind::text: budget.charge_bytes(a.bytes().size()); return a.bytes() == b.bytes();
    case Value::Kind::sequence: {
      const Sequence &x = a.items(), &y = b.items();
      if (&x == &y) return true;
      if (x.flavor != y.flavor || x.flavor == Flavor::iterator || x.flavor == Flavor::values || x.items.size() != y.items.size()) return false;
      for (size_t i = 0; i < x.items.size(); ++i) {
        if (!equal(x.items[i], y.items[i], budget)) return false;
      }
      return true;
    }
    case Value::Kind::dict: return &a.dict() == &b.dict() || equal_dicts(a.dict(), b.dict(), budget);
    case Value::Kind::range: return equal_ranges(a.range(), b.range());
    case Value::Kind::function: return a.function().builtin == b.function().builtin && a.function().macro == b.function().macro;
    case Value::Kind::record:
    case Value::Kind::loop: return a.identity() == b.identity();
    default: return true;  // none and undefined
  }
}

bool less(const Value& a, const Value& b, bool or_equal, Budget& budget) {
  budget.charge();
  if (a.is_number() && b.is_number()) {
    const int o = order_numbers(a, b);
    return o == -1 || (or_equal && o == 0);
  }
  if (a.is_text() && b.is_text()) {  // UTF-8 sorts as its code points do
    budget.charge_bytes(std::min(a.bytes().size(), b.bytes().size()));
    const int c = a.bytes().compare(b.bytes());
    return c < 0 || (or_equal && c == 0);
  }
  const bool lists = a.is_list() && b.is_list(), tuples = a.is_flavor(Flavor::tuple) && b.is_flavor(Flavor::tuple);
  if (!lists && !tuples) mistake("values that have an order", fmt::format("{} and {}", type_name(a), type_name(b)));
  const auto &x = a.items().items, &y = b.items().items;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    if (!equal(x[i], y[i], budget)) return less(x[i], y[i], or_equal, budget);
  }
  return x.size() < y.size() || (or_equal && x.size() == y.size());
}

std::optional<std::string> hash_key(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::undefined: return "u";
    case Value::Kind::none: return "n";
    case Value::Kind::boolean:
    case Value::Kind::integer: return fmt::format("i{}", v.integer());
    case Value::Kind::real: {
      const double d = v.real();
      if (d == std::floor(d) && std::abs(d) < 9.2e18) return fmt::format("i{}", static_cast<int64_t>(d));
      return fmt::format("f{}", d);
    }
    case Value::Kind::text: return "s" + v.bytes();
    case Value::Kind::range: return fmt::format("r{},{},{}", v.range().start, v.range().stop, v.range().step);
    case Value::Kind::sequence: {
      if (v.items().flavor == Flavor::iterator) return fmt::format("p{}", v.identity());
      if (v.items().flavor != Flavor::tuple) return std::nullopt;
      std::string key = "t";
      for (const Value& item : v.items().items) {
        const auto k = hash_key(item);
        if (!k) return std::nullopt;
        key += fmt::format("{}:", k->size()) + *k;
        if (key.size() > (1u << 20)) mistake("a key of at most 1 MiB", "more");
      }
      return key;
    }
    case Value::Kind::dict: return std::nullopt;
    default: return fmt::format("p{}", v.identity());
  }
}

}  // namespace attune::jinja
