#pragma once

// What the page, the launch function and the kernel of cuda.attention.wgmma_split_kv agree on. Plain C++.

#include "ops/attention.h"

namespace attune::cuda {

inline constexpr int kTile = 64;    ///< keys of one product S = K·Qᵀ
inline constexpr int kChunk = 512;  ///< keys of a leaf of the reduction tree
inline constexpr int kTilesPerChunk = kChunk / kTile;
inline constexpr int kLevels = 16;              ///< runs of 1, 2, 4, … chunks that a plan chooses from
inline constexpr int kMostVerified = 32;        ///< query tokens of the verify phase
inline constexpr int kMostRuns = 512;           ///< of one row: what the join of partial results can hold
inline constexpr int kMostBlocks = 528;         ///< thread blocks of a launch: four a multiprocessor of the largest GPU declared for
inline constexpr int64_t kMostPartials = 2048;  ///< runs whose results wait in the workspace
inline constexpr int64_t kPartialBytes = 36 << 20;
inline constexpr int64_t kCounterBytes = (kMostPartials + 32) * 4;

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
  int box;  ///< keys of one copy: a power of two that divides block_size, at most a tile
  int window, window_right;
  float scale;  ///< of q·k, natural units
  float softcap;
  Mask mask;
  Alibi alibi;
  DType q_dtype, out_dtype;
  Scales kv_scale;
  bool q_aligned;     ///< 16-byte loads of q are allowed
  bool read_once;     ///< keys and values are not needed again soon
  int stages;         ///< tiles in flight
  int shared_levels;  ///< of the reduction tree that wait in shared memory; deeper ones in `spill`
  int spill_levels;
  int plan_levels;            ///< how many the longest sequence can need
  int partials;               ///< runs of split rows whose results fit
  int slots;                  ///< those, and one for each block
  bool out_paired;            ///< two 16-bit outputs may be stored at once
  int32_t* arrived;           ///< [partials]
  int32_t* ticket;            ///< units handed out beyond the first of each block; null: in turn
  unsigned long long* times;  ///< TEMPORARY
  int forced_level;
  float* spill;    ///< [blocks][spill_levels][node_floats]
  float* results;  ///< [slots][rows][head_dim padded] then [slots][rows][2]
};

/// Rows (query token × query head of one KV head) that a block works on at once.
constexpr int rows_of(int64_t longest_q, int64_t group) {
  const int64_t rows = longest_q * group;
  return rows <= 8 ? 8 : rows <= 16 ? 16 : longest_q <= kMostVerified ? 64 : 128;
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
constexpr int64_t most_partials(int64_t rows, int64_t dim) {
  const int64_t fit = kPartialBytes / (node_floats(rows, dim) * 4);
  return fit < kMostPartials ? fit : kMostPartials;
}
constexpr int64_t spill_bytes(int64_t rows, int64_t dim, int spill_levels) { return kMostBlocks * spill_levels * node_floats(rows, dim) * 4; }

constexpr int64_t attention_workspace(const AttentionDesc& d, const Limits& limits) {
  const int64_t rows = rows_of(d.phase == Phase::decode   ? 1
                               : d.phase == Phase::verify ? kMostVerified
                                                          : limits.tokens,
                               d.gqa_group),
                dim = padded_dim(d);
  return kCounterBytes + spill_bytes(rows, dim, levels_below(limits.longest_kv)) + (most_partials(rows, dim) + kMostBlocks) * node_floats(rows, dim) * 4;
}

}  // namespace attune::cuda
