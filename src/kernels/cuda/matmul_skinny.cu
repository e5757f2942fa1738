// cuda.matmul.skinny: out = act(x · wᵀ + bias) + residual for at most 64 rows of x, which costs what reading the weights once costs.
//
// A cluster of kSplit blocks works on a group of tiles of 64 rows of weights; block r of it on the r-th part of K. A warp streams the weights (and
// the few rows of x beside them) into a ring in shared memory by the copy engine; a warpgroup multiplies, weights as the 64-row operand and x as
// the narrow one. Warp w then sends its 16 rows of the partial sums to block w of the cluster, where four warps add the parts in the order of
// K and finish the outputs while the next group streams. Weights are requested before the predecessor in the stream has finished.
// A column of a product does not depend on the others, and K is cut by the desc alone: so a row's bits depend neither on M nor on other rows.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/matmul_parts.h"
#include "kernels/cuda/matmul_skinny.h"
#include "kernels/cuda/warpgroup.h"
#include "kernels/gpu/kernels.h"

namespace attune::cuda {
namespace {

constexpr int kTileRows = 64, kTileBytes = kTileRows * 128;
constexpr int kMultiplyWarps = 4, kFinishWarps = 4, kCopyWarp = kMultiplyWarps + kFinishWarps;
constexpr int kThreads = (kCopyWarp + 1) * 32;
constexpr int64_t kUnit = 128;  // K is cut at multiples of it

struct Call {
  Matrix x, w[3];
  Epilogue epilogue;
  int first_tile[3], first_column[3];  // of each segment
  int segments, tiles, groups;
  int64_t m, k;
  int stages, buffers;
  bool mapped;  // all of it by the copy engine
};

struct Tile {
  int segment, row;
};
__device__ Tile tile_at(const Call& c, int tile) {
  int s = 0;
  while (s + 1 < c.segments && tile >= c.first_tile[s + 1]) ++s;
  return {s, (tile - c.first_tile[s]) * kTileRows};
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
template <int kBlocks, int kRows, int kTiles, int kDepth>
struct Layout {
  static constexpr int kWeightBytes = kTiles * kDepth * kTileBytes, kXBytes = kDepth * kRows * 128, kStageBytes = kWeightBytes + kXBytes;
  static constexpr int kParts = kBlocks, kSlices = kMultiplyWarps / kBlocks;  // 16 rows of a tile each that a block finishes
  static constexpr int kItems = kTiles * kSlices * kRows / 8;                 // of a part: 32 threads' four sums each
  static constexpr int kGroups = kRows / 8, kGroupTiles = kTiles;
  static constexpr int kPartBytes = kItems * 512;
  uint32_t memory, parts, full, empty, got, room;
  uint32_t rank;

  __device__ Layout(const Call& c, const unsigned char* base) {
    memory = shared_address(base);
    parts = memory + static_cast<uint32_t>(c.stages * kStageBytes);
    full = parts + static_cast<uint32_t>(c.buffers * kBlocks * kPartBytes);
    empty = full + static_cast<uint32_t>(c.stages) * 8;
    got = empty + static_cast<uint32_t>(c.stages) * 8;
    room = got + 16;
    rank = cluster_rank();
  }
  __device__ uint32_t stage(int i) const { return memory + static_cast<uint32_t>(i * kStageBytes); }
  __device__ uint32_t part(int buffer, uint32_t from) const { return parts + (static_cast<uint32_t>(buffer) * kBlocks + from) * kPartBytes; }
};

/// This block's part of K in boxes, and its cluster's share of the groups.
struct Share {
  int first_box, steps, first_group, stride, groups;
};
template <int kBlocks, int kDepth>
__device__ Share share_of(const Call& c, uint32_t rank) {
  const auto units = static_cast<int>(ceil_div(c.k, kUnit)), r = static_cast<int>(rank);
  const int first = units * r / kBlocks, last = units * (r + 1) / kBlocks;
  const int cluster = static_cast<int>(blockIdx.x) / kBlocks, clusters = static_cast<int>(gridDim.x) / kBlocks;  // clusters ≤ groups
  return {first * 2, (last - first) * 2 / kDepth, cluster, clusters, (c.groups - cluster + clusters - 1) / clusters};
}

template <class L>
__device__ void make_barriers(const Call& c, const L& l, int groups) {
  for (int i = 0; i < c.stages; ++i) barrier_init(l.full + i * 8, 1), barrier_init(l.empty + i * 8, kMultiplyWarps);
  for (int b = 0; b < c.buffers; ++b) barrier_init(l.got + b * 8, 1), barrier_init(l.room + b * 8, L::kParts * kFinishWarps);
  fence_barrier_init();
  for (int b = 0; b < c.buffers && b < groups; ++b) barrier_arrive_expect(l.got + b * 8, L::kParts * L::kPartBytes);
}

/// One group's turn of the copying warp: where its tiles stand.
template <int kTiles>
struct Group {
  const Matrix* w[kTiles];
  int row[kTiles];
  __device__ Group(const Call& c, int index) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      const Tile tile = tile_at(c, index * kTiles + t);
      w[t] = &c.w[tile.segment], row[t] = tile.row;
    }
  }
};

/// The copying warp where everything has a map: one thread. Fills the ring with weights, then waits for the predecessor, whose outputs x may be.
/// A stage's barrier gets one arrival, with its x.
template <class L, int kRows, int kTiles, int kDepth>
__device__ void copy(const Call& c, const L& l, const Share& share) {
  const uint64_t policy = policy_evict_first();
  const auto weights = [&](int stage, const Group<kTiles>& g, int step) {
    const uint32_t to = l.stage(stage), barrier = l.full + stage * 8;
#pragma unroll
    for (int d = 0; d < kDepth; ++d)
#pragma unroll
      for (int t = 0; t < kTiles; ++t)
        copy_box(to + (d * kTiles + t) * kTileBytes, &g.w[t]->map, (share.first_box + step * kDepth + d) * kBoxColumns, g.row[t], barrier, policy);
  };
  const auto x = [&](int stage, int step) {
    const uint32_t to = l.stage(stage) + L::kWeightBytes, barrier = l.full + stage * 8;
#pragma unroll
    for (int d = 0; d < kDepth; ++d) copy_box(to + d * kRows * 128, &c.x.map, (share.first_box + step * kDepth + d) * kBoxColumns, 0, barrier);
  };
  const int total = share.groups * share.steps, ahead = total < c.stages ? total : c.stages;
  for (int i = 0; i < ahead; ++i) {
    barrier_expect(l.full + i * 8, L::kWeightBytes);
    weights(i, Group<kTiles>(c, share.first_group + i / share.steps * share.stride), i % share.steps);
  }
  wait_for_predecessor();
  for (int i = 0; i < ahead; ++i) {
    barrier_arrive_expect(l.full + i * 8, L::kXBytes);
    x(i, i % share.steps);
  }
  Place place;
  int step = ahead % share.steps;
  for (int turn = ahead / share.steps; turn < share.groups; ++turn, step = 0) {
    const Group<kTiles> g(c, share.first_group + turn * share.stride);
    for (; step < share.steps; ++step) {
      barrier_wait(l.empty + place.stage * 8, place.parity);
      barrier_arrive_expect(l.full + place.stage * 8, L::kStageBytes);
      weights(place.stage, g, step);
      x(place.stage, step);
      place.advance(c.stages);
    }
  }
}

/// The copying warp where something stands at an odd address: element by element, all of it.
template <class L, int kRows, int kTiles, int kDepth>
__device__ void copy_by_elements(const Call& c, const L& l, unsigned char* memory, const Share& share, int lane) {
  wait_for_predecessor();
  Place place;
  for (int turn = 0; turn < share.groups; ++turn) {
    const Group<kTiles> g(c, share.first_group + turn * share.stride);
    for (int step = 0; step < share.steps; ++step) {
      if (turn * share.steps + step >= c.stages) barrier_wait(l.empty + place.stage * 8, place.parity ^ 1);
      unsigned char* to = memory + place.stage * L::kStageBytes;
      for (int d = 0; d < kDepth; ++d) {
        const int column = (share.first_box + step * kDepth + d) * kBoxColumns;
        for (int t = 0; t < kTiles; ++t) copy_elements(to + (d * kTiles + t) * kTileBytes, *g.w[t], c.k, column, g.row[t], kTileRows, lane);
        copy_elements(to + L::kWeightBytes + d * kRows * 128, c.x, c.k, column, 0, kRows, lane);
      }
      __syncwarp();
      if (lane == 0) barrier_arrive(l.full + place.stage * 8);
      place.advance(c.stages);
    }
  }
}

/// The multiplying warpgroup: partial sums of a group over this block's part of K, sent to the blocks that finish them.
template <bool kHalf, int kBlocks, int kRows, int kTiles, int kDepth>
__device__ void multiply(const Call& c, const Layout<kBlocks, kRows, kTiles, kDepth>& l, const Share& share, int warp, int lane) {
  using L = Layout<kBlocks, kRows, kTiles, kDepth>;
  Place place;
  int buffer = 0;
  uint32_t room_parity = 1;
  for (int group = share.first_group; group < c.groups; group += share.stride) {
    float sums[kTiles][kRows / 2];
#pragma unroll
    for (int t = 0; t < kTiles; ++t)
#pragma unroll
      for (int i = 0; i < kRows / 2; ++i) sums[t][i] = 0;
    int previous = -1;
    for (int step = 0; step < share.steps; ++step) {
      barrier_wait(l.full + place.stage * 8, place.parity);
      product_fence();
      const uint32_t w = l.stage(place.stage), x = w + L::kWeightBytes;
#pragma unroll
      for (int d = 0; d < kDepth; ++d)
#pragma unroll
        for (int part = 0; part < 4; ++part)
#pragma unroll
          for (int t = 0; t < kTiles; ++t)
            Product<kHalf, kRows>::add(sums[t], operand(w + (d * kTiles + t) * kTileBytes) + part * 2, operand(x + d * kRows * 128) + part * 2);
      product_commit();
      product_wait<1>();
      if (previous >= 0 && lane == 0) barrier_arrive(l.empty + previous * 8);
      previous = place.stage;
      place.advance(c.stages);
    }
    product_wait<0>();
    if (previous >= 0 && lane == 0) barrier_arrive(l.empty + previous * 8);
    barrier_wait(l.room + buffer * 8, room_parity);
    const int slice = warp % L::kSlices, target = warp / L::kSlices;
    const uint32_t to = map_to_rank(l.part(buffer, l.rank) + lane * 16, target), barrier = map_to_rank(l.got + buffer * 8, target);
#pragma unroll
    for (int t = 0; t < kTiles; ++t)
#pragma unroll
      for (int j = 0; j < kRows / 8; ++j)
        store_remote(to + ((t * L::kSlices + slice) * kRows / 8 + j) * 512, barrier,
                     {sums[t][4 * j], sums[t][4 * j + 1], sums[t][4 * j + 2], sums[t][4 * j + 3]});
    if (++buffer == c.buffers) buffer = 0, room_parity ^= 1;
  }
}

/// Four outputs of a thread: rows n and n + 8 of the weights, rows m and m + 1 of x.
struct Quad {
  int segment = 0;
  int64_t row = 0, n = 0, m = 0;  // row of the segment; column and row of the output
  bool valid[4] = {};
  float bias[2] = {}, residual[4] = {};

  __device__ void locate(const Call& c, int tile, int slice, int j, int lane) {
    const Tile at = tile_at(c, tile);
    segment = at.segment;
    row = at.row + slice * 16 + lane / 4;
    n = c.first_column[segment] + row;
    m = j * 8 + lane % 4 * 2;
    for (int i = 0; i < 4; ++i) valid[i] = tile < c.tiles && row + i / 2 * 8 < c.w[segment].rows && m + i % 2 < c.m;
    for (int i = 0; i < 2; ++i)
      if (valid[2 * i]) bias[i] = bias_at(c.epilogue, segment, row + 8 * i);
    for (int i = 0; i < 4; ++i)
      if (valid[i]) residual[i] = residual_at(c.epilogue, m + i % 2, n + i / 2 * 8);
  }
  __device__ void store(const Call& c, const float (&sum)[4]) const {
    for (int i = 0; i < 4; ++i)
      if (valid[i])
        store_wide(c.epilogue.out, c.epilogue.out_dtype, (m + i % 2) * c.epilogue.out_stride + n + i / 2 * 8,
                   activated(c.epilogue.activation, sum[i] + bias[i / 2]) + residual[i]);
  }
};

/// The finishing warps: of every tile of the cluster the rows that this block's share is.
template <class L>
__device__ void finish(const Call& c, const L& l, const unsigned char* memory, const Share& share, int warp, int lane) {
  constexpr int kMine = (L::kItems + kFinishWarps - 1) / kFinishWarps;
  wait_for_predecessor();
  int buffer = 0;
  uint32_t parity = 0;
  for (int group = share.first_group; group < c.groups; group += share.stride) {
    const auto locate = [&](Quad& q, int item) {
      const int slice = item / L::kGroups % L::kSlices + static_cast<int>(l.rank) * L::kSlices;
      if (item < L::kItems) q.locate(c, group * L::kGroupTiles + item / L::kGroups / L::kSlices, slice, item % L::kGroups, lane);
    };
    // Few outputs: what is added to them is read before the sums are there.
    constexpr bool kEarly = kMine <= 2;
    Quad quads[kEarly ? kMine : 1];
    if constexpr (kEarly)
      for (int i = 0; i < kMine; ++i) locate(quads[i], warp + i * kFinishWarps);
    barrier_wait_cluster(l.got + buffer * 8, parity);
    const unsigned char* parts = memory + (l.part(buffer, 0) - l.memory);
#pragma unroll(kEarly ? kMine : 1)
    for (int i = 0; i < kMine; ++i) {
      const int item = warp + i * kFinishWarps;
      if (item >= L::kItems) continue;
      Quad& q = quads[kEarly ? i : 0];
      if constexpr (!kEarly) q = {}, locate(q, item);
      float sum[4] = {};
#pragma unroll
      for (int r = 0; r < L::kParts; ++r) {
        const float4 part = *reinterpret_cast<const float4*>(parts + r * L::kPartBytes + item * 512 + lane * 16);
        sum[0] += part.x, sum[1] += part.y, sum[2] += part.z, sum[3] += part.w;
      }
      q.store(c, sum);
    }
    if (group + c.buffers * share.stride < c.groups) {
      __syncwarp();
      if (warp == 0 && lane == 0) barrier_arrive_expect(l.got + buffer * 8, L::kParts * L::kPartBytes);
      if (lane < L::kParts) barrier_arrive_remote(map_to_rank(l.room + buffer * 8, static_cast<uint32_t>(lane)));
    }
    if (++buffer == c.buffers) buffer = 0, parity ^= 1;
  }
}

template <bool kHalf, int kBlocks, int kRows, int kTiles, int kDepth>
__global__ void __launch_bounds__(kThreads) skinny(const __grid_constant__ Call c) {
  using L = Layout<kBlocks, kRows, kTiles, kDepth>;
  extern __shared__ __align__(1024) unsigned char stages[];
  const L l(c, stages);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const Share share = share_of<kBlocks, kDepth>(c, l.rank);
  if (warp == kCopyWarp) {
    if (lane == 0) make_barriers(c, l, share.groups);
    __syncwarp();
    cluster_arrive();
    release_successor();
    if (share.steps > 0) {
      if (!c.mapped)
        copy_by_elements<L, kRows, kTiles, kDepth>(c, l, stages, share, lane);
      else if (lane == 0)
        copy<L, kRows, kTiles, kDepth>(c, l, share);
    }
    __syncwarp();
    cluster_wait();
    return;
  }
  cluster_arrive();
  release_successor();
  cluster_wait();
  if (warp < kMultiplyWarps)
    multiply<kHalf, kBlocks, kRows, kTiles, kDepth>(c, l, share, warp, lane);
  else
    finish(c, l, stages, share, warp - kMultiplyWarps, lane);
}

// ---- the host's side ------------------------------------------------------------------------------------------------------------------------

Call call_of(const MatmulDesc& d, const MatmulParams& p, const SkinnyShape& shape, int rows) {
  Call c = {};
  c.x = matrix_of(p.x, d.x_dtype, p.m, d.k, p.x_stride, rows);
  int column = 0;
  for (int s = 0; s < d.segments; ++s) {
    const auto& segment = p.segments[s];
    c.w[s] = matrix_of(segment.w, d.w_dtype, segment.rows, d.k, d.k, kTileRows);
    c.first_tile[s] = c.tiles, c.first_column[s] = column;
    c.tiles += static_cast<int>(ceil_div(segment.rows, kTileRows));
    column += static_cast<int>(segment.rows);
  }
  c.segments = static_cast<int>(d.segments);
  c.groups = static_cast<int>(ceil_div(c.tiles, shape.tiles));
  c.epilogue = epilogue_of(d, p);
  c.m = p.m, c.k = d.k;
  c.stages = shape.stages, c.buffers = shape.buffers;
  c.mapped = c.x.mapped;
  for (int s = 0; s < c.segments; ++s) c.mapped = c.mapped && c.w[s].mapped;
  return c;
}

template <bool kHalf, int kBlocks, int kRows, int kTiles, int kDepth>
void start(const ExecContext& ctx, const Call& c, const SkinnyShape& shape) {
  const auto kernel = skinny<kHalf, kBlocks, kRows, kTiles, kDepth>;
  const auto bytes = static_cast<int>(skinny_shared_memory(kRows, shape));
  // As many groups in turn as the fullest cluster has, by as few clusters as that takes.
  const int turns = static_cast<int>(ceil_div(c.groups, shape.clusters)), clusters = static_cast<int>(ceil_div(c.groups, turns));
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  cudaLaunchAttribute attributes[2];
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {kBlocks, 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(clusters * kBlocks));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = static_cast<size_t>(bytes);
  config.stream = static_cast<cudaStream_t>(ctx.stream);
  config.attrs = attributes, config.numAttrs = 2;
  if (error == cudaSuccess) error = cudaLaunchKernelEx(&config, kernel, c);
  if (error != cudaSuccess) gpu::launch_failed("cuda.matmul.skinny", cudaGetErrorString(error));
}

template <bool kHalf, int kBlocks, int kRows>
void start_shape(const ExecContext& ctx, const Call& c, const SkinnyShape& s) {
  if (s.tiles == 1 && s.depth == 2) return start<kHalf, kBlocks, kRows, 1, 2>(ctx, c, s);
  if (s.tiles == 2 && s.depth == 1) return start<kHalf, kBlocks, kRows, 2, 1>(ctx, c, s);
  if constexpr (!kHalf)
    if (s.tiles == 2 && s.depth == 2) return start<kHalf, kBlocks, kRows, 2, 2>(ctx, c, s);
  gpu::launch_failed("cuda.matmul.skinny", "no such shape");
}

template <bool kHalf, int kRows>
void start_split(const ExecContext& ctx, const Call& c, const SkinnyShape& s) {
  if (s.split == kSplit) return start_shape<kHalf, kSplit, kRows>(ctx, c, s);
  if constexpr (!kHalf) return start_shape<kHalf, 2, kRows>(ctx, c, s);
}

template <bool kHalf>
void start_rows(const ExecContext& ctx, const Call& c, const SkinnyShape& s, int rows) {
  if (rows == 8) return start_split<kHalf, 8>(ctx, c, s);
  if (rows == 16) return start_split<kHalf, 16>(ctx, c, s);
  if (rows == 32) return start_split<kHalf, 32>(ctx, c, s);
  start_split<kHalf, 64>(ctx, c, s);
}

}  // namespace

int skinny_active_clusters(int split, int bytes) {
  int clusters = -1;
  const auto kernel = split == 2 ? skinny<false, 2, 8, 1, 2> : skinny<false, 4, 8, 1, 2>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  cudaLaunchAttribute attribute;
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {static_cast<unsigned>(split), 1, 1};
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(split * 128)), config.blockDim = dim3(kThreads), config.dynamicSmemBytes = static_cast<size_t>(bytes);
  config.attrs = &attribute, config.numAttrs = 1;
  cudaOccupancyMaxActiveClusters(&clusters, kernel, &config);
  return clusters;
}

void matmul_skinny_shaped(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params, const SkinnyShape& shape) {
  if (params.m <= 0) return;
  if (params.m > kMostRows) gpu::launch_failed("cuda.matmul.skinny", "more rows of x than the kernel has");
  const int rows = skinny_rows(params.m);
  const Call c = call_of(desc, params, shape, rows);
  desc.x_dtype == DType::f16 ? start_rows<true>(ctx, c, shape, rows) : start_rows<false>(ctx, c, shape, rows);
}

void matmul_skinny(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params) {
  matmul_skinny_shaped(ctx, desc, params, skinny_shape(desc, params.m));
}

}  // namespace attune::cuda
