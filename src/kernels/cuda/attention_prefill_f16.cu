// Forms of cuda.attention.wgmma_prefill for f16.
#include "kernels/cuda/attention_wgmma_prefill.cuh"

namespace attune::cuda {

const void* prefill_form_f16(int dim, bool extras) { return prefill::form_of<__half>(dim, extras); }

}  // namespace attune::cuda
