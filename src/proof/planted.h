#pragma once

#include <span>
#include <vector>

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

/// The planted kernel of a name: a defect of planted(), or `slow` (attention: right, and slow), or the portable attention kernel of a GPU as it is
/// (`gpu_slow`), with a scale that is too large (`gpu_scale`), with a block table that is not there (`gpu_nowhere`: a fault of the device). Null if
/// the op has none of that name.
template <class Op>
const Kernel<Op>* find_planted(std::string_view name);

/// Throws InvalidArgument, with the names there are, unless some op has one of that name, and in a build without tests; an empty name is none.
void check_plant(std::string_view name);

/// The same, and unless a kernel of that name is one of this device: elsewhere it would join nothing.
void check_plant(std::string_view name, const DeviceProps& device);

/// The catalogue's kernels of an op, after the planted one of that name, so that it is what selection takes by default.
template <class Op>
std::vector<const Kernel<Op>*> kernels_with(std::string_view plant) {
  const auto kernels = catalogue().template kernels<Op>();
  std::vector<const Kernel<Op>*> out(kernels.begin(), kernels.end());
  if (const Kernel<Op>* k = plant.empty() ? nullptr : find_planted<Op>(plant)) out.insert(out.begin(), k);
  return out;
}

/// The kernel, of the catalogue or planted, that this is the information of.
template <class Op>
const Kernel<Op>* find_kernel(const KernelInfo* info) {
  for (const Kernel<Op>* k : catalogue().template kernels<Op>())
    if (&k->info == info) return k;
  const Kernel<Op>* k = info->backend() == "planted" ? find_planted<Op>(info->name.substr(info->name.rfind('.') + 1)) : nullptr;
  return k && &k->info == info ? k : nullptr;
}

/// The attention kernel that the broken ones are made from, without a defect: it must pass everywhere.
const AttentionKernel& unplanted_attention();

}  // namespace attune
