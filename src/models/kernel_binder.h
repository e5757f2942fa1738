#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "device/runtime.h"
#include "ops/catalogue.h"
#include "proof/device_twin.h"
#include "proof/load_probes.h"
#include "proof/planted.h"
#include "proof/probe.h"
#include "select/select.h"

namespace attune {

/// One question to the selection: a desc under its variant's name ("decode", "rows<=64") and bucket.
template <class Op>
struct Ask {
  std::string variant;
  typename Op::Desc desc;
  Bucket bucket;
};

/// Internal: a kernel asks for more scratch than was set aside for all at load.
[[noreturn]] void workspace_too_small(std::string_view kernel, int64_t asked, size_t bytes);

/// The chosen kernels of one use of an op: one a variant. The hot path is one call through a pointer.
template <class Op>
struct Bound {
  struct Variant {
    std::string name;
    typename Op::Desc desc;
    const Kernel<Op>* kernel;
    int64_t workspace = 0;  ///< bytes of scratch a launch may need at most
  };
  std::string role;
  std::vector<Variant> variants;

  void operator()(const ExecContext& ctx, const typename Op::Params& params, size_t variant = 0) const {
    const Variant& v = variants[variant];
    if (v.workspace > static_cast<int64_t>(ctx.workspace.bytes)) workspace_too_small(v.kernel->info.name, v.workspace, ctx.workspace.bytes);
    if (ctx.trace) ctx.trace->launched(Op::kName, role, v.name, v.kernel->info.name);
    v.kernel->launch(ctx, v.desc, params);
  }
};

/// Of ways to serve all variants of a use, best first: the first, unless all of its times and another's are known and the other's are, in the mean of
/// their ratios, at least 3 % less.
std::vector<Selection> fastest_of(std::vector<std::vector<Selection>> candidates);

/// Selects, probes and remembers the kernels of a model, and the scratch memory they may need.
class KernelBinder {
 public:
  struct Options {
    DeviceProps device;
    std::shared_ptr<Device> runtime;  ///< the device opened; null where only questions are asked
    Policy policy;
    Limits limits;
    bool invariant = true;  ///< all variants of a use share one reduction tag
    bool probe = true;
    std::function<ProbeResult(const ProbeQuestion&)> probe_apart;  ///< who probes kernels of GPUs: a child process; empty: this one
    bool choose = true;    ///< false: no kernel is looked for, as only sizes are asked for (not `required` then)
    bool required = true;  ///< false: a use without an eligible kernel is recorded, not refused (what explain asks)
    std::string plant;     ///< a planted kernel that stands before the catalogue's (test builds)
    std::function<std::vector<Measurement>(std::string_view op, const std::string& desc, const Bucket& bucket)> measurements;
  };
  explicit KernelBinder(Options options) : options_(std::move(options)) {}

  /// Chooses kernels for all variants of one use. NotSupported, with every kernel's reasons, if a variant has none.
  template <class Op>
  Bound<Op> bind(const std::string& role, const std::vector<Ask<Op>>& asks);

  /// As bind, where every variant has a kernel other than the reference; else nothing is bound, recorded or refused. For an op that stands for
  /// several others.
  template <class Op>
  std::optional<Bound<Op>> bind_above_reference(const std::string& role, const std::vector<Ask<Op>>& asks);

  /// True if every override for this use names a kernel that can do all of `asks`.
  template <class Op>
  bool can_follow_overrides(const std::string& role, const std::vector<Ask<Op>>& asks) const;

  /// The decisions without a probe: what explain shows.
  template <class Op>
  std::vector<Selection> select_all(const std::string& role, const std::vector<Ask<Op>>& asks) const;

  /// What a step can hold at most; set before the first bind.
  Limits& limits() { return options_.limits; }
  const DeviceProps& device() const { return options_.device; }
  Device& runtime() const { return *options_.runtime; }
  bool required() const { return options_.required; }
  const std::vector<Selection>& selections() const { return selections_; }
  /// The scratch memory that the kernels bound so far may need, and the one of them that needs it.
  int64_t workspace_bytes() const { return workspace_bytes_; }
  std::string_view workspace_kernel() const { return workspace_kernel_; }
  /// Ends the binding of kernels that need more: the memory is being set aside. Later ones are Internal, naming the kernel.
  int64_t lock_workspace() {
    workspace_locked_ = true;
    return workspace_bytes_;
  }
  double probe_seconds() const { return probe_seconds_; }
  /// After the last bind: lets go of what probes hold on to.
  void end_probes() {
    options_.probe_apart = nullptr;
    case_device_ = nullptr;
  }

  /// A hash over the chosen kernels, their versions and descs, as text.
  std::string fingerprint() const;

 private:
  template <class Op>
  std::vector<Selection> select_tagged(const std::string& role, const std::vector<Ask<Op>>& asks, const std::string& tag) const;
  template <class Op>
  bool probed(const Kernel<Op>& kernel, const typename Op::Desc& desc);
  template <class Variant>
  void record(const std::vector<Selection>& selections, const std::vector<Variant>& variants);
  bool remember(const Selection& selection);
  void need_workspace(std::string_view kernel, int64_t bytes);

  Options options_;
  std::vector<Selection> selections_;
  std::map<std::string, bool> probes_;  // kernel and desc -> passed
  std::shared_ptr<CaseDevice> case_device_;
  int64_t workspace_bytes_ = 0;
  std::string_view workspace_kernel_;
  bool workspace_locked_ = false;
  double probe_seconds_ = 0;
};

template <class Op>
std::vector<Selection> KernelBinder::select_tagged(const std::string& role, const std::vector<Ask<Op>>& asks, const std::string& tag) const {
  Policy policy = options_.policy;
  policy.reduction = tag;
  std::vector<Selection> out;
  if (!options_.choose) return std::vector<Selection>(asks.size());
  for (const auto& ask : asks) {
    const auto measured = options_.measurements ? options_.measurements(Op::kName, to_text(ask.desc), ask.bucket) : std::vector<Measurement>{};
    out.push_back(select<Op>(kernels_with<Op>(options_.plant), options_.device, ask.desc, role, ask.bucket, measured, policy));
  }
  return out;
}

template <class Op>
std::vector<Selection> KernelBinder::select_all(const std::string& role, const std::vector<Ask<Op>>& asks) const {
  auto free = select_tagged(role, asks, "");
  if (!options_.choose || !options_.invariant || asks.size() < 2) return free;
  // The first variant's ranking proposes tags; those that serve every variant are candidates, of which the first is the default. Measured times
  // decide between them jointly; an override binds its kernel's tag.
  const bool overridden = !free[0].override_text.empty() && free[0].override_text.find("not followed") == std::string::npos;
  std::vector<std::string> tags;
  if (overridden) tags.emplace_back(free[0].chosen->reduction);
  for (const auto& e : free[0].eligible)
    if (!overridden && std::find(tags.begin(), tags.end(), e.kernel->reduction) == tags.end()) tags.emplace_back(e.kernel->reduction);
  std::erase_if(tags, [](const std::string& tag) { return tag.find("unordered") != std::string::npos; });  // a vendor's, which promises nothing
  std::vector<std::vector<Selection>> candidates;
  for (const auto& tag : tags) {
    auto bound = select_tagged(role, asks, tag);
    if (std::all_of(bound.begin(), bound.end(), [](const Selection& s) { return s.chosen != nullptr; })) candidates.push_back(std::move(bound));
  }
  if (!candidates.empty()) return fastest_of(std::move(candidates));
  for (const auto& s : free)
    if (!s.chosen) return free;
  fail(ErrorCode::not_supported, std::string(Op::kName) + "." + role, "one order of arithmetic that serves every phase (--invariant)",
       "none among the eligible kernels");
}

template <class Op>
bool KernelBinder::probed(const Kernel<Op>& kernel, const typename Op::Desc& desc) {
  if (!options_.probe) return true;
  const std::string key = std::string(kernel.info.name) + " " + to_text(desc);
  if (const auto known = probes_.find(key); known != probes_.end()) return known->second;
  const bool on_gpu = kernel.info.device.kind != DeviceKind::cpu;
  if (on_gpu && !options_.probe_apart && !case_device_) case_device_ = std::make_shared<CaseDevice>(*options_.runtime);
  const ProbeResult result = on_gpu && options_.probe_apart
                                 ? options_.probe_apart({std::string(Op::kName), std::string(kernel.info.name), to_text(desc), kernel.info.version})
                                 : probe<Op>(kernel, desc, on_gpu ? case_device_.get() : nullptr);
  probe_seconds_ += result.seconds;
  if (!on_gpu && result.inconclusive)  // memory ran out here: the next kernel would not be the one that a load with memory takes
    fail(ErrorCode::out_of_memory, fmt::format("probe of {}", kernel.info.name), "memory for a small problem", result.text);
  probes_[key] = result.passed;
  if (!result.passed) {
    options_.policy.failed_probe.emplace_back(kernel.info.name, result.text);
    log_warning("probe: {} failed for {}: {}", kernel.info.name, to_text(desc), result.text);
  }
  return result.passed;
}

/// Remembers the selections of one use and logs each distinct decision among the new ones once, naming the variants that share it.
template <class Variant>
void KernelBinder::record(const std::vector<Selection>& selections, const std::vector<Variant>& variants) {
  std::vector<size_t> left;
  for (size_t i = 0; i < selections.size(); ++i)
    if (remember(selections[i])) left.push_back(i);
  while (!left.empty()) {
    const Selection& first = selections[left.front()];
    std::string names;
    std::erase_if(left, [&](size_t i) {
      if (!same_decision(first, selections[i])) return false;
      names += (names.empty() ? "" : ", ") + variants[i].name;
      return true;
    });
    log_info("{}", log_text(first, selections.size() > 1 ? names : ""));
  }
}

template <class Op>
bool KernelBinder::can_follow_overrides(const std::string& role, const std::vector<Ask<Op>>& asks) const {
  const auto can = [&](const Kernel<Op>* kernel, const std::string& name) {
    return kernel->info.name == name &&
           std::all_of(asks.begin(), asks.end(), [&](const Ask<Op>& ask) { return check(*kernel, options_.device, ask.desc).empty(); });
  };
  const auto kernels = kernels_with<Op>(options_.plant);
  return std::all_of(options_.policy.overrides.begin(), options_.policy.overrides.end(), [&](const Override& o) {
    if (o.op != Op::kName || (!o.role.empty() && o.role != role)) return true;
    return std::any_of(kernels.begin(), kernels.end(), [&](const Kernel<Op>* k) { return can(k, o.kernel); });
  });
}

template <class Op>
std::optional<Bound<Op>> KernelBinder::bind_above_reference(const std::string& role, const std::vector<Ask<Op>>& asks) {
  for (;;) {
    const auto selections = select_all(role, asks);
    bool trusted = true;
    for (size_t i = 0; i < asks.size() && trusted; ++i) {
      const KernelInfo* chosen = selections[i].chosen;
      if (!chosen || chosen->tier == Tier::reference) return std::nullopt;
      trusted = probed(*find_kernel<Op>(chosen), asks[i].desc);
    }
    if (trusted) return bind(role, asks);
  }
}

template <class Op>
Bound<Op> KernelBinder::bind(const std::string& role, const std::vector<Ask<Op>>& asks) {
  for (;;) {
    const auto selections = select_all(role, asks);
    Bound<Op> bound{role, {}};
    bool trusted = true;
    for (size_t i = 0; i < asks.size() && trusted; ++i) {
      const Selection& s = selections[i];
      if (!s.chosen && !options_.required) {
        bound.variants.push_back({asks[i].variant, asks[i].desc, nullptr, 0});
        continue;
      }
      if (!s.chosen)
        fail(ErrorCode::not_supported, fmt::format("{}.{}", Op::kName, role), "a kernel for " + s.desc + " on " + s.device,
             "none is eligible:" + refusals_text(s));
      const Kernel<Op>* kernel = find_kernel<Op>(s.chosen);
      trusted = probed(*kernel, asks[i].desc);
      bound.variants.push_back({asks[i].variant, asks[i].desc, kernel, 0});
    }
    if (!trusted) continue;
    for (auto& v : bound.variants)
      if (v.kernel && v.kernel->workspace) {
        v.workspace = v.kernel->workspace(v.desc, options_.limits);
        need_workspace(v.kernel->info.name, v.workspace);
      }
    if (options_.choose) record(selections, bound.variants);
    return bound;
  }
}

}  // namespace attune
