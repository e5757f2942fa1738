#include "proof/probe_record.h"

#include "core/error.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestText = 2000;

}  // namespace

std::map<std::string, ProbeResult> parse_probes(std::string_view text) {
  const Json j = parse_cache_text(kProbeRecord, text);
  const CacheObject whole(kProbeRecord, j);
  const Json& probes = whole.member("probes");
  if (!probes.is_object() || probes.size() > kMostProbes) whole.bad(fmt::format("\"probes\" with at most {} of them", kMostProbes), "something else");
  std::map<std::string, ProbeResult> out;
  for (const auto& [key, value] : probes.items()) {
    if (key.size() > kLongestProbeKey) whole.bad(fmt::format("keys of at most {} bytes", kLongestProbeKey), fmt::format("{} bytes", key.size()));
    const CacheObject probe(kProbeRecord, value);
    out[key] = {.passed = probe.flag("passed"), .text = probe.text("text", kLongestText)};
  }
  return out;
}

std::string probes_text(const std::map<std::string, ProbeResult>& probes) {
  Json all = Json::object();
  for (const auto& [key, p] : probes) all[key] = {{"passed", p.passed}, {"text", printable(p.text, kLongestText - 8)}};
  return Json{{"format", kProbeRecord.format}, {"probes", all}}.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace attune
