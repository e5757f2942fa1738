#pragma once

#include <cmath>

#include "ops/types.h"

namespace attune {

/// The activations in double: silu x·σ(x); GELU's tanh form (Hendrycks & Gimpel, 2016, eq. 2) and its exact form by erf.
inline double activate(Activation a, double x) {
  switch (a) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::gelu_tanh: return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case Activation::gelu: return 0.5 * x * (1 + std::erf(x * 0.7071067811865476));
    case Activation::none: break;
  }
  return x;
}

}  // namespace attune
