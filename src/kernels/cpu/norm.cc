// RMS norm: the squares are summed in four vectors that take the row in turn, then a fixed tree.
#include "ops/norm.h"

#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

template <class X>
ATTUNE_INLINE float sum_of_squares(const X* x, int64_t n) {
  Vec acc[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth)
    for (int j = 0; j < 4; ++j) {
      const Vec v = load(x + i + j * kWidth);
      acc[j] = fma(v, v, acc[j]);
    }
  for (; i < n; i += kWidth) {
    const Vec v = load_tail(x + i, static_cast<int>(n - i < kWidth ? n - i : kWidth));
    acc[0] = fma(v, v, acc[0]);
  }
  return sum((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

template <class X, class W, class Out>
ATTUNE_INLINE void norm_row(const NormDesc& d, const X* x, const W* w, Out* out, float* residual, float eps) {
  const float scale = 1.0f / __builtin_sqrtf(sum_of_squares(x, d.hidden) / static_cast<float>(d.hidden) + eps);
  const Vec factor = broadcast(scale), offset = broadcast(d.unit_offset ? 1.0f : 0.0f);
  for (int64_t i = 0; i < d.hidden; i += kWidth) {
    const int n = static_cast<int>(d.hidden - i < kWidth ? d.hidden - i : kWidth);
    const bool whole = n == kWidth;
    const Vec v = (whole ? load(x + i) : load_tail(x + i, n)) * factor * (offset + (whole ? load(w + i) : load_tail(w + i, n)));
    if (residual != nullptr)
      store_tail(residual + i, load_tail(residual + i, n) + v, n);
    else if (whole)
      store(out + i, v);
    else
      store_tail(out + i, v, n);
  }
}

template <class X, class W, class Out>
void norm_rows(const ExecContext& ctx, const NormDesc& d, const NormParams& p) {
  parallel_ranges(ctx, p.groups * p.rows, d.hidden, [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t group = i / p.rows, row = i % p.rows, to = group * p.out_group_stride + row * d.hidden;
      norm_row(d, static_cast<const X*>(p.x) + group * p.x_group_stride + row * d.hidden, static_cast<const W*>(p.w), static_cast<Out*>(p.out) + to,
               d.residual ? p.residual + to : nullptr, p.eps);
    }
  });
}

}  // namespace

void norm(const ExecContext& ctx, const NormDesc& d, const NormParams& p) {
  with_wide_type(d.x_dtype, [&](auto x) {
    with_wide_type(d.w_dtype, [&](auto w) {
      with_wide_type(d.out_dtype,
                     [&](auto out) { norm_rows<typename decltype(x)::Of, typename decltype(w)::Of, typename decltype(out)::Of>(ctx, d, p); });
    });
  });
}

}  // namespace attune::cpu::ATTUNE_ISA
