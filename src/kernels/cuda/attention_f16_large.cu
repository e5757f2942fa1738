// Forms of cuda.attention.wgmma_split_kv whose queries, keys and values are f16, of head_dim 192 and 256.
#include "kernels/cuda/attention_forms.cuh"

namespace attune::cuda {

FormFacts attention_form_f16_large(int rows, int dim, bool extras) {
  switch (dim) {
    case 192: return form_of_dim<__half, false, 192>(rows, extras);
    case 256: return form_of_dim<__half, false, 256>(rows, extras);
    default: return {};
  }
}

}  // namespace attune::cuda
