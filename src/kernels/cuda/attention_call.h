#pragma once

// What the page, the launch function and the kernel of cuda.attention.wgmma_split_kv agree on. Plain C++.

#include "ops/attention.h"

namespace attune::cuda {

inline constexpr int kGroup = 128;                             ///< threads of a warpgroup
inline constexpr int kQueue = 4;                               ///< units that the copying warp may be ahead
inline constexpr int kUnitBytes = 128;                         ///< a place for one in shared memory
inline constexpr int kTile = 64;                               ///< keys of one product S = K·Qᵀ
inline constexpr int kChunk = 512;                             ///< keys of a leaf of the reduction
inline constexpr int kFoldLevel = 2, kFold = 1 << kFoldLevel;  ///< chunks that are joined in turn, from an absolute multiple on; then a tree
inline constexpr int kTilesPerChunk = kChunk / kTile;
inline constexpr int kLevels = 16;              ///< runs of 1, 2, 4, … chunks that a plan chooses from
inline constexpr int kMostVerified = 32;        ///< query tokens of the verify phase
inline constexpr int kMostLeaves = 512;         ///< of one row: what the join of partial results can hold
inline constexpr int64_t kMostPartials = 2048;  ///< results that wait in the workspace
inline constexpr int64_t kPartialBytes = 40 << 20;
inline constexpr int64_t kCounters = kMostPartials + 32;  ///< of a workspace: of arrived runs, and two of units

/// ⌊2³² / d⌋, as far as it fits: divided() of attention_units.cuh divides by d with it.
constexpr uint32_t inverse_of(int64_t d) { return d == 1 ? ~uint32_t{0} : static_cast<uint32_t>((int64_t{1} << 32) / d); }

/// What the forms with extras are for.
constexpr bool has_extras(const AttentionDesc& d) { return d.softcap > 0 || d.alibi != Alibi::none; }
/// Rows (query token × query head of one KV head) that a block works on at once. Extras have no form for 16, and prefill, whose rows are few only by
/// accident, has that for 64 alone: each form is 60 KB of code in ten pairs of type and head_dim.
constexpr int rows_of(const AttentionDesc& d, int64_t longest_q) {
  const int64_t rows = longest_q * d.gqa_group;
  if (rows > 16 || d.phase == Phase::prefill) return 64;
  return rows <= 8 ? 8 : has_extras(d) ? 64 : 16;
}
constexpr int64_t padded_dim(const AttentionDesc& d) {
  const int64_t step = is_f8(d.kv_dtype) ? 128 : 64;
  return (d.head_dim + step - 1) / step * step;
}
/// Floats of a node of the tree: accumulators, and maximum and sum of each row.
constexpr int64_t node_floats(int64_t rows, int64_t dim) { return rows * (dim + 2); }

constexpr int levels_below(int64_t longest_kv) {
  int levels = 0;
  while ((int64_t{kChunk} << levels) < longest_kv) ++levels;
  return levels;
}

/// Nodes of a run that wait for later chunks: the chunks of a fold so far, and a level of the tree over folds each.
constexpr int waiting_nodes(int levels) { return levels == 0 ? 0 : 1 + (levels > kFoldLevel ? levels - kFoldLevel : 0); }

/// Blocks of a multiprocessor, as far as registers go.
constexpr int most_blocks(int rows, int dim, bool f8) {
  if (dim > 128) return rows > 8 || f8 ? 1 : 2;
  return rows > 16 || !f8 ? 2 : rows > 8 ? 3 : 4;
}
constexpr int kMostMultiprocessors = 132;

/// Forms of 64 rows and more hold weights in registers, and queries if head_dim leaves room.
constexpr bool is_wide(int rows) { return rows >= 64; }
constexpr bool query_waits(int dim) { return dim <= 128; }

/// Of e4m3 they multiply f16 matrices, which warps beside the copying one make of tiles.
inline constexpr int kConvertingWarps = 3, kMatrices = 3;

inline constexpr int kFourBytes = kGroup * 16;  ///< four floats of every consumer

/// Where things are in a block's shared memory (byte offsets from a multiple of 1024).
struct Layout {
  int matrices, query, weights, scales, matrix_scales, nodes, maxima, seen, limits, factors, slopes, plan, queue, barriers, made, units, practice,
      end;
  constexpr Layout() : Layout(8, 64, false, 0, 0) {}
  constexpr Layout(int rows, int dim, bool f8, int stages, int nodes_here, int fours_here = 0) {
    const bool wide = is_wide(rows), passes = wide && query_waits(dim);  // queries pass through where nodes will wait
    const int queries = rows * dim * 2, waiting = nodes_here * static_cast<int>(node_floats(rows, dim)) * 4 + fours_here * kFourBytes;
    const int made_tiles = wide && f8 ? kMatrices : 0;
    matrices = stages * kTile * dim * (f8 ? 1 : 2);
    query = matrices + made_tiles * kTile * dim * 2;
    weights = query + (passes ? 0 : queries);
    scales = weights + (wide ? 0 : rows * kTile * 2);
    matrix_scales = scales + (f8 ? stages * kTile * 4 : 0);
    nodes = matrix_scales + made_tiles * kTile * 4;
    if (passes) query = nodes;
    maxima = nodes + (passes && queries > waiting ? queries : waiting);
    seen = maxima + (wide ? 0 : 2 * rows * 4 * 4);
    limits = seen + rows * 8;
    factors = limits + rows * 8;
    slopes = factors + rows * 4;
    plan = slopes + rows * 4;
    queue = (plan + (2 * (kGroup + 1) + 2 * kLevels + 10 + 1) * 4 + 15) / 16 * 16;
    barriers = queue + (kQueue + 1) * kUnitBytes;
    made = barriers + stages * 16;
    units = made + made_tiles * 16;
    practice = units + kQueue * 16;
    end = practice + (wide ? 0 : 2 * 16);
  }
};

/// What one launch needs beyond the tensor maps.
struct AttentionCall {
  const void* q;
  void* out;
  float* lse;
  const int32_t *q_start, *kv_lens, *block_table;
  const float *sinks, *alibi_slopes, *k_scale, *v_scale;
  const uint8_t* causal;
  const uint32_t* tree;
  int64_t q_stride, out_stride, max_blocks, tree_words;
  int num_seqs, kv_heads, group, head_dim, block_size;
  int box;                                ///< keys of one copy: a power of two that divides block_size, at most a tile
  uint32_t by_heads, by_group, by_block;  ///< inverses of kv_heads, group and block_size
  int window, window_right;
  float scale;                     ///< of q·k, natural units
  float softcap, softcap_inverse;  ///< the second: 2·log₂e / softcap
  Mask mask;
  Alibi alibi;
  DType q_dtype, out_dtype;
  Scales kv_scale;
  bool q_aligned;    ///< 16-byte loads of q are allowed
  bool past_stands;  ///< keys before the query tokens may be read before the predecessor is done
  bool read_once;    ///< keys and values are not needed again soon
  Layout at;         ///< of a block's shared memory
  int stages;        ///< tiles in flight
  int shared_nodes;  ///< that wait in shared memory; others in `spill`
  int shared_fours;  ///< of each thread, of the next node, in shared memory, too
  int spill_nodes;
  int plan_levels;   ///< how many the longest sequence can need
  int partials;      ///< results of split rows that fit
  bool out_paired;   ///< two 16-bit outputs may be stored at once
  int32_t* arrived;  ///< [partials]; 0 between launches, as the next
  int32_t* tickets;  ///< units handed out beyond the first of each block; blocks that asked for their last one
  float* spill;      ///< [blocks][spill_nodes][node_floats]
  float* results;    ///< [partials][rows][head_dim padded] then [partials][rows][2]
};

/// How a launch uses a multiprocessor.
struct Shape {
  int blocks, stages, shared_nodes, shared_fours, bytes;
};
/// As many tiles in flight as fit beside the waiting nodes, of which at most three. Few rows do best with 128 KiB in flight a multiprocessor:
/// 96 and, of e4m3, 160 cost 1 to 3 % of the bandwidth. Two blocks of many rows: a node that waits in L2 costs more than tiles beyond 96 KiB in
/// flight bring (verify 32×4k 137 → 130 µs). `alone`: no multiprocessor has two blocks of the launch, which then may have more.
constexpr Shape shape_of(int rows, int dim, bool f8, int waiting, bool alone = false) {
  constexpr int kMultiprocessor = 228 * 1024, kReserved = 1024, kMostStages = 16;
  const int few_stages = is_wide(rows) || dim > 128 ? 3 : 5;
  Shape s{most_blocks(rows, dim, f8), kMostStages, waiting < 3 ? waiting : 3, 0, 0};
  const int room = kMultiprocessor / s.blocks - kReserved;
  const bool many = alone || rows > 16 || (f8 && dim > 128);
  const int in_flight = many ? kMostStages : 128 * 1024 / s.blocks / (kTile * dim * (f8 ? 1 : 2));
  s.stages = in_flight < 3 ? 3 : in_flight;
  while (s.shared_nodes > 0 && Layout(rows, dim, f8, few_stages, s.shared_nodes).end > room) --s.shared_nodes;
  while (s.stages > 2 && Layout(rows, dim, f8, s.stages, s.shared_nodes).end > room) --s.stages;
  const int enough = 48 * 1024 / (kTile * dim * (f8 ? 1 : 2));
  if (is_wide(rows) && s.blocks == 2 && !alone && s.shared_nodes < waiting && s.stages > enough) s.stages = enough;
  const int most_fours = s.shared_nodes < waiting ? rows * dim * 4 / kFourBytes : 0;
  while (s.shared_fours < most_fours && Layout(rows, dim, f8, s.stages, s.shared_nodes, s.shared_fours + 1).end <= room) ++s.shared_fours;
  // One block more would not fit: else blocks of the next launch, which wait for this one, stand three to a multiprocessor here and one there.
  const int least = kMultiprocessor / (s.blocks + 1) - kReserved + 16, used = Layout(rows, dim, f8, s.stages, s.shared_nodes, s.shared_fours).end;
  s.bytes = used > least ? used : least;
  return s;
}

constexpr int64_t most_partials(int64_t rows, int64_t dim) {
  const int64_t fit = kPartialBytes / (node_floats(rows, dim) * 4);
  return fit < kMostPartials ? fit : kMostPartials;
}
/// Query tokens of a sequence from which on the form is the same.
constexpr int64_t most_q(const AttentionDesc& d) { return d.phase == Phase::decode ? 1 : kMostVerified; }
constexpr int64_t attention_workspace(const AttentionDesc& d, const Limits& limits) {
  const int rows = rows_of(d, most_q(d)), dim = static_cast<int>(padded_dim(d));
  const int waiting = waiting_nodes(levels_below(limits.longest_kv));
  const int64_t blocks = int64_t{kMostMultiprocessors} * most_blocks(rows, dim, is_f8(d.kv_dtype));
  const int64_t spilled = waiting - shape_of(rows, dim, is_f8(d.kv_dtype), waiting).shared_nodes;
  return kCounters * 4 + (most_partials(rows, dim) + blocks * spilled) * node_floats(rows, dim) * 4;
}
/// The most that a launch of this desc asks for, whichever rows, lengths and number of blocks it has.
constexpr int64_t attention_shared_memory(const AttentionDesc& d) {
  constexpr int64_t kMany = 1 << 20;
  const int dim = static_cast<int>(padded_dim(d)), most_waiting = waiting_nodes(levels_below(kMany));
  int64_t most = 0;
  for (int64_t q = 1; q <= most_q(d); q *= 2)
    for (int waiting = 0; waiting <= most_waiting; ++waiting)
      for (const bool alone : {false, true}) {
        const int64_t bytes = shape_of(rows_of(d, q), dim, is_f8(d.kv_dtype), waiting, alone).bytes;
        most = bytes > most ? bytes : most;
      }
  return most;
}

}  // namespace attune::cuda
