#pragma once

#include <map>
#include <utility>
#include <vector>

#include "proof/covering.h"
#include "proof/verify.h"

namespace attune {

// FLOP up to which every output is compared; with `all`.
inline constexpr double kWholeReference = 20e6, kWholeReferenceOfAll = 1e9;

/// A tag that says so promises no equal bits between calls of different shape.
inline bool is_ordered(const KernelInfo& kernel) { return kernel.reduction.find("unordered") == std::string_view::npos; }

/// Ops that have length sets, layers of models or large pools of their own.
template <class Op>
inline constexpr bool kHasLengthSets = std::is_same_v<Op, Attention> || std::is_same_v<Op, Matmul> || std::is_same_v<Op, KvWrite>;

/// A problem with how it is to be judged.
template <class Op>
struct Planned {
  Case<Op> problem;
  Guard guard = Guard::after;
  bool order = false;  ///< also alone, in chunks, as decode steps
  Tolerance tolerance;
  std::string name;  ///< in a suite
};

/// What is to be run of one kernel.
template <class Op>
struct Plan {
  std::vector<Planned<Op>> problems;
  PairCoverage pairs;
  PlannedWork work;
};

/// Which problems of an op a run has: of one kernel, and of two that share a reduction tag. A pure function of the options.
template <class Op>
class Planner {
 public:
  explicit Planner(const VerifyOptions& options) : o_(options) {}

  /// Nothing for the laws and for random cases, which are drawn while they run.
  Plan<Op> plan_of(const Kernel<Op>& kernel) const;

  /// The problems of a kernel's plan, made once: each pair that it is in asks for them.
  const std::vector<Case<Op>>& problems_of(const Kernel<Op>& kernel) const;

  /// Each two of the kernels whose tag promises equal bits.
  std::vector<std::pair<const Kernel<Op>*, const Kernel<Op>*>> pairs_of(const std::vector<const Kernel<Op>*>& kernels) const;

  /// Cases of either plan that both admit, each once; else drawn ones.
  std::vector<Case<Op>> common_cases(const Kernel<Op>& a, const Kernel<Op>& b) const;

 private:
  const VerifyOptions& o_;
  mutable std::map<const Kernel<Op>*, std::vector<Case<Op>>> problems_;
};

}  // namespace attune
