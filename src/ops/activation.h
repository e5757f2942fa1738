#pragma once

#include <string>

#include "ops/types.h"
#include "select/kernel.h"

namespace attune {

/// Element-wise: gated: out = act(gate) · up with x = [gate | up] a row; plain: out = act(x); softcap: out = cap · tanh(act(x) / cap).
struct ActivationDesc {
  DType x_dtype = DType::f32;
  DType out_dtype = DType::bf16;
  Activation activation = Activation::silu;
  bool gated = true;
  double softcap = 0;
  constexpr bool operator==(const ActivationDesc&) const = default;
};

struct ActivationParams {
  const void* x = nullptr;  ///< (rows, gated ? 2·width : width), contiguous
  void* out = nullptr;      ///< (rows, width)
  int64_t rows = 0;
  int64_t width = 0;
};

struct ActivationCapability {
  Constraint<DType> x_dtype, out_dtype;
  Constraint<Activation> activation;
  Constraint<bool> gated;
  Constraint<double> softcap;
};

struct ActivationOp {
  static constexpr std::string_view kName = "activation";
  using Desc = ActivationDesc;
  using Params = ActivationParams;
  using Capability = ActivationCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"x_dtype", "x", true}, c.x_dtype, d.x_dtype, def.x_dtype, kWideTypes);
    f(FieldName{"out_dtype", "out", true}, c.out_dtype, d.out_dtype, def.out_dtype, kWideTypes);
    f(FieldName{"activation", "act", true}, c.activation, d.activation, def.activation,
      Constraint<Activation>(one_of({Activation::none, Activation::silu, Activation::gelu_tanh, Activation::gelu})));
    f(FieldName{"gated", "gated"}, c.gated, d.gated, def.gated, kYesNo);
    f(FieldName{"softcap", "softcap"}, c.softcap, d.softcap, def.softcap, Constraint<double>(range{0, 1000000}));
  }
};
using ActivationKernel = Kernel<ActivationOp>;

std::string to_text(const ActivationDesc& desc);

/// Element i of a row in double, before it is stored.
double activated(const ActivationDesc& desc, const ActivationParams& params, int64_t row, int64_t i);
void activation_ref(const ExecContext& ctx, const ActivationDesc& desc, const ActivationParams& params);

}  // namespace attune
