#pragma once

// What the page and the kernel of gpu.attention.split_kv agree on: how work is cut, and what memory that takes. Plain C++.

#include "ops/attention.h"

namespace attune::gpu {

inline constexpr int kThreads = 128;                      ///< of a block
inline constexpr int kChunk = 256;                        ///< keys of a leaf of the reduction tree
inline constexpr int kDimsPerThread = 2;                  ///< output dimensions that a thread accumulates
inline constexpr int kSlice = kThreads * kDimsPerThread;  ///< output dimensions of a block
inline constexpr int64_t kMostPartials = 4096;            ///< rows × heads × runs of keys above which keys are not split further
inline constexpr int kMostLevels = 23;                    ///< of the tree: 2³¹ keys

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t padded_dim(int64_t head_dim) { return ceil_div(head_dim, 128) * 128; }
constexpr int64_t slice_width(int64_t head_dim) { return head_dim < kSlice ? head_dim : kSlice; }
constexpr int64_t chunks_of(int64_t longest_kv) { return longest_kv > 0 ? ceil_div(longest_kv, kChunk) : 1; }

/// ⌈log₂ n⌉: levels of the tree over n leaves.
constexpr int levels_of(int64_t n) {
  int levels = 0;
  while ((int64_t{1} << levels) < n) ++levels;
  return levels;
}

/// Floats of one partial result: maximum, sum, accumulators.
constexpr int64_t partial_floats(int64_t head_dim) { return 2 + head_dim; }

/// A node that waits in shared memory for its sibling: maximum, sum, and the index of a leaf below it.
struct NodeHead {
  float maximum, sum;
  int64_t leaf;
};

constexpr int64_t tree_bytes(int64_t head_dim, int levels) {
  return levels * (static_cast<int64_t>(sizeof(NodeHead)) + slice_width(head_dim) * static_cast<int64_t>(sizeof(float)));
}

/// What a chunk needs: places, scores, factors and weights of its keys, the query, and partial sums of the block.
constexpr int64_t chunk_bytes(int64_t head_dim) { return kChunk * (8 + 4 + 4 + 4) + padded_dim(head_dim) * 4 + 2 * (kThreads / 32) * 4; }

/// Shared memory of a block, for the longest sequence there can be.
constexpr int64_t attention_shared_memory(const AttentionDesc& d) { return chunk_bytes(d.head_dim) + tree_bytes(d.head_dim, kMostLevels); }

/// How many aligned runs of 2ⁿ chunks a row's keys are cut into: as many as give work to a whole GPU and fit into `room` bytes.
struct Split {
  int64_t run = 1;   ///< chunks of a run
  int64_t runs = 1;  ///< of the longest sequence
};
constexpr Split split_of(const AttentionDesc& d, int64_t tokens, int64_t longest_kv, int64_t room) {
  const int64_t chunks = chunks_of(longest_kv), rows = tokens * d.num_q_heads();
  const int64_t fitting = room / (partial_floats(d.head_dim) * static_cast<int64_t>(sizeof(float)));
  const int64_t most = fitting < kMostPartials ? fitting : kMostPartials;
  Split s{1, chunks};
  while (s.runs > 1 && s.runs > most / (rows > 0 ? rows : 1)) s.run *= 2, s.runs = ceil_div(chunks, s.run);
  return s;
}

/// Scratch for the partial results of every launch within `limits`; fewer tokens may be split further than the most are.
constexpr int64_t attention_workspace(const AttentionDesc& d, const Limits& limits) {
  const int64_t rows = limits.tokens * d.num_q_heads(), chunks = chunks_of(limits.longest_kv);
  const int64_t partials = chunks > 1 ? (rows < kMostPartials / chunks ? rows * chunks : kMostPartials) : 0;
  return partials * partial_floats(d.head_dim) * static_cast<int64_t>(sizeof(float));
}

}  // namespace attune::gpu
