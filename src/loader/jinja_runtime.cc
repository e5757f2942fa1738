#include "loader/jinja_runtime.h"

#include <fmt/format.h>

#include <algorithm>

#include "loader/jinja_print.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

/// The index of a Python sequence of `size` items that `index` names, negative ones from the end; −1 when outside.
int64_t real_index(int64_t index, int64_t size) {
  if (index < 0) index += size;
  return index >= 0 && index < size ? index : -1;
}

Value missing_item(const Value& object, const Value& key, Budget& budget) {
  std::string k = key.is_text() ? key.bytes().substr(0, 80) : key.is_number() ? to_repr(key, budget) : std::string(type_name(key));
  return Value::undefined(fmt::format("{} of {}, which is undefined", k, type_name(object)));
}

/// One end of a slice, moved into 0…size as Python does.
int64_t clamp(const Value& v, int64_t fallback, int64_t size, int64_t low, int64_t high) {
  if (v.is_none()) return fallback;
  int64_t i = v.integer();
  if (i < 0) i = i < -size ? low : i + size;
  return std::clamp(i, low, high);
}

}  // namespace

Value Runtime::lookup(const std::string& name) const {
  if (const Value* v = variables_.find_name(name)) return *v;
  if (const Builtin* global = find_global(name)) return Value(std::make_shared<const Function>(Function{global, Value(), nullptr}));
  return Value::undefined(name.substr(0, 80) + ", which is undefined");
}

Value Runtime::method(const Value& object, const std::string& name, bool& found) const {
  bool forbidden = false;
  const Builtin* builtin = find_method(object, name, forbidden);
  found = builtin != nullptr || forbidden;
  if (forbidden) return Value::undefined(fmt::format("{}.{}, which templates may not use", type_name(object), name));
  return builtin != nullptr ? Value(std::make_shared<const Function>(Function{builtin, object, nullptr})) : Value();
}

std::optional<Value> Runtime::loop_property(LoopState& loop, std::string_view name) {
  if (name == "index") return Value(loop.index0() + 1);
  if (name == "index0") return Value(loop.index0());
  if (name == "first") return Value(loop.index0() == 0);
  if (name == "last") return Value(loop.last());
  if (name == "length") return Value(loop.length());
  if (name == "revindex") return Value(loop.length() - loop.index0());
  if (name == "revindex0") return Value(loop.length() - loop.index0() - 1);
  if (name == "previtem") return loop.previous_item();
  if (name == "nextitem") return loop.next_item();
  if (name == "depth") return Value(int64_t{1});
  if (name == "depth0") return Value(int64_t{0});
  return std::nullopt;
}

Value Runtime::attribute(const Value& object, const std::string& name) {
  budget.charge();
  if (object.is_undefined()) mistake("a defined value before ." + name.substr(0, 80), object.undefined_text());
  if (object.is(Value::Kind::record)) {
    if (const Value* v = object.record().attributes.find_name(name)) return *v;
  } else if (object.is(Value::Kind::loop)) {
    if (auto v = loop_property(object.loop(), name)) return *std::move(v);
  }
  bool found = false;
  Value v = method(object, name, found);
  if (found) return v;
  if (object.is(Value::Kind::dict)) {
    if (const Value* value = object.dict().find_name(name)) return *value;
  }
  return missing_item(object, Value(name), budget);
}

Value Runtime::item(const Value& object, const Value& key) {
  budget.charge();
  if (object.is_undefined()) mistake("a defined value before [", object.undefined_text());
  if (object.is(Value::Kind::dict)) {
    if (hash_key(key)) {
      if (const Value* v = object.dict().find(key)) return *v;
    }
  } else if (key.is_integral()) {
    const bool indexed = object.is_text() || object.is_list() || object.is_flavor(Flavor::tuple) || object.is(Value::Kind::range);
    const int64_t i = indexed ? real_index(key.integer(), *length_of(object)) : -1;
    if (i < 0) return missing_item(object, key, budget);
    if (object.is(Value::Kind::sequence)) return object.items().items[static_cast<size_t>(i)];
    if (object.is(Value::Kind::range)) return Value(object.range().at(i));
    const std::string& s = object.bytes();
    if (object.text().ascii()) return Value(std::string(1, s[static_cast<size_t>(i)]));
    budget.charge_bytes(s.size());
    const size_t begin = byte_offset(s, static_cast<size_t>(i));
    return Value(s.substr(begin, byte_offset(std::string_view(s).substr(begin), 1)));
  }
  if (!key.is_text()) return missing_item(object, key, budget);
  if (object.is(Value::Kind::record) || object.is(Value::Kind::loop)) return attribute(object, key.bytes());
  bool found = false;
  Value v = method(object, key.bytes(), found);
  return found ? v : missing_item(object, key, budget);
}

Value Runtime::slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  const bool sliced = object.is_text() || object.is_list() || object.is_flavor(Flavor::tuple) || object.is(Value::Kind::range);
  if (!sliced) mistake("text, a list or a tuple before a slice", object.is_undefined() ? object.undefined_text() : std::string(type_name(object)));
  for (const Value* v : {&start, &stop, &step}) {
    if (!v->is_none() && !v->is_integral()) mistake("integers in a slice", std::string(type_name(*v)));
  }
  const int64_t size = *length_of(object);
  int64_t by = step.is_none() ? 1 : step.integer();
  if (by == 0) mistake("a slice step other than 0", "0");
  by = std::clamp<int64_t>(by, -(size + 1), size + 1);
  const int64_t low = by < 0 ? -1 : 0, high = by < 0 ? size - 1 : size;
  const int64_t from = clamp(start, by < 0 ? high : low, size, low, high), to = clamp(stop, by < 0 ? low : high, size, low, high);
  const Range picked{from, to, by};
  const int64_t count = picked.size();
  if (object.is(Value::Kind::range)) {
    const Range& r = object.range();
    return Value(Range{r.start + from * r.step, r.start + to * r.step, by * r.step});
  }
  if (object.is_text()) {
    const std::string& s = object.bytes();
    if (by == 1 && object.text().ascii()) return make_text(s.substr(static_cast<size_t>(from), static_cast<size_t>(count)));
    budget.charge_bytes(s.size());
    const std::u32string characters = decode(s);
    std::u32string out;
    for (int64_t i = 0; i < count; ++i) out += characters[static_cast<size_t>(picked.at(i))];
    return make_text(encode(out));
  }
  std::vector<Value> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(object.items().items[static_cast<size_t>(picked.at(i))]);
  return make_list(std::move(out), object.items().flavor);
}

bool Runtime::contains(const Value& container, const Value& item) {
  if (container.is_text()) {
    if (!item.is_text()) mistake("text before `in` text", std::string(type_name(item)));
    budget.charge_bytes(container.bytes().size());
    return container.bytes().find(item.bytes()) != std::string::npos;
  }
  if (container.is(Value::Kind::dict)) {
    budget.charge();
    return container.dict().find(item) != nullptr;
  }
  if (!Cursor::can_walk(container) || container.is(Value::Kind::loop)) mistake("a container after `in`", std::string(type_name(container)));
  Cursor cursor(container);
  for (Value v; cursor.next(v);) {
    if ((v.identity() != nullptr && v.identity() == item.identity()) || equal(v, item, budget)) return true;
  }
  return false;
}

bool Runtime::compare(std::string_view op, const Value& a, const Value& b) {
  if (op == "==") return equal(a, b, budget);
  if (op == "!=") return !equal(a, b, budget);
  if (op == "in") return contains(b, a);
  if (op == "not in") return !contains(b, a);
  for (const Value* v : {&a, &b}) {
    if (v->is_undefined()) mistake(fmt::format("defined values around {}", op), v->undefined_text());
  }
  if (op == "<" || op == "<=") return less(a, b, op == "<=", budget);
  return less(b, a, op == ">=", budget);
}

Value Runtime::call(const Value& callee, Arguments arguments) {
  budget.charge();
  if (callee.is_undefined()) mistake("something that can be called", callee.undefined_text());
  if (!callee.is(Value::Kind::function)) mistake("something that can be called", std::string(type_name(callee)));
  const Function& f = callee.function();
  return f.macro != nullptr ? run_macro(*f.macro, std::move(arguments)) : run_builtin(*this, *f.builtin, f.self, std::move(arguments));
}

std::string Runtime::text(const Value& v) {
  std::string s = to_text(v, budget);
  budget.charge_bytes(s.size());
  return s;
}

Value Runtime::make_text(std::string s) {
  budget.charge_bytes(s.size());
  if (s.size() > budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", budget.max_text_bytes), "more");
  return Value(std::move(s));
}

Value Runtime::make_list(std::vector<Value> items, Flavor flavor) {
  budget.charge(1 + items.size() / 4);
  if (items.size() > budget.max_items) mistake(fmt::format("lists of at most {} items", budget.max_items), "more");
  return Value::sequence(std::move(items), flavor);
}

Namespace* Runtime::make_namespace() {
  budget.charge(8);
  return &namespaces_.emplace_back();
}

LoopState* Runtime::make_loop(const Value& source, LoopState::Test test) {
  budget.charge(8);
  return &loops_.emplace_back(source, std::move(test));
}

const Macro* Runtime::make_macro(const Statement& definition, Activation* outer) {
  budget.charge(8);
  return &macros_.emplace_back(Macro{&definition, outer});
}

Activation* Runtime::make_activation() {
  budget.charge(8);
  return &activations_.emplace_back();
}

std::tm Runtime::now() const {
  if (now_) return *now_;
  const std::time_t seconds = std::time(nullptr);
  std::tm out{};
  localtime_r(&seconds, &out);
  return out;
}

Value dotted_item(Runtime& runtime, Value object, const Value& path) {
  if (path.is_none()) return object;
  if (!path.is_text()) return runtime.item(object, path);
  for (const std::string_view part : split(path.bytes(), ".", -1)) {
    const bool is_index = !part.empty() && part.size() < 10 && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    object = runtime.item(object, is_index ? Value(static_cast<int64_t>(std::stoll(std::string(part)))) : Value(part));
  }
  return object;
}

}  // namespace attune::jinja
