#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "select/judge.h"
#include "select/kernel.h"
#include "select/reason.h"

namespace attune {

/// What a decision is made for besides the desc: powers of two, rounded up; for matmul `rows` is the bucket's largest M.
struct Bucket {
  int64_t sequences = 1;
  int64_t longest_kv = 1024;
  int64_t rows = 1;
  bool operator==(const Bucket&) const = default;
};
std::string to_text(const Bucket& bucket);

/// Median times in µs of kernels for (device, desc, bucket); kernels that are absent are unmeasured.
struct Measurement {
  std::string kernel;
  double median_us = 0;
  int version = 0;  ///< of the kernel; 0: any. Times of another version count for nothing
};

/// One `--kernel OP[.ROLE]=NAME` or `=prefer:NAME`. A name may end in `*`… as a glob it never does: exactly one kernel is meant.
struct Override {
  std::string op;
  std::string role;  ///< empty: all
  std::string kernel;
  bool prefer = false;
};

/// The user's say: overrides and disabled kernels; what failed its probe; the tag that binds (--invariant).
struct Policy {
  std::vector<Override> overrides;
  std::vector<std::string> disabled;                              ///< globs of --disable-kernel
  std::vector<std::pair<std::string, std::string>> failed_probe;  ///< kernel, what was seen
  std::string reduction;                                          ///< not empty: only kernels with this tag are eligible
};

struct Eligible {
  const KernelInfo* kernel = nullptr;
  std::optional<double> median_us;
};
struct Rejected {
  const KernelInfo* kernel = nullptr;
  std::vector<Reason> reasons;
};

/// The result of select(): a value that explains itself.
struct Selection {
  std::string op, role, desc, device;
  Bucket bucket;
  bool as_if_built = false;            ///< the device is not present
  const KernelInfo* chosen = nullptr;  ///< null: nothing is eligible
  std::vector<Eligible> eligible;      ///< best tier first, catalogue order within a tier
  std::vector<Rejected> rejected;
  std::string rule;           ///< the sentence of the policy that decided
  std::string override_text;  ///< the override that applied, or why a preference did not; empty if none
};

/// Decides among kernels already judged; the op-independent half of select().
Selection decide(std::string op, std::string role, std::string desc, const Bucket& bucket, const DeviceProps& device, std::vector<Rejected> judged,
                 const std::vector<Measurement>& measured, const Policy& policy);

/// Chooses a kernel of `Op` for `desc`: a pure function. The policy, whole: the default is the first eligible kernel of the best tier, in
/// catalogue order; if the default is measured, the fastest measured eligible kernel of any tier but reference replaces it when at least 3 %
/// faster. `require` must be eligible or it is NotSupported with the reasons; `prefer` falls back and says why.
template <class Op>
Selection select(std::span<const Kernel<Op>* const> kernels, const DeviceProps& device, const typename Op::Desc& desc, const std::string& role,
                 const Bucket& bucket, const std::vector<Measurement>& measured, const Policy& policy) {
  std::vector<Rejected> judged;
  for (const Kernel<Op>* k : kernels) judged.push_back({&k->info, check(*k, device, desc)});
  return decide(std::string(Op::kName), role, to_text(desc), bucket, device, std::move(judged), measured, policy);
}

/// `name` matches `glob` (`*` any run, `?` one character).
bool glob_matches(std::string_view glob, std::string_view name);

/// The INFO line of a decision: op, role, chosen, every passed-over kernel with its reasons. `variants` names what else the same decision is for.
std::string log_text(const Selection& selection, std::string_view variants = {});

/// Whether two selections differ at most in desc and bucket: same op, role, chosen, eligible with times, rejected with reasons, rule. What a kernel
/// of another device would refuse besides does not count.
bool same_decision(const Selection& a, const Selection& b);

/// All reasons of a selection without an eligible kernel, one kernel a line; for the NotSupported error.
std::string refusals_text(const Selection& selection);

}  // namespace attune
