#pragma once

#include <span>
#include <utility>
#include <vector>

#include "ops/sample.h"

namespace attune {

/// The law of one row of sampling, written down apart from the reference: what may be drawn, heaviest first, with its weight.
struct SampleLaw {
  std::vector<std::pair<int32_t, double>> kept;
  double total = 0;

  /// How far the row's keyed draw is from giving `token`, as a share of the total; infinite for a token that is not kept. A kernel whose
  /// weights are rounded may differ from the reference where this is some 1e-6.
  double distance(const SampleRow& row, int32_t token) const;
};

/// Bias, bans and penalties, then min-p and top-k, then top-p on the rest; ties go to the lower id.
SampleLaw sample_law(std::span<const float> logits, const SampleRow& row);

}  // namespace attune
