#include "loader/jinja_lexer.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

/// All line ends become \n, and one at the very end of the template goes.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) root();
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(std::string expected, std::string got) const { throw SyntaxMistake{line_, std::move(expected), std::move(got)}; }

  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  bool starts(std::string_view s) const { return rest().substr(0, s.size()) == s; }
  char peek(size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }

  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text)}); }

  /// Moves on by `bytes`, counting lines.
  void advance(size_t bytes) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_), source_.begin() + static_cast<ptrdiff_t>(at_ + bytes), '\n'));
    at_ += bytes;
    line_starting_ = at_ > 0 && bytes > 0 ? source_[at_ - 1] == '\n' : line_starting_;
  }

  size_t spaces(size_t from) const {
    const std::string_view s = std::string_view(source_).substr(from);
    return s.size() - strip(s, std::nullopt, true, false).size();
  }

  /// Template text up to byte `end`, where a tag with white space control `sign` starts.
  void data(size_t end, char sign, bool is_variable) {
    const size_t begin = at_;
    std::string_view text = std::string_view(source_).substr(begin, end - begin);
    if (sign == '-') {
      text = strip(text, std::nullopt, false, true);
    } else if (sign != '+' && !is_variable) {
      const size_t line_begin = text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1;
      const bool blank = strip(text.substr(line_begin), std::nullopt, true, false).empty();
      if ((line_begin > 0 || line_starting_) && blank) text = text.substr(0, line_begin);
    }
    if (!text.empty()) push(TokenKind::data, std::string(text));
    advance(end - begin);
  }

  void root() {
    size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= source_.size()) {
        push(TokenKind::data, source_.substr(at_));
        advance(source_.size() - at_);
        return;
      }
      if (source_[tag + 1] == '%' || source_[tag + 1] == '{' || source_[tag + 1] == '#') break;
    }
    const char type = source_[tag + 1];
    const char sign = tag + 2 < source_.size() && (source_[tag + 2] == '-' || source_[tag + 2] == '+') ? source_[tag + 2] : '\0';
    data(tag, sign, type == '{');
    if (type == '%' && raw()) return;
    advance(sign == '\0' ? 2 : 3);
    if (type == '#') return comment();
    push(type == '%' ? TokenKind::block_begin : TokenKind::variable_begin, "");
    inside(type == '%');
  }

  /// The size of `{% word %}` at `at` including what its end swallows, 0 when something else stands there.
  size_t bare_tag(size_t at, std::string_view word, bool trim, char& sign) const {
    const std::string_view s = source_;
    size_t p = at + 2;
    sign = p < s.size() && (s[p] == '-' || s[p] == '+') ? s[p] : '\0';
    if (sign != '\0') ++p;
    p += spaces(p);
    if (s.substr(p, word.size()) != word) return 0;
    p += word.size();
    p += spaces(p);
    if (s.substr(p, 3) == "-%}") return p + 3 + spaces(p + 3) - at;
    if (trim && s.substr(p, 3) == "+%}") return p + 3 - at;
    if (s.substr(p, 2) != "%}") return 0;
    return p + 2 + (trim && s.substr(p + 2, 1) == "\n" ? 1 : 0) - at;
  }

  bool raw() {
    char sign = '\0';
    const size_t open = bare_tag(at_, "raw", false, sign);
    if (open == 0) return false;
    advance(open);
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      const size_t close = bare_tag(tag, "endraw", true, sign);
      if (close == 0) continue;
      data(tag, sign, false);
      advance(close);
      return true;
    }
    if (at_ == source_.size()) return true;  // Jinja lets an empty raw block at the end pass
    fail("{% endraw %}", "the end of the template");
  }

  void comment() {
    if (at_ == source_.size()) return;  // Jinja lets an empty comment at the end pass
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail("#}", "the end of the template");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    advance(end + 2 - at_);
    if (sign == '-') {
      advance(spaces(at_));
    } else if (sign != '+' && peek() == '\n') {
      advance(1);
    }
  }

  /// The end of the tag, when one stands here.
  bool tag_end(bool block) {
    const std::string_view close = block ? "%}" : "}}";
    const bool minus = peek() == '-' && rest().substr(1, 2) == close;
    const bool plus = block && peek() == '+' && rest().substr(1, 2) == close;
    if (!minus && !plus && !starts(close)) return false;
    push(block ? TokenKind::block_end : TokenKind::variable_end, "");
    advance(minus || plus ? 3 : 2);
    if (minus) advance(spaces(at_));
    if (block && !minus && !plus && peek() == '\n') advance(1);
    return true;
  }

  void inside(bool block) {
    std::string open;
    for (;;) {
      if (open.empty() && tag_end(block)) return;
      if (at_ >= source_.size()) fail(block ? "%}" : "}}", "the end of the template");
      if (const size_t n = spaces(at_)) {
        advance(n);
      } else if (number() || name() || literal()) {
        continue;
      } else {
        symbol(open);
      }
    }
  }

  /// Digits with single underscores between them, from `at`; 0 when there is none.
  template <class IsDigit>
  size_t digits(size_t at, IsDigit is_one) const {
    size_t p = at;
    while (p < source_.size() && (is_one(source_[p]) || (source_[p] == '_' && p > at && p + 1 < source_.size() && is_one(source_[p + 1])))) ++p;
    return p - at;
  }

  static bool is_decimal_digit(char c) { return c >= '0' && c <= '9'; }

  bool real() {
    size_t p = at_ + digits(at_, is_decimal_digit);
    bool found = false;
    if (p < source_.size() && source_[p] == '.' && digits(p + 1, is_decimal_digit) > 0) {
      p += 1 + digits(p + 1, is_decimal_digit);
      found = true;
    }
    if (p < source_.size() && (source_[p] == 'e' || source_[p] == 'E')) {
      const size_t sign = p + 1 < source_.size() && (source_[p + 1] == '+' || source_[p + 1] == '-') ? 1 : 0;
      if (const size_t n = digits(p + 1 + sign, is_decimal_digit)) {
        p += 1 + sign + n;
        found = true;
      }
    }
    if (!found) return false;
    take(TokenKind::real, p - at_);
    return true;
  }

  void take(TokenKind kind, size_t bytes) {
    std::string text(rest().substr(0, bytes));
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    push(kind, std::move(text));
    advance(bytes);
  }

  bool number() {
    if (!is_decimal_digit(peek())) return false;
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    if (!after_dot && real()) return true;
    const char base = static_cast<char>(peek(1) | 0x20);
    if (peek() == '0' && (base == 'x' || base == 'o' || base == 'b')) {
      const auto is_one = [base](char c) {
        if (base == 'x') return is_decimal_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        return c >= '0' && c <= (base == 'o' ? '7' : '1');
      };
      const size_t skip = peek(2) == '_' ? 3 : 2;
      if (const size_t n = digits(at_ + skip, is_one)) {
        take(TokenKind::integer, skip + n);
        return true;
      }
    }
    take(TokenKind::integer, peek() == '0' ? digits(at_, [](char c) { return c == '0'; }) : digits(at_, is_decimal_digit));
    return true;
  }

  bool name() {
    size_t p = at_;
    while (p < source_.size() && is_word(utf8_decode(std::string_view(source_).substr(p)))) p += utf8_sequence(std::string_view(source_).substr(p));
    if (p == at_) return false;
    const char32_t first = utf8_decode(rest());
    if (first != '_' && !is_alpha(first)) fail("a name", printable(rest().substr(0, p - at_)));
    push(TokenKind::name, std::string(rest().substr(0, p - at_)));
    advance(p - at_);
    return true;
  }

  bool literal() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return false;
    size_t p = at_ + 1;
    while (p < source_.size() && source_[p] != quote) p += source_[p] == '\\' ? 2 : 1;
    if (p >= source_.size()) fail("the end of a string", "the end of the template");
    push(TokenKind::text, unescape(std::string_view(source_).substr(at_ + 1, p - at_ - 1)));
    advance(p + 1 - at_);
    return true;
  }

  /// A code point written with up to `most` digits of `base`; `exact` demands all of them.
  char32_t coded(std::string_view s, size_t& i, int base, size_t most, bool exact) const {
    char32_t c = 0;
    size_t n = 0;
    for (; n < most && i < s.size(); ++n, ++i) {
      const int digit = is_decimal_digit(s[i]) ? s[i] - '0' : (s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'f' ? (s[i] | 0x20) - 'a' + 10 : 99;
      if (digit >= base) break;
      c = c * static_cast<char32_t>(base) + static_cast<char32_t>(digit);
    }
    if (exact && n < most) fail("a complete escape in a string", printable(s));
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) fail("an escaped character of Unicode", printable(s));
    return c;
  }

  std::string unescape(std::string_view s) const {
    std::string out;
    for (size_t i = 0; i < s.size();) {
      if (s[i] != '\\' || i + 1 == s.size()) {
        out += s[i++];
        continue;
      }
      const char c = s[i + 1];
      constexpr std::string_view kFrom = "nrtabfv\\'\"", kTo = "\n\r\t\a\b\f\v\\'\"";
      i += 2;
      if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
        out += kTo[known];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        utf8_append(out, coded(s, i, 16, c == 'x' ? 2 : c == 'u' ? 4 : 8, true));
      } else if (c >= '0' && c <= '7') {
        --i;
        utf8_append(out, coded(s, i, 8, 3, false));
      } else if (c == 'N') {
        fail("a string without \\N escapes", printable(s));
      } else if (c != '\n') {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  void symbol(std::string& open) {
    constexpr std::array<std::string_view, 26> kSymbols = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                                           "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto found = std::find_if(kSymbols.begin(), kSymbols.end(), [this](std::string_view s) { return starts(s); });
    if (found == kSymbols.end()) fail("an expression", printable(rest().substr(0, utf8_sequence(rest()))));
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') open += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) fail(open.empty() ? "an expression" : std::string(1, open.back()), std::string(1, c));
      open.pop_back();
    }
    push(TokenKind::symbol, std::string(*found));
    advance(found->size());
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace attune::jinja
