// gpu.rope.pairs: rotary embedding, one thread a pair of elements (or one element behind the rotated ones). Angle in f32, its cosine and sine
// rounded from double.
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/rope_math.h"

namespace attune::gpu {
namespace {

constexpr int kThreads = 128;

struct Call {
  RopeDesc desc;
  RopeParams params;
  int64_t units;  // of all tokens and heads
  int per_head;   // rotary_dim / 2 pairs, then head_dim − rotary_dim single elements
};

__global__ void __launch_bounds__(kThreads) rope(const Call c) {
  take_turn();
  const RopeDesc& d = c.desc;
  const RopeParams& p = c.params;
  const int half = static_cast<int>(d.rotary_dim / 2);
  for (int64_t unit = block_index() * kThreads + thread_index(); unit < c.units; unit += block_count() * kThreads) {
    const int64_t head = quotient(unit, c.per_head), token = quotient(head, p.heads), in_token = (head - token * p.heads) * d.head_dim;
    const int i = static_cast<int>(unit - head * c.per_head);
    const int64_t from = token * p.x_stride + in_token, to = token * p.out_stride + in_token;
    if (i >= half) {
      const int64_t at = d.rotary_dim + (i - half);
      store_element(p.out, d.out_dtype, to + at, load_element(p.x, d.x_dtype, from + at));
      continue;
    }
    const int a = first_of_pair(d.style, i), b = second_of_pair(d.style, i, half);
    const Rotation r = rotation_of(p.positions[token], p.inv_freq[i], p.attention_factor);
    const Pair y = rotated({load_element(p.x, d.x_dtype, from + a), load_element(p.x, d.x_dtype, from + b)}, r);
    store_element(p.out, d.out_dtype, to + a, y.a);
    store_element(p.out, d.out_dtype, to + b, y.b);
  }
}

}  // namespace

template <>
void rope_pairs<kDevice>(const ExecContext& ctx, const RopeDesc& desc, const RopeParams& params) {
  Call c = {desc, params, 0, static_cast<int>(desc.head_dim - desc.rotary_dim / 2)};
  c.units = params.tokens * params.heads * c.per_head;
  if (c.units == 0) return;
  const char* error = launch(rope, blocks_for((c.units + kThreads - 1) / kThreads), kThreads, 0, ctx.stream, c);
  if (error != nullptr) launch_failed("gpu.rope.pairs", error);
}

}  // namespace attune::gpu
