// Forms of cuda.attention.wgmma_split_kv whose queries, keys and values are f16, of head_dim up to 128.
#include "kernels/cuda/attention_forms.cuh"

namespace attune::cuda {

FormFacts attention_form_f16(int rows, int dim, bool extras) {
  switch (dim) {
    case 64: return form_of_dim<__half, false, 64>(rows, extras);
    case 128: return form_of_dim<__half, false, 128>(rows, extras);
    default: return attention_form_f16_large(rows, dim, extras);
  }
}

}  // namespace attune::cuda
