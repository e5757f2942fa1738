#include "models/kernel_binder.h"

#include <algorithm>

namespace attune {

/// Keeps a selection; false for one that is known.
bool KernelBinder::remember(const Selection& s) {
  const auto same = [&](const Selection& o) { return o.op == s.op && o.role == s.role && o.desc == s.desc && o.bucket == s.bucket; };
  if (std::any_of(selections_.begin(), selections_.end(), same)) return false;
  selections_.push_back(s);
  return true;
}

std::string KernelBinder::fingerprint() const {
  uint64_t h = 0xcbf29ce484222325ull;  // FNV-1a
  const auto mix = [&h](std::string_view text) {
    for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  };
  for (const Selection& s : selections_) {
    mix(s.role);
    mix(s.desc);
    if (s.chosen) mix(fmt::format("{} {} {}", s.chosen->name, s.chosen->version, s.chosen->reduction));
  }
  return fmt::format("{:016x}", h);
}

}  // namespace attune
