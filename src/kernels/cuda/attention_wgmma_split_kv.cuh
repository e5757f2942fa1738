#pragma once

// cuda.attention.wgmma_split_kv: paged attention for few query tokens (decode, verify). S = K·Qᵀ and Oᵀ = Vᵀ·Pᵀ: keys and head_dim lie along the 64
// rows of wgmma, the rows of a KV head (query tokens × its query heads) along its columns, so that 4 rows cost little and 64 rows nothing more.
//
// A block is a warp that copies pages into a ring of tiles of 64 keys, and one or two groups of 4 warps that consume them, each for kColumns rows.
// Keys are cut at absolute multiples of kChunk; a chunk starts fresh accumulators, in it the maximum is carried from tile to tile. Chunks are joined
// by the binary tree over their absolute index: a block joins an aligned run of 2ⁿ chunks; if a row has several runs, the block that finishes last
// joins them. So a row's bits depend neither on the batch nor on how keys are split. Hidden keys: scores are selected to −∞, rows of V zeroed.
#include "kernels/cuda/attention_call.h"
#include "kernels/cuda/attention_products.h"

namespace attune::cuda {

inline constexpr float kNothing = -__builtin_inff();
inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;
inline constexpr int kGroup = 128;  // threads of a warpgroup
inline constexpr int kQueue = 4;    // units that the copying warp may be ahead

/// Everything of a kernel that is known when it is compiled. T: element of the products; F8: keys and values are e4m3.
template <class T_, bool F8_, int Dim_, int Columns_, int Groups_, bool Extras_>
struct Form {
  using T = T_;
  static constexpr bool kF8 = F8_, kExtras = Extras_;
  static constexpr int kDim = Dim_, kColumns = Columns_, kGroups = Groups_;
  static constexpr int kRows = kColumns * kGroups;
  static constexpr bool kWide = kRows >= 64;  // more registers for the consumers, taken from a whole group of 4 warps that copies
  static constexpr int kConsumers = kGroups * kGroup, kThreads = kConsumers + (kWide ? kGroup : 32);
  static constexpr int kBlocks = kGroups > 1 || kDim > 128 ? 1 : kWide ? 2 : 3;       // a multiprocessor, as far as registers go
  static constexpr int kPanels = kDim / (kF8 ? 128 : 64), kPanelBytes = kTile * 128;  // a panel: 128 bytes of each key of a tile
  static constexpr int kScaleBytes = kF8 ? kTile * 4 : 0;
  static constexpr int kTileBytes = kPanels * kPanelBytes;
  static constexpr int kQueryPanels = kDim / 64, kQueryBytes = kQueryPanels * kRows * 128;
  static constexpr int kWeightBytes = kColumns * 128;  // of one group
  static constexpr int kDimBlocks = kDim / 64;
  static constexpr int kScores = kColumns / 2;  // registers of S, and of one block of Oᵀ
  static constexpr int kOwn = kColumns / 4;     // columns a thread has a part in
  static constexpr int kNodeFloats = kRows * (kDim + 2);
  static constexpr float kBias = std::is_same_v<T, __half> ? 14.0f : 0.0f;  // weights are 2^bias·p, to stay clear of f16's subnormals
};

/// Where things are in a block's shared memory (byte offsets from a multiple of 1024).
template <class F>
struct Layout {
  int query, weights, scales, nodes, maxima, seen, limits, factors, slopes, plan, barriers, units, end;
  __host__ __device__ constexpr Layout(int stages, int levels) {
    query = stages * F::kTileBytes;
    weights = query + F::kQueryBytes;
    scales = weights + F::kGroups * F::kWeightBytes;
    nodes = scales + stages * F::kScaleBytes;
    maxima = nodes + levels * F::kNodeFloats * 4;
    seen = maxima + F::kRows * 4 * 4;
    limits = seen + F::kRows * 8;
    factors = limits + F::kRows * 8;
    slopes = factors + F::kRows * 4;
    plan = slopes + F::kRows * 4;
    barriers = plan + (2 * (kGroup + 1) + 2 * kLevels + 10 + 1 + kQueue) * 4;
    barriers = (barriers + 7) / 8 * 8;
    units = barriers + stages * 16;
    end = units + kQueue * 16;
  }
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
struct Unit {
  int seq, head, first_row, rows;
  Span span;
  int runs, run;              // of the row; this one's index among them
  int first_run;              // absolute index of the first
  int slot;                   // of run 0 in the results
  int low, high;              // keys that some row of this unit sees
  int first_tile, last_tile;  // half-open
  int all_low, all_high;      // keys that every row of this unit sees
};

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

// ---- the plan: every block makes the same one ---------------------------------------------------------------------------------------------------

/// Of the levels whose partial results fit, the one with the least estimated time: rounds of mean units, and one of the largest if they differ.
template <class F>
__device__ Plan choose_level(const AttentionCall& c, const int* units, const int* partials, int chunks, int longest) {
  const float split_cost = F::kRows >= 32 ? 0.25f : 0.06f;
  Plan best{c.plan_levels - 1, units[c.plan_levels - 1]};
  float least = __builtin_inff();
#pragma unroll 1
  for (int level = c.plan_levels - 1; level >= 0; --level) {
    if (c.forced_level >= 0 && level < c.forced_level) break;
    if (partials[level] > c.partials || (longest >> level) > kMostRuns - 2) continue;
    const float u = static_cast<float>(max(units[level], 1));
    const float blocks = static_cast<float>(gridDim.x), largest = static_cast<float>(min(longest, 1 << level));
    const float work = static_cast<float>(chunks) + (partials[level] > 0 ? u * split_cost : 0.0f);
    const float cost = u <= blocks ? largest + split_cost : work / blocks + largest * 0.5f;
    if (cost < least * 0.995f || c.forced_level >= 0) least = cost, best = {level, units[level]};
  }
  return best;
}

/// Fills firsts[0..kGroup] and slots[…]: units and partial results before each of kGroup stretches of sequences. All threads of the block.
template <class F>
__device__ Plan make_plan(const AttentionCall& c, int* plan) {
  int* firsts = plan;
  int* slots = firsts + kGroup + 1;
  int* units = slots + kGroup + 1;
  int* partials = units + kLevels;
  int* totals = partials + kLevels;  // chunks, longest
  const int t = static_cast<int>(threadIdx.x), stretch = (c.num_seqs + kGroup - 1) / kGroup;
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
        const int runs = runs_of(s, level);
        u += s.items * runs;
        p += runs > 1 ? s.items * runs : 0;
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
  const Plan chosen = choose_level<F>(c, units, partials, totals[0], totals[1]);
  if (t < kGroup) {
    int u = 0, p = 0;
    for (int seq = t * stretch; seq < min((t + 1) * stretch, c.num_seqs); ++seq) {
      const Span s = span_of<F>(c, seq);
      const int runs = runs_of(s, chosen.level);
      u += s.items * runs;
      p += runs > 1 ? s.items * runs : 0;
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

template <class F>
__device__ Unit unit_at(const AttentionCall& c, const Plan& plan, const int* firsts, int index) {
  const int* slots = firsts + kGroup + 1;
  const int stretch = (c.num_seqs + kGroup - 1) / kGroup;
  int low = 0, high = kGroup;  // the last stretch that starts at or before index
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
    u.runs = runs_of(u.span, plan.level);
    const int units = u.span.items * u.runs;
    if (rest < units) break;
    rest -= units;
    u.slot += u.runs > 1 ? units : 0;
  }
  const int item = rest % u.span.items;
  u.run = rest / u.span.items;
  u.slot += item * u.runs;
  u.head = item % c.kv_heads;
  u.first_row = item / c.kv_heads * F::kRows;
  u.rows = min(F::kRows, u.span.q_len * c.group - u.first_row);
  u.first_run = u.span.first_chunk >> plan.level;
  const int before = u.span.kv_len - u.span.q_len;
  const int first = before + u.first_row / c.group, last = before + (u.first_row + u.rows - 1) / c.group;
  u.low = low_of(c, first), u.high = high_of(c, u.span, last);
  u.all_low = low_of(c, last), u.all_high = high_of(c, u.span, first);
  const int run = u.first_run + u.run;
  const int64_t end = (static_cast<int64_t>(run) + 1) << plan.level;
  const int from = max(u.low, (run << plan.level) * kChunk);
  const int to = static_cast<int>(min(static_cast<int64_t>(min(u.high, u.span.last_chunk * kChunk)), end * kChunk));
  u.first_tile = from / kTile;
  u.last_tile = from < to ? (to + kTile - 1) / kTile : u.first_tile;
  return u;
}

// ---- the copying warp ---------------------------------------------------------------------------------------------------------------------------

/// The row of the tensor map (key of the cache) where this lane's piece of a chunk starts; −1: no row of the unit sees it, or there is none.
__device__ __forceinline__ int piece_of(const AttentionCall& c, const Unit& u, int chunk) {
  const int key = chunk * kChunk + static_cast<int>(threadIdx.x % 32) * c.box;
  if (key >= u.high || key + c.box <= u.low || static_cast<int>(threadIdx.x % 32) * c.box >= kChunk) return -1;
  const int page = key / c.block_size;
  return (c.block_table[u.seq * c.max_blocks + page] * c.kv_heads + u.head) * c.block_size + key - page * c.block_size;
}

struct Ring {
  int stage = 0;
  uint32_t phase = 0;
  __device__ __forceinline__ void next(int stages) {
    if (++stage == stages) stage = 0, phase ^= 1;
  }
};

/// Units on their way from the copying warp to the consumers.
struct Queue {
  int* units;
  uint32_t barriers;  // full and empty of each place
  int place = 0;
  uint32_t phase = 0;

  __device__ __forceinline__ void put(int unit) {  // one thread
    tile_wait(barriers + place * 16 + 8, phase ^ 1);
    units[place] = unit;
    barrier_arrive(barriers + place * 16);
    next();
  }
  __device__ __forceinline__ int take() {  // all consumers
    tile_wait(barriers + place * 16, phase);
    const int unit = units[place];
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barriers + place * 16 + 8);
    next();
    return unit;
  }
  __device__ __forceinline__ void next() {
    if (++place == kQueue) place = 0, phase ^= 1;
  }
};
template <class F>
__device__ __forceinline__ Queue queue_of(unsigned char* base, const Layout<F>& at) {
  return {reinterpret_cast<int*>(base + at.barriers) - kQueue, shared_address(base) + at.units};
}

__device__ __forceinline__ unsigned long long now() {
  unsigned long long t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
  return t;
}

template <class F>
__device__ __forceinline__ void copy_tile(const AttentionCall& c, const CUtensorMap* map, const float* scales, int row, bool copies, uint32_t base,
                                          const Layout<F>& at, const Ring& ring, int piece, int panel) {
  const uint32_t full = base + at.barriers + ring.stage * 16, empty = full + 8;
  const int count = __popc(__ballot_sync(~0u, copies));
  const int scaled = __popc(__ballot_sync(~0u, copies && panel == 0));
  const bool with_scales = F::kF8 && c.kv_scale == Scales::token_head;
  if (threadIdx.x % 32 == 0) {
    tile_wait(empty, ring.phase ^ 1);
    barrier_arrive_expect(full, count * c.box * 128 + (with_scales ? scaled * c.box * 4 : 0));
  }
  __syncwarp();
  if (!copies) return;
  const uint32_t to = base + ring.stage * F::kTileBytes + panel * F::kPanelBytes + piece * c.box * 128;
  if (c.read_once)
    copy_box(to, map, panel * 64, row, full, policy_evict_first());
  else
    copy_box(to, map, panel * 64, row, full);
  if (with_scales && panel == 0) copy_bytes(base + at.scales + ring.stage * F::kScaleBytes + piece * c.box * 4, scales + row, c.box * 4, full);
}

template <class F>
__device__ void produce(const AttentionCall& c, const CUtensorMap* k_map, const CUtensorMap* v_map, const Plan& plan, const int* firsts,
                        unsigned char* memory, const Layout<F>& at) {
  const int lane = static_cast<int>(threadIdx.x % 32), pieces = kTile / c.box;
  const int piece = lane / F::kPanels, panel = lane % F::kPanels;
  const uint32_t base = shared_address(memory);
  Queue queue = queue_of<F>(memory, at);
  Ring ring;
  for (int index = static_cast<int>(blockIdx.x);;) {
    if (lane == 0) queue.put(index);
    if (index >= plan.units) break;
    const Unit u = unit_at<F>(c, plan, firsts, index);
    int rows = u.first_tile < u.last_tile ? piece_of(c, u, u.first_tile / kTilesPerChunk) : -1, next = -1;
    for (int tile = u.first_tile; tile < u.last_tile; ++tile) {
      if (tile % kTilesPerChunk == 0 && tile != u.first_tile) rows = next;
      if (tile % kTilesPerChunk == 0 || tile == u.first_tile) next = piece_of(c, u, tile / kTilesPerChunk + 1);
      const int row = __shfl_sync(~0u, rows, tile % kTilesPerChunk * pieces + min(piece, pieces - 1));
      const bool copies = piece < pieces && row >= 0;
      copy_tile<F>(c, k_map, c.k_scale, row, copies, base, at, ring, piece, panel);
      ring.next(c.stages);
      copy_tile<F>(c, v_map, c.v_scale, row, copies, base, at, ring, piece, panel);
      ring.next(c.stages);
    }
    int taken = 0;
    if (c.ticket != nullptr && lane == 0) {
      wait_for_predecessor();  // it cleared the ticket
      taken = atomicAdd(c.ticket, 1);
    }
    const int blocks = static_cast<int>(gridDim.x);
    index = c.ticket != nullptr ? blocks + __shfl_sync(~0u, taken, 0) : index + blocks;
  }
}

// ---- the consumers: nodes of the tree -------------------------------------------------------------------------------------------------------------

/// A subtree's result; a thread holds elements of kOwn columns (rows of the problem). Weights and sums are relative to 2^maximum.
template <class F>
struct Node {
  float maximum[F::kOwn], sum[F::kOwn];
  float values[F::kDimBlocks][F::kScores];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int j = 0; j < F::kOwn; ++j) maximum[j] = kNothing, sum[j] = 0;
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
      for (int i = 0; i < F::kScores; ++i) values[b][i] = 0;
  }
};

/// Factors that bring two nodes to their common maximum.
struct Factors {
  float maximum, left, right;
};
__device__ __forceinline__ Factors factors_of(float left, float right) {
  const float m = fmaxf(left, right), safe = m == kNothing ? 0.0f : m;
  return {m, exp2_fast(left - safe), exp2_fast(right - safe)};
}
/// left·a + right·b, but exactly one of them where the other is absent.
__device__ __forceinline__ float join(float left, float right, const Factors& f) {
  const float both = fmaf(left, f.left, right * f.right);
  return f.left == 0.0f ? right * f.right : f.right == 0.0f ? left * f.left : both;
}

/// This thread's place among the consumers.
struct Place {
  int group, warp, lane, row, column;  // row: lane / 4; column: first of a pair
};
__device__ __forceinline__ Place place_of() {
  const int t = static_cast<int>(threadIdx.x);
  return {t / kGroup, t % kGroup / 32, t % 32, t % 32 / 4, t % 4 * 2};
}

/// Where the nodes of one block that wait for their right siblings stand.
template <class F>
struct Waiting {
  float* shared;
  float* spill;
  int shared_levels;

  __device__ __forceinline__ float* at(int level) const {
    return level < shared_levels ? shared + level * F::kNodeFloats : spill + static_cast<int64_t>(level - shared_levels) * F::kNodeFloats;
  }
  __device__ __forceinline__ void push(int level, const Node<F>& n) const {
    float* to = at(level);
    const int t = static_cast<int>(threadIdx.x);
    const Place p = place_of();
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
      for (int i = 0; i < F::kScores; ++i) to[(b * F::kScores + i) * F::kConsumers + t] = n.values[b][i];
    float* heads = to + F::kRows * F::kDim + p.group * F::kColumns * 2;
    if (p.warp == 0 && p.row == 0)
#pragma unroll
      for (int j = 0; j < F::kOwn; ++j) {
        const int column = j / 2 * 8 + p.column + j % 2;
        heads[column * 2] = n.maximum[j], heads[column * 2 + 1] = n.sum[j];
      }
  }
  /// n becomes the join of the waiting left sibling and n. A barrier of the group stands between push and this.
  __device__ __forceinline__ void join_left(int level, Node<F>& n) const {
    const float* from = at(level);
    const int t = static_cast<int>(threadIdx.x);
    const Place p = place_of();
    const float* heads = from + F::kRows * F::kDim + p.group * F::kColumns * 2;
#pragma unroll
    for (int j = 0; j < F::kOwn; ++j) {
      const int column = j / 2 * 8 + p.column + j % 2;
      const Factors f = factors_of(heads[column * 2], n.maximum[j]);
      n.sum[j] = join(heads[column * 2 + 1], n.sum[j], f);
      n.maximum[j] = f.maximum;
#pragma unroll
      for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int i = j / 2 * 4 + h * 2 + j % 2;
          n.values[b][i] = join(from[(b * F::kScores + i) * F::kConsumers + t], n.values[b][i], f);
        }
    }
  }
};

/// The element of head_dim that values[block][i] belongs to, for h = i / 2 % 2.
template <class F>
__device__ __forceinline__ int dim_of(const Place& p, int block, int h) {
  return F::kF8 ? block * 64 + p.warp * 16 + p.row * 2 + h : block * 64 + p.warp * 16 + p.row + h * 8;
}

/// Stores elements i and i + 1.
__device__ __forceinline__ void store_pair(const AttentionCall& c, int64_t i, float x, float y) {
  if (c.out_dtype == DType::f32) {
    static_cast<float*>(c.out)[i] = x, static_cast<float*>(c.out)[i + 1] = y;
    return;
  }
  const uint32_t bits = c.out_dtype == DType::bf16 ? pack(x, y, __nv_bfloat16{}) : pack(x, y, __half{});
  uint16_t* to = static_cast<uint16_t*>(c.out) + i;
  if (c.out_paired)
    *reinterpret_cast<uint32_t*>(to) = bits;
  else
    to[0] = static_cast<uint16_t>(bits), to[1] = static_cast<uint16_t>(bits >> 16);
}

/// The scale that all keys or values of a unit share.
__device__ __forceinline__ float common_scale(const AttentionCall& c, const Unit& u, const float* scales) {
  switch (c.kv_scale) {
    case Scales::tensor: return scales[0];
    case Scales::head: return scales[u.head];
    case Scales::seq_head: return scales[u.seq * c.kv_heads + u.head];
    default: return 1;
  }
}

/// What a finished row multiplies its accumulators with; also stores its LSE.
struct Finish {
  int64_t out;  // index of the row's first element
  float factor;
};
__device__ __forceinline__ Finish finish_row(const AttentionCall& c, const Unit& u, int row, float maximum, float sum, bool stores_lse) {
  const int r = u.first_row + row, token = u.span.q_first + r / c.group, head = u.head * c.group + r % c.group;
  float factor = 1;
  if (c.sinks != nullptr) {
    const Factors f = factors_of(maximum, c.sinks[head] * kLog2E);
    sum = fmaf(sum, f.left, f.right), factor = f.left, maximum = f.maximum;
  }
  factor = sum > 0 ? factor / sum * common_scale(c, u, c.v_scale) : 0.0f;
  if (stores_lse && c.lse != nullptr)
    c.lse[static_cast<int64_t>(token) * (c.kv_heads * c.group) + head] = sum > 0 ? (maximum + log2f(sum)) * kLn2 : kNothing;
  return {token * c.out_stride + static_cast<int64_t>(head) * c.head_dim, factor};
}

template <class F>
__device__ __forceinline__ float* heads_of(const AttentionCall& c, int slot) {
  return c.results + static_cast<int64_t>(c.slots) * F::kRows * F::kDim + static_cast<int64_t>(slot) * F::kRows * 2;
}

template <class F>
__device__ void write_partial(const AttentionCall& c, const Unit& u, int slot, const Node<F>& n) {
  const Place p = place_of();
  float* to = c.results + static_cast<int64_t>(slot) * F::kRows * F::kDim;
  float* heads = heads_of<F>(c, slot);
#pragma unroll
  for (int j = 0; j < F::kOwn; ++j) {
    const int row = p.group * F::kColumns + j / 2 * 8 + p.column + j % 2;
    if (row >= u.rows) continue;
    if (p.warp == 0 && p.row == 0) heads[row * 2] = n.maximum[j], heads[row * 2 + 1] = n.sum[j];
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
      for (int h = 0; h < 2; ++h) to[row * F::kDim + dim_of<F>(p, b, h)] = n.values[b][j / 2 * 4 + h * 2 + j % 2];
  }
}

/// A node of one row, spread over a warp: this lane has elements 2·lane and 2·lane + 1 of every 64.
template <class F>
struct RowNode {
  float maximum = kNothing, sum = 0;
  float2 values[F::kDimBlocks] = {};
};
template <class F>
__device__ __forceinline__ RowNode<F> joined(const RowNode<F>& left, const RowNode<F>& right) {
  RowNode<F> n;
  const Factors f = factors_of(left.maximum, right.maximum);
  n.maximum = f.maximum;
  n.sum = join(left.sum, right.sum, f);
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b) n.values[b] = {join(left.values[b].x, right.values[b].x, f), join(left.values[b].y, right.values[b].y, f)};
  return n;
}

template <class F>
__device__ __forceinline__ RowNode<F> load_row_node(const AttentionCall& c, int slot, int row) {
  RowNode<F> n;
  const float2 head = __ldcg(reinterpret_cast<const float2*>(heads_of<F>(c, slot) + row * 2));
  const float* from = c.results + (static_cast<int64_t>(slot) * F::kRows + row) * F::kDim + threadIdx.x % 32 * 2;
  n.maximum = head.x, n.sum = head.y;
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b) n.values[b] = __ldcg(reinterpret_cast<const float2*>(from + b * 64));
  return n;
}

/// Joins the runs of a row by the tree over their absolute index: 8 at once, then a counter of 6 levels.
template <class F>
__device__ RowNode<F> join_runs(const AttentionCall& c, const Unit& u, int row) {
  RowNode<F> waiting[6], top;
  uint32_t present = 0;
  const int first = u.first_run / 8, last = (u.first_run + u.runs - 1) / 8;
#pragma unroll 1
  for (int eight = first; eight <= last; ++eight) {
    RowNode<F> leaf[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int run = eight * 8 + i - u.first_run;
      if (run >= 0 && run < u.runs) leaf[i] = load_row_node<F>(c, u.slot + run, row);
    }
#pragma unroll
    for (int width = 1; width < 8; width *= 2)
#pragma unroll
      for (int i = 0; i < 8; i += 2 * width) leaf[i] = joined(leaf[i], leaf[i + width]);
    top = leaf[0];
    bool carried = true;
#pragma unroll
    for (int level = 0; level < 6; ++level) {
      if (!carried) continue;
      if ((eight >> level) & 1) {
        if ((present >> level) & 1) top = joined(waiting[level], top);
        present &= ~(1u << level);
      } else if (eight != last) {
        waiting[level] = top, present |= 1u << level, carried = false;
      }
    }
  }
  return top;
}

/// The output of every row of a unit whose runs are all in the results, one row a warp at a time.
template <class F>
__device__ void write_rows(const AttentionCall& c, const Unit& u, int slot) {
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll 1
  for (int row = static_cast<int>(threadIdx.x / 32); row < u.rows; row += F::kConsumers / 32) {
    const RowNode<F> n = u.runs == 1 ? load_row_node<F>(c, slot, row) : join_runs<F>(c, u, row);
    const Finish f = finish_row(c, u, row, n.maximum, n.sum, lane == 0);
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
      if (b * 64 + lane * 2 < c.head_dim) store_pair(c, f.out + b * 64 + lane * 2, n.values[b].x * f.factor, n.values[b].y * f.factor);
  }
}

// ---- the consumers: one unit's rows
// -----------------------------------------------------------------------------------------------------------------

/// Where element d of a row stands in the query's panels: e4m3 keys are read in an order of their own.
template <class F>
__device__ __forceinline__ uint32_t query_at(int row, int d) {
  int k = d;
  if (F::kF8) {
    const int in = d % 128, step = in % 32 / 4, rest = in % 4;
    k = d / 128 * 128 + step * 16 + in / 32 * 2 + rest % 2 + rest / 2 * 8;
  }
  const int in = k % 64;
  return static_cast<uint32_t>((k / 64 * F::kRows + row) * 128 + ((in / 8) ^ (row % 8)) * 16 + in % 8 * 2);
}

__device__ __forceinline__ float query_element(const AttentionCall& c, int64_t i) {
  return c.q_dtype == DType::bf16 ? __bfloat162float(static_cast<const __nv_bfloat16*>(c.q)[i]) : __half2float(static_cast<const __half*>(c.q)[i]);
}

/// Copies one row of q; returns what its scores are multiplied with besides the scale. A bf16 row that meets e4m3 keys becomes f16, scaled by the
/// power of two that brings its largest element near 2¹⁴: exact but for elements below 2⁻²⁸ of it.
template <class F>
__device__ __forceinline__ float load_row(const AttentionCall& c, const Unit& u, unsigned char* query, int row) {
  const int lane = static_cast<int>(threadIdx.x % 32), r = u.first_row + row;
  const bool real = row < u.rows;
  const int64_t from =
      (u.span.q_first + static_cast<int64_t>(r / c.group)) * c.q_stride + (static_cast<int64_t>(u.head) * c.group + r % c.group) * c.head_dim;
  using T = typename F::T;
  if constexpr (!F::kF8) {
    for (int d = lane * 8; d < F::kDim; d += 256) {
      uint4 eight = {};
      if (real && c.q_aligned && d < c.head_dim) eight = *reinterpret_cast<const uint4*>(static_cast<const T*>(c.q) + from + d);
      if (real && !c.q_aligned)
#pragma unroll
        for (int i = 0; i < 8; ++i)
          if (d + i < c.head_dim) {
            const uint32_t bits = static_cast<const uint16_t*>(c.q)[from + d + i];
            (i < 2 ? eight.x : i < 4 ? eight.y : i < 6 ? eight.z : eight.w) |= bits << (i % 2 * 16);
          }
      *reinterpret_cast<uint4*>(query + query_at<F>(row, d)) = eight;
    }
    return 1;
  } else {
    float x[F::kDim / 32], largest = 0;
#pragma unroll
    for (int i = 0; i < F::kDim / 32; ++i) {
      const int d = i * 32 + lane;
      x[i] = real && d < c.head_dim ? query_element(c, from + d) : 0.0f;
      largest = fmaxf(largest, fabsf(x[i]));
    }
    largest = __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(largest)));
    const int exponent = static_cast<int>(__float_as_uint(largest) >> 23) - 127, shift = largest > 0 ? min(max(14 - exponent, -100), 100) : 0;
    const float up = __uint_as_float(static_cast<uint32_t>(127 + shift) << 23), down = __uint_as_float(static_cast<uint32_t>(127 - shift) << 23);
#pragma unroll
    for (int i = 0; i < F::kDim / 32; ++i) *reinterpret_cast<__half*>(query + query_at<F>(row, i * 32 + lane)) = __float2half_rn(x[i] * up);
    return down;
  }
}

/// q, the limits of each row's view, and what multiplies its scores (log₂ units unless there are extras). All consumers, between barriers.
template <class F>
__device__ void begin_unit(const AttentionCall& c, const Unit& u, unsigned char* base, const Layout<F>& at) {
  int2* limits = reinterpret_cast<int2*>(base + at.limits);
  float* factors = reinterpret_cast<float*>(base + at.factors);
  const float common = c.scale * (F::kF8 ? common_scale(c, u, c.k_scale) : 1.0f) * (F::kExtras ? 1.0f : kLog2E);
  named_sync(1, F::kConsumers);
  for (int row = static_cast<int>(threadIdx.x / 32); row < F::kRows; row += F::kConsumers / 32) {
    const float factor = load_row<F>(c, u, base + at.query, row);
    if (threadIdx.x % 32 != 0) continue;
    const int position = u.span.kv_len - u.span.q_len + (u.first_row + row) / c.group;
    factors[row] = factor * common;
    if (F::kExtras && c.alibi != Alibi::none && row < u.rows)
      reinterpret_cast<float*>(base + at.slopes)[row] = c.alibi_slopes[u.head * c.group + (u.first_row + row) % c.group];
    limits[row] = row < u.rows ? make_int2(low_of(c, position), high_of(c, u.span, position)) : make_int2(0, 0);
  }
  fence_async();
  named_sync(1, F::kConsumers);
}

/// 64 bits of a tree mask's row, from bit `first` on; bits before the row are set, bits after it are not.
__device__ __forceinline__ uint64_t tree_bits(const AttentionCall& c, int64_t token, int first) {
  uint64_t bits = 0;
#pragma unroll 1
  for (int i = 0; i < 64; ++i) {
    const int j = first + i;
    const bool set = j < 0 || (j < c.tree_words * 32 && ((c.tree[token * c.tree_words + j / 32] >> (j % 32)) & 1u) != 0);
    bits |= static_cast<uint64_t>(set) << i;
  }
  return bits;
}

/// Which keys of a tile each row of the unit sees, as bits in shared memory. All consumers, between barriers.
template <class F>
__device__ __forceinline__ void look(const AttentionCall& c, const Unit& u, int tile, unsigned char* base, const Layout<F>& at) {
  const int first = tile * kTile, before = u.span.kv_len - u.span.q_len;
  named_sync(1, F::kConsumers);
  for (int row = static_cast<int>(threadIdx.x); row < F::kRows; row += F::kConsumers) {
    const int2 limit = reinterpret_cast<const int2*>(base + at.limits)[row];
    const int low = min(max(limit.x - first, 0), kTile), high = min(max(limit.y - first, 0), kTile);
    uint64_t bits = high > low ? (~uint64_t{0} >> (64 - (high - low))) << low : 0;
    if (c.mask == Mask::tree && bits != 0) bits &= tree_bits(c, u.span.q_first + (u.first_row + row) / c.group, first - before);
    reinterpret_cast<uint64_t*>(base + at.seen)[row] = bits;
  }
  named_sync(1, F::kConsumers);
}

/// A score with what the extras ask for, in log₂ units.
__device__ __forceinline__ float with_extras(const AttentionCall& c, float score, float slope, int position, int key) {
  if (c.softcap > 0) {
    const float x = score / c.softcap, a = fabsf(x), e = exp2_fast(fminf(a, 20.0f) * (2 * kLog2E));
    const float far = 1.0f - 2.0f / (e + 1.0f), s = a * a;
    const float near = fmaf(a * s, fmaf(s, fmaf(s, fmaf(s, 2.18694885e-2f, -5.39682540e-2f), 1.33333333e-1f), -3.33333333e-1f), a);
    score = c.softcap * copysignf(a < 0.25f ? near : far, x);
  }
  const float distance = static_cast<float>(key - position);
  if (c.alibi == Alibi::plain) score = fmaf(slope, distance, score);
  if (c.alibi == Alibi::sqrt && key < position) score -= slope * sqrtf(-distance);
  return score * kLog2E;
}

// ---- the consumers: one tile ----------------------------------------------------------------------------------------------------------------------

/// e4m3 operands of a product wait in registers as f16.
template <class F>
struct Operands {
  uint32_t a[F::kF8 ? F::kDim / 16 : 1][4];
};

/// Of e4m3 keys: this thread's part of A, for each 16 elements of head_dim in the order of query_at().
template <class F>
__device__ __forceinline__ void load_keys(Operands<F>& operands, uint32_t keys) {
  if constexpr (F::kF8) {
    const Place p = place_of();
#pragma unroll
    for (int i = 0; i < F::kPanels * 4; ++i) {
      const int panel = i / 4, h = i / 2 % 2, half = i % 2;
      const uint4 x = load_16(keys + panel * F::kPanelBytes + (p.warp * 16 + h * 8 + p.row) * 128 + (((p.column + half) ^ p.row) * 16));
      const uint32_t words[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
      for (int w = 0; w < 4; ++w) {
        operands.a[panel * 8 + half * 4 + w][h] = halves_of_e4m3(words[w]);
        operands.a[panel * 8 + half * 4 + w][h + 2] = halves_of_e4m3(words[w] >> 16);
      }
    }
  }
}

/// Of e4m3 values: A = Vᵀ of one tile; [block of 64 dims × 4 + 16 keys].
template <class F>
__device__ __forceinline__ void load_values(Operands<F>& operands, uint32_t values) {
  if constexpr (F::kF8) {
    const Place p = place_of();
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
      for (int two = 0; two < 2; ++two) {
        uint32_t m[4];
        const int key = two * 32 + p.lane, chunk = b % 2 * 4 + p.warp;
        load_transposed(m, values + b / 2 * F::kPanelBytes + key * 128 + ((chunk ^ (key % 8)) * 16));
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const uint32_t paired = __byte_perm(m[i], 0, 0x3120);  // both keys' even element, then both keys' odd one
          operands.a[b * 4 + two * 2 + i / 2][i % 2 * 2] = halves_of_e4m3(paired);
          operands.a[b * 4 + two * 2 + i / 2][i % 2 * 2 + 1] = halves_of_e4m3(paired >> 16);
        }
      }
  }
}

/// Starts S = K·Qᵀ for one tile and the group's columns.
template <class F>
__device__ __forceinline__ void start_scores(float (&s)[F::kScores], const Operands<F>& operands, uint32_t keys, uint32_t query) {
  const uint64_t k = swizzled_matrix(keys), q = swizzled_matrix(query);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < F::kDim / 16; ++step) {
    const uint64_t b = q + (step / 4 * F::kRows * 128 + step % 4 * 32) / 16;
    const uint64_t a = k + (step / 4 * F::kPanelBytes + step % 4 * 32) / 16;
    if constexpr (F::kF8) {
      if (step == 0)
        multiply_registers<typename F::T, false>(s, operands.a[step], b);
      else
        multiply_registers<typename F::T, true>(s, operands.a[step], b);
    } else {
      if (step == 0)
        multiply<typename F::T, false, false>(s, a, b);
      else
        multiply<typename F::T, false, true>(s, a, b);
    }
  }
  wgmma_commit();
}

/// Starts Oᵀ += Vᵀ·Pᵀ for one tile and the group's columns.
template <class F>
__device__ __forceinline__ void start_values(float (&o)[F::kDimBlocks][F::kScores], const Operands<F>& operands, uint32_t values, uint32_t weights) {
  const uint64_t v = swizzled_matrix(values), w = swizzled_matrix(weights);
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b) pin(o[b]);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step)
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b) {
      if constexpr (F::kF8)
        multiply_registers<typename F::T, true>(o[b], operands.a[b * 4 + step], w + step * 2);
      else
        multiply<typename F::T, true, true>(o[b], v + (b * F::kPanelBytes + step * 2048) / 16, w + step * 2);
    }
  wgmma_commit();
}

/// Zeroes the tile's rows of V that no row of the unit sees. All consumers.
template <class F>
__device__ __forceinline__ void hide_values(const uint64_t* seen, unsigned char* values) {
  const int t = static_cast<int>(threadIdx.x);
  uint64_t any = 0;
#pragma unroll 1
  for (int row = 0; row < F::kRows; ++row) any |= seen[row];
  if (t < kTile && ((any >> t) & 1) == 0)
#pragma unroll 1
    for (int i = 0; i < F::kPanels * 8; ++i) *reinterpret_cast<uint4*>(values + i / 8 * F::kPanelBytes + t * 128 + i % 8 * 16) = uint4{};
  fence_async();
  named_sync(1, F::kConsumers);
}

/// Scores of one tile become weights in shared memory; maxima, sums and accumulators follow. All threads of a group.
template <class F>
__device__ __forceinline__ void weigh(const AttentionCall& c, const Unit& u, int tile, float (&s)[F::kScores], Node<F>& n, unsigned char* base,
                                      const Layout<F>& at, int stage, int v_stage, bool edge) {
  const Place p = place_of();
  const int first_key = tile * kTile + p.warp * 16 + p.row;
  const float* factors = reinterpret_cast<const float*>(base + at.factors) + p.group * F::kColumns + p.column;
  const bool scaled = F::kF8 && c.kv_scale == Scales::token_head;
  float key_factor[2] = {1, 1}, value_bits[2] = {0, 0}, value_inverse[2] = {1, 1};
  if (scaled)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int i = p.warp * 16 + p.row + h * 8;
      key_factor[h] = reinterpret_cast<const float*>(base + at.scales + stage * F::kScaleBytes)[i];
      const float v = fmaxf(reinterpret_cast<const float*>(base + at.scales + v_stage * F::kScaleBytes)[i], 0x1p-100f);
      value_bits[h] = log2_fast(v), value_inverse[h] = 1.0f / v;
    }
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    const float2 f = *reinterpret_cast<const float2*>(factors + nb * 8);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float& x = s[nb * 4 + h * 2];
      float& y = s[nb * 4 + h * 2 + 1];
      x *= f.x, y *= f.y;
      if (F::kF8) x *= key_factor[h], y *= key_factor[h];
      if (F::kExtras) {
        const int row = p.group * F::kColumns + nb * 8 + p.column, before = u.span.kv_len - u.span.q_len;
        const float2 slope = *reinterpret_cast<const float2*>(base + at.slopes + row * 4);
        x = with_extras(c, x, slope.x, before + (u.first_row + row) / c.group, first_key + h * 8);
        y = with_extras(c, y, slope.y, before + (u.first_row + row + 1) / c.group, first_key + h * 8);
      }
      if (F::kF8) x += value_bits[h], y += value_bits[h];
    }
  }
  if (edge) {
    const uint32_t* seen = reinterpret_cast<const uint32_t*>(base + at.seen) + p.group * F::kColumns * 2 + p.warp / 2;
#pragma unroll
    for (int i = 0; i < F::kScores; ++i) {
      const uint32_t bits = seen[(i / 4 * 8 + p.column + i % 2) * 2] >> (p.warp % 2 * 16 + p.row);
      s[i] = ((bits >> (i / 2 % 2 * 8)) & 1u) != 0 ? s[i] : kNothing;
    }
  }
  float* maxima = reinterpret_cast<float*>(base + at.maxima) + p.group * 4 * F::kColumns;
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float x = fmaxf(s[nb * 4], s[nb * 4 + 2]), y = fmaxf(s[nb * 4 + 1], s[nb * 4 + 3]);
#pragma unroll
    for (int step = 4; step < 32; step *= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, step)), y = fmaxf(y, __shfl_xor_sync(~0u, y, step));
    if (p.row == 0) *reinterpret_cast<float2*>(maxima + p.warp * F::kColumns + nb * 8 + p.column) = {x, y};
  }
  named_sync(2 + p.group, kGroup);
  uint32_t packed[F::kColumns / 8][2];
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float most[2] = {n.maximum[nb * 2], n.maximum[nb * 2 + 1]};
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const float2 m = *reinterpret_cast<const float2*>(maxima + w * F::kColumns + nb * 8 + p.column);
      most[0] = fmaxf(most[0], m.x), most[1] = fmaxf(most[1], m.y);
    }
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int j = nb * 2 + e;
      const float safe = most[e] == kNothing ? 0.0f : most[e], rescale = exp2_fast(n.maximum[j] - safe);
      n.maximum[j] = most[e];
      float sum = n.sum[j] * rescale;
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float& x = s[nb * 4 + h * 2 + e];
        x = exp2_fast(x - (safe - F::kBias));
        sum = F::kF8 ? fmaf(x, value_inverse[h], sum) : sum + x;
#pragma unroll
        for (int b = 0; b < F::kDimBlocks; ++b) n.values[b][nb * 4 + h * 2 + e] *= rescale;
      }
      n.sum[j] = sum;
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) packed[nb][h] = pack(s[nb * 4 + h * 2], s[nb * 4 + h * 2 + 1], typename F::T{});
  }
  const uint32_t weights = shared_address(base) + at.weights + p.group * F::kWeightBytes;
  if constexpr (F::kColumns == 8) {
    const int row = p.lane % 8, chunk = p.warp * 2 + p.lane / 8 % 2;
    store_transposed(weights + row * 128 + ((chunk ^ row) * 16), packed[0][0], packed[0][1]);
  } else {
#pragma unroll
    for (int nb = 0; nb < F::kColumns / 8; nb += 2) {
      const int row = p.lane % 8, chunk = p.warp * 2 + p.lane / 8 % 2;
      store_transposed(weights + ((nb + p.lane / 16) * 8 + row) * 128 + ((chunk ^ row) * 16), packed[nb][0], packed[nb][1], packed[nb + 1][0],
                       packed[nb + 1][1]);
    }
  }
  fence_async();
  named_sync(2 + p.group, kGroup);
}

/// The sums of a chunk over all its keys; the maximum becomes what sums and values are relative to.
template <class F>
__device__ __forceinline__ void end_chunk(Node<F>& n, float* maxima) {
  const Place p = place_of();
  maxima += p.group * 4 * F::kColumns;
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float x = n.sum[nb * 2], y = n.sum[nb * 2 + 1];
#pragma unroll
    for (int step = 4; step < 32; step *= 2) x += __shfl_xor_sync(~0u, x, step), y += __shfl_xor_sync(~0u, y, step);
    if (p.row == 0) *reinterpret_cast<float2*>(maxima + p.warp * F::kColumns + nb * 8 + p.column) = {x, y};
  }
  named_sync(2 + p.group, kGroup);
#pragma unroll
  for (int nb = 0; nb < F::kColumns / 8; ++nb) {
    float2 part[4];
#pragma unroll
    for (int w = 0; w < 4; ++w) part[w] = *reinterpret_cast<const float2*>(maxima + w * F::kColumns + nb * 8 + p.column);
    n.sum[nb * 2] = (part[0].x + part[1].x) + (part[2].x + part[3].x);
    n.sum[nb * 2 + 1] = (part[0].y + part[1].y) + (part[2].y + part[3].y);
    n.maximum[nb * 2] -= F::kBias, n.maximum[nb * 2 + 1] -= F::kBias;
  }
  named_sync(2 + p.group, kGroup);
}

/// Joins a finished chunk with its waiting left relatives; n is the run's node after the last chunk.
template <class F>
__device__ __forceinline__ void put_chunk(const Waiting<F>& waiting, uint32_t& present, Node<F>& n, int chunk, bool last, int levels) {
  for (int level = 0; level < levels; ++level) {
    if ((chunk >> level) & 1) {
      if ((present >> level) & 1) waiting.join_left(level, n);
      present &= ~(1u << level);
    } else if (!last) {
      waiting.push(level, n);
      present |= 1u << level;
      break;
    }
  }
}

/// Stores a run's node where others find it; who stores the last one of a row writes the output.
template <class F>
__device__ void finish_unit(const AttentionCall& c, const Unit& u, const Node<F>& n, int* flag) {
  const int slot = u.runs > 1 ? u.slot + u.run : c.partials + static_cast<int>(blockIdx.x);
  write_partial(c, u, slot, n);
  if (u.runs > 1) {
    __threadfence();
    named_sync(1, F::kConsumers);
    if (threadIdx.x == 0) {
      wait_for_predecessor();  // it cleared the counters
      *flag = atomicAdd(&c.arrived[u.slot], 1) == u.runs - 1;
    }
    named_sync(1, F::kConsumers);
    if (*flag == 0) return;
    __threadfence();
  } else {
    named_sync(1, F::kConsumers);
  }
  write_rows<F>(c, u, slot);
}

template <class F>
__device__ void consume(const AttentionCall& c, const Plan& plan, const int* firsts, unsigned char* base, const Layout<F>& at) {
  const Place p = place_of();
  const uint32_t address = shared_address(base), barriers = address + at.barriers;
  float* maxima = reinterpret_cast<float*>(base + at.maxima);
  int* flag = reinterpret_cast<int*>(base + at.barriers) - kQueue - 1;
  const Waiting<F> waiting{reinterpret_cast<float*>(base + at.nodes), c.spill + static_cast<int64_t>(blockIdx.x) * c.spill_levels * F::kNodeFloats,
                           c.shared_levels};
  Ring ring;
  const auto release = [&](int stage) {
    __syncwarp();
    if (p.lane == 0) barrier_arrive(barriers + stage * 16 + 8);
  };
  const auto arrived = [&](const Ring& r) { tile_wait(barriers + r.stage * 16, r.phase); };
  const uint32_t query = address + at.query + p.group * F::kColumns * 128, weights = address + at.weights + p.group * F::kWeightBytes;
  Queue queue = queue_of<F>(base, at);
  unsigned long long* times = c.times != nullptr && threadIdx.x == 0 ? c.times + blockIdx.x * 8 : nullptr;
  int done = 0;
  for (int index = queue.take(); index < plan.units; index = queue.take()) {
    const Unit u = unit_at<F>(c, plan, firsts, index);
    begin_unit<F>(c, u, base, at);
    Node<F> n;
    n.clear();
    uint32_t present = 0;
    float s[F::kScores];
    if (u.first_tile < u.last_tile) {
      arrived(ring);
      if (times != nullptr && done == 0) times[2] = now();
      Operands<F> keys;
      load_keys<F>(keys, address + ring.stage * F::kTileBytes);
      start_scores<F>(s, keys, address + ring.stage * F::kTileBytes, query);
      wgmma_wait<0>();
      pin(s);
    }
    for (int tile = u.first_tile; tile < u.last_tile; ++tile) {
      const int k_stage = ring.stage, first = tile * kTile;
      const bool last = tile + 1 == u.last_tile;
      const bool edge = first < u.all_low || first + kTile > u.all_high || (c.mask == Mask::tree && first + kTile > u.span.kv_len - u.span.q_len);
      if (!F::kF8) release(k_stage);
      ring.next(c.stages);
      const int v_stage = ring.stage;
      const uint32_t values = address + v_stage * F::kTileBytes;
      if (edge || F::kF8) arrived(ring);
      if (edge) {
        look<F>(c, u, tile, base, at);
        hide_values<F>(reinterpret_cast<const uint64_t*>(base + at.seen), base + v_stage * F::kTileBytes);
      }
      weigh<F>(c, u, tile, s, n, base, at, k_stage, v_stage, edge);
      if (F::kF8) release(k_stage);
      if (!edge && !F::kF8) arrived(ring);
      ring.next(c.stages);
      if (!last) arrived(ring);
      // The next tile's scores follow this one's values at once; after the last tile they are garbage that nobody reads.
      const uint32_t next = address + ring.stage * F::kTileBytes;
      Operands<F> operands, keys;
      load_values<F>(operands, values);
      start_values<F>(n.values, operands, values, weights);
      if (F::kF8 && F::kWide) wgmma_wait<0>();  // registers for both operands are scarce
      load_keys<F>(keys, next);
      start_scores<F>(s, keys, next, query);
      wgmma_wait<0>();
      pin(s);
#pragma unroll
      for (int b = 0; b < F::kDimBlocks; ++b) pin(n.values[b]);
      release(v_stage);
      if (!last && (tile + 1) % kTilesPerChunk != 0) continue;
      end_chunk<F>(n, maxima);
      put_chunk<F>(waiting, present, n, tile / kTilesPerChunk, last, plan.level);
      if (!last) n.clear();
    }
    ++done;
    if (times != nullptr) times[3] = now();
    finish_unit<F>(c, u, n, flag);
    if (times != nullptr) times[4] = now(), times[5] = done;
  }
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks)
    attend(const AttentionCall c, const __grid_constant__ CUtensorMap k_map, const __grid_constant__ CUtensorMap v_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const Layout<F> at(c.stages, c.shared_levels);
  const uint32_t address = shared_address(shared);
  if (c.times != nullptr && threadIdx.x == 0) c.times[blockIdx.x * 8] = now();
  if (threadIdx.x == 0) {
    for (int i = 0; i < c.stages; ++i) {
      barrier_init(address + at.barriers + i * 16, 1);
      barrier_init(address + at.barriers + i * 16 + 8, F::kConsumers / 32);
    }
    for (int i = 0; i < kQueue; ++i) {
      barrier_init(address + at.units + i * 16, 1);
      barrier_init(address + at.units + i * 16 + 8, F::kConsumers / 32);
    }
    fence_barrier_init();
  }
  int* firsts = reinterpret_cast<int*>(shared + at.plan);
  const Plan plan = make_plan<F>(c, firsts);  // its barriers also publish the ones above
  if (c.times != nullptr && threadIdx.x == 0) c.times[blockIdx.x * 8 + 1] = now();
  if (threadIdx.x >= F::kConsumers) {
    if constexpr (F::kWide) give_registers<40>();
    if (threadIdx.x < F::kConsumers + 32) produce<F>(c, &k_map, &v_map, plan, firsts, shared, at);
  } else {
    if constexpr (F::kWide) take_registers<F::kBlocks == 1 ? 232 : 208>();
    consume<F>(c, plan, firsts, shared, at);
  }
  wait_for_predecessor();  // so that who waits for this kernel has waited for it, too
}

}  // namespace attune::cuda
