#pragma once

// The instructions of sm_90a that the matmul kernels are made of, one function each: barriers in shared memory, the tensor copy engine, warpgroup
// products, clusters, and launches that overlap their predecessor. Addresses of shared memory are 32-bit.

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace attune::cuda {

// ---- barriers in shared memory ------------------------------------------------------------------------------------------------------------

__device__ inline uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

__device__ inline void barrier_init(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

/// Makes barriers that this thread has just made known to the copy engine and, with a cluster barrier, to the cluster.
__device__ inline void fence_barrier_init() { asm volatile("fence.mbarrier_init.release.cluster;\n\tfence.proxy.async;" ::: "memory"); }

/// Orders this thread's stores to shared memory before what the copy engine and the tensor cores read there.
__device__ inline void fence_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

__device__ inline void barrier_arrive(uint32_t barrier) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory"); }

/// One arrival, and `bytes` more to come before the phase ends.
__device__ inline void barrier_arrive_expect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ inline void barrier_expect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

/// An arrival at the barrier of any block of the cluster, whose address map_to_rank() gives: says that a slot may be filled again.
__device__ inline void barrier_arrive_remote(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/// Waits for the end of the phase of this parity. What other blocks stored needs barrier_wait_cluster, which empties the L1 cache.
__device__ inline void barrier_wait(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n\t.reg .pred done;\n\t"
      "again:\n\t"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
      "@done bra over;\n\t"
      "bra again;\n\t"
      "over:\n\t}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
__device__ inline void barrier_wait_cluster(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n\t.reg .pred done;\n\t"
      "again:\n\t"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], %1;\n\t"
      "@done bra over;\n\t"
      "bra again;\n\t"
      "over:\n\t}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

// ---- clusters -------------------------------------------------------------------------------------------------------------------------------

__device__ inline uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
/// Orders nothing but the barriers that fence_barrier_init() has made known.
__device__ inline void cluster_arrive() { asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory"); }
__device__ inline void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }

/// The address in block `rank` of the cluster of what stands at `address` in this one.
__device__ inline uint32_t map_to_rank(uint32_t address, uint32_t rank) {
  uint32_t mapped;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
  return mapped;
}

/// Stores 16 bytes in the shared memory of a block of the cluster and counts them at that block's barrier.
__device__ inline void store_remote(uint32_t address, uint32_t barrier, float4 v) {
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(address), "f"(v.x), "f"(v.y),
               "f"(v.z), "f"(v.w), "r"(barrier)
               : "memory");
}

// ---- launches that overlap their predecessor --------------------------------------------------------------------------------------------------

/// Lets the next launch of the stream begin; what it may read before wait_for_predecessor() is its own affair.
__device__ inline void release_successor() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

/// Returns when all launches before this one are complete and their writes visible.
__device__ inline void wait_for_predecessor() { asm volatile("griddepcontrol.wait;" ::: "memory"); }

// ---- the tensor copy engine -------------------------------------------------------------------------------------------------------------------

__device__ inline void prefetch_map(const CUtensorMap* map) { asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }

/// A hint for the L2 cache: lines to be dropped first.
__device__ inline uint64_t policy_evict_first() {
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

/// Copies the map's box at (column, row) to shared memory; elements outside the tensor are zeros. All bytes of the box count at the barrier.
__device__ inline void copy_box(uint32_t to, const CUtensorMap* map, int32_t column, int32_t row, uint32_t barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to), "l"(map),
               "r"(column), "r"(row), "r"(barrier)
               : "memory");
}
__device__ inline void copy_box(uint32_t to, const CUtensorMap* map, int32_t column, int32_t row, uint32_t barrier, uint64_t policy) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
               "l"(map), "r"(column), "r"(row), "r"(barrier), "l"(policy)
               : "memory");
}

/// The box of a map of three dimensions at (column, head, row).
__device__ inline void copy_heads(uint32_t to, const CUtensorMap* map, int32_t column, int32_t head, int32_t row, uint32_t barrier) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to), "l"(map),
               "r"(column), "r"(head), "r"(row), "r"(barrier)
               : "memory");
}

/// A box of a matrix into every block of the cluster named in `blocks` (a bit each), at the same address, counted at the barrier of each.
__device__ inline void copy_box_to(uint32_t to, const CUtensorMap* map, int32_t column, int32_t row, uint32_t barrier, uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(map), "r"(column), "r"(row), "r"(barrier), "h"(blocks)
      : "memory");
}

// ---- registers of a warpgroup -----------------------------------------------------------------------------------------------------------------

template <int kRegisters>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace attune::cuda
