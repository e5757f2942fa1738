#include "select/constraint.h"

#include <fmt/format.h>

namespace attune {

std::string value_text(int64_t v) { return std::to_string(v); }
std::string value_text(double v) { return fmt::format("{}", v); }
std::string value_text(bool v) { return v ? "yes" : "no"; }

}  // namespace attune
