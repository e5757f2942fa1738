#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/builder.h"

namespace attune {
namespace {

double llama3(const RopeConfig& r, double f) {
  const double context = static_cast<double>(r.original_max_position_embeddings);
  const double wavelength = 2 * std::numbers::pi / f;
  if (wavelength < context / r.high_freq_factor) return f;
  if (wavelength > context / r.low_freq_factor) return f / r.factor;
  const double smooth = (context / wavelength - r.low_freq_factor) / (r.high_freq_factor - r.low_freq_factor);
  return (1 - smooth) * f / r.factor + smooth * f;
}

/// The share of interpolation of pair i: 0 below the ramp's first dimension, 1 above its last.
double yarn_ramp(const RopeConfig& r, int64_t head_dim, int64_t i) {
  const auto dimension = [&](double rotations) {
    return static_cast<double>(head_dim) * std::log(static_cast<double>(r.original_max_position_embeddings) / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(r.theta));
  };
  double low = dimension(r.beta_fast), high = dimension(r.beta_slow);
  if (r.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(head_dim - 1));
  if (low == high) high += 0.001;
  return std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
}

}  // namespace

std::vector<float> rope_inverse_frequencies(const RopeConfig& r, int64_t head_dim) {
  std::vector<float> out;
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    double f = 1 / std::pow(r.theta, static_cast<double>(2 * i) / static_cast<double>(head_dim));
    switch (r.scaling) {
      case RopeScaling::none: break;
      case RopeScaling::linear: f /= r.factor; break;
      case RopeScaling::llama3: f = llama3(r, f); break;
      case RopeScaling::yarn: {
        const double ramp = yarn_ramp(r, head_dim, i);
        f = f / r.factor * ramp + f * (1 - ramp);
        break;
      }
    }
    out.push_back(static_cast<float>(f));
  }
  return out;
}

}  // namespace attune
