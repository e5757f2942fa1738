#pragma once

#include <string>
#include <vector>

#include "ops/sample.h"
#include "proof/device_twin.h"

namespace attune {

/// One law of sampling: many draws against its exact probabilities.
struct LawResult {
  std::string law;
  int64_t draws = 0;
  int64_t outcomes = 0;   ///< tokens that may be drawn
  double chi_square = 0;  ///< over outcomes, rare ones taken together
  double limit = 0;       ///< what chance exceeds once in 10⁹ runs
  std::string text;       ///< what is wrong; empty if the draws follow the law
};

/// Draws from temperature, top-k, top-p, min-p, penalties, bias, bans and their combination; keys differ in position, or in seed or sample
/// index. A token that a law excludes must never come.
std::vector<LawResult> check_laws(const SampleKernel& kernel, int64_t draws, uint64_t seed, const LaunchSite& site);

/// The value that a chi-square of `freedom` degrees exceeds with probability 10⁻⁹ (Wilson and Hilferty, 1931).
double chi_square_limit(double freedom);

}  // namespace attune
