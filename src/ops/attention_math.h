#pragma once

#include <cstdint>

#include "ops/attention.h"

namespace attune {

/// One row of a call: which sequence, where it stands, what limits its view.
struct RowView {
  int64_t position = 0;  ///< kv_len − q_len + row; may be negative
  int64_t kv_len = 0;
  int64_t q_len = 0;
  bool causal = false;
  const uint32_t* tree = nullptr;   ///< this row's ancestor bits, or null
  const int32_t* ranges = nullptr;  ///< this sequence's ranges
  int64_t num_ranges = 0;
  int64_t window = 0;
  int64_t window_right = -1;
};

/// True if both positions lie in one of the sequence's bidirectional ranges.
constexpr bool in_one_range(const RowView& r, int64_t key) {
  for (int64_t i = 0; i < r.num_ranges; ++i) {
    const int64_t first = r.ranges[2 * i], last = r.ranges[2 * i + 1];
    if (first <= r.position && r.position < last && first <= key && key < last) return true;
  }
  return false;
}

/// The mask rule of the whole project: may the row see `key` (0 ≤ key < kv_len)?
constexpr bool visible(const RowView& r, int64_t key) {
  if (in_one_range(r, key)) return true;
  if (r.causal && key > r.position) return false;
  if (r.tree != nullptr) {
    const int64_t j = key - (r.kv_len - r.q_len);  // index among the sequence's query tokens
    if (j >= 0 && ((r.tree[j / 32] >> (j % 32)) & 1u) == 0) return false;
  }
  if (r.window > 0 && r.position - key >= r.window) return false;
  if (r.window_right >= 0 && key - r.position > r.window_right) return false;
  return true;
}

/// A half-open interval of keys that contains every visible one (exact for causal and windowed rows without ranges and tree).
struct KeySpan {
  int64_t first, last;
};
constexpr KeySpan key_span(const RowView& r) {
  int64_t first = 0, last = r.kv_len;
  if (r.causal && r.position + 1 < last) last = r.position + 1;
  if (r.window > 0 && r.position - r.window + 1 > first) first = r.position - r.window + 1;
  if (r.window_right >= 0 && r.position + r.window_right + 1 < last) last = r.position + r.window_right + 1;
  for (int64_t i = 0; i < r.num_ranges; ++i) {
    const int64_t a = r.ranges[2 * i], b = r.ranges[2 * i + 1];
    if (r.position < a || r.position >= b) continue;
    if (a < first) first = a;
    if (b > last) last = b;
  }
  if (first < 0) first = 0;
  if (last > r.kv_len) last = r.kv_len;
  return last > first ? KeySpan{first, last} : KeySpan{0, 0};
}

/// What ALiBi adds to the score of `key` for a row at `position`; `root` is a square-root function.
template <class Sqrt>
constexpr float alibi_bias(Alibi kind, float slope, int64_t position, int64_t key, Sqrt root) {
  if (kind == Alibi::plain) return slope * static_cast<float>(key - position);
  if (kind == Alibi::sqrt && key < position) return -slope * root(static_cast<float>(position - key));
  return 0;
}

/// Element offset of token slot (block, offset) of a KV head in the hnd layout; 64-bit.
constexpr int64_t hnd_offset(int64_t block, int64_t kv_head, int64_t offset, int64_t num_kv_heads, int64_t block_size, int64_t head_dim) {
  return ((block * num_kv_heads + kv_head) * block_size + offset) * head_dim;
}

/// Index of the scale that applies to (sequence, row or slot, head); `heads` counts the heads of the scaled tensor.
constexpr int64_t scale_index(Scales s, int64_t sequence, int64_t token, int64_t head, int64_t heads) {
  switch (s) {
    case Scales::head: return head;
    case Scales::seq_head: return sequence * heads + head;
    case Scales::token_head: return token * heads + head;
    default: return 0;
  }
}

/// Index of the token-head scale of a paged slot: scales are [num_blocks, num_kv_heads, block_size].
constexpr int64_t paged_scale_index(int64_t block, int64_t kv_head, int64_t offset, int64_t num_kv_heads, int64_t block_size) {
  return (block * num_kv_heads + kv_head) * block_size + offset;
}

}  // namespace attune
