// Rotary embedding: cosines and sines once a token, then every head of it.
#include "ops/rope.h"

#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

constexpr int64_t kMaxRotary = 1024;

/// cos and sin of position · inv_freq · (as f32), rounded from double: quarter turns are taken off in two parts, the rest is a Taylor series.
ATTUNE_INLINE void angles(float position, const float* inv_freq, float factor, int64_t n, float* cosines, float* sines) {
  constexpr double kBig = 0x1.8p52;  // adding it rounds to a whole number, which stands in the last bits
  constexpr double kQuarterHigh = 0x1.921fb544p0, kQuarterLow = 0x1.0b4611a626331p-34;
  for (int64_t i = 0; i < n; ++i) {
    const double angle = static_cast<double>(position * inv_freq[i]);
    const double shifted = angle * 0.63661977236758134308 + kBig, quarters = shifted - kBig;
    const uint64_t quarter = __builtin_bit_cast(uint64_t, shifted);
    const double r = (angle - quarters * kQuarterHigh) - quarters * kQuarterLow, z = r * r;
    const double s = r + r * z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 - z * (1.0 / 39916800)))));
    const double c = 1 - z * (0.5 - z * (1.0 / 24 - z * (1.0 / 720 - z * (1.0 / 40320 - z * (1.0 / 3628800 - z * (1.0 / 479001600))))));
    const double sine = (quarter & 1) != 0 ? c : s, cosine = (quarter & 1) != 0 ? s : c;
    sines[i] = static_cast<float>((quarter & 2) != 0 ? -sine : sine) * factor;
    cosines[i] = static_cast<float>(((quarter + 1) & 2) != 0 ? -cosine : cosine) * factor;
  }
}

/// Rotates one head held as floats, in place.
ATTUNE_INLINE void rotate(RopeStyle style, float* x, int64_t half, const float* cosines, const float* sines) {
  const int64_t step = style == RopeStyle::neox ? 1 : 2, other = style == RopeStyle::neox ? half : 1;
  if (step == 2) {
    for (int64_t i = 0; i < half; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1];
      x[2 * i] = a * cosines[i] - b * sines[i];
      x[2 * i + 1] = b * cosines[i] + a * sines[i];
    }
    return;
  }
  int64_t i = 0;
  for (; i + kWidth <= half; i += kWidth) {
    const Vec a = load(x + i), b = load(x + i + other), c = load(cosines + i), s = load(sines + i);
    store(x + i, a * c - b * s);
    store(x + i + other, b * c + a * s);
  }
  for (; i < half; ++i) {
    const float a = x[i], b = x[i + other];
    x[i] = a * cosines[i] - b * sines[i];
    x[i + other] = b * cosines[i] + a * sines[i];
  }
}

template <class From, class To>
ATTUNE_INLINE void convert(const From* from, To* to, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(to + i, load(from + i));
  if (i < n) store_tail(to + i, load_tail(from + i, static_cast<int>(n - i)), static_cast<int>(n - i));
}

template <class X, class Out>
void rope_tokens(const ExecContext& ctx, const RopeDesc& d, const RopeParams& p) {
  parallel_ranges(ctx, p.tokens, p.heads * d.head_dim + 8 * d.rotary_dim, [&](int64_t first, int64_t last, int) {
    alignas(64) float cosines[kMaxRotary / 2], sines[kMaxRotary / 2], head[kMaxRotary];
    const int64_t half = d.rotary_dim / 2;
    for (int64_t t = first; t < last; ++t) {
      angles(static_cast<float>(p.positions[t]), p.inv_freq, p.attention_factor, half, cosines, sines);
      for (int64_t h = 0; h < p.heads; ++h) {
        convert(static_cast<const X*>(p.x) + t * p.x_stride + h * d.head_dim, head, d.head_dim);
        rotate(d.style, head, half, cosines, sines);
        convert(static_cast<const float*>(head), static_cast<Out*>(p.out) + t * p.out_stride + h * d.head_dim, d.head_dim);
      }
    }
  });
}

}  // namespace

void rope(const ExecContext& ctx, const RopeDesc& d, const RopeParams& p) {
  with_wide_type(d.x_dtype, [&](auto x) {
    with_wide_type(d.out_dtype, [&](auto out) { rope_tokens<typename decltype(x)::Of, typename decltype(out)::Of>(ctx, d, p); });
  });
}

}  // namespace attune::cpu::ATTUNE_ISA
