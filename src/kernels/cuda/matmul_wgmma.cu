// cuda.matmul.wgmma: out = act(x · wᵀ + bias) + residual for many rows of x, bound by the tensor cores.
//
// Persistent clusters of blocks that are neighbours along M. A warp of each block reads its 128 rows of x, and its share of the weights for all of
// the cluster, in steps of 64 along K into a ring in shared memory; two warpgroups multiply 64 rows each. Tiles go in bands along N, so that what
// works at once shares both operands in L2. The next tile's first steps are read while the outputs of this one are finished.
// Gated, half of a tile's columns are the gate's and half their factors', so that a thread holds both sums of an output.
// Every output is one chain of products in the order of K, whatever the tile: a row's bits depend neither on M nor on other rows. As
// cuda.matmul.wgmma_split2 it is the sum of two such chains over the parts of K that the blocks of cuda.matmul.skinny have, and gives its bits.
// As cuda.matmul.wgmma_halves it is that sum too, each part by a block of a cluster: for outputs of so few tiles that all of K a block would leave
// multiprocessors idle. matmul_wgmma.h chooses tiles by how many waves of them there are.
//
// The ladder, µs on an H200 at M = 96, 128 and 256 (cuBLASLt in brackets), graph replay, cold L2:
//                                              o (16.3 14.0 18.6)   gate_up (56.6 57.9 76.6)   down (34.4 34.0 43.6)
//   tiles of 128 or 256 rows of weights         30.8 28.9 28.7       74.7 69.7 100.3            94.0 81.5 77.3
//   an arrival at the own barrier stays here    27.8 28.1 27.9       -                          76.0 76.1 75.1   was one through the cluster's window
//   tiles of 192: gate_up is one wave of 128    -                    57.4 58.2 79.4             -
//   K in halves, tiles from 64 to 256           16.9 15.7 18.5       -                          41.3 39.0 45.9
#include "kernels/cuda/matmul_wgmma.h"

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/matmul_parts.h"
#include "kernels/cuda/matmul_skinny.h"
#include "kernels/cuda/warpgroup192.h"
#include "kernels/gpu/kernels.h"

namespace attune::cuda {
namespace {

constexpr int kMultiplyGroups = 2;
constexpr int kThreads = (kMultiplyGroups + 1) * 128;

struct Call {
  Matrix x, w[3], up[3];
  Epilogue epilogue;
  int first_tile[3];  // of each segment, along N
  int64_t first_column[3];
  int segments, column_tiles, row_tiles;  // row_tiles: of a cluster
  int tile_columns;                       // of the outputs
  int64_t m, k;
  int stages, steps, band;
  bool pairs;  // two neighbouring outputs can be moved at once
};

struct Tile {
  int segment, row, m;  // first row within the segment; first row of x of the cluster
};
template <int kBlocks>
__device__ Tile tile_at(const Call& c, int index) {
  const int band = index / (c.band * c.row_tiles), rest = index % (c.band * c.row_tiles), first = band * c.band;
  const int width = c.column_tiles - first < c.band ? c.column_tiles - first : c.band;
  const int tile = first + rest % width;
  int s = 0;
  while (s + 1 < c.segments && tile >= c.first_tile[s + 1]) ++s;
  return {s, (tile - c.first_tile[s]) * c.tile_columns, rest / width * kWideRows * kBlocks};
}

/// Steps of K. Part p of kSplit is what block p of cuda.matmul.skinny's clusters has.
struct Part {
  int begin, end;
};
__device__ Part part_of(const Call& c, int p) {
  const int units = (c.steps + 1) / 2, end = units * (p + 1) / kSplit * 2;
  return {units * p / kSplit * 2, end < c.steps ? end : c.steps};
}

/// A ring of stages: x (128 × 64), then weights (kColumns × 64).
template <int kColumns, int kBlocks>
struct Ring {
  static constexpr int kXBytes = kWideRows * 128, kWeightBytes = kColumns * 128, kStageBytes = kXBytes + kWeightBytes;
  uint32_t memory, full, empty;
  int stages;
  int stage = 0;
  uint32_t parity = 0;

  __device__ Ring(const Call& c, const unsigned char* base) : memory(shared_address(base)), stages(c.stages) {
    full = memory + static_cast<uint32_t>(stages * kStageBytes);
    empty = full + static_cast<uint32_t>(stages) * 8;
  }
  __device__ void make_barriers() const {
    for (int i = 0; i < stages; ++i) barrier_init(full + i * 8, 1), barrier_init(empty + i * 8, kBlocks * kMultiplyGroups * 4);
    fence_barrier_init();
  }
  __device__ void advance() {
    if (++stage == stages) stage = 0, parity ^= 1;
  }
  __device__ uint32_t at(int i) const { return memory + static_cast<uint32_t>(i * kStageBytes); }
};

/// The copying warp of a block.
template <int kColumns, int kBlocks>
struct Copier {
  using R = Ring<kColumns, kBlocks>;
  const Call& c;
  R ring;
  unsigned char* memory;
  const int lane, rank;
  const Part part;  // of K

  /// This block's share of a step's weights, into every block of the cluster.
  __device__ void weights(int stage, const Tile& tile, int step) const {
    constexpr int kHalf = kColumns / 2;
    const Matrix &w = c.w[tile.segment], &up = c.up[tile.segment];
    const bool gated = c.epilogue.gated;
    const int to = stage * R::kStageBytes + R::kXBytes, column = step * kBoxColumns;
    const uint32_t barrier = ring.full + stage * 8;
    if (!w.mapped) {
      copy_elements(memory + to, w, c.k, column, tile.row, gated ? kHalf : kColumns, lane);
      if (gated) copy_elements(memory + to + kHalf * 128, up, c.k, column, tile.row, kHalf, lane);
    } else if (lane == 0) {
      barrier_expect(barrier, R::kWeightBytes);
      if constexpr (kBlocks == 1) {
        copy_box(ring.memory + to, &w.map, column, tile.row, barrier);
        if (gated) copy_box(ring.memory + to + kHalf * 128, &up.map, column, tile.row, barrier);
      } else {
        static_assert(kBlocks == 2);  // a half each
        const Matrix& mine = gated && rank == 1 ? up : w;
        copy_box_to(ring.memory + to + rank * kHalf * 128, &mine.map, column, tile.row + (gated ? 0 : rank * kHalf), barrier, 3);
      }
    }
  }
  __device__ void x(int stage, const Tile& tile, int step) const {
    const int to = stage * R::kStageBytes, row = tile.m + rank * kWideRows;
    const uint32_t barrier = ring.full + stage * 8;
    if (!c.x.mapped) copy_elements(memory + to, c.x, c.k, step * kBoxColumns, row, kWideRows, lane);
    __syncwarp();
    if (lane == 0) {
      barrier_arrive_expect(barrier, c.x.mapped ? R::kXBytes : 0);
      if (c.x.mapped) copy_box(ring.memory + to, &c.x.map, step * kBoxColumns, row, barrier);
    }
  }

  /// Weights of the first steps are asked for before the predecessor, whose output x may be, has finished.
  __device__ void run(int first, int tiles, int stride) {
    const int steps = part.end - part.begin, ahead = steps < ring.stages ? steps : ring.stages;
    const Tile start = tile_at<kBlocks>(c, first);
    for (int i = 0; i < ahead; ++i) weights(i, start, part.begin + i);
    wait_for_predecessor();
    for (int index = first; index < tiles; index += stride) {
      const Tile tile = tile_at<kBlocks>(c, index);
      for (int step = part.begin; step < part.end; ++step) {
        if (index != first || step >= part.begin + ahead) {
          barrier_wait(ring.empty + ring.stage * 8, ring.parity ^ 1);
          weights(ring.stage, tile, step);
        }
        x(ring.stage, tile, step);
        ring.advance();
      }
    }
  }
};

/// The outputs of one thread (kPlain: no activation, so that there is little code): for each j two neighbouring columns 8j and 8j + 1 from `row` on,
/// in rows m and m + 8. Conditions stand outside the loops over registers, which are unrolled.
template <int kColumns, bool kPlain>
struct Outputs {
  static constexpr int kPairs = kColumns / 8;
  const Call& c;
  const Epilogue& e;
  int segment;
  int64_t row, m;
  int left;  // columns of the tile and of the segment from `row` on
  float (&sums)[kColumns / 2];

  /// To the sums of columns [8 · kFirst, …), which are columns from `row` on.
  template <int kFirst, int kCount>
  __device__ void add_bias(const void* bias) {
#pragma unroll
    for (int j = 0; j < kCount; ++j)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float b = 8 * j + i < left ? bias_at(e, bias, row + 8 * j + i) : 0.0f;
        sums[4 * (kFirst + j) + i] += b, sums[4 * (kFirst + j) + 2 + i] += b;
      }
  }
  template <Activation kActivation>
  __device__ void gate() {
#pragma unroll
    for (int i = 0; i < kColumns / 4; ++i) sums[i] = gated_by(kActivation, sums[i], sums[i + kColumns / 4]);
  }
  /// The sums of the upper half are the factors of those of the lower.
  __device__ void gate_all() {
    if (e.bias[segment]) add_bias<0, kPairs / 2>(e.bias[segment]);
    if (e.up_bias[segment]) add_bias<kPairs / 2, kPairs / 2>(e.up_bias[segment]);
    switch (e.activation) {
      case Activation::silu: return gate<Activation::silu>();
      case Activation::gelu_tanh: return gate<Activation::gelu_tanh>();
      case Activation::gelu: return gate<Activation::gelu>();
      default: return gate<Activation::none>();
    }
  }
  __device__ void activate() {
    if (e.activation == Activation::gelu) {
#pragma unroll
      for (int i = 0; i < kColumns / 2; ++i) sums[i] = activated(Activation::gelu, sums[i]);
    } else if (e.activation == Activation::silu) {
#pragma unroll
      for (int i = 0; i < kColumns / 2; ++i) sums[i] = activated(Activation::silu, sums[i]);
    } else {
#pragma unroll
      for (int i = 0; i < kColumns / 2; ++i) sums[i] = activated(Activation::gelu_tanh, sums[i]);
    }
  }
  __device__ void store_pairs(int half, int64_t at) {
    if (e.residual) {
#pragma unroll
      for (int j = 0; j < kPairs; ++j)
        if (8 * j < left) {
          const float2 r = *reinterpret_cast<const float2*>(e.residual + at + 8 * j);
          sums[4 * j + 2 * half] = __fadd_rn(sums[4 * j + 2 * half], r.x), sums[4 * j + 2 * half + 1] = __fadd_rn(sums[4 * j + 2 * half + 1], r.y);
        }
    }
    if (e.out_dtype == DType::f32) {
#pragma unroll
      for (int j = 0; j < kPairs; ++j)
        if (8 * j < left) *reinterpret_cast<float2*>(static_cast<float*>(e.out) + at + 8 * j) = {sums[4 * j + 2 * half], sums[4 * j + 2 * half + 1]};
    } else {
      const bool is_f16 = e.out_dtype == DType::f16;
#pragma unroll
      for (int j = 0; j < kPairs; ++j)
        if (8 * j < left)
          *reinterpret_cast<uint32_t*>(static_cast<uint16_t*>(e.out) + at + 8 * j) =
              packed(is_f16, sums[4 * j + 2 * half], sums[4 * j + 2 * half + 1]);
    }
  }
  __device__ void store_single(int half, int64_t at) {
#pragma unroll
    for (int j = 0; j < kPairs; ++j)
#pragma unroll
      for (int i = 0; i < 2; ++i)
        if (8 * j + i < left) {
          float x = sums[4 * j + 2 * half + i];
          if (e.residual) x = __fadd_rn(x, e.residual[at + 8 * j + i]);
          store_wide(e.out, e.out_dtype, at + 8 * j + i, x);
        }
  }
  __device__ void finish() {
    if (!kPlain && e.gated) {
      if constexpr (!kPlain) gate_all();
    } else {
      if (e.bias[segment]) add_bias<0, kPairs>(e.bias[segment]);
      if constexpr (!kPlain)
        if (e.activation != Activation::none) activate();
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (m + half * 8 >= c.m) break;
      const int64_t at = (m + half * 8) * e.out_stride + c.first_column[segment] + row;
      c.pairs ? store_pairs(half, at) : store_single(half, at);
    }
  }
};

/// A warp is done with a stage that every block of the cluster has a share in.
template <int kBlocks>
__device__ void hand_back(uint32_t barrier, int lane) {
  if (lane >= kBlocks) return;
  kBlocks == 1 ? barrier_arrive(barrier) : barrier_arrive_remote(map_to_rank(barrier, static_cast<uint32_t>(lane)));
}

/// sums += x · wᵀ over a part of K of a tile, for the 64 rows of warpgroup `group`.
template <bool kHalf, int kColumns, int kBlocks>
__device__ void add_steps(float (&sums)[kColumns / 2], Ring<kColumns, kBlocks>& ring, const Part& part_of_k, int group, int lane) {
  int previous = -1;
  for (int step = part_of_k.begin; step < part_of_k.end; ++step) {
    barrier_wait(ring.full + ring.stage * 8, ring.parity);
    wgmma_fence();
    const uint64_t x = swizzled_matrix(ring.at(ring.stage) + group * 64 * 128),
                   w = swizzled_matrix(ring.at(ring.stage) + Ring<kColumns, kBlocks>::kXBytes);
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      if constexpr (kColumns == 192)
        wgmma192<Element<kHalf>>(sums, x + part * 2, w + part * 2);
      else
        wgmma<Element<kHalf>, false, true>(sums, x + part * 2, w + part * 2);
    }
    wgmma_commit();
    wgmma_wait<1>();
    if (previous >= 0) hand_back<kBlocks>(ring.empty + previous * 8, lane);
    previous = ring.stage;
    ring.advance();
  }
  wgmma_wait<0>();
  if (previous >= 0) hand_back<kBlocks>(ring.empty + previous * 8, lane);
}

/// Stores the sums of a thread: rows `row` (of the tile) and row + 8.
template <int kColumns, bool kPlain>
__device__ void finish(const Call& c, const Tile& tile, int row, int lane, float (&sums)[kColumns / 2]) {
  const int64_t column = tile.row + lane % 4 * 2;
  const auto there = static_cast<int>(c.w[tile.segment].rows - column), own = c.tile_columns - lane % 4 * 2;
  Outputs<kColumns, kPlain>{c, c.epilogue, tile.segment, column, tile.m + row, there < own ? there : own, sums}.finish();
}

/// One of the multiplying warpgroups: 64 rows of each of the block's tiles. kSplits: K is summed in the parts of cuda.matmul.skinny.
template <bool kHalf, int kColumns, int kBlocks, bool kSplits>
__device__ void multiply(const Call& c, Ring<kColumns, kBlocks> ring, int first, int tiles, int stride, int group, int rank) {
  const int warp = static_cast<int>(threadIdx.x) % 128 / 32, lane = static_cast<int>(threadIdx.x) % 32;
  wait_for_predecessor();
  for (int index = first; index < tiles; index += stride) {
    float sums[kColumns / 2] = {};
    if constexpr (kSplits) {
      float part[kColumns / 2];
      for (int p = 0; p < kSplit; ++p) {
#pragma unroll
        for (int i = 0; i < kColumns / 2; ++i) part[i] = 0;
        add_steps<kHalf, kColumns, kBlocks>(part, ring, part_of(c, p), group, lane);
#pragma unroll
        for (int i = 0; i < kColumns / 2; ++i) sums[i] += part[i];
      }
    } else {
      add_steps<kHalf, kColumns, kBlocks>(sums, ring, {0, c.steps}, group, lane);
    }
    finish<kColumns, false>(c, tile_at<kBlocks>(c, index), rank * kWideRows + group * 64 + warp * 16 + lane / 4, lane, sums);
  }
}

/// Two barriers of a block: the other's sums are here; the other's ring may be written to.
struct Exchange {
  uint32_t got, room;
};

/// One of the multiplying warpgroups where the two blocks of a cluster have a part of K each: 64 rows of the tile. Block g of the cluster finishes
/// the rows of warpgroup g, to which the other block sends its sums, into the ring, once nothing there is in use. Parts are added in the order of K.
template <bool kHalf, int kColumns>
__device__ void multiply_part(const Call& c, Ring<kColumns, 1> ring, const Exchange& exchange, const unsigned char* memory, int group, int rank) {
  constexpr int kFours = kColumns / 8;
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
  wait_for_predecessor();
  float sums[kColumns / 2] = {};
  add_steps<kHalf, kColumns, 1>(sums, ring, part_of(c, rank), group, lane);
  const uint32_t other = static_cast<uint32_t>(rank ^ 1);
  if (lane == 0) barrier_arrive_remote(map_to_rank(exchange.room, other));
  if (group != rank) {
    barrier_wait_cluster(exchange.room, 0);
    const uint32_t to = map_to_rank(ring.memory + thread * 16, other), barrier = map_to_rank(exchange.got, other);
#pragma unroll
    for (int j = 0; j < kFours; ++j) store_remote(to + j * 2048, barrier, {sums[4 * j], sums[4 * j + 1], sums[4 * j + 2], sums[4 * j + 3]});
    return;
  }
  barrier_wait_cluster(exchange.got, 0);
#pragma unroll
  for (int j = 0; j < kFours; ++j) {
    const float4 sent = *reinterpret_cast<const float4*>(memory + j * 2048 + thread * 16);
    const float part[4] = {sent.x, sent.y, sent.z, sent.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float own = sums[4 * j + i];
      sums[4 * j + i] = rank == 0 ? 0.0f + own + part[i] : 0.0f + part[i] + own;
    }
  }
  finish<kColumns, true>(c, tile_at<1>(c, static_cast<int>(blockIdx.x) / kSplit), group * 64 + thread / 32 * 16 + lane / 4, lane, sums);
}

template <bool kHalf, int kColumns, int kBlocks, bool kSplits>
__global__ void __launch_bounds__(kThreads, 1) wide(const __grid_constant__ Call c) {
  extern __shared__ __align__(1024) unsigned char stages[];
  const Ring<kColumns, kBlocks> ring(c, stages);
  const int group = static_cast<int>(threadIdx.x) / 128, rank = kBlocks > 1 ? static_cast<int>(cluster_rank()) : 0;
  const int first = static_cast<int>(blockIdx.x) / kBlocks, stride = static_cast<int>(gridDim.x) / kBlocks, tiles = c.column_tiles * c.row_tiles;
  if (threadIdx.x == 0) ring.make_barriers();
  __syncthreads();
  if constexpr (kBlocks > 1) cluster_arrive(), cluster_wait();
  release_successor();
  if (group == kMultiplyGroups) {
    give_registers<64>();
    if (threadIdx.x / 32 == kMultiplyGroups * 4)
      Copier<kColumns, kBlocks>{c, ring, stages, static_cast<int>(threadIdx.x) % 32, rank, {0, c.steps}}.run(first, tiles, stride);
  } else {
    take_registers<216>();
    multiply<kHalf, kColumns, kBlocks, kSplits>(c, ring, first, tiles, stride, group, rank);
  }
  // A block stays until its neighbours have sent it what they owe.
  __syncwarp();
  if constexpr (kBlocks > 1) cluster_arrive(), cluster_wait();
}

/// A tile a cluster of two blocks, each with a part of K.
template <bool kHalf, int kColumns>
__global__ void __launch_bounds__(kThreads, 1) halves(const __grid_constant__ Call c) {
  extern __shared__ __align__(1024) unsigned char stages[];
  const Ring<kColumns, 1> ring(c, stages);
  const Exchange exchange = {ring.empty + static_cast<uint32_t>(c.stages) * 8, ring.empty + static_cast<uint32_t>(c.stages) * 8 + 8};
  const int group = static_cast<int>(threadIdx.x) / 128, rank = static_cast<int>(cluster_rank()), tile = static_cast<int>(blockIdx.x) / kSplit;
  if (threadIdx.x == 0) {
    barrier_init(exchange.got, 1), barrier_init(exchange.room, kMultiplyGroups * 4);
    ring.make_barriers();
    barrier_arrive_expect(exchange.got, kColumns / 8 * 2048);
  }
  __syncthreads();
  cluster_arrive(), cluster_wait();
  release_successor();
  if (group == kMultiplyGroups) {
    give_registers<64>();
    if (threadIdx.x / 32 == kMultiplyGroups * 4)
      Copier<kColumns, 1>{c, ring, stages, static_cast<int>(threadIdx.x) % 32, 0, part_of(c, rank)}.run(tile, tile + 1, 1);
  } else {
    take_registers<216>();
    multiply_part<kHalf, kColumns>(c, ring, exchange, stages, group, rank);
  }
  // A block stays until the other has what it sent, and has sent what it owes.
  __syncwarp();
  cluster_arrive(), cluster_wait();
}

// ---- the host's side ------------------------------------------------------------------------------------------------------------------------

bool in_pairs(const MatmulDesc& d, const MatmulParams& p, const Call& c) {
  bool even = p.out_stride % 2 == 0 && reinterpret_cast<uintptr_t>(p.out) % (2 * size_of(d.out_dtype)) == 0;
  if (d.residual) even = even && reinterpret_cast<uintptr_t>(p.residual) % 8 == 0;
  for (int s = 0; s < c.segments; ++s) even = even && c.first_column[s] % 2 == 0 && p.segments[s].rows % 2 == 0;
  return even;
}

Call call_of(const MatmulDesc& d, const MatmulParams& p, const WideShape& shape) {
  Call c = {};
  c.x = matrix_of(p.x, d.x_dtype, p.m, d.k, p.x_stride, kWideRows);
  c.tile_columns = d.gated ? shape.columns / 2 : shape.columns;
  int64_t column = 0;
  for (int s = 0; s < d.segments; ++s) {
    const auto& segment = p.segments[s];
    c.w[s] = matrix_of(segment.w, d.w_dtype, segment.rows, d.k, d.k, d.gated ? shape.columns / 2 : shape.columns / shape.blocks);
    if (d.gated) {
      c.up[s] = matrix_of(segment.up, d.w_dtype, segment.rows, d.k, d.k, shape.columns / 2);
      c.w[s].mapped = c.up[s].mapped = c.w[s].mapped && c.up[s].mapped;
    }
    c.first_tile[s] = c.column_tiles, c.first_column[s] = column;
    c.column_tiles += static_cast<int>(ceil_div(segment.rows, c.tile_columns));
    column += segment.rows;
  }
  c.segments = static_cast<int>(d.segments);
  c.row_tiles = static_cast<int>(ceil_div(p.m, kWideRows * shape.blocks));
  c.epilogue = epilogue_of(d, p);
  c.m = p.m, c.k = d.k;
  c.stages = shape.stages, c.steps = static_cast<int>(ceil_div(d.k, kBoxColumns)), c.band = shape.band;
  c.pairs = in_pairs(d, p, c);
  return c;
}

/// Starts `kernel` in clusters of `blocks` blocks.
void start(const ExecContext& ctx, void (*kernel)(Call), const Call& c, const WideShape& shape, int clusters, int blocks) {
  const auto bytes = static_cast<int>(wide_shared_memory(shape));
  cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  cudaLaunchAttribute attributes[2];
  attributes[0].id = cudaLaunchAttributeClusterDimension;
  attributes[0].val.clusterDim = {static_cast<unsigned>(blocks), 1, 1};
  attributes[1].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[1].val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(clusters * blocks));
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = static_cast<size_t>(bytes);
  config.stream = static_cast<cudaStream_t>(ctx.stream);
  config.attrs = attributes, config.numAttrs = 2;
  if (error == cudaSuccess) error = cudaLaunchKernelEx(&config, kernel, c);
  if (error != cudaSuccess) gpu::launch_failed("cuda.matmul.wgmma", cudaGetErrorString(error));
}

using WideKernel = void (*)(Call);

template <bool kHalf>
WideKernel kernel_of(const WideShape& s) {
  if (s.sums == Sums::in_turn && s.columns == 128) return s.blocks == 2 ? wide<kHalf, 128, 2, true> : wide<kHalf, 128, 1, true>;
  if (s.sums == Sums::whole && s.columns == 256 && s.blocks == 2) return wide<kHalf, 256, 2, false>;
  if (s.sums == Sums::whole && s.columns == 192) return s.blocks == 2 ? wide<kHalf, 192, 2, false> : wide<kHalf, 192, 1, false>;
  if (s.sums == Sums::whole && s.columns == 128) return s.blocks == 2 ? wide<kHalf, 128, 2, false> : wide<kHalf, 128, 1, false>;
  if (s.sums != Sums::halves) return nullptr;
  switch (s.columns) {
    case 64: return halves<kHalf, 64>;
    case 128: return halves<kHalf, 128>;
    case 192: return halves<kHalf, 192>;
    case 256: return halves<kHalf, 256>;
    default: return nullptr;
  }
}

void launch(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params, const WideShape& shape) {
  if (params.m <= 0) return;
  const Call c = call_of(desc, params, shape);
  const WideKernel kernel = desc.x_dtype == DType::f16 ? kernel_of<true>(shape) : kernel_of<false>(shape);
  if (kernel == nullptr) gpu::launch_failed("cuda.matmul.wgmma", "no such shape");
  const int tiles = c.column_tiles * c.row_tiles, clusters = kMultiprocessors / shape.blocks;
  if (shape.sums == Sums::halves) return start(ctx, kernel, c, shape, tiles, kSplit);
  start(ctx, kernel, c, shape, tiles < clusters ? tiles : clusters, shape.blocks);
}

}  // namespace

void matmul_wgmma(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params) {
  launch(ctx, desc, params, wide_shape(desc, params.m, segments_of(desc, params)));
}

void matmul_wgmma_split2(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params) {
  launch(ctx, desc, params, wide_split_shape(desc, params.m, segments_of(desc, params)));
}

void matmul_wgmma_halves(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params) {
  launch(ctx, desc, params, halves_shape(desc, params.m, segments_of(desc, params)));
}

}  // namespace attune::cuda
