#include <cmath>
#include <vector>

#include "ops/rope.h"

namespace attune {

void rotated_head(const RopeDesc& d, const RopeParams& p, int64_t token, int64_t head, double* y) {
  const int64_t half = d.rotary_dim / 2, from = token * p.x_stride + head * d.head_dim;
  for (int64_t i = 0; i < half; ++i) {
    const int64_t a = d.style == RopeStyle::neox ? i : 2 * i;
    const int64_t b = d.style == RopeStyle::neox ? i + half : 2 * i + 1;
    const float angle = static_cast<float>(p.positions[token]) * p.inv_freq[i];
    const double c = std::cos(static_cast<double>(angle)) * p.attention_factor;
    const double s = std::sin(static_cast<double>(angle)) * p.attention_factor;
    const double u = load_as_float(p.x, d.x_dtype, from + a), v = load_as_float(p.x, d.x_dtype, from + b);
    y[a] = u * c - v * s;
    y[b] = v * c + u * s;
  }
  for (int64_t i = d.rotary_dim; i < d.head_dim; ++i) y[i] = load_as_float(p.x, d.x_dtype, from + i);
}

void rope_ref(const ExecContext&, const RopeDesc& d, const RopeParams& p) {
  std::vector<double> y(static_cast<size_t>(d.head_dim));
  for (int64_t t = 0; t < p.tokens; ++t) {
    for (int64_t h = 0; h < p.heads; ++h) {
      const int64_t to = t * p.out_stride + h * d.head_dim;
      rotated_head(d, p, t, h, y.data());
      for (int64_t i = 0; i < d.head_dim; ++i) store_from_float(p.out, d.out_dtype, to + i, static_cast<float>(y[static_cast<size_t>(i)]));
    }
  }
}

}  // namespace attune
