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
    fill_segment(fill, s);
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

void Problem<Matmul>::fill_segment(Fill& fill, int64_t index) {
  const MatmulDesc& d = case_.desc;
  auto& segment = params.segments[index];
  void* w = memory.add(fmt::format("w of segment {}", index), d.w_dtype, segment.rows * d.k);
  fill.values(w, d.w_dtype, 0, segment.rows * d.k, amplitude_of(d.w_scale));
  segment.w = w;
  int64_t scales = d.w_scale == Scales::tensor ? 1 : 0;
  if (d.w_scale == Scales::channel) scales = segment.rows;
  if (d.w_scale == Scales::block_128x128) scales = blocks_of(segment.rows) * blocks_of(d.k);
  if (scales > 0) {
    auto* scale = memory.add<float>(fmt::format("scale of segment {}", index), DType::f32, scales);
    fill.scales(scale, scales, 0.5 / kStored, 1.5 / kStored);
    segment.scale = scale;
  }
  // A layer may have biases on some segments only.
  if (!d.bias || (index > 0 && fill.one_in(3))) return;
  void* bias = memory.add(fmt::format("bias of segment {}", index), params.bias_dtype, segment.rows);
  fill.values(bias, params.bias_dtype, 0, segment.rows, 3);
  segment.bias = bias;
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

/// One output asked of the reference: its value with an f32 output, and Σ|x·w| + |bias| by the reference on magnitudes.
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

Dot dot_of(const MatmulDesc& desc, const MatmulParams& p, int64_t m, int64_t n) {
  MatmulDesc d = desc;
  MatmulParams one = p;
  size_t s = 0;
  for (; n >= p.segments[s].rows; ++s) n -= p.segments[s].rows;
  const auto& from = p.segments[s];
  auto& to = one.segments[0];
  const size_t row = static_cast<size_t>(n * d.k) * size_of(d.w_dtype);
  to = {static_cast<const uint8_t*>(from.w) + row, 1, nullptr, from.scale};
  if (from.bias) to.bias = static_cast<const uint8_t*>(from.bias) + static_cast<size_t>(n) * size_of(p.bias_dtype);
  if (d.w_scale == Scales::channel) to.scale = from.scale + n;
  if (d.w_scale == Scales::block_128x128) to.scale = from.scale + n / 128 * blocks_of(d.k);
  one.x = static_cast<const uint8_t*>(p.x) + static_cast<size_t>(m * p.x_stride) * size_of(d.x_dtype);
  if (d.x_scale == Scales::token) one.x_scale = p.x_scale + m;
  if (d.x_scale == Scales::block_1x128) one.x_scale = p.x_scale + m * blocks_of(d.k);
  one.m = 1;
  d.segments = 1, d.n = 1, d.out_dtype = DType::f32, d.residual = false;
  float value = 0, magnitude = 0;
  one.out = &value;
  matmul_ref({}, d, one);
  const auto x = magnitudes(one.x, d.x_dtype, 0, d.k), w = magnitudes(to.w, d.w_dtype, 0, d.k);
  std::vector<uint8_t> bias;
  if (to.bias) bias = magnitudes(to.bias, p.bias_dtype, 0, 1), to.bias = bias.data();
  one.x = x.data(), to.w = w.data(), one.out = &magnitude;
  d.activation = Activation::none;
  matmul_ref({}, d, one);
  return {value, magnitude};
}

/// The output's bound: the dot product's, through an activation of slope ≤ 1.13 that costs a few ulps, the residual's sum, the storage.
ErrorBound output_bound(const MatmulDesc& d, const DeclaredRounding& declared, const Dot& dot, double residual) {
  // Inputs wider than 8 significant bits lose some where the tag says that x is narrowed.
  const double narrowed = d.x_dtype == DType::f32 || d.x_dtype == DType::f16 ? declared.x : 0;
  const double accumulator = d.accumulate == Accumulate::fast ? 0x1.0p-13 : 0x1.0p-24;
  ErrorBound b = dot_bound(static_cast<double>(d.k), dot.magnitude, narrowed, accumulator);
  if (d.activation != Activation::none) b = {1.13 * b.worst + 0x1.0p-20 * dot.magnitude, 1.13 * b.typical + 0x1.0p-22 * dot.magnitude};
  const double sum = 0x1.0p-23 * (std::abs(dot.value) + std::abs(residual));
  return stored({b.worst + sum, b.typical + sum}, d.out_dtype, dot.value + residual);
}

/// Corners of tiles of 16, 32 and 64, the ends of segments, and drawn outputs.
std::vector<std::pair<int64_t, int64_t>> sampled_outputs(const MatmulDesc& d, const MatmulParams& p, int64_t samples, uint64_t seed) {
  std::vector<std::pair<int64_t, int64_t>> out;
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
    const Dot dot = dot_of(d, params, m, n);
    const int64_t at = m * params.out_stride + n;
    const double residual = d.residual ? residual_[static_cast<size_t>(at)] : 0;
    double got = 0;
    load_values(params.out, d.out_dtype, at, 1, &got);
    out.add(got, dot.value + residual, output_bound(d, declared, dot, residual),
            [&, row = m, column = n] { return fmt::format("row {}, column {}", row, column); });
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
