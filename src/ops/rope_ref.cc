#include <cmath>

#include "ops/rope.h"

namespace attune {

void rope_ref(const ExecContext&, const RopeDesc& d, const RopeParams& p) {
  const int64_t half = d.rotary_dim / 2;
  for (int64_t t = 0; t < p.tokens; ++t) {
    for (int64_t h = 0; h < p.heads; ++h) {
      const int64_t from = t * p.x_stride + h * d.head_dim;
      const int64_t to = t * p.out_stride + h * d.head_dim;
      for (int64_t i = 0; i < half; ++i) {
        const int64_t a = d.style == RopeStyle::neox ? i : 2 * i;
        const int64_t b = d.style == RopeStyle::neox ? i + half : 2 * i + 1;
        const float angle = static_cast<float>(p.positions[t]) * p.inv_freq[i];
        const double c = std::cos(static_cast<double>(angle)) * p.attention_factor;
        const double s = std::sin(static_cast<double>(angle)) * p.attention_factor;
        const double x = load_as_float(p.x, d.x_dtype, from + a), y = load_as_float(p.x, d.x_dtype, from + b);
        store_from_float(p.out, d.out_dtype, to + a, static_cast<float>(x * c - y * s));
        store_from_float(p.out, d.out_dtype, to + b, static_cast<float>(y * c + x * s));
      }
      for (int64_t i = d.rotary_dim; i < d.head_dim; ++i) store_from_float(p.out, d.out_dtype, to + i, load_as_float(p.x, d.x_dtype, from + i));
    }
  }
}

}  // namespace attune
