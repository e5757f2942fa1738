#include "loader/jinja_eval.h"

#include <fmt/format.h>

#include <algorithm>

namespace attune::jinja {
namespace {

/// Statements, expressions and macro calls together run at most this deep: each takes stack.
constexpr int kMaxDepth = 800;

enum class Flow { next, leave_loop, next_round };

class Evaluator {
 public:
  Evaluator(Runtime& runtime, uint64_t max_output_bytes) : runtime_(runtime), max_output_bytes_(max_output_bytes) {
    runtime_.run_macro = [this](const Macro& macro, Arguments arguments) { return call_macro(macro, std::move(arguments)); };
  }

  std::string run(const Template& t) {
    Activation root;
    root.slots.resize(static_cast<size_t>(t.slots));
    here_ = &root;
    enter(t.scope);
    run_block(t.body);
    return std::move(out_);
  }

 private:
  /// Counts how deep the evaluation is.
  struct Depth {
    explicit Depth(Evaluator& e) : evaluator(e) {
      if (++e.depth_ > kMaxDepth) mistake(fmt::format("at most {} nested evaluations", kMaxDepth), "more");
    }
    ~Depth() { --evaluator.depth_; }
    Evaluator& evaluator;
  };

  /// Prints into a text of its own while it lives.
  struct Capture {
    explicit Capture(Evaluator& e) : evaluator(e) { before.swap(e.out_); }
    ~Capture() { before.swap(evaluator.out_); }
    std::string take() { return std::exchange(evaluator.out_, {}); }
    Evaluator& evaluator;
    std::string before;
  };

  /// Makes another function the current one while it lives.
  struct Enter {
    Enter(Evaluator& e, Activation* a) : evaluator(e), before(std::exchange(e.here_, a)) {}
    ~Enter() { evaluator.here_ = before; }
    Evaluator& evaluator;
    Activation* before;
  };

  Value& slot(const Variable& v) {
    Activation* a = here_;
    for (int i = 0; i < v.hops; ++i) a = a->outer;
    return a->slots[static_cast<size_t>(v.slot)];
  }

  void enter(const Scope& scope) {
    for (const InitialValue& v : scope) {
      Value& to = here_->slots[static_cast<size_t>(v.slot)];
      if (v.kind == InitialValue::Kind::missing) {
        to = Value();
      } else if (v.kind == InitialValue::Kind::context) {
        to = runtime_.lookup(v.name);
      } else {
        to = Value(slot(v.from));
      }
    }
    runtime_.budget.charge(1 + scope.size());
  }

  void write(std::string_view s) {
    runtime_.budget.charge_bytes(s.size());
    if (out_.size() + s.size() > max_output_bytes_) mistake(fmt::format("at most {} bytes of output", max_output_bytes_), "more");
    out_ += s;
  }

  void print(const Value& v) {
    if (v.is_text()) {
      write(v.bytes());
    } else {
      write(runtime_.text(v));
    }
  }

  /// Prints what a block made, which must be text.
  void print_text(const Value& v) {
    if (!v.is_text()) mistake("a block that makes text", std::string(type_name(v)));
    write(v.bytes());
  }

  // Statements.

  Flow run_block(const Block& block) {
    for (const auto& s : block) {
      const Flow flow = run_statement(*s);
      if (flow != Flow::next) return flow;
    }
    return Flow::next;
  }

  Flow run_statement(const Statement& s) {
    const Depth depth(*this);
    runtime_.budget.charge();
    runtime_.line = s.line;
    switch (s.kind) {
      case StatementKind::data: write(s.text); return Flow::next;
      case StatementKind::print:
        for (const auto& e : s.expressions) print(eval(*e));
        return Flow::next;
      case StatementKind::if_chain: return if_chain(s);
      case StatementKind::for_loop: return for_loop(s);
      case StatementKind::set: assign(s.targets[0], eval(*s.expressions[0])); return Flow::next;
      case StatementKind::macro: assign(s.targets[0], macro_value(s)); return Flow::next;
      case StatementKind::set_block:
      case StatementKind::filter_block: return captured(s);
      case StatementKind::call_block: print_text(call(*s.expressions[0], &s)); return Flow::next;
      case StatementKind::with: {
        std::vector<Value> values;
        for (const auto& e : s.expressions) values.push_back(eval(*e));
        enter(s.scope);
        for (size_t i = 0; i < values.size(); ++i) assign(s.targets[i], values[i]);
        return run_block(s.blocks[0]);
      }
      case StatementKind::generation: print(call_macro(Macro{&s, here_}, {})); return Flow::next;
      case StatementKind::loop_break: return Flow::leave_loop;
      case StatementKind::loop_continue: return Flow::next_round;
    }
    return Flow::next;
  }

  Flow if_chain(const Statement& s) {
    for (size_t i = 0; i < s.expressions.size(); ++i) {
      if (truth(eval(*s.expressions[i]))) return run_block(s.blocks[i]);
    }
    return s.blocks.size() > s.expressions.size() ? run_block(s.blocks.back()) : Flow::next;
  }

  Flow for_loop(const Statement& s) {
    LoopState::Test test;
    if (s.expressions[1]) {
      test = [this, &s, a = here_](const Value& item) {
        const Enter inside(*this, a);
        enter(s.test_scope);
        assign(s.test_target, item);
        return truth(eval(*s.expressions[1]));
      };
    }
    LoopState* loop = runtime_.make_loop(eval(*s.expressions[0]), std::move(test));
    bool finished_a_round = false;
    for (Value item; loop->next(item);) {
      enter(s.scope);
      here_->slots[static_cast<size_t>(s.loop_slot)] = Value(loop);
      assign(s.targets[0], item);
      const Flow flow = run_block(s.blocks[0]);
      if (flow == Flow::leave_loop) break;
      if (flow == Flow::next) finished_a_round = true;  // as in Jinja, a round left by `continue` does not count for `else`
    }
    loop->close();
    if (finished_a_round || s.blocks[1].empty()) return Flow::next;
    enter(s.else_scope);
    return run_block(s.blocks[1]);
  }

  Flow captured(const Statement& s) {
    enter(s.scope);
    Value result;
    {
      Capture capture(*this);
      const Flow flow = run_block(s.blocks[0]);
      if (flow != Flow::next) return flow;
      captured_ = runtime_.make_text(capture.take());
    }
    result = s.expressions[0] ? eval(*s.expressions[0]) : captured_;
    if (s.kind == StatementKind::filter_block) {
      print_text(result);
    } else {
      assign(s.targets[0], result);
    }
    return Flow::next;
  }

  void assign(const Target& t, const Value& value) {
    runtime_.budget.charge();
    if (t.kind == Target::Kind::name) {
      slot(t.variable) = value;
      return;
    }
    if (t.kind == Target::Kind::attribute) {
      const Value& record = slot(t.variable);
      if (!record.is(Value::Kind::record)) mistake(fmt::format("a namespace to set .{} of", t.attribute), std::string(type_name(record)));
      record.record().attributes.set(Value(t.attribute), value);
      return;
    }
    const std::vector<Value> items = items_of(value, runtime_.budget);
    if (items.size() != t.kids.size()) mistake(fmt::format("{} values to unpack", t.kids.size()), fmt::format("{}", items.size()));
    for (size_t i = 0; i < items.size(); ++i) assign(t.kids[i], items[i]);
  }

  Value macro_value(const Statement& s) { return Value(std::make_shared<const Function>(Function{nullptr, Value(), runtime_.make_macro(s, here_)})); }

  Value call_macro(const Macro& macro, Arguments arguments) {
    const Depth depth(*this);
    const Statement& s = *macro.definition;
    Activation local;
    Activation* a = s.has_functions ? runtime_.make_activation() : &local;
    a->slots.resize(static_cast<size_t>(s.slots));
    a->outer = macro.outer;
    const Enter inside(*this, a);
    std::vector<bool> given(s.parameters.size(), false);
    bind(s, std::move(arguments), given);
    runtime_.budget.charge(1 + a->slots.size() / 4);
    enter(s.scope);
    const size_t without_default = s.parameters.size() - s.defaults.size();
    for (size_t i = 0; i < s.parameters.size(); ++i) {
      if (given[i]) continue;
      slot(s.parameters[i].variable) = i >= without_default
                                           ? eval(*s.defaults[i - without_default])
                                           : Value::undefined(fmt::format("the parameter {}, which was not given", s.parameters[i].name));
    }
    Capture capture(*this);
    run_block(s.blocks[0]);
    return runtime_.make_text(capture.take());
  }

  /// Puts the arguments of a macro call into its variables.
  void bind(const Statement& s, Arguments arguments, std::vector<bool>& given) {
    auto& keywords = arguments.keywords;
    const auto take = [&](std::string_view name) -> std::optional<Value> {
      const auto it = std::find_if(keywords.begin(), keywords.end(), [&](const auto& k) { return k.first == name; });
      if (it == keywords.end()) return std::nullopt;
      Value v = std::move(it->second);
      keywords.erase(it);
      return v;
    };
    const size_t count = s.parameters.size();
    for (size_t i = 0; i < count; ++i) {
      std::optional<Value> v = i < arguments.positional.size() ? std::optional(arguments.positional[i]) : take(s.parameters[i].name);
      given[i] = v.has_value();
      slot(s.parameters[i].variable) = v ? *std::move(v) : Value();
    }
    const auto special = [this](int index) -> Value& { return here_->slots[static_cast<size_t>(index)]; };
    if (s.caller_slot >= 0) special(s.caller_slot) = take("caller").value_or(Value::undefined("caller, as this was not called by a call block"));
    if (s.kwargs_slot >= 0) {
      auto rest = std::make_shared<Dict>();
      for (auto& [key, value] : keywords) rest->set(Value(key), std::move(value));
      special(s.kwargs_slot) = Value(std::shared_ptr<const Dict>(std::move(rest)));
    } else if (!keywords.empty()) {
      mistake(fmt::format("only parameters that the macro {} has", s.text), keywords[0].first);
    }
    std::vector<Value> more;
    for (size_t i = count; i < arguments.positional.size(); ++i) more.push_back(arguments.positional[i]);
    if (s.varargs_slot >= 0) {
      special(s.varargs_slot) = runtime_.make_list(std::move(more), Flavor::tuple);
    } else if (!more.empty()) {
      mistake(fmt::format("at most {} arguments for the macro {}", count, s.text), fmt::format("{}", arguments.positional.size()));
    }
  }

  // Expressions.

  Value eval(const Expression& e) {
    const Depth depth(*this);
    runtime_.budget.charge();
    runtime_.line = e.line;
    switch (e.kind) {
      case ExpressionKind::constant: return e.constant;
      case ExpressionKind::name: return name(e);
      case ExpressionKind::list:
      case ExpressionKind::tuple: return runtime_.make_list(eval_all(e.kids), e.kind == ExpressionKind::list ? Flavor::list : Flavor::tuple);
      case ExpressionKind::dict: return dict(e);
      case ExpressionKind::attribute: return runtime_.attribute(eval(*e.kids[0]), e.text);
      case ExpressionKind::item: {
        const Value object = eval(*e.kids[0]);
        return runtime_.item(object, eval(*e.kids[1]));
      }
      case ExpressionKind::slice: return slice(e);
      case ExpressionKind::call: return call(e, nullptr);
      case ExpressionKind::filter:
      case ExpressionKind::test: return filter_or_test(e);
      case ExpressionKind::negate: return runtime_.negative(eval(*e.kids[0]));
      case ExpressionKind::plus: return plus(eval(*e.kids[0]));
      case ExpressionKind::logical_not: return Value(!truth(eval(*e.kids[0])));
      case ExpressionKind::logical_and:
      case ExpressionKind::logical_or: {
        Value left = eval(*e.kids[0]);
        return truth(left) == (e.kind == ExpressionKind::logical_or) ? left : eval(*e.kids[1]);
      }
      case ExpressionKind::binary: {
        const Value left = eval(*e.kids[0]);
        return runtime_.binary(e.text, left, eval(*e.kids[1]));
      }
      case ExpressionKind::concatenate: return concatenate(e);
      case ExpressionKind::compare: return compare(e);
      case ExpressionKind::conditional:
        if (truth(eval(*e.kids[1]))) return eval(*e.kids[0]);
        if (e.kids[2]) return eval(*e.kids[2]);
        return Value::undefined("the value of an `if` without `else` whose condition is false");
    }
    return Value();
  }

  std::vector<Value> eval_all(const std::vector<ExpressionPtr>& expressions) {
    std::vector<Value> out;
    out.reserve(expressions.size());
    for (const auto& e : expressions) out.push_back(eval(*e));
    return out;
  }

  Value name(const Expression& e) {
    const Value& v = slot(e.variable);
    return v.is_unset() ? Value::undefined(e.text.substr(0, 80) + ", which is undefined") : v;
  }

  Value dict(const Expression& e) {
    auto out = std::make_shared<Dict>();
    for (size_t i = 0; i < e.kids.size(); i += 2) {
      const Value key = eval(*e.kids[i]);
      out->set(key, eval(*e.kids[i + 1]));
    }
    return Value(std::shared_ptr<const Dict>(std::move(out)));
  }

  Value slice(const Expression& e) {
    const Value object = eval(*e.kids[0]);
    Value parts[3] = {Value(None{}), Value(None{}), Value(None{})};
    for (size_t i = 0; i < 3; ++i) {
      if (e.kids[i + 1]) parts[i] = eval(*e.kids[i + 1]);
    }
    return runtime_.slice(object, parts[0], parts[1], parts[2]);
  }

  Value plus(const Value& v) {
    if (!v.is_number()) mistake("a number after +", v.is_undefined() ? v.undefined_text() : std::string(type_name(v)));
    return v.is(Value::Kind::boolean) ? Value(v.integer()) : v;
  }

  Value concatenate(const Expression& e) {
    std::string out;
    for (const Value& v : eval_all(e.kids)) {
      out += v.is_text() ? v.bytes() : runtime_.text(v);
      if (out.size() > runtime_.budget.max_text_bytes) mistake(fmt::format("text of at most {} bytes", runtime_.budget.max_text_bytes), "more");
    }
    return runtime_.make_text(std::move(out));
  }

  Value compare(const Expression& e) {
    Value left = eval(*e.kids[0]);
    for (size_t i = 0; i < e.comparisons.size(); ++i) {
      Value right = eval(*e.kids[i + 1]);
      if (!runtime_.compare(e.comparisons[i], left, right)) return Value(false);
      left = std::move(right);
    }
    return Value(true);
  }

  Arguments arguments(const Expression& e) {
    Arguments out{eval_all(e.arguments), {}};
    for (const auto& [key, value] : e.keywords) out.keywords.emplace_back(key, eval(*value));
    if (e.star) {
      for (Value& v : items_of(eval(*e.star), runtime_.budget)) out.positional.push_back(std::move(v));
    }
    if (!e.star_star) return out;
    const Value more = eval(*e.star_star);
    if (!more.is(Value::Kind::dict)) mistake("a mapping after **", std::string(type_name(more)));
    for (const auto& [key, value] : more.dict().items()) {
      if (!key.is_text()) mistake("names as the keys after **", std::string(type_name(key)));
      for (const auto& known : out.keywords) {
        if (known.first == key.bytes()) mistake("each argument once", "two of the name " + key.bytes().substr(0, 80));
      }
      runtime_.budget.charge(1 + out.keywords.size());
      out.keywords.emplace_back(key.bytes(), value);
    }
    return out;
  }

  /// A call; of a call block, `block` is passed to it as `caller`.
  Value call(const Expression& e, const Statement* block) {
    const Value callee = eval(*e.kids[0]);
    Arguments a = arguments(e);
    if (block != nullptr) a.keywords.emplace_back("caller", macro_value(*block));
    runtime_.line = e.line;
    return runtime_.call(callee, std::move(a));
  }

  Value filter_or_test(const Expression& e) {
    const bool is_filter = e.kind == ExpressionKind::filter;
    const Builtin* builtin = is_filter ? find_filter(e.text) : find_test(e.text);
    if (builtin == nullptr) mistake(is_filter ? "the name of a filter" : "the name of a test", e.text.substr(0, 80));
    const Value input = e.kids[0] ? eval(*e.kids[0]) : captured_;
    Arguments a = arguments(e);
    runtime_.line = e.line;
    return run_builtin(runtime_, *builtin, input, std::move(a));
  }

  Runtime& runtime_;
  uint64_t max_output_bytes_;
  int depth_ = 0;
  Activation* here_ = nullptr;
  std::string out_;
  Value captured_;  ///< what the filters of a set or filter block start from
};

}  // namespace

std::string run_template(const Template& t, Runtime& runtime, uint64_t max_output_bytes) { return Evaluator(runtime, max_output_bytes).run(t); }

}  // namespace attune::jinja
