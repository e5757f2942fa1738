#pragma once

// What a block of cuda.attention.wgmma_split_kv works on: forms of the kernel, its shared memory, and the plan that cuts a batch into units. The plan
// is made on the device, by every block alike, since lengths are not known on the host.
#include "kernels/cuda/attention_call.h"
#include "kernels/cuda/attention_products.h"

namespace attune::cuda {

inline constexpr float kNothing = -__builtin_inff();
inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

/// Everything of a kernel that is known when it is compiled. T: element of the products; F8: keys and values are e4m3.
template <class T_, bool F8_, int Dim_, int Columns_, int Groups_, bool Extras_>
struct Form {
  using T = T_;
  static constexpr bool kF8 = F8_, kExtras = Extras_;
  static constexpr int kDim = Dim_, kColumns = Columns_, kGroups = Groups_;
  static constexpr int kRows = kColumns * kGroups;
  static constexpr bool kWide = is_wide(kRows);  // S = Q·Kᵀ, and more registers for consumers, taken from a whole group of 4 warps that copies
  static constexpr int kConsumers = kGroups * kGroup, kThreads = kConsumers + (kWide ? kGroup : 32);
  static constexpr int kBlocks = most_blocks(kRows, kDim, kF8);                       // of a multiprocessor
  static constexpr int kPanels = kDim / (kF8 ? 128 : 64), kPanelBytes = kTile * 128;  // a panel: 128 bytes of each key of a tile
  static constexpr int kScaleBytes = kF8 ? kTile * 4 : 0;
  static constexpr int kTileBytes = kPanels * kPanelBytes;
  static constexpr int kWeightBytes = kColumns * 128;  // of one group
  static constexpr int kDimBlocks = kDim / 64;
  static constexpr int kScores = kColumns / 2;           // registers of S, and of one block of Oᵀ
  static constexpr int kOwn = kWide ? 2 : kColumns / 4;  // rows a thread has a part in
  static constexpr bool kQueryWaits = kWide && query_waits(kDim);
  static constexpr bool kReadsLayout = kWide && !F8_;  // from the launch's constants instead of making it: slower to start, fewer registers
  static constexpr bool kHoldsUnit = !kWide && kBlocks <= 2;  // in registers, where there are any; else it is read again and again
  static constexpr bool kConverts = kWide && kF8;  // other warps make f16 matrices of tiles; consumers see those alone
  static constexpr int kConverters = kConverts ? kConvertingWarps * 32 : 0;
  static constexpr int kMatrixBytes = kTile * kDim * 2, kMatrixPanels = kConverts ? kDim / 64 : kPanels;
  static constexpr bool kFoldStays = shape_of(kRows, kDim, kF8, waiting_nodes(kLevels)).shared_nodes > 0;  // in shared memory, whatever the lengths
  static constexpr int kNodeFloats = kRows * (kDim + 2);
  static constexpr float kBias = std::is_same_v<T, __half> ? 14.0f : 0.0f;  // weights are 2^bias·p, to stay clear of f16's subnormals
};

struct Plan {
  int level;  // a run is 2^level chunks
  int units;  // (sequence, run, tile of rows, KV head)
};

/// One sequence as the plan sees it.
struct Span {
  int q_first, q_len, kv_len;
  bool causal;
  int first_chunk, last_chunk;  // half-open, of the keys that some row sees
  int items;                    // tiles of rows × KV heads
};

/// What a block works on at a time.
struct alignas(16) Unit {
  int seq;  // negative: there are no more
  int head, first_row, rows;
  Span span;
  int runs, run;                // of the row (0: a rehearsal, of which nothing leaves the block); this one's index among them
  int leaves, first_leaf;       // of a split row: results that its join reads, of chunks in folds or of runs; absolute index of the first
  int slot;                     // of leaf 0 in the results
  bool by_chunk;                // leaves are chunks: a run that is a part of a fold leaves each of its own
  int first_chunk, last_chunk;  // of this run, half-open
  int low, high;                // keys that some row of this unit sees
  int first_tile, last_tile;    // half-open
  int all_low, all_high;        // keys that every row of this unit sees
};

static_assert(sizeof(Unit) <= kUnitBytes);

/// x = quotient · d + remainder, by d's inverse_of(): the product's upper half is at most 1 too small. 0 ≤ x, few instructions.
struct Divided {
  int quotient, remainder;
};
__device__ __forceinline__ Divided divided(int x, int d, uint32_t inverse) {
  const int q = static_cast<int>(__umulhi(static_cast<uint32_t>(x), inverse)), r = x - q * d;
  return r >= d ? Divided{q + 1, r - d} : Divided{q, r};
}

__device__ __forceinline__ int low_of(const AttentionCall& c, int position) { return c.window > 0 ? max(0, position - c.window + 1) : 0; }
__device__ __forceinline__ int high_of(const AttentionCall& c, const Span& s, int position) {
  int high = s.kv_len;
  if (s.causal) high = min(high, position + 1);
  if (c.window_right >= 0) high = min(high, position + c.window_right + 1);
  return max(high, 0);
}

template <class F>
__device__ __forceinline__ Span span_of(const AttentionCall& c, int seq) {
  Span s;
  s.q_first = c.q_start[seq];
  s.q_len = c.q_start[seq + 1] - s.q_first;
  s.kv_len = c.kv_lens[seq];
  s.causal = c.mask == Mask::causal || (c.mask == Mask::per_request && c.causal[seq] != 0);
  const int low = low_of(c, s.kv_len - s.q_len), high = high_of(c, s, s.kv_len - 1);
  s.first_chunk = low < high ? low / kChunk : 0;
  s.last_chunk = low < high ? (high + kChunk - 1) / kChunk : 0;
  s.items = (s.q_len * c.group + F::kRows - 1) / F::kRows * c.kv_heads;
  return s;
}

__device__ __forceinline__ int runs_of(const Span& s, int level) {
  return s.last_chunk > s.first_chunk ? ((s.last_chunk - 1) >> level) - (s.first_chunk >> level) + 1 : 1;
}
/// Results that wait for the join of a row; 0: it is not split.
__device__ __forceinline__ int leaves_of(const Span& s, int level) {
  const int runs = runs_of(s, level);
  return runs == 1 ? 0 : level < kFoldLevel ? s.last_chunk - s.first_chunk : runs;
}
/// The estimated time of a plan, in chunks: rounds of mean units, and one of the largest if they differ. +∞ where its partial results do not fit.
template <class F>
__device__ __forceinline__ float cost_of(const AttentionCall& c, int level, int units, int partials, int chunks, int longest) {
  constexpr float kSplit = (F::kWide ? 0.4f : 0.15f) * (F::kF8 ? 2.0f : 1.0f), kJoin = 0.5f;  // of a unit; of all, once
  if (partials > c.partials || (level < kFoldLevel ? longest : longest >> level) > kMostLeaves - 2)
    return level + 1 < c.plan_levels ? __builtin_inff() : 3e38f;
  const float u = static_cast<float>(max(units, 1)), blocks = static_cast<float>(gridDim.x), largest = static_cast<float>(min(longest, 1 << level));
  const float fixed = partials > 0 ? kJoin : 0.0f, work = static_cast<float>(chunks) + (partials > 0 ? u * kSplit : 0.0f);
  return fixed + (u <= blocks ? largest + (partials > 0 ? kSplit : 0.0f) : work / blocks + largest * 0.5f);
}

/// The plan of at most 32 sequences, by one warp: fills firsts and slots as make_plan() does.
template <class F>
__device__ __forceinline__ Plan plan_few(const AttentionCall& c, int* firsts, int* slots) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const Span s = lane < c.num_seqs ? span_of<F>(c, lane) : Span{};
  const int own = s.items * (s.last_chunk - s.first_chunk), longest = __reduce_max_sync(~0u, own > 0 ? s.last_chunk - s.first_chunk : 0);
  int level = 0, u = s.items, p = 0;  // where a chunk is all there is
  if (longest > 1) {
    const int chunks = __reduce_add_sync(~0u, own);
    int units = 0, partials = 0;  // of level `lane`
#pragma unroll 1
    for (int i = 0; i < c.plan_levels; ++i) {
      u = __reduce_add_sync(~0u, s.items * runs_of(s, i)), p = __reduce_add_sync(~0u, s.items * leaves_of(s, i));
      if (lane == i) units = u, partials = p;
    }
    const float cost = lane < c.plan_levels ? cost_of<F>(c, lane, units, partials, chunks, longest) : __builtin_inff();
    const float least = __uint_as_float(__reduce_min_sync(~0u, __float_as_uint(cost)));
    level = 31 - __clz(static_cast<int>(__ballot_sync(~0u, cost <= least * 1.005f)));
    u = s.items * runs_of(s, level), p = s.items * leaves_of(s, level);
  }
#pragma unroll 1
  for (int step = 1; step < 32; step *= 2) {
    const int a = __shfl_up_sync(~0u, u, step), b = __shfl_up_sync(~0u, p, step);
    if (lane >= step) u += a, p += b;
  }
  firsts[lane + 1] = u, slots[lane + 1] = p;
  if (lane == 0) firsts[0] = slots[0] = 0;
  return {level, __shfl_sync(~0u, u, 31)};
}

/// Fills firsts[0..kGroup] and slots[…]: units and partial results before each of kGroup stretches of sequences. All threads of the block.
template <class F>
__device__ Plan make_plan(const AttentionCall& c, int* plan) {
  int* firsts = plan;
  int* slots = firsts + kGroup + 1;
  int* units = slots + kGroup + 1;
  int* partials = units + kLevels;
  int* totals = partials + kLevels;  // chunks, longest; then sums of warps
  const int t = static_cast<int>(threadIdx.x), stretch = (c.num_seqs + kGroup - 1) / kGroup;
  if (c.num_seqs <= 32) {
    if (t < 32) {
      const Plan few = plan_few<F>(c, firsts, slots);
      if (t == 0) totals[0] = few.level, totals[1] = few.units;
    }
    __syncthreads();
    return {totals[0], totals[1]};
  }
  for (int i = t; i < 2 * kLevels + 2; i += F::kThreads) units[i] = 0;
  __syncthreads();
  if (t < kGroup) {
    const int begin = t * stretch, end = min(begin + stretch, c.num_seqs);
    const Span own = begin < end ? span_of<F>(c, begin) : Span{};
#pragma unroll 1
    for (int level = 0; level < c.plan_levels; ++level) {
      int u = 0, p = 0, chunks = 0, longest = 0;
#pragma unroll 1
      for (int seq = begin; seq < end; ++seq) {
        const Span s = seq == begin ? own : span_of<F>(c, seq);
        u += s.items * runs_of(s, level);
        p += s.items * leaves_of(s, level);
        chunks += s.items * (s.last_chunk - s.first_chunk);
        if (s.items > 0) longest = max(longest, s.last_chunk - s.first_chunk);
      }
      u = __reduce_add_sync(~0u, u), p = __reduce_add_sync(~0u, p);
      if (t % 32 == 0) atomicAdd(&units[level], u), atomicAdd(&partials[level], p);
      if (level > 0) continue;
      chunks = __reduce_add_sync(~0u, chunks), longest = __reduce_max_sync(~0u, longest);
      if (t % 32 == 0) atomicAdd(&totals[0], chunks), atomicMax(&totals[1], longest);
    }
  }
  __syncthreads();
  Plan chosen{c.plan_levels - 1, 0};
  float least = __builtin_inff();
#pragma unroll 1
  for (int level = c.plan_levels - 1; level >= 0; --level) {
    const float cost = cost_of<F>(c, level, units[level], partials[level], totals[0], totals[1]);
    if (cost < least * 0.995f) least = cost, chosen = {level, units[level]};
  }
  if (t < kGroup) {
    int u = 0, p = 0;
    for (int seq = t * stretch; seq < min((t + 1) * stretch, c.num_seqs); ++seq) {
      const Span s = span_of<F>(c, seq);
      u += s.items * runs_of(s, chosen.level);
      p += s.items * leaves_of(s, chosen.level);
    }
    for (int step = 1; step < 32; step *= 2) {
      const int a = __shfl_up_sync(~0u, u, step), b = __shfl_up_sync(~0u, p, step);
      if (t % 32 >= step) u += a, p += b;
    }
    if (t % 32 == 31) totals[2 + t / 32] = u, totals[6 + t / 32] = p;
    firsts[t + 1] = u, slots[t + 1] = p;
    if (t == 0) firsts[0] = slots[0] = 0;
  }
  __syncthreads();
  if (t < kGroup)
    for (int w = 0; w < t / 32; ++w) firsts[t + 1] += totals[2 + w], slots[t + 1] += totals[6 + w];
  __syncthreads();
  return chosen;
}

/// Whether blocks go through their code once before their turn: between the kernels of a layer a launch finds none of it in the caches. Where blocks
/// are many they come when the predecessor is nearly done, and a rehearsal costs more than it saves. Under a tree mask a window would hide keys of the
/// rehearsal's tile, where the copying warp already puts the unit's.
template <class F>
__device__ __forceinline__ bool rehearses(const AttentionCall& c, const Plan& plan) {
  return !F::kWide && c.past_stands && c.mask != Mask::tree && plan.units <= kMostMultiprocessors / 2;
}
/// A unit that is none: a token's query heads, and one tile of keys, all of them visible, that goes the way of tiles with edges.
template <class F>
__device__ __forceinline__ Unit rehearsal_unit(const AttentionCall& c) {
  Unit u = {};  // runs: 0
  u.rows = min(F::kRows, c.group);
  u.span = {.q_first = 0, .q_len = 1, .kv_len = kTile, .causal = false, .first_chunk = 0, .last_chunk = 1, .items = 1};
  u.last_chunk = 1, u.high = kTile, u.last_tile = 1;
  return u;
}

template <class F>
__device__ Unit unit_at(const AttentionCall& c, const Plan& plan, const int* firsts, int index) {
  const int* slots = firsts + kGroup + 1;
  const int stretch = (c.num_seqs + kGroup - 1) / kGroup;
  int low = 0, high = min(c.num_seqs, kGroup);  // the last stretch that starts at or before index
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (firsts[middle] <= index ? low : high) = middle;
  }
  Unit u;
  u.seq = low * stretch;
  int rest = index - firsts[low];
  u.slot = slots[low];
  for (;; ++u.seq) {
    u.span = span_of<F>(c, u.seq);
    u.runs = runs_of(u.span, plan.level), u.leaves = leaves_of(u.span, plan.level);
    const int units = u.span.items * u.runs;
    if (rest < units) break;
    rest -= units;
    u.slot += u.span.items * u.leaves;
  }
  // One tile of rows: the usual case takes few instructions, of which a launch finds none in the caches.
  const Divided at = u.span.items == c.kv_heads ? divided(rest, c.kv_heads, c.by_heads) : Divided{rest / u.span.items, rest % u.span.items};
  const Divided tile = divided(at.remainder, c.kv_heads, c.by_heads);
  u.run = at.quotient;
  u.slot += at.remainder * u.leaves;
  u.head = tile.remainder;
  u.first_row = tile.quotient * F::kRows;
  u.rows = min(F::kRows, u.span.q_len * c.group - u.first_row);
  const int run = (u.span.first_chunk >> plan.level) + u.run;
  u.by_chunk = u.runs > 1 && plan.level < kFoldLevel;
  u.first_leaf = u.by_chunk ? u.span.first_chunk : u.span.first_chunk >> plan.level;
  const int before = u.span.kv_len - u.span.q_len;
  const int first = before + divided(u.first_row, c.group, c.by_group).quotient;
  const int last = before + divided(u.first_row + u.rows - 1, c.group, c.by_group).quotient;
  u.low = low_of(c, first), u.high = high_of(c, u.span, last);
  u.all_low = low_of(c, last), u.all_high = high_of(c, u.span, first);
  u.first_chunk = max(run << plan.level, u.span.first_chunk);
  u.last_chunk = run >= (u.span.last_chunk - 1) >> plan.level ? u.span.last_chunk : (run + 1) << plan.level;
  const int from = max(u.low, u.first_chunk * kChunk), to = min(u.high, u.last_chunk * kChunk);
  u.first_tile = from / kTile;
  u.last_tile = from < to ? (to + kTile - 1) / kTile : u.first_tile;
  return u;
}

}  // namespace attune::cuda
