#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <unordered_set>

#include "loader/jinja_filters.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

/// Text in lower case, anything else as it is: what sorting compares unless asked to be case sensitive.
Value without_case(const Value& v) { return v.is_text() ? Value(lower(v.bytes())) : v; }

Value key_of(Call& c, const Value& item, const Value& attribute, bool case_sensitive) {
  Value key = dotted_item(c.runtime, item, attribute);
  if (key.is_text()) c.runtime.budget.charge_bytes(key.bytes().size());
  return case_sensitive ? key : without_case(key);
}

/// The items in the order of their keys; equal ones keep theirs.
std::vector<Value> sorted(Call& c, const std::vector<Value>& items, const std::vector<Value>& keys, bool descending) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return less(keys[descending ? b : a], keys[descending ? a : b], false, c.runtime.budget); });
  std::vector<Value> out;
  for (const size_t i : order) out.push_back(items[i]);
  return out;
}

Value sort(Call& c) {
  const Value attribute = c.or_else(2, Value(None{}));
  std::vector<Value> paths;
  if (attribute.is_text()) {
    for (const std::string_view path : split(attribute.bytes(), ",", -1)) paths.emplace_back(path);
  } else {
    paths.push_back(attribute);
  }
  const std::vector<Value> items = items_of(c.self, c.runtime.budget);
  std::vector<Value> keys;
  for (const Value& item : items) {
    std::vector<Value> parts;
    for (const Value& path : paths) parts.push_back(key_of(c, item, path, c.flag(1, false)));
    keys.push_back(Value::sequence(std::move(parts)));
  }
  return c.runtime.make_list(sorted(c, items, keys, c.flag(0, false)));
}

Value sort_dict(Call& c) {
  if (!c.self.is(Value::Kind::dict)) mistake("a mapping for dictsort", std::string(type_name(c.self)));
  const std::string by = c.has(1) ? c.text(1) : "key";
  if (by != "key" && by != "value") mistake("key or value to sort by", by.substr(0, 80));
  std::vector<Value> items, keys;
  for (const auto& [key, value] : c.self.dict().items()) {
    items.push_back(Value::sequence({key, value}, Flavor::tuple));
    keys.push_back(key_of(c, by == "key" ? key : value, Value(None{}), c.flag(0, false)));
  }
  return c.runtime.make_list(sorted(c, items, keys, c.flag(2, false)));
}

Value extreme(Call& c, bool largest) {
  std::vector<Value> items = items_of(c.self, c.runtime.budget);
  if (items.empty()) return Value::undefined("the extreme item of an empty sequence");
  const Value attribute = c.or_else(1, Value(None{}));
  size_t best = 0;
  Value best_key = key_of(c, items[0], attribute, c.flag(0, false));
  for (size_t i = 1; i < items.size(); ++i) {
    Value key = key_of(c, items[i], attribute, c.flag(0, false));
    if (!c.runtime.compare(largest ? ">" : "<", key, best_key)) continue;
    best = i;
    best_key = std::move(key);
  }
  return items[best];
}

Value unique(Call& c) {
  std::unordered_set<std::string> seen;
  std::vector<Value> out;
  for (Value& item : items_of(c.self, c.runtime.budget)) {
    auto key = hash_key(key_of(c, item, c.or_else(1, Value(None{})), c.flag(0, false)));
    if (!key) mistake("hashable values for unique", "others");
    if (seen.insert(std::move(*key)).second) out.push_back(std::move(item));
  }
  return c.runtime.make_list(std::move(out), Flavor::iterator);
}

Value join(Call& c) {
  const std::string separator = c.has(0) ? c.runtime.text(c[0]) : "";
  const Value attribute = c.or_else(1, Value(None{}));
  std::string out;
  bool first = true;
  Cursor cursor(c.self);
  for (Value item; cursor.next(item); first = false) {
    if (!first) out += separator;
    const Value v = dotted_item(c.runtime, item, attribute);
    out += v.is_text() ? v.bytes() : c.runtime.text(v);
    c.runtime.budget.charge_bytes(separator.size());
    if (out.size() > c.runtime.budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", c.runtime.budget.max_text_bytes), "more");
  }
  return c.runtime.make_text(std::move(out));
}

Value first(Call& c) {
  Cursor cursor(c.self);
  Value item;
  return cursor.next(item) ? item : Value::undefined("the first item of an empty sequence");
}

Value last(Call& c) {
  if (c.self.is_flavor(Flavor::iterator)) mistake("something that can be reversed", "an iterator (add `| list`)");
  std::vector<Value> items = items_of(c.self, c.runtime.budget);
  return items.empty() ? Value::undefined("the last item of an empty sequence") : items.back();
}

Value reverse(Call& c) {
  if (c.self.is_text()) return c.runtime.slice(c.self, Value(None{}), Value(None{}), Value(int64_t{-1}));
  std::vector<Value> items = items_of(c.self, c.runtime.budget);
  std::reverse(items.begin(), items.end());
  return c.runtime.make_list(std::move(items), c.self.is_flavor(Flavor::iterator) ? Flavor::list : Flavor::iterator);
}

Value sum(Call& c) {
  Value total = c.or_else(1, Value(int64_t{0}));
  if (total.is_text()) mistake("a start of sum that is not text", "text");
  for (const Value& item : items_of(c.self, c.runtime.budget)) {
    total = c.runtime.binary("+", total, dotted_item(c.runtime, item, c.or_else(0, Value(None{}))));
  }
  return total;
}

Value pairs(Call& c) {
  std::vector<Value> out;
  if (!c.self.is_undefined()) {
    if (!c.self.is(Value::Kind::dict)) mistake("a mapping for items", std::string(type_name(c.self)));
    for (const auto& [key, value] : c.self.dict().items()) out.push_back(Value::sequence({key, value}, Flavor::tuple));
  }
  return c.runtime.make_list(std::move(out), Flavor::iterator);
}

Value batch(Call& c) {
  const int64_t size = c.integer(0, 0);
  if (size > static_cast<int64_t>(c.runtime.budget.max_items))
    mistake(fmt::format("batches of at most {} items", c.runtime.budget.max_items), "more");
  std::vector<Value> out, row;
  for (Value& item : items_of(c.self, c.runtime.budget)) {
    if (static_cast<int64_t>(row.size()) == size) out.push_back(c.runtime.make_list(std::exchange(row, {})));
    row.push_back(std::move(item));
  }
  if (!row.empty()) {
    if (c.has(1) && !c[1].is_none()) {
      while (static_cast<int64_t>(row.size()) < size) row.push_back(c[1]);
    }
    out.push_back(c.runtime.make_list(std::move(row)));
  }
  return c.runtime.make_list(std::move(out), Flavor::iterator);
}

Value slices(Call& c) {
  const std::vector<Value> items = items_of(c.self, c.runtime.budget);
  const int64_t count = c.integer(0, 0), total = static_cast<int64_t>(items.size());
  if (count == 0) mistake("slices of another number than 0", "0");
  if (count > static_cast<int64_t>(c.runtime.budget.max_items)) mistake(fmt::format("at most {} slices", c.runtime.budget.max_items), "more");
  std::vector<Value> out;
  auto at = items.begin();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t size = total / count + (i < total % count ? 1 : 0);
    std::vector<Value> part(at, at + size);
    at += size;
    if (c.has(1) && !c[1].is_none() && i >= total % count) part.push_back(c[1]);
    out.push_back(c.runtime.make_list(std::move(part)));
  }
  return c.runtime.make_list(std::move(out), Flavor::iterator);
}

Value with_default(Call& c, const Value& item, const Value& path, const Value& otherwise) {
  if (otherwise.is_none() || !path.is_text()) {
    Value v = dotted_item(c.runtime, item, path);
    return v.is_undefined() && !otherwise.is_none() ? otherwise : v;
  }
  Value v = item;
  for (const std::string_view part : split(path.bytes(), ".", -1)) {
    v = dotted_item(c.runtime, v, Value(part));
    if (v.is_undefined()) v = otherwise;
  }
  return v;
}

Value map_attribute(Call& c) {
  Value path, otherwise(None{});
  for (const auto& [name, value] : c.rest.keywords) {
    if (name != "attribute" && name != "default") mistake("attribute and default as the arguments of map", name.substr(0, 80));
    (name == "attribute" ? path : otherwise) = value;
  }
  std::vector<Value> out;
  for (const Value& item : items_of(c.self, c.runtime.budget)) out.push_back(with_default(c, item, path, otherwise));
  return c.runtime.make_list(std::move(out), Flavor::iterator);
}

Value map(Call& c) {
  if (!truth(c.self)) return c.runtime.make_list({}, Flavor::iterator);
  auto& positional = c.rest.positional;
  const auto names_attribute = [](const auto& k) { return k.first == "attribute"; };
  if (positional.empty() && std::any_of(c.rest.keywords.begin(), c.rest.keywords.end(), names_attribute)) return map_attribute(c);
  const Builtin* filter = !positional.empty() && positional[0].is_text() ? find_filter(positional[0].bytes()) : nullptr;
  if (filter == nullptr) mistake("the name of a filter for map", positional.empty() ? "nothing" : c.runtime.text(positional[0]).substr(0, 80));
  positional.erase(positional.begin());
  std::vector<Value> out;
  for (const Value& item : items_of(c.self, c.runtime.budget)) out.push_back(run_builtin(c.runtime, *filter, item, c.rest));
  return c.runtime.make_list(std::move(out), Flavor::iterator);
}

Value choose(Call& c, bool keep, bool by_attribute) {
  if (!truth(c.self)) return c.runtime.make_list({}, Flavor::iterator);
  auto& positional = c.rest.positional;
  Value attribute(None{});
  if (by_attribute) {
    if (positional.empty()) mistake("the name of an attribute", "nothing");
    attribute = positional[0];
    positional.erase(positional.begin());
  }
  const Builtin* test = nullptr;
  if (!positional.empty()) {
    test = positional[0].is_text() ? find_test(positional[0].bytes()) : nullptr;
    if (test == nullptr) mistake("the name of a test", c.runtime.text(positional[0]).substr(0, 80));
    positional.erase(positional.begin());
  }
  std::vector<Value> out;
  for (Value& item : items_of(c.self, c.runtime.budget)) {
    const Value v = dotted_item(c.runtime, item, attribute);
    if (truth(test != nullptr ? run_builtin(c.runtime, *test, v, c.rest) : v) == keep) out.push_back(std::move(item));
  }
  return c.runtime.make_list(std::move(out), Flavor::iterator);
}

constexpr Builtin kFilters[] = {
    {"batch", "linecount fill_with?", batch},
    {"dictsort", "case_sensitive? by? reverse?", sort_dict},
    {"first", "", first},
    {"items", "", pairs},
    {"join", "d? attribute?", join},
    {"last", "", last},
    {"list", "", [](Call& c) { return c.runtime.make_list(items_of(c.self, c.runtime.budget)); }},
    {"map", "*", map},
    {"max", "case_sensitive? attribute?", [](Call& c) { return extreme(c, true); }},
    {"min", "case_sensitive? attribute?", [](Call& c) { return extreme(c, false); }},
    {"reject", "*", [](Call& c) { return choose(c, false, false); }},
    {"rejectattr", "*", [](Call& c) { return choose(c, false, true); }},
    {"reverse", "", reverse},
    {"select", "*", [](Call& c) { return choose(c, true, false); }},
    {"selectattr", "*", [](Call& c) { return choose(c, true, true); }},
    {"slice", "slices fill_with?", slices},
    {"sort", "reverse? case_sensitive? attribute?", sort},
    {"sum", "attribute? start?", sum},
    {"unique", "case_sensitive? attribute?", unique},
};

}  // namespace

const Builtin* find_sequence_filter(std::string_view name) {
  const auto* it = std::find_if(std::begin(kFilters), std::end(kFilters), [name](const Builtin& b) { return b.name == name; });
  return it == std::end(kFilters) ? nullptr : it;
}

}  // namespace attune::jinja
