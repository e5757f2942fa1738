#include "select/judge.h"

#include <fmt/format.h>

namespace attune {
namespace {

void check_library(std::vector<Reason>& reasons, const LibraryNeed& need, const DeviceProps& device) {
  if (need.name.empty()) return;
  const std::string wanted = need.max_version == INT64_MAX ? fmt::format("version {} or later", need.min_version)
                                                           : fmt::format("version {} to {}", need.min_version, need.max_version);
  for (const auto& library : device.libraries) {
    if (library.name != need.name) continue;
    if (library.version < need.min_version || library.version > need.max_version)
      reasons.push_back({ReasonCode::library, std::string(need.name), fmt::format("version {}", library.version), wanted, ""});
    else if (!library.missing_symbol.empty())
      reasons.push_back({ReasonCode::library, std::string(need.name), fmt::format("version {} without it", library.version),
                         "the function " + library.missing_symbol, ""});
    return;
  }
  reasons.push_back({ReasonCode::library, std::string(need.name), device.present ? "absent" : "unknown", wanted, ""});
}

}  // namespace

std::vector<Reason> check_device(const KernelInfo& kernel, bool is_built, const DeviceProps& device) {
  std::vector<Reason> reasons;
  if (device.present && !is_built) {
    reasons.push_back({ReasonCode::not_built, "backend", std::string(kernel.backend()), fmt::format("a build with {}", kernel.backend()), ""});
  }
  if (kernel.device.kind != device.kind) {
    reasons.push_back({ReasonCode::device, "device", std::string(to_text(device.kind)), std::string(to_text(kernel.device.kind)), ""});
    return reasons;  // the rest of a foreign device says nothing more
  }
  if (!kernel.device.arch.admits(device.arch, Arch::generic))
    reasons.push_back({ReasonCode::device, "arch", std::string(to_text(device.arch)), kernel.device.arch.text(Arch::generic), ""});
  const uint32_t missing = kernel.device.features & ~device.features;
  if (missing) reasons.push_back({ReasonCode::device, "features", features_text(device.features), features_text(kernel.device.features), ""});
  check_library(reasons, kernel.device.library, device);
  return reasons;
}

void check_shared_memory(std::vector<Reason>& reasons, int64_t needed, const DeviceProps& device) {
  if (needed > device.shared_memory)
    reasons.push_back({ReasonCode::device, "shared_memory", fmt::format("{} bytes", device.shared_memory), fmt::format("{} bytes", needed), ""});
}

std::string to_text(const Reason& r) {
  if (r.code == ReasonCode::not_built) return "built without " + r.asked;
  if (r.code == ReasonCode::probe) return "failed its probe: " + r.asked;
  if (r.code == ReasonCode::policy && r.field == "policy") return "disabled by --disable-kernel " + r.asked;
  if (r.code == ReasonCode::policy) return fmt::format("all phases share the order of arithmetic {}; this kernel's is {}", r.asked, r.allowed);
  if (r.field == "rule") return r.allowed;
  return fmt::format("{}: needs {}; got {}", r.field, r.allowed, r.asked);
}

std::string to_text(const std::vector<Reason>& reasons) {
  std::string out;
  for (const auto& r : reasons) out += (out.empty() ? "" : " · ") + to_text(r);
  return out;
}

}  // namespace attune
