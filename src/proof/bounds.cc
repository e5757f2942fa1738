#include "proof/bounds.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace attune {
namespace {

constexpr double kU = 0x1.0p-24;
constexpr double kTiny = 1e-30;  // flushed subnormals

bool has_word(std::string_view tag, std::string_view word) {
  for (size_t at = 0; at <= tag.size();) {
    const size_t dot = std::min(tag.find('.', at), tag.size());
    if (tag.substr(at, dot - at) == word) return true;
    at = dot + 1;
  }
  return false;
}

double declared(std::string_view tag, char what) {
  const std::string name(1, what);
  if (has_word(tag, name + "_bf16")) return unit_roundoff(DType::bf16);
  return has_word(tag, name + "_f16") || has_word(tag, name + "_f16_scaled14") ? unit_roundoff(DType::f16) : 0;
}

}  // namespace

double unit_roundoff(DType t) {
  switch (t) {
    case DType::f16: return 0x1.0p-11;
    case DType::bf16: return 0x1.0p-8;
    case DType::f8_e4m3:
    case DType::f8_e4m3fnuz: return 0x1.0p-4;
    default: return kU;
  }
}

double half_ulp(DType t, double magnitude) {
  double smallest = kTiny;  // half the distance of subnormals
  if (t == DType::f16) smallest = 0x1.0p-25;
  if (t == DType::f8_e4m3) smallest = 0x1.0p-10;
  if (t == DType::f8_e4m3fnuz) smallest = 0x1.0p-11;
  return std::max(unit_roundoff(t) * std::abs(magnitude), smallest);
}

double rounding_variance(DType t, double magnitude) {
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  const double half = half_ulp(t, magnitude == 0 ? 0 : std::ldexp(0.5, exponent));
  return half * half / 3;
}

double relative_variance(double roundoff) { return 0.541 * roundoff * roundoff / 3; }

double gamma(double n, double u) { return n * u < 0.5 ? n * u / (1 - n * u) : 1; }

DeclaredRounding declared_rounding(std::string_view reduction) {
  return {declared(reduction, 'p'), declared(reduction, 'q'),
          declared(reduction, 'k'), declared(reduction, 'v'),
          declared(reduction, 'x'), has_word(reduction, "p_f16") ? 0x1.0p-25 : has_word(reduction, "p_f16_scaled14") ? 0x1.0p-39 : 0};
}

ErrorBound dot_bound(double n, double magnitude, double input_roundoff, double accumulator_roundoff) {
  const double input = input_roundoff;
  return {(gamma(n + 8, accumulator_roundoff) + input) * magnitude + kTiny,
          (4 * accumulator_roundoff + input / std::sqrt(n + 1)) * magnitude + kTiny};
}

ErrorBound stored(ErrorBound computed, DType out, double value) {
  const double half = half_ulp(out, std::abs(value) + computed.worst);
  return {computed.worst + half, computed.typical + half / std::sqrt(3.0), computed.common};
}

ErrorBound softmax_bound(const AttentionRowFacts& f, const DeclaredRounding& declared) {
  const double a = f.score_magnitude, b = f.bias_magnitude;
  const double functions = 4 * kU * (a + b) + 16 * kU * f.softcap;
  const double score = (gamma(f.head_dim + 8) + declared.q + declared.k) * a + functions;
  const double score_typical = (4 * kU + (declared.q + declared.k) / std::sqrt(f.head_dim)) * a + functions;
  const double common = 2 * (score_typical + 8 * kU);
  return {2 * (score + 8 * kU + gamma(f.keys + 64)) + declared.p, common + declared.p * std::sqrt(f.weight_squares / 3), common};
}

ErrorBound attention_bound(const AttentionRowFacts& f, const DeclaredRounding& declared, double weighted_magnitude, double squares, double reach) {
  const ErrorBound eta = softmax_bound(f, declared);
  const double common = (std::expm1(std::min(eta.common, 50.0)) + 8 * kU) * weighted_magnitude + kTiny;
  return {(std::expm1(std::min(eta.worst, 50.0)) + gamma(f.keys + 64) + declared.v) * weighted_magnitude + declared.p_floor * reach + kTiny,
          common + std::hypot(declared.p, declared.v) * std::sqrt(squares / 3), common};
}

}  // namespace attune
