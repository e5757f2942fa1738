#include "models/kernel_binder.h"

#include <algorithm>
#include <optional>

namespace attune {
namespace {

/// The measured time of what was chosen.
std::optional<double> time_of(const Selection& s) {
  for (const Eligible& e : s.eligible)
    if (e.kernel == s.chosen) return e.median_us;
  return std::nullopt;
}

/// The mean over the variants of this time over that one; nothing if one is unknown, or a reference would run.
std::optional<double> time_ratio(const std::vector<Selection>& these, const std::vector<Selection>& those) {
  double sum = 0;
  for (size_t i = 0; i < these.size(); ++i) {
    const auto a = time_of(these[i]), b = time_of(those[i]);
    if (!a || !b || these[i].chosen->tier == Tier::reference) return std::nullopt;
    sum += *a / *b;
  }
  return sum / static_cast<double>(these.size());
}

}  // namespace

void workspace_too_small(std::string_view kernel, int64_t asked, size_t bytes) {
  fail(ErrorCode::internal, kernel, fmt::format("at most {} bytes of scratch, as set aside at load", bytes), fmt::format("{} bytes", asked));
}

void KernelBinder::need_workspace(std::string_view kernel, int64_t bytes) {
  if (bytes <= workspace_bytes_) return;
  if (workspace_locked_) workspace_too_small(kernel, bytes, static_cast<size_t>(workspace_bytes_));
  workspace_bytes_ = bytes, workspace_kernel_ = kernel;
}

std::vector<Selection> fastest_of(std::vector<std::vector<Selection>> candidates) {
  constexpr double kMinimumGain = 0.03;
  size_t best = 0;
  double least = 1 - kMinimumGain;
  for (size_t i = 1; i < candidates.size(); ++i)
    if (const auto ratio = time_ratio(candidates[i], candidates[0]); ratio && *ratio <= least) best = i, least = *ratio;
  if (best == 0) return std::move(candidates[0]);
  for (size_t v = 0; v < candidates[best].size(); ++v)
    candidates[best][v].rule = fmt::format("measured {:.1f} % faster, over all variants, than the order of arithmetic of the default {}",
                                           100 * (1 - least), candidates[0][v].chosen->name);
  return std::move(candidates[best]);
}

/// Keeps a selection; false for one that is known.
bool KernelBinder::remember(const Selection& s) {
  const auto same = [&](const Selection& o) { return o.op == s.op && o.role == s.role && o.desc == s.desc && o.bucket == s.bucket; };
  if (std::any_of(selections_.begin(), selections_.end(), same)) return false;
  const auto falls_back = [](const Selection& o) { return o.override_text.find(" not followed: ") != std::string::npos; };
  const auto told = [&](const Selection& o) { return o.op == s.op && o.role == s.role && falls_back(o); };
  if (falls_back(s) && std::none_of(selections_.begin(), selections_.end(), told)) log_warning("{}.{}: {}", s.op, s.role, s.override_text);
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
