#pragma once

// What the page, the launch function and the small kernels of cuda.attention.cudnn agree on. Plain C++.

#include "ops/attention.h"

namespace attune::cuda {

inline constexpr int64_t kMostSequences = 512;  ///< of one call of the library

/// Tensors of a decode step that stand where the library cannot read them, and where it can. `row`: elements of a sequence's queries, and of its
/// outputs.
struct CudnnStaging {
  const uint16_t* q;
  uint16_t* out;
  const int32_t* block_table;
  int64_t q_stride, out_stride, max_blocks;
  int64_t row, pages;
  uint16_t* staged_q;     ///< [sequences, row]; null: the caller's are used; so below
  uint16_t* staged_out;   ///< [sequences, row]
  int32_t* staged_table;  ///< [sequences, pages]: as many columns as there are, then 0
};

void stage_cudnn_inputs(const CudnnStaging& s, int64_t sequences, void* stream);
void unstage_cudnn_output(const CudnnStaging& s, int64_t sequences, void* stream);

/// kMostSequences times 1, on the current device: the query tokens of each sequence.
const int32_t* cudnn_ones();

/// Where things are in the workspace; the rest is the library's.
struct CudnnLayout {
  static constexpr int64_t up(int64_t bytes) { return (bytes + 255) / 256 * 256; }
  /// Powers of two, so that plans are few.
  static constexpr int64_t pages_of(int64_t longest_kv, int64_t block_size) {
    int64_t pages = 1;
    while (pages * block_size < longest_kv) pages *= 2;
    return pages;
  }

  int64_t pages, q, out, table, end;
  constexpr CudnnLayout(const AttentionDesc& d, int64_t sequences, int64_t longest_kv)
      : pages(pages_of(longest_kv, d.block_size)),
        q(0),
        out(up(sequences * d.num_q_heads() * d.head_dim * 2)),
        table(2 * out),
        end(table + up(sequences * pages * 4)) {}
};

constexpr int64_t cudnn_workspace(const AttentionDesc& d, const Limits& limits) {
  constexpr int64_t kParts = 512;  // of one KV head's keys: an engine keeps the results of at most 260
  const int64_t sequences = limits.sequences < kMostSequences ? limits.sequences : kMostSequences;
  return CudnnLayout(d, sequences, limits.longest_kv).end + kParts * d.gqa_group * (d.head_dim + 2) * 4 + 4096;
}

}  // namespace attune::cuda
