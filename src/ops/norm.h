#pragma once

#include <string>

#include "ops/types.h"
#include "select/kernel.h"

namespace attune {

/// RMS norm of rows: out = x / √(mean(x²) + eps) · (unit_offset + w), rounded once, to out_dtype.
struct NormDesc {
  DType x_dtype = DType::f32;
  DType w_dtype = DType::bf16;
  DType out_dtype = DType::f32;
  int64_t hidden = 4096;
  bool unit_offset = false;  ///< Gemma's 1 + w
  bool residual = false;     ///< the result is added to `residual`, which is the output then (f32)
  constexpr bool operator==(const NormDesc&) const = default;
};

struct NormParams {
  const void* x = nullptr;  ///< groups of rows: row r of group g at g·group_stride + r·hidden (groups = tokens, rows = heads)
  void* out = nullptr;
  int64_t groups = 0;
  int64_t rows = 1;  ///< rows a group
  int64_t x_group_stride = 0;
  int64_t out_group_stride = 0;
  const void* w = nullptr;    ///< [hidden]
  float* residual = nullptr;  ///< laid out as out
  float eps = 1e-6f;
};

struct NormCapability {
  Constraint<DType> x_dtype, w_dtype, out_dtype;
  Constraint<int64_t> hidden;
  Constraint<bool> unit_offset, residual;
};

struct Norm {
  static constexpr std::string_view kName = "norm";
  using Desc = NormDesc;
  using Params = NormParams;
  using Capability = NormCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"x_dtype", "x", true}, c.x_dtype, d.x_dtype, def.x_dtype, kWideTypes);
    f(FieldName{"w_dtype", "w", true}, c.w_dtype, d.w_dtype, def.w_dtype, kWideTypes);
    f(FieldName{"out_dtype", "out"}, c.out_dtype, d.out_dtype, def.out_dtype, kWideTypes);
    f(FieldName{"hidden", "hidden", true}, c.hidden, d.hidden, def.hidden, Constraint<int64_t>(range{1, 32768}));
    f(FieldName{"unit_offset", "unit_offset"}, c.unit_offset, d.unit_offset, def.unit_offset, kYesNo);
    f(FieldName{"residual", "residual"}, c.residual, d.residual, def.residual, kYesNo);
  }
};
using NormKernel = Kernel<Norm>;

std::string to_text(const NormDesc& desc);

/// One row in double, before it is stored anywhere: y[hidden] of the row of x that starts at element `from`.
void normed_row(const NormDesc& desc, const NormParams& params, int64_t from, double* y);
void norm_ref(const ExecContext& ctx, const NormDesc& desc, const NormParams& params);

}  // namespace attune
