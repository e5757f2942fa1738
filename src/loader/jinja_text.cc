#include "loader/jinja_text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

#include "core/utf8.h"
#include "loader/jinja_value.h"

namespace attune::jinja {
namespace {

/// Length in bytes of the character that starts with this byte of valid UTF-8.
size_t character_size(char first) {
  const auto b = static_cast<unsigned char>(first);
  return b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// Start of the character that ends just before byte `end`.
size_t previous(std::string_view s, size_t end) {
  do --end;
  while (end > 0 && is_continuation(s[end]));
  return end;
}

bool belongs(std::string_view character, std::optional<std::string_view> set) {
  if (!set) return is_space(utf8_decode(character));
  return set->find(character) != std::string_view::npos;
}

bool is_line_end(char32_t c) { return (c >= 0xa && c <= 0xd) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029; }

std::vector<std::string_view> split_words(std::string_view s, int64_t limit) {
  std::vector<std::string_view> out;
  s = strip(s, std::nullopt, true, false);
  while (!s.empty() && (limit < 0 || static_cast<int64_t>(out.size()) < limit)) {
    size_t end = 0;
    while (end < s.size() && !is_space(utf8_decode(s.substr(end)))) end += character_size(s[end]);
    out.push_back(s.substr(0, end));
    s = strip(s.substr(end), std::nullopt, true, false);
  }
  if (!s.empty()) out.push_back(s);
  return out;
}

std::vector<std::string_view> split_words_from_end(std::string_view s, int64_t limit) {
  std::vector<std::string_view> out;
  s = strip(s, std::nullopt, false, true);
  while (!s.empty() && (limit < 0 || static_cast<int64_t>(out.size()) < limit)) {
    size_t begin = s.size();
    while (begin > 0 && !is_space(utf8_decode(s.substr(previous(s, begin))))) begin = previous(s, begin);
    out.push_back(s.substr(begin));
    s = strip(s.substr(0, begin), std::nullopt, false, true);
  }
  if (!s.empty()) out.push_back(s);
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

size_t code_points(std::string_view s) {
  return static_cast<size_t>(std::count_if(s.begin(), s.end(), [](char c) { return !is_continuation(c); }));
}

std::u32string decode(std::string_view s) {
  std::u32string out;
  out.reserve(s.size());
  while (!s.empty()) {
    out += utf8_decode(s);
    s.remove_prefix(character_size(s[0]));
  }
  return out;
}

std::string encode(std::u32string_view s) {
  std::string out;
  for (const char32_t c : s) utf8_append(out, c);
  return out;
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool is_alpha(char32_t c) {
  const auto category = utf8proc_category(static_cast<int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) { return utf8proc_category(static_cast<int32_t>(c)) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t c) {
  return is_decimal(c) || c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
         (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247c) || (c >= 0x2488 && c <= 0x2490);
}

bool is_numeric(char32_t c) {
  const auto category = utf8proc_category(static_cast<int32_t>(c));
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

bool is_word(char32_t c) { return c == '_' || is_alpha(c) || is_numeric(c); }

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (utf8proc_category(static_cast<int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    default: return true;
  }
}

size_t byte_offset(std::string_view s, size_t index) {
  size_t at = 0;
  while (index > 0 && at < s.size()) {
    at += character_size(s[at]);
    --index;
  }
  return std::min(at, s.size());
}

std::string_view strip(std::string_view s, std::optional<std::string_view> chars, bool left, bool right) {
  while (left && !s.empty()) {
    const size_t n = character_size(s[0]);
    if (!belongs(s.substr(0, n), chars)) break;
    s.remove_prefix(n);
  }
  while (right && !s.empty()) {
    const size_t at = previous(s, s.size());
    if (!belongs(s.substr(at), chars)) break;
    s = s.substr(0, at);
  }
  return s;
}

std::vector<std::string_view> split(std::string_view s, std::optional<std::string_view> separator, int64_t limit) {
  if (!separator) return split_words(s, limit);
  if (separator->empty()) mistake("a separator that is not empty", "\"\"");
  std::vector<std::string_view> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t at = s.find(*separator);
    if (at == std::string_view::npos) break;
    out.push_back(s.substr(0, at));
    s.remove_prefix(at + separator->size());
  }
  out.push_back(s);
  return out;
}

std::vector<std::string_view> rsplit(std::string_view s, std::optional<std::string_view> separator, int64_t limit) {
  if (!separator) return split_words_from_end(s, limit);
  if (separator->empty()) mistake("a separator that is not empty", "\"\"");
  std::vector<std::string_view> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t at = s.rfind(*separator);
    if (at == std::string_view::npos) break;
    out.push_back(s.substr(at + separator->size()));
    s = s.substr(0, at);
  }
  out.push_back(s);
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string_view> split_lines(std::string_view s, bool keep_ends) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  for (size_t at = 0; at < s.size();) {
    const size_t size = character_size(s[at]);
    if (!is_line_end(utf8_decode(s.substr(at)))) {
      at += size;
      continue;
    }
    const size_t end = at;
    at += s.substr(at, 2) == "\r\n" ? 2 : size;
    out.push_back(s.substr(begin, (keep_ends ? at : end) - begin));
    begin = at;
  }
  if (begin < s.size()) out.push_back(s.substr(begin));
  return out;
}

std::string escape_html(std::string_view s) {
  std::string out;
  for (const char c : s) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string replace(std::string_view s, std::string_view from, std::string_view to, int64_t limit, uint64_t max_bytes) {
  std::string out;
  size_t at = 0;
  const auto put = [&](std::string_view part) {
    if (out.size() + part.size() > max_bytes) mistake(fmt::format("text of at most {} bytes", max_bytes), "more");
    out += part;
  };
  for (int64_t done = 0; limit < 0 || done < limit; ++done) {
    const size_t found = from.empty() ? at : s.find(from, at);
    if (found == std::string_view::npos) break;
    put(s.substr(at, found - at));
    put(to);
    at = found + from.size();
    if (!from.empty()) continue;
    if (at == s.size()) return out;  // an empty pattern matches before every character and at the end
    const size_t size = character_size(s[at]);
    put(s.substr(at, size));
    at += size;
  }
  put(s.substr(at));
  return out;
}

}  // namespace attune::jinja
