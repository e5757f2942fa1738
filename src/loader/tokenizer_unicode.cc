#include "loader/tokenizer_unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/tokenizer_unicode_tables.h"

namespace attune {
namespace {

template <class Range>
const Range* find_range(const Range* begin, const Range* end, char32_t c) {
  const Range* r = std::upper_bound(begin, end, c, [](char32_t x, const Range& range) { return x < range.first; });
  return r != begin && c <= (r - 1)->last ? r - 1 : nullptr;
}

bool is_inert(char32_t c) { return c >= kInert[0].first && find_range(std::begin(kInert), std::end(kInert), c) != nullptr; }

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(stable_code_point(c))); }

/// Stably sorts each run of combining marks by combining class (utf8proc itself exchanges neighbours: quadratic).
void order_marks(std::vector<utf8proc_int32_t>& text) {
  const auto rank = [](utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; };
  for (size_t i = 0; i < text.size();) {
    if (rank(text[i]) == 0) {
      ++i;
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && rank(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + static_cast<std::ptrdiff_t>(i), text.begin() + static_cast<std::ptrdiff_t>(end),
                     [&](utf8proc_int32_t a, utf8proc_int32_t b) { return rank(a) < rank(b); });
    i = end;
  }
}

/// Orders, composes and appends what stands in `pending`.
void flush_pending(std::vector<utf8proc_int32_t>& pending, bool compose, std::string& out) {
  if (pending.empty()) return;
  order_marks(pending);
  auto size = static_cast<utf8proc_ssize_t>(pending.size());
  if (compose) {
    size = utf8proc_normalize_utf32(pending.data(), size, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (size < 0) fail(ErrorCode::internal, "tokenizer: normalisation", "a composed text", utf8proc_errmsg(size));
  }
  for (utf8proc_ssize_t i = 0; i < size; ++i) utf8_append(out, static_cast<char32_t>(pending[static_cast<size_t>(i)]));
  pending.clear();
}

/// Lower-case letters that Unicode gained after the oldest tables we link.
char32_t recent_lowercase(char32_t c) {
  if (c == 0xa7cb) return 0x264;
  if (c == 0xa7dc) return 0x19b;
  if (c == 0x1c89 || c == 0xa7cc || c == 0xa7ce || c == 0xa7d2 || c == 0xa7d4 || c == 0xa7da) return c + 1;
  if (c >= 0x10d50 && c <= 0x10d65) return c + 0x20;
  if (c >= 0x16ea0 && c <= 0x16eb8) return c + 0x1b;
  return 0;
}

}  // namespace

char32_t stable_code_point(char32_t c) {
  if (c < kAliases[0].first || (c >= 0x3400 && c < 0xa7cb)) return c;
  const CodePointAlias* r = find_range(std::begin(kAliases), std::end(kAliases), c);
  return r != nullptr ? r->alias : c;
}

char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t lead = byte(at);
  if (lead < 0x80) return ++at, lead;
  const size_t i = at;
  if (lead < 0xe0) return at += 2, (lead & 0x1f) << 6 | (byte(i + 1) & 0x3f);
  if (lead < 0xf0) return at += 3, (lead & 0x0f) << 12 | (byte(i + 1) & 0x3f) << 6 | (byte(i + 2) & 0x3f);
  return at += 4, (lead & 0x07) << 18 | (byte(i + 1) & 0x3f) << 12 | (byte(i + 2) & 0x3f) << 6 | (byte(i + 3) & 0x3f);
}

bool stable_text(std::string_view text, std::string& out) {
  bool differs = false;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = next_code_point(text, at);
    const char32_t alias = stable_code_point(c);
    if (alias == c) continue;
    if (!differs) out.assign(text);
    differs = true;
    std::string bytes;
    utf8_append(bytes, alias);
    out.replace(begin, at - begin, bytes);
  }
  return differs;
}

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

bool is_word(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: break;
  }
  // Alphabetic symbols (letters in circles and squares) and the join controls.
  return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
         (c >= 0x1f170 && c <= 0x1f189);
}

bool is_numeric(char32_t c) {
  const utf8proc_category_t k = category(c);
  if (k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO) return true;
  return (c >= 0x11de0 && c <= 0x11de9) || (c >= 0x16ff4 && c <= 0x16ff6);  // numbers of Unicode 17
}

std::string normalized(std::string_view text, NormalForm form) {
  const bool compose = form == NormalForm::nfc || form == NormalForm::nfkc;
  const bool compatible = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const char32_t unchanged_below = form == NormalForm::nfc ? 0x300 : form == NormalForm::nfkd || form == NormalForm::nfkc ? 0xa0 : 0xc0;
  bool unchanged = true;
  for (size_t at = 0; unchanged && at < text.size();) unchanged = next_code_point(text, at) < unchanged_below;
  if (unchanged) return std::string(text);

  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> pending;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (is_inert(c)) {
      flush_pending(pending, compose, out);
      utf8_append(out, c);
      continue;
    }
    utf8proc_int32_t parts[32];
    int last_bound_class = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, 32, options, &last_bound_class);
    if (n < 0 || n > 32) fail(ErrorCode::internal, "tokenizer: normalisation", "at most 32 parts of a character", std::to_string(n));
    pending.insert(pending.end(), parts, parts + n);
  }
  flush_pending(pending, compose, out);
  return out;
}

std::string lowercase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == 0x130) {
      out += "i\xcc\x87";
    } else if (const char32_t recent = recent_lowercase(c)) {
      utf8_append(out, recent);
    } else {
      utf8_append(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  return out;
}

size_t utf8_valid_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const size_t n = utf8_sequence(text.substr(at));
    if (n == 0) return at;
    at += n;
  }
  return at;
}

std::string utf8_repaired(std::string_view text) {
  std::string out;
  while (true) {
    const size_t good = utf8_valid_prefix(text);
    out += text.substr(0, good);
    text.remove_prefix(good);
    if (text.empty()) return out;
    size_t broken = 1;  // the longest start of some character, at least one byte
    while (broken < text.size() && broken < 3 && utf8_incomplete(text.substr(0, broken + 1))) ++broken;
    out += "\xef\xbf\xbd";
    text.remove_prefix(broken);
  }
}

}  // namespace attune
