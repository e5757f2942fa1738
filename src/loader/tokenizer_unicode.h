#pragma once

#include <string>
#include <string_view>

namespace attune {

/// Code points first..last behave as `alias`, which has the same category and UTF-8 length in every version of Unicode.
struct CodePointAlias {
  char32_t first;
  char32_t last;
  char32_t alias;
};

struct CodePointRange {
  char32_t first;
  char32_t last;
};

/// The stand-in of a code point that older or newer Unicode tables judge differently from version 16; itself for all others.
char32_t stable_code_point(char32_t c);

/// `text` with each code point replaced by its stand-in of equal length: what patterns are matched against.
/// Returns false, and leaves `out` alone, if nothing differs.
bool stable_text(std::string_view text, std::string& out);

bool is_white_space(char32_t c);  ///< property White_Space
bool is_word(char32_t c);         ///< \w of Unicode TR18: alphabetic, mark, decimal digit, connector, join control
bool is_numeric(char32_t c);      ///< categories Nd, Nl, No

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// `text` (valid UTF-8) in a Unicode normal form; time n log n whatever the text.
std::string normalized(std::string_view text, NormalForm form);

/// Lower case by the full mapping of each code point, without regard to its neighbours.
std::string lowercase(std::string_view text);

/// Bytes of `text` before its first broken UTF-8 sequence; text.size() if there is none.
size_t utf8_valid_prefix(std::string_view text);

/// `text` with each maximal broken part replaced by U+FFFD.
std::string utf8_repaired(std::string_view text);

/// Code point at `at`, which is advanced past it; the text is known to be valid.
char32_t next_code_point(std::string_view text, size_t& at);

}  // namespace attune
