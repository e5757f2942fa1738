#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attune::jinja {

enum class TokenKind { data, variable_begin, variable_end, block_begin, block_end, name, text, integer, real, symbol, end };

struct Token {
  TokenKind kind = TokenKind::end;
  int line = 1;
  std::string text;  ///< template data, name, symbol, digits, or the unescaped string
};

/// A template cannot be parsed: `line`, and what was expected and found there.
struct SyntaxMistake {
  int line;
  std::string expected;
  std::string got;
};

/// Cuts a template into tokens under trim_blocks and lstrip_blocks. Throws SyntaxMistake.
std::vector<Token> tokenize(std::string_view source);

}  // namespace attune::jinja
