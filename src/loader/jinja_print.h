#pragma once

#include <string>

#include "loader/jinja_value.h"

namespace attune::jinja {

/// Python's str().
std::string to_text(const Value& v, Budget& budget);

/// Python's repr().
std::string to_repr(const Value& v, Budget& budget);

/// Python's repr() of a float: the shortest digits that read back the same.
std::string float_text(double d);

}  // namespace attune::jinja
