// gpu.norm.rows: RMS norm, a group of threads a row.
//
// A thread holds elements 4·(thread + i·threads) … + 3 and adds their squares in order; then a butterfly over 32 threads, then the sums of 32 in
// order. The number of threads depends on the width alone, so a row's bits do not depend on its neighbours. Weights are read before the
// predecessor in the stream has finished. Of many rows a block takes one after the other and loads the next while it finishes one.
//
// The ladder, µs for 2,048 rows of 4,096 (50 MB) on an H200:
//   a block a row, which first rehearses                       34.0
//   blocks that go from row to row and load ahead              20.9   instructions are the limit: every thread works out where rows stand
//   256 threads, each playing two of the order's               18.7   few rows keep 512 threads: 2.4 µs for 32 rows in place of 2.7
//   L1 whole, for what is in flight (portable.h)               16.0   3.15 TB/s
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/norm_math.h"

namespace attune::gpu {
namespace {

constexpr int kLeastThreads = 128;     // of a block
constexpr int64_t kFewRows = 2 * 132;  // a block each, all at once

/// How a thread holds its part of a row, in vectors of four, and how many threads of the order of sums it plays.
struct Hold {
  int vectors, played;
  bool ahead;        // the next row too
  int most, beside;  // threads of a block, at most; blocks of so many on a multiprocessor
};
constexpr Hold kHolds[] = {{2, 1, true, 256, 4},
                           {2, 1, false, kMostNormThreads, 2},
                           {4, 2, true, 256, 3},
                           {4, 1, true, kMostNormThreads, 1},
                           {8, 1, false, kMostNormThreads, 1}};
/// The one for rows of which each of the order's threads has so many vectors; −1: none. Few rows, which leave multiprocessors idle, want threads.
constexpr int hold_of(int threads, int64_t vectors, int64_t rows) {
  if (threads < kMostNormThreads) return 0;
  if (vectors <= 2) return rows <= kFewRows ? 1 : 2;
  return vectors <= 4 ? 3 : vectors <= 8 ? 4 : -1;
}

struct Call {
  NormDesc desc;
  NormParams params;
  int64_t rows;      // of all groups
  int width;         // threads of a row, in the order of sums
  int rows_a_block;  // 1 where a row has more than kLanes threads
  bool aligned;      // x, w and the output are aligned to four elements
};

/// Where one row stands.
struct Row {
  int64_t from, to;
};

__device__ Row row_at(const Call& c, int64_t index) {
  const int64_t group = c.params.rows == 1 ? index : quotient(index, c.params.rows), row = index - group * c.params.rows;
  return {group * c.params.x_group_stride + row * c.desc.hidden, group * c.params.out_group_stride + row * c.desc.hidden};
}

/// The sum of a row's squares, in each of its threads. Every thread of the block calls it, once between two barriers.
template <int kPlayed>
__device__ float row_sum(const Call& c, float (&squares)[kPlayed]) {
  float* sums = reinterpret_cast<float*>(shared_memory());
#pragma unroll
  for (float& part : squares) part = sum_over(part, kLanes);
  if (c.width == kLanes) return squares[0];
  if (thread_index() % kLanes == 0) {
#pragma unroll
    for (int p = 0; p < kPlayed; ++p) sums[(thread_index() + p * (c.width / kPlayed)) / kLanes] = squares[p];
  }
  block_sync();
  float total = 0;
  for (int i = 0; i < c.width / kLanes; ++i) total = total + sums[i];
  return total;
}

/// What normed elements are multiplied by.
__device__ Four factors_of(const Call& c, Four w) {
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (c.desc.unit_offset) w.x[j] = 1.0f + w.x[j];
  return w;
}

/// Writes (or adds to the residual) elements [i, i + 4) of a row that goes to `to`.
template <class X, class Out>
__device__ void write_four(const Call& c, int64_t to, int64_t i, const Packed<X, 4>& x, const Four& factors, float scale, bool aligned) {
  const int64_t left = c.desc.hidden - i;
  float y[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) y[j] = normed(to_float(x.x[j]), scale, factors.x[j], false);
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

/// A thread's row: where it stands, or that there is none.
struct Turn {
  Row row;
  bool live;
};
__device__ Turn turn_of(const Call& c, int64_t first, int threads) {
  const int64_t index = first + thread_index() / threads;
  const bool live = index < c.rows;
  return {row_at(c, live ? index : 0), live};
}

/// Rows whose fours are aligned and no more than the threads hold: x and w are read once, w before it is this launch's turn.
template <class X, class Out, int kIndex>
__global__ void __launch_bounds__(kHolds[kIndex].most, kHolds[kIndex].beside) norm_held(const Call c) {
  let_next_start();
  constexpr Hold kHold = kHolds[kIndex];
  constexpr int kHeld = kHold.vectors, kPlayed = kHold.played;
  const int threads = c.width / kPlayed, hidden = static_cast<int>(c.desc.hidden);
  const int at = 4 * (thread_index() % threads), step = 4 * threads;
  Four factors[kHeld] = {};
#pragma unroll
  for (int n = 0; n < kHeld; ++n)
    if (at + n * step < hidden) factors[n] = factors_of(c, load_four(c.params.w, c.desc.w_dtype, at + n * step));
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
    const auto load = [&] {
      const X* x = static_cast<const X*>(c.params.x) + turn.row.from;
      const int loaded = turn.live ? hidden : 0;
#pragma unroll
      for (int n = 0; n < kHeld; ++n)
        if (at + n * step < loaded) coming[n] = load_raw(x + at + n * step, 4, true);
    };
    if constexpr (kHold.ahead) load();
    if (round != 1) {
      float squares[kPlayed] = {};
#pragma unroll
      for (int n = 0; n < kHeld; ++n) squares[n % kPlayed] = with_squares(held[n], squares[n % kPlayed]);
      const float scale = inverse_rms(row_sum(c, squares), c.desc.hidden, c.params.eps);
      const int finished = live ? hidden : 0;
#pragma unroll
      for (int n = 0; n < kHeld; ++n)
        if (at + n * step < finished) write_four<X, Out>(c, to, at + n * step, held[n], factors[n], scale, true);
      if (next - stride >= c.rows) return;
      block_sync();
    }
    if constexpr (!kHold.ahead) load();
    live = turn.live, to = turn.row.to;
    turn = turn_of(c, next, threads);
    next += stride;
#pragma unroll
    for (int n = 0; n < kHeld; ++n) held[n] = coming[n];
    if (round == 0) take_turn();
  }
}

/// Any rows: x is read twice.
template <class X, class Out>
__global__ void __launch_bounds__(kMostNormThreads) norm_any(const Call c) {
  take_turn();
  const int lane = thread_index() % c.width, step = 4 * c.width;
  for (int64_t first = block_index() * c.rows_a_block; first < c.rows; first += block_count() * c.rows_a_block) {
    const Turn turn = turn_of(c, first, c.width);
    const int64_t hidden = turn.live ? c.desc.hidden : 0;
    const X* x = static_cast<const X*>(c.params.x) + turn.row.from;
    float squares[1] = {};
#pragma unroll 1
    for (int64_t i = 4 * lane; i < hidden; i += step) squares[0] = with_squares(load_raw(x + i, hidden - i, c.aligned), squares[0]);
    const float scale = inverse_rms(row_sum(c, squares), c.desc.hidden, c.params.eps);
#pragma unroll 1
    for (int64_t i = 4 * lane; i < hidden; i += step) {
      const Four factors = factors_of(c, load_four(c.params.w, c.desc.w_dtype, i, hidden - i, c.aligned));
      write_four<X, Out>(c, turn.row.to, i, load_raw(x + i, hidden - i, c.aligned), factors, scale, c.aligned);
    }
    block_sync();
  }
}

/// f16 rows, which no model norms, go the way of any rows: converting what is held takes more registers than there are.
template <class X>
inline constexpr bool kCanHold = !std::is_same_v<X, f16_t>;

template <class X, class Out>
void (*kernel_of(int hold))(Call) {
  if constexpr (kCanHold<X>) switch (hold) {
      case 0: return norm_held<X, Out, 0>;
      case 1: return norm_held<X, Out, 1>;
      case 2: return norm_held<X, Out, 2>;
      case 3: return norm_held<X, Out, 3>;
      case 4: return norm_held<X, Out, 4>;
      default: break;
    }
  return norm_any<X, Out>;
}

template <class X, class Out>
const char* start(const ExecContext& ctx, Call c) {
  const int index = c.aligned && kCanHold<X> ? hold_of(c.width, (c.desc.hidden + 4 * c.width - 1) / (4 * c.width), c.rows) : -1;
  const Hold hold = index < 0 ? Hold{0, 1, false, kMostNormThreads, 2} : kHolds[index];
  int threads = c.width / hold.played;
  if (threads == kLanes) threads = kLeastThreads, c.rows_a_block = kLeastThreads / kLanes;
  const int64_t units = (c.rows + c.rows_a_block - 1) / c.rows_a_block;
  return launch(kernel_of<X, Out>(index), blocks_at_work(units, hold.beside * hold.most / threads), threads, norm_shared_memory(c.desc), ctx.stream,
                c);
}

bool all_aligned(const NormDesc& d, const NormParams& p) {
  const bool out =
      d.residual ? fours_are_aligned(p.residual, DType::f32, p.out_group_stride) : fours_are_aligned(p.out, d.out_dtype, p.out_group_stride);
  return out && fours_are_aligned(p.x, d.x_dtype, p.x_group_stride) && fours_are_aligned(p.w, d.w_dtype, d.hidden);
}

}  // namespace

template <>
void norm_rows<kDevice>(const ExecContext& ctx, const NormDesc& desc, const NormParams& params) {
  const Call c = {desc, params, params.groups * params.rows, norm_threads(desc.hidden), 1, all_aligned(desc, params)};
  if (c.rows == 0) return;
  with_wide_type(desc.x_dtype, [&](auto x) {
    with_wide_type(desc.out_dtype, [&](auto out) {
      const char* error = start<decltype(x), decltype(out)>(ctx, c);
      if (error != nullptr) launch_failed("gpu.norm.rows", error);
    });
  });
}

}  // namespace attune::gpu
