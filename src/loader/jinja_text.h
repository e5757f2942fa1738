#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attune::jinja {

// Python's str, on UTF-8 that is known to be valid. Positions count code points.

/// Number of code points.
size_t code_points(std::string_view s);

std::u32string decode(std::string_view s);
std::string encode(std::u32string_view s);

/// str.isspace() of one character.
bool is_space(char32_t c);
/// What `\w` matches in Python's re.
bool is_word(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_lower(char32_t c);
bool is_upper(char32_t c);
bool is_title(char32_t c);
bool is_printable(char32_t c);

/// Byte offset of code point `index` (the size of `s` when past its end).
size_t byte_offset(std::string_view s, size_t index);

/// Removes white space, or any of the characters in `chars`, from the ends asked for.
std::string_view strip(std::string_view s, std::optional<std::string_view> chars, bool left, bool right);

/// str.split() and str.rsplit(); without `separator` at runs of white space. `limit` < 0 means no limit.
std::vector<std::string_view> split(std::string_view s, std::optional<std::string_view> separator, int64_t limit);
std::vector<std::string_view> rsplit(std::string_view s, std::optional<std::string_view> separator, int64_t limit);
std::vector<std::string_view> split_lines(std::string_view s, bool keep_ends);

/// str.replace(); `limit` < 0 replaces all. A result above `max_bytes` is a Mistake.
std::string replace(std::string_view s, std::string_view from, std::string_view to, int64_t limit, uint64_t max_bytes);

/// The characters & < > ' " as HTML entities.
std::string escape_html(std::string_view s);

std::string upper(std::string_view s);
std::string lower(std::string_view s);
std::string title(std::string_view s);
std::string capitalize(std::string_view s);
std::string swap_case(std::string_view s);

}  // namespace attune::jinja
