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
  if constexpr (N >= 16) {
    sums16(a, out);
    horizontal<N - 16>(a + 16, out + 16);
  } else if constexpr (N > 8) {
    Vec rest[16];
    float sums[16];
    for (int i = 0; i < 16; ++i) rest[i] = a[i < N ? i : N - 1];
    sums16(rest, sums);
    for (int i = 0; i < N; ++i) out[i] = sums[i];
  } else if constexpr (N > 2) {
    Vec rest[8];
    float sums[8];
    for (int i = 0; i < 8; ++i) rest[i] = a[i < N ? i : N - 1];
    sums8(rest, sums);
    for (int i = 0; i < N; ++i) out[i] = sums[i];
  } else {
    for (int i = 0; i < N; ++i) out[i] = sum(a[i]);
  }
}

/// sums[r][c] = Σ_k x[r][k] · w[c][k] for a packed tile of R rows of x and C rows of w. Meanwhile the bytes from `ahead` on, as many as the tile
/// reads of w, are fetched in the order of their addresses, which is how memory gives them fastest.
template <class X, class W, int R, int C, bool Ahead>
ATTUNE_INLINE void tile(const X* x, const W* const* w, int64_t k, float* sums, const char* ahead) {
  using S = Step<X, W>;
  constexpr int kLines = (C * S::kElements * static_cast<int>(sizeof(W)) + 63) / 64;
  Vec acc[R * C];
  for (int i = 0; i < R * C; ++i) acc[i] = zero();
  int64_t i = 0;
  for (; i + S::kElements <= k; i += S::kElements, x += R * S::kElements) {
    if constexpr (Ahead) {
      for (int line = 0; line < kLines; ++line) __builtin_prefetch(ahead + 64 * line, 0, R <= 2 ? 3 : 2);  // more rows of x fill the first level
      ahead += 64 * kLines;
    }
    decltype(S::get(*w)) b[C];
    for (int c = 0; c < C; ++c) b[c] = S::get(w[c] + i);
    for (int r = 0; r < R; ++r) {
      const auto a = S::get(x + r * S::kElements);
      for (int c = 0; c < C; ++c) acc[r * C + c] = S::add_product(a, b[c], acc[r * C + c]);
    }
  }
  if (i < k) {
    for (int r = 0; r < R; ++r) {
      const auto a = S::get(x + r * S::kElements);  // packed with zeros behind k
      for (int c = 0; c < C; ++c) acc[r * C + c] = S::add_product(a, S::get_tail(w[c] + i, static_cast<int>(k - i)), acc[r * C + c]);
    }
  }
  horizontal<R * C>(acc, sums);
}

/// Tile of many_rows: R rows of x by C of w.
constexpr int kTileRows = kRegisters == 32 ? 4 : 3;
constexpr int kTileColumns = kRegisters == 32 ? 6 : 4;

/// Elements of one packed tile of `rows` rows.
template <class X, class W>
constexpr int64_t packed_tile(int64_t k, int64_t rows) {
  constexpr int64_t kStep = Step<X, W>::kElements;
  return (k + kStep - 1) / kStep * kStep * rows;
}

/// Copies x into tiles of `rows` rows in the order the tiles read them: rows of one step together, zeros behind k and behind the last row.
/// (Rows 4 KiB apart would share one set of the first-level cache.)
template <class X, class W, class From>
void pack_tile(const From* x, int64_t x_stride, int64_t k, int rows, int tile_rows, X* out) {
  constexpr int kStep = Step<X, W>::kElements;
  for (int64_t i = 0; i < k; i += kStep) {
    const int n = static_cast<int>(k - i < kStep ? k - i : kStep);
    for (int r = 0; r < tile_rows; ++r, out += kStep) {
      const From* from = x + r * x_stride + i;
      if constexpr (sizeof(X) == sizeof(From)) {
        if (r < rows && n == kStep) {
          __builtin_memcpy(out, from, sizeof(X) * kStep);
          continue;
        }
        for (int j = 0; j < kStep; ++j) out[j] = r < rows && j < n ? from[j] : X{};
      } else {
        store(out, r < rows ? load_tail(from, n) : zero());
      }
    }
  }
}

/// One call, with x packed.
template <class X>
struct Call {
  const MatmulDesc& d;
  const MatmulParams& p;
  const X* x;
};

/// Columns of one segment: rows [first, first + count) of its weights, whose outputs start at `column`.
struct Columns {
  const MatmulParams::Segment* segment;
  int64_t first;
  int64_t column;
  int count;
};

/// Calls f(Columns) for the columns [first, last) of the output in pieces of at most kColumnBlock that lie in one segment.
template <class F>
ATTUNE_INLINE void for_columns(const MatmulDesc& d, const MatmulParams& p, int64_t first, int64_t last, const F& f) {
  int64_t start = 0;  // the segment's first column
  for (int64_t s = 0; s < d.segments; start += p.segments[s++].rows) {
    const int64_t end = start + p.segments[s].rows < last ? start + p.segments[s].rows : last;
    for (int64_t c = first > start ? first : start; c < end; c += kColumnBlock)
      f(Columns{&p.segments[s], c - start, c, static_cast<int>(end - c < kColumnBlock ? end - c : kColumnBlock)});
  }
}

/// Bias, activation and residual of a row's columns, rounded once into out.
template <class Out>
ATTUNE_INLINE void finish_row(const MatmulDesc& d, const MatmulParams& p, int64_t row, const Columns& columns, const float* sums, const float* bias) {
  const int64_t at = row * p.out_stride + columns.column;
  Out* out = static_cast<Out*>(p.out) + at;
  for (int i = 0; i < columns.count; i += kWidth) {
    const int n = columns.count - i < kWidth ? columns.count - i : kWidth;
    Vec v = load(sums + i);
    if (d.bias) v = v + load(bias + i);
    if (d.activation != Activation::none) v = activate(d.activation, v);
    if (d.residual) v = v + load_tail(p.residual + at + i, n);
    if (n == kWidth)
      store(out + i, v);
    else
      store_tail(out + i, v, n);
  }
}

/// The same for `rows` rows, whose sums are kColumnBlock apart.
void finish(const MatmulDesc& d, const MatmulParams& p, int64_t row, int rows, const Columns& columns, const float* sums) {
  alignas(64) float bias[kColumnBlock] = {};
  if (d.bias && columns.segment->bias != nullptr)
    with_wide_type(p.bias_dtype, [&](auto type) {
      const auto* from = static_cast<const typename decltype(type)::Of*>(columns.segment->bias) + columns.first;
      for (int c = 0; c < columns.count; ++c) bias[c] = load_one(from + c);
    });
  with_wide_type(d.out_dtype, [&](auto type) {
    for (int r = 0; r < rows; ++r) finish_row<typename decltype(type)::Of>(d, p, row + r, columns, sums + r * kColumnBlock, bias);
  });
}

/// Pointers to C rows of weights from column c on; past the end the last row stands in and its sums are not used.
template <class W, int C>
ATTUNE_INLINE void weight_rows(const Columns& columns, int c, int64_t k, const W** w) {
  const W* base = static_cast<const W*>(columns.segment->w) + (columns.first + c) * k;
  for (int j = 0; j < C; ++j) w[j] = base + (c + j < columns.count ? j : columns.count - 1 - c) * k;
}

/// A tile's sums into their rows; one by one, since wider loads would wait for the stores of several vectors.
template <int R, int C>
ATTUNE_INLINE void place(const float* part, float* sums) {
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sums[r * kColumnBlock + c] = part[r * C + c];
}

/// R ≤ kFewRows rows of x against columns [first, last): the weights stream through once.
template <class X, class W, int R, int C>
void few_rows(const Call<X>& call, int64_t first, int64_t last) {
  const int64_t k = call.d.k;
  alignas(64) float sums[R * kColumnBlock];
  const int64_t tile_bytes = C * k * static_cast<int64_t>(sizeof(W)), distance = R > 2 && tile_bytes < 16384 ? 16384 : tile_bytes;
  for_columns(call.d, call.p, first, last, [&](const Columns& columns) {
    for (int c = 0; c < columns.count; c += C) {
      const W* w[C];
      weight_rows<W, C>(columns, c, k, w);
      float part[R * C];
      tile<X, W, R, C, true>(call.x, w, k, part, reinterpret_cast<const char*>(w[0]) + distance);
      place<R, C>(part, sums + c);
    }
    finish(call.d, call.p, 0, R, columns, sums);
  });
}

/// Columns a tile of few_rows takes, so that its accumulators stay in registers; each divides kColumnBlock.
constexpr int few_columns(int rows) {
  if (kRegisters == 32) return rows <= 6 ? 4 : 3;
  return rows <= 3 ? 4 : 3;
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

/// A block of rows of x (in the second-level cache) against a block of columns: each tile's rows of w stay in the first-level cache meanwhile.
template <class X, class W>
void many_rows(const Call<X>& call, int64_t row, int rows, const Columns& columns) {
  constexpr int R = kTileRows, C = kTileColumns;
  const int64_t k = call.d.k;
  alignas(64) float sums[(kMaxRowBlock + kTileRows) * kColumnBlock];
  for (int c = 0; c < columns.count; c += C) {
    const W* w[C];
    weight_rows<W, C>(columns, c, k, w);
    for (int r = 0; r < rows; r += R) {
      float part[R * C];
      tile<X, W, R, C, false>(call.x + packed_tile<X, W>(k, row + r), w, k, part, nullptr);
      place<R, C>(part, sums + r * kColumnBlock + c);
    }
  }
  finish(call.d, call.p, row, rows, columns, sums);
}

template <class X, class W, class From>
void launch(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  X* packed = static_cast<X*>(ctx.workspace.data);
  const From* x = static_cast<const From*>(p.x);
  const Call<X> call{d, p, packed};
  int64_t n = 0;
  for (int s = 0; s < d.segments; ++s) n += p.segments[s].rows;
  const int64_t column_blocks = (n + kColumnBlock - 1) / kColumnBlock;
  if (p.m <= kFewRows) {
    pack_tile<X, W>(x, p.x_stride, d.k, static_cast<int>(p.m), static_cast<int>(p.m), packed);
    parallel_ranges(ctx, column_blocks, kColumnBlock * d.k, [&](int64_t first, int64_t last, int) {
      few_rows<X, W>(call, first * kColumnBlock, last * kColumnBlock < n ? last * kColumnBlock : n);
    });
    return;
  }
  parallel_ranges(ctx, (p.m + kTileRows - 1) / kTileRows, kTileRows * d.k, [&](int64_t first, int64_t last, int) {
    for (int64_t t = first; t < last; ++t) {
      const int64_t row = t * kTileRows, rows = p.m - row < kTileRows ? p.m - row : kTileRows;
      pack_tile<X, W>(x + row * p.x_stride, p.x_stride, d.k, static_cast<int>(rows), kTileRows, packed + packed_tile<X, W>(d.k, row));
    }
  });
  // Rows of x that fill half of a 1 MiB cache, in whole tiles.
  int64_t block = (512 << 10) / (d.k * static_cast<int64_t>(sizeof(X))) / kTileRows * kTileRows;
  block = block > kMaxRowBlock ? kMaxRowBlock / kTileRows * kTileRows : block < 4 * kTileRows ? 4 * kTileRows : block;
  const int64_t row_blocks = (p.m + block - 1) / block;
  parallel(ctx, row_blocks * column_blocks, [&](int64_t task, int) {
    const int64_t row = task / column_blocks * block, column = task % column_blocks * kColumnBlock;
    const int rows = static_cast<int>(p.m - row < block ? p.m - row : block);
    for_columns(d, p, column, column + kColumnBlock < n ? column + kColumnBlock : n, [&](const Columns& c) { many_rows<X, W>(call, row, rows, c); });
  });
}

template <class W>
void launch_floats(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  with_wide_type(d.x_dtype, [&](auto from) { launch<float, W, typename decltype(from)::Of>(ctx, d, p); });
}

constexpr bool by_pairs(const MatmulDesc& d) { return d.x_dtype == DType::bf16 && d.w_dtype == DType::bf16; }

}  // namespace

/// Of x packed, for any instruction set: rows up to whole tiles, K up to whole steps.
int64_t matmul_workspace(const MatmulDesc& d, const Limits& limits) {
  const int64_t element = by_pairs(d) ? sizeof(bf16_t) : sizeof(float);
  return (limits.tokens + 3) * (d.k + 31) * element;
}

void matmul(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  if (p.m <= 0) return;
  if (by_pairs(d)) return launch<bf16_t, bf16_t, bf16_t>(ctx, d, p);
  with_wide_type(d.w_dtype, [&](auto w) { launch_floats<typename decltype(w)::Of>(ctx, d, p); });
}

}  // namespace attune::cpu::ATTUNE_ISA
