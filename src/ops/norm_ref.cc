#include <cmath>
#include <vector>

#include "ops/norm.h"

namespace attune {

void normed_row(const NormDesc& d, const NormParams& p, int64_t from, double* y) {
  double squares = 0;
  for (int64_t i = 0; i < d.hidden; ++i) {
    const double x = load_as_float(p.x, d.x_dtype, from + i);
    squares += x * x;
  }
  const double inverse = 1 / std::sqrt(squares / static_cast<double>(d.hidden) + p.eps);
  for (int64_t i = 0; i < d.hidden; ++i) {
    const double w = load_as_float(p.w, d.w_dtype, i) + (d.unit_offset ? 1.0 : 0.0);
    y[i] = load_as_float(p.x, d.x_dtype, from + i) * inverse * w;
  }
}

void norm_ref(const ExecContext&, const NormDesc& d, const NormParams& p) {
  std::vector<double> y(static_cast<size_t>(d.hidden));
  for (int64_t g = 0; g < p.groups; ++g) {
    for (int64_t r = 0; r < p.rows; ++r) {
      const int64_t to = g * p.out_group_stride + r * d.hidden;
      normed_row(d, p, g * p.x_group_stride + r * d.hidden, y.data());
      for (int64_t i = 0; i < d.hidden; ++i) {
        if (d.residual)
          p.residual[to + i] = static_cast<float>(p.residual[to + i] + y[static_cast<size_t>(i)]);
        else
          store_from_float(p.out, d.out_dtype, to + i, static_cast<float>(y[static_cast<size_t>(i)]));
      }
    }
  }
}

}  // namespace attune
