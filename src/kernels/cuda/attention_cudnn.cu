// The small kernels around cuDNN's, which wants rows at multiples of 16 bytes and a plan for each width of a table.
#include "kernels/cuda/attention_cudnn.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/portable.h"

namespace attune::cuda {
namespace {

constexpr int kThreads = 128;

struct Ones {
  int32_t at[kMostSequences];
};
constexpr Ones all_ones() {
  Ones o{};
  for (int32_t& x : o.at) x = 1;
  return o;
}
__device__ Ones ones = all_ones();

__global__ void stage(CudnnStaging s) {
  gpu::take_turn();
  const int64_t seq = gpu::block_index();
  for (int64_t i = gpu::thread_index(); s.staged_q && i < s.row; i += kThreads) s.staged_q[seq * s.row + i] = s.q[seq * s.q_stride + i];
  for (int64_t i = gpu::thread_index(); s.staged_table && i < s.pages; i += kThreads)
    s.staged_table[seq * s.pages + i] = i < s.max_blocks ? s.block_table[seq * s.max_blocks + i] : 0;
}

__global__ void unstage(CudnnStaging s) {
  gpu::take_turn();
  const int64_t seq = gpu::block_index();
  for (int64_t i = gpu::thread_index(); i < s.row; i += kThreads) s.out[seq * s.out_stride + i] = s.staged_out[seq * s.row + i];
}

void launch(void (*kernel)(CudnnStaging), const CudnnStaging& s, int64_t sequences, void* stream) {
  if (const char* error = gpu::launch(kernel, sequences, kThreads, 0, stream, s)) gpu::launch_failed("cuda.attention.cudnn", error);
}

}  // namespace

void stage_cudnn_inputs(const CudnnStaging& s, int64_t sequences, void* stream) { launch(stage, s, sequences, stream); }
void unstage_cudnn_output(const CudnnStaging& s, int64_t sequences, void* stream) { launch(unstage, s, sequences, stream); }

const int32_t* cudnn_ones() {
  void* at = nullptr;
  if (const cudaError_t e = cudaGetSymbolAddress(&at, ones); e != cudaSuccess) gpu::launch_failed("cuda.attention.cudnn", cudaGetErrorString(e));
  return static_cast<const int32_t*>(at);
}

}  // namespace attune::cuda
