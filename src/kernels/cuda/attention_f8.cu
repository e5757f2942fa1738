// Forms of cuda.attention.wgmma_split_kv whose keys and values are e4m3; products are of f16.
#include "kernels/cuda/attention_forms.cuh"

namespace attune::cuda {

FormFacts attention_form_f8(int rows, int dim, bool extras) {
  switch (dim) {
    case 128: return form_of_dim<__half, true, 128>(rows, extras);
    case 256: return form_of_dim<__half, true, 256>(rows, extras);
    default: return {};
  }
}

}  // namespace attune::cuda
