#pragma once

#include <string>
#include <vector>

namespace attune {

/// The kinds of refusal.
enum class ReasonCode {
  not_built,  ///< this binary was built without the backend
  device,     ///< the device lacks an architecture, a feature or memory
  library,    ///< a vendor library is absent, too old, or misses a symbol
  problem,    ///< the desc lies outside the capability
  policy,     ///< disabled by the user, or by a rule that binds several choices (one reduction tag, one KV layout)
  probe,      ///< the kernel gave wrong results on this machine
};

constexpr std::string_view to_text(ReasonCode c) {
  constexpr std::string_view kNames[] = {"not_built", "device", "library", "problem", "policy", "probe"};
  return kNames[static_cast<int>(c)];
}

/// One reason why a kernel was refused.
struct Reason {
  ReasonCode code;
  std::string field;    ///< what was judged: "head_dim", "arch", "backend"
  std::string asked;    ///< the value asked for
  std::string allowed;  ///< what the kernel admits
  std::string hint;     ///< the nearest value that would work; empty if none
  bool operator==(const Reason&) const = default;
};

/// "head_dim: needs one of {64, 128}; got 96"
std::string to_text(const Reason& reason);

/// All of them in one line, separated by " · ".
std::string to_text(const std::vector<Reason>& reasons);

}  // namespace attune
