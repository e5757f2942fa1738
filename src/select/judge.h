#pragma once

#include <vector>

#include "select/kernel.h"
#include "select/reason.h"

namespace attune {

/// Reasons that lie in the binary, the device and its libraries. On a device that is not present kernels are judged as if built.
std::vector<Reason> check_device(const KernelInfo& kernel, bool is_built, const DeviceProps& device);

/// Appends a shared-memory reason if `needed` exceeds what a block of `device` has.
void check_shared_memory(std::vector<Reason>& reasons, int64_t needed, const DeviceProps& device);

/// Every reason why `kernel` cannot do `desc` on `device`; empty if it can. The desc has been validated.
template <class Op>
std::vector<Reason> check(const Kernel<Op>& kernel, const DeviceProps& device, const typename Op::Desc& desc) {
  std::vector<Reason> reasons = check_device(kernel.info, kernel.launch != nullptr, device);
  const typename Op::Desc defaults{};
  Op::for_each_field(kernel.can, desc, defaults, [&](FieldName name, const auto& constraint, const auto& asked, const auto& fallback, const auto&) {
    if (constraint.admits(asked, fallback)) return;
    const auto nearest = constraint.nearest(asked, fallback);
    reasons.push_back({ReasonCode::problem, std::string(name.field), value_text(asked), constraint.text(fallback),
                       nearest == asked ? "" : std::string(name.key) + "=" + value_text(nearest)});
  });
  for (const auto& rule : kernel.rules)
    if (!rule.admits(desc)) reasons.push_back({ReasonCode::problem, "rule", to_text(desc), std::string(rule.text), ""});
  if (kernel.shared_memory) check_shared_memory(reasons, kernel.shared_memory(desc), device);
  return reasons;
}

}  // namespace attune
