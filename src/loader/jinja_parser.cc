#include "loader/jinja_parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "loader/jinja_scope.h"

namespace attune::jinja {
namespace {

class StatementParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Template run() {
    Template out;
    int height = 0;
    out.body = block({}, height);
    harden(0);
    if (!hard_unknown_.empty()) throw hard_unknown_.front();
    return out;
  }

 private:
  using StatementPtr = std::unique_ptr<Statement>;
  using Words = std::vector<std::string_view>;

  StatementPtr make(StatementKind kind, int line) const {
    auto s = std::make_unique<Statement>();
    s->kind = kind;
    s->line = line;
    return s;
  }

  void raise_height(Statement& s, int height) const {
    s.height = std::max(s.height, height + 1);
    if (s.height > kMaxNesting) fail_at(s.line, fmt::format("nesting of at most {} levels", kMaxNesting), "more");
  }

  void add(Statement& s, ExpressionPtr e) const {
    if (e) raise_height(s, e->height);
    s.expressions.push_back(std::move(e));
  }

  /// Unknown filters seen since `from` fail the template: they do not stand below an `if` of their own scope.
  void harden(size_t from) {
    hard_unknown_.insert(hard_unknown_.end(), unknown_.begin() + static_cast<ptrdiff_t>(from), unknown_.end());
    unknown_.resize(from);
  }

  /// Statements up to `{% word`, for one of `ends`; the word is the next token then.
  Block block(const Words& ends, int& height) {
    const Depth depth(*this);
    Block out;
    while (now().kind != TokenKind::end) {
      StatementPtr s;
      if (now().kind == TokenKind::data) {
        s = make(StatementKind::data, now().line);
        s->text = take().text;
      } else if (now().kind == TokenKind::variable_begin) {
        s = make(StatementKind::print, take().line);
        add(*s, tuple(true));
        expect(TokenKind::variable_end, "'}}'");
      } else {
        expect(TokenKind::block_begin, "a tag");
        if (std::any_of(ends.begin(), ends.end(), [this](std::string_view w) { return is_name(w); })) return out;
        s = statement();
        expect(TokenKind::block_end, "'%}'");
      }
      height = std::max(height, s->height);
      out.push_back(std::move(s));
    }
    if (!ends.empty()) fail(fmt::format("{{% {} %}}", fmt::join(ends, " %} or {% ")));
    return out;
  }

  /// The body of `s` up to one of `ends`.
  void body(Statement& s, const Words& ends) {
    skip_symbol(":");
    expect(TokenKind::block_end, "'%}'");
    int height = 0;
    s.blocks.push_back(block(ends, height));
    raise_height(s, height);
  }

  /// The body up to `{% end`, which is passed.
  void whole_body(Statement& s, std::string_view end) {
    body(s, {end});
    take();
  }

  StatementPtr statement() {
    const Token t = now();
    if (t.kind != TokenKind::name) fail("the name of a tag");
    take();
    if (t.text == "if") return if_chain(t.line);
    if (t.text == "for") return for_loop(t.line);
    if (t.text == "set") return set(t.line);
    if (t.text == "macro") return macro(t.line);
    if (t.text == "call") return call_block(t.line);
    if (t.text == "filter") return filter_block(t.line);
    if (t.text == "with") return with(t.line);
    if (t.text == "generation") return generation(t.line);
    if (t.text == "print") return print(t.line);
    if (t.text == "break" || t.text == "continue") {
      if (loops_ == 0) fail_at(t.line, "a loop around " + t.text, "none");
      return make(t.text == "break" ? StatementKind::loop_break : StatementKind::loop_continue, t.line);
    }
    fail_at(t.line, "if, for, set, macro, call, filter, with, generation, print, break, continue, raw or the end of an open tag",
            "'" + printable(t.text) + "'");
  }

  StatementPtr print(int line) {
    auto s = make(StatementKind::print, line);
    while (now().kind != TokenKind::block_end) {
      if (!s->expressions.empty()) expect_symbol(",");
      add(*s, expression());
    }
    return s;
  }

  StatementPtr if_chain(int line) {
    auto s = make(StatementKind::if_chain, line);
    const size_t known = unknown_.size();
    for (;;) {
      add(*s, tuple(false));
      body(*s, {"elif", "else", "endif"});
      if (skip_name("elif")) continue;
      if (skip_name("else")) {
        body(*s, {"endif"});
      }
      take();
      unknown_.resize(known);
      return s;
    }
  }

  StatementPtr for_loop(int line) {
    auto s = make(StatementKind::for_loop, line);
    const size_t loop_stores = loop_stores_;
    s->targets.push_back(target_list(false));
    expect_name("in");
    add(*s, tuple(false));
    const size_t known = unknown_.size();
    add(*s, skip_name("if") ? expression() : nullptr);
    if (is_name("recursive")) fail("a loop that is not recursive");
    ++loops_;
    body(*s, {"endfor", "else"});
    --loops_;
    if (skip_name("else")) {
      body(*s, {"endfor"});
    } else {
      s->blocks.emplace_back();
    }
    take();
    harden(known);
    if (loop_stores_ != loop_stores) fail_at(line, "a loop that does not assign to the name loop", "one that does");
    s->test_target = s->targets[0];
    return s;
  }

  StatementPtr set(int line) {
    auto s = make(StatementKind::set, line);
    s->targets.push_back(target_list(true));
    if (skip_symbol("=")) {
      add(*s, tuple(true));
      return s;
    }
    s->kind = StatementKind::set_block;
    const size_t known = unknown_.size();
    add(*s, filters(nullptr, false));
    whole_body(*s, "endset");
    harden(known);
    return s;
  }

  StatementPtr macro(int line) {
    auto s = make(StatementKind::macro, line);
    s->targets.push_back(name_target());
    s->text = s->targets[0].name;
    const size_t known = unknown_.size();
    signature(*s);
    function_body(*s, "endmacro");
    harden(known);
    return s;
  }

  StatementPtr call_block(int line) {
    auto s = make(StatementKind::call_block, line);
    const size_t known = unknown_.size();
    if (is_symbol("(")) signature(*s);
    harden(known);
    auto call = expression();
    if (call->kind != ExpressionKind::call) fail_at(line, "a call", "another expression");
    add(*s, std::move(call));
    const size_t inside = unknown_.size();
    function_body(*s, "endcall");
    harden(inside);
    return s;
  }

  StatementPtr generation(int line) {
    auto s = make(StatementKind::generation, line);
    const size_t known = unknown_.size();
    function_body(*s, "endgeneration");
    harden(known);
    return s;
  }

  /// The body of a function of its own, which a loop outside cannot be left from.
  void function_body(Statement& s, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    whole_body(s, end);
    loops_ = loops;
  }

  StatementPtr filter_block(int line) {
    auto s = make(StatementKind::filter_block, line);
    const size_t known = unknown_.size();
    add(*s, filters(nullptr, true));
    whole_body(*s, "endfilter");
    harden(known);
    return s;
  }

  StatementPtr with(int line) {
    auto s = make(StatementKind::with, line);
    while (now().kind != TokenKind::block_end) {
      if (!s->targets.empty()) expect_symbol(",");
      s->targets.push_back(target_list(false));
      expect_symbol("=");
      add(*s, expression());
    }
    const size_t known = unknown_.size();
    whole_body(*s, "endwith");
    harden(known);
    return s;
  }

  void signature(Statement& s) {
    expect_symbol("(");
    while (!is_symbol(")")) {
      if (!s.parameters.empty()) expect_symbol(",");
      Target parameter = name_target();
      s.explicit_caller = s.explicit_caller || parameter.name == "caller";
      for (const Target& other : s.parameters) {
        if (other.name == parameter.name) fail_at(parameter.line, "different names of parameters", "'" + printable(parameter.name) + "' twice");
      }
      if (skip_symbol("=")) {
        s.defaults.push_back(expression());
        raise_height(s, s.defaults.back()->height);
      } else if (!s.defaults.empty()) {
        fail("a default value after a parameter with one");
      }
      s.parameters.push_back(std::move(parameter));
    }
    expect_symbol(")");
  }

  Target name_target() {
    Target t;
    t.line = now().line;
    t.name = expect_name();
    check_assignable(t);
    return t;
  }

  void check_assignable(const Target& t) {
    for (const std::string_view constant : {"true", "false", "none", "True", "False", "None"}) {
      if (t.name == constant) fail_at(t.line, "a name that can be assigned", "'" + t.name + "'");
    }
    if (t.name == "loop" && t.kind == Target::Kind::name) ++loop_stores_;
  }

  Target one_target(bool with_namespace) {
    const Depth depth(*this);
    Target t;
    t.line = now().line;
    if (skip_symbol("(")) {
      t = target_list(false);
      expect_symbol(")");
      return t;
    }
    t.name = expect_name();
    if (with_namespace && skip_symbol(".")) {
      t.kind = Target::Kind::attribute;
      t.attribute = expect_name();
    }
    check_assignable(t);
    return t;
  }

  /// `a`, `a, b`, `a, (b, c)`, and with a namespace `ns.a`.
  Target target_list(bool with_namespace) {
    Target t;
    t.line = now().line;
    bool is_tuple = false;
    for (;;) {
      if (!t.kids.empty()) expect_symbol(",");
      if (is_symbol(")") || now().kind == TokenKind::block_end) break;
      t.kids.push_back(one_target(with_namespace));
      if (!is_symbol(",")) break;
      is_tuple = true;
    }
    if (t.kids.empty()) fail("a name");
    if (!is_tuple) return Target(t.kids[0]);
    t.kind = Target::Kind::tuple;
    return t;
  }

  std::vector<SyntaxMistake> hard_unknown_;
  int loops_ = 0;
  size_t loop_stores_ = 0;
};

}  // namespace

Template parse_template(std::string_view source) {
  Template out = StatementParser(tokenize(source)).run();
  resolve_names(out);
  return out;
}

}  // namespace attune::jinja
