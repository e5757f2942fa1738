#include "proof/comparison.h"

#include <fmt/format.h>

namespace attune {

double Comparison::typical_ratio() const {
  double most = 0;
  for (size_t i = 0; i < squares_.size(); ++i)
    if (squares_[i].judged(static_cast<OutputKind>(i))) most = std::max(most, squares_[i].ratio());
  return most;
}

Comparison::Few Comparison::few() const {
  Few out;
  for (size_t i = 0; i < squares_.size(); ++i)
    if (const Squares& s = squares_[i]; s.typical > 0 && !s.judged(static_cast<OutputKind>(i)))
      out.outputs += s.count, out.ratios += static_cast<double>(s.count) * s.ratio();
  return out;
}

std::string Comparison::verdict() const {
  if (max_ratio_ > 1)
    return fmt::format("{}: expected {:.9g} ± {:.3g}; got {:.9g} ({:.3g} times the bound)", where_, want_, bound_, got_, max_ratio_);
  for (size_t i = 0; i < squares_.size(); ++i) {
    const Squares& s = squares_[i];
    if (s.judged(static_cast<OutputKind>(i)) && s.ratio() > 4)
      return fmt::format("mean square error {:.3g} times that of independent roundings, expected at most 4, over {} {}", s.ratio(), s.count,
                         to_text(static_cast<OutputKind>(i)));
  }
  return levers_.verdict();
}

}  // namespace attune
