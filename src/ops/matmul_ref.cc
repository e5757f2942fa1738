#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/activation_math.h"
#include "ops/matmul.h"

namespace attune {
namespace {

double x_factor(const MatmulDesc& d, const MatmulParams& p, int64_t m, int64_t k) {
  switch (d.x_scale) {
    case Scales::tensor: return p.x_scale[0];
    case Scales::token: return p.x_scale[m];
    case Scales::block_1x128: return p.x_scale[m * ((d.k + 127) / 128) + k / 128];
    default: return 1;
  }
}

double w_factor(const MatmulDesc& d, const float* scale, int64_t row, int64_t k) {
  switch (d.w_scale) {
    case Scales::tensor: return scale[0];
    case Scales::channel: return scale[row];
    case Scales::block_128x128: return scale[(row / 128) * ((d.k + 127) / 128) + k / 128];
    default: return 1;
  }
}

/// Row m of x as the products see it: scaled back, and rounded to the weights' type first where the desc quantises.
void load_row(const MatmulDesc& d, const MatmulParams& p, int64_t m, std::vector<double>& row) {
  float scale = d.quantize == Quantize::static_tensor ? p.x_scale[0] : 1.0f;
  if (d.quantize == Quantize::dynamic_token) {
    float peak = 0;
    for (int64_t k = 0; k < d.k; ++k) peak = std::max(peak, std::abs(load_as_float(p.x, d.x_dtype, m * p.x_stride + k)));
    scale = peak > 0 ? peak / (d.w_dtype == DType::f8_e4m3fnuz ? 240.0f : 448.0f) : 1.0f;
  }
  for (int64_t k = 0; k < d.k; ++k) {
    const float x = load_as_float(p.x, d.x_dtype, m * p.x_stride + k);
    if (d.quantize == Quantize::none) {
      row[static_cast<size_t>(k)] = x * x_factor(d, p, m, k);
    } else {
      uint32_t stored = 0;
      store_from_float(&stored, d.w_dtype, 0, x / scale);
      row[static_cast<size_t>(k)] = static_cast<double>(load_as_float(&stored, d.w_dtype, 0)) * scale;
    }
  }
}

/// One row of a segment's weights, and what belongs to it.
struct Weights {
  const void *w, *bias;
  const float* scale;
};

double product(const MatmulDesc& d, const MatmulParams& p, const std::vector<double>& x, const Weights& of, int64_t row) {
  double sum = 0;
  for (int64_t k = 0; k < d.k; ++k) sum += x[static_cast<size_t>(k)] * load_as_float(of.w, d.w_dtype, row * d.k + k) * w_factor(d, of.scale, row, k);
  return d.bias && of.bias ? sum + load_as_float(of.bias, p.bias_dtype, row) : sum;
}

/// An output in double, but for the residual.
double output(const MatmulDesc& d, const MatmulParams& p, const std::vector<double>& x, const MatmulParams::Segment& s, int64_t row) {
  const double y = activate(d.activation, product(d, p, x, {s.w, s.bias, s.scale}, row));
  return d.gated ? y * product(d, p, x, {s.up, s.up_bias, s.up_scale}, row) : y;
}

}  // namespace

double first_output(const MatmulDesc& d, const MatmulParams& p) {
  std::vector<double> row(static_cast<size_t>(d.k));
  load_row(d, p, 0, row);
  return output(d, p, row, p.segments[0], 0);
}

void matmul_ref(const ExecContext&, const MatmulDesc& d, const MatmulParams& p) {
  std::vector<double> row(static_cast<size_t>(d.k));
  for (int64_t m = 0; m < p.m; ++m) {
    load_row(d, p, m, row);
    int64_t n = 0;
    for (int64_t s = 0; s < d.segments; ++s) {
      const auto& segment = p.segments[s];
      for (int64_t r = 0; r < segment.rows; ++r, ++n) {
        double sum = output(d, p, row, segment, r);
        const int64_t at = m * p.out_stride + n;
        if (d.residual) sum += p.residual[at];
        store_from_float(p.out, d.out_dtype, at, static_cast<float>(sum));
      }
    }
  }
}

}  // namespace attune
