// Rows of the embedding table, scaled.
#include "ops/embed.h"

#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

template <class W, class Out>
void embed_tokens(const ExecContext& ctx, const EmbedDesc& d, const EmbedParams& p) {
  const Vec scale = broadcast(p.scale);
  parallel_ranges(ctx, p.tokens, d.hidden, [&](int64_t first, int64_t last, int) {
    for (int64_t t = first; t < last; ++t) {
      const W* row = static_cast<const W*>(p.table) + p.ids[t] * d.hidden;
      Out* out = static_cast<Out*>(p.out) + t * d.hidden;
      int64_t i = 0;
      for (; i + kWidth <= d.hidden; i += kWidth) store(out + i, load(row + i) * scale);
      const int n = static_cast<int>(d.hidden - i);
      if (n > 0) store_tail(out + i, load_tail(row + i, n) * scale, n);
    }
  });
}

}  // namespace

void embed(const ExecContext& ctx, const EmbedDesc& d, const EmbedParams& p) {
  with_wide_type(d.w_dtype, [&](auto w) {
    with_wide_type(d.out_dtype, [&](auto out) { embed_tokens<typename decltype(w)::Of, typename decltype(out)::Of>(ctx, d, p); });
  });
}

}  // namespace attune::cpu::ATTUNE_ISA
