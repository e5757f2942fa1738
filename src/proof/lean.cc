#include "proof/lean.h"

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

}  // namespace attune
