#define PCRE2_CODE_UNIT_WIDTH 8
#include "loader/tokenizer_regex.h"

#include <pcre2.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "loader/tokenizer_unicode.h"

namespace attune {
namespace {

constexpr size_t kMaxPattern = 64 * 1024;
constexpr uint32_t kMatchLimit = 20'000'000;    // backtracking steps of one match
constexpr uint32_t kHeapLimitKiB = 256 * 1024;  // memory of one match
constexpr uint32_t kMaxParenthesisDepth = 100;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Code = std::unique_ptr<pcre2_code, Freed<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;

std::string pcre2_text(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

template <class T>
T allocated(T p) {
  if (!p) fail(ErrorCode::out_of_memory, "tokenizer: pattern", "memory", "none");
  return p;
}

/// Walks a pattern once, copying it and changing what Oniguruma means otherwise.
class Translator {
 public:
  Translator(std::string_view in, std::string_view where) : in_(in), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        inside_class(c);
      } else {
        outside_class(c);
      }
    }
    return std::move(out_);
  }

 private:
  bool next_is(std::string_view s) const { return in_.substr(at_, s.size()) == s; }

  [[noreturn]] void refuse(std::string_view construct) const {
    fail(ErrorCode::not_supported, where_, "a pattern without constructs that regular-expression libraries read differently",
         fmt::format("{} at offset {} of \"{}\"", construct, at_, printable(in_, 200)));
  }

  void copy(size_t n) {
    out_ += in_.substr(at_, n);
    at_ += n;
  }

  void escape() {
    if (at_ + 1 >= in_.size()) refuse("a trailing \\");
    const char c = in_[at_ + 1];
    constexpr std::string_view kWord = "\\p{L}\\p{M}\\p{N}\\p{Pc}";
    if (c == 'p' || c == 'P') return property();
    if (c == 'u') return code_unit();
    if (c == 'w' || (c == 'W' && !in_class_)) {
      out_ += in_class_ ? std::string(kWord) : fmt::format("[{}{}]", c == 'W' ? "^" : "", kWord);
      at_ += 2;
    } else if (std::string_view("WbBhHRXKGOyYQENCg").find(c) != std::string_view::npos && !(in_class_ && c == 'b')) {
      refuse(fmt::format("\\{}", c));
    } else {
      copy(2);
    }
  }

  /// \uHHHH is \x{HHHH} to PCRE2.
  void code_unit() {
    const std::string_view digits = in_.substr(at_ + 2, 4);
    if (digits.size() != 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) refuse("\\u without four digits");
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ += 6;
  }

  /// General categories mean the same; a script's name means its extensions to PCRE2, but not with `sc:`.
  void property() {
    const size_t open = at_ + 2;
    const size_t close = in_.find('}', open);
    if (open >= in_.size() || in_[open] != '{' || close == std::string_view::npos) refuse("\\p without {}");
    std::string_view name = in_.substr(open + 1, close - open - 1);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    constexpr std::array<std::string_view, 5> kScripts = {"Han", "Hiragana", "Katakana", "Hangul", "Thai"};
    const bool script = std::find(kScripts.begin(), kScripts.end(), name) != kScripts.end();
    if (!script && (name.empty() || name.size() > 2)) refuse(std::string(in_.substr(at_, close + 1 - at_)));
    out_ += fmt::format("{}{{{}{}{}}}", in_.substr(at_, 2), negated ? "^" : "", script ? "sc:" : "", name);
    at_ = close + 1;
  }

  void inside_class(char c) {
    if (c == '[') refuse("a nested [");
    if (next_is("&&")) refuse("&&");
    if (c == ']') in_class_ = false;
    copy(1);
  }

  void outside_class(char c) {
    if (c == '[') {
      in_class_ = true;
      copy(next_is("[^") ? 2 : 1);
      if (at_ < in_.size() && in_[at_] == ']') refuse("a class that begins with ]");
    } else if (c == '(' && next_is("(?")) {
      group();
    } else if (next_is("(*")) {
      refuse("(*");
    } else if (c == '{' && next_is("{,")) {
      refuse("{,n}");
    } else if (c == '}' && next_is("}+")) {
      refuse("a possessive {n,m}+");
    } else {
      copy(1);
    }
  }

  void group() {
    for (const std::string_view open : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i)", "(?i:", "(?-i)", "(?-i:"}) {
      if (next_is(open)) return copy(open.size());
    }
    refuse(std::string(in_.substr(at_, 4)));
  }

  std::string_view in_;
  std::string_view where_;
  std::string out_;
  size_t at_ = 0;
  bool in_class_ = false;
};

}  // namespace

struct TokenizerRegex::Compiled {
  Code code;
  MatchContext context;
  bool jit = false;
  std::string where;

  /// One match from `start`, or an error code below zero. The compiled code runs first; when its small stack is not enough the
  /// interpreter, whose memory is bounded by the heap limit, goes over the same match.
  int match(std::string_view text, size_t start, pcre2_match_data* data) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    if (jit) {
      const int rc = pcre2_jit_match(code.get(), subject, text.size(), start, PCRE2_NO_UTF_CHECK, data, context.get());
      if (rc != PCRE2_ERROR_JIT_STACKLIMIT) return rc;
    }
    return pcre2_match(code.get(), subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context.get());
  }
};

std::string oniguruma_to_pcre2(std::string_view pattern, std::string_view where) { return Translator(pattern, where).run(); }

TokenizerRegex::TokenizerRegex(std::string_view pattern, std::string_view where) {
  if (pattern.size() > kMaxPattern) invalid(where, fmt::format("a pattern of at most {} bytes", kMaxPattern), std::to_string(pattern.size()));
  const std::string translated = oniguruma_to_pcre2(pattern, where);
  const CompileContext settings = allocated(CompileContext(pcre2_compile_context_create(nullptr)));
  pcre2_set_newline(settings.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(settings.get(), kMaxParenthesisDepth);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto compiled = std::make_unique<Compiled>();
  compiled->where = where;
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, settings.get()));
  if (!compiled->code) {
    invalid(where, "a regular expression", fmt::format("\"{}\" ({} at offset {})", printable(pattern, 200), pcre2_text(error), offset));
  }
  compiled->context = allocated(MatchContext(pcre2_match_context_create(nullptr)));
  pcre2_set_match_limit(compiled->context.get(), kMatchLimit);
  pcre2_set_heap_limit(compiled->context.get(), kHeapLimitKiB);
  compiled->jit = pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE) == 0;
  compiled_ = std::move(compiled);
}

TokenizerRegex::~TokenizerRegex() = default;

void TokenizerRegex::for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const {
  std::string stable;
  if (stable_text(text, stable)) text = stable;
  const MatchData data = allocated(MatchData(pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr)));
  size_t start = 0;
  size_t last_end = std::string_view::npos;
  while (start <= text.size()) {
    const int rc = compiled_->match(text, start, data.get());
    if (rc == PCRE2_ERROR_NOMATCH) return;
    if (rc < 0) fail(ErrorCode::not_supported, compiled_->where, "a pattern that matches the text within its limits", pcre2_text(rc));
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data.get());
    const size_t begin = span[0];
    const size_t end = span[1];
    if (begin != end || begin != last_end) found(begin, end);
    last_end = end;
    start = end;
    if (begin == end) {  // step over one character
      if (start >= text.size()) return;
      next_code_point(text, start);
    }
  }
}

}  // namespace attune
