// Cases of the ops that treat rows one by one: norm, rope, activation, embed. The reference is in double, and rounded nowhere.
#include <algorithm>
#include <cmath>

#include "proof/problem.h"

namespace attune {
namespace {

constexpr double kUlp = 0x1.0p-23;

int64_t last_element(int64_t rows, int64_t stride, int64_t width) { return rows > 0 ? (rows - 1) * stride + width : 0; }

double element(const void* data, DType t, int64_t i) { return static_cast<double>(load_as_float(data, t, i)); }

}  // namespace

// ---- norm --------------------------------------------------------------------------------------------------------------------------------

Problem<Norm>::Problem(const Case<Norm>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  const NormDesc& d = case_.desc;
  Fill fill(c.seed ^ 0x40a);
  params.groups = c.rows;
  params.rows = fill.one_in(2) ? 1 : 3;
  const int64_t width = params.rows * d.hidden;
  params.x_group_stride = width + 8 * fill.below(3);
  params.out_group_stride = width + 4 * fill.below(3);
  params.eps = fill.one_in(2) ? 1e-6f : 1e-2f;
  void* x = memory.add("x", d.x_dtype, last_element(params.groups, params.x_group_stride, width));
  // Rows of very different size: a sum of squares must not be shared, nor eps forgotten.
  for (int64_t g = 0; g < params.groups; ++g)
    for (int64_t r = 0; r < params.rows; ++r)
      fill.values(x, d.x_dtype, g * params.x_group_stride + r * d.hidden, d.hidden, fill.one_in(3) ? 0.01 : fill.between(0.5, 30));
  params.x = x;
  void* w = memory.add("w", d.w_dtype, d.hidden);
  fill.values(w, d.w_dtype, 0, d.hidden, 2);
  params.w = w;
  const int64_t elements = last_element(params.groups, params.out_group_stride, width);
  void* out = memory.add(d.residual ? "residual" : "out", d.residual ? DType::f32 : d.out_dtype, elements);
  for (int64_t g = 0; g < params.groups; ++g) memory.may_write(out, g * params.out_group_stride, width);
  if (!d.residual) {
    params.out = out;
    return;
  }
  params.residual = static_cast<float*>(out);
  for (int64_t g = 0; g < params.groups; ++g) fill.values(out, DType::f32, g * params.out_group_stride, width, 4);
  residual_.assign(params.residual, params.residual + elements);
}

void Problem<Norm>::compare(std::string_view, int64_t, Comparison& out) const {
  const NormDesc& d = case_.desc;
  const bool residual = d.residual;
  const DType stored_as = residual ? DType::f32 : d.out_dtype;
  const void* result = residual ? static_cast<const void*>(params.residual) : params.out;
  std::vector<double> want(static_cast<size_t>(d.hidden));
  // Σx² has only positive terms: its relative error is γ_h, half of it after the root; six more roundings. Typically roundings of four or more sums
  // of h/4 terms add up by their squares, each of rms 0.425 ulp, over partial sums that grow (a third): 0.425·√(h/12)/2.
  const double hidden = static_cast<double>(d.hidden);
  const double relative = gamma(hidden) / 2 + 6 * kUlp, typical = (6 + 0.0613 * std::sqrt(hidden)) * kUlp;
  for (int64_t g = 0; g < params.groups; ++g)
    for (int64_t i = 0; i < params.rows * d.hidden; ++i) {
      const int64_t at = g * params.out_group_stride + i;
      if (i % d.hidden == 0) normed_row(d, params, g * params.x_group_stride + i, want.data());
      const double y = want[static_cast<size_t>(i % d.hidden)], r = residual ? residual_[static_cast<size_t>(at)] : 0;
      const double sum = residual ? kUlp * std::abs(r + y) : 0;
      // With 1 + w the rounding of the sum counts relative to 1.
      const double offset = d.unit_offset ? 1 + 2 * kUlp : 1;
      const ErrorBound bound = stored({relative * offset * std::abs(y) + sum, typical * std::abs(y) + sum}, stored_as, r + y);
      out.add(element(result, stored_as, at), r + y, bound,
              [&] { return fmt::format("group {}, row {}, element {}", g, i / d.hidden, i % d.hidden); });
    }
}

// ---- rope --------------------------------------------------------------------------------------------------------------------------------

Problem<Rope>::Problem(const Case<Rope>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  const RopeDesc& d = case_.desc;
  Fill fill(c.seed ^ 0x20e);
  params.tokens = c.rows;
  params.heads = 1 + fill.below(5);
  const int64_t width = params.heads * d.head_dim;
  params.x_stride = width + 8 * fill.below(3);
  const bool in_place = d.x_dtype == d.out_dtype && fill.one_in(2);
  params.out_stride = in_place ? params.x_stride : width + 4 * fill.below(3);
  const int64_t elements = last_element(params.tokens, params.x_stride, width);
  void* x = memory.add("x", d.x_dtype, elements);
  for (int64_t t = 0; t < params.tokens; ++t) fill.values(x, d.x_dtype, t * params.x_stride, width, 4);
  params.x = x;
  params.out = in_place ? x : memory.add("out", d.out_dtype, last_element(params.tokens, params.out_stride, width));
  for (int64_t t = 0; t < params.tokens; ++t) memory.may_write(params.out, t * params.out_stride, width);
  const auto* bytes = static_cast<const uint8_t*>(x);
  x_.assign(bytes, bytes + static_cast<size_t>(elements) * size_of(d.x_dtype));
  auto* positions = memory.add<int32_t>("positions", DType::i32, params.tokens);
  for (int64_t t = 0; t < params.tokens; ++t) positions[t] = static_cast<int32_t>(fill.one_in(2) ? fill.below(64) : fill.below(131072));
  params.positions = positions;
  auto* inv_freq = memory.add<float>("inv_freq", DType::f32, d.rotary_dim / 2);
  for (int64_t i = 0; i < d.rotary_dim / 2; ++i)
    inv_freq[i] = static_cast<float>(std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(d.rotary_dim)));
  params.inv_freq = inv_freq;
  params.attention_factor = fill.one_in(2) ? 1.0f : 1.3f;
}

void Problem<Rope>::compare(std::string_view, int64_t, Comparison& out) const {
  const RopeDesc& d = case_.desc;
  const DType stored_as = d.out_dtype;
  const int64_t half = d.rotary_dim / 2;
  std::vector<double> want(static_cast<size_t>(d.head_dim));
  RopeParams p = params;
  p.x = x_.data();
  for (int64_t t = 0; t < params.tokens; ++t)
    for (int64_t i = 0; i < params.heads * d.head_dim; ++i) {
      const int64_t in_head = i % d.head_dim, at = t * params.out_stride + i, from = t * params.x_stride + i;
      if (in_head == 0) rotated_head(d, p, t, i / d.head_dim, want.data());
      const double y = want[static_cast<size_t>(in_head)];
      ErrorBound bound{};
      if (in_head < d.rotary_dim) {
        const int64_t partner = d.style == RopeStyle::neox ? (in_head < half ? half : -half) : (in_head % 2 == 0 ? 1 : -1);
        const double size = std::abs(element(x_.data(), d.x_dtype, from)) + std::abs(element(x_.data(), d.x_dtype, from + partner));
        // Cosine and sine good to two ulps of 1 in f32, the products and their sum.
        bound = {6 * kUlp * size * params.attention_factor, 4 * kUlp * size * params.attention_factor};
      }
      out.add(element(params.out, stored_as, at), y, stored(bound, stored_as, y),
              [&] { return fmt::format("token {}, head {}, element {}", t, i / d.head_dim, in_head); });
    }
}

// ---- activation --------------------------------------------------------------------------------------------------------------------------

Problem<ActivationOp>::Problem(const Case<ActivationOp>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  const ActivationDesc& d = case_.desc;
  Fill fill(c.seed ^ 0xac7);
  constexpr int64_t kWidths[] = {1, 7, 16, 33, 96, 100, 768, 1000};
  params.rows = c.rows;
  params.width = kWidths[fill.below(std::size(kWidths))];
  const int64_t elements = params.rows * params.width * (d.gated ? 2 : 1);
  void* x = memory.add("x", d.x_dtype, elements);
  fill.values(x, d.x_dtype, 0, elements, 6);
  // The far ends, where an exponential leaves f32.
  constexpr float kEnds[] = {0, -0.0f, -104, 104, -1000, 1000, 1e-20f};
  for (float end : kEnds)
    if (elements > 8) store_from_float(x, d.x_dtype, fill.below(elements), end);
  params.x = x;
  params.out = memory.add("out", d.out_dtype, params.rows * params.width);
  memory.may_write(params.out, 0, params.rows * params.width);
}

namespace {

/// The root mean square error of act(x)·up in f32, whose value is y before and after the softcap's tanh. Each of exponential, sum, quotient and
/// product is good to half an ulp or one of the result, together 2u·|y|. GELU's forms add what their cancelling tail leaves, u·|x·up| (erf), or the
/// rounding of the exponent z they are made of, 2u·|z|·(1 − σ(z))·|y| (tanh). The softcap multiplies all that by its slope and adds a tanh.
double typical_activation_error(const ActivationDesc& d, double x, double up, double y) {
  constexpr double kHalf = kUlp / 2;
  const double before = d.softcap > 0 ? std::abs(x * up) : std::abs(y);
  double error = (d.activation == Activation::none ? 1 : 2) * kHalf * before;
  if (d.activation == Activation::gelu) error += kHalf * std::abs(x * up);
  if (d.activation == Activation::gelu_tanh) {
    const double z = x * (1.5957691216057 + 0.0713548162726 * x * x);
    error += 2 * kHalf * std::abs(z) / (1 + std::exp(std::min(z, 700.0))) * before;
  }
  if (d.softcap <= 0) return error;
  const double t = y / d.softcap;
  return error * std::max(1 - t * t, 0.0) + 3 * kHalf * std::abs(y);
}

}  // namespace

void Problem<ActivationOp>::compare(std::string_view, int64_t, Comparison& out) const {
  const ActivationDesc& d = case_.desc;
  const int64_t stride = d.gated ? 2 * params.width : params.width;
  for (int64_t i = 0; i < params.rows * params.width; ++i) {
    const int64_t from = i / params.width * stride + i % params.width;
    const double x = element(params.x, d.x_dtype, from), up = d.gated ? element(params.x, d.x_dtype, from + params.width) : 1;
    const double y = activated(d, params, i / params.width, i % params.width);
    // act(x) is good to 4 ulps of |x|·|up| (GELU subtracts near its zero tail); a softcap is a tanh more.
    double error = d.activation == Activation::none ? 2 * kUlp * std::abs(x * up) : 4 * kUlp * std::abs(x * up);
    if (d.softcap > 0) error = std::min(error, 2 * d.softcap) + 8 * kUlp * std::abs(y);
    // Beyond f16's largest value plus half a unit there is infinity; within the error of that border both are right.
    constexpr double kF16Border = 65520;
    if (d.out_dtype == DType::f16 && std::abs(y) + error >= kF16Border) {
      if (std::abs(y) - error >= kF16Border)
        out.add(element(params.out, d.out_dtype, i), std::copysign(INFINITY, y), {},
                [&] { return fmt::format("row {}, element {}", i / params.width, i % params.width); });
      continue;
    }
    constexpr double kFar = 64;  // the far ends' errors would hide all others
    const double typical = std::min(error, typical_activation_error(d, x, up, y));
    out.add(
        element(params.out, d.out_dtype, i), y, stored({error, typical}, d.out_dtype, y),
        [&] { return fmt::format("row {}, element {}", i / params.width, i % params.width); },
        std::abs(x) > kFar || std::abs(up) > kFar ? OutputKind::far : OutputKind::values);
  }
}

// ---- embed -------------------------------------------------------------------------------------------------------------------------------

Problem<Embed>::Problem(const Case<Embed>& c, const ProblemStyle& style) : memory(style.guard), case_(c) {
  const EmbedDesc& d = case_.desc;
  Fill fill(c.seed ^ 0xe3b);
  params.tokens = c.rows;
  params.vocab = 1 + fill.below(50);
  params.scale = fill.one_in(2) ? 1.0f : 45.25f;
  auto* ids = memory.add<int32_t>("ids", DType::i32, params.tokens);
  for (int64_t t = 0; t < params.tokens; ++t) ids[t] = static_cast<int32_t>(t == 0 ? params.vocab - 1 : t == 1 ? 0 : fill.below(params.vocab));
  params.ids = ids;
  void* table = memory.add("table", d.w_dtype, params.vocab * d.hidden);
  fill.values(table, d.w_dtype, 0, params.vocab * d.hidden, 1);
  params.table = table;
  params.out = memory.add("out", d.out_dtype, params.tokens * d.hidden);
  memory.may_write(params.out, 0, params.tokens * d.hidden);
}

void Problem<Embed>::compare(std::string_view, int64_t, Comparison& out) const {
  const EmbedDesc& d = case_.desc;
  std::vector<uint8_t> want(static_cast<size_t>(params.tokens * d.hidden) * size_of(d.out_dtype));
  EmbedParams p = params;
  p.out = want.data();
  embed_ref({}, d, p);
  // One product in f32, rounded once: there is one right answer.
  for (int64_t i = 0; i < params.tokens * d.hidden; ++i)
    out.add(element(params.out, d.out_dtype, i), element(want.data(), d.out_dtype, i), {},
            [&] { return fmt::format("token {}, element {}", i / d.hidden, i % d.hidden); });
}

}  // namespace attune
