// gpu.rope_kv_write.heads: norm, rotation and storage of every head of a token's q, k and v; 32 threads a head.
//
// The bits are those of gpu.norm.rows, gpu.rope.pairs and gpu.kv_write.paged one after the other with f32 between them: the same functions, and
// sums of squares in the same order (threads of a wide row are played in turn). A head is in shared memory, where the elements of a pair meet.
// Weights and frequencies are read before the predecessor in the stream has finished.
// Many heads of common shapes go another way with the same bits: so few threads a head that both elements of a pair are in one thread, which takes
// heads of a token one after the other, keeps the token's rotations and loads the next head ahead.
//
// The ladder, µs for 2,048 tokens of the Qwen3-8B shape (75 MB) on an H200:
//   32 threads a head, sine and cosine for each head            98.5
//   16 threads a head, in registers, a token's rotations kept   26.0
//   L1 whole, for what is in flight (portable.h)                25.4   2.97 TB/s
#include "kernels/gpu/elements.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/kv_write_math.h"
#include "kernels/gpu/norm_math.h"
#include "kernels/gpu/rope_kv_write_plan.h"
#include "kernels/gpu/rope_math.h"

namespace attune::gpu {
namespace {

constexpr int kThreads = kHeadsAtOnce * kLanes, kHeadsBeside = 12;  // of a block; blocks of a multiprocessor
constexpr int kStep = 4 * kLanes;                                   // elements that 32 threads load at once
constexpr int kAhead = 2;                                           // rotations of a thread whose frequencies are loaded with the head

struct Call {
  RopeKvWriteDesc desc;
  RopeKvWriteParams params;
  KvWriteDesc write;
  int64_t heads, units;                              // of a token, of all tokens
  bool x_aligned, q_aligned, kv_aligned, w_aligned;  // to four elements
};

enum class Part { q, k, v };

/// One head of one token.
struct Unit {
  int32_t token, head;  // the head within its part
  Part part;
  int64_t from;  // its first element
  bool live;     // false: there is no such head; its threads take part without reading or writing
};

__device__ Unit unit_at(const Call& c, int64_t index) {
  const RopeKvWriteDesc& d = c.desc;
  Unit u;
  u.live = index < c.units;
  u.token = u.live ? static_cast<int32_t>(quotient(index, c.heads)) : 0;
  u.head = u.live ? static_cast<int32_t>(index - u.token * c.heads) : 0;
  u.from = u.token * c.params.x_stride + u.head * d.head_dim;
  u.part = Part::q;
  const auto q_heads = static_cast<int32_t>(d.num_q_heads()), kv_heads = static_cast<int32_t>(d.num_kv_heads);
  if (u.head < q_heads) return u;
  u.head -= q_heads;
  u.part = u.head < kv_heads ? Part::k : Part::v;
  if (u.part == Part::v) u.head -= kv_heads;
  return u;
}

__device__ bool turns(const Unit& u) { return u.live && u.part != Part::v; }

/// The weights that norm a head; null: none.
__device__ const void* weights_of(const Call& c, const Unit& u) {
  if (!turns(u) || !c.desc.norm) return nullptr;
  return u.part == Part::q ? c.params.q_weight : c.params.k_weight;
}

/// What no launch writes: a head's weights, to behind the head in shared memory, each thread its own fours; and frequencies.
__device__ void load_constants(const Call& c, const Unit& u, float* row, float (&frequency)[kAhead]) {
  const int lane = thread_index() % kLanes, head_dim = static_cast<int>(c.desc.head_dim), half = static_cast<int>(c.desc.rotary_dim / 2);
  for (int n = 0; n < kAhead; ++n) frequency[n] = turns(u) && lane + n * kLanes < half ? c.params.inv_freq[lane + n * kLanes] : 0.0f;
  if (const void* w = weights_of(c, u))
    for (int i = 4 * lane; i < head_dim; i += kStep)
      store_four(row + padded_head(head_dim), DType::f32, i, load_four(w, c.desc.w_dtype, i, head_dim - i, c.w_aligned));
}

/// The head's elements into shared memory, each thread its own fours; `normed`: their sum of squares as well.
__device__ float load_head(const Call& c, const Unit& u, bool normed, float* row) {
  const int lane = thread_index() % kLanes, head_dim = static_cast<int>(c.desc.head_dim);
  float total = 0;
  for (int first = 0; first < head_dim; first += kStep) {
    const int i = first + 4 * lane;
    float squares = 0;
    if (u.live && i < head_dim) {
      const Four x = load_four(c.params.qkv, c.desc.x_dtype, u.from + i, head_dim - i, c.x_aligned);
      store_four(row, DType::f32, i, x);
#pragma unroll
      for (int j = 0; j < 4; ++j) squares = fma(x.x[j], x.x[j], squares);
    }
    if (normed) total = total + sum_over(squares, kLanes);
  }
  return total;
}

/// Norms a head; each thread its own fours.
__device__ void norm_head(const Call& c, float squares, float* row) {
  const int head_dim = static_cast<int>(c.desc.head_dim);
  const float scale = inverse_rms(squares, c.desc.head_dim, c.params.eps);
  for (int i = 4 * (thread_index() % kLanes); i < head_dim; i += kStep) {
    const Four x = load_four(row, DType::f32, i), by = load_four(row + padded_head(head_dim), DType::f32, i);
    Four y;
#pragma unroll
    for (int j = 0; j < 4; ++j) y.x[j] = normed(x.x[j], scale, by.x[j], c.desc.unit_offset);
    store_four(row, DType::f32, i, y);
  }
}

__device__ void rotate_pair(const Call& c, int i, int half, const Rotation& r, float* row) {
  const int a = first_of_pair(c.desc.style, i), b = second_of_pair(c.desc.style, i, half);
  const Pair y = rotated({row[a], row[b]}, r);
  row[a] = y.a;
  row[b] = y.b;
}

__device__ void divide(Four& y, float scale) {
#pragma unroll
  for (int j = 0; j < 4; ++j) y.x[j] = y.x[j] / scale;
}

/// K or V into its page; each thread its own fours.
__device__ void write_page(const Call& c, const Unit& u, int64_t slot, const float* row) {
  const int lane = thread_index() % kLanes, head_dim = static_cast<int>(c.desc.head_dim);
  float peak = 0;
  if (c.desc.kv_scale == Scales::token_head) {
    for (int i = lane; i < head_dim; i += kLanes) peak = fmaxf(peak, fabsf(row[i]));
    peak = max_over(peak, kLanes);
  }
  if (slot < 0) return;
  const bool value = u.part == Part::v;
  const int64_t place = place_of(c.write, slot, u.head);
  const float scale = side_scale(c.write, value ? c.params.v_scale : c.params.k_scale, u.head, place, peak, lane == 0);
  void* cache = value ? c.params.v_cache : c.params.k_cache;
  for (int i = 4 * lane; i < head_dim; i += kStep) {
    Four y = load_four(row, DType::f32, i);
    if (c.desc.kv_scale != Scales::none) divide(y, scale);
    store_four(cache, c.desc.kv_dtype, place * head_dim + i, head_dim - i, c.kv_aligned, y);
  }
}

__global__ void __launch_bounds__(kThreads) rope_kv_write(const Call c) {
  let_next_start();
  const RopeKvWriteDesc& d = c.desc;
  const RopeKvWriteParams& p = c.params;
  const int lane = thread_index() % kLanes, half = static_cast<int>(d.rotary_dim / 2), head_dim = static_cast<int>(d.head_dim);
  float* row = reinterpret_cast<float*>(shared_memory()) + thread_index() / kLanes * head_floats(d);
  // The first round is a rehearsal without heads: it fetches the code while the predecessor works.
  int64_t first = c.units, next = block_index() * kHeadsAtOnce;
  Unit u = unit_at(c, first);
  float frequency[kAhead] = {};
#pragma unroll 1
  for (;;) {
    const int32_t position = turns(u) ? p.positions[u.token] : 0;
    const int64_t slot = u.live && u.part != Part::q ? p.slot_mapping[u.token] : -1;
    const bool normed = weights_of(c, u) != nullptr;
    const float squares = load_head(c, u, normed, row);
    Rotation ahead[kAhead];
    for (int n = 0; n < kAhead; ++n) ahead[n] = rotation_of(position, frequency[n], p.attention_factor);
    if (normed) norm_head(c, squares, row);
    block_sync();
    if (turns(u)) {
      for (int n = 0; n < kAhead; ++n)
        if (lane + n * kLanes < half) rotate_pair(c, lane + n * kLanes, half, ahead[n], row);
      for (int i = lane + kAhead * kLanes; i < half; i += kLanes)
        rotate_pair(c, i, half, rotation_of(position, p.inv_freq[i], p.attention_factor), row);
    }
    block_sync();
    if (u.live && u.part == Part::q) {
      for (int i = 4 * lane; i < head_dim; i += kStep)
        store_four(p.q, d.out_dtype, u.token * p.q_stride + u.head * d.head_dim + i, head_dim - i, c.q_aligned, load_four(row, DType::f32, i));
    } else if (u.live) {
      write_page(c, u, slot, row);
    }
    if (next >= c.units) return;
    block_sync();
    u = unit_at(c, next + thread_index() / kLanes);
    load_constants(c, u, row, frequency);
    if (first >= c.units) take_turn();
    first = next, next += block_count() * kHeadsAtOnce;
  }
}

// ---- many heads -----------------------------------------------------------------------------------------------------------------------------

constexpr int kManyThreads = 256, kManyBeside = 4;  // of a block; blocks of a multiprocessor
constexpr int64_t kManyUnits = 700;                 // from so many heads of all tokens on

/// Elements of a head in one of its kGroup threads: four of the first half and the four that they make pairs with.
template <class T>
struct Halves {
  Packed<T, 4> low, high;
};
struct FourPairs {
  Four a, b;
};
template <class T>
__device__ FourPairs as_floats(const Halves<T>& x) {
  FourPairs y;
#pragma unroll
  for (int j = 0; j < 4; ++j) y.a.x[j] = to_float(x.low.x[j]), y.b.x[j] = to_float(x.high.x[j]);
  return y;
}
__device__ float squares_of(const Four& x) {
  float squares = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) squares = fma(x.x[j], x.x[j], squares);
  return squares;
}

/// A head's sum of squares in each of its threads: load_head()'s order, in which thread l has the first half's fours and thread l + kGroup the
/// second's, or beyond 32 threads a sum after the other.
template <int kGroup>
__device__ float squares_of(const FourPairs& x) {
  if constexpr (kGroup == kLanes) return sum_over(squares_of(x.a), kLanes) + sum_over(squares_of(x.b), kLanes);
  return sum_over(squares_of(x.a) + squares_of(x.b), kGroup);
}

/// What a thread loads of a head before its turn comes.
template <class X>
struct Coming {
  Unit unit;
  Halves<X> x;
  int32_t position;
  int64_t slot;
};
template <class X, int kGroup>
__device__ Coming<X> load_coming(const Call& c, int64_t index) {
  Coming<X> next = {unit_at(c, index), {}, 0, -1};
  if (!next.unit.live) return next;
  const X* x = static_cast<const X*>(c.params.qkv) + next.unit.from + thread_index() % kGroup * 4;
  next.x = {load_raw(x, 4, true), load_raw(x + 4 * kGroup, 4, true)};
  if (next.unit.part != Part::v) next.position = c.params.positions[next.unit.token];
  if (next.unit.part != Part::q) next.slot = c.params.slot_mapping[next.unit.token];
  return next;
}

/// Norms (`weights`: of q, then of k; in shared memory) and rotates a head of q or k.
template <int kGroup>
__device__ void turn_head(const Call& c, const Unit& u, const float* weights, const Rotation (&rotations)[4], float squares, FourPairs& x) {
  if (c.desc.norm) {
    const float scale = inverse_rms(squares, 8 * kGroup, c.params.eps);
    const int at = (u.part == Part::q ? 0 : 8 * kGroup) + thread_index() % kGroup * 4;
    const Four a = load_four(weights, DType::f32, at), b = load_four(weights, DType::f32, at + 4 * kGroup);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      x.a.x[j] = normed(x.a.x[j], scale, a.x[j], c.desc.unit_offset);
      x.b.x[j] = normed(x.b.x[j], scale, b.x[j], c.desc.unit_offset);
    }
  }
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    const Pair y = rotated({x.a.x[j], x.b.x[j]}, rotations[j]);
    x.a.x[j] = y.a, x.b.x[j] = y.b;
  }
}

/// q, or K or V into its page. `peak`: the head's largest magnitude, where that makes its scale.
template <int kGroup>
__device__ void store_head(const Call& c, const Unit& u, int64_t slot, float peak, FourPairs& x) {
  const int lane = thread_index() % kGroup;
  if (u.part == Part::q) {
    const int64_t to = u.token * c.params.q_stride + u.head * 8 * kGroup + 4 * lane;
    store_four(c.params.q, c.desc.out_dtype, to, x.a);
    return store_four(c.params.q, c.desc.out_dtype, to + 4 * kGroup, x.b);
  }
  if (slot < 0) return;
  const bool value = u.part == Part::v;
  const int64_t place = place_of(c.write, slot, u.head), to = place * (8 * kGroup) + 4 * lane;
  if (c.desc.kv_scale != Scales::none) {
    const float scale = side_scale(c.write, value ? c.params.v_scale : c.params.k_scale, u.head, place, peak, lane == 0);
    divide(x.a, scale), divide(x.b, scale);
  }
  void* cache = value ? c.params.v_cache : c.params.k_cache;
  store_four(cache, c.desc.kv_dtype, to, x.a);
  store_four(cache, c.desc.kv_dtype, to + 4 * kGroup, x.b);
}

__device__ float peak_of(const FourPairs& x) {
  float peak = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) peak = fmaxf(peak, fmaxf(fabsf(x.a.x[j]), fabsf(x.b.x[j])));
  return peak;
}

/// Heads of 8 · kGroup elements, aligned and wholly rotated in neox style. 32 threads take neighbouring heads, a run of them.
template <class X, int kGroup>
__global__ void __launch_bounds__(kManyThreads, kManyBeside) rope_kv_write_many(const Call c) {
  let_next_start();
  constexpr int kAtOnce = kLanes / kGroup, kHead = 8 * kGroup;
  float* weights = reinterpret_cast<float*>(shared_memory());
  for (int i = thread_index(); i < 2 * kHead && c.desc.norm; i += kManyThreads)
    weights[i] = load_element(i < kHead ? c.params.q_weight : c.params.k_weight, c.desc.w_dtype, i % kHead);
  block_sync();
  const int64_t packs = (c.units + kAtOnce - 1) / kAtOnce, runs = block_count() * (kManyThreads / kLanes);
  const int64_t run = block_index() * (kManyThreads / kLanes) + thread_index() / kLanes;
  const int64_t last = packs * (run + 1) / runs;
  int64_t pack = packs * run / runs;
  const int lane = thread_index() % kGroup, place = thread_index() % kLanes / kGroup;
  int32_t token = -1;  // whose rotations these are
  Rotation rotations[4] = {};
  take_turn();
  Coming<X> next = load_coming<X, kGroup>(c, pack < last ? pack * kAtOnce + place : c.units);
#pragma unroll 1
  for (; pack < last; ++pack) {
    const Coming<X> now = next;
    next = load_coming<X, kGroup>(c, pack + 1 < last ? (pack + 1) * kAtOnce + place : c.units);
    if (turns(now.unit) && now.unit.token != token) {
      token = now.unit.token;
#pragma unroll
      for (int j = 0; j < 4; ++j) rotations[j] = rotation_of(now.position, c.params.inv_freq[4 * lane + j], c.params.attention_factor);
    }
    FourPairs x = as_floats(now.x);
    const float squares = c.desc.norm ? squares_of<kGroup>(x) : 0.0f;
    if (turns(now.unit)) turn_head<kGroup>(c, now.unit, weights, rotations, squares, x);
    const float peak = c.desc.kv_scale == Scales::token_head ? max_over(peak_of(x), kGroup) : 0.0f;
    if (now.unit.live) store_head<kGroup>(c, now.unit, now.slot, peak, x);
  }
}

/// The kernel for many heads of this shape, or null. Models have f32 here.
void (*many_heads(const RopeKvWriteDesc& d))(Call) {
  if (d.x_dtype != DType::f32 || d.style != RopeStyle::neox || d.rotary_dim != d.head_dim) return nullptr;
  switch (d.head_dim) {
    case 64: return rope_kv_write_many<float, 8>;
    case 128: return rope_kv_write_many<float, 16>;
    case 256: return rope_kv_write_many<float, 32>;
    default: return nullptr;
  }
}

const char* start(const ExecContext& ctx, const Call& c) {
  void (*many)(Call) = c.units >= kManyUnits && c.x_aligned && c.q_aligned && c.kv_aligned ? many_heads(c.desc) : nullptr;
  if (many != nullptr) {
    const int64_t blocks = blocks_at_work((c.units + kManyThreads / kLanes - 1) / (kManyThreads / kLanes), kManyBeside);
    return launch(many, blocks, kManyThreads, 2 * c.desc.head_dim * static_cast<int64_t>(sizeof(float)), ctx.stream, c);
  }
  const int64_t blocks = blocks_at_work((c.units + kHeadsAtOnce - 1) / kHeadsAtOnce, kHeadsBeside);
  return launch(rope_kv_write, blocks, kThreads, rope_kv_write_shared_memory(c.desc), ctx.stream, c);
}

}  // namespace

template <>
void rope_kv_write_heads<kDevice>(const ExecContext& ctx, const RopeKvWriteDesc& desc, const RopeKvWriteParams& params) {
  Call c = {desc, params, desc.kv_write(), desc.num_q_heads() + 2 * desc.num_kv_heads, 0, false, false, false, false};
  c.units = params.tokens * c.heads;
  if (c.units == 0) return;
  const bool whole = desc.head_dim % 4 == 0;
  c.x_aligned = whole && fours_are_aligned(params.qkv, desc.x_dtype, params.x_stride);
  c.q_aligned = whole && fours_are_aligned(params.q, desc.out_dtype, params.q_stride);
  c.kv_aligned = fours_are_aligned(params.k_cache, desc.kv_dtype, desc.head_dim) && fours_are_aligned(params.v_cache, desc.kv_dtype, desc.head_dim);
  c.w_aligned = fours_are_aligned(params.q_weight, desc.w_dtype, 4) && fours_are_aligned(params.k_weight, desc.w_dtype, 4);
  const char* error = start(ctx, c);
  if (error != nullptr) launch_failed("gpu.rope_kv_write.heads", error);
}

}  // namespace attune::gpu
