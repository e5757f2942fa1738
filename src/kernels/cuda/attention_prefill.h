#pragma once

// What the page, the launch function and the kernel of cuda.attention.wgmma_prefill agree on. Plain C++.

#include "ops/attention.h"

namespace attune::cuda {

inline constexpr int kPrefillRows = 128;  ///< rows (query token × query head of one KV head) of a unit: two warpgroups of 64
inline constexpr int kPrefillConsumers = 256;
inline constexpr int kPrefillThreads = kPrefillConsumers + 128;  ///< and a warpgroup of which one warp copies
inline constexpr int64_t kPrefillWorkspace = 128;                ///< the ticket

/// What one launch needs beyond the tensor maps.
struct PrefillCall {
  const void* q;
  void* out;
  float* lse;
  const int32_t *q_start, *kv_lens, *block_table;
  const float *sinks, *alibi_slopes;
  const uint8_t* causal;
  int32_t* ticket;  ///< units handed out beyond the first of each block
  int64_t q_stride, out_stride, max_blocks;
  int num_seqs, kv_heads, group, head_dim, block_size;
  int box;      ///< keys of one copy: a power of two that divides block_size, at most a tile
  int nowhere;  ///< a row of the pool's map that lies beyond its last: copies of it are zeros
  int tokens;   ///< of a unit
  int window, window_right;
  float scale;  ///< of q·k, natural units
  float softcap;
  Mask mask;
  Alibi alibi;
  DType out_dtype;
  bool q_mapped;     ///< the copy engine can read q
  bool out_aligned;  ///< 16 bytes of a row may be stored at once (8 where out is f32)
};

constexpr int prefill_dim(int64_t head_dim) { return static_cast<int>((head_dim + 63) / 64 * 64); }
/// Keys of one product, and how many tiles of keys and of values each are in flight.
constexpr int prefill_tile(int dim) { return dim > 128 ? 64 : 128; }
constexpr int prefill_stages(int dim) { return dim == 64 ? 4 : dim == 256 ? 2 : 3; }

/// Where things are in a block's shared memory (byte offsets from a multiple of 1024).
struct PrefillLayout {
  int query, keys, values, barriers, unit, end;
  constexpr explicit PrefillLayout(int dim) {
    const int ring = prefill_stages(dim) * prefill_tile(dim) * dim * 2;
    query = 0;
    keys = kPrefillRows * dim * 2;
    values = keys + ring;
    barriers = values + ring;
    unit = barriers + (3 + 4 * prefill_stages(dim)) * 8;
    end = unit + 64;
  }
};

constexpr int64_t prefill_shared_memory(const AttentionDesc& d) { return PrefillLayout(prefill_dim(d.head_dim)).end; }
constexpr int64_t prefill_workspace(const AttentionDesc&, const Limits&) { return kPrefillWorkspace; }

/// An instantiation of the kernel; null where there is none.
const void* prefill_form_bf16(int dim, bool extras);
const void* prefill_form_f16(int dim, bool extras);
/// Sets a ticket to 0, and lets the kernel that follows start at once.
const void* prefill_clear();

}  // namespace attune::cuda
