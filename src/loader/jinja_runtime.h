#pragma once

#include <ctime>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "loader/jinja_ast.h"
#include "loader/jinja_function.h"
#include "loader/jinja_loop.h"
#include "loader/jinja_value.h"

namespace attune::jinja {

/// The variables of one running function, and of the functions around it.
struct Activation {
  std::vector<Value> slots;
  Activation* outer = nullptr;
};

/// A macro or the body of a call block, with the variables around its definition.
struct Macro {
  const Statement* definition = nullptr;
  Activation* outer = nullptr;
};

/// Thrown by raise_exception(): the message is the template author's own.
struct Raised {
  std::string message;
};

/// One rendering: its budget, its variables, and the operations of the language on values.
class Runtime {
 public:
  using RunMacro = std::function<Value(const Macro&, Arguments)>;

  Runtime(const Dict& variables, Budget limits, std::optional<std::tm> now) : budget(limits), variables_(variables), now_(now) {}

  Budget budget;
  int line = 1;  ///< where the rendering stands, for messages

  /// The value of a name that the template does not set itself.
  Value lookup(const std::string& name) const;

  /// `object.name`, `object[key]` and `object[start:stop:step]` (none where left out).
  Value attribute(const Value& object, const std::string& name);
  Value item(const Value& object, const Value& key);
  Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);

  /// Python's binary operators + - * / // % ** and unary minus.
  Value binary(std::string_view op, const Value& a, const Value& b);
  Value negative(const Value& v) const;
  /// ==, !=, <, <=, >, >=, in, not in.
  bool compare(std::string_view op, const Value& a, const Value& b);
  bool contains(const Value& container, const Value& item);

  Value call(const Value& callee, Arguments arguments);

  /// str(), paid for.
  std::string text(const Value& v);
  /// A new string or list, paid for and within the limits.
  Value make_text(std::string s);
  Value make_text(std::string_view s) { return make_text(std::string(s)); }
  Value make_list(std::vector<Value> items, Flavor flavor = Flavor::list);

  Namespace* make_namespace();
  LoopState* make_loop(const Value& source, LoopState::Test test);
  const Macro* make_macro(const Statement& definition, Activation* outer);
  Activation* make_activation();

  /// The time that strftime_now() prints.
  std::tm now() const;

  RunMacro run_macro;

 private:
  Value method(const Value& object, const std::string& name, bool& found) const;
  std::optional<Value> loop_property(LoopState& loop, std::string_view name);
  Value arithmetic(std::string_view op, const Value& a, const Value& b) const;
  Value repeat(const Value& sequence, int64_t times);

  const Dict& variables_;
  std::optional<std::tm> now_;
  // What lives as long as the rendering; values point into these.
  std::deque<Namespace> namespaces_;
  std::deque<LoopState> loops_;
  std::deque<Macro> macros_;
  std::deque<Activation> activations_;
};

/// Looks up `a.b.0` part by part, as the `attribute` argument of filters does.
Value dotted_item(Runtime& runtime, Value object, const Value& path);

/// Python's `format % values`.
Value percent_format(Runtime& runtime, const std::string& format, const Value& values);

}  // namespace attune::jinja
