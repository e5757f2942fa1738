// gpu.norm.rows: RMS norm, a group of threads a row.
//
// A thread holds elements 4·(thread + i·threads) … + 3 and adds their squares in order; then a butterfly over 32 threads, then the sums of 32 in
// order. The number of threads depends on the width alone, so a row's bits do not depend on its neighbours.
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"

namespace attune::gpu {
namespace {

constexpr int kLeastThreads = 128;  // of a block
constexpr int kMostThreads = 1024;
constexpr int kHeld = 4;  // vectors of four that a thread keeps in registers

struct Call {
  NormDesc desc;
  NormParams params;
  int64_t rows;      // of all groups
  int width;         // threads of a row
  int rows_a_block;  // 1 where a row has more than kLanes threads
  bool aligned;      // x, w and the output are aligned to four elements
};

/// Where one row stands.
struct Row {
  int64_t from, to;
};

__device__ Row row_at(const Call& c, int64_t index) {
  const int64_t group = index / c.params.rows, row = index - group * c.params.rows;
  return {group * c.params.x_group_stride + row * c.desc.hidden, group * c.params.out_group_stride + row * c.desc.hidden};
}

__device__ Four x_at(const Call& c, const Row& row, int64_t i) {
  return load_four(c.params.x, c.desc.x_dtype, row.from + i, c.desc.hidden - i, c.aligned);
}

/// The sum of a row's squares, in each of its threads. Every thread of the block calls it.
__device__ float row_sum(const Call& c, float squares) {
  float* sums = reinterpret_cast<float*>(shared_memory());
  squares = sum_over(squares, kLanes);
  if (c.width == kLanes) return squares;
  if (thread_index() % kLanes == 0) sums[thread_index() / kLanes] = squares;
  block_sync();
  float total = 0;
  for (int i = 0; i < c.width / kLanes; ++i) total = total + sums[i];
  block_sync();
  return total;
}

__device__ void write_four(const Call& c, const Row& row, int64_t i, const Four& x, float scale) {
  const int64_t left = c.desc.hidden - i;
  const Four w = load_four(c.params.w, c.desc.w_dtype, i, left, c.aligned);
  Four y;
  for (int j = 0; j < 4; ++j) y.x[j] = x.x[j] * scale * (c.desc.unit_offset ? 1.0f + w.x[j] : w.x[j]);
  if (!c.desc.residual) return store_four(c.params.out, c.desc.out_dtype, row.to + i, left, c.aligned, y);
  Four r = load_four(c.params.residual, DType::f32, row.to + i, left, c.aligned);
  for (int j = 0; j < 4; ++j) r.x[j] = r.x[j] + y.x[j];
  store_four(c.params.residual, DType::f32, row.to + i, left, c.aligned, r);
}

__global__ void __launch_bounds__(kMostThreads) norm(const Call c) {
  const int lane = thread_index() % c.width, step = 4 * c.width;
  for (int64_t first = block_index() * c.rows_a_block; first < c.rows; first += block_count() * c.rows_a_block) {
    const int64_t index = first + thread_index() / c.width;
    const bool live = index < c.rows;
    const Row row = row_at(c, live ? index : 0);
    const int64_t hidden = live ? c.desc.hidden : 0;
    Four held[kHeld] = {};
    float squares = 0;
#pragma unroll
    for (int n = 0; n < kHeld; ++n)
      if (4 * lane + n * step < hidden) held[n] = x_at(c, row, 4 * lane + n * step);
#pragma unroll
    for (int n = 0; n < kHeld; ++n)
      for (int j = 0; j < 4; ++j) squares = fma(held[n].x[j], held[n].x[j], squares);
    for (int64_t i = 4 * lane + int64_t{kHeld} * step; i < hidden; i += step) {
      const Four x = x_at(c, row, i);
      for (int j = 0; j < 4; ++j) squares = fma(x.x[j], x.x[j], squares);
    }
    const float scale = 1.0f / sqrtf(row_sum(c, squares) / static_cast<float>(c.desc.hidden) + c.params.eps);
#pragma unroll
    for (int n = 0; n < kHeld; ++n)
      if (4 * lane + n * step < hidden) write_four(c, row, 4 * lane + n * step, held[n], scale);
    for (int64_t i = 4 * lane + int64_t{kHeld} * step; i < hidden; i += step) write_four(c, row, i, x_at(c, row, i), scale);
  }
}

/// A thread for each four elements, at least one warp and at most a block.
int threads_of_row(int64_t hidden) {
  int threads = kLanes;
  while (threads < kMostThreads && 4 * threads < hidden) threads *= 2;
  return threads;
}

bool all_aligned(const NormDesc& d, const NormParams& p) {
  const bool out =
      d.residual ? fours_are_aligned(p.residual, DType::f32, p.out_group_stride) : fours_are_aligned(p.out, d.out_dtype, p.out_group_stride);
  return out && fours_are_aligned(p.x, d.x_dtype, p.x_group_stride) && fours_are_aligned(p.w, d.w_dtype, d.hidden);
}

}  // namespace

template <>
void norm_rows<kDevice>(const ExecContext& ctx, const NormDesc& desc, const NormParams& params) {
  Call c = {desc, params, params.groups * params.rows, threads_of_row(desc.hidden), 1, all_aligned(desc, params)};
  if (c.rows == 0) return;
  int threads = c.width;
  if (c.width == kLanes) threads = kLeastThreads, c.rows_a_block = kLeastThreads / kLanes;
  const int64_t units = (c.rows + c.rows_a_block - 1) / c.rows_a_block;
  const char* error = launch(norm, blocks_for(units), threads, threads / kLanes * static_cast<int64_t>(sizeof(float)), ctx.stream, c);
  if (error != nullptr) launch_failed("gpu.norm.rows", error);
}

}  // namespace attune::gpu
