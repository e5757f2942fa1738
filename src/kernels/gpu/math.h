#pragma once

// Elementary functions of the portable kernels: fma, adders and one polynomial each, so that every GPU gives the same bits.

#include "kernels/gpu/portable.h"
#include "ops/types.h"

namespace attune::gpu {

__device__ inline float fma(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline float larger(float a, float b) { return fmaxf(a, b); }

/// Correctly rounded square root, as a function object for ops/attention_math.h.
struct SquareRoot {
  __host__ __device__ float operator()(float x) const { return sqrtf(x); }
};

/// 2ⁿ for −126 ≤ n ≤ 127.
__device__ inline float power_of_two(int n) { return std::bit_cast<float>(static_cast<uint32_t>(n + 127) << 23); }

/// e^x, error below 2 units in the last place; exp(0) is 1, exp(−∞) is 0.
__device__ inline float exp(float x) {
  const float y = x < -104.0f ? -104.0f : x > 88.7f ? 88.7f : x;
  const float n = rintf(y * 1.44269504f);
  const float r = fma(n, 1.43241613e-6f, fma(n, -0.693148613f, y));  // y − n·ln 2, ln 2 in two parts
  float p = 1.98412698e-4f;
  p = fma(p, r, 1.38888889e-3f);
  p = fma(p, r, 8.33333333e-3f);
  p = fma(p, r, 4.16666667e-2f);
  p = fma(p, r, 1.66666667e-1f);
  p = fma(p, r, 0.5f);
  p = fma(p, r, 1.0f);
  p = fma(p, r, 1.0f);
  const int whole = static_cast<int>(n), half = whole / 2;  // two factors: 2ⁿ alone may be subnormal
  return p * power_of_two(half) * power_of_two(whole - half);
}

/// tanh x: its series where x is small, else by the exponential; no overflow for any x.
__device__ inline float tanh(float x) {
  const float a = fabsf(x), s = x * x;
  if (a < 0.25f) return fma(x * s, fma(s, fma(s, fma(s, 2.18694885e-2f, -5.39682540e-2f), 1.33333333e-1f), -3.33333333e-1f), x);
  return copysignf(1.0f - 2.0f / (exp(a < 10.0f ? 2.0f * a : 20.0f) + 1.0f), x);
}

/// ln x of a positive normal number.
__device__ inline float log(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x) - 0x3f3504f3u;  // the mantissa into [√½, √2)
  const float e = static_cast<float>(static_cast<int32_t>(bits) >> 23);
  const float f = std::bit_cast<float>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  const float s = f / (f + 2.0f), z = s * s;  // ln((1 + s) / (1 − s))
  const float tail = z * fma(z, fma(z, fma(z, 2.22222222e-1f, 2.85714286e-1f), 4.00000000e-1f), 6.66666667e-1f);
  return fma(e, 0.693147182f, fma(s, tail, fma(e, -1.90465421e-9f, 2.0f * s)));
}

__device__ inline double fma(double a, double b, double c) { return ::fma(a, b, c); }

/// e^x for x ≤ 0 in double, error below 2 units in the last place; below −700 it is 0.
__device__ inline double exp(double x) {
  if (!(x > -700.0)) return x <= -700.0 ? 0.0 : x;
  constexpr double kBig = 0x1.8p52;  // adding it rounds to a whole number
  const double n = (x * 1.44269504088896340736 + kBig) - kBig;
  const double r = fma(n, -1.90821492927058770002e-10, fma(n, -6.93147180369123816490e-01, x));  // x − n·ln 2, ln 2 in two parts
  double p = 1.0 / 6227020800;                                                                   // Taylor: |r| ≤ ½ ln 2
  p = fma(p, r, 1.0 / 479001600);
  p = fma(p, r, 1.0 / 39916800);
  p = fma(p, r, 1.0 / 3628800);
  p = fma(p, r, 1.0 / 362880);
  p = fma(p, r, 1.0 / 40320);
  p = fma(p, r, 1.0 / 5040);
  p = fma(p, r, 1.0 / 720);
  p = fma(p, r, 1.0 / 120);
  p = fma(p, r, 1.0 / 24);
  p = fma(p, r, 1.0 / 6);
  p = fma(p, r, 0.5);
  p = fma(p, r, 1.0);
  p = fma(p, r, 1.0);
  return p * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

/// Sine and cosine of an angle |a| < 2³¹, rounded from double: quarter turns are taken off in two parts, the rest is a Taylor series.
struct SineCosine {
  float sine, cosine;
};
__device__ inline SineCosine sine_cosine(float angle) {
  constexpr double kBig = 0x1.8p52;  // adding it rounds to a whole number, which stands in the last bits
  const double a = static_cast<double>(angle), shifted = a * 0.63661977236758134308 + kBig, quarters = shifted - kBig;
  const uint64_t quarter = std::bit_cast<uint64_t>(shifted);
  const double r = fma(quarters, -6.123233995736766e-17, fma(quarters, -1.5707963267948966, a)), z = r * r;
  double s = -1.0 / 39916800;
  s = fma(s, z, 1.0 / 362880);
  s = fma(s, z, -1.0 / 5040);
  s = fma(s, z, 1.0 / 120);
  s = fma(s, z, -1.0 / 6);
  s = fma(r * z, s, r);
  double c = 1.0 / 479001600;
  c = fma(c, z, -1.0 / 3628800);
  c = fma(c, z, 1.0 / 40320);
  c = fma(c, z, -1.0 / 720);
  c = fma(c, z, 1.0 / 24);
  c = fma(c, z, -0.5);
  c = fma(c, z, 1.0);
  const double sine = (quarter & 1) != 0 ? c : s, cosine = (quarter & 1) != 0 ? s : c;
  return {static_cast<float>((quarter & 2) != 0 ? -sine : sine), static_cast<float>(((quarter + 1) & 2) != 0 ? -cosine : cosine)};
}

// ---- activations ----------------------------------------------------------------------------------------------------------------------------

/// x · σ(x)
__device__ inline float silu(float x) { return x / (1.0f + exp(-x)); }

/// The tanh form of GELU: x · σ(2u), u = √(2/π) · (x + 0.044715 x³)
__device__ inline float gelu_tanh(float x) {
  const float twice_u = x * fma(x * x, 0.0713548162726f, 1.5957691216057f);
  return x / (1.0f + exp(-twice_u));
}

/// x · Φ(x); for z = |x| / √2 and t = 1 / (1 + z/2), erfc z = t · e^(g(t) − z²) with a polynomial g.
__device__ inline float gelu_erf(float x) {
  const float z = fabsf(x) * 0.70710678118655f, t = 1.0f / fma(z, 0.5f, 1.0f);
  float g = 1.5227948384e-01f;
  g = fma(g, t, -7.2041771137e-01f);
  g = fma(g, t, 1.2487089869e+00f);
  g = fma(g, t, -8.1681912832e-01f);
  g = fma(g, t, 1.7664058498e-02f);
  g = fma(g, t, -4.9680267628e-02f);
  g = fma(g, t, 5.1508146952e-02f);
  g = fma(g, t, 3.8320254779e-01f);
  g = fma(g, t, 9.9902034593e-01f);
  g = fma(g, t, -1.2654664097e+00f);
  const float tail = 0.5f * t * exp(fma(-z, z, g));  // Φ(−|x|)
  return x * (x < 0 ? tail : 1.0f - tail);
}

__device__ inline float activate(Activation kind, float x) {
  switch (kind) {
    case Activation::silu: return silu(x);
    case Activation::gelu_tanh: return gelu_tanh(x);
    case Activation::gelu: return gelu_erf(x);
    default: return x;
  }
}

}  // namespace attune::gpu
