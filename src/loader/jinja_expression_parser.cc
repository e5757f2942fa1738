#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "core/error.h"
#include "loader/jinja_function.h"
#include "loader/jinja_parser.h"

namespace attune::jinja {
namespace {

std::string describe(const Token& t) {
  switch (t.kind) {
    case TokenKind::data: return "template text";
    case TokenKind::variable_begin: return "{{";
    case TokenKind::variable_end: return "}}";
    case TokenKind::block_begin: return "{%";
    case TokenKind::block_end: return "%}";
    case TokenKind::end: return "the end of the template";
    case TokenKind::text: return fmt::format("the string '{}'", printable(t.text));
    default: return fmt::format("'{}'", printable(t.text));
  }
}

}  // namespace

void ExpressionParser::fail(std::string_view expected) const { fail_at(now().line, std::string(expected), describe(now())); }

void ExpressionParser::fail_at(int line, std::string expected, std::string got) const {
  throw SyntaxMistake{line, std::move(expected), std::move(got)};
}

ExpressionParser::Depth::Depth(ExpressionParser& p) : parser(p) {
  if (++p.depth_ > kMaxNesting) p.fail_at(p.now().line, fmt::format("nesting of at most {} levels", kMaxNesting), "more");
}

bool ExpressionParser::skip_symbol(std::string_view s) {
  if (!is_symbol(s)) return false;
  take();
  return true;
}

bool ExpressionParser::skip_name(std::string_view s) {
  if (!is_name(s)) return false;
  take();
  return true;
}

void ExpressionParser::expect_symbol(std::string_view s) {
  if (!skip_symbol(s)) fail(fmt::format("'{}'", s));
}

std::string ExpressionParser::expect_name() {
  if (now().kind != TokenKind::name) fail("a name");
  return take().text;
}

void ExpressionParser::expect_name(std::string_view s) {
  if (!skip_name(s)) fail(fmt::format("'{}'", s));
}

void ExpressionParser::expect(TokenKind kind, std::string_view what) {
  if (now().kind != kind) fail(what);
  take();
}

ExpressionPtr ExpressionParser::make(ExpressionKind kind, int line) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = line;
  return node;
}

void ExpressionParser::add(Expression& node, ExpressionPtr kid) const {
  if (kid) {
    node.height = std::max(node.height, kid->height + 1);
    if (node.height > kMaxNesting) {
      node.kids.push_back(std::move(kid));
      fail_at(node.line, fmt::format("nesting of at most {} levels", kMaxNesting), "more");
    }
  }
  node.kids.push_back(std::move(kid));
}

ExpressionPtr ExpressionParser::join(ExpressionKind kind, std::string text, ExpressionPtr left, ExpressionPtr right, int line) const {
  auto node = make(kind, line);
  node->text = std::move(text);
  add(*node, std::move(left));
  add(*node, std::move(right));
  return node;
}

ExpressionPtr ExpressionParser::expression(bool with_conditional) {
  const Depth depth(*this);
  return with_conditional ? conditional() : logical_or();
}

ExpressionPtr ExpressionParser::conditional() {
  const int line = now().line;
  const size_t known = unknown_.size();
  auto value = logical_or();
  while (skip_name("if")) {
    auto node = make(ExpressionKind::conditional, line);
    add(*node, std::move(value));
    add(*node, logical_or());
    if (skip_name("else")) {
      const Depth depth(*this);
      add(*node, conditional());
    } else {
      node->kids.emplace_back();
    }
    value = std::move(node);
    unknown_.resize(known);
  }
  return value;
}

ExpressionPtr ExpressionParser::logical_or() {
  const int line = now().line;
  auto left = logical_and();
  while (skip_name("or")) left = join(ExpressionKind::logical_or, "", std::move(left), logical_and(), line);
  return left;
}

ExpressionPtr ExpressionParser::logical_and() {
  const int line = now().line;
  auto left = logical_not();
  while (skip_name("and")) left = join(ExpressionKind::logical_and, "", std::move(left), logical_not(), line);
  return left;
}

ExpressionPtr ExpressionParser::logical_not() {
  const int line = now().line;
  if (!skip_name("not")) return comparison();
  const Depth depth(*this);
  auto node = make(ExpressionKind::logical_not, line);
  add(*node, logical_not());
  return node;
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = now().line;
  auto first = sum();
  ExpressionPtr node;
  for (;;) {
    std::string op;
    if (now().kind == TokenKind::symbol &&
        (now().text == "==" || now().text == "!=" || now().text == "<" || now().text == "<=" || now().text == ">" || now().text == ">=")) {
      op = take().text;
    } else if (skip_name("in")) {
      op = "in";
    } else if (is_name("not") && after().kind == TokenKind::name && after().text == "in") {
      take();
      take();
      op = "not in";
    } else {
      break;
    }
    if (!node) {
      node = make(ExpressionKind::compare, line);
      add(*node, std::move(first));
    }
    node->comparisons.push_back(std::move(op));
    add(*node, sum());
  }
  return node ? std::move(node) : std::move(first);
}

ExpressionPtr ExpressionParser::sum() {
  const int line = now().line;
  auto left = concatenation();
  while (is_symbol("+") || is_symbol("-")) {
    std::string op = take().text;
    left = join(ExpressionKind::binary, std::move(op), std::move(left), concatenation(), line);
  }
  return left;
}

ExpressionPtr ExpressionParser::concatenation() {
  const int line = now().line;
  auto first = product();
  if (!is_symbol("~")) return first;
  auto node = make(ExpressionKind::concatenate, line);
  add(*node, std::move(first));
  while (skip_symbol("~")) add(*node, product());
  return node;
}

ExpressionPtr ExpressionParser::product() {
  const int line = now().line;
  auto left = power();
  while (is_symbol("*") || is_symbol("/") || is_symbol("//") || is_symbol("%")) {
    std::string op = take().text;
    left = join(ExpressionKind::binary, std::move(op), std::move(left), power(), line);
  }
  return left;
}

ExpressionPtr ExpressionParser::power() {
  const int line = now().line;
  auto left = unary(true);
  while (skip_symbol("**")) left = join(ExpressionKind::binary, "**", std::move(left), unary(true), line);
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filter) {
  const int line = now().line;
  ExpressionPtr node;
  if (is_symbol("-") || is_symbol("+")) {
    const Depth depth(*this);
    node = make(take().text == "-" ? ExpressionKind::negate : ExpressionKind::plus, line);
    add(*node, unary(false));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  while (with_filter) {
    if (is_symbol("|")) {
      node = filters(std::move(node), false);
    } else if (is_name("is")) {
      node = test(std::move(node));
    } else if (is_symbol("(")) {
      node = postfix(std::move(node));
    } else {
      break;
    }
  }
  return node;
}

ExpressionPtr ExpressionParser::primary() {
  const Token& t = now();
  const int line = t.line;
  auto node = make(ExpressionKind::constant, line);
  if (t.kind == TokenKind::name) {
    const std::string name = take().text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      node->constant = Value(name == "true" || name == "True");
    } else if (name == "none" || name == "None") {
      node->constant = Value(None{});
    } else {
      node->kind = ExpressionKind::name;
      node->text = name;
    }
    return node;
  }
  if (t.kind == TokenKind::text) {
    std::string text;
    while (now().kind == TokenKind::text) text += take().text;
    node->constant = Value(std::move(text));
    return node;
  }
  if (t.kind == TokenKind::integer || t.kind == TokenKind::real) return number();
  if (is_symbol("[")) return list();
  if (is_symbol("{")) return dict();
  if (!skip_symbol("(")) fail("an expression");
  const Depth depth(*this);
  auto inner = tuple(true, true);
  expect_symbol(")");
  return inner;
}

ExpressionPtr ExpressionParser::number() {
  auto node = make(ExpressionKind::constant, now().line);
  const Token t = take();
  errno = 0;
  if (t.kind == TokenKind::real) {
    node->constant = Value(std::strtod(t.text.c_str(), nullptr));
    return node;
  }
  const char kind = t.text.size() > 1 ? static_cast<char>(t.text[1] | 0x20) : '0';
  const int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
  node->constant = Value(static_cast<int64_t>(std::strtoll(t.text.c_str() + (base == 10 ? 0 : 2), nullptr, base)));
  if (errno == ERANGE) fail_at(t.line, "an integer of at most 64 bits", printable(t.text));
  return node;
}

ExpressionPtr ExpressionParser::list() {
  auto node = make(ExpressionKind::list, now().line);
  expect_symbol("[");
  while (!is_symbol("]")) {
    if (!node->kids.empty()) {
      expect_symbol(",");
      if (is_symbol("]")) break;
    }
    add(*node, expression());
  }
  expect_symbol("]");
  return node;
}

ExpressionPtr ExpressionParser::dict() {
  auto node = make(ExpressionKind::dict, now().line);
  expect_symbol("{");
  while (!is_symbol("}")) {
    if (!node->kids.empty()) {
      expect_symbol(",");
      if (is_symbol("}")) break;
    }
    add(*node, expression());
    expect_symbol(":");
    add(*node, expression());
  }
  expect_symbol("}");
  return node;
}

ExpressionPtr ExpressionParser::tuple(bool with_conditional, bool parenthesized) {
  const int line = now().line;
  std::vector<ExpressionPtr> kids;
  bool is_tuple = false;
  for (;;) {
    if (!kids.empty()) expect_symbol(",");
    if (now().kind == TokenKind::variable_end || now().kind == TokenKind::block_end || is_symbol(")")) break;
    kids.push_back(expression(with_conditional));
    if (!is_symbol(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !kids.empty()) return std::move(kids[0]);
  if (!is_tuple && !parenthesized) fail("an expression");
  auto node = make(ExpressionKind::tuple, line);
  for (auto& kid : kids) add(*node, std::move(kid));
  return node;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr node) {
  for (;;) {
    if (is_symbol(".") || is_symbol("[")) {
      node = subscript(std::move(node));
    } else if (is_symbol("(")) {
      auto call = make(ExpressionKind::call, now().line);
      add(*call, std::move(node));
      call_arguments(*call);
      node = std::move(call);
    } else {
      return node;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr node) {
  const int line = now().line;
  if (skip_symbol(".")) {
    if (now().kind == TokenKind::name) {
      auto attribute = make(ExpressionKind::attribute, line);
      add(*attribute, std::move(node));
      attribute->text = take().text;
      return attribute;
    }
    if (now().kind != TokenKind::integer) fail("a name or a number");
    return join(ExpressionKind::item, "", std::move(node), number(), line);
  }
  expect_symbol("[");
  auto out = subscripted(std::move(node));
  expect_symbol("]");
  return out;
}

/// What stands between [ and ]: an index, a slice, or several, which are a tuple.
ExpressionPtr ExpressionParser::subscripted(ExpressionPtr node) {
  const int line = now().line;
  std::vector<ExpressionPtr> parts;
  const auto part = [this]() -> ExpressionPtr { return is_symbol(":") || is_symbol("]") || is_symbol(",") ? nullptr : expression(); };
  if (is_symbol("]")) return join(ExpressionKind::item, "", std::move(node), make(ExpressionKind::tuple, line), line);
  parts.push_back(is_symbol(":") ? nullptr : expression());
  if (is_symbol(":")) {
    take();
    parts.push_back(part());
    parts.push_back(skip_symbol(":") ? part() : nullptr);
    auto slice = make(ExpressionKind::slice, line);
    add(*slice, std::move(node));
    for (auto& p : parts) add(*slice, std::move(p));
    if (is_symbol(",")) fail("']'");
    return slice;
  }
  while (skip_symbol(",")) parts.push_back(expression());
  if (parts.size() == 1) return join(ExpressionKind::item, "", std::move(node), std::move(parts[0]), line);
  auto key = make(ExpressionKind::tuple, line);
  for (auto& p : parts) add(*key, std::move(p));
  return join(ExpressionKind::item, "", std::move(node), std::move(key), line);
}

void ExpressionParser::call_arguments(Expression& node) {
  const Depth depth(*this);
  const int line = now().line;
  expect_symbol("(");
  const auto ensure = [&](bool ok) {
    if (!ok) fail_at(line, "arguments in the order: by position, by name, *list, **dict", "another order");
  };
  const auto hang = [&](ExpressionPtr kid) {
    node.height = std::max(node.height, kid->height + 1);
    if (node.height > kMaxNesting) fail_at(line, fmt::format("nesting of at most {} levels", kMaxNesting), "more");
    return kid;
  };
  for (bool first = true; !is_symbol(")"); first = false) {
    if (!first) {
      expect_symbol(",");
      if (is_symbol(")")) break;
    }
    if (skip_symbol("*")) {
      ensure(!node.star && !node.star_star);
      node.star = hang(expression());
    } else if (skip_symbol("**")) {
      ensure(!node.star_star);
      node.star_star = hang(expression());
    } else if (now().kind == TokenKind::name && after().kind == TokenKind::symbol && after().text == "=") {
      ensure(!node.star_star);
      std::string key = take().text;
      take();
      for (const auto& known : node.keywords) ensure(known.first != key);
      node.keywords.emplace_back(std::move(key), hang(expression()));
    } else {
      ensure(!node.star && !node.star_star && node.keywords.empty());
      node.arguments.push_back(hang(expression()));
    }
  }
  expect_symbol(")");
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr input, bool starts_with_name) {
  auto node = std::move(input);
  while (starts_with_name || skip_symbol("|")) {
    starts_with_name = false;
    auto filter = make(ExpressionKind::filter, now().line);
    add(*filter, std::move(node));
    filter->text = expect_name();
    while (skip_symbol(".")) filter->text += "." + expect_name();
    if (is_symbol("(")) call_arguments(*filter);
    check_known(*filter);
    node = std::move(filter);
  }
  return node;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr input) {
  const int line = now().line;
  expect_name("is");
  const bool negated = skip_name("not");
  auto node = make(ExpressionKind::test, line);
  add(*node, std::move(input));
  node->text = expect_name();
  while (skip_symbol(".")) node->text += "." + expect_name();
  const bool literal =
      now().kind == TokenKind::name || now().kind == TokenKind::text || now().kind == TokenKind::integer || now().kind == TokenKind::real;
  if (is_symbol("(")) {
    call_arguments(*node);
  } else if ((literal || is_symbol("[") || is_symbol("{")) && !is_name("else") && !is_name("or") && !is_name("and")) {
    if (is_name("is")) fail("one test after `is`");
    auto argument = postfix(primary());
    node->height = std::max(node->height, argument->height + 1);
    node->arguments.push_back(std::move(argument));
  }
  check_known(*node);
  if (!negated) return node;
  auto outer = make(ExpressionKind::logical_not, line);
  add(*outer, std::move(node));
  return outer;
}

void ExpressionParser::check_known(const Expression& node) {
  const bool is_filter = node.kind == ExpressionKind::filter;
  if ((is_filter ? find_filter(node.text) : find_test(node.text)) != nullptr) return;
  unknown_.push_back({node.line, is_filter ? "the name of a filter" : "the name of a test", fmt::format("'{}'", printable(node.text))});
}

}  // namespace attune::jinja
