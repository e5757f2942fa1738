#pragma once

// Whether errors lean to one side: what a factor common to all outputs looks like, when no single output is wrong enough to show it.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace attune {

/// Outputs whose mean squares are judged apart, for one kind would hide the other.
enum class OutputKind : uint8_t { values, lse, logprobs, far };
constexpr std::string_view to_text(OutputKind kind) {
  constexpr std::string_view kNames[] = {"values", "log-sum-exps", "log-probabilities", "far values"};
  return kNames[static_cast<int>(kind)];
}

/// The errors e of outputs w that belong together, such as one row of one head, against a factor common to all: with independent roundings Σe·w is
/// as often above 0 as below, and small.
struct Lean {
  double error = 0;     ///< Σ e·w
  double size = 0;      ///< Σ w²
  double variance = 0;  ///< expected square of `error` if roundings are independent
  double common = 0;    ///< Σ |w|·(ErrorBound::common)
};

/// The leans of a head of any call (−1: of all heads), each row weighed by how sure it is.
class Levers {
 public:
  struct Lever {
    double error = 0, size = 0, variance = 0, common = 0;
    /// What six standard deviations of independent roundings and twice the common part make of `error`.
    double limit() const { return 6 * std::sqrt(variance) + 2 * common; }
    double ratio() const { return size > 0 ? std::abs(error) / limit() : 0; }
  };
  using Key = std::pair<OutputKind, int64_t>;

  /// Adds to what is known of a head, and of all heads together. What is not finite is left out.
  void add(OutputKind kind, int64_t head, const Lean& lean);
  void add(const Key& of, const Lever& lever);
  void add(const Levers& other);
  const std::map<Key, Lever>& all() const { return all_; }

  /// The largest lean over its limit; at most 1.
  double ratio() const;
  /// "values of head 3 lean by …": empty if none leans too far.
  std::string verdict() const;

 private:
  std::map<Key, Lever> all_;
};

}  // namespace attune
