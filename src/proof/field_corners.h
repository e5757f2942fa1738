#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "ops/catalogue.h"
#include "proof/test_domain.h"
#include "select/desc_text.h"

namespace attune {

/// The values of a field that cases run through; empty if only a random draw can find one.
template <class T>
std::vector<T> corners(const Constraint<T>& can, const Constraint<T>& domain, T fallback) {
  std::vector<T> out;
  const auto add = [&](T x) {
    if (can.admits(x, fallback) && std::find(out.begin(), out.end(), x) == out.end()) out.push_back(x);
  };
  if (domain.kind() == ConstraintKind::listed)
    for (int i = 0; i < domain.count(); ++i) add(domain.value(i));
  if constexpr (std::is_same_v<T, int64_t>) {
    if (domain.kind() == ConstraintKind::ranged)
      for (int64_t x = domain.value(0); x <= domain.value(1) && x < domain.value(0) + 12; ++x) add(x);
    if (can.kind() == ConstraintKind::multiples && out.empty()) add(can.value(0)), add(can.value(0) * 3);
    if (can.kind() == ConstraintKind::ranged && can.value(0) > 1 && can.value(0) < 1024) add(can.value(0));
    if (can.kind() == ConstraintKind::ranged && can.value(1) < 1024) add(can.value(1));
    if (can.kind() == ConstraintKind::listed)
      for (int i = 0; i < can.count(); ++i)
        if (can.value(i) <= 1024) add(can.value(i));
  } else if (can.kind() == ConstraintKind::listed) {
    for (int i = 0; i < can.count(); ++i) add(can.value(i));
  }
  if (out.empty()) add(fallback);
  return out;
}

template <class Op, class T>
std::vector<T> field_corners(FieldName name, const Constraint<T>& can, const Constraint<T>& domain, T fallback) {
  if constexpr (std::is_same_v<T, int64_t>)
    return corners(can, test_sizes<Op>(name.field), fallback);
  else if constexpr (std::is_same_v<T, double>)
    return corners(can, kTestSoftcaps, fallback);
  else
    return corners<T>(can, domain, fallback);
}

/// True if the op accepts the desc at all.
template <class Op>
bool is_valid(const typename Op::Desc& desc) {
  if constexpr (std::is_same_v<Op, Attention>) {
    try {
      validate(desc);
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
