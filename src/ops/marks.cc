// What has been done with a kernel's code, by architecture.
#include <fmt/format.h>

#include "ops/catalogue.h"

namespace attune {
namespace {

const Emulated* emulated_on(const KernelInfo& kernel, Arch arch) {
  if (kernel.device.kind != DeviceKind::hip) return nullptr;
  for (const Emulated& e : catalogue().emulated)
    if (e.kernel == kernel.name && e.arch == arch) return &e;
  return nullptr;
}

}  // namespace

std::string mark_text(const KernelInfo& kernel, Arch arch) {
  const Emulated* e = emulated_on(kernel, arch);
  return e ? fmt::format("{} ({} cases)", to_text(Mark::emulated), e->cases) : std::string(to_text(kernel.mark));
}

std::string mark_text(const KernelInfo& kernel) {
  std::string each;
  bool differ = false;
  for (int a = 0; a <= static_cast<int>(Arch::gfx1100); ++a) {
    const auto arch = static_cast<Arch>(a);
    if (!kernel.device.arch.admits(arch, Arch::generic)) continue;
    each += fmt::format("{}{}: {}", each.empty() ? "" : ", ", to_text(arch), mark_text(kernel, arch));
    differ |= emulated_on(kernel, arch) != nullptr;
  }
  return differ ? each : std::string(to_text(kernel.mark));
}

}  // namespace attune
