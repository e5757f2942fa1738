// cuda.matmul.skinny: out = act(x · wᵀ + bias) + residual for at most 64 rows of x, which costs what reading the weights once costs.
//
// A cluster of kSplit blocks works on a tile of 64 rows of weights; block r of it on the r-th part of K. One thread streams the weights (and the
// few rows of x beside them) into a ring in shared memory by the copy engine; a warpgroup multiplies, weights as the 64-row operand and x as the
// narrow one, and sends its partial sums to the block of the cluster that finishes them: there other warps add the parts in the order of K
// and store the outputs while the next tile streams. Gated, a tile is 32 rows of the gate and the 32 of its factors, and a block finishes 16 of
// each: nothing is laid out anew. Weights are requested before the predecessor in the stream has finished.
// A column of a product does not depend on the others, and K is cut by the desc alone: so a row's bits depend neither on M nor on other rows.
//
// The ladder, µs for gate_up 24576×4096 at M = 1 and 64 on an H200 (goals 49.8, 51.4), graph replay, cold L2:
//   clusters of 4, a ring of 90 KiB, one block a multiprocessor           60.0   85.5
//   waits that do not acquire from the cluster, which empties L1           59.9   85.2   not the limit
//   many small blocks in place of persistent ones                          52.5   78.9   clusters of 4 with a big ring fit 30 times at once
//   a copying thread without address work: a tile is located once          49.7   67.1   was 400 to 800 cycles a stage
//   clusters of 2 (66 fit, one block a multiprocessor), 128 of K a stage   46.3   53.4   all the bandwidth; M = 64: x from L2 beside it
//   tiles of 128 rows for M ≥ 32, x read half as often                     46.0   56.0   dropped
// And at M = 64, µs for o 4096×4096 and gate_up (goals 11.6, 51.4; before 12.4, 53.7):
//   x in a ring of its own, 3 stages, so that weights have 10 in place of 6    14.1        dropped: x comes too late
//   two blocks a multiprocessor, 4 stages of weights and 2 of x                       57.8   dropped
//   cuda.matmul.wgmma_halves, x as the 64-row operand                          20.9        dropped
//   the copying thread keeps its place among the steps                         12.5   53.4   and o 9.3 -> 8.8 at M = 1
//   more warps that finish, a row of x each: whole lines stored, what is
//   added read before the sums are there (before, in one call: 12.4, 54.0)     10.3   51.6   qkv 17.7 -> 15.8, down 27.9 -> 25.8; at M = 1 1 % off
// What bounds M = 64, by leaving parts out: without stores o 9.5, qkv 14.5 and lm_head 289 of 315; without x 11.9, 16.7 and 306; without
// either 9.1, 13.9 and 270, as without anything but weights; without products no change. And between other launches, µs a layer of Qwen3-8B without
// attention at M = 1: reading the weights takes 88.9.
//   two blocks a multiprocessor for every shape                           112.1
//   o and down, a tile a cluster, take a multiprocessor a block           100 to 101.5, with norms that are ready before their turn
//   the next matmul's first 8 to 32 MB brought into L2 ahead              +0 to +11    dropped
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/matmul_parts.h"
#include "kernels/cuda/matmul_skinny.h"
#include "kernels/cuda/warpgroup.h"
#include "kernels/gpu/kernels.h"

namespace attune::cuda {
namespace {

constexpr int kTileRows = 64, kTileBytes = kTileRows * 128;
constexpr int kMultiplyWarps = 4;
constexpr int kSlices = kMultiplyWarps / kSplit;  // 16 rows of a tile each that a block finishes: neighbours; gated, of the gate and of its factors
constexpr int64_t kUnit = 128;                    // K is cut at multiples of it

struct Call {
  Matrix x, w[3], up[3];
  Epilogue epilogue;
  int first_tile[3], first_column[3];  // of each segment
  int segments, tiles, tile_rows;      // rows of outputs of a tile
  int64_t m, k;
  int stages;
  bool mapped;  // all of it by the copy engine
};

struct Tile {
  int segment, row;
};
__device__ Tile tile_at(const Call& c, int tile) {
  int s = 0;
  while (s + 1 < c.segments && tile >= c.first_tile[s + 1]) ++s;
  return {s, (tile - c.first_tile[s]) * c.tile_rows};
}

/// A place in a ring: which stage, and how often it went round.
struct Place {
  int stage = 0;
  uint32_t parity = 0;
  __device__ void advance(int stages) {
    if (++stage < stages) return;
    stage = 0, parity ^= 1;
  }
};

/// One instantiation's shapes, and where things stand in its shared memory.
template <int kRows>
struct Layout {
  static constexpr int kWeightBytes = kDepth * kTileBytes, kXBytes = kDepth * kRows * 128, kStageBytes = kWeightBytes + kXBytes;
  static constexpr int kColumns = kRows / 8, kPartBytes = kSlices * kColumns * 512;  // 32 threads' four sums each
  static constexpr int kFinishWarps = kRows <= 8 ? 4 : kRows <= 32 ? 8 : 16, kCopyWarp = kMultiplyWarps + kFinishWarps;
  static constexpr int kThreads = (kCopyWarp + 1) * 32;
  static_assert(kSplit == 2 && kSlices == 2, "how Finished lays out rows of weights");
  uint32_t memory, parts, full, empty, got, room;
  uint32_t rank;

  __device__ Layout(const Call& c, const unsigned char* base) {
    memory = shared_address(base);
    parts = memory + static_cast<uint32_t>(c.stages * kStageBytes);
    full = parts + static_cast<uint32_t>(kSplit * kPartBytes);
    empty = full + static_cast<uint32_t>(c.stages) * 8;
    got = empty + static_cast<uint32_t>(c.stages) * 8;
    room = got + 8;
    rank = cluster_rank();
  }
  __device__ uint32_t stage(int i) const { return memory + static_cast<uint32_t>(i * kStageBytes); }
  __device__ uint32_t part(uint32_t from) const { return parts + from * kPartBytes; }
};

/// This block's part of K in boxes, and its cluster's share of the tiles.
struct Share {
  int first_box, steps, first_tile, stride, tiles;
};
__device__ Share share_of(const Call& c, uint32_t rank) {
  const auto units = static_cast<int>(ceil_div(c.k, kUnit)), r = static_cast<int>(rank);
  const int first = units * r / kSplit, last = units * (r + 1) / kSplit;
  const int cluster = static_cast<int>(blockIdx.x) / kSplit, clusters = static_cast<int>(gridDim.x) / kSplit;  // clusters ≤ tiles
  return {first * 2, (last - first) * 2 / kDepth, cluster, clusters, (c.tiles - cluster + clusters - 1) / clusters};
}

template <class L>
__device__ void make_barriers(const Call& c, const L& l) {
  for (int i = 0; i < c.stages; ++i) barrier_init(l.full + i * 8, 1), barrier_init(l.empty + i * 8, kMultiplyWarps);
  barrier_init(l.got, 1), barrier_init(l.room, kSplit * L::kFinishWarps);
  fence_barrier_init();
  barrier_arrive_expect(l.got, kSplit * L::kPartBytes);
}

/// Steps of a cluster's tiles one after the other.
struct Steps {
  const Call& c;
  const Share& share;
  int left, turn = 0, step = 0;  // left: steps from this one on
  Tile tile;
  __device__ Steps(const Call& call, const Share& s) : c(call), share(s), left(s.tiles * s.steps), tile(tile_at(call, s.first_tile)) {}
  __device__ int column(int d) const { return (share.first_box + step * kDepth + d) * kBoxColumns; }
  __device__ void advance() {
    --left;
    if (++step < share.steps) return;
    step = 0, ++turn;
    if (left > 0) tile = tile_at(c, share.first_tile + turn * share.stride);
  }
};

/// The copying warp where everything has a map: one thread. Fills the ring with weights, then waits for the predecessor, whose outputs x may be.
/// A stage's barrier gets one arrival, with its x.
template <bool kGated, class L>
__device__ void copy(const Call& c, const L& l, const Share& share) {
  const uint64_t policy = policy_evict_first();
  const auto ask_weights = [&](int stage, const Steps& at) {
    const uint32_t to = l.stage(stage), barrier = l.full + stage * 8;
    barrier_expect(barrier, L::kWeightBytes);
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      copy_box(to + d * kTileBytes, &c.w[at.tile.segment].map, at.column(d), at.tile.row, barrier, policy);
      if constexpr (kGated) copy_box(to + d * kTileBytes + kTileBytes / 2, &c.up[at.tile.segment].map, at.column(d), at.tile.row, barrier, policy);
    }
  };
  const auto ask_x = [&](int stage, const Steps& at) {
    const uint32_t to = l.stage(stage) + L::kWeightBytes, barrier = l.full + stage * 8;
    barrier_arrive_expect(barrier, L::kXBytes);
#pragma unroll
    for (int d = 0; d < kDepth; ++d) copy_box(to + d * L::kXBytes / kDepth, &c.x.map, at.column(d), 0, barrier);
  };
  Steps at(c, share);
  int filled = 0;
  for (; filled < c.stages && at.left > 0; ++filled, at.advance()) ask_weights(filled, at);
  wait_for_predecessor();
  Steps early(c, share);
  for (int i = 0; i < filled; ++i, early.advance()) ask_x(i, early);
  for (Place place; at.left > 0; at.advance(), place.advance(c.stages)) {
    barrier_wait(l.empty + place.stage * 8, place.parity);
    ask_weights(place.stage, at), ask_x(place.stage, at);
  }
}

/// The copying warp where something stands at an odd address: element by element, all of it.
template <bool kGated, class L>
__device__ void copy_by_elements(const Call& c, const L& l, unsigned char* memory, const Share& share, int lane) {
  wait_for_predecessor();
  Place place;
  int free = c.stages;
  for (Steps at(c, share); at.left > 0; at.advance(), place.advance(c.stages)) {
    if (--free < 0) barrier_wait(l.empty + place.stage * 8, place.parity ^ 1);
    unsigned char* to = memory + place.stage * L::kStageBytes;
    for (int d = 0; d < kDepth; ++d) {
      copy_elements(to + d * kTileBytes, c.w[at.tile.segment], c.k, at.column(d), at.tile.row, c.tile_rows, lane);
      if constexpr (kGated)
        copy_elements(to + d * kTileBytes + kTileBytes / 2, c.up[at.tile.segment], c.k, at.column(d), at.tile.row, c.tile_rows, lane);
      copy_elements(to + L::kWeightBytes + d * L::kXBytes / kDepth, c.x, c.k, at.column(d), 0, L::kColumns * 8, lane);
    }
    __syncwarp();
    if (lane == 0) barrier_arrive(l.full + place.stage * 8);
  }
}

/// The multiplying warpgroup: partial sums of a tile over this block's part of K, sent to the blocks that finish them.
template <bool kHalf, int kRows, bool kGated>
__device__ void multiply(const Call& c, const Layout<kRows>& l, const Share& share, int warp, int lane) {
  using L = Layout<kRows>;
  Place place;
  const auto target = static_cast<uint32_t>(kGated ? warp % kSplit : warp / kSlices);
  const int slice = kGated ? warp / kSplit : warp % kSlices, slot = lane % 4 * 8 + lane / 4;  // finishing warps then meet in few banks
  const uint32_t to = map_to_rank(l.part(l.rank) + (slice * L::kColumns * 32 + slot) * 16, target), barrier = map_to_rank(l.got, target);
  for (int turn = 0; turn < share.tiles; ++turn) {
    float sums[kRows / 2] = {};
    int previous = -1;
    for (int step = 0; step < share.steps; ++step) {
      barrier_wait(l.full + place.stage * 8, place.parity);
      wgmma_fence();
      const uint32_t w = l.stage(place.stage), x = w + L::kWeightBytes;
#pragma unroll
      for (int d = 0; d < kDepth; ++d)
#pragma unroll
        for (int part = 0; part < 4; ++part)
          wgmma<Element<kHalf>, false, true>(sums, swizzled_matrix(w + d * kTileBytes) + part * 2, swizzled_matrix(x + d * kRows * 128) + part * 2);
      wgmma_commit();
      wgmma_wait<1>();
      if (previous >= 0 && lane == 0) barrier_arrive(l.empty + previous * 8);
      previous = place.stage;
      place.advance(c.stages);
    }
    wgmma_wait<0>();
    if (previous >= 0 && lane == 0) barrier_arrive(l.empty + previous * 8);
    barrier_wait(l.room, (turn & 1) ^ 1);
#pragma unroll
    for (int j = 0; j < L::kColumns; ++j) store_remote(to + j * 512, barrier, {sums[4 * j], sums[4 * j + 1], sums[4 * j + 2], sums[4 * j + 3]});
  }
}

/// The outputs of this block's share of a tile that a thread finishes: one row of weights (gated: of the gate), and every so many rows of x, so that
/// a warp stores 32 neighbours of a row of outputs (gated: 16 of two).
template <bool kGated, class L>
struct Finished {
  static constexpr int kAtOnce = kGated ? 2 : 1, kMine = L::kColumns * 8 / (kAtOnce * L::kFinishWarps);
  int slice, in_slice, first_m;
  int64_t n = 0;
  bool valid = false;
  float bias = 0, up_bias = 0, residual[kMine] = {};

  __device__ Finished(int warp, int lane) : slice(kGated ? 0 : lane / 16), in_slice(lane % 16), first_m(kGated ? warp * 2 + lane / 16 : warp) {}
  __device__ int m(int i) const { return first_m + i * kAtOnce * L::kFinishWarps; }

  /// Reads what is added to the outputs, which may be before their sums are there.
  __device__ void begin(const Call& c, const Tile& at, uint32_t rank) {
    const int64_t row = at.row + static_cast<int>(rank) * (kGated ? 1 : kSlices) * 16 + slice * 16 + in_slice;
    n = c.first_column[at.segment] + row;
    valid = row < c.w[at.segment].rows;
    if (!valid) return;
    bias = bias_at(c.epilogue, c.epilogue.bias[at.segment], row);
    if constexpr (kGated) up_bias = bias_at(c.epilogue, c.epilogue.up_bias[at.segment], row);
#pragma unroll
    for (int i = 0; i < kMine; ++i)
      if (m(i) < c.m) residual[i] = residual_at(c.epilogue, m(i), n);
  }
  /// The parts of one sum in the order of K.
  __device__ float sum(const unsigned char* parts, int of_slice, int m) const {
    const int at = ((of_slice * L::kColumns + m / 8) * 32 + m % 8 / 2 * 8 + in_slice % 8) * 16 + (in_slice / 8 * 2 + m % 2) * 4;
    float out = 0;
#pragma unroll
    for (int r = 0; r < kSplit; ++r) out += *reinterpret_cast<const float*>(parts + r * L::kPartBytes + at);
    return out;
  }
  /// What is absent is not added: 0 would make +0 of −0.
  __device__ void store(const Call& c, const unsigned char* parts) const {
    const Epilogue& e = c.epilogue;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      if (!valid || m(i) >= c.m) continue;
      float out = __fadd_rn(sum(parts, slice, m(i)), bias);
      out = kGated ? gated_by(e.activation, out, __fadd_rn(sum(parts, 1, m(i)), up_bias)) : activated(e.activation, out);
      if (e.residual) out = __fadd_rn(out, residual[i]);
      store_wide(e.out, e.out_dtype, m(i) * e.out_stride + n, out);
    }
  }
};

/// The finishing warps: of every tile of the cluster the rows that are this block's share.
template <bool kGated, class L>
__device__ void finish(const Call& c, const L& l, const unsigned char* memory, const Share& share, int warp, int lane) {
  wait_for_predecessor();
  const unsigned char* parts = memory + (l.parts - l.memory);
  for (int turn = 0; turn < share.tiles; ++turn) {
    Finished<kGated, L> outputs(warp, lane);
    outputs.begin(c, tile_at(c, share.first_tile + turn * share.stride), l.rank);
    barrier_wait_cluster(l.got, turn & 1);
    outputs.store(c, parts);
    if (turn + 1 == share.tiles) break;
    __syncwarp();
    if (warp == 0 && lane == 0) barrier_arrive_expect(l.got, kSplit * L::kPartBytes);
    if (lane < kSplit) barrier_arrive_remote(map_to_rank(l.room, static_cast<uint32_t>(lane)));
  }
}

template <bool kHalf, int kRows, bool kGated>
__global__ void __launch_bounds__(Layout<kRows>::kThreads) skinny(const __grid_constant__ Call c) {
  extern __shared__ __align__(1024) unsigned char stages[];
  const Layout<kRows> l(c, stages);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const Share share = share_of(c, l.rank);
  if (warp == Layout<kRows>::kCopyWarp) {
    if (lane == 0) make_barriers(c, l);
    __syncwarp();
    cluster_arrive();
    release_successor();
    if (share.steps > 0) {
      if (!c.mapped)
        copy_by_elements<kGated>(c, l, stages, share, lane);
      else if (lane == 0)
        copy<kGated>(c, l, share);
    }
    __syncwarp();
    cluster_wait();
    return;
  }
  cluster_arrive();
  release_successor();
  cluster_wait();
  if (warp < kMultiplyWarps)
    multiply<kHalf, kRows, kGated>(c, l, share, warp, lane);
  else
    finish<kGated>(c, l, stages, share, warp - kMultiplyWarps, lane);
}

// ---- the host's side ------------------------------------------------------------------------------------------------------------------------

Call call_of(const MatmulDesc& d, const MatmulParams& p, const SkinnyShape& shape, int rows) {
  Call c = {};
  c.x = matrix_of(p.x, d.x_dtype, p.m, d.k, p.x_stride, rows);
  c.mapped = c.x.mapped;
  c.tile_rows = d.gated ? kTileRows / 2 : kTileRows;
  int column = 0;
  for (int s = 0; s < d.segments; ++s) {
    const auto& segment = p.segments[s];
    c.w[s] = matrix_of(segment.w, d.w_dtype, segment.rows, d.k, d.k, c.tile_rows);
    if (d.gated) c.up[s] = matrix_of(segment.up, d.w_dtype, segment.rows, d.k, d.k, c.tile_rows);
    c.mapped = c.mapped && c.w[s].mapped && (!d.gated || c.up[s].mapped);
    c.first_tile[s] = c.tiles, c.first_column[s] = column;
    c.tiles += static_cast<int>(ceil_div(segment.rows, c.tile_rows));
    column += static_cast<int>(segment.rows);
  }
  c.segments = static_cast<int>(d.segments);
  c.epilogue = epilogue_of(d, p);
  c.m = p.m, c.k = d.k;
  c.stages = shape.stages;
  return c;
}

template <bool kHalf, int kRows, bool kGated>
void start(const ExecContext& ctx, const Call& c, const SkinnyShape& shape) {
  const auto kernel = skinny<kHalf, kRows, kGated>;
  const auto bytes = static_cast<int>(skinny_shared_memory(kRows, shape));
  // As many tiles in turn as the fullest cluster has, by as few clusters as that takes.
  const int turns = static_cast<int>(ceil_div(c.tiles, shape.clusters)), clusters = static_cast<int>(ceil_div(c.tiles, turns));
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  cudaLaunchAttribute attributes[2];
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {kSplit, 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(clusters * kSplit));
  config.blockDim = dim3(Layout<kRows>::kThreads);
  config.dynamicSmemBytes = static_cast<size_t>(bytes);
  config.stream = static_cast<cudaStream_t>(ctx.stream);
  config.attrs = attributes, config.numAttrs = 2;
  if (error == cudaSuccess) error = cudaLaunchKernelEx(&config, kernel, c);
  if (error != cudaSuccess) gpu::launch_failed("cuda.matmul.skinny", cudaGetErrorString(error));
}

template <bool kHalf, bool kGated>
void start_rows(const ExecContext& ctx, const Call& c, const SkinnyShape& s, int rows) {
  if (rows == 8) return start<kHalf, 8, kGated>(ctx, c, s);
  if (rows == 16) return start<kHalf, 16, kGated>(ctx, c, s);
  if (rows == 32) return start<kHalf, 32, kGated>(ctx, c, s);
  start<kHalf, 64, kGated>(ctx, c, s);
}

template <bool kHalf>
void start_gated(const ExecContext& ctx, const Call& c, const SkinnyShape& s, int rows) {
  c.epilogue.gated ? start_rows<kHalf, true>(ctx, c, s, rows) : start_rows<kHalf, false>(ctx, c, s, rows);
}

}  // namespace

void matmul_skinny(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params) {
  if (params.m <= 0) return;
  if (params.m > kMostRows) gpu::launch_failed("cuda.matmul.skinny", "more rows of x than the kernel has");
  const int rows = skinny_rows(params.m);
  const SkinnyShape shape = skinny_shape(desc, rows);
  const Call c = call_of(desc, params, shape, rows);
  desc.x_dtype == DType::f16 ? start_gated<true>(ctx, c, shape, rows) : start_gated<false>(ctx, c, shape, rows);
}

}  // namespace attune::cuda
