#pragma once

#include <string>
#include <vector>

#include "select/select.h"

namespace attune {

/// A decision as JSON: {"op","role","desc","device","chosen","eligible","rejected","rule","override"}.
std::string selection_to_json(const Selection& selection);
std::string selections_to_json(const std::vector<Selection>& selections);

/// The same for a reader: chosen, eligible with times, rejected with every reason, the rule, how to override.
std::string selection_to_text(const Selection& selection);

/// "attention cpu.attention.avx2 · matmul cpu.matmul.avx2": the distinct kernels of the two ops that matter most.
std::string chosen_line(const std::vector<Selection>& selections);

}  // namespace attune
