#pragma once

// How attention.cc cuts a launch into units of work, and the tree that joins their results. Included by attention.cc alone.

#include "kernels/cpu/simd_tiles.h"
#include "ops/attention.h"
#include "ops/attention_math.h"

namespace attune::cpu::ATTUNE_ISA {
namespace {

constexpr int kChunk = 256;      // keys that share one set of accumulators
constexpr int kGroup = 16;       // consecutive tokens that lie in one block
constexpr int kKeyTile = 64;     // keys packed at a time
constexpr int kValueTile = 128;  // values packed at a time
constexpr int kFewRows = 8;      // up to so many rows of a KV head, K and V are used as they come; more rows pack them first
/// Up to so many, passes of kFewRows over K and V cost less than packing them, where there are registers for such rows.
constexpr int kRowsInPasses = kRegisters == 32 ? 32 : kFewRows;
constexpr int kMaxRows = 128;  // rows of a tile
constexpr int kMaxLevels = 32;
constexpr int64_t kStackFloats = 160 * 1024;  // scratch of a worker where the workspace is too small
constexpr int64_t kMaxSlotBytes = int64_t{32} << 20;

constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/// head_dim of a packed row: whole vectors or, in bf16 pairs, as many of them as 64 bytes of K or V fill.
constexpr int64_t padded_dim(const AttentionDesc& d) { return round_up(d.head_dim, !kNativePairs ? 16 : size_of(d.kv_dtype) == 1 ? 64 : 32); }
/// The most that any instruction set pads to.
constexpr int64_t widest_padding(const AttentionDesc& d) { return round_up(d.head_dim, size_of(d.kv_dtype) == 1 ? 64 : 32); }

/// Buffers of the combining tree that can be alive at once for a number of chunks.
constexpr int64_t node_count(int64_t chunks) {
  int64_t levels = 1;
  while ((chunks >> levels) > 0) ++levels;
  return levels + 1;
}
/// A node: accumulators [rows][padded], maxima [rows], sums [rows]; the last two are handled sixteen at a time.
constexpr int64_t node_floats(int64_t rows, int64_t padded) { return rows * padded + 2 * round_up(rows, 16); }
constexpr int64_t scratch_floats(int64_t rows, int64_t heads, int64_t padded, int64_t nodes) {
  return rows * (padded + kChunk + 1) + padded * (kKeyTile + kValueTile) + kGroup * round_up(padded, 64) + 2 * heads * kChunk +
         nodes * node_floats(rows, padded) + 64;
}

/// How many rows a tile holds and how many KV heads it joins. Few rows are taken for many heads at once: then a worker reads whole blocks of the
/// cache, in the order in which they lie in memory.
struct TileShape {
  int64_t rows, heads;
};
constexpr TileShape tile_shape(const AttentionDesc& desc, int64_t most_rows) {
  if (most_rows > kFewRows && most_rows <= kRowsInPasses) return {kFewRows, 1};
  const int64_t room = larger(16, smaller(kMaxRows, 16384 / round_up(desc.head_dim, 16) / 16 * 16));
  const int64_t heads = most_rows <= kFewRows ? smaller(desc.num_kv_heads, room / most_rows) : 1;
  return {smaller(room, round_up(most_rows * heads, 16)), heads};
}

/// Everything about a launch that does not depend on the element type.
struct Plan {
  const AttentionDesc& desc;
  const AttentionParams& params;
  int64_t padded = 0;  // head_dim, rounded up
  int64_t query = 0;   // floats of a packed query row
  int64_t tile_rows = 0;
  int64_t heads = 1;  // KV heads of a tile
  int64_t nodes = 0;
  int64_t run = 1;  // chunks of a run, a power of two
  int64_t total_cost = 0;
  int64_t total_slots = 0;
  int workers = 1;
  float* scratch = nullptr;  // [workers][scratch_size]; null: on the worker's stack
  int64_t scratch_size = 0;
  float* slots = nullptr;  // [total_slots] nodes: the runs of tiles that have more than one

  int64_t rows(int64_t seq) const { return (params.q_start[seq + 1] - params.q_start[seq]) * desc.gqa_group; }
};

/// Rows [first_row, first_row + rows) of KV heads [kv_head, kv_head + heads) of a sequence, and the chunks they can see. Row i of a head is query
/// token i / group and query head i % group of the KV head; the rows of a tile are counted head by head.
struct Tile {
  int64_t seq = 0, kv_head = 0, heads = 1, first_row = 0, rows = 0;
  int64_t first_chunk = 0, last_chunk = 0;
  int64_t all_rows() const { return heads * rows; }
  int64_t runs(int64_t run) const { return last_chunk > first_chunk ? (last_chunk - 1) / run - first_chunk / run + 1 : 1; }
  /// The cost of some of its chunks, in rows × chunks: reading a chunk is worth about 16 rows.
  int64_t cost(int64_t chunks) const { return chunks * heads * (rows + 16) + 1; }
};

/// A row of a tile: its query token, counted in the sequence and in the call, and its heads.
struct RowIndex {
  int64_t token, call_token, kv_head, head;
};
RowIndex row_index(const Plan& p, const Tile& t, int64_t r) {
  const int64_t group = p.desc.gqa_group, row = t.first_row + r % t.rows, token = row / group, kv_head = t.kv_head + r / t.rows;
  return {token, p.params.q_start[t.seq] + token, kv_head, kv_head * group + row % group};
}

[[gnu::flatten]] RowView row_view(const Plan& p, int64_t seq, int64_t token) {
  const AttentionDesc& d = p.desc;
  RowView r;
  r.q_len = p.params.q_start[seq + 1] - p.params.q_start[seq];
  r.kv_len = p.params.kv_lens[seq];
  r.position = r.kv_len - r.q_len + token;
  r.causal = d.mask == attune::Mask::causal || (d.mask == attune::Mask::per_request && p.params.causal[seq] != 0);
  if (d.mask == attune::Mask::tree) r.tree = p.params.tree + (p.params.q_start[seq] + token) * p.params.tree_words;
  if (d.ranges) r.ranges = p.params.ranges + seq * p.params.num_ranges * 2, r.num_ranges = p.params.num_ranges;
  r.window = d.window;
  r.window_right = d.window_right;
  return r;
}

/// Tile `index` of a sequence's rows, for its first KV heads.
[[gnu::flatten]] Tile tile_at(const Plan& p, int64_t seq, int64_t index) {
  Tile t;
  t.seq = seq;
  t.first_row = index * p.tile_rows;
  t.rows = smaller(p.tile_rows, p.rows(seq) - t.first_row);
  t.heads = p.heads;
  const int64_t first_token = t.first_row / p.desc.gqa_group, last_token = (t.first_row + t.rows - 1) / p.desc.gqa_group;
  int64_t first = INT64_MAX, last = 0;
  for (int64_t token = first_token; token <= last_token; ++token) {
    const KeySpan s = key_span(row_view(p, seq, token));
    if (s.last <= s.first) continue;
    first = smaller(first, s.first), last = larger(last, s.last);
  }
  t.first_chunk = last > 0 ? first / kChunk : 0;
  t.last_chunk = last > 0 ? (last + kChunk - 1) / kChunk : 0;
  return t;
}

/// What `p.heads` KV heads of a sequence cost, and how many nodes their split tiles store.
struct Cost {
  int64_t cost = 0, slots = 0, largest = 0;
};
Cost heads_cost(const Plan& p, int64_t seq) {
  Cost c;
  for (int64_t i = 0; i * p.tile_rows < p.rows(seq); ++i) {
    const Tile t = tile_at(p, seq, i);
    const int64_t runs = t.runs(p.run), cost = t.cost(t.last_chunk - t.first_chunk) + runs - 1;
    c.cost += cost;
    c.largest = larger(c.largest, cost);
    c.slots += runs > 1 ? runs : 0;
  }
  return c;
}
Cost total_cost(const Plan& p) {
  Cost total;
  const int64_t times = (p.desc.num_kv_heads + p.heads - 1) / p.heads;
  for (int64_t seq = 0; seq < p.params.num_seqs; ++seq) {
    const Cost each = heads_cost(p, seq);
    total.cost += each.cost * times;
    total.slots += each.slots * times;
    total.largest = larger(total.largest, each.largest);
  }
  return total;
}

/// Calls f(tile, first chunk, last chunk, slot) for every unit of work in a worker's share: a tile's run of chunks, in a fixed order. `slot`
/// counts the runs of tiles that have more than one; −1 for the others. A unit belongs to the share that holds its middle.
template <class F>
void for_each_unit(const Plan& p, int64_t share, const F& f) {
  const int64_t low = p.total_cost * share / p.workers * 2, high = p.total_cost * (share + 1) / p.workers * 2;  // twice the cost: middles are whole
  int64_t cost = 0, slot = 0;
  for (int64_t seq = 0; seq < p.params.num_seqs && 2 * cost < high; ++seq) {
    const Cost each = heads_cost(p, seq);
    for (int64_t head = 0; head < p.desc.num_kv_heads; head += p.heads) {
      if (2 * (cost + each.cost) <= low || 2 * cost >= high) {
        cost += each.cost, slot += each.slots;
        continue;
      }
      for (int64_t i = 0; i * p.tile_rows < p.rows(seq); ++i) {
        Tile t = tile_at(p, seq, i);
        t.kv_head = head;
        const int64_t runs = t.runs(p.run), first_run = t.first_chunk / p.run;
        for (int64_t run = 0; run < runs; ++run) {
          const int64_t first = larger(t.first_chunk, (first_run + run) * p.run), last = smaller(t.last_chunk, (first_run + run + 1) * p.run);
          const int64_t unit = t.cost(last - first), middle = 2 * cost + unit;
          cost += unit;
          if (middle <= low || middle > high) continue;
          Tile mine = t;
          mine.heads = smaller(p.heads, p.desc.num_kv_heads - head);
          f(mine, first, last, runs > 1 ? slot + run : -1);
        }
        slot += runs > 1 ? runs : 0;
      }
    }
  }
}

/// Calls f(tile, slot of its first run) for every tile that was split, in the order of for_each_unit.
template <class F>
void for_each_split_tile(const Plan& p, const F& f) {
  int64_t slot = 0;
  for (int64_t seq = 0; seq < p.params.num_seqs; ++seq)
    for (int64_t head = 0; head < p.desc.num_kv_heads; head += p.heads)
      for (int64_t i = 0; i * p.tile_rows < p.rows(seq); ++i) {
        Tile t = tile_at(p, seq, i);
        if (t.runs(p.run) == 1) continue;
        t.kv_head = head, t.heads = smaller(p.heads, p.desc.num_kv_heads - head);
        f(t, slot);
        slot += t.runs(p.run);
      }
}

/// Chooses rows of a tile and chunks of a run so that the work spreads over the workers and fits the workspace. Neither changes a bit of the result.
void make_plan(const ExecContext& ctx, Plan* p) {
  int64_t most_rows = 1, longest_kv = 1;
  for (int64_t seq = 0; seq < p->params.num_seqs; ++seq) {
    most_rows = larger(most_rows, p->rows(seq));
    longest_kv = larger(longest_kv, p->params.kv_lens[seq]);
  }
  const TileShape shape = tile_shape(p->desc, most_rows);
  p->workers = ctx.pool->size();
  p->padded = padded_dim(p->desc);
  p->query = p->padded / (kNativePairs ? 2 : 1);
  p->nodes = node_count((longest_kv + kChunk - 1) / kChunk);
  p->tile_rows = shape.rows, p->heads = shape.heads;
  p->scratch_size = round_up(scratch_floats(p->tile_rows, p->heads, p->padded, p->nodes), 16);
  const uintptr_t address = reinterpret_cast<uintptr_t>(ctx.workspace.data), aligned = (address + 63) / 64 * 64;
  int64_t room = static_cast<int64_t>(ctx.workspace.bytes) - static_cast<int64_t>(aligned - address);
  room = ctx.workspace.data == nullptr || room < 0 ? 0 : room / static_cast<int64_t>(sizeof(float));
  float* memory = reinterpret_cast<float*>(aligned);
  if (p->scratch_size * p->workers <= room) {
    p->scratch = memory;
    p->slots = memory + p->scratch_size * p->workers;
    room -= p->scratch_size * p->workers;
  } else {
    while (p->tile_rows > 4 && scratch_floats(p->tile_rows, p->heads, p->padded, p->nodes) > kStackFloats) {
      p->tile_rows /= 2;
      p->heads = larger(1, smaller(p->heads, p->tile_rows / most_rows));
    }
    p->slots = memory;
  }
  p->run = int64_t{1} << 40;
  Cost total = total_cost(*p);
  p->total_cost = total.cost;
  if (p->workers == 1 || total.largest * p->workers * 8 <= total.cost) return;
  const int64_t chunk_cost = p->heads * (smaller(most_rows, p->tile_rows) + 16), wanted = total.cost / (p->workers * 8 * chunk_cost);
  for (p->run = 1; p->run * 2 <= wanted;) p->run *= 2;
  total = total_cost(*p);
  while (total.slots * node_floats(p->tile_rows, p->padded) > room) {
    p->run *= 2;
    total = total_cost(*p);
  }
  p->total_cost = total.cost;
  p->total_slots = total.slots;
}

/// The memory of a worker.
struct Scratch {
  float* query;        // [rows][plan.query]
  float* scores;       // [rows][kChunk]; then the weights, in steps
  float* keys;         // [padded / kPair][kKeyTile]
  float* values;       // [kValueTile / kPair][padded]
  float* row_factor;   // [rows]
  float* key_scale;    // [heads][kChunk]
  float* value_scale;  // [heads][kChunk]
  float* staging;      // kGroup rows of a cache, each rounded up to 64 elements of at most 4 bytes
  float* spare[kMaxLevels + 2];
  int spare_count = 0;

  Scratch(const Plan& p, float* memory) {
    const auto take = [&](int64_t n) { return memory += n, memory - n; };
    query = take(p.tile_rows * p.padded);
    scores = take(p.tile_rows * kChunk);
    keys = take(p.padded * kKeyTile);
    values = take(p.padded * kValueTile);
    key_scale = take(p.heads * kChunk);
    value_scale = take(p.heads * kChunk);
    staging = take(kGroup * round_up(p.padded, 64));
    for (; spare_count < p.nodes; ++spare_count) spare[spare_count] = take(node_floats(p.tile_rows, p.padded));
    row_factor = take(p.tile_rows);
  }
};

/// The partial result of all rows of a tile over some chunks.
struct Node {
  float* acc;
  int64_t rows, padded;
  float* maximum() const { return acc + rows * padded; }
  float* sum() const { return acc + rows * padded + round_up(rows, 16); }
};

/// right ← left combined with right. Exact where one side is the identity.
void combine(const Node& left, const Node& right, int64_t rows) {
  for (int64_t r = 0; r < rows; r += kWidth) {
    const Vec ml = load(left.maximum() + r), mr = load(right.maximum() + r), m = max(ml, mr);
    const Vec safe = select(less(broadcast(-kInfinity), m), m, zero());
    const Vec fl = exp(ml - safe), fr = exp(mr - safe);
    store(right.sum() + r, fma(load(right.sum() + r), fr, load(left.sum() + r) * fl));
    store(right.maximum() + r, m);
    float left_factor[kWidth], right_factor[kWidth];
    store(left_factor, fl), store(right_factor, fr);
    for (int64_t i = 0; i < kWidth && r + i < rows; ++i) {
      const Vec a = broadcast(left_factor[i]), b = broadcast(right_factor[i]);
      const float* x = left.acc + (r + i) * left.padded;
      float* y = right.acc + (r + i) * right.padded;
      for (int64_t d = 0; d < right.padded; d += kWidth) store(y + d, fma(load(y + d), b, load(x + d) * a));
    }
  }
}

/// The pending left children of the combining tree, by level. Chunks (or runs) are put in with rising absolute index.
struct Tree {
  int64_t rows, padded, used_rows;
  Scratch* spares;  // where buffers go back to, or null
  float* pending[kMaxLevels] = {};

  void join(float* left, float* right) {
    combine({left, rows, padded}, {right, rows, padded}, used_rows);
    if (spares != nullptr) spares->spare[spares->spare_count++] = left;
  }
  void put(float* node, int64_t index) {
    int level = 0;
    for (; ((index >> level) & 1) != 0; ++level) {
      if (pending[level] != nullptr) join(pending[level], node);
      pending[level] = nullptr;
    }
    pending[level] = node;
  }
  /// The root; null if nothing was put in.
  float* finish() {
    float* node = nullptr;
    for (float* left : pending) {
      if (left == nullptr) continue;
      if (node != nullptr) join(left, node);
      node = node != nullptr ? node : left;
    }
    return node;
  }
};

}  // namespace
}  // namespace attune::cpu::ATTUNE_ISA
