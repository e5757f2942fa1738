#pragma once

#include "proof/field_corners.h"

namespace attune {

/// Fields of which no corner of `a` is admitted by `b`.
template <class Op>
std::vector<std::string> fields_outside(const Kernel<Op>& a, const Kernel<Op>& b) {
  std::vector<std::string> out;
  typename Op::Desc desc{};
  const typename Op::Desc defaults{};
  const auto b_admits = [&](std::string_view field) {
    bool admitted = false;
    Op::for_each_field(b.can, desc, defaults, [&](FieldName name, const auto& can, const auto& value, const auto& fallback, const auto&) {
      if (name.field == field) admitted = can.admits(value, fallback);
    });
    return admitted;
  };
  Op::for_each_field(a.can, desc, defaults, [&](FieldName name, const auto& can, auto& value, const auto& fallback, const auto& domain) {
    const auto kept = value;
    bool common = false;
    for (const auto corner : field_corners<Op>(name, can, domain, fallback)) value = corner, common = common || b_admits(name.field);
    value = kept;
    if (!common) out.emplace_back(name.field);
  });
  return out;
}

/// The field that keeps two kernels apart, as no value of it is both's; empty if there is none.
template <class Op>
std::string field_apart(const Kernel<Op>& a, const Kernel<Op>& b) {
  const auto of_b = fields_outside(b, a);
  for (const std::string& field : fields_outside(a, b))
    if (std::find(of_b.begin(), of_b.end(), field) != of_b.end()) return field;
  return "";
}

}  // namespace attune
