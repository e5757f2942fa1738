#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "ops/catalogue.h"
#include "proof/test_domain.h"
#include "select/desc_text.h"

namespace attune {

/// The largest end of a range of sizes that meets every other field's corners; listed sizes always do.
inline constexpr int64_t kLargestRun = 65536;

/// The values of a field that cases run through: those of `tested` (types, modes, test sizes) that the kernel admits, what it lists, the ends of
/// its range within the op's `domain`, the smallest of its multiples. Ends beyond kLargestRun, and of what it does not limit the largest, go to
/// `beyond`: one case each, since all others' corners with them would cost too much.
template <class T>
std::vector<T> corners(const Constraint<T>& can, const Constraint<T>& tested, const Constraint<T>& domain, T fallback, std::vector<T>* beyond) {
  std::vector<T> out;
  const auto add = [&](T x) {
    if (can.admits(x, fallback) && std::find(out.begin(), out.end(), x) == out.end()) out.push_back(x);
  };
  if (tested.kind() == ConstraintKind::listed)
    for (int i = 0; i < tested.count(); ++i) add(tested.value(i));
  if (can.kind() == ConstraintKind::listed)
    for (int i = 0; i < can.count(); ++i) add(can.value(i));
  if constexpr (std::is_same_v<T, int64_t>) {
    if (tested.kind() == ConstraintKind::ranged)
      for (int64_t x = tested.value(0); x <= tested.value(1) && x < tested.value(0) + 12; ++x) add(x);
    const bool bounded = domain.kind() == ConstraintKind::ranged;
    if (can.kind() == ConstraintKind::multiples) {
      const int64_t step = can.value(0), least = bounded ? std::max(step, (domain.value(0) + step - 1) / step * step) : step;
      add(least);
      if (out.size() == 1) add(least * 3);
      if (bounded && beyond) beyond->push_back(domain.value(1) / step * step);
    }
    if (can.kind() == ConstraintKind::ranged)
      for (const int64_t end :
           {bounded ? std::max(can.value(0), domain.value(0)) : can.value(0), bounded ? std::min(can.value(1), domain.value(1)) : can.value(1)}) {
        if (end <= kLargestRun)
          add(end);
        else if (beyond)
          beyond->push_back(end);
      }
    if (can.kind() == ConstraintKind::unlimited && bounded && beyond && std::find(out.begin(), out.end(), domain.value(1)) == out.end())
      beyond->push_back(domain.value(1));
  }
  if (out.empty()) add(fallback);
  return out;
}

template <class Op, class T>
std::vector<T> field_corners(FieldName name, const Constraint<T>& can, const Constraint<T>& domain, T fallback, std::vector<T>* beyond = nullptr) {
  if constexpr (std::is_same_v<T, int64_t>)
    return corners(can, test_sizes<Op>(name.field), domain, fallback, beyond);
  else if constexpr (std::is_same_v<T, double>)
    return corners(can, kTestSoftcaps, domain, fallback, beyond);
  else
    return corners<T>(can, domain, domain, fallback, beyond);
}

/// What the field admits, with the ends that `any` has: "any of 1..1024".
template <class T>
std::string declared_text(const Constraint<T>& can, const Constraint<T>& domain, T fallback) {
  std::string out = can.text(fallback);
  if (can.kind() == ConstraintKind::unlimited && domain.kind() == ConstraintKind::ranged) out += " of " + domain.text(fallback);
  return out;
}

/// False for what would take gigabytes: an admitted pair of sizes that is not run for this is counted.
inline bool is_affordable(const MatmulDesc& d) { return static_cast<double>(d.n) * static_cast<double>(d.k) <= 1 << 27; }
template <class Desc>
bool is_affordable(const Desc&) {
  return true;
}

/// True if the op accepts the desc at all.
template <class Op>
bool is_valid(const typename Op::Desc& desc) {
  if constexpr (HasValidate<Op>) {
    try {
      Op::validate(desc);
    } catch (const Error&) {
      return false;
    }
    return true;
  } else {
    const typename Op::Capability none{};
    const typename Op::Desc defaults{};
    bool all = true;
    Op::for_each_field(none, desc, defaults, [&](FieldName, const auto&, const auto& value, const auto& fallback, const auto& domain) {
      all = all && domain.admits(value, fallback);
    });
    return all;
  }
}

}  // namespace attune
