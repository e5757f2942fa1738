#pragma once

#include <string_view>

#include "ops/types.h"

namespace attune {

// How far a correct kernel may be from the reference. Nothing here is picked by hand: a bound follows from where the kernel rounds (its
// output's storage, what its reduction tag declares) and how many terms it adds, in any order.

/// Half a unit in the last place of the type, relative: f32 2⁻²⁴, f16 2⁻¹¹, bf16 2⁻⁸, 8-bit floats 2⁻⁴.
double unit_roundoff(DType t);

/// The largest rounding error of storing a value of this magnitude (subnormals included).
double half_ulp(DType t, double magnitude);

/// The expected square of that error: a twelfth of the square of the distance between the type's values there.
double rounding_variance(DType t, double magnitude);

/// The expected square of the relative error of rounding a value of any size with this unit roundoff: u²/3, and 0.541 of it as the logarithm of
/// the mantissa is uniform.
double relative_variance(double roundoff);

/// γ_n = n·u / (1 − n·u): the relative error of n roundings in a row (Higham, Accuracy and Stability, section 3.1).
double gamma(double n, double u = 0x1.0p-24);

/// worst: no correct kernel exceeds it. typical: the root mean square expected when roundings are independent (errors grow with √n); over
/// many outputs the mean square must stay below 4 typical², which catches a small systematic defect. common: the part of typical that outputs may
/// have in common (an exponential that is always a little large), so that it does not cancel over many of them.
struct ErrorBound {
  double worst = 0;
  double typical = 0;
  double common = 0;
};

/// The unit roundoffs of the intermediate roundings that a reduction tag declares; 0: kept in f32 or wider. Words of a tag, separated by
/// '.': `p_bf16`, `p_f16`, `p_f16_scaled14` (softmax weights; the last times 2¹⁴), `q_bf16`, `k_bf16`, `v_bf16`, `x_bf16` (inputs of a wider type,
/// narrowed before products). `bf16dp` and `pairs` declare none: products of bf16 inputs are exact in f32. p_floor: half the distance of the
/// subnormals of weights.
struct DeclaredRounding {
  double p = 0, q = 0, k = 0, v = 0, x = 0, p_floor = 0;
};
DeclaredRounding declared_rounding(std::string_view reduction);

/// What is known of a sum of n products: Σ|x·w| and the roundoff of an input that is narrowed first.
ErrorBound dot_bound(double n, double magnitude, double input_roundoff, double accumulator_roundoff = 0x1.0p-24);

/// Adds the storage rounding of an output near `value` to the error of computing it.
ErrorBound stored(ErrorBound computed, DType out, double value);

/// What the bound of one attention row (one query head) is made of.
struct AttentionRowFacts {
  double head_dim = 0;
  double keys = 0;             ///< visible ones
  double weight_squares = 0;   ///< Σp²: independent roundings of the weights give their sum a relative error of roundoff·√(Σp²)
  double score_magnitude = 0;  ///< |scale|·‖q‖·max‖k‖, which bounds Σ|q·k|
  double bias_magnitude = 0;   ///< largest |ALiBi term| or |sink|
  double softcap = 0;
};

/// The relative perturbation of softmax weights: p̂ = p·e^η with |η| ≤ worst. A score is off by at most
///   δ = (γ_{D+8} + roundings of q, k)·A + 4u·(A + B) [+ 16u·softcap],   A = score_magnitude, B = bias_magnitude;
/// numerator and denominator each bring δ, an exponential (8u) and the sum over keys (γ_{n+64}, rescalings included), and one of them, or both,
/// the declared rounding of p. That of the sum of weights is the bound of the log-sum-exp; typically the roundings of p make r·√(Σp²/3) of it.
ErrorBound softmax_bound(const AttentionRowFacts& facts, const DeclaredRounding& declared);

/// The error of Σ p·v: (e^η − 1 + γ_{n+64} + rounding of v)·Σ p|v| + p_floor·Σ|v|, typically with r·√(Σ(p·v)²/3) for the roundings of p and v.
/// `squares`: Σ (p·v)²; `reach`: Σ|v|.
ErrorBound attention_bound(const AttentionRowFacts& facts, const DeclaredRounding& declared, double weighted_magnitude, double squares, double reach);

}  // namespace attune
