// gpu.norm.rows: RMS norm, a group of threads a row.
//
// A thread holds elements 4·(thread + i·threads) … + 3 and adds their squares in order; then a butterfly over 32 threads, then the sums of 32 in
// order. The number of threads depends on the width alone, so a row's bits do not depend on its neighbours. Weights are read before the
// predecessor in the stream has finished. Of many rows a block takes one after the other and loads the next while it finishes one.
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/norm_math.h"

namespace attune::gpu {
namespace {

constexpr int kLeastThreads = 128;  // of a block
constexpr int kMostHeld = 8;        // vectors of four that a thread keeps in registers

/// Whether a thread has registers for the next row beside the one that it finishes.
constexpr bool loads_ahead(int held) { return held <= 4; }
/// Blocks of kMostNormThreads for which a multiprocessor has registers.
constexpr int blocks_beside(int64_t held) { return held <= 2 ? 2 : 1; }

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
  const int64_t group = quotient(index, c.params.rows), row = index - group * c.params.rows;
  return {group * c.params.x_group_stride + row * c.desc.hidden, group * c.params.out_group_stride + row * c.desc.hidden};
}

/// The sum of a row's squares, in each of its threads. Every thread of the block calls it, once between two barriers.
__device__ float row_sum(const Call& c, float squares) {
  float* sums = reinterpret_cast<float*>(shared_memory());
  squares = sum_over(squares, kLanes);
  if (c.width == kLanes) return squares;
  if (thread_index() % kLanes == 0) sums[thread_index() / kLanes] = squares;
  block_sync();
  float total = 0;
  for (int i = 0; i < c.width / kLanes; ++i) total = total + sums[i];
  return total;
}

/// Writes (or adds to the residual) elements [i, i + 4) of a row that goes to `to`.
template <class X, class Out>
__device__ void write_four(const Call& c, int64_t to, int64_t i, const Packed<X, 4>& x, const Four& w, float scale, bool aligned) {
  const int64_t left = c.desc.hidden - i;
  float y[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) y[j] = normed(to_float(x.x[j]), scale, w.x[j], c.desc.unit_offset);
  if (!c.desc.residual) return store_raw(static_cast<Out*>(c.params.out) + to + i, left, aligned, rounded<Out>(y));
  float* residual = c.params.residual + to + i;
  Packed<float, 4> sum = load_raw(residual, left, aligned);
#pragma unroll
  for (int j = 0; j < 4; ++j) sum.x[j] = sum.x[j] + y[j];
  store_raw(residual, left, aligned, sum);
}

template <class X>
__device__ float with_squares(const Packed<X, 4>& x, float squares) {
#pragma unroll
  for (int j = 0; j < 4; ++j) squares = fma(to_float(x.x[j]), to_float(x.x[j]), squares);
  return squares;
}

/// A thread's weights, the same for every row.
template <class W, int kHeld>
__device__ void load_weights(const Call& c, int lane, Four (&weights)[kHeld]) {
#pragma unroll
  for (int n = 0; n < kHeld; ++n)
    if (const int i = 4 * (lane + n * c.width); i < c.desc.hidden) weights[n] = load_packed<W>(c.params.w, i);
}

/// A thread's row: where it stands, or that there is none.
struct Turn {
  Row row;
  bool live;
};
__device__ Turn turn_of(const Call& c, int64_t first) {
  const int64_t index = first + thread_index() / c.width;
  const bool live = index < c.rows;
  return {row_at(c, live ? index : 0), live};
}

/// Rows whose fours are aligned and no more than a thread holds: x and w are read once, w before it is this launch's turn.
template <class X, class Out, int kHeld>
__global__ void __launch_bounds__(kMostNormThreads, blocks_beside(kHeld)) norm_held(const Call c) {
  let_next_start();
  const int lane = thread_index() % c.width, step = 4 * c.width, hidden = static_cast<int>(c.desc.hidden);
  Four weights[kHeld] = {};
  switch (c.desc.w_dtype) {
    case DType::bf16: load_weights<bf16_t>(c, lane, weights); break;
    case DType::f16: load_weights<f16_t>(c, lane, weights); break;
    default: load_weights<float>(c, lane, weights); break;
  }
  // A round loads a row and finishes the one before. The first is a rehearsal without rows: it fetches the code while the predecessor works. The
  // second has nothing to finish.
  Packed<X, 4> held[kHeld] = {};
  const int64_t stride = block_count() * c.rows_a_block;
  int64_t next = block_index() * c.rows_a_block, to = 0;  // next: the row after the one that `turn` is
  Turn turn = {};
  bool live = false;
#pragma unroll 1
  for (int round = 0;; ++round) {
    Packed<X, 4> coming[kHeld] = {};
    const auto load = [&](Packed<X, 4>(&x)[kHeld]) {
      const int loaded = turn.live ? hidden : 0;
#pragma unroll
      for (int n = 0; n < kHeld; ++n)
        if (const int i = 4 * lane + n * step; i < loaded) x[n] = load_raw(static_cast<const X*>(c.params.x) + turn.row.from + i, 4, true);
    };
    if constexpr (loads_ahead(kHeld)) load(coming);
    if (round != 1) {
      float squares = 0;
#pragma unroll
      for (int n = 0; n < kHeld; ++n) squares = with_squares(held[n], squares);
      const float scale = inverse_rms(row_sum(c, squares), c.desc.hidden, c.params.eps);
      const int finished = live ? hidden : 0;
#pragma unroll
      for (int n = 0; n < kHeld; ++n)
        if (4 * lane + n * step < finished) write_four<X, Out>(c, to, 4 * lane + n * step, held[n], weights[n], scale, true);
      if (next - stride >= c.rows) return;
      block_sync();
    }
    if (round == 0) take_turn();
    if constexpr (!loads_ahead(kHeld)) load(coming);
    live = turn.live, to = turn.row.to;
    turn = turn_of(c, next);
    next += stride;
#pragma unroll
    for (int n = 0; n < kHeld; ++n) held[n] = coming[n];
  }
}

template <class W>
__device__ Four as_floats(const Packed<W, 4>& w) {
  return {{to_float(w.x[0]), to_float(w.x[1]), to_float(w.x[2]), to_float(w.x[3])}};
}

/// Any rows: x is read twice.
template <class X, class W, class Out>
__global__ void __launch_bounds__(kMostNormThreads) norm_any(const Call c) {
  take_turn();
  const int lane = thread_index() % c.width, step = 4 * c.width;
  const W* w = static_cast<const W*>(c.params.w);
  for (int64_t first = block_index() * c.rows_a_block; first < c.rows; first += block_count() * c.rows_a_block) {
    const int64_t index = first + thread_index() / c.width, hidden = index < c.rows ? c.desc.hidden : 0;
    const Row row = row_at(c, hidden > 0 ? index : 0);
    const X* x = static_cast<const X*>(c.params.x) + row.from;
    float squares = 0;
#pragma unroll 1
    for (int64_t i = 4 * lane; i < hidden; i += step) squares = with_squares(load_raw(x + i, hidden - i, c.aligned), squares);
    const float scale = inverse_rms(row_sum(c, squares), c.desc.hidden, c.params.eps);
#pragma unroll 1
    for (int64_t i = 4 * lane; i < hidden; i += step)
      write_four<X, Out>(c, row.to, i, load_raw(x + i, hidden - i, c.aligned), as_floats(load_raw(w + i, hidden - i, c.aligned)), scale, c.aligned);
    block_sync();
  }
}

template <class X, class W, class Out>
const char* start(const ExecContext& ctx, const Call& c, int64_t units, int threads) {
  constexpr int64_t shared = kMostNormThreads / kLanes * static_cast<int64_t>(sizeof(float));  // whole: sums are read several at once
  const int64_t vectors = (c.desc.hidden + 4 * c.width - 1) / (4 * c.width);
  auto* kernel = norm_any<X, W, Out>;
  if (c.aligned && vectors <= kMostHeld)
    kernel = vectors <= 2 ? norm_held<X, Out, 2> : vectors <= 4 ? norm_held<X, Out, 4> : norm_held<X, Out, kMostHeld>;
  return launch(kernel, blocks_at_work(units, blocks_beside(vectors) * kMostNormThreads / threads), threads, shared, ctx.stream, c);
}

bool all_aligned(const NormDesc& d, const NormParams& p) {
  const bool out =
      d.residual ? fours_are_aligned(p.residual, DType::f32, p.out_group_stride) : fours_are_aligned(p.out, d.out_dtype, p.out_group_stride);
  return out && fours_are_aligned(p.x, d.x_dtype, p.x_group_stride) && fours_are_aligned(p.w, d.w_dtype, d.hidden);
}

}  // namespace

template <>
void norm_rows<kDevice>(const ExecContext& ctx, const NormDesc& desc, const NormParams& params) {
  Call c = {desc, params, params.groups * params.rows, norm_threads(desc.hidden), 1, all_aligned(desc, params)};
  if (c.rows == 0) return;
  int threads = c.width;
  if (c.width == kLanes) threads = kLeastThreads, c.rows_a_block = kLeastThreads / kLanes;
  const int64_t units = (c.rows + c.rows_a_block - 1) / c.rows_a_block;
  with_wide_type(desc.x_dtype, [&](auto x) {
    with_wide_type(desc.w_dtype, [&](auto w) {
      with_wide_type(desc.out_dtype, [&](auto out) {
        const char* error = start<decltype(x), decltype(w), decltype(out)>(ctx, c, units, threads);
        if (error != nullptr) launch_failed("gpu.norm.rows", error);
      });
    });
  });
}

}  // namespace attune::gpu
