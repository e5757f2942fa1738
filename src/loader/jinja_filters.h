#pragma once

#include <string>
#include <string_view>

#include "loader/jinja_runtime.h"

namespace attune::jinja {

/// The filters that work on sequences and mappings; null for other names.
const Builtin* find_sequence_filter(std::string_view name);

/// Methods of text; null for other names.
const Builtin* find_text_method(std::string_view name);

/// str.center(), str.ljust() and str.rjust() with a fill of one character.
std::string pad_center(const std::string& s, int64_t width, std::string_view fill, const Budget& budget);
std::string pad_right(const std::string& s, int64_t width, std::string_view fill, const Budget& budget);
std::string pad_left(const std::string& s, int64_t width, std::string_view fill, const Budget& budget);

/// str.format().
Value brace_format(Runtime& runtime, const std::string& format, const Arguments& arguments);

}  // namespace attune::jinja
