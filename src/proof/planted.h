#pragma once

#include <span>

#include "ops/catalogue.h"

namespace attune {

/// A kernel with a defect on purpose: the proof that the harness can fail. These stand in no catalogue.
template <class Op>
struct Planted {
  std::string_view name;   ///< of the defect
  std::string_view what;   ///< what the kernel does wrong
  std::string_view desc;   ///< desc text on which the defect shows
  bool hidden_at_one_row;  ///< gives right results for one query token a sequence
  Kernel<Op> kernel;
  bool faults = false;  ///< ends the process that runs it
};

/// The broken kernels of an op; empty for an op without any.
template <class Op>
std::span<const Planted<Op>> planted();

/// The attention kernel that the broken ones are made from, without a defect: it must pass everywhere.
const AttentionKernel& unplanted_attention();

}  // namespace attune
