// Element-wise functions of rows, gated or not.
#include "ops/activation.h"

#include "kernels/cpu/activation_math.h"
#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

template <class X, class Out>
ATTUNE_INLINE void activate_row(const ActivationDesc& d, const X* x, Out* out, int64_t width) {
  const float cap = static_cast<float>(d.softcap);
  for (int64_t i = 0; i < width; i += kWidth) {
    const int n = static_cast<int>(width - i < kWidth ? width - i : kWidth);
    const bool whole = n == kWidth;
    Vec v = activate(d.activation, whole ? load(x + i) : load_tail(x + i, n));
    if (d.gated) v = v * (whole ? load(x + width + i) : load_tail(x + width + i, n));
    if (d.softcap > 0) v = broadcast(cap) * tanh(v / broadcast(cap));
    if (whole)
      store(out + i, v);
    else
      store_tail(out + i, v, n);
  }
}

template <class X, class Out>
void activate_rows(const ExecContext& ctx, const ActivationDesc& d, const ActivationParams& p) {
  const int64_t x_width = d.gated ? 2 * p.width : p.width;
  parallel_ranges(ctx, p.rows, 4 * p.width, [&](int64_t first, int64_t last, int) {  // an exponential counts as four elements
    for (int64_t r = first; r < last; ++r) activate_row(d, static_cast<const X*>(p.x) + r * x_width, static_cast<Out*>(p.out) + r * p.width, p.width);
  });
}

}  // namespace

void activation(const ExecContext& ctx, const ActivationDesc& d, const ActivationParams& p) {
  with_wide_type(d.x_dtype, [&](auto x) {
    with_wide_type(d.out_dtype, [&](auto out) { activate_rows<typename decltype(x)::Of, typename decltype(out)::Of>(ctx, d, p); });
  });
}

}  // namespace attune::cpu::ATTUNE_ISA
