// Forms of cuda.attention.wgmma_split_kv whose queries, keys and values are bf16.
#include "kernels/cuda/attention_forms.cuh"

namespace attune::cuda {
namespace {

__global__ void clear(int32_t* counters, int count) {
  release_successor();
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) counters[i] = 0;
}

}  // namespace

const void* clear_counters() { return reinterpret_cast<const void*>(&clear); }

FormFacts attention_form_bf16(int rows, int dim, bool extras) {
  switch (dim) {
    case 64: return form_of_dim<__nv_bfloat16, false, 64>(rows, extras);
    case 128: return form_of_dim<__nv_bfloat16, false, 128>(rows, extras);
    default: return {};
  }
}

}  // namespace attune::cuda
