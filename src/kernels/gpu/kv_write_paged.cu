// gpu.kv_write.paged: new keys and values into the pages, 32 threads a head of one side of a token.
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/kv_write_math.h"

namespace attune::gpu {
namespace {

constexpr int kThreads = 128;
constexpr int kHeadsAtOnce = kThreads / kLanes;

struct Call {
  KvWriteDesc desc;
  KvWriteParams params;
  int64_t units;  // tokens × sides × heads
};

__global__ void __launch_bounds__(kThreads) kv_write(const Call c) {
  take_turn();
  const KvWriteDesc& d = c.desc;
  const KvWriteParams& p = c.params;
  const int lane = thread_index() % kLanes;
  for (int64_t first = block_index() * kHeadsAtOnce; first < c.units; first += block_count() * kHeadsAtOnce) {
    const int64_t unit = first + thread_index() / kLanes, token = quotient(unit, 2 * d.num_kv_heads), in_token = unit - token * 2 * d.num_kv_heads;
    const bool value = in_token >= d.num_kv_heads;
    const int64_t head = value ? in_token - d.num_kv_heads : in_token;
    const int64_t slot = unit < c.units ? p.slot_mapping[token] : -1;  // −1: nothing is read or written, but every thread takes part
    const int64_t from = token * p.x_stride + head * d.head_dim;
    const void* x = value ? p.v : p.k;
    float peak = 0;
    if (slot >= 0 && d.kv_scale == Scales::token_head)
      for (int64_t i = lane; i < d.head_dim; i += kLanes) peak = fmaxf(peak, fabsf(load_element(x, d.x_dtype, from + i)));
    peak = max_over(peak, kLanes);
    if (slot < 0) continue;
    const int64_t place = place_of(d, slot, head);
    const float scale = side_scale(d, value ? p.v_scale : p.k_scale, head, place, peak, lane == 0);
    void* cache = value ? p.v_cache : p.k_cache;
    for (int64_t i = lane; i < d.head_dim; i += kLanes)
      store_element(cache, d.kv_dtype, place * d.head_dim + i, load_element(x, d.x_dtype, from + i) / scale);
  }
}

}  // namespace

template <>
void kv_write_paged<kDevice>(const ExecContext& ctx, const KvWriteDesc& desc, const KvWriteParams& params) {
  const Call c = {desc, params, params.tokens * 2 * desc.num_kv_heads};
  if (c.units == 0) return;
  const char* error = launch(kv_write, blocks_for((c.units + kHeadsAtOnce - 1) / kHeadsAtOnce), kThreads, 0, ctx.stream, c);
  if (error != nullptr) launch_failed("gpu.kv_write.paged", error);
}

}  // namespace attune::gpu
