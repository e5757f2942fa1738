#pragma once

#include <string>

#include "ops/types.h"
#include "select/kernel.h"

namespace attune {

/// How x is quantised inside the call before it meets FP8 weights: not at all, by a given scale, or by its own row maximum / 448.
enum class Quantize : uint8_t { none, static_tensor, dynamic_token };
constexpr std::string_view to_text(Quantize q) {
  constexpr std::string_view kNames[] = {"none", "static_tensor", "dynamic_token"};
  return kNames[static_cast<int>(q)];
}

/// FP8 products summed in the tensor core's own accumulator, or promoted to f32 every 128 of K.
enum class Accumulate : uint8_t { promoted, fast };
constexpr std::string_view to_text(Accumulate a) {
  constexpr std::string_view kNames[] = {"promoted", "fast"};
  return kNames[static_cast<int>(a)];
}

/// row_major: [N, K] as Hugging Face stores it, in up to three segments of rows that need not be adjacent.
enum class WeightLayout : uint8_t { row_major };
constexpr std::string_view to_text(WeightLayout) { return "row_major"; }

/// out[m, n] = act(Σ_k x[m, k] · w[n, k] · scales + bias[n]) + residual[m, n]; gated: act(…) · (Σ_k x[m, k] · up[n, k] · scales + up_bias[n])
/// + residual[m, n], where `up` are weights like w.
struct MatmulDesc {
  DType x_dtype = DType::bf16;
  DType w_dtype = DType::bf16;
  DType out_dtype = DType::f32;
  int64_t n = 4096;
  int64_t k = 4096;
  int64_t rows = 1;  ///< the bucket's largest M
  WeightLayout layout = WeightLayout::row_major;
  int64_t segments = 1;
  Scales w_scale = Scales::none;  ///< tensor [segments], channel [N], block_128x128 [⌈N/128⌉, ⌈K/128⌉] of one segment
  Scales x_scale = Scales::none;  ///< pre-quantised x: tensor [1], token [M], block_1x128 [M, ⌈K/128⌉]
  Quantize quantize = Quantize::none;
  Accumulate accumulate = Accumulate::promoted;
  bool bias = false;
  Activation activation = Activation::none;
  bool residual = false;
  bool gated = false;  ///< SwiGLU, GeGLU: w is the gate's; n counts outputs, so 2n rows of weights are read
  constexpr bool operator==(const MatmulDesc&) const = default;
};

struct MatmulParams {
  struct Segment {
    const void* w = nullptr;  ///< (rows, K) row-major, aligned to its element only
    int64_t rows = 0;
    const void* bias = nullptr;  ///< [rows] in bias_dtype
    const float* scale = nullptr;
    // gated: the factors' weights, biases and scales, shaped as those above
    const void* up = nullptr;
    const void* up_bias = nullptr;
    const float* up_scale = nullptr;
  };
  const void* x = nullptr;  ///< (M, K), x_stride elements between rows
  int64_t x_stride = 0;
  int64_t m = 0;
  Segment segments[3];
  DType bias_dtype = DType::f32;
  void* out = nullptr;  ///< (M, N), out_stride elements between rows
  int64_t out_stride = 0;
  const float* residual = nullptr;  ///< (M, N), out_stride between rows; may be `out` itself
  const float* x_scale = nullptr;
};

struct MatmulCapability {
  Constraint<DType> x_dtype, w_dtype, out_dtype;
  Constraint<int64_t> n, k, rows;
  Constraint<WeightLayout> layout;
  Constraint<int64_t> segments;
  Constraint<Scales> w_scale, x_scale;
  Constraint<Quantize> quantize;
  Constraint<Accumulate> accumulate;
  Constraint<bool> bias;
  Constraint<Activation> activation;
  Constraint<bool> residual, gated;
};

struct Matmul {
  static constexpr std::string_view kName = "matmul";
  using Desc = MatmulDesc;
  using Params = MatmulParams;
  using Capability = MatmulCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    constexpr int64_t kMax = int64_t{1} << 19;
    f(FieldName{"x_dtype", "x", true}, c.x_dtype, d.x_dtype, def.x_dtype, kStorageTypes);
    f(FieldName{"w_dtype", "w", true}, c.w_dtype, d.w_dtype, def.w_dtype, kStorageTypes);
    f(FieldName{"out_dtype", "out"}, c.out_dtype, d.out_dtype, def.out_dtype, kWideTypes);
    f(FieldName{"n", "n", true}, c.n, d.n, def.n, Constraint<int64_t>(range{1, kMax}));
    f(FieldName{"k", "k", true}, c.k, d.k, def.k, Constraint<int64_t>(range{1, kMax}));
    f(FieldName{"rows", "rows", true}, c.rows, d.rows, def.rows, Constraint<int64_t>(range{1, kMax}));
    f(FieldName{"layout", "layout"}, c.layout, d.layout, def.layout, Constraint<WeightLayout>(one_of({WeightLayout::row_major})));
    f(FieldName{"segments", "segments"}, c.segments, d.segments, def.segments, Constraint<int64_t>(range{1, 3}));
    f(FieldName{"w_scale", "w_scale"}, c.w_scale, d.w_scale, def.w_scale,
      Constraint<Scales>(one_of({Scales::none, Scales::tensor, Scales::channel, Scales::block_128x128})));
    f(FieldName{"x_scale", "x_scale"}, c.x_scale, d.x_scale, def.x_scale,
      Constraint<Scales>(one_of({Scales::none, Scales::tensor, Scales::token, Scales::block_1x128})));
    f(FieldName{"quantize", "quantize"}, c.quantize, d.quantize, def.quantize,
      Constraint<Quantize>(one_of({Quantize::none, Quantize::static_tensor, Quantize::dynamic_token})));
    f(FieldName{"accumulate", "accumulate"}, c.accumulate, d.accumulate, def.accumulate,
      Constraint<Accumulate>(one_of({Accumulate::promoted, Accumulate::fast})));
    f(FieldName{"bias", "bias"}, c.bias, d.bias, def.bias, kYesNo);
    f(FieldName{"activation", "act"}, c.activation, d.activation, def.activation,
      Constraint<Activation>(one_of({Activation::none, Activation::silu, Activation::gelu_tanh, Activation::gelu})));
    f(FieldName{"residual", "residual"}, c.residual, d.residual, def.residual, kYesNo);
    f(FieldName{"gated", "gated"}, c.gated, d.gated, def.gated, kYesNo);
  }
};
using MatmulKernel = Kernel<Matmul>;

std::string to_text(const MatmulDesc& desc);

/// Output (0, 0) in double, without the residual and before it is stored.
double first_output(const MatmulDesc& desc, const MatmulParams& params);
void matmul_ref(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);

}  // namespace attune
