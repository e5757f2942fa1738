// out = x · wᵀ with weights row-major in place. Vectorised along K: every output has one accumulator vector that takes k in order, then one
// fixed horizontal tree, so its bits do not depend on M, on the tile it falls into, on threads or on segments.
#include "ops/matmul.h"

#include "kernels/cpu/activation_math.h"
#include "kernels/cpu/simd.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

constexpr int kColumnBlock = 48;   // columns a task; a multiple of every tile's columns
constexpr int kMaxRowBlock = 256;  // rows of x a task
constexpr int kFewRows = kRegisters == 32 ? 8 : 4;

/// How one step along K is loaded and multiplied: floats, or pairs of bf16 where both sides are bf16.
template <class X, class W>
struct Step {
  static constexpr int kElements = kWidth;
  template <class T>
  ATTUNE_INLINE static Vec get(const T* p) {
    return load(p);
  }
  template <class T>
  ATTUNE_INLINE static Vec get_tail(const T* p, int n) {
    return load_tail(p, n);
  }
  ATTUNE_INLINE static Vec add_product(Vec a, Vec b, Vec c) { return fma(a, b, c); }
};
template <>
struct Step<bf16_t, bf16_t> {
  static constexpr int kElements = 2 * kWidth;
  ATTUNE_INLINE static Pairs get(const bf16_t* p) { return load_pairs(p); }
  ATTUNE_INLINE static Pairs get_tail(const bf16_t* p, int n) { return load_pairs_tail(p, n); }
  ATTUNE_INLINE static Vec add_product(Pairs a, Pairs b, Vec c) { return dot(a, b, c); }
};

/// out[i] = sum(a[i]), the same bits however many there are.
template <int N>
ATTUNE_INLINE void horizontal(const Vec* a, float* out) {
  constexpr int kWhole = N / 16 * 16;
  for (int i = 0; i < kWhole; i += 16) sums16(a + i, out + i);
  if constexpr (N - kWhole > 2) {
    Vec rest[16];
    float sums[16];
    for (int i = 0; i < 16; ++i) rest[i] = a[kWhole + i % (N - kWhole)];
    sums16(rest, sums);
    for (int i = kWhole; i < N; ++i) out[i] = sums[i - kWhole];
  } else {
    for (int i = kWhole; i < N; ++i) out[i] = sum(a[i]);
  }
}

/// sums[r][c] = Σ_k x[r][k] · w[c][k] for R rows of x and C rows of w.
template <class X, class W, int R, int C, bool Ahead>
ATTUNE_INLINE void tile(const X* const* x, const W* const* w, int64_t k, float* sums) {
  using S = Step<X, W>;
  Vec acc[R * C];
  for (int i = 0; i < R * C; ++i) acc[i] = zero();
  int64_t i = 0;
  for (; i + S::kElements <= k; i += S::kElements) {
    decltype(S::get(*w)) b[C];
    for (int c = 0; c < C; ++c) {
      b[c] = S::get(w[c] + i);
      if constexpr (Ahead) prefetch(w[c] + i + C * k);  // the same place in the next tile's rows
    }
    for (int r = 0; r < R; ++r) {
      const auto a = S::get(x[r] + i);
      for (int c = 0; c < C; ++c) acc[r * C + c] = S::add_product(a, b[c], acc[r * C + c]);
    }
  }
  if (i < k) {
    const int n = static_cast<int>(k - i);
    for (int r = 0; r < R; ++r) {
      const auto a = S::get_tail(x[r] + i, n);
      for (int c = 0; c < C; ++c) acc[r * C + c] = S::add_product(a, S::get_tail(w[c] + i, n), acc[r * C + c]);
    }
  }
  horizontal<R * C>(acc, sums);
}

/// One call, with x as the kernel's own operand type.
template <class X>
struct Call {
  const MatmulDesc& d;
  const MatmulParams& p;
  const X* x;
  int64_t x_stride;
  int64_t n;

  /// Row `column` of the weights, over all segments.
  template <class W>
  ATTUNE_INLINE const W* weight_row(int64_t column) const {
    int s = 0;
    while (column >= p.segments[s].rows) column -= p.segments[s++].rows;
    return static_cast<const W*>(p.segments[s].w) + column * d.k;
  }
  ATTUNE_INLINE float bias(int64_t column) const {
    int s = 0;
    while (column >= p.segments[s].rows) column -= p.segments[s++].rows;
    const void* b = p.segments[s].bias;
    if (b == nullptr) return 0;
    if (p.bias_dtype == DType::bf16) return load_one(static_cast<const bf16_t*>(b) + column);
    if (p.bias_dtype == DType::f16) return load_one(static_cast<const f16_t*>(b) + column);
    return static_cast<const float*>(b)[column];
  }
};

/// Bias, activation and residual of `columns` ≤ kColumnBlock outputs of a row, rounded once into out.
template <class X, class Out>
ATTUNE_INLINE void finish_row(const Call<X>& call, int64_t row, int64_t column, int columns, const float* sums, const float* bias) {
  const int64_t at = row * call.p.out_stride + column;
  Out* out = static_cast<Out*>(call.p.out) + at;
  for (int i = 0; i < columns; i += kWidth) {
    const int n = columns - i < kWidth ? columns - i : kWidth;
    Vec v = load(sums + i);
    if (call.d.bias) v = v + load(bias + i);
    if (call.d.activation != Activation::none) v = activate(call.d.activation, v);
    if (call.d.residual) v = v + load_tail(call.p.residual + at + i, n);
    if (n == kWidth)
      store(out + i, v);
    else
      store_tail(out + i, v, n);
  }
}

template <class X>
void finish(const Call<X>& call, int64_t row, int rows, int64_t column, int columns, const float* sums) {
  alignas(64) float bias[kColumnBlock];
  for (int c = 0; c < kColumnBlock; ++c) bias[c] = call.d.bias && c < columns ? call.bias(column + c) : 0;
  with_wide_type(call.d.out_dtype, [&](auto type) {
    using Out = typename decltype(type)::Of;
    for (int r = 0; r < rows; ++r) finish_row<X, Out>(call, row + r, column, columns, sums + r * kColumnBlock, bias);
  });
}

/// R ≤ kFewRows rows of x against columns [first, last): the weights stream through once.
template <class X, class W, int R, int C>
void few_rows(const Call<X>& call, int64_t first, int64_t last) {
  const X* x[R];
  for (int r = 0; r < R; ++r) x[r] = call.x + r * call.x_stride;
  alignas(64) float sums[R * kColumnBlock];
  for (int64_t column = first; column < last; column += kColumnBlock) {
    const int columns = static_cast<int>(last - column < kColumnBlock ? last - column : kColumnBlock);
    for (int c = 0; c < columns; c += C) {
      const W* w[C];
      for (int j = 0; j < C; ++j) w[j] = call.template weight_row<W>(column + (c + j < columns ? c + j : columns - 1));
      float part[R * C];
      tile<X, W, R, C, true>(x, w, call.d.k, part);
      for (int r = 0; r < R; ++r)
        for (int j = 0; j < C; ++j) sums[r * kColumnBlock + c + j] = part[r * C + j];
    }
    finish(call, 0, R, column, columns, sums);
  }
}

/// Columns a tile of few_rows takes, so that its accumulators stay in registers; each divides kColumnBlock.
constexpr int few_columns(int rows) {
  if (kRegisters == 32) return rows <= 3 ? 8 : rows == 4 ? 6 : rows <= 6 ? 4 : 3;
  return rows == 1 ? 8 : rows == 2 ? 4 : rows == 3 ? 4 : 3;
}

template <class X, class W>
void few_rows(const Call<X>& call, int64_t first, int64_t last) {
  switch (call.p.m) {
    case 1: return few_rows<X, W, 1, few_columns(1)>(call, first, last);
    case 2: return few_rows<X, W, 2, few_columns(2)>(call, first, last);
    case 3: return few_rows<X, W, 3, few_columns(3)>(call, first, last);
    case 4: return few_rows<X, W, 4, few_columns(4)>(call, first, last);
    default: break;
  }
  if constexpr (kFewRows == 8) {
    switch (call.p.m) {
      case 5: return few_rows<X, W, 5, few_columns(5)>(call, first, last);
      case 6: return few_rows<X, W, 6, few_columns(6)>(call, first, last);
      case 7: return few_rows<X, W, 7, few_columns(7)>(call, first, last);
      default: return few_rows<X, W, 8, few_columns(8)>(call, first, last);
    }
  }
}

/// Tile of many_rows: R rows of x by C of w.
constexpr int kTileRows = kRegisters == 32 ? 4 : 3;
constexpr int kTileColumns = kRegisters == 32 ? 6 : 4;

/// A block of rows of x (in the second-level cache) against a block of columns: each tile's rows of w stay in the first-level cache meanwhile.
template <class X, class W>
void many_rows(const Call<X>& call, int64_t row, int rows, int64_t column, int columns) {
  constexpr int R = kTileRows, C = kTileColumns;
  alignas(64) float sums[kMaxRowBlock * kColumnBlock];
  for (int c = 0; c < columns; c += C) {
    const W* w[C];
    for (int j = 0; j < C; ++j) w[j] = call.template weight_row<W>(column + (c + j < columns ? c + j : columns - 1));
    for (int r = 0; r < rows; r += R) {
      const X* x[R];
      for (int j = 0; j < R; ++j) x[j] = call.x + (row + (r + j < rows ? r + j : rows - 1)) * call.x_stride;
      float part[R * C];
      tile<X, W, R, C, false>(x, w, call.d.k, part);
      for (int j = 0; j < R && r + j < rows; ++j)
        for (int i = 0; i < C; ++i) sums[(r + j) * kColumnBlock + c + i] = part[j * C + i];
    }
  }
  finish(call, row, rows, column, columns, sums);
}

template <class X, class W>
void launch(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p, const X* x, int64_t x_stride) {
  int64_t n = 0;
  for (int s = 0; s < d.segments; ++s) n += p.segments[s].rows;
  const Call<X> call{d, p, x, x_stride, n};
  if (p.m <= kFewRows) {
    parallel_ranges(ctx, (n + kColumnBlock - 1) / kColumnBlock, kColumnBlock * d.k, [&](int64_t first, int64_t last, int) {
      const int64_t end = last * kColumnBlock < n ? last * kColumnBlock : n;
      few_rows<X, W>(call, first * kColumnBlock, end);
    });
    return;
  }
  // Rows of x that fill half of a 1 MiB cache, in whole tiles.
  int64_t block = (512 << 10) / (d.k * static_cast<int64_t>(sizeof(X))) / kTileRows * kTileRows;
  block = block > kMaxRowBlock ? kMaxRowBlock : block < 4 * kTileRows ? 4 * kTileRows : block;
  const int64_t row_blocks = (p.m + block - 1) / block, column_blocks = (n + kColumnBlock - 1) / kColumnBlock;
  parallel(ctx, row_blocks * column_blocks, [&](int64_t task, int) {
    const int64_t row = task / column_blocks * block, column = task % column_blocks * kColumnBlock;
    const int rows = static_cast<int>(p.m - row < block ? p.m - row : block);
    many_rows<X, W>(call, row, rows, column, static_cast<int>(n - column < kColumnBlock ? n - column : kColumnBlock));
  });
}

/// x as floats in the workspace: exact.
template <class X>
void widen(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  float* out = static_cast<float*>(ctx.workspace.data);
  parallel_ranges(ctx, p.m, d.k, [&](int64_t first, int64_t last, int) {
    for (int64_t r = first; r < last; ++r) {
      const X* x = static_cast<const X*>(p.x) + r * p.x_stride;
      int64_t i = 0;
      for (; i + kWidth <= d.k; i += kWidth) store(out + r * d.k + i, load(x + i));
      for (; i < d.k; ++i) out[r * d.k + i] = load_one(x + i);
    }
  });
}

constexpr bool by_pairs(const MatmulDesc& d) { return d.x_dtype == DType::bf16 && d.w_dtype == DType::bf16; }

}  // namespace

int64_t matmul_workspace(const MatmulDesc& d, const Limits& limits) {
  return by_pairs(d) || d.x_dtype == DType::f32 ? 0 : limits.tokens * d.k * static_cast<int64_t>(sizeof(float));
}

void matmul(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  if (p.m <= 0) return;
  if (by_pairs(d)) return launch<bf16_t, bf16_t>(ctx, d, p, static_cast<const bf16_t*>(p.x), p.x_stride);
  const float* x = static_cast<const float*>(p.x);
  int64_t x_stride = p.x_stride;
  if (d.x_dtype != DType::f32) {
    d.x_dtype == DType::bf16 ? widen<bf16_t>(ctx, d, p) : widen<f16_t>(ctx, d, p);
    x = static_cast<const float*>(ctx.workspace.data), x_stride = d.k;
  }
  if (d.w_dtype == DType::bf16) return launch<float, bf16_t>(ctx, d, p, x, x_stride);
  if (d.w_dtype == DType::f16) return launch<float, f16_t>(ctx, d, p, x, x_stride);
  launch<float, float>(ctx, d, p, x, x_stride);
}

}  // namespace attune::cpu::ATTUNE_ISA
