#pragma once

#include <string_view>

#include "loader/jinja_ast.h"
#include "loader/jinja_lexer.h"

namespace attune::jinja {

/// Statements and expressions together nest at most this deep.
inline constexpr int kMaxNesting = 200;

/// Parses a template and resolves its names. Throws SyntaxMistake.
Template parse_template(std::string_view source);

/// The grammar's state and its expressions; `StatementParser` in jinja_parser.cc adds the statements.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  const Token& now() const { return tokens_[at_]; }
  const Token& after() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is_symbol(std::string_view s) const { return now().kind == TokenKind::symbol && now().text == s; }
  bool is_name(std::string_view s) const { return now().kind == TokenKind::name && now().text == s; }
  bool skip_symbol(std::string_view s);
  bool skip_name(std::string_view s);
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  void expect_symbol(std::string_view s);
  std::string expect_name();
  void expect_name(std::string_view s);
  void expect(TokenKind kind, std::string_view what);
  [[noreturn]] void fail(std::string_view expected) const;
  [[noreturn]] void fail_at(int line, std::string expected, std::string got) const;

  ExpressionPtr expression(bool with_conditional = true);
  /// An expression or a tuple without parentheses.
  ExpressionPtr tuple(bool with_conditional, bool parenthesized = false);
  ExpressionPtr filters(ExpressionPtr input, bool starts_with_name);

  /// Counts nesting while the parser is inside one construct.
  struct Depth {
    explicit Depth(ExpressionParser& p);
    ~Depth() { --parser.depth_; }
    ExpressionParser& parser;
  };

  /// Unknown filters and tests seen so far. Below `if` they only fail when they are reached, so a finished `if` drops its own.
  std::vector<SyntaxMistake> unknown_;

 private:
  ExpressionPtr make(ExpressionKind kind, int line) const;
  /// Adds `kid` below `node` and checks the height.
  void add(Expression& node, ExpressionPtr kid) const;
  ExpressionPtr join(ExpressionKind kind, std::string text, ExpressionPtr left, ExpressionPtr right, int line) const;

  ExpressionPtr conditional();
  ExpressionPtr logical_or();
  ExpressionPtr logical_and();
  ExpressionPtr logical_not();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filter);
  ExpressionPtr primary();
  ExpressionPtr number();
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr node);
  ExpressionPtr subscript(ExpressionPtr node);
  ExpressionPtr subscripted(ExpressionPtr node);
  ExpressionPtr test(ExpressionPtr input);
  void call_arguments(Expression& node);
  void check_known(const Expression& node);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace attune::jinja
