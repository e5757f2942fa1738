// gpu.activation.elementwise: one thread four elements of a row.
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/math.h"

namespace attune::gpu {
namespace {

constexpr int kThreads = 128;

struct Call {
  ActivationDesc desc;
  ActivationParams params;
  float cap;
  int64_t per_row, units;  // fours of a row, of all rows
  bool aligned;
};

__device__ float value_of(const Call& c, float x, float up) {
  float y = activate(c.desc.activation, x);
  if (c.desc.gated) y = y * up;
  return c.cap > 0 ? c.cap * tanh(y / c.cap) : y;
}

__global__ void __launch_bounds__(kThreads) activation(const Call c) {
  take_turn();
  const ActivationParams& p = c.params;
  for (int64_t unit = block_index() * kThreads + thread_index(); unit < c.units; unit += block_count() * kThreads) {
    const int64_t row = quotient(unit, c.per_row), i = 4 * (unit - row * c.per_row), left = p.width - i;
    const int64_t from = row * (c.desc.gated ? 2 * p.width : p.width) + i;
    const Four x = load_four(p.x, c.desc.x_dtype, from, left, c.aligned);
    const Four up = c.desc.gated ? load_four(p.x, c.desc.x_dtype, from + p.width, left, c.aligned) : Four{};
    Four y;
#pragma unroll
    for (int j = 0; j < 4; ++j) y.x[j] = value_of(c, x.x[j], up.x[j]);
    store_four(p.out, c.desc.out_dtype, row * p.width + i, left, c.aligned, y);
  }
}

}  // namespace

template <>
void activation_elementwise<kDevice>(const ExecContext& ctx, const ActivationDesc& desc, const ActivationParams& params) {
  Call c = {desc, params, static_cast<float>(desc.softcap), (params.width + 3) / 4, 0, false};
  c.units = params.rows * c.per_row;
  if (c.units == 0) return;
  c.aligned = fours_are_aligned(params.x, desc.x_dtype, params.width) && fours_are_aligned(params.out, desc.out_dtype, params.width);
  const char* error = launch(activation, blocks_for((c.units + kThreads - 1) / kThreads), kThreads, 0, ctx.stream, c);
  if (error != nullptr) launch_failed("gpu.activation.elementwise", error);
}

}  // namespace attune::gpu
