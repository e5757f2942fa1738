#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "loader/jinja_filters.h"

namespace attune::jinja {
namespace {

using Kind = Value::Kind;

// Functions that every template can call.

/// The entries that dict() and namespace() take: a mapping or pairs, then names.
Dict entries(Call& c) {
  Dict out;
  if (c.rest.positional.size() > 1) mistake("one mapping at most", fmt::format("{} arguments", c.rest.positional.size()));
  if (!c.rest.positional.empty()) {
    const Value& from = c.rest.positional[0];
    if (from.is(Kind::dict)) {
      for (const auto& [key, value] : from.dict().items()) out.set(key, value);
    } else {
      for (const Value& pair : items_of(from, c.runtime.budget)) {
        std::vector<Value> both = items_of(pair, c.runtime.budget);
        if (both.size() != 2) mistake("pairs of a key and a value", fmt::format("{} values", both.size()));
        out.set(both[0], both[1]);
      }
    }
  }
  for (auto& [key, value] : c.rest.keywords) out.set(Value(key), std::move(value));
  c.runtime.budget.charge(1 + out.items().size());
  return out;
}

Value make_dict(Call& c) { return Value(std::shared_ptr<const Dict>(std::make_shared<Dict>(entries(c)))); }

Value make_namespace(Call& c) {
  Namespace* n = c.runtime.make_namespace();
  n->attributes = entries(c);
  return Value(n);
}

Value make_range(Call& c) {
  constexpr int64_t kMostItems = 100'000;  // Jinja's sandbox allows no more
  constexpr int64_t kFarthest = int64_t{1} << 60;
  Range r{0, c.integer(0, 0), c.integer(2, 1)};
  if (c.has(1)) r = {c.integer(0, 0), c.integer(1, 0), c.integer(2, 1)};
  if (r.step == 0) mistake("a step of range other than 0", "0");
  for (const int64_t v : {r.start, r.stop, r.step}) {
    if (v > kFarthest || v < -kFarthest) mistake(fmt::format("bounds of range below {}", kFarthest), fmt::format("{}", v));
  }
  if (r.size() > kMostItems) mistake(fmt::format("a range of at most {} items", kMostItems), fmt::format("{}", r.size()));
  return Value(r);
}

/// strftime() of the local time; what depends on a time zone is empty, as for Python's naive datetime.
Value print_time(Call& c) {
  std::string format;
  const std::string& wanted = c.text(0);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] != '%' || i + 1 == wanted.size()) {
      format += wanted[i];
      continue;
    }
    const char code = wanted[++i];
    if (code == 'f') {
      format += "000000";
    } else if (code != 'z' && code != 'Z') {
      format += '%';
      format += code;
    }
  }
  if (format.empty()) return Value("");
  const std::tm now = c.runtime.now();
  std::string out(format.size() * 64 + 64, '\0');
  c.runtime.budget.charge_bytes(out.size());
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &now));
  return c.runtime.make_text(std::move(out));
}

constexpr Builtin kGlobals[] = {
    {"dict", "*", make_dict},
    {"namespace", "*", make_namespace},
    {"raise_exception", "message", [](Call& c) -> Value { throw Raised{c.runtime.text(c[0])}; }},
    {"range", "/ start stop? step?", make_range},
    {"strftime_now", "format", print_time},
};

// Methods of lists, tuples, mappings and loops.

Value count(Call& c) {
  int64_t n = 0;
  for (const Value& item : items_of(c.self, c.runtime.budget)) n += equal(item, c[0], c.runtime.budget) ? 1 : 0;
  return Value(n);
}

Value index(Call& c) {
  const std::vector<Value> items = items_of(c.self, c.runtime.budget);
  const auto size = static_cast<int64_t>(items.size());
  const auto bound = [&](size_t i, int64_t otherwise) {
    const int64_t v = c.integer(i, otherwise);
    return v < 0 ? std::max<int64_t>(0, v < -size ? 0 : v + size) : std::min(v, size);
  };
  for (int64_t i = bound(1, 0); i < bound(2, size); ++i) {
    if (equal(items[static_cast<size_t>(i)], c[0], c.runtime.budget)) return Value(i);
  }
  mistake("a value that is in the list", "another");
}

Value view(Call& c, Flavor flavor) {
  std::vector<Value> out;
  for (const auto& [key, value] : c.self.dict().items()) {
    out.push_back(flavor == Flavor::keys ? key : flavor == Flavor::values ? value : Value::sequence({key, value}, Flavor::tuple));
  }
  return c.runtime.make_list(std::move(out), flavor);
}

Value get(Call& c) {
  const Value* v = c.self.dict().find(c[0]);
  return v != nullptr ? *v : c.or_else(1, Value(None{}));
}

Value cycle(Call& c) {
  if (c.rest.positional.empty() || !c.rest.keywords.empty()) mistake("values to cycle through", "none");
  return c.rest.positional[static_cast<size_t>(c.self.loop().index0()) % c.rest.positional.size()];
}

Value changed(Call& c) {
  if (!c.rest.keywords.empty()) mistake("values without names", c.rest.keywords[0].first);
  return Value(c.self.loop().changed(c.runtime.make_list(std::move(c.rest.positional), Flavor::tuple), c.runtime.budget));
}

constexpr Builtin kTupleMethods[] = {
    {"count", "/ value", count},
    {"index", "/ value start? stop?", index},
};
constexpr Builtin kListMethods[] = {
    {"copy", "/", [](Call& c) { return c.self; }},
    {"count", "/ value", count},
    {"index", "/ value start? stop?", index},
};
constexpr Builtin kDictMethods[] = {
    {"copy", "/", [](Call& c) { return c.self; }},
    {"get", "/ key default?", get},
    {"items", "/", [](Call& c) { return view(c, Flavor::pairs); }},
    {"keys", "/", [](Call& c) { return view(c, Flavor::keys); }},
    {"values", "/", [](Call& c) { return view(c, Flavor::values); }},
};
constexpr Builtin kLoopMethods[] = {
    {"changed", "*", changed},
    {"cycle", "*", cycle},
};
constexpr std::string_view kListChanges[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
constexpr std::string_view kDictChanges[] = {"clear", "pop", "popitem", "setdefault", "update"};

template <size_t N>
const Builtin* find_in(const Builtin (&table)[N], std::string_view name) {
  const auto* it = std::find_if(std::begin(table), std::end(table), [name](const Builtin& b) { return b.name == name; });
  return it == std::end(table) ? nullptr : it;
}

template <size_t N>
bool has(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

}  // namespace

const Builtin* find_global(std::string_view name) { return find_in(kGlobals, name); }

const Builtin* find_method(const Value& v, std::string_view name, bool& forbidden) {
  forbidden = (v.is_list() && has(kListChanges, name)) || (v.is(Kind::dict) && has(kDictChanges, name));
  if (v.is_text()) return find_text_method(name);
  if (v.is(Kind::dict)) return find_in(kDictMethods, name);
  if (v.is(Kind::loop)) return find_in(kLoopMethods, name);
  if (v.is_list()) return find_in(kListMethods, name);
  if (v.is_flavor(Flavor::tuple) || v.is(Kind::range)) return find_in(kTupleMethods, name);
  return nullptr;
}

}  // namespace attune::jinja
