#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace attune {

/// Length (1..4) of the well-formed UTF-8 character at the start of `s`, 0 if there is none (RFC 3629: no surrogates, no
/// overlong forms, at most U+10FFFF).
size_t utf8_sequence(std::string_view s);

/// True if `s` is a proper prefix of some well-formed character: more bytes could complete it.
bool utf8_incomplete(std::string_view s);

bool utf8_valid(std::string_view s);

/// The code point of the well-formed character at the start of `s` (its length from utf8_sequence).
char32_t utf8_decode(std::string_view s);

void utf8_append(std::string& out, char32_t code_point);

}  // namespace attune
