#pragma once

#include <fmt/format.h>

#include "attune/error.h"

namespace attune {

/// Throws an Error whose message is `where: expected …; got …`.
[[noreturn]] void fail(ErrorCode code, std::string_view where, std::string_view expected, std::string_view got);

/// Throws InvalidArgument in the same form.
[[noreturn]] inline void invalid(std::string_view where, std::string_view expected, std::string_view got) {
  fail(ErrorCode::invalid_argument, where, expected, got);
}

/// Bytes of the outside world made fit for a message: control characters and broken UTF-8 escaped, cut after `limit` bytes.
std::string printable(std::string_view bytes, size_t limit = 80);

}  // namespace attune
