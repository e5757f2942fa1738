#pragma once

#include <string>

#include "loader/jinja_runtime.h"

namespace attune::jinja {

/// Runs the template and returns what it prints. Throws Mistake or Raised; `runtime.line` then says where.
std::string run_template(const Template& t, Runtime& runtime, uint64_t max_output_bytes);

}  // namespace attune::jinja
