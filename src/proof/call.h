#pragma once

#include <memory>
#include <span>
#include <string>

#include "proof/device_twin.h"
#include "proof/guarded_buffer.h"
#include "proof/problem.h"

namespace attune {

/// Scratch memory of a launch, full of garbage, in surroundings that show whether they were written.
class CaseWorkspace {
 public:
  CaseWorkspace(const LaunchSite& site, size_t bytes, Guard guard);
  ~CaseWorkspace();
  CaseWorkspace(const CaseWorkspace&) = delete;
  CaseWorkspace& operator=(const CaseWorkspace&) = delete;

  void fill(uint8_t garbage);
  Workspace view() const;
  bool surroundings_untouched() const;

 private:
  static constexpr size_t kMargin = 2048;
  LaunchSite site_;
  size_t bytes_;
  std::unique_ptr<GuardedBuffer> host_;
  Buffer device_;
};

/// One call of a kernel, its pointers to the host's tensors: launched on these, or on their twins on a device. What a twin holds is the caller's
/// affair: uploaded before a launch, downloaded after it.
template <class Op>
class Call {
 public:
  using Params = typename Op::Params;
  Call(const Kernel<Op>& kernel, const typename Op::Desc& desc, const Params& params, Limits limits, const LaunchSite& site,
       std::span<DeviceTwin* const> twins = {}, Guard guard = Guard::slack);

  /// Launches with a workspace full of `garbage` and waits. What was written outside, or nothing. An Error of the kernel passes.
  std::string launch(uint8_t garbage);

  /// Captures the launch (on a device) and keeps the graph for replay().
  void capture();
  std::string replay(uint8_t garbage);

 private:
  void translate(std::span<DeviceTwin* const> twins);
  ExecContext context() const;
  std::string finish();

  const Kernel<Op>& kernel_;
  typename Op::Desc desc_;
  Params params_;
  LaunchSite site_;
  CaseWorkspace workspace_;
  std::unique_ptr<Memory> rows_;  // the laws of a sample, which hold pointers
  std::unique_ptr<DeviceTwin> rows_twin_;
  Graph graph_;
};

}  // namespace attune
