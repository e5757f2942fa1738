#pragma once

#include <string_view>
#include <vector>

#include "loader/jinja_value.h"

namespace attune::jinja {

class Runtime;
struct Macro;

/// Arguments as written at a call.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

/// One running call of a built-in: the value it works on and its arguments, by position in `Builtin::params`.
struct Call {
  Runtime& runtime;
  const Value& self;
  std::vector<Value> values;
  std::vector<bool> given;
  Arguments rest;  ///< everything, where params is "*"

  bool has(size_t i) const { return given[i]; }
  const Value& operator[](size_t i) const { return values[i]; }
  Value or_else(size_t i, const Value& fallback) const { return given[i] ? values[i] : fallback; }
  /// The argument as a bool, an integer or text; a Mistake when it is something else.
  bool flag(size_t i, bool fallback) const;
  int64_t integer(size_t i, int64_t fallback) const;
  const std::string& text(size_t i) const;
};

/// A filter, test, method or global function. `params` lists the names, `?` marks optional ones, a leading `/` forbids
/// keywords, and "*" takes anything.
struct Builtin {
  std::string_view name;
  std::string_view params;
  Value (*run)(Call& call);
};

/// A callable value: a built-in bound to what it was read from, or a macro.
struct Function {
  const Builtin* builtin = nullptr;
  Value self;
  const Macro* macro = nullptr;
};

/// Null when there is no built-in of that name.
const Builtin* find_filter(std::string_view name);
const Builtin* find_test(std::string_view name);
const Builtin* find_global(std::string_view name);
/// The method `name` of values like `v`; `forbidden` is set for methods that would change it.
const Builtin* find_method(const Value& v, std::string_view name, bool& forbidden);

/// Binds the arguments to the parameters and runs the built-in.
Value run_builtin(Runtime& runtime, const Builtin& builtin, const Value& self, Arguments arguments);

}  // namespace attune::jinja
