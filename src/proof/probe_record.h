#pragma once

#include <map>
#include <string>
#include <string_view>

#include "proof/cache_file.h"
#include "proof/probe.h"

namespace attune {

// The file that remembers probes, by kernel, version, desc, device, driver and binary.

inline constexpr CacheFileLimits kProbeRecord{.what = "probe record"};
inline constexpr size_t kMostProbes = 10'000, kLongestProbeKey = 2000;

/// InvalidArgument for a hostile text.
std::map<std::string, ProbeResult> parse_probes(std::string_view text);
std::string probes_text(const std::map<std::string, ProbeResult>& probes);

}  // namespace attune
