#include "ops/activation.h"

#include <cmath>

#include "ops/activation_math.h"

namespace attune {

void activation_ref(const ExecContext&, const ActivationDesc& d, const ActivationParams& p) {
  const int64_t stride = d.gated ? 2 * p.width : p.width;
  for (int64_t r = 0; r < p.rows; ++r) {
    for (int64_t i = 0; i < p.width; ++i) {
      double y = activate(d.activation, load_as_float(p.x, d.x_dtype, r * stride + i));
      if (d.gated) y *= load_as_float(p.x, d.x_dtype, r * stride + p.width + i);
      if (d.softcap > 0) y = d.softcap * std::tanh(y / d.softcap);
      store_from_float(p.out, d.out_dtype, r * p.width + i, static_cast<float>(y));
    }
  }
}

}  // namespace attune
