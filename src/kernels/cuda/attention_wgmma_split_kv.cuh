#pragma once

// cuda.attention.wgmma_split_kv: paged attention for few query tokens (decode, verify), and chunks of more.
//
// A block is a warp that copies pages into a ring of tiles of 64 keys, and a group of 4 warps that consumes them. Forms of 8 and 16 rows of a KV head
// (query tokens × its query heads): attention_few_rows.cuh, S = K·Qᵀ; of 64 (rows_of() says when): attention_many_rows.cuh, S = Q·Kᵀ, where e4m3 tiles
// pass through three warps that make f16 of them. Keys are cut at absolute multiples of kChunk; a chunk starts fresh accumulators, in it the maximum is carried from tile to
// tile. Chunks are joined in turn, kFold of them from an absolute multiple on, then by the binary tree over their index: a block joins an aligned run
// of 2ⁿ chunks (if that is less than a fold, it leaves each chunk's result); if a row has several runs, the block that finishes last joins them, or,
// of many rows, each block joins some. So a row's bits depend neither on the batch nor on how keys are split, nor on the phase.
//
// What each version took on one H200 (µs; graph replay, cold L2; 32×4k decode bf16 | f8_e4m3 | verify of 16 tokens, 32×4k bf16, 1×4k; block 16, from
// 5 on 64):
//   1  two blocks a multiprocessor, units in turn                                          144 |  87 | 233 | 38
//   2  next scores start with this tile's values; a ticket hands out units;
//      64 rows in one warpgroup; outputs by rows through memory                            140 | 109 | 198 | 51
//   3  rows of q are loaded at once; joins of runs overlap their loads                     140 |  98 | 190 | 42
//   4  three tiles of 16-bit keys in flight instead of six                                 136; block 64: 131 | 89 | 197 | 42
//   5  counters that launches leave at 0, a plan (by a warp, of few sequences) before the predecessor is done, the successor let go at once, shared
//      memory that keeps its blocks off (else they stand three to a multiprocessor here, one there: 15 % lost); 64 rows upright; blocks that wait for
//      each other share the join of many rows; chunks of 256                              127 |  84 | 251 | 19.4
//   6  waiting nodes stored and loaded 16 bytes at a time; e4m3: four blocks a multiprocessor, both halves converted without shifts
//                                                                                          129 |  82 | 194 | 19.9
//   7  chunks of 512 again: boundaries cost the many rows 3 µs each                        128 |  78 | 168 | 22.4
//   8  the values' product starts before the next keys are waited for                      127.6 | 77.5 | 167 | 22.3
//   9  128 KiB in flight a multiprocessor                                                 126 |  75 | 167 | 22.4
//  10  e4m3 of 64 rows: warps that only convert, in lanes that meet in no bank, at addresses that need no division: verify of e4m3, 32×4k and 8×4k,
//      206 and 63 → 137 and 45.5
//  11  chunks in turn by fours: beside a block's accumulators one node waits in shared memory, before it three, two of them in L2, which cost 8 µs a
//      pair of store and load (by eights 141, but 1×64k 70 → 80: its split rows then leave 128 results); results stored by pairs; 216 registers
//                                                                                          125.3 | 73.6 | 149 | 20.6 (before, same run: 124.0 | 74.3
//                                                                                          | 165 | 22.4)
//  12  between the kernels of a layer (8B shape, tokens/s at batch 1 | 32): keys older than the step are read before the predecessor is done, a block goes
//      through its code once before its turn, outputs of a row's only run from registers, units by few instructions, joins of split rows in few
//      registers, more tiles where a multiprocessor has one block: 241 | 6,758 → 245 | 6,872; verify of e4m3 8×4k 44.9 → 41.7, of bf16 1×4k
//      19.9 → 18.6, decode 1×8k 14.9 → 14.5
//  13  units made by the copying warp alone and read from shared memory, outputs of all rows from registers, joins of two instructions an element,
//      converting warps at addresses that need no arithmetic: fewer registers (8 rows of e4m3: 500 → 92 bytes spilled, 64 rows in the consumers none)
//      and up to a third less code; before, same run: 128, 74.3, 147, 18.6, verify of e4m3 32×4k 130                       127 | 69.5 | 139 | 18.3 | 119
//  14  what a block keeps of a fold is read by instructions for shared memory, and most of the next node stands there, too, in place of a fourth tile:
//      8×4k 48.7 → 47.1, e4m3 42.7 → 41.7                                                  124.5 | 69.6 | 130 (before, same run: 137.7) | 18.5 | 117
//  15  few rows: addresses of products known to be the same in all lanes: e4m3 256×1k 133.8 → 131.9
// What bounds it: bf16 decode the memory system; e4m3 the latency of a tile's chain (two barriers, conversions) at four warps a scheduler; 64 rows
// the ends of chunks (without them 134 and, e4m3, 116, before 13) and, of few sequences, the join; one short batch the wait for the predecessor, the
// first tile and the join. Tried for 64 rows: blocks that start late, so that ends of chunks of a multiprocessor's two do not coincide: 165 → 169,
// e4m3 137 → 146; the next tile's scores multiplied while this one's become weights, keys a tile ahead of values: 142 → 151, e4m3 119 → 143, since
// tiles are held longer and fewer are in flight; 208 registers and 48 for copying and converting: 137 → 141; four rows joined at once instead of
// two, which spill: 1×4k 18.6 → 22.9; the block table brought to L2 before it is needed: no change; the next tile's scores asked for before this
// one's values, which are multiplied while those become exponentials: 137.5 → 139.6, e4m3 119 → 132, and 121 where keys come a tile ahead of values;
// keys copied by one warp and values by another: 1×4k at block 16 20.2 → 19.0, at 64 18.4 → 19.0, 8×4k 48.6 → 49.7; maxima by pairs in place of a
// chain: no change; a whole fold a block where few sequences leave a multiprocessor one block: 8×4k 47 → 66; scores as products of e4m3, queries as
// sums of two, so that only values are converted: verify of e4m3 116 → 109.5 and 41.5 → 39.5, decode 69.4 → 71.5 (more operands), and queries of f16
// are off by 2⁻⁹; with the next tile's scores on their way while this one's become weights 121; values' products 128 columns wide, addresses known to
// be the same in all lanes: no change, and 1×4k 18.5 → 20.0. A profile of e4m3 32×4k (ncu): tensor cores 30 % busy, issue slots 49, paths to shared
// memory 58; by clocks of those e4m3 scores a tile takes a consumer 3,460 cycles, 1,320 of them products and waiting for them, 1,470 weights.
#include "kernels/cuda/attention_few_rows.cuh"
#include "kernels/cuda/attention_many_rows.cuh"

namespace attune::cuda {

// ---- the copying warp ---------------------------------------------------------------------------------------------------------------------------

/// The row of the tensor map (key of the cache) where this lane's piece of a chunk starts; −1: no row of the unit sees it, or there is none.
__device__ __forceinline__ int piece_of(const AttentionCall& c, const Unit& u, int chunk) {
  const int key = chunk * kChunk + static_cast<int>(threadIdx.x % 32) * c.box;
  if (key >= u.high || key + c.box <= u.low || static_cast<int>(threadIdx.x % 32) * c.box >= kChunk) return -1;
  const Divided at = divided(key, c.block_size, c.by_block);
  return (c.block_table[u.seq * c.max_blocks + at.quotient] * c.kv_heads + u.head) * c.block_size + at.remainder;
}

/// Units on their way from the copying warp to the consumers, in shared memory; behind them stands the rehearsal's.
struct Queue {
  unsigned char* units;
  uint32_t barriers;  // full and empty of each place
  int place = 0;
  uint32_t phase = 0;

  __device__ __forceinline__ Unit& at(int i) const { return *reinterpret_cast<Unit*>(units + i * kUnitBytes); }
  __device__ __forceinline__ void put(const Unit& u) {  // one thread
    barrier_wait(barriers + place * 16 + 8, phase ^ 1);
    at(place) = u;
    barrier_arrive(barriers + place * 16);
    next();
  }
  __device__ __forceinline__ Unit& front() const {  // all consumers and converters
    barrier_wait(barriers + place * 16, phase);
    return at(place);
  }
  __device__ __forceinline__ void pop() {
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barriers + place * 16 + 8);
    next();
  }
  __device__ __forceinline__ void next() {
    if (++place == kQueue) place = 0, phase ^= 1;
  }
};
__device__ __forceinline__ Queue queue_of(unsigned char* base, const Layout& at) { return {base + at.queue, shared_address(base) + at.units}; }

template <class F>
__device__ __forceinline__ void copy_tile(const AttentionCall& c, const CUtensorMap* map, const float* scales, int row, bool copies, uint32_t base,
                                          const Layout& at, const Ring& ring, int piece, int panel) {
  const uint32_t full = base + at.barriers + ring.stage * 16, empty = full + 8;
  const int count = __popc(__ballot_sync(~0u, copies));
  const int scaled = __popc(__ballot_sync(~0u, copies && panel == 0));
  const bool with_scales = F::kF8 && c.kv_scale == Scales::token_head;
  if (threadIdx.x % 32 == 0) {
    barrier_wait(empty, ring.phase ^ 1);
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
                        unsigned char* memory, const Layout& at) {
  const int lane = static_cast<int>(threadIdx.x % 32), pieces = kTile / c.box;
  const int piece = lane / F::kPanels, panel = lane % F::kPanels;
  const uint32_t base = shared_address(memory);
  Queue queue = queue_of(memory, at);
  Ring ring;
  bool waited = false;
  const auto wait = [&waited] {
    if (!waited) wait_for_predecessor();
    waited = true;
  };
  const bool rounds = plan.units > static_cast<int>(gridDim.x);
  for (int index = static_cast<int>(blockIdx.x);;) {
    Unit u;
    if (index < plan.units)
      u = unit_at<F>(c, plan, firsts, index);
    else
      u.seq = -1;
    if (lane == 0) queue.put(u);
    if (u.seq < 0) break;
    int rows = u.first_tile < u.last_tile ? piece_of(c, u, u.first_tile / kTilesPerChunk) : -1, next = -1;
    const int stands = c.past_stands ? u.span.kv_len - u.span.q_len : 0;  // keys that the predecessor did not write
    for (int tile = u.first_tile; tile < u.last_tile; ++tile) {
      if ((tile + 1) * kTile > stands) wait();
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
    wait();  // it may have used the tickets
    if (rounds && lane == 0) taken = atomicAdd(&c.tickets[0], 1);
    index = rounds ? static_cast<int>(gridDim.x) + __shfl_sync(~0u, taken, 0) : plan.units;
  }
  if (!rounds || lane != 0) return;
  __threadfence();
  if (atomicAdd(&c.tickets[1], 1) == static_cast<int>(gridDim.x) - 1) c.tickets[0] = c.tickets[1] = 0;  // nobody asks any more
}

// ---- the converting warps ------------------------------------------------------------------------------------------------------------------------

/// What the converting warps do: matrices of one tile after the other, in the order in which the copying warp asks for them.
template <class F>
__device__ void convert(const AttentionCall& c, unsigned char* base, const Layout& at) {
  const uint32_t address = shared_address(base), barriers = address + at.barriers, made_barriers = address + at.made;
  const bool scaled = c.kv_scale == Scales::token_head;
  Queue queue = queue_of(base, at);
  const Lane lane = lane_of<F>();
  const int place = static_cast<int>(threadIdx.x) - F::kConsumers - 32;
  Ring raw, made;
  while (queue.front().seq >= 0) {
    const int first = queue.front().first_tile, last = queue.front().last_tile;
    queue.pop();
    for (int i = 2 * first; i < 2 * last; ++i) {
      await_tile(barriers, raw);
      barrier_wait(made_barriers + made.stage * 16 + 8, made.phase ^ 1);
      const uint32_t from = address + raw.stage * F::kTileBytes, to = address + at.matrices + made.stage * F::kMatrixBytes;
      i % 2 == 0 ? convert_keys<F>(to, from, lane) : convert_values<F>(to, from, lane);
      if (scaled && place < kTile)
        reinterpret_cast<float*>(base + at.matrix_scales + made.stage * F::kScaleBytes)[place] =
            reinterpret_cast<const float*>(base + at.scales + raw.stage * F::kScaleBytes)[place];
      fence_async();
      release(barriers, raw.stage);
      if (threadIdx.x % 32 == 0) barrier_arrive(made_barriers + made.stage * 16);
      raw.next(c.stages), made.next(kMatrices);
    }
  }
}

// ---- the consumers --------------------------------------------------------------------------------------------------------------------------------

/// Empty results of the run's chunks that no row of the unit sees; n is not needed any more.
template <class F>
__device__ void write_absent(const AttentionCall& c, const Unit& u, Node<F>& n) {
  n.clear();
  const bool any = u.first_tile < u.last_tile;
#pragma unroll 1
  for (int chunk = u.first_chunk; chunk < u.last_chunk; ++chunk)
    if (!any || chunk < u.first_tile / kTilesPerChunk || chunk > (u.last_tile - 1) / kTilesPerChunk)
      write_partial<F>(u, stored_at<F>(c, u.slot + chunk - u.first_leaf), n);
}

/// A row's only run becomes its output; one of several is stored where others find it. Few rows: who stores the last one of a row writes the output.
/// Many rows, where every unit has a block: they wait for each other, and each writes some.
template <class F>
__device__ void finish_unit(const AttentionCall& c, const Unit& u, Node<F>& n, int* flag, bool together) {
  if (u.runs <= 1) return write_own<F>(c, u, n);
  if (u.by_chunk)
    write_absent<F>(c, u, n);
  else
    write_partial<F>(u, stored_at<F>(c, u.slot + u.run), n);
  __threadfence();
  named_sync(1, F::kConsumers);
  const bool shares = F::kWide && together;
  int* arrived = &c.arrived[u.slot];
  if (threadIdx.x == 0) {
    const bool last = atomicAdd(arrived, 1) == u.runs - 1;
    if (last && !shares) *arrived = 0;
    if (shares)
      while (load_acquire(arrived) < u.runs) {
      }
    *flag = last || shares;
  }
  named_sync(1, F::kConsumers);
  if (*flag == 0) return;
  __threadfence();
  const int begin = shares ? u.rows * u.run / u.runs : 0, end = shares ? u.rows * (u.run + 1) / u.runs : u.rows;
  write_rows<F>(c, u, begin, end);
  if (shares && threadIdx.x == 0 && atomicAdd(arrived, 1) == 2 * u.runs - 1) *arrived = 0;  // nobody looks any more
}

template <class F>
__device__ void consume(const AttentionCall& c, const Plan& plan, unsigned char* base, const Layout& at) {
  int* flag = reinterpret_cast<int*>(base + at.queue) - 1;
  const Waiting<F> waiting{reinterpret_cast<float*>(base + at.nodes), c.spill + static_cast<int64_t>(blockIdx.x) * c.spill_nodes * F::kNodeFloats,
                           c.shared_nodes, c.shared_fours};
  Ring ring;
  Queue queue = queue_of(base, at);
  const bool together = plan.units <= static_cast<int>(gridDim.x);
  // Between the kernels of a layer a launch finds none of its code in the caches: it goes through it once while the one in front still runs.
  bool rehearsal = rehearses<F>(c, plan) && static_cast<int>(blockIdx.x) < plan.units;
  if (rehearsal) ring.phase = 1;  // what nobody ever fills passes for full
  for (;;) {
    const std::conditional_t<F::kHoldsUnit, Unit, Unit&> u = rehearsal ? queue.at(kQueue) : queue.front();
    if (u.seq < 0) return;
    begin_unit<F>(c, u, base, at);
    Node<F> n;
    n.clear();
    if constexpr (F::kWide)
      walk_many<F>(c, u, waiting, base, at, ring, n);
    else
      walk_few<F>(c, u, waiting, base, at, ring, n);
    finish_unit<F>(c, u, n, flag, together);
    if (rehearsal)
      ring = {}, rehearsal = false;
    else
      queue.pop();
  }
}

/// A warp: pairs of barriers (full, empty) of tiles, matrices, units and the rehearsal's tiles, one a lane.
template <class F>
__device__ __forceinline__ void make_barriers(const AttentionCall& c, uint32_t address, const Layout& at) {
  constexpr int kMade = F::kConverts ? kMatrices : 0, kPractice = F::kWide ? 0 : 2, kReaders = F::kConsumers / 32;
  const int pair = static_cast<int>(threadIdx.x % 32), made = pair - c.stages, unit = made - kMade;
  if (unit < kQueue + kPractice) {
    const bool is_tile = made < 0, is_made = made >= 0 && unit < 0, is_unit = unit >= 0 && unit < kQueue;
    barrier_init(address + at.barriers + pair * 16, is_made ? kConvertingWarps : 1);
    barrier_init(address + at.barriers + pair * 16 + 8,
                 is_tile && F::kConverts ? kConvertingWarps : is_unit ? kReaders + F::kConverters / 32 : kReaders);
  }
  fence_barrier_init();
}

template <class F>
__global__ void __launch_bounds__(F::kThreads, F::kBlocks)
    attend(const __grid_constant__ AttentionCall c, const __grid_constant__ CUtensorMap k_map, const __grid_constant__ CUtensorMap v_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const std::conditional_t<F::kReadsLayout, const Layout&, const Layout> at =
      F::kReadsLayout ? c.at : Layout(F::kRows, F::kDim, F::kF8, c.stages, c.shared_nodes, c.shared_fours);
  const uint32_t address = shared_address(shared);
  release_successor();
  if (threadIdx.x / 32 == F::kConsumers / 32) {
    make_barriers<F>(c, address, at);
    if (threadIdx.x == F::kConsumers) {
      prefetch_map(&k_map), prefetch_map(&v_map);
      queue_of(shared, at).at(kQueue) = rehearsal_unit<F>(c);
    }
  }
  int* firsts = reinterpret_cast<int*>(shared + at.plan);
  const Plan plan = make_plan<F>(c, firsts);  // its barriers also publish the ones above; lengths and tables are older than the predecessor
  if (threadIdx.x >= F::kConsumers) {
    if constexpr (F::kWide) give_registers<40>();
    if (threadIdx.x < F::kConsumers + 32)
      produce<F>(c, &k_map, &v_map, plan, firsts, shared, at);
    else if constexpr (F::kConverts)
      convert<F>(c, shared, at);
  } else {
    if constexpr (F::kWide) take_registers<F::kBlocks == 1 ? 240 : 216>();
    consume<F>(c, plan, shared, at);
  }
  wait_for_predecessor();  // so that who waits for this kernel has waited for it, too
}

}  // namespace attune::cuda
