// gpu.embed.rows: one thread four elements of a token's row: a product in f32, rounded once.
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"

namespace attune::gpu {
namespace {

constexpr int kThreads = 128;

struct Call {
  EmbedDesc desc;
  EmbedParams params;
  int64_t per_row, units;  // fours of a row, of all rows
  bool aligned;
};

__global__ void __launch_bounds__(kThreads) embed(const Call c) {
  take_turn();
  for (int64_t unit = block_index() * kThreads + thread_index(); unit < c.units; unit += block_count() * kThreads) {
    const int64_t token = quotient(unit, c.per_row), i = 4 * (unit - token * c.per_row), left = c.desc.hidden - i;
    Four x = load_four(c.params.table, c.desc.w_dtype, c.params.ids[token] * c.desc.hidden + i, left, c.aligned);
#pragma unroll
    for (int j = 0; j < 4; ++j) x.x[j] = x.x[j] * c.params.scale;
    store_four(c.params.out, c.desc.out_dtype, token * c.desc.hidden + i, left, c.aligned, x);
  }
}

}  // namespace

template <>
void embed_rows<kDevice>(const ExecContext& ctx, const EmbedDesc& desc, const EmbedParams& params) {
  Call c = {desc, params, (desc.hidden + 3) / 4, 0, false};
  c.units = params.tokens * c.per_row;
  if (c.units == 0) return;
  c.aligned = fours_are_aligned(params.table, desc.w_dtype, desc.hidden) && fours_are_aligned(params.out, desc.out_dtype, desc.hidden);
  const char* error = launch(embed, blocks_for((c.units + kThreads - 1) / kThreads), kThreads, 0, ctx.stream, c);
  if (error != nullptr) launch_failed("gpu.embed.rows", error);
}

}  // namespace attune::gpu
