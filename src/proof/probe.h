#pragma once

#include <string>

#include "ops/catalogue.h"

namespace attune {

/// What a probe saw: `text` names the case, the place and the excess over the bound when it failed.
struct ProbeResult {
  bool passed = false;
  std::string text;
  double seconds = 0;
  bool device_lost = false;   ///< the device reported an error: this process can use it no more
  bool inconclusive = false;  ///< it failed, but not by the kernel's doing
};

class CaseDevice;

/// Runs a selected kernel on small problems of this desc and compares at least 64 outputs with the reference: tile corners included, several
/// chunks of keys, NaN in everything unused. `device`: for a kernel that runs on one. Never throws for what the kernel does.
template <class Op>
ProbeResult probe(const Kernel<Op>& kernel, const typename Op::Desc& desc, CaseDevice* device = nullptr);

}  // namespace attune
