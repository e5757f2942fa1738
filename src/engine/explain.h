#pragma once

#include <string>
#include <vector>

#include "attune/kernels.h"
#include "proof/report.h"
#include "select/select.h"

namespace attune {

/// A decision as JSON: {"op","role","desc","device","chosen","eligible","rejected","rule","override"}. With a record, each eligible kernel also
/// says when it was last verified: "verified", null if never.
std::string selection_to_json(const Selection& selection, const VerifyRecord* record = nullptr);
std::string selections_to_json(const std::vector<Selection>& all, const VerifyRecord* record = nullptr);

/// The same for a reader: chosen, eligible with times, rejected with every reason, the rule, how to override.
std::string selection_to_text(const Selection& selection, const VerifyRecord* record = nullptr);

/// The decisions of a model at load, from its config alone.
std::vector<Selection> model_selections(const ExplainQuery& query);

/// "attention cpu.attention.avx2 · matmul cpu.matmul.avx2": the distinct kernels of the two ops that matter most.
std::string chosen_line(const std::vector<Selection>& all);

}  // namespace attune
