#pragma once

#include <string>

#include "proof/cases.h"
#include "proof/comparison.h"

namespace attune {

/// A case as somebody else's test has it, and the tolerance that it is judged by there.
struct SuiteCase {
  std::string name;
  Case<Attention> problem;
  Tolerance tolerance;
};

/// The 65 cases of the field's test of a unified paged attention kernel (the `seed` suite): eight heads, no group, no window; mixed, decode and
/// prefill batches in bf16 and f16, and 8-bit keys, queries or both. 1.5e-2 and 1e-2; 8-bit 0.15 and 0.15.
std::vector<SuiteCase> seed_suite();

}  // namespace attune
