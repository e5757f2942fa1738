// A case of matmul as tensors: rows with gaps, weights in uneven segments aligned to their element only, scales that differ.
#include <algorithm>
#include <cmath>

#include "proof/problem.h"

namespace attune {
namespace {

constexpr double kStored = 100;

double amplitude_of(Scales s) { return s != Scales::none ? kStored : 1; }

int64_t blocks_of(int64_t n) { return (n + 127) / 128; }

}  // namespace

struct Problem<Matmul>::Side {
  const void *w = nullptr, *bias = nullptr;
  const float* scale = nullptr;
};

Problem<Matmul>::Problem(const Case<Matmul>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  Fill fill(c.seed ^ 0x3a7);
  fill_x(fill);
  constexpr DType kBias[] = {DType::f32, DType::bf16, DType::f16};
  params.bias_dtype = kBias[fill.below(3)];
  const MatmulDesc& d = case_.desc;
  int64_t left = d.n;
  for (int64_t s = 0; s < d.segments; ++s) {
    params.segments[s].rows = s + 1 == d.segments ? left : 1 + fill.below(left - (d.segments - s - 1));
    left -= params.segments[s].rows;
    auto& segment = params.segments[s];
    const Side gate = side(fill, fmt::format("segment {}", s), segment.rows, s > 0);
    segment.w = gate.w, segment.bias = gate.bias, segment.scale = gate.scale;
    if (!d.gated) continue;
    const Side up = side(fill, fmt::format("segment {}, up", s), segment.rows, true);
    segment.up = up.w, segment.up_bias = up.bias, segment.up_scale = up.scale;
  }
  add_outputs(fill);
}

void Problem<Matmul>::fill_x(Fill& fill) {
  const MatmulDesc& d = case_.desc;
  params.m = case_.rows;
  params.x_stride = d.k + 8 * fill.below(3);
  void* x = memory.add("x", d.x_dtype, params.m > 0 ? (params.m - 1) * params.x_stride + d.k : 0);
  for (int64_t m = 0; m < params.m; ++m) fill.values(x, d.x_dtype, m * params.x_stride, d.k, amplitude_of(d.x_scale) * fill.between(0.5, 2));
  params.x = x;
  int64_t scales = d.quantize == Quantize::static_tensor || d.x_scale == Scales::tensor ? 1 : 0;
  if (d.x_scale == Scales::token) scales = params.m;
  if (d.x_scale == Scales::block_1x128) scales = params.m * blocks_of(d.k);
  if (scales == 0) return;
  // Scales bring products of stored values back to the size of 1.
  auto* scale = memory.add<float>("x_scale", DType::f32, scales);
  fill.scales(scale, scales, 0.5 / kStored, 1.5 / kStored);
  params.x_scale = scale;
}

/// A matrix of weights with what belongs to it. A layer may have biases on some segments only.
Problem<Matmul>::Side Problem<Matmul>::side(Fill& fill, const std::string& name, int64_t rows, bool may_lack_bias) {
  const MatmulDesc& d = case_.desc;
  Side side;
  void* w = memory.add("w of " + name, d.w_dtype, rows * d.k);
  fill.values(w, d.w_dtype, 0, rows * d.k, amplitude_of(d.w_scale));
  side.w = w;
  int64_t scales = d.w_scale == Scales::tensor ? 1 : 0;
  if (d.w_scale == Scales::channel) scales = rows;
  if (d.w_scale == Scales::block_128x128) scales = blocks_of(rows) * blocks_of(d.k);
  if (scales > 0) {
    auto* scale = memory.add<float>("scale of " + name, DType::f32, scales);
    fill.scales(scale, scales, 0.5 / kStored, 1.5 / kStored);
    side.scale = scale;
  }
  if (!d.bias || (may_lack_bias && fill.one_in(3))) return side;
  void* bias = memory.add("bias of " + name, params.bias_dtype, rows);
  fill.values(bias, params.bias_dtype, 0, rows, 3);
  side.bias = bias;
  return side;
}

void Problem<Matmul>::add_outputs(Fill& fill) {
  const MatmulDesc& d = case_.desc;
  params.out_stride = d.n + 4 * fill.below(3);
  const int64_t elements = params.m > 0 ? (params.m - 1) * params.out_stride + d.n : 0;
  params.out = memory.add("out", d.out_dtype, elements);
  for (int64_t m = 0; m < params.m; ++m) memory.may_write(params.out, m * params.out_stride, d.n);
  if (!d.residual) return;
  const bool in_place = d.out_dtype == DType::f32 && fill.one_in(2);
  auto* residual = in_place ? static_cast<float*>(params.out) : memory.add<float>("residual", DType::f32, elements);
  for (int64_t m = 0; m < params.m; ++m) fill.values(residual, DType::f32, m * params.out_stride, d.n, 4);
  residual_.assign(residual, residual + elements);
  params.residual = residual;
}

namespace {

/// One dot product asked of the reference: its value (through the activation) and Σ|x·w| + |bias|, by the reference on magnitudes.
struct Dot {
  double value, magnitude;
};

/// Copies `count` elements without their signs.
std::vector<uint8_t> magnitudes(const void* data, DType t, int64_t first, int64_t count) {
  const size_t size = size_of(t);
  const auto* from = static_cast<const uint8_t*>(data) + static_cast<size_t>(first) * size;
  std::vector<uint8_t> out(from, from + static_cast<size_t>(count) * size);
  for (size_t i = size - 1; i < out.size(); i += size) out[i] &= 0x7f;
  return out;
}

const void* element(const void* data, DType t, int64_t i) { return static_cast<const uint8_t*>(data) + static_cast<size_t>(i) * size_of(t); }

/// The call for output (m, n) alone, without residual.
struct One {
  MatmulDesc desc;
  MatmulParams params;
};
One one_of_call(const MatmulDesc& d, const MatmulParams& p, int64_t m, int64_t n) {
  One one{d, p};
  size_t s = 0;
  for (; n >= p.segments[s].rows; ++s) n -= p.segments[s].rows;
  auto& to = one.params.segments[0] = p.segments[s];
  to.rows = 1;
  for (const void** w : {&to.w, &to.up})
    if (*w) *w = element(*w, d.w_dtype, n * d.k);
  for (const void** bias : {&to.bias, &to.up_bias})
    if (*bias) *bias = element(*bias, p.bias_dtype, n);
  for (const float** scale : {&to.scale, &to.up_scale}) {
    if (*scale && d.w_scale == Scales::channel) *scale += n;
    if (*scale && d.w_scale == Scales::block_128x128) *scale += n / 128 * blocks_of(d.k);
  }
  one.params.x = element(p.x, d.x_dtype, m * p.x_stride);
  if (d.x_scale == Scales::token) one.params.x_scale = p.x_scale + m;
  if (d.x_scale == Scales::block_1x128) one.params.x_scale = p.x_scale + m * blocks_of(d.k);
  one.params.m = 1;
  one.desc.segments = 1, one.desc.n = 1, one.desc.residual = false;
  return one;
}

double value_of(const One& one) { return first_output(one.desc, one.params); }

/// The product with w, or that with `up`, of a call for one output.
Dot dot_of(One one, bool up) {
  auto& segment = one.params.segments[0];
  if (up) segment = {segment.up, 1, segment.up_bias, segment.up_scale}, one.desc.activation = Activation::none;
  one.desc.gated = false;
  const double value = value_of(one);
  const MatmulDesc& d = one.desc;
  const auto x = magnitudes(one.params.x, d.x_dtype, 0, d.k), w = magnitudes(segment.w, d.w_dtype, 0, d.k);
  std::vector<uint8_t> bias;
  if (segment.bias) bias = magnitudes(segment.bias, one.params.bias_dtype, 0, 1), segment.bias = bias.data();
  one.params.x = x.data(), segment.w = w.data();
  one.desc.activation = Activation::none;
  return {value, value_of(one)};
}

/// The dot product's bound, through an activation of slope ≤ 1.13 that costs a few ulps.
ErrorBound product_bound(const MatmulDesc& d, const DeclaredRounding& declared, const Dot& dot, Activation activation) {
  // Inputs wider than 8 significant bits lose some where the tag says that x is narrowed.
  const double narrowed = d.x_dtype == DType::f32 || d.x_dtype == DType::f16 ? declared.x : 0;
  const double accumulator = d.accumulate == Accumulate::fast ? 0x1.0p-13 : 0x1.0p-24;
  const ErrorBound b = dot_bound(static_cast<double>(d.k), dot.magnitude, narrowed, accumulator);
  if (activation == Activation::none) return b;
  return {1.13 * b.worst + 0x1.0p-20 * dot.magnitude, 1.13 * b.typical + 0x1.0p-22 * dot.magnitude};
}

/// An output's value but for the residual, and its bound with the residual's sum and the storage. Of a gated one |g·u − ĝ·û| ≤ |g|·Δu + |u|·Δg +
/// Δg·Δu and half a unit of the product.
struct Expected {
  double value;
  ErrorBound bound;
};
Expected expected_of(const MatmulDesc& d, const MatmulParams& p, const DeclaredRounding& declared, int64_t m, int64_t n, double residual) {
  const One one = one_of_call(d, p, m, n);
  const Dot dot = dot_of(one, false);
  Expected e{dot.value, product_bound(d, declared, dot, d.activation)};
  if (d.gated) {
    const Dot up = dot_of(one, true);
    const ErrorBound by = product_bound(d, declared, up, Activation::none);
    const double g = std::abs(dot.value), u = std::abs(up.value), own = 0x1.0p-24 * g * u;
    e.bound = {g * by.worst + u * e.bound.worst + e.bound.worst * by.worst + own,
               std::hypot(g * by.typical, u * e.bound.typical) + e.bound.typical * by.typical + own};
    e.value = value_of(one);
  }
  const double sum = 0x1.0p-23 * (std::abs(e.value) + std::abs(residual));
  e.bound = stored({e.bound.worst + sum, e.bound.typical + sum}, d.out_dtype, e.value + residual);
  return e;
}

/// Corners of tiles of 16, 32 and 64, the ends of segments, and drawn outputs: enough of them for a verdict on the mean square error.
std::vector<std::pair<int64_t, int64_t>> sampled_outputs(const MatmulDesc& d, const MatmulParams& p, int64_t samples, uint64_t seed) {
  std::vector<std::pair<int64_t, int64_t>> out;
  if (samples > 0) samples = std::max<int64_t>(samples, 320);
  if (samples == 0 || p.m * d.n <= samples) {
    for (int64_t m = 0; m < p.m; ++m)
      for (int64_t n = 0; n < d.n; ++n) out.emplace_back(m, n);
    return out;
  }
  std::vector<int64_t> edges = {0, 3, 15, 16, 31, 32, 63, 64, d.n - 1};
  int64_t end = 0;
  for (int64_t s = 0; s < d.segments; ++s) {
    end += p.segments[s].rows;
    edges.push_back(end - 1);
    edges.push_back(end);
  }
  for (int64_t n : edges)
    if (n < d.n) out.emplace_back(n % 2 ? 0 : p.m - 1, n), out.emplace_back(p.m / 2, n);
  Fill draw(seed ^ 0x5a3d);
  while (static_cast<int64_t>(out.size()) < samples) out.emplace_back(draw.below(p.m), draw.below(d.n));
  return out;
}

}  // namespace

void Problem<Matmul>::compare(std::string_view reduction, int64_t samples, Comparison& out) const {
  const MatmulDesc& d = case_.desc;
  const DeclaredRounding declared = declared_rounding(reduction);
  for (const auto& [m, n] : sampled_outputs(d, params, samples, case_.seed)) {
    const int64_t at = m * params.out_stride + n;
    const double residual = d.residual ? residual_[static_cast<size_t>(at)] : 0;
    const Expected expected = expected_of(d, params, declared, m, n, residual);
    double got = 0;
    load_values(params.out, d.out_dtype, at, 1, &got);
    out.add(got, expected.value + residual, expected.bound, [&, row = m, column = n] { return fmt::format("row {}, column {}", row, column); });
  }
  std::vector<double> row(static_cast<size_t>(d.n));
  for (int64_t m = 0; m < params.m; ++m) {
    load_values(params.out, d.out_dtype, m * params.out_stride, d.n, row.data());
    const auto bad = std::find_if(row.begin(), row.end(), [](double x) { return !std::isfinite(x); });
    if (bad == row.end()) continue;
    out.add(*bad, 0, {}, [&] { return fmt::format("row {}, column {}", m, bad - row.begin()); });
    return;
  }
}

}  // namespace attune
