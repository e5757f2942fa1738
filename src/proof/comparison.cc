#include "proof/comparison.h"

#include <fmt/format.h>

namespace attune {

std::string Comparison::verdict() const {
  if (max_ratio_ > 1)
    return fmt::format("{}: expected {:.9g} ± {:.3g}; got {:.9g} ({:.3g} times the bound)", where_, want_, bound_, got_, max_ratio_);
  if (count_ >= 256 && typical_ratio() > 4)
    return fmt::format("mean square error {:.3g} times that of independent roundings, expected at most 4, over {} outputs", typical_ratio(), count_);
  return "";
}

}  // namespace attune
