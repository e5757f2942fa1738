#include "ops/embed.h"

namespace attune {

void embed_ref(const ExecContext&, const EmbedDesc& d, const EmbedParams& p) {
  for (int64_t t = 0; t < p.tokens; ++t)
    for (int64_t i = 0; i < d.hidden; ++i)
      store_from_float(p.out, d.out_dtype, t * d.hidden + i, load_as_float(p.table, d.w_dtype, p.ids[t] * d.hidden + i) * p.scale);
}

}  // namespace attune
