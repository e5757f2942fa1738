#pragma once

#include <memory>

#include "proof/call.h"

namespace attune {

// What order.cc and row_order.cc have in common: calls on tensors of one problem and of a part of it, on whatever site.

/// Tensors, and their copies where the kernel runs.
class Placed {
 public:
  Placed(Memory& memory, const LaunchSite& site) {
    if (!site.device) return;
    twin_ = std::make_unique<DeviceTwin>(*site.device, memory);
    twin_->upload();
  }
  DeviceTwin* twin() const { return twin_.get(); }
  /// Brings back what a launch wrote.
  void fetch() {
    if (twin_) twin_->download();
  }

 private:
  std::unique_ptr<DeviceTwin> twin_;
};

/// A launch on tensors of `whole` and of `part`.
template <class Op>
void launch(const Kernel<Op>& kernel, const typename Op::Desc& desc, const typename Op::Params& params, const Limits& limits, const LaunchSite& site,
            const Placed& whole, const Placed* part = nullptr) {
  DeviceTwin* const twins[] = {whole.twin(), part ? part->twin() : nullptr};
  Call<Op>(kernel, desc, params, limits, site, std::span(twins, site.device ? (part ? 2 : 1) : 0)).launch(0xff);
}

/// The address of an element.
inline const void* at(const void* data, DType t, int64_t element) {
  return static_cast<const uint8_t*>(data) + element * static_cast<int64_t>(size_of(t));
}

}  // namespace attune
