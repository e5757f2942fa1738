#include "core/utf8.h"

#include <algorithm>

namespace attune {
namespace {

struct Lead {
  size_t length;      // 0: not a lead byte
  unsigned char low;  // range of the second byte, which excludes overlong forms and surrogates
  unsigned char high;
};

Lead lead(unsigned char c) {
  if (c < 0x80) return {1, 0, 0};
  if (c < 0xc2) return {0, 0, 0};
  if (c < 0xe0) return {2, 0x80, 0xbf};
  if (c < 0xf0) return {3, static_cast<unsigned char>(c == 0xe0 ? 0xa0 : 0x80), static_cast<unsigned char>(c == 0xed ? 0x9f : 0xbf)};
  if (c < 0xf5) return {4, static_cast<unsigned char>(c == 0xf0 ? 0x90 : 0x80), static_cast<unsigned char>(c == 0xf4 ? 0x8f : 0xbf)};
  return {0, 0, 0};
}

/// Number of leading bytes of `s` that agree with the character its first byte announces.
size_t agreeing(std::string_view s, const Lead& l) {
  size_t n = 1;
  for (; n < std::min(l.length, s.size()); ++n) {
    const auto c = static_cast<unsigned char>(s[n]);
    const unsigned char low = n == 1 ? l.low : 0x80;
    const unsigned char high = n == 1 ? l.high : 0xbf;
    if (c < low || c > high) break;
  }
  return n;
}

}  // namespace

size_t utf8_sequence(std::string_view s) {
  if (s.empty()) return 0;
  const Lead l = lead(static_cast<unsigned char>(s[0]));
  return l.length != 0 && agreeing(s, l) == l.length ? l.length : 0;
}

bool utf8_incomplete(std::string_view s) {
  if (s.empty()) return false;
  const Lead l = lead(static_cast<unsigned char>(s[0]));
  return l.length > s.size() && agreeing(s, l) == s.size();
}

bool utf8_valid(std::string_view s) {
  while (!s.empty()) {
    const size_t n = utf8_sequence(s);
    if (n == 0) return false;
    s.remove_prefix(n);
  }
  return true;
}

char32_t utf8_decode(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(s[i])); };
  switch (utf8_sequence(s)) {
    case 1: return byte(0);
    case 2: return (byte(0) & 0x1f) << 6 | (byte(1) & 0x3f);
    case 3: return (byte(0) & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f);
    case 4: return (byte(0) & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f);
    default: return 0xfffd;
  }
}

void utf8_append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  const int extra = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr unsigned char kLead[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kLead[extra] | (c >> (6 * extra)));
  for (int i = extra - 1; i >= 0; --i) out += static_cast<char>(0x80 | ((c >> (6 * i)) & 0x3f));
}

}  // namespace attune
