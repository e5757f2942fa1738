#include "ops/catalogue.h"

#include "kernels/cpu/catalogue.h"
#include "kernels/cuda/catalogue.h"
#include "kernels/gpu/catalogue.h"
#include "kernels/rocm/catalogue.h"

namespace attune {

const Catalogue& catalogue() {
  static const Catalogue all = [] {
    Catalogue c;
    add_cpu_page(c);
    add_cuda_page(c);
    add_rocm_page(c);
    add_gpu_page(c);
    add_reference_page(c);
    return c;
  }();
  return all;
}

}  // namespace attune
