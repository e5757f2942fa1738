#pragma once

// Results of parts of a row's keys and how they are joined: in registers while a block works on its run, by rows when the runs of a row meet.
#include "kernels/cuda/attention_units.cuh"

namespace attune::cuda {

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
/// An absent one is 0, as is its factor.
__device__ __forceinline__ float join(float left, float right, const Factors& f) { return fmaf(left, f.left, right * f.right); }

/// This thread's place among the consumers.
struct Place {
  int group, warp, lane, row, column;  // row: lane / 4; column: first of a pair
};
__device__ __forceinline__ Place place_of() {
  const int t = static_cast<int>(threadIdx.x);
  return {t / kGroup, t % kGroup / 32, t % 32, t % 32 / 4, t % 4 * 2};
}

/// Which of a thread's own rows values[block][i] belongs to, that row's place in the unit, and the element of head_dim.
template <class F>
__device__ __forceinline__ constexpr int own_of(int i) {
  return F::kWide ? i / 2 % 2 : i / 4 * 2 + i % 2;
}
template <class F>
__device__ __forceinline__ int row_of(const Place& p, int j) {
  return F::kWide ? p.group * F::kColumns + p.warp * 16 + p.row + j * 8 : p.group * F::kColumns + j / 2 * 8 + p.column + j % 2;
}
template <class F>
__device__ __forceinline__ int dim_of(const Place& p, int block, int i) {
  if (F::kWide) return block * 64 + i / 4 * 8 + p.column + i % 2;
  const int h = i / 2 % 2;
  return F::kF8 ? block * 64 + p.warp * 16 + p.row * 2 + h : block * 64 + p.warp * 16 + p.row + h * 8;
}
/// One thread of those that know a row's maximum and sum.
template <class F>
__device__ __forceinline__ bool speaks(const Place& p) {
  return F::kWide ? p.column == 0 : p.warp == 0 && p.row == 0;
}

/// Where a node waits: of each thread's floats, in fours, the first `fours` at `first`, the others and the heads at `rest`.
template <class F>
struct Stand {
  float *first, *rest;
  int fours;

  __device__ __forceinline__ float4& four_of(int i, int thread) const {
    return reinterpret_cast<float4*>(i / 4 < fours ? first : rest)[i / 4 * F::kConsumers + thread];
  }
  __device__ __forceinline__ float* heads() const { return rest + F::kRows * F::kDim; }
};

/// The nodes of one block that wait for later ones: the fold so far at 0, levels of the tree over folds from 1 on. The first ones are in shared
/// memory, and as much of the next one as there is room for. kHere: place 0, known to be there.
template <class F>
struct Waiting {
  float* shared;
  float* spill;
  int shared_nodes, shared_fours;

  template <bool kHere>
  __device__ __forceinline__ Stand<F> at(int place) const {
    if (kHere) return {shared, shared, 0};
    float* here = shared + place * F::kNodeFloats;
    if (place < shared_nodes) return {here, here, 0};
    return {here, spill + static_cast<int64_t>(place - shared_nodes) * F::kNodeFloats, place == shared_nodes ? shared_fours : 0};
  }
  template <bool kHere = false>
  __device__ __forceinline__ void push(int place, const Node<F>& n) const {
    const Stand<F> to = at<kHere>(place);
    const int t = static_cast<int>(threadIdx.x);
    const Place p = place_of();
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
      for (int i = 0; i < F::kScores; i += 4)
        to.four_of(b * F::kScores + i, t) = {n.values[b][i], n.values[b][i + 1], n.values[b][i + 2], n.values[b][i + 3]};
    float* heads = to.heads();
    if (speaks<F>(p))
#pragma unroll
      for (int j = 0; j < F::kOwn; ++j) heads[row_of<F>(p, j) * 2] = n.maximum[j], heads[row_of<F>(p, j) * 2 + 1] = n.sum[j];
    if (F::kWide) __syncwarp();
  }
  /// n becomes the join of the waiting left one and n. A barrier of the group stands between push and this.
  template <bool kHere = false>
  __device__ __forceinline__ void join_left(int place, Node<F>& n) const {
    const Stand<F> from = at<kHere>(place);
    const int t = static_cast<int>(threadIdx.x);
    const Place p = place_of();
    const float* heads = from.heads();
    Factors f[F::kOwn];
#pragma unroll
    for (int j = 0; j < F::kOwn; ++j) {
      const float* head = heads + row_of<F>(p, j) * 2;
      f[j] = factors_of(head[0], n.maximum[j]);
      n.sum[j] = join(head[1], n.sum[j], f[j]);
      n.maximum[j] = f[j].maximum;
    }
    constexpr int kAtOnce = F::kScores < 16 || F::kDim <= 128 ? F::kScores : 16;  // loads that overlap
#pragma unroll
    for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
      for (int first = 0; first < F::kScores; first += kAtOnce) {
        float left[kAtOnce];
#pragma unroll
        for (int i = 0; i < kAtOnce; i += 4) {
          const float4* four = &from.four_of(b * F::kScores + first + i, t);
          if constexpr (kHere)
            load_now(shared_address(four), left[i], left[i + 1], left[i + 2], left[i + 3]);
          else
            load_now(four, left[i], left[i + 1], left[i + 2], left[i + 3]);
        }
        pin(left);
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) n.values[b][first + i] = join(left[i], n.values[b][first + i], f[own_of<F>(first + i)]);
      }
  }
};

/// Joins a finished chunk with those that wait; n is the run's node after the last chunk. Chunks of a fold in turn, folds by the tree over their
/// index. `present`: places where a node waits.
template <class F>
__device__ __forceinline__ void put_chunk(const Waiting<F>& waiting, uint32_t& present, Node<F>& n, int chunk, bool last) {
  if (present & 1) {
    waiting.template join_left<F::kFoldStays>(0, n);
    F::kWide ? __syncwarp() : named_sync(2 + place_of().group, kGroup);  // all have read what may be overwritten
  }
  if (!last && (chunk + 1) % kFold != 0) {
    waiting.template push<F::kFoldStays>(0, n), present |= 1;
    return;
  }
  present &= ~1u;
  for (int fold = chunk / kFold, place = 1; present != 0 || !last; fold /= 2, ++place) {
    if (fold % 2 == 0 && !last) {
      waiting.push(place, n), present |= 1u << place;
      return;
    }
    if (fold % 2 == 1 && ((present >> place) & 1)) waiting.join_left(place, n), present &= ~(1u << place);
  }
}

/// Stores element i.
__device__ __forceinline__ void store_one(const AttentionCall& c, int64_t i, float x) {
  if (c.out_dtype == DType::f32)
    static_cast<float*>(c.out)[i] = x;
  else if (c.out_dtype == DType::bf16)
    static_cast<__nv_bfloat16*>(c.out)[i] = __float2bfloat16_rn(x);
  else
    static_cast<__half*>(c.out)[i] = __float2half_rn(x);
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
  const Divided at = divided(u.first_row + row, c.group, c.by_group);
  const int token = u.span.q_first + at.quotient, head = u.head * c.group + at.remainder;
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
  return c.results + static_cast<int64_t>(c.partials) * F::kRows * F::kDim + static_cast<int64_t>(slot) * F::kRows * 2;
}

/// Where the node of a run stands: [rows][kDim] accumulators, and maximum and sum of each row.
struct Stored {
  float *values, *heads;
};
template <class F>
__device__ __forceinline__ Stored stored_at(const AttentionCall& c, int slot) {
  return {c.results + static_cast<int64_t>(slot) * F::kRows * F::kDim, heads_of<F>(c, slot)};
}

template <class F>
__device__ void write_partial(const Unit& u, const Stored& at, const Node<F>& n) {
  const Place p = place_of();
#pragma unroll
  for (int j = 0; j < F::kOwn; ++j) {
    const int row = row_of<F>(p, j);
    if (row < u.rows && speaks<F>(p)) at.heads[row * 2] = n.maximum[j], at.heads[row * 2 + 1] = n.sum[j];
  }
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
    for (int i = 0; i < F::kScores; i += F::kWide ? 2 : 1) {
      const int row = row_of<F>(p, own_of<F>(i));
      float* to = at.values + row * F::kDim + dim_of<F>(p, b, i);
      if (row >= u.rows) continue;
      if constexpr (F::kWide)
        *reinterpret_cast<float2*>(to) = {n.values[b][i], n.values[b][i + 1]};
      else
        *to = n.values[b][i];
    }
}

/// The outputs of a unit whose keys all are this block's, from registers.
template <class F>
__device__ __forceinline__ void write_own(const AttentionCall& c, const Unit& u, const Node<F>& n) {
  const Place p = place_of();
  const int rows = u.runs > 0 ? u.rows : 0;
  Finish f[F::kOwn];
#pragma unroll
  for (int j = 0; j < F::kOwn; ++j) f[j] = finish_row(c, u, row_of<F>(p, j), n.maximum[j], n.sum[j], speaks<F>(p) && row_of<F>(p, j) < rows);
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b)
#pragma unroll
    for (int i = 0; i < F::kScores; i += F::kWide ? 2 : 1) {
      const int j = own_of<F>(i), d = dim_of<F>(p, b, i);
      if (row_of<F>(p, j) >= rows || d >= c.head_dim) continue;
      if constexpr (F::kWide)
        store_pair(c, f[j].out + d, n.values[b][i] * f[j].factor, n.values[b][i + 1] * f[j].factor);
      else
        store_one(c, f[j].out + d, n.values[b][i] * f[j].factor);
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

/// Stored by any block, which the L1 cache may not know of.
template <class F>
__device__ __forceinline__ RowNode<F> load_row_node(const Stored& at, int row) {
  const auto load = [](const float* from) { return __ldcg(reinterpret_cast<const float2*>(from)); };
  RowNode<F> n;
  const float2 head = load(at.heads + row * 2);
  n.maximum = head.x, n.sum = head.y;
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b) n.values[b] = load(at.values + row * F::kDim + b * 64 + threadIdx.x % 32 * 2);
  return n;
}

/// Eight leaves of a row from an absolute index on that is a multiple of 8; absent ones are empty.
template <class F>
__device__ __forceinline__ void load_eight(const AttentionCall& c, const Unit& u, int eight, int row, RowNode<F> (&leaf)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int at = eight * 8 + i - u.first_leaf;
    leaf[i] = at >= 0 && at < u.leaves ? load_row_node<F>(stored_at<F>(c, u.slot + at), row) : RowNode<F>{};
  }
}
/// Of chunks those of a fold in turn, the rest as a tree.
template <class F>
__device__ __forceinline__ RowNode<F> join_eight(const Unit& u, RowNode<F> (&leaf)[8]) {
  static_assert(kFold <= 8);
  if (u.by_chunk) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (i % kFold != 0) leaf[i / kFold * kFold] = joined(leaf[i / kFold * kFold], leaf[i]);
  } else {
#pragma unroll
    for (int width = 1; width < kFold; width *= 2)
#pragma unroll
      for (int i = 0; i < 8; i += 2 * width) leaf[i] = joined(leaf[i], leaf[i + width]);
  }
#pragma unroll
  for (int width = kFold; width < 8; width *= 2)
#pragma unroll
    for (int i = 0; i < 8; i += 2 * width) leaf[i] = joined(leaf[i], leaf[i + width]);
  return leaf[0];
}

/// Joins the leaves of a row: by eights (more in flight took registers that the whole kernel then lacked), then the tree over their absolute
/// index by a counter of 6 levels.
template <class F>
__device__ RowNode<F> join_leaves(const AttentionCall& c, const Unit& u, int row) {
  RowNode<F> waiting[6], top;
  uint32_t present = 0;
  const int first = u.first_leaf / 8, last = (u.first_leaf + u.leaves - 1) / 8;
#pragma unroll 1
  for (int eight = first; eight <= last; ++eight) {
    RowNode<F> leaf[8];
    load_eight(c, u, eight, row, leaf);
    top = join_eight(u, leaf);
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

template <class F>
__device__ __forceinline__ void write_row(const AttentionCall& c, const Unit& u, int row, int end, const RowNode<F>& n) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (row >= end) return;
  const Finish f = finish_row(c, u, row, n.maximum, n.sum, lane == 0);
#pragma unroll
  for (int b = 0; b < F::kDimBlocks; ++b)
    if (b * 64 + lane * 2 < c.head_dim) store_pair(c, f.out + b * 64 + lane * 2, n.values[b].x * f.factor, n.values[b].y * f.factor);
}

/// The output of rows begin … end − 1 of a unit whose leaves are all in the results.
template <class F>
__device__ void write_rows(const AttentionCall& c, const Unit& u, int begin, int end) {
  constexpr int kWarps = F::kConsumers / 32, kAtOnce = 2;  // rows whose loads overlap
  const int first = begin + static_cast<int>(threadIdx.x / 32), last_row = end - 1;
  if (F::kWide && u.first_leaf / 8 == (u.first_leaf + u.leaves - 1) / 8) {
#pragma unroll 1
    for (int row = first; row < end; row += kWarps * kAtOnce) {
      RowNode<F> leaf[kAtOnce][8];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) load_eight(c, u, u.first_leaf / 8, min(row + i * kWarps, last_row), leaf[i]);
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) write_row(c, u, row + i * kWarps, end, join_eight(u, leaf[i]));
    }
  } else {
#pragma unroll 1
    for (int row = first; row < end; row += kWarps) write_row(c, u, row, end, join_leaves<F>(c, u, row));
  }
}

}  // namespace attune::cuda
