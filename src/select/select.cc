#include "select/select.h"

#include <algorithm>

#include "core/error.h"

namespace attune {
namespace {

constexpr double kMinimumGain = 0.03;

void apply_policy(Rejected& judged, const Policy& policy) {
  const std::string_view name = judged.kernel->name;
  for (const auto& glob : policy.disabled)
    if (glob_matches(glob, name)) judged.reasons.push_back({ReasonCode::policy, "policy", glob, "kernels that no --disable-kernel names", ""});
  for (const auto& [kernel, seen] : policy.failed_probe)
    if (kernel == name) judged.reasons.push_back({ReasonCode::probe, "probe", seen, "results within their bounds", ""});
  if (!policy.reduction.empty() && judged.kernel->reduction != policy.reduction)
    judged.reasons.push_back({ReasonCode::policy, "reduction", policy.reduction, std::string(judged.kernel->reduction), ""});
}

/// The last override for this op and role: a later flag wins over an earlier, one with a role over one without.
const Override* find_override(const Policy& policy, const std::string& op, const std::string& role) {
  const Override* found = nullptr;
  for (const auto& o : policy.overrides) {
    if (o.op != op || (!o.role.empty() && o.role != role)) continue;
    if (!found || !o.role.empty() || found->role.empty()) found = &o;
  }
  return found;
}

void choose_default(Selection& s) {
  if (s.eligible.empty()) {
    s.rule = "no kernel is eligible";
    return;
  }
  const Eligible& first = s.eligible.front();
  s.chosen = first.kernel;
  s.rule = fmt::format("first eligible kernel of the best tier ({}), in catalogue order", to_text(first.kernel->tier));
  if (!first.median_us) return;
  const Eligible* fastest = &first;
  for (const auto& e : s.eligible)
    if (e.median_us && e.kernel->tier != Tier::reference && *e.median_us < *fastest->median_us) fastest = &e;
  const double gain = 1 - *fastest->median_us / *first.median_us;
  if (fastest != &first && gain >= kMinimumGain) {
    s.chosen = fastest->kernel;
    s.rule = fmt::format("measured {:.1f} % faster than the default {}", 100 * gain, first.kernel->name);
  } else {
    s.rule += "; measured, and none is at least 3 % faster";
  }
}

void apply_override(Selection& s, const Override& o) {
  const std::string flag = fmt::format("--kernel {}{}{}={}{}", o.op, o.role.empty() ? "" : ".", o.role, o.prefer ? "prefer:" : "", o.kernel);
  const auto e = std::find_if(s.eligible.begin(), s.eligible.end(), [&](const Eligible& x) { return x.kernel->name == o.kernel; });
  if (e != s.eligible.end()) {
    s.chosen = e->kernel;
    s.rule = o.prefer ? "preferred by the user" : "required by the user";
    s.override_text = flag;
    return;
  }
  std::string why = "no such kernel";
  for (const auto& r : s.rejected)
    if (r.kernel->name == o.kernel) why = to_text(r.reasons);
  if (!o.prefer) {
    std::string known;
    for (const auto& x : s.eligible) known += (known.empty() ? "" : ", ") + std::string(x.kernel->name);
    fail(ErrorCode::not_supported, flag, "an eligible kernel (" + (known.empty() ? "none is" : known) + ") for " + s.desc, o.kernel + ": " + why);
  }
  s.override_text = flag + " not followed: " + why;
}

}  // namespace

bool glob_matches(std::string_view glob, std::string_view name) {
  size_t g = 0, n = 0, star = std::string_view::npos, mark = 0;
  while (n < name.size()) {
    if (g < glob.size() && (glob[g] == '?' || glob[g] == name[n])) {
      ++g, ++n;
    } else if (g < glob.size() && glob[g] == '*') {
      star = g++, mark = n;
    } else if (star != std::string_view::npos) {
      g = star + 1, n = ++mark;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

std::string to_text(const Bucket& b) { return fmt::format("sequences<={} kv<={} rows<={}", b.sequences, b.longest_kv, b.rows); }

Selection decide(std::string op, std::string role, std::string desc, const Bucket& bucket, const DeviceProps& device, std::vector<Rejected> judged,
                 const std::vector<Measurement>& measured, const Policy& policy) {
  Selection s;
  s.op = std::move(op), s.role = std::move(role), s.desc = std::move(desc), s.bucket = bucket;
  s.device = device.name, s.as_if_built = !device.present;
  for (auto& j : judged) {
    apply_policy(j, policy);
    if (!j.reasons.empty()) {
      s.rejected.push_back(std::move(j));
      continue;
    }
    Eligible e{j.kernel, std::nullopt};
    for (const auto& m : measured)
      if (m.kernel == j.kernel->name && (m.version == 0 || m.version == j.kernel->version)) e.median_us = m.median_us;
    s.eligible.push_back(e);
  }
  std::stable_sort(s.eligible.begin(), s.eligible.end(), [](const Eligible& a, const Eligible& b) { return a.kernel->tier < b.kernel->tier; });
  choose_default(s);
  if (const Override* o = find_override(policy, s.op, s.role)) apply_override(s, *o);
  return s;
}

namespace {

bool lacks_device(const Rejected& r) {
  return std::any_of(r.reasons.begin(), r.reasons.end(), [](const Reason& reason) { return reason.code == ReasonCode::device; });
}

/// All of the INFO line that does not depend on the desc; `brief` leaves out what else a kernel of another device would refuse.
std::string decision_text(const Selection& s, bool brief = false) {
  std::string out = fmt::format("{} ({})", s.chosen ? s.chosen->name : "none", s.rule);
  if (!s.override_text.empty()) out += fmt::format("; {}", s.override_text);
  std::string others;
  for (const auto& e : s.eligible)
    if (e.kernel != s.chosen)
      others += fmt::format("{}{} (eligible{})", others.empty() ? "" : "; ", e.kernel->name,
                            e.median_us ? fmt::format(", {:.1f} us", *e.median_us) : ", unmeasured");
  for (const auto& r : s.rejected)
    others += fmt::format("{}{} ({})", others.empty() ? "" : "; ", r.kernel->name, brief && lacks_device(r) ? "another device" : to_text(r.reasons));
  return out + (others.empty() ? "" : "; passed over: " + others);
}

}  // namespace

std::string log_text(const Selection& s, std::string_view variants) {
  return fmt::format("{}{}{} [{}]{}{}: {}", s.op, s.role.empty() ? "" : ".", s.role, s.desc, variants.empty() ? "" : " for ", variants,
                     decision_text(s));
}

bool same_decision(const Selection& a, const Selection& b) {
  return a.op == b.op && a.role == b.role && decision_text(a, true) == decision_text(b, true);
}

std::string refusals_text(const Selection& s) {
  std::string out;
  for (const auto& r : s.rejected) out += fmt::format("\n  {}: {}", r.kernel->name, to_text(r.reasons));
  return out;
}

}  // namespace attune
