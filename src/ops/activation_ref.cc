#include "ops/activation.h"

#include <cmath>

#include "ops/activation_math.h"

namespace attune {

double activated(const ActivationDesc& d, const ActivationParams& p, int64_t row, int64_t i) {
  const int64_t at = row * (d.gated ? 2 * p.width : p.width) + i;
  double y = activate(d.activation, load_as_float(p.x, d.x_dtype, at));
  if (d.gated) y *= load_as_float(p.x, d.x_dtype, at + p.width);
  return d.softcap > 0 ? d.softcap * std::tanh(y / d.softcap) : y;
}

void activation_ref(const ExecContext&, const ActivationDesc& d, const ActivationParams& p) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t i = 0; i < p.width; ++i) store_from_float(p.out, d.out_dtype, r * p.width + i, static_cast<float>(activated(d, p, r, i)));
}

}  // namespace attune
