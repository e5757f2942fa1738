#pragma once

#include <vector>

#include "proof/cases.h"

namespace attune {

/// How many pairs of corner values (of two fields each) stand together in some case, and how many a kernel admits. A pair counts as impossible only
/// if no desc is admitted that has it and differs from an admitted desc (or from the defaults) in at most two fields more. `too_large`: admitted, but
/// only in descs that would take gigabytes; not counted as possible.
struct PairCoverage {
  int64_t covered = 0, possible = 0, too_large = 0;
};

/// Cases whose descs hold every pair of corners of any two fields that the kernel admits together: the smallest, largest, odd and prime
/// values of each field meet each of those of every other. Lengths are drawn as in draw_case. Corners that meet nothing are missing here;
/// unexercised() names them.
template <class Op>
std::vector<Case<Op>> covering_cases(const Kernel<Op>& kernel, uint64_t seed, PairCoverage* coverage = nullptr);

}  // namespace attune
