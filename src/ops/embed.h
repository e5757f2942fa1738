#pragma once

#include <string>

#include "ops/types.h"
#include "select/kernel.h"

namespace attune {

/// out[t] = table[id[t]] · scale
struct EmbedDesc {
  DType w_dtype = DType::bf16;
  DType out_dtype = DType::f32;
  int64_t hidden = 4096;
  constexpr bool operator==(const EmbedDesc&) const = default;
};

struct EmbedParams {
  const int32_t* ids = nullptr;  ///< [tokens], each in [0, vocab)
  const void* table = nullptr;   ///< (vocab, hidden)
  void* out = nullptr;           ///< (tokens, hidden)
  int64_t tokens = 0;
  int64_t vocab = 0;
  float scale = 1;
};

struct EmbedCapability {
  Constraint<DType> w_dtype, out_dtype;
  Constraint<int64_t> hidden;
};

struct Embed {
  static constexpr std::string_view kName = "embed";
  using Desc = EmbedDesc;
  using Params = EmbedParams;
  using Capability = EmbedCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"w_dtype", "w", true}, c.w_dtype, d.w_dtype, def.w_dtype, kWideTypes);
    f(FieldName{"out_dtype", "out"}, c.out_dtype, d.out_dtype, def.out_dtype, kWideTypes);
    f(FieldName{"hidden", "hidden", true}, c.hidden, d.hidden, def.hidden, Constraint<int64_t>(range{1, 1 << 17}));
  }
};
using EmbedKernel = Kernel<Embed>;

std::string to_text(const EmbedDesc& desc);
void embed_ref(const ExecContext& ctx, const EmbedDesc& desc, const EmbedParams& params);

}  // namespace attune
