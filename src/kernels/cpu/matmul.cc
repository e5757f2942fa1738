// out = x · wᵀ with weights row-major in place. Vectorised along K: every output has one accumulator vector that takes k in order, then one
// fixed horizontal tree, so its bits do not depend on M, on the tile it falls into, on threads or on segments. Many rows of bf16 are multiplied
// with vectors along the columns instead (lanes.h), the same chains and the same tree.
#include "ops/matmul.h"

#include "kernels/cpu/activation_math.h"
#include "kernels/cpu/lanes.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

constexpr int kColumnBlock = 48;          // columns a task; a multiple of every tile's columns
constexpr int kEvenFrom = 16;             // column blocks a worker from which one more or less is no matter
constexpr int kMostColumns = 64;          // columns of a panel (see multiply_panel), and the distance of rows of sums
constexpr int kPanelRows = 6;             // rows of x that a panel meets at a time
constexpr int kPanelsFrom = 64;           // rows of x from which transposing the weights costs little
constexpr int64_t kNearBytes = 16 << 10;  // of x stay in the first-level cache while weights stream past
constexpr int kMaxRowBlock = 256;         // rows of x a task
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

/// Where a tile's accumulators come from and go to: a tile may take K in several parts.
struct Part {
  Vec* saved = nullptr;  // of the parts before and behind
  bool first = true, last = true;
};

/// sums[r][c] = Σ_k x[r][k] · w[c][k] for a packed tile of R rows of x and C rows of w, or the part of it that `part` says. Meanwhile as many bytes
/// as the tile reads of w are fetched: from `ahead` on, in the order of their addresses, which is how memory gives them fastest, or where Split, the
/// same part of the C rows of w that start at ahead and are `ahead_row` bytes apart.
template <class X, class W, int R, int C, bool Ahead, bool Split = false>
ATTUNE_INLINE void tile(const X* x, const W* const* w, int64_t k, float* sums, const char* ahead, int64_t ahead_row = 0, Part part = {}) {
  using S = Step<X, W>;
  constexpr int kStepBytes = S::kElements * static_cast<int>(sizeof(W)), kLines = (C * kStepBytes + 63) / 64;
  Vec acc[R * C];
  for (int r = 0; r < R; ++r)  // two short loops: one long loop would not be unrolled, and clear memory
    for (int c = 0; c < C; ++c) acc[r * C + c] = Split && !part.first ? part.saved[r * C + c] : zero();
  int64_t i = 0;
  for (; i + S::kElements <= k; i += S::kElements, x += R * S::kElements) {
    if constexpr (Ahead) {
      if constexpr (Split)
        for (int c = 0; c < C; ++c) __builtin_prefetch(ahead + c * ahead_row, 0, 2);
      else
        for (int line = 0; line < kLines; ++line) __builtin_prefetch(ahead + 64 * line, 0, R <= 2 ? 3 : 2);  // more rows of x fill the first level
      ahead += Split ? kStepBytes : 64 * kLines;
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
  if (Split && !part.last) {
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) part.saved[r * C + c] = acc[r * C + c];
    return;
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

/// Calls f(Columns) for the columns [first, last) of the output in pieces of at most `Most` that lie in one segment.
template <int Most = kColumnBlock, class F>
ATTUNE_INLINE void for_columns(const MatmulDesc& d, const MatmulParams& p, int64_t first, int64_t last, const F& f) {
  int64_t start = 0;  // the segment's first column
  for (int64_t s = 0; s < d.segments; start += p.segments[s++].rows) {
    const int64_t end = start + p.segments[s].rows < last ? start + p.segments[s].rows : last;
    for (int64_t c = first > start ? first : start; c < end; c += Most)
      f(Columns{&p.segments[s], c - start, c, static_cast<int>(end - c < Most ? end - c : Most)});
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

/// The same for `rows` rows, whose sums are kMostColumns apart.
void finish(const MatmulDesc& d, const MatmulParams& p, int64_t row, int rows, const Columns& columns, const float* sums) {
  alignas(64) float bias[kMostColumns] = {};
  if (d.bias && columns.segment->bias != nullptr)
    with_wide_type(p.bias_dtype, [&](auto type) {
      const auto* from = static_cast<const typename decltype(type)::Of*>(columns.segment->bias) + columns.first;
      for (int c = 0; c < columns.count; ++c) bias[c] = load_one(from + c);
    });
  with_wide_type(d.out_dtype, [&](auto type) {
    for (int r = 0; r < rows; ++r) finish_row<typename decltype(type)::Of>(d, p, row + r, columns, sums + r * kMostColumns, bias);
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
    for (int c = 0; c < C; ++c) sums[r * kMostColumns + c] = part[r * C + c];
}

/// R ≤ kFewRows rows of x against columns [first, last): the weights stream through once.
template <class X, class W, int R, int C>
void few_rows(const Call<X>& call, int64_t first, int64_t last) {
  const int64_t k = call.d.k;
  alignas(64) float sums[R * kMostColumns];
  const int64_t tile_bytes = C * k * static_cast<int64_t>(sizeof(W)), distance = R > 2 && tile_bytes < 16384 ? 16384 : tile_bytes;
  for_columns(call.d, call.p, first, last, [&](const Columns& columns) {
    for (int c = 0; c < columns.count; c += C) {
      const W* w[C];
      weight_rows<W, C>(columns, c, k, w);
      float part[R * C];
      tile<X, W, R, C, (C > 1)>(call.x, w, k, part, reinterpret_cast<const char*>(w[0]) + distance);
      place<R, C>(part, sums + c);
    }
    finish(call.d, call.p, 0, R, columns, sums);
  });
}

/// The same where the rows of x would fill the first-level cache: kTogether tiles of columns take one part of K after the other.
template <class X, class W, int R, int C>
void few_rows_by_parts(const Call<X>& call, int64_t first, int64_t last) {
  constexpr int kTogether = 4, kStep = Step<X, W>::kElements;
  const int64_t k = call.d.k, part_k = kNearBytes / (R * static_cast<int64_t>(sizeof(X))) / kStep * kStep;
  alignas(64) float sums[R * kMostColumns];
  Vec saved[kTogether][R * C];
  for_columns(call.d, call.p, first, last, [&](const Columns& columns) {
    for (int c = 0; c < columns.count; c += kTogether * C)
      for (int64_t from = 0; from < k; from += part_k) {
        const int64_t n = k - from < part_k ? k - from : part_k;
        for (int i = 0; i < kTogether && c + i * C < columns.count; ++i) {
          const W* w[C];
          weight_rows<W, C>(columns, c + i * C, k, w);
          const bool next_tile = i + 1 < kTogether && c + (i + 1) * C < columns.count, next_part = from + n < k;
          const W* ahead = next_tile ? w[0] + C * k + from : next_part ? w[0] - i * C * k + from + n : w[0] + C * k;
          for (const W*& row : w) row += from;
          float part[R * C];
          tile<X, W, R, C, true, true>(call.x + from * R, w, n, part, reinterpret_cast<const char*>(ahead), k * static_cast<int64_t>(sizeof(W)),
                                       {saved[i], from == 0, !next_part});
          if (!next_part) place<R, C>(part, sums + c + i * C);
        }
      }
    finish(call.d, call.p, 0, R, columns, sums);
  });
}

/// Chooses between the two: only from 5 rows on is saving accumulators cheaper than reading x again from the second-level cache.
template <class X, class W, int R, int C>
void few_rows_of(const Call<X>& call, int64_t first, int64_t last) {
  if constexpr (R > 4)
    if (call.d.k * R * static_cast<int64_t>(sizeof(X)) > kNearBytes) return few_rows_by_parts<X, W, R, C>(call, first, last);
  few_rows<X, W, R, C>(call, first, last);
}

/// Columns a tile of few_rows takes, so that its accumulators stay in registers; each divides kColumnBlock. For one row of x one column, where a
/// vector is wide enough for one chain to keep up with memory: the weights are then read from end to end, which the processor fetches best unaided.
constexpr int few_columns(int rows) {
  if (kRegisters == 32) return rows == 1 ? 1 : rows <= 6 ? 4 : 3;
  return rows <= 3 ? 4 : 3;
}

template <class X, class W>
void few_rows(const Call<X>& call, int64_t first, int64_t last) {
  switch (call.p.m) {
    case 1: return few_rows_of<X, W, 1, few_columns(1)>(call, first, last);
    case 2: return few_rows_of<X, W, 2, few_columns(2)>(call, first, last);
    case 3: return few_rows_of<X, W, 3, few_columns(3)>(call, first, last);
    case 4: return few_rows_of<X, W, 4, few_columns(4)>(call, first, last);
    default: break;
  }
  if constexpr (kFewRows == 8) {
    switch (call.p.m) {
      case 5: return few_rows_of<X, W, 5, few_columns(5)>(call, first, last);
      case 6: return few_rows_of<X, W, 6, few_columns(6)>(call, first, last);
      case 7: return few_rows_of<X, W, 7, few_columns(7)>(call, first, last);
      default: return few_rows_of<X, W, 8, few_columns(8)>(call, first, last);
    }
  }
}

/// A block of rows of x (in the second-level cache) against a block of columns: each tile's rows of w stay in the first-level cache meanwhile.
template <class X, class W>
void many_rows(const Call<X>& call, int64_t row, int rows, const Columns& columns) {
  constexpr int R = kTileRows, C = kTileColumns;
  const int64_t k = call.d.k;
  alignas(64) float sums[(kMaxRowBlock + kTileRows) * kMostColumns];
  for (int c = 0; c < columns.count; c += C) {
    const W* w[C];
    weight_rows<W, C>(columns, c, k, w);
    for (int r = 0; r < rows; r += R) {
      float part[R * C];
      tile<X, W, R, C, false>(call.x + packed_tile<X, W>(k, row + r), w, k, part, nullptr);
      place<R, C>(part, sums + r * kMostColumns + c);
    }
  }
  finish(call.d, call.p, row, rows, columns, sums);
}

// ---- many rows of bf16: panels of weights, transposed, so that vectors run along the columns ----

/// Pairs of one lane: a block of K is two elements for each of the sixteen lanes.
constexpr int64_t blocks_of(int64_t k) { return (k + 2 * kLanes - 1) / (2 * kLanes); }
constexpr int64_t panel_floats(int64_t k) { return blocks_of(k) * kLanes * kMostColumns; }

/// Rows of weights → [lane][block][kMostColumns] pairs; past the last row it stands in again.
template <class W>
void pack_panel(const Columns& columns, int64_t k, float* panel) {
  const W* base = static_cast<const W*>(columns.segment->w) + columns.first * k;
  const int64_t blocks = blocks_of(k);
  for (int c = 0; c < kMostColumns; c += kWidth) {
    const W* rows[kWidth];
    for (int i = 0; i < kWidth; ++i) rows[i] = base + (c + i < columns.count ? c + i : columns.count - 1) * k;
    for (int64_t block = 0; block < blocks; ++block) {
      Vec pairs[kWidth];
      const int64_t at = block * 2 * kLanes;
      for (int i = 0; i < kWidth; ++i) {
        __builtin_prefetch(rows[i] + at + 16 * kLanes, 0, 2);
        pairs[i] = as_vec(at + 2 * kLanes <= k ? load_pairs(rows[i] + at) : load_pairs_tail(rows[i] + at, static_cast<int>(k - at)));
      }
      transpose(pairs);
      for (int lane = 0; lane < kWidth; ++lane) store(panel + (lane * blocks + block) * kMostColumns + c, pairs[lane]);
    }
  }
}

/// kPanelRows rows of x → [lane][block][row] pairs, zeros behind k and behind the last row.
template <class X>
void pack_panel_rows(const X* x, int64_t x_stride, int64_t k, int64_t rows, float* out) {
  const int64_t blocks = blocks_of(k);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t at = block * 2 * kLanes, n = k - at < 2 * kLanes ? k - at : 2 * kLanes;
    Vec pairs[kWidth];
    for (int r = 0; r < kWidth; ++r)
      pairs[r] = r < kPanelRows && r < rows ? as_vec(load_pairs_tail(x + r * x_stride + at, static_cast<int>(n))) : zero();
    transpose(pairs);
    for (int lane = 0; lane < kWidth; ++lane) store_tail(out + (lane * blocks + block) * kPanelRows, pairs[lane], kPanelRows);
  }
}

/// Rows [first, last) of x, packed, against a panel.
template <class Packed>
void multiply_panel(const Call<Packed>& call, int64_t first, int64_t last, const Columns& columns, const float* panel) {
  const int64_t blocks = blocks_of(call.d.k);
  alignas(64) float sums[kPanelRows * kMostColumns];
  const int64_t out_size = static_cast<int64_t>(size_of(call.d.out_dtype));
  for (int64_t row = first; row < last; row += kPanelRows) {
    const int64_t rows = last - row < kPanelRows ? last - row : kPanelRows;
    for (int64_t r = 0; r < rows; ++r) {  // the outputs' lines arrive while the products are summed
      const char* out = static_cast<const char*>(call.p.out) + ((row + r) * call.p.out_stride + columns.column) * out_size;
      for (int64_t at = 0; at < columns.count * out_size; at += 64) prefetch_to_write(out + at);
    }
    multiply_lanes<kPanelRows, kMostColumns / kWidth>(call.x + row * blocks * kLanes, 1, {blocks * kPanelRows, kPanelRows}, panel,
                                                      {blocks * kMostColumns, kMostColumns}, blocks, sums, kMostColumns);
    finish(call.d, call.p, row, static_cast<int>(rows), columns, sums);
  }
}

/// Bytes of the workspace that panels take: x packed, and a panel for each worker.
constexpr int64_t panel_bytes(const MatmulDesc& d, int64_t rows, int64_t workers) {
  return ((rows + kPanelRows - 1) / kPanelRows * kPanelRows * blocks_of(d.k) * kLanes + workers * panel_floats(d.k)) * int64_t{sizeof(float)} + 64;
}

template <class W>
void launch_panels(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p, int64_t n) {
  float* memory = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(ctx.workspace.data) + 63) / 64 * 64);
  float* x = memory + ctx.pool->size() * panel_floats(d.k);
  const Call<float> call{d, p, x};
  const int64_t row_tiles = (p.m + kPanelRows - 1) / kPanelRows, row_floats = blocks_of(d.k) * kLanes;
  parallel_ranges(ctx, row_tiles, kPanelRows * d.k, [&](int64_t first, int64_t last, int) {
    for (int64_t row = first * kPanelRows; row < last * kPanelRows; row += kPanelRows)
      pack_panel_rows(static_cast<const bf16_t*>(p.x) + row * p.x_stride, p.x_stride, d.k, p.m - row, x + row * row_floats);
  });
  // A worker packs its own panels: the rows are cut only where there are fewer panels than keep all workers busy.
  const int64_t panels = (n + kMostColumns - 1) / kMostColumns, workers = ctx.pool->size();
  int64_t cuts = panels >= 4 * workers ? 1 : (4 * workers + panels - 1) / panels;
  cuts = cuts > row_tiles / 16 ? row_tiles / 16 : cuts;
  cuts = cuts < 1 ? 1 : cuts;
  parallel(ctx, cuts * panels, [&](int64_t task, int worker) {
    const int64_t cut = task % cuts, column = task / cuts * kMostColumns, first = row_tiles * cut / cuts * kPanelRows;
    const int64_t end = row_tiles * (cut + 1) / cuts * kPanelRows, last = end < p.m ? end : p.m;
    float* panel = memory + worker * panel_floats(d.k);
    for_columns<kMostColumns>(d, p, column, column + kMostColumns < n ? column + kMostColumns : n, [&](const Columns& columns) {
      pack_panel<W>(columns, d.k, panel);
      multiply_panel(call, first, last, columns, panel);
    });
  });
}

template <class X, class W, class From>
void launch(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  X* packed = static_cast<X*>(ctx.workspace.data);
  const From* x = static_cast<const From*>(p.x);
  const Call<X> call{d, p, packed};
  int64_t n = 0;
  for (int s = 0; s < d.segments; ++s) n += p.segments[s].rows;
  const int64_t column_blocks = (n + kColumnBlock - 1) / kColumnBlock;
  if constexpr (kNativePairs && __is_same(X, bf16_t))
    if (p.m >= kPanelsFrom && static_cast<int64_t>(ctx.workspace.bytes) >= panel_bytes(d, p.m, ctx.pool->size()))
      return launch_panels<W>(ctx, d, p, n);
  if (p.m <= kFewRows) {
    pack_tile<X, W>(x, p.x_stride, d.k, static_cast<int>(p.m), static_cast<int>(p.m), packed);
    const int64_t unit = column_blocks < kEvenFrom * ctx.pool->size() ? kWidth : kColumnBlock;
    parallel_ranges(ctx, (n + unit - 1) / unit, unit * d.k,
                    [&](int64_t first, int64_t last, int) { few_rows<X, W>(call, first * unit, last * unit < n ? last * unit : n); });
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

/// Of x packed and panels, for any instruction set: rows up to whole tiles, K up to whole steps.
int64_t matmul_workspace(const MatmulDesc& d, const Limits& limits) {
  const int64_t element = by_pairs(d) ? sizeof(bf16_t) : sizeof(float);
  const int64_t tiles = (limits.tokens + 3) * (d.k + 31) * element;
  const int64_t panels = by_pairs(d) && limits.tokens >= kPanelsFrom ? panel_bytes(d, limits.tokens, limits.threads > 1 ? limits.threads : 1) : 0;
  return tiles > panels ? tiles : panels;
}

void matmul(const ExecContext& ctx, const MatmulDesc& d, const MatmulParams& p) {
  if (p.m <= 0) return;
  if (by_pairs(d)) return launch<bf16_t, bf16_t, bf16_t>(ctx, d, p);
  with_wide_type(d.w_dtype, [&](auto w) { launch_floats<typename decltype(w)::Of>(ctx, d, p); });
}

}  // namespace attune::cpu::ATTUNE_ISA
