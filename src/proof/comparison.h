#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "proof/bounds.h"
#include "proof/lean.h"

namespace attune {

/// A tolerance picked by hand, as others' tests have it: |got − want| ≤ atol + rtol·|want|.
struct Tolerance {
  double atol = 0, rtol = 0;
};

/// Collects outputs against their expected values and bounds.
class Comparison {
 public:
  /// A tolerance, where given, is reported beside the bound.
  explicit Comparison(Tolerance tolerance = {}) : tolerance_(tolerance) {}

  /// `where` is called for the worst output only: "token 3, head 1, element 17".
  template <class Where>
  void add(double got, double want, const ErrorBound& bound, Where&& where, OutputKind kind = OutputKind::values) {
    ++count_;
    const bool same = got == want;  // covers infinities
    double error = same ? 0 : std::abs(got - want);
    if (std::isnan(error)) error = INFINITY;
    if (tolerance_.atol > 0) max_of_tolerance_ = std::max(max_of_tolerance_, error / (tolerance_.atol + tolerance_.rtol * std::abs(want)));
    const double ratio = error == 0 ? 0 : bound.worst > 0 ? error / bound.worst : INFINITY;
    if (error > max_error_) max_error_ = error;
    if (std::isfinite(error)) {
      Squares& s = squares_[static_cast<size_t>(kind)];
      ++s.count;
      s.error += error * error;
      s.typical += bound.typical * bound.typical;
      squared_error_ += error * error;
      squared_want_ += std::isfinite(want) ? want * want : 0;
    }
    if (ratio > max_ratio_ || where_.empty()) {
      max_ratio_ = ratio;
      where_ = where();
      got_ = got;
      want_ = want;
      bound_ = bound.worst;
    }
  }

  /// Adds the errors of a row of a head.
  void add_lean(OutputKind kind, int64_t head, const Lean& lean) { levers_.add(kind, head, lean); }
  const Levers& levers() const { return levers_; }

  int64_t count() const { return count_; }
  double max_error() const { return max_error_; }
  double max_ratio() const { return max_ratio_; }
  const std::string& where() const { return where_; }
  /// Largest error over the tolerance; 0 without one.
  double max_of_tolerance() const { return max_of_tolerance_; }
  double nmse() const { return squared_want_ > 0 ? squared_error_ / squared_want_ : 0; }

  /// Mean squared error over the expected one of independent roundings: the largest of the parts with enough outputs for a judgement.
  double typical_ratio() const;

  /// Outputs of parts too small for a judgement of their own, and the sum of their parts' ratios: for one over many cases.
  struct Few {
    int64_t outputs = 0;
    double ratios = 0;
  };
  Few few() const;

  /// Empty if every output is within its bound, the mean square within four times the expected one, and no part's errors lean to one side.
  std::string verdict() const;

 private:
  struct Squares {
    int64_t count = 0;
    double error = 0, typical = 0;
    bool judged(OutputKind kind) const { return typical > 0 && count >= (kind == OutputKind::values ? 256 : 64); }
    double ratio() const { return typical > 0 ? error / typical : 0; }
  };
  Tolerance tolerance_;
  double max_of_tolerance_ = 0;
  int64_t count_ = 0;
  double max_error_ = 0, max_ratio_ = 0;
  double squared_error_ = 0, squared_want_ = 0;
  std::array<Squares, 4> squares_;
  Levers levers_;
  std::string where_;
  double got_ = 0, want_ = 0, bound_ = 0;
};

}  // namespace attune
