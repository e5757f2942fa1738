#include "loader/jinja_scope.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <string>

#include "loader/jinja_lexer.h"

namespace attune::jinja {
namespace {

/// Bounds the work below: every `if` copies what is known about names.
constexpr int kMaxNames = 1000;

/// The variables of one function: the template itself, a macro, or the body of a call block.
struct FunctionFrame {
  int depth = 0;
  int slots = 0;
  bool has_functions = false;
};

/// What is known about the names of one scope while its text is read.
class Symbols {
 public:
  Symbols(Symbols* parent, FunctionFrame& function) : parent_(parent), function_(function), slots_(std::make_shared<std::map<std::string, int>>()) {}

  /// Where `name` is found from here, with its function's depth in `hops`; slot −1 when unknown.
  Variable find(const std::string& name) const {
    for (const Symbols* s = this; s != nullptr; s = s->parent_) {
      if (const auto it = s->refs_.find(name); it != s->refs_.end()) return {function_.depth - s->function_.depth, it->second};
    }
    return {};
  }

  void load(const std::string& name) {
    if (find(name).slot < 0) define(name, {InitialValue::Kind::context, 0, name, {}});
  }

  void store(const std::string& name) {
    stores_.insert(name);
    if (refs_.count(name) > 0) return;
    const Variable outer = outside(name);
    if (outer.slot >= 0) {
      define(name, {InitialValue::Kind::copy, 0, name, outer});
    } else {
      define(name, {InitialValue::Kind::missing, 0, name, {}});
    }
  }

  /// A variable that is set when the scope is entered: a loop's target, a macro's parameter.
  int declare(const std::string& name) {
    stores_.insert(name);
    const int slot = slot_of(name);
    refs_[name] = slot;
    initial_.erase(slot);
    return slot;
  }

  /// Takes over what the branches of an `if` did. What only some of them store starts as it is outside.
  void merge(const std::vector<Symbols>& branches) {
    std::set<std::string> fresh;
    for (const Symbols& b : branches) fresh.insert(b.stores_.begin(), b.stores_.end());
    for (const std::string& name : stores_) fresh.erase(name);
    for (const Symbols& b : branches) {
      for (const auto& [name, slot] : b.refs_) refs_[name] = slot;
      for (const auto& [slot, value] : b.initial_) initial_[slot] = value;
      stores_.insert(b.stores_.begin(), b.stores_.end());
    }
    for (const std::string& name : fresh) {
      const int slot = refs_.at(name);
      const Variable outer = outside(name);
      const auto kind = outer.slot >= 0 ? InitialValue::Kind::copy : InitialValue::Kind::context;
      initial_[slot] = {kind, slot, name, outer};
    }
  }

  Scope scope() const {
    Scope out;
    for (const auto& [slot, value] : initial_) out.push_back(value);
    return out;
  }

  FunctionFrame& function() { return function_; }

 private:
  Variable outside(const std::string& name) const {
    if (parent_ == nullptr) return {};
    Variable v = parent_->find(name);
    v.hops += function_.depth - parent_->function_.depth;
    return v;
  }

  int slot_of(const std::string& name) {
    const auto [it, added] = slots_->try_emplace(name, function_.slots);
    if (added && ++function_.slots > kMaxNames) {
      throw SyntaxMistake{1, fmt::format("at most {} names in one function", kMaxNames), "more"};
    }
    return it->second;
  }

  void define(const std::string& name, InitialValue value) {
    value.slot = slot_of(name);
    refs_[name] = value.slot;
    initial_[value.slot] = std::move(value);
  }

  Symbols* parent_;
  FunctionFrame& function_;
  std::shared_ptr<std::map<std::string, int>> slots_;  // shared by the branches of one scope
  std::map<std::string, int> refs_;
  std::map<int, InitialValue> initial_;
  std::set<std::string> stores_;
};

/// First pass over one scope, in the order of the text: which names it reads and stores. Stops at inner scopes.
class Reader {
 public:
  explicit Reader(Symbols& symbols) : symbols_(&symbols) {}

  void expression(const Expression* e) {
    if (e == nullptr) return;
    if (e->kind == ExpressionKind::name) symbols_->load(e->text);
    for (const auto& kid : e->kids) expression(kid.get());
    for (const auto& a : e->arguments) expression(a.get());
    for (const auto& [key, value] : e->keywords) expression(value.get());
    expression(e->star.get());
    expression(e->star_star.get());
  }

  void target(const Target& t) {
    if (t.kind == Target::Kind::name) symbols_->store(t.name);
    if (t.kind == Target::Kind::attribute) symbols_->load(t.name);
    for (const Target& kid : t.kids) target(kid);
  }

  void block(const Block& b) {
    for (const auto& s : b) statement(*s);
  }

  void statement(const Statement& s) {
    switch (s.kind) {
      case StatementKind::if_chain: if_chain(s); return;
      case StatementKind::for_loop: expression(s.expressions[0].get()); return;
      case StatementKind::set_block:
      case StatementKind::macro: target(s.targets[0]); return;
      case StatementKind::set:
        expression(s.expressions[0].get());
        target(s.targets[0]);
        return;
      default:
        for (const auto& e : s.expressions) expression(e.get());
    }
  }

 private:
  void if_chain(const Statement& s) {
    expression(s.expressions[0].get());
    Symbols* const here = symbols_;
    std::vector<Symbols> branches(3, *here);
    const auto inside = [&](size_t branch, const auto& read) {
      symbols_ = &branches[branch];
      read();
      symbols_ = here;
    };
    inside(0, [&] { block(s.blocks[0]); });
    inside(1, [&] {
      for (size_t i = 1; i < s.expressions.size(); ++i) elif (s, i);
    });
    inside(2, [&] {
      if (s.blocks.size() > s.expressions.size()) block(s.blocks.back());
    });
    here->merge(branches);
  }

  /// An elif counts as an `if` of its own within the branch of all elifs.
  void elif (const Statement& s, size_t i) {
    expression(s.expressions[i].get());
    Symbols* const here = symbols_;
    std::vector<Symbols> branches(3, *here);
    symbols_ = branches.data();
    block(s.blocks[i]);
    symbols_ = here;
    here->merge(branches);
  }

  Symbols* symbols_;
};

/// Second pass: writes the variables into the tree and opens the inner scopes.
class Resolver {
 public:
  void run(Template& t) {
    FunctionFrame function;
    Symbols symbols(nullptr, function);
    Reader(symbols).block(t.body);
    t.scope = symbols.scope();
    block(t.body, symbols);
    t.slots = function.slots;
  }

 private:
  void expression(Expression* e, Symbols& symbols) {
    if (e == nullptr) return;
    if (e->kind == ExpressionKind::name) e->variable = known(e->text, symbols);
    for (const auto& kid : e->kids) expression(kid.get(), symbols);
    for (const auto& a : e->arguments) expression(a.get(), symbols);
    for (const auto& [key, value] : e->keywords) expression(value.get(), symbols);
    expression(e->star.get(), symbols);
    expression(e->star_star.get(), symbols);
  }

  /// Every name has been read before; only the filters of a set block have not, so they are now.
  Variable known(const std::string& name, Symbols& symbols) {
    symbols.load(name);
    return symbols.find(name);
  }

  void target(Target& t, Symbols& symbols) {
    if (t.kind != Target::Kind::tuple) t.variable = known(t.name, symbols);
    for (Target& kid : t.kids) target(kid, symbols);
  }

  void declare(Target& t, Symbols& symbols) {
    if (t.kind == Target::Kind::name) t.variable = {0, symbols.declare(t.name)};
    for (Target& kid : t.kids) declare(kid, symbols);
  }

  void block(Block& b, Symbols& symbols) {
    for (const auto& s : b) statement(*s, symbols);
  }

  /// A body in a scope of its own that is part of the same function.
  void inner(Block& b, Symbols& symbols, Scope& scope) {
    Reader(symbols).block(b);
    block(b, symbols);
    scope = symbols.scope();
  }

  void statement(Statement& s, Symbols& symbols) {
    Symbols body(&symbols, symbols.function());
    switch (s.kind) {
      case StatementKind::for_loop: for_loop(s, symbols); return;
      case StatementKind::macro:
        target(s.targets[0], symbols);
        function(s, symbols);
        return;
      case StatementKind::generation: function(s, symbols); return;
      case StatementKind::call_block:
        expression(s.expressions[0].get(), symbols);
        function(s, symbols);
        return;
      case StatementKind::set_block:
      case StatementKind::filter_block:
        if (s.kind == StatementKind::set_block) {
          target(s.targets[0], symbols);
        } else {
          Reader(body).expression(s.expressions[0].get());
        }
        Reader(body).block(s.blocks[0]);
        expression(s.expressions[0].get(), body);
        block(s.blocks[0], body);
        s.scope = body.scope();
        return;
      case StatementKind::with:
        for (const auto& e : s.expressions) expression(e.get(), symbols);
        for (Target& t : s.targets) declare(t, body);
        inner(s.blocks[0], body, s.scope);
        return;
      default:
        for (const auto& e : s.expressions) expression(e.get(), symbols);
        for (Target& t : s.targets) target(t, symbols);
        for (Block& b : s.blocks) block(b, symbols);
    }
  }

  void for_loop(Statement& s, Symbols& symbols) {
    expression(s.expressions[0].get(), symbols);
    Symbols test(&symbols, symbols.function());
    declare(s.test_target, test);
    Reader(test).expression(s.expressions[1].get());
    expression(s.expressions[1].get(), test);
    s.test_scope = test.scope();
    Symbols body(&symbols, symbols.function());
    s.loop_slot = body.declare("loop");
    declare(s.targets[0], body);
    inner(s.blocks[0], body, s.scope);
    Symbols other(&symbols, symbols.function());
    inner(s.blocks[1], other, s.else_scope);
  }

  void function(Statement& s, Symbols& symbols) {
    FunctionFrame frame{symbols.function().depth + 1, 0, false};
    symbols.function().has_functions = true;
    Symbols body(&symbols, frame);
    std::set<std::string> names;
    for (Target& p : s.parameters) {
      declare(p, body);
      names.insert(p.name);
    }
    if (s.kind != StatementKind::generation) {
      const auto special = [&](const std::string& name) { return names.count(name) == 0 && reads(s.blocks[0], name) ? body.declare(name) : -1; };
      s.caller_slot = special("caller");
      s.kwargs_slot = special("kwargs");
      s.varargs_slot = special("varargs");
    }
    for (const auto& d : s.defaults) Reader(body).expression(d.get());
    Reader(body).block(s.blocks[0]);
    for (const auto& d : s.defaults) expression(d.get(), body);
    block(s.blocks[0], body);
    s.scope = body.scope();
    s.slots = frame.slots;
    s.has_functions = frame.has_functions;
  }

  static bool reads(const Expression* e, const std::string& name) {
    if (e == nullptr) return false;
    if (e->kind == ExpressionKind::name && e->text == name) return true;
    for (const auto& kid : e->kids) {
      if (reads(kid.get(), name)) return true;
    }
    for (const auto& a : e->arguments) {
      if (reads(a.get(), name)) return true;
    }
    for (const auto& [key, value] : e->keywords) {
      if (reads(value.get(), name)) return true;
    }
    return reads(e->star.get(), name) || reads(e->star_star.get(), name);
  }

  static bool reads(const Block& b, const std::string& name) {
    for (const auto& s : b) {
      for (const auto& e : s->expressions) {
        if (reads(e.get(), name)) return true;
      }
      for (const auto& d : s->defaults) {
        if (reads(d.get(), name)) return true;
      }
      for (const Block& inner : s->blocks) {
        if (reads(inner, name)) return true;
      }
    }
    return false;
  }
};

}  // namespace

void resolve_names(Template& t) { Resolver().run(t); }

}  // namespace attune::jinja
