// Forms of cuda.attention.wgmma_prefill for bf16, and the kernel that clears its ticket.
#include "kernels/cuda/attention_wgmma_prefill.cuh"

namespace attune::cuda {
namespace {

__global__ void clear_ticket(int32_t* ticket) {
  release_successor();
  *ticket = 0;
}

}  // namespace

const void* prefill_clear() { return reinterpret_cast<const void*>(&clear_ticket); }

const void* prefill_form_bf16(int dim, bool extras) { return prefill::form_of<__nv_bfloat16>(dim, extras); }

}  // namespace attune::cuda
