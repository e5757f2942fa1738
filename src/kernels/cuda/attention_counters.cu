// Counters of cuda.attention.wgmma_split_kv. A launch needs them at 0 and leaves them so; a workspace is shared with kernels that do not, so they
// stand in the module's own memory, one set for each workspace that was seen: launches on one workspace never run at once.
#include <map>
#include <mutex>
#include <utility>

#include "kernels/cuda/attention_launch.h"
#include "kernels/cuda/hopper.h"

namespace attune::cuda {
namespace {

constexpr int kSets = 512;  // 4 MiB
__device__ int32_t sets[kSets][kCounters];

__global__ void clear(int32_t* counters, int count) {
  release_successor();
  wait_for_predecessor();  // the workspace may be its own; and who waits for this kernel has waited for it, too
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) counters[i] = 0;
}

}  // namespace

const void* clear_counters() { return reinterpret_cast<const void*>(&clear); }

int32_t* counters_of(const void* workspace) {
  static std::mutex one_at_a_time;
  static std::map<std::pair<int, const void*>, int> taken;  // (device, workspace) -> set
  int device = 0;
  void* first = nullptr;
  if (cudaGetDevice(&device) != cudaSuccess || cudaGetSymbolAddress(&first, sets) != cudaSuccess) return nullptr;
  const std::lock_guard lock(one_at_a_time);
  const auto found = taken.find({device, workspace});
  if (found == taken.end() && taken.size() >= kSets) return nullptr;
  const int set = found != taken.end() ? found->second : taken.emplace(std::pair{device, workspace}, static_cast<int>(taken.size())).first->second;
  return static_cast<int32_t*>(first) + set * kCounters;
}

}  // namespace attune::cuda
