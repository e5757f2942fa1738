// gpu.matmul.plain: products with weights of any type and scale, no tensor cores: a warp works on kColumns columns and up to 8 rows.
//
// Lane j of a warp takes elements [256·i + 8j, … + 8) of K for i = 0, 1, …: a dot product of eight in order, which an fma adds to the lane's sum
// (times the weights' block scale, where they have one); then a butterfly over the lanes. Every number of rows uses this order, so that a row's
// bits do not depend on M. Gated, half of a warp's columns are the factors of the other half. x is scaled (or quantised) as it goes to shared memory;
// weights go from memory to registers, each once a tile of rows.
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/math.h"
#include "kernels/gpu/matmul_plan.h"

namespace attune::gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kLanes;
constexpr int kColumns = 4;            // of a warp
constexpr int kEach = 8;               // elements of K that a lane takes at once
constexpr int kStep = kEach * kLanes;  // elements of K that a warp takes at once
constexpr int kPart = kMatmulPart;     // elements of K in shared memory
constexpr int kScaleBlock = 128;
static_assert(kPart % kStep == 0);
static_assert(kColumns * kMostMatmulRows <= kLanes, "a lane writes one output");

struct Call {
  MatmulDesc desc;
  MatmulParams params;
  int64_t row_tiles, tiles;
  int64_t scale_blocks;  // ⌈K / 128⌉
  bool aligned;          // rows of every segment start at multiples of 16 bytes
};

/// The segment and the row of a column; columns past the last are the last.
struct Column {
  int segment;
  int64_t row;
};
__device__ Column column_at(const Call& c, int64_t n) {
  if (n >= c.desc.n) n = c.desc.n - 1;
  int s = 0;
  while (s + 1 < c.desc.segments && n >= c.params.segments[s].rows) n -= c.params.segments[s++].rows;
  return {s, n};
}

// ---- x --------------------------------------------------------------------------------------------------------------------------------------

/// The scale of row `m` if x is quantised here. Every thread of a warp calls it.
__device__ float quantize_scale(const Call& c, int64_t m) {
  if (c.desc.quantize == Quantize::static_tensor) return c.params.x_scale[0];
  if (c.desc.quantize == Quantize::none) return 1;
  float peak = 0;
  if (m < c.params.m)
    for (int64_t k = thread_index() % kLanes; k < c.desc.k; k += kLanes)
      peak = larger(peak, fabsf(load_element(c.params.x, c.desc.x_dtype, m * c.params.x_stride + k)));
  peak = max_over(peak, kLanes);
  return peak > 0 ? peak / (c.desc.w_dtype == DType::f8_e4m3fnuz ? 240.0f : 448.0f) : 1.0f;
}

__device__ float rounded_to(DType t, float x) {
  switch (t) {
    case DType::f16: return to_float(to_f16(x));
    case DType::bf16: return to_float(to_bf16(x));
    case DType::f8_e4m3: return to_float(to_f8_e4m3(x));
    case DType::f8_e4m3fnuz: return to_float(to_f8_e4m3fnuz(x));
    default: return x;
  }
}

/// Element k of row m as the products see it.
__device__ float x_value(const Call& c, int64_t m, int64_t k, float scale) {
  const float x = load_element(c.params.x, c.desc.x_dtype, m * c.params.x_stride + k);
  if (c.desc.quantize != Quantize::none) return rounded_to(c.desc.w_dtype, x / scale) * scale;
  switch (c.desc.x_scale) {
    case Scales::tensor: return x * c.params.x_scale[0];
    case Scales::token: return x * c.params.x_scale[m];
    case Scales::block_1x128: return x * c.params.x_scale[m * c.scale_blocks + k / kScaleBlock];
    default: return x;
  }
}

/// Where element `k` of a step stands in shared memory: first the lanes' lower fours, then their upper ones, so that banks do not meet.
__device__ int place_in_step(int k) { return k / 4 % 2 * (kStep / 2) + k / kEach * 4 + k % 4; }

/// Elements [first, first + kPart) of the tile's rows into shared memory; zeros where there are none.
template <int Rows>
__device__ void load_x(const Call& c, int64_t m, int64_t first, const float* scales, float* x) {
  for (int i = thread_index(); i < Rows * kPart; i += kThreads) {
    const int row = i / kPart, k = i % kPart;
    const bool real = m + row < c.params.m && first + k < c.desc.k;
    x[row * kPart + k / kStep * kStep + place_in_step(k % kStep)] = real ? x_value(c, m + row, first + k, scales[row]) : 0.0f;
  }
}

// ---- weights --------------------------------------------------------------------------------------------------------------------------------

/// Elements [k, k + kEach) of a row of weights of which `left` exist.
template <class T>
__device__ void load_w(const T* row, int64_t k, int64_t left, bool aligned, float (&w)[kEach]) {
  constexpr int kVector = 16 / static_cast<int>(sizeof(T)) < kEach ? 16 / static_cast<int>(sizeof(T)) : kEach;
  if (aligned && left >= kEach) {
#pragma unroll
    for (int part = 0; part < kEach; part += kVector) {
      const auto v = *reinterpret_cast<const Packed<T, kVector>*>(row + k + part);
#pragma unroll
      for (int i = 0; i < kVector; ++i) w[part + i] = to_float(v.x[i]);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) w[i] = i < left ? to_float(row[k + i]) : 0.0f;
}

/// Outputs along N of a warp.
constexpr int outputs_of(const MatmulDesc& d) { return d.gated ? kColumns / 2 : kColumns; }

/// What a warp knows of its columns; gated: the upper half are those of `up`.
template <class T>
struct Columns {
  const T* w[kColumns];
  const float* block_scale[kColumns];  // of the row's block, if weights are scaled by blocks
};
template <class T>
__device__ Columns<T> columns_at(const Call& c, int64_t n) {
  Columns<T> columns;
  for (int i = 0; i < kColumns; ++i) {
    const int outputs = outputs_of(c.desc);
    const Column at = column_at(c, n + i % outputs);
    const auto& segment = c.params.segments[at.segment];
    const float* scale = i < outputs ? segment.scale : segment.up_scale;
    columns.w[i] = static_cast<const T*>(i < outputs ? segment.w : segment.up) + at.row * c.desc.k;
    columns.block_scale[i] = c.desc.w_scale == Scales::block_128x128 ? scale + at.row / kScaleBlock * c.scale_blocks : nullptr;
  }
  return columns;
}

/// Adds the products of one step: elements [k, k + kEach) of this lane.
template <class T, int Rows>
__device__ void multiply_step(const Call& c, const Columns<T>& columns, int64_t k, const float* x, float (&sums)[Rows][kColumns]) {
  const int64_t left = c.desc.k - k;
  if (left <= 0) return;
  float w[kColumns][kEach];
#pragma unroll
  for (int n = 0; n < kColumns; ++n) load_w(columns.w[n], k, left, c.aligned, w[n]);
  float factor[kColumns];
#pragma unroll
  for (int n = 0; n < kColumns; ++n) factor[n] = c.desc.w_scale == Scales::block_128x128 ? columns.block_scale[n][k / kScaleBlock] : 1.0f;
#pragma unroll
  for (int m = 0; m < Rows; ++m) {
    const auto low = *reinterpret_cast<const Packed<float, 4>*>(x + m * kPart),
               high = *reinterpret_cast<const Packed<float, 4>*>(x + m * kPart + kStep / 2);
#pragma unroll
    for (int n = 0; n < kColumns; ++n) {
      float dot = low.x[0] * w[n][0];
#pragma unroll
      for (int i = 1; i < kEach; ++i) dot = fma(i < 4 ? low.x[i % 4] : high.x[i % 4], w[n][i], dot);
      sums[m][n] = fma(dot, factor[n], sums[m][n]);
    }
  }
}

// ---- results --------------------------------------------------------------------------------------------------------------------------------

/// A sum with the scale and the bias of its row of weights.
__device__ float finished(const Call& c, int64_t row, const float* scale, const void* bias, float sum) {
  const MatmulDesc& d = c.desc;
  if (d.w_scale == Scales::tensor) sum = sum * scale[0];
  if (d.w_scale == Scales::channel) sum = sum * scale[row];
  return d.bias && bias != nullptr ? sum + load_element(bias, c.params.bias_dtype, row) : sum;
}

__device__ void write_output(const Call& c, int64_t m, int64_t n, float sum, float up) {
  const MatmulDesc& d = c.desc;
  const Column at = column_at(c, n);
  const auto& segment = c.params.segments[at.segment];
  sum = activate(d.activation, finished(c, at.row, segment.scale, segment.bias, sum));
  if (d.gated) sum = sum * finished(c, at.row, segment.up_scale, segment.up_bias, up);
  const int64_t to = m * c.params.out_stride + n;
  if (d.residual) sum = sum + c.params.residual[to];
  store_element(c.params.out, d.out_dtype, to, sum);
}

/// Adds over the lanes; lane m · kColumns + n writes output (m, n) of the warp, gated with the sum of the lane two further on.
template <int Rows>
__device__ void write_outputs(const Call& c, int64_t m, int64_t n, const float (&sums)[Rows][kColumns]) {
  const int lane = thread_index() % kLanes;
  float mine = 0;
#pragma unroll
  for (int i = 0; i < Rows * kColumns; ++i) {
    const float sum = sum_over(sums[i / kColumns][i % kColumns], kLanes);
    if (lane == i) mine = sum;
  }
  const float up = shuffle_xor(mine, kColumns / 2);
  if (lane < Rows * kColumns && lane % kColumns < outputs_of(c.desc) && m + lane / kColumns < c.params.m && n + lane % kColumns < c.desc.n)
    write_output(c, m + lane / kColumns, n + lane % kColumns, mine, up);
}

template <class T, int Rows>
__global__ void __launch_bounds__(kThreads) matmul(const Call c) {
  take_turn();
  float* x = reinterpret_cast<float*>(shared_memory());
  float* scales = x + Rows * kPart;
  const int lane = thread_index() % kLanes, warp = thread_index() / kLanes;
  for (int64_t tile = block_index(); tile < c.tiles; tile += block_count()) {
    const int64_t m = tile % c.row_tiles * Rows, n = (tile / c.row_tiles * kWarps + warp) * outputs_of(c.desc);
    const Columns<T> columns = columns_at<T>(c, n);
    float sums[Rows][kColumns] = {};
    block_sync();
    for (int row = warp; row < Rows; row += kWarps) {
      const float scale = quantize_scale(c, m + row);
      if (lane == 0) scales[row] = scale;
    }
    for (int64_t first = 0; first < c.desc.k; first += kPart) {
      block_sync();
      load_x<Rows>(c, m, first, scales, x);
      block_sync();
#pragma unroll 2
      for (int step = 0; step < kPart; step += kStep) multiply_step<T, Rows>(c, columns, first + step + lane * kEach, x + step + lane * 4, sums);
    }
    write_outputs<Rows>(c, m, n, sums);
  }
}

// ---- the host's side ------------------------------------------------------------------------------------------------------------------------

template <class T, int Rows>
void start(const ExecContext& ctx, Call& c) {
  c.row_tiles = (c.params.m + Rows - 1) / Rows;
  const int outputs = kWarps * outputs_of(c.desc);
  c.tiles = c.row_tiles * ((c.desc.n + outputs - 1) / outputs);
  const char* error = launch(matmul<T, Rows>, blocks_for(c.tiles), kThreads, matmul_tile_bytes(Rows), ctx.stream, c);
  if (error != nullptr) launch_failed("gpu.matmul.plain", error);
}

template <class T>
void start_rows(const ExecContext& ctx, Call& c) {
  switch (matmul_rows(c.params.m)) {
    case 1: return start<T, 1>(ctx, c);
    case 4: return start<T, 4>(ctx, c);
    default: return start<T, kMostMatmulRows>(ctx, c);
  }
}

bool rows_are_aligned(const MatmulDesc& d, const MatmulParams& p) {
  const size_t bytes = size_of(d.w_dtype), needed = 16 < kEach * bytes ? 16 : kEach * bytes;
  bool aligned = static_cast<size_t>(d.k) * bytes % needed == 0;
  for (int64_t s = 0; s < d.segments; ++s)
    for (const void* w : {p.segments[s].w, p.segments[s].up}) aligned = aligned && reinterpret_cast<uintptr_t>(w) % needed == 0;
  return aligned;
}

}  // namespace

template <>
void matmul_plain<kDevice>(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params) {
  if (params.m == 0) return;
  Call c = {desc, params, 0, 0, (desc.k + kScaleBlock - 1) / kScaleBlock, rows_are_aligned(desc, params)};
  switch (desc.w_dtype) {
    case DType::f16: start_rows<f16_t>(ctx, c); break;
    case DType::bf16: start_rows<bf16_t>(ctx, c); break;
    case DType::f8_e4m3: start_rows<f8_e4m3_t>(ctx, c); break;
    case DType::f8_e4m3fnuz: start_rows<f8_e4m3fnuz_t>(ctx, c); break;
    default: start_rows<float>(ctx, c); break;
  }
}

}  // namespace attune::gpu
