#include "proof/comparison.h"

#include <fmt/format.h>

namespace attune {

void Levers::add(OutputKind kind, int64_t head, const Lean& l) {
  if (!std::isfinite(l.error) || !std::isfinite(l.size) || !(l.variance > 0)) return;
  const double weight = l.size / (l.variance + l.common * l.common);
  const Lever lever{weight * l.error, weight * l.size, weight * weight * l.variance, weight * l.common};
  add({kind, head}, lever), add({kind, -1}, lever);
}

void Levers::add(const Key& of, const Lever& lever) {
  Lever& s = all_[of];
  s.error += lever.error, s.size += lever.size, s.variance += lever.variance, s.common += lever.common;
}

void Levers::add(const Levers& other) {
  for (const auto& [of, lever] : other.all_) add(of, lever);
}

double Levers::ratio() const {
  double most = 0;
  for (const auto& [of, lever] : all_) most = std::max(most, lever.ratio());
  return most;
}

std::string Levers::verdict() const {
  for (const auto& [of, lever] : all_) {
    if (lever.ratio() <= 1) continue;
    const std::string head = of.second < 0 ? "all heads" : fmt::format("head {}", of.second);
    return fmt::format("{} of {} lean by {:.3g}{}, expected at most {:.3g} of independent roundings", to_text(of.first), head,
                       lever.error / lever.size, of.first == OutputKind::lse ? "" : " of their size", lever.limit() / lever.size);
  }
  return "";
}

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
