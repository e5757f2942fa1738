#pragma once

#include <string>

#include "ops/types.h"
#include "select/kernel.h"

namespace attune {

/// neox rotates (x[i], x[i + rotary/2]); interleaved rotates (x[2i], x[2i + 1]).
enum class RopeStyle : uint8_t { neox, interleaved };
constexpr std::string_view to_text(RopeStyle s) {
  constexpr std::string_view kNames[] = {"neox", "interleaved"};
  return kNames[static_cast<int>(s)];
}

/// Rotary position embedding of heads: angle = position · inv_freq[i] in f32, cosine and sine times attention_factor; rounded once, to out_dtype.
struct RopeDesc {
  DType x_dtype = DType::f32;
  DType out_dtype = DType::f32;
  int64_t head_dim = 128;
  int64_t rotary_dim = 128;  ///< even, ≤ head_dim; the rest of a head is copied
  RopeStyle style = RopeStyle::neox;
  constexpr bool operator==(const RopeDesc&) const = default;
};

struct RopeParams {
  const void* x = nullptr;  ///< (tokens, heads, head_dim), x_stride elements between tokens
  void* out = nullptr;      ///< may be x if the types agree
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  const int32_t* positions = nullptr;  ///< [tokens]
  const float* inv_freq = nullptr;     ///< [rotary_dim / 2], scaling applied
  float attention_factor = 1;
};

struct RopeCapability {
  Constraint<DType> x_dtype, out_dtype;
  Constraint<int64_t> head_dim, rotary_dim;
  Constraint<RopeStyle> style;
};

struct Rope {
  static constexpr std::string_view kName = "rope";
  using Desc = RopeDesc;
  using Params = RopeParams;
  using Capability = RopeCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"x_dtype", "x", true}, c.x_dtype, d.x_dtype, def.x_dtype, kWideTypes);
    f(FieldName{"out_dtype", "out", true}, c.out_dtype, d.out_dtype, def.out_dtype, kWideTypes);
    f(FieldName{"head_dim", "head_dim", true}, c.head_dim, d.head_dim, def.head_dim, Constraint<int64_t>(range{1, 1024}));
    f(FieldName{"rotary_dim", "rotary_dim", true}, c.rotary_dim, d.rotary_dim, def.rotary_dim, Constraint<int64_t>(range{2, 1024}));
    f(FieldName{"style", "style"}, c.style, d.style, def.style, Constraint<RopeStyle>(one_of({RopeStyle::neox, RopeStyle::interleaved})));
  }
};
using RopeKernel = Kernel<Rope>;

std::string to_text(const RopeDesc& desc);

/// One head in double, before it is stored: y[head_dim].
void rotated_head(const RopeDesc& desc, const RopeParams& params, int64_t token, int64_t head, double* y);
void rope_ref(const ExecContext& ctx, const RopeDesc& desc, const RopeParams& params);

}  // namespace attune
