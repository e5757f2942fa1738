#pragma once

// The element-wise functions of activation.cc and of matmul's epilogue.

#include "kernels/cpu/simd.h"
#include "ops/types.h"

namespace attune::cpu::ATTUNE_ISA {

/// a · σ(a)
ATTUNE_INLINE Vec silu(Vec a) { return a / (broadcast(1.0f) + exp(zero() - a)); }

/// The tanh form: a · σ(2u), u = √(2/π) · (a + 0.044715 a³)
ATTUNE_INLINE Vec gelu_tanh(Vec a) {
  const Vec twice_u = a * fma(a * a, broadcast(0.0713548162726f), broadcast(1.5957691216057f));
  return a / (broadcast(1.0f) + exp(zero() - twice_u));
}

/// a · Φ(a); for z = |a| / √2 and t = 1 / (1 + z/2), erfc z = t · e^(g(t) − z²) with a polynomial g.
ATTUNE_INLINE Vec gelu_erf(Vec a) {
  const Vec one = broadcast(1.0f), z = abs(a) * broadcast(0.70710678118655f), t = one / fma(z, broadcast(0.5f), one);
  Vec g = broadcast(1.5227948384e-01f);
  g = fma(g, t, broadcast(-7.2041771137e-01f));
  g = fma(g, t, broadcast(1.2487089869e+00f));
  g = fma(g, t, broadcast(-8.1681912832e-01f));
  g = fma(g, t, broadcast(1.7664058498e-02f));
  g = fma(g, t, broadcast(-4.9680267628e-02f));
  g = fma(g, t, broadcast(5.1508146952e-02f));
  g = fma(g, t, broadcast(3.8320254779e-01f));
  g = fma(g, t, broadcast(9.9902034593e-01f));
  g = fma(g, t, broadcast(-1.2654664097e+00f));
  const Vec tail = broadcast(0.5f) * t * exp(g - z * z);  // Φ(−|a|)
  return a * select(less(a, zero()), tail, one - tail);
}

ATTUNE_INLINE Vec activate(Activation kind, Vec a) {
  switch (kind) {
    case Activation::silu: return silu(a);
    case Activation::gelu_tanh: return gelu_tanh(a);
    case Activation::gelu: return gelu_erf(a);
    case Activation::none: break;
  }
  return a;
}

}  // namespace attune::cpu::ATTUNE_ISA
