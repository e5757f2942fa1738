// gpu.attention.split_kv: attention over any desc the reference knows, one block a (token, query head, run of keys, slice of the output).
//
// Keys are cut at absolute multiples of kChunk. A chunk starts fresh accumulators and becomes a leaf (maximum m, sum l of exp(s − m), Σ exp(s −
// m)·v); leaves are joined by the fixed binary tree over their absolute index, in which a chunk that nobody sees is absent. A block joins an aligned
// run of 2ⁿ chunks; where a row has several runs, a second kernel joins them by the same tree. So a row's bits do not depend on how keys are split.
// Within a chunk: 8 threads share a dot product (each adds its elements in order, then a butterfly), a thread adds the values of its dimensions
// in the order of keys, sums of weights go by a butterfly over 32 threads. No slot is read that its row may not see.
#include "kernels/gpu/attention_plan.h"
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/math.h"
#include "ops/attention_math.h"

namespace attune::gpu {
namespace {

constexpr float kNothing = -__builtin_inff();
constexpr int kDotLanes = 8;
constexpr int kKeysAtOnce = kThreads / kDotLanes;
constexpr int kWarps = kThreads / kLanes;
static_assert(kChunk == 2 * kThreads, "a thread weighs two keys of a chunk");

/// One launch: what was asked, and how the work is cut.
struct Call {
  AttentionDesc desc;
  AttentionParams params;
  float softcap;
  int64_t run, runs;  // chunks of a run; runs of a row
  int64_t slices;     // of the output
  int64_t units;      // blocks' worth of work
  int levels;         // of the tree that this kernel builds
  bool aligned;       // every row of K is a multiple of 16 bytes from a multiple of 16
  float* partials;    // [token, head, run] of partial_floats, if runs > 1
};

/// What a block works on.
struct Unit {
  int64_t token, head, run, slice;
  int64_t sequence;  // −1: the token belongs to none
};

/// A subtree's result; each thread holds the accumulators of its own dimensions.
struct Node {
  float maximum = kNothing, sum = 0;
  int64_t leaf = 0;  // any chunk (or run) below it
  float values[kDimsPerThread] = {};
};

struct Shared {
  int64_t* place;     // of each key's elements; −1: not visible
  float* score;       // the dot product, then the weight
  float* key_factor;  // the key's own scales, where it has them
  float* value_factor;
  float* query;
  float* partial_max;
  float* partial_sum;
  NodeHead* heads;
  float* values;  // [levels][slice_width]
};

__device__ Shared shared_of(const Call& c) {
  unsigned char* at = shared_memory();
  Shared s;
  s.place = reinterpret_cast<int64_t*>(at);
  s.heads = reinterpret_cast<NodeHead*>(s.place + kChunk);
  s.score = reinterpret_cast<float*>(s.heads + c.levels);
  s.key_factor = s.score + kChunk;
  s.value_factor = s.key_factor + kChunk;
  s.query = s.value_factor + kChunk;
  s.partial_max = s.query + padded_dim(c.desc.head_dim);
  s.partial_sum = s.partial_max + kWarps;
  s.values = s.partial_sum + kWarps;
  return s;
}

// ---- the tree -----------------------------------------------------------------------------------------------------------------------------

__device__ Node joined(const Node& left, const Node& right) {
  if (right.maximum == kNothing) return left;
  if (left.maximum == kNothing) return right;
  Node n;
  n.leaf = left.leaf;
  n.maximum = larger(left.maximum, right.maximum);
  const float a = exp(left.maximum - n.maximum), b = exp(right.maximum - n.maximum);
  n.sum = fma(left.sum, a, right.sum * b);
  for (int i = 0; i < kDimsPerThread; ++i) n.values[i] = fma(left.values[i], a, right.values[i] * b);
  return n;
}

/// True if the lowest common ancestor of leaves a < b lies below that of b < c.
__device__ bool meet_below(int64_t a, int64_t b, int64_t c) { return (a ^ b) < (b ^ c); }

/// Joins leaves that come in rising order by the binary tree over their index; the newest node stays in registers.
struct Tree {
  const Shared s;
  const int width;
  int depth = 0;
  bool empty = true;
  Node top = {};

  __device__ Node waiting(int level) const {
    Node n;
    n.maximum = s.heads[level].maximum;
    n.sum = s.heads[level].sum;
    n.leaf = s.heads[level].leaf;
    for (int i = 0; i < kDimsPerThread; ++i) {
      const int d = thread_index() + i * kThreads;
      if (d < width) n.values[i] = s.values[level * width + d];
    }
    return n;
  }

  __device__ void push() {
    if (thread_index() == 0) s.heads[depth] = {top.maximum, top.sum, top.leaf};
    for (int i = 0; i < kDimsPerThread; ++i) {
      const int d = thread_index() + i * kThreads;
      if (d < width) s.values[depth * width + d] = top.values[i];
    }
    ++depth;
  }

  /// Every thread of the block calls it. Also a barrier: what was read before may be overwritten after.
  __device__ void put(const Node& leaf) {
    block_sync();
    while (depth > 0 && meet_below(s.heads[depth - 1].leaf, top.leaf, leaf.leaf)) {
      --depth;
      top = joined(waiting(depth), top);
    }
    block_sync();
    if (!empty) push();
    top = leaf;
    empty = false;
  }

  __device__ Node finish() {
    block_sync();
    while (depth > 0) {
      --depth;
      top = joined(waiting(depth), top);
    }
    return top;
  }
};

// ---- where things are -----------------------------------------------------------------------------------------------------------------------

/// The sequence that holds a token: the last that starts at or before it.
__device__ int64_t sequence_of(const AttentionParams& p, int64_t token) {
  if (token >= p.q_start[p.num_seqs]) return -1;
  int64_t low = 0, high = p.num_seqs;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (p.q_start[middle] <= token ? low : high) = middle;
  }
  return low;
}

__device__ Unit unit_at(const Call& c, int64_t index, int64_t runs) {
  Unit u;
  const int64_t heads = c.desc.num_q_heads();
  u.head = index % heads;
  index /= heads;
  u.slice = index % c.slices;
  index /= c.slices;
  u.run = index % runs;
  u.token = index / runs;
  u.sequence = sequence_of(c.params, u.token);
  return u;
}

__device__ RowView row_view(const Call& c, const Unit& u) {
  const AttentionParams& p = c.params;
  const int64_t first = p.q_start[u.sequence];
  RowView r;
  r.q_len = p.q_start[u.sequence + 1] - first;
  r.kv_len = p.kv_lens[u.sequence];
  r.position = r.kv_len - r.q_len + (u.token - first);
  r.causal = c.desc.mask == Mask::causal || (c.desc.mask == Mask::per_request && p.causal[u.sequence] != 0);
  r.tree = c.desc.mask == Mask::tree ? p.tree + u.token * p.tree_words : nullptr;
  r.ranges = c.desc.ranges ? p.ranges + u.sequence * p.num_ranges * 2 : nullptr;
  r.num_ranges = c.desc.ranges ? p.num_ranges : 0;
  r.window = c.desc.window;
  r.window_right = c.desc.window_right;
  return r;
}

/// First element of a visible key, and the index of its own scale (meaningful for token_head).
struct Slot {
  int64_t element, scale;
};
__device__ Slot slot_of(const Call& c, const Unit& u, int64_t key) {
  const AttentionDesc& d = c.desc;
  const int64_t kv_head = u.head / d.gqa_group;
  if (d.kv_source == KvSource::ragged) {
    const int64_t token = c.params.kv_start[u.sequence] + key;
    return {token * c.params.kv_stride + kv_head * d.head_dim, token * d.num_kv_heads + kv_head};
  }
  const int64_t block = c.params.block_table[u.sequence * c.params.max_blocks + key / d.block_size], offset = key % d.block_size;
  return {hnd_offset(block, kv_head, offset, d.num_kv_heads, d.block_size, d.head_dim),
          paged_scale_index(block, kv_head, offset, d.num_kv_heads, d.block_size)};
}

/// The scale of K or V that all keys of a unit share; 1 where each has its own.
__device__ float common_scale(const Call& c, const Unit& u, const float* scales) {
  if (c.desc.kv_scale == Scales::none || c.desc.kv_scale == Scales::token_head) return 1;
  return scales[scale_index(c.desc.kv_scale, u.sequence, 0, u.head / c.desc.gqa_group, c.desc.num_kv_heads)];
}

// ---- one chunk ------------------------------------------------------------------------------------------------------------------------------

/// Looks up every key of a chunk: may the row see it, where does it stand, what scales are its own.
__device__ void look_up(const Call& c, const Unit& u, const RowView& row, const KeySpan& span, int64_t chunk, const Shared& s) {
  for (int i = thread_index(); i < kChunk; i += kThreads) {
    const int64_t key = chunk * kChunk + i;
    const bool seen = key >= span.first && key < span.last && visible(row, key);
    s.place[i] = -1;
    s.key_factor[i] = s.value_factor[i] = 1;
    if (!seen) continue;
    const Slot slot = slot_of(c, u, key);
    s.place[i] = slot.element;
    if (c.desc.kv_scale != Scales::token_head) continue;
    s.key_factor[i] = c.params.k_scale[slot.scale];
    s.value_factor[i] = c.params.v_scale[slot.scale];
  }
}

/// This thread's share of q·k: elements [(j·kDotLanes + lane)·n, … + n), n to a vector of 16 bytes, for j = 0, 1, …
template <class T>
__device__ float dot_share(const T* key, const float* query, int head_dim, int lane, bool aligned) {
  constexpr int kPerVector = 16 / static_cast<int>(sizeof(T));
  struct Elements {
    T x[kPerVector];
  };
  float dot = 0;
#pragma unroll 2
  for (int first = lane * kPerVector; first < head_dim; first += kDotLanes * kPerVector) {
    Elements e = {};
    if (aligned) {
      e = std::bit_cast<Elements>(*reinterpret_cast<const Vector16*>(key + first));
    } else {
#pragma unroll
      for (int i = 0; i < kPerVector; ++i)
        if (first + i < head_dim) e.x[i] = key[first + i];
    }
#pragma unroll
    for (int i = 0; i < kPerVector; ++i) dot = fma(query[first + i], to_float(e.x[i]), dot);
  }
  return dot;
}

template <class T>
__device__ void multiply_keys(const Call& c, const Shared& s, int first, int last) {
  const int lane = thread_index() % kDotLanes;
  const T* keys = static_cast<const T*>(c.params.k);
  for (int i = first + thread_index() / kDotLanes; i - thread_index() / kDotLanes < last; i += kKeysAtOnce) {  // as often in every thread
    const int64_t place = i < last ? s.place[i] : -1;
    float dot = place >= 0 ? dot_share(keys + place, s.query, static_cast<int>(c.desc.head_dim), lane, c.aligned) : 0.0f;
    dot = sum_over(dot, kDotLanes);
    if (lane == 0 && place >= 0) s.score[i] = dot;
  }
}

/// The score of key `i`: scales, softcap, ALiBi; −∞ is selected where the row does not see it.
__device__ float final_score(const Call& c, const Shared& s, int i, float factor, float slope, int64_t position, int64_t key) {
  if (s.place[i] < 0) return kNothing;
  float x = s.score[i] * factor * s.key_factor[i];
  if (c.softcap > 0) x = c.softcap * tanh(x / c.softcap);
  if (c.desc.alibi != Alibi::none) x = x + alibi_bias(c.desc.alibi, slope, position, key, SquareRoot{});
  return x;
}

/// Scores become weights exp(score − maximum), times the values' own scales; the leaf gets the maximum and the sum.
__device__ void weigh_keys(const Call& c, const Shared& s, float factor, float slope, int64_t position, int64_t chunk, Node& leaf) {
  const int t = thread_index();
  float x[2], sum = 0;
  for (int i = 0; i < 2; ++i) x[i] = final_score(c, s, t + i * kThreads, factor, slope, position, chunk * kChunk + t + i * kThreads);
  const float most = max_over(larger(x[0], x[1]), kLanes);
  if (t % kLanes == 0) s.partial_max[t / kLanes] = most;
  block_sync();
  for (int w = 0; w < kWarps; ++w) leaf.maximum = larger(leaf.maximum, s.partial_max[w]);
  const bool nothing = leaf.maximum == kNothing;
  for (int i = 0; i < 2; ++i) {
    const int k = t + i * kThreads;
    const float weight = nothing || s.place[k] < 0 ? 0.0f : exp(x[i] - leaf.maximum);
    sum = sum + weight;
    s.score[k] = weight * s.value_factor[k];
  }
  sum = sum_over(sum, kLanes);
  if (t % kLanes == 0) s.partial_sum[t / kLanes] = sum;
  block_sync();
  leaf.sum = (s.partial_sum[0] + s.partial_sum[1]) + (s.partial_sum[2] + s.partial_sum[3]);
}

/// Σ weight·v of this thread's dimensions over keys [first, last) of the chunk, in their order; values of unseen slots are zero.
template <class T>
__device__ void add_values(const Call& c, const Unit& u, const Shared& s, int first, int last, Node& leaf) {
  const T* values = static_cast<const T*>(c.params.v) + u.slice * kSlice;
  const int64_t width = c.desc.head_dim - u.slice * kSlice;
  for (int n = 0; n < kDimsPerThread; ++n) {
    const int d = thread_index() + n * kThreads;
    if (d >= width) continue;
    float sum = 0;
#pragma unroll 8
    for (int i = first; i < last; ++i) {
      const int64_t place = s.place[i];
      if (place >= 0) sum = fma(s.score[i], to_float(values[place + d]), sum);
    }
    leaf.values[n] = sum;
  }
}

// ---- results ----------------------------------------------------------------------------------------------------------------------------------

/// Divides by the denominator (the sink is only there), scales, rounds once.
__device__ void write_row(const Call& c, const Unit& u, const Node& node) {
  const AttentionDesc& d = c.desc;
  const float sink = d.sinks ? c.params.sinks[u.head] : kNothing;
  const float most = larger(node.maximum, sink);
  float shrink = 0, sum = 0;
  if (most != kNothing) {
    shrink = node.maximum == kNothing ? 0.0f : exp(node.maximum - most);
    sum = fma(node.sum, shrink, d.sinks ? exp(sink - most) : 0.0f);
  }
  const float factor = shrink * common_scale(c, u, c.params.v_scale), divisor = d.out_scale ? sum * c.params.out_scale[0] : sum;
  const int64_t out = u.token * c.params.out_stride + u.head * d.head_dim;
  for (int i = 0; i < kDimsPerThread; ++i) {
    const int64_t at = u.slice * kSlice + thread_index() + i * kThreads;
    if (at < d.head_dim) store_element(c.params.out, d.out_dtype, out + at, most == kNothing ? 0.0f : node.values[i] * factor / divisor);
  }
  if (d.lse && u.slice == 0 && thread_index() == 0) c.params.lse[u.token * d.num_q_heads() + u.head] = most == kNothing ? kNothing : most + log(sum);
}

__device__ float* partial_of(const Call& c, const Unit& u, int64_t run) {
  return c.partials + ((u.token * c.desc.num_q_heads() + u.head) * c.runs + run) * partial_floats(c.desc.head_dim);
}

__device__ void write_partial(const Call& c, const Unit& u, const Node& node) {
  float* to = partial_of(c, u, u.run);
  if (u.slice == 0 && thread_index() == 0) to[0] = node.maximum, to[1] = node.sum;
  for (int i = 0; i < kDimsPerThread; ++i) {
    const int64_t at = u.slice * kSlice + thread_index() + i * kThreads;
    if (at < c.desc.head_dim) to[2 + at] = node.values[i];
  }
}

// ---- the kernels ------------------------------------------------------------------------------------------------------------------------------

__device__ void load_query(const Call& c, const Unit& u, const Shared& s) {
  const int64_t first = u.token * c.params.q_stride + u.head * c.desc.head_dim;
  for (int64_t d = thread_index(); d < padded_dim(c.desc.head_dim); d += kThreads)
    s.query[d] = d < c.desc.head_dim ? load_element(c.params.q, c.desc.q_dtype, first + d) : 0.0f;
}

/// Everything that multiplies q·k of a unit.
__device__ float score_factor(const Call& c, const Unit& u) {
  float factor = c.params.scale;
  if (c.desc.q_scale != Scales::none)
    factor = factor * c.params.q_scale[scale_index(c.desc.q_scale, u.sequence, u.token, u.head, c.desc.num_q_heads())];
  return factor * common_scale(c, u, c.params.k_scale);
}

template <class T>
__device__ Node attend_unit(const Call& c, const Unit& u, const Shared& s) {
  const RowView row = row_view(c, u);
  const KeySpan span = key_span(row);
  const float factor = score_factor(c, u), slope = c.desc.alibi != Alibi::none ? c.params.alibi_slopes[u.head] : 0.0f;
  Tree tree{s, static_cast<int>(slice_width(c.desc.head_dim))};
  load_query(c, u, s);
  const int64_t low = u.run * c.run, high = low + c.run;
  const int64_t first_chunk = span.first / kChunk, last_chunk = (span.last + kChunk - 1) / kChunk;
  for (int64_t chunk = first_chunk > low ? first_chunk : low; chunk < last_chunk && chunk < high; ++chunk) {
    const int64_t from = span.first - chunk * kChunk, to = span.last - chunk * kChunk;
    const int first = from > 0 ? static_cast<int>(from) : 0, last = to < kChunk ? static_cast<int>(to) : kChunk;
    Node leaf;
    leaf.leaf = chunk;
    look_up(c, u, row, span, chunk, s);
    block_sync();
    multiply_keys<T>(c, s, first, last);
    block_sync();
    weigh_keys(c, s, factor, slope, row.position, chunk, leaf);
    add_values<T>(c, u, s, first, last, leaf);
    tree.put(leaf);
  }
  return tree.finish();
}

template <class T>
__global__ void __launch_bounds__(kThreads) attend(const Call c) {
  take_turn();
  const Shared s = shared_of(c);
  for (int64_t index = block_index(); index < c.units; index += block_count()) {
    const Unit u = unit_at(c, index, c.runs);
    if (u.sequence < 0) continue;
    const Node node = attend_unit<T>(c, u, s);
    if (c.runs > 1)
      write_partial(c, u, node);
    else
      write_row(c, u, node);
    block_sync();
  }
}

/// Joins the runs of a row by the same tree.
__global__ void __launch_bounds__(kThreads) join_runs(const Call c) {
  take_turn();
  const Shared s = shared_of(c);
  for (int64_t index = block_index(); index < c.units; index += block_count()) {
    const Unit u = unit_at(c, index, 1);
    if (u.sequence < 0) continue;
    Tree tree{s, static_cast<int>(slice_width(c.desc.head_dim))};
    for (int64_t run = 0; run < c.runs; ++run) {
      const float* from = partial_of(c, u, run);
      Node node;
      node.leaf = run;
      node.maximum = from[0];
      node.sum = from[1];
      if (node.maximum == kNothing) continue;
      for (int i = 0; i < kDimsPerThread; ++i) {
        const int64_t at = u.slice * kSlice + thread_index() + i * kThreads;
        if (at < c.desc.head_dim) node.values[i] = from[2 + at];
      }
      tree.put(node);
    }
    write_row(c, u, tree.finish());
    block_sync();
  }
}

// ---- the host's side ----------------------------------------------------------------------------------------------------------------------------

int64_t element_bytes(DType t) { return static_cast<int64_t>(size_of(t)); }

bool rows_are_aligned(const AttentionDesc& d, const AttentionParams& p) {
  const int64_t bytes = element_bytes(d.kv_dtype);
  const bool steps = d.head_dim * bytes % 16 == 0 && (d.kv_source != KvSource::ragged || p.kv_stride * bytes % 16 == 0);
  return steps && reinterpret_cast<uintptr_t>(p.k) % 16 == 0;
}

void expect_launched(const char* error) {
  if (error != nullptr) launch_failed("gpu.attention.split_kv", error);
}

template <class Kernel>
void start(const ExecContext& ctx, Kernel kernel, Call& c, int64_t units, int levels) {
  c.units = units;
  c.levels = levels;
  const int64_t shared = chunk_bytes(c.desc.head_dim) + tree_bytes(c.desc.head_dim, levels);
  expect_launched(launch(kernel, blocks_for(units), kThreads, shared, ctx.stream, c));
}

template <class T>
void start_attend(const ExecContext& ctx, Call& c, int64_t rows) {
  start(ctx, attend<T>, c, rows * c.runs * c.slices, levels_of(c.run));
}

}  // namespace

template <>
void attention_split_kv<kDevice>(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params) {
  const int64_t rows = params.total_q * desc.num_q_heads();
  if (rows == 0 || params.num_seqs == 0) return;
  const Split split = split_of(desc, params.total_q, params.longest_kv, static_cast<int64_t>(ctx.workspace.bytes));
  Call c = {};
  c.desc = desc;
  c.params = params;
  c.softcap = static_cast<float>(desc.softcap);
  c.run = split.run;
  c.runs = split.runs;
  c.slices = ceil_div(desc.head_dim, kSlice);
  c.aligned = rows_are_aligned(desc, params);
  c.partials = static_cast<float*>(ctx.workspace.data);
  switch (desc.kv_dtype) {
    case DType::f16: start_attend<f16_t>(ctx, c, rows); break;
    case DType::bf16: start_attend<bf16_t>(ctx, c, rows); break;
    case DType::f8_e4m3: start_attend<f8_e4m3_t>(ctx, c, rows); break;
    case DType::f8_e4m3fnuz: start_attend<f8_e4m3fnuz_t>(ctx, c, rows); break;
    default: start_attend<float>(ctx, c, rows); break;
  }
  if (c.runs > 1) start(ctx, join_runs, c, rows * c.slices, levels_of(c.runs));
}

}  // namespace attune::gpu
