// The page of the rocm backend. It declares only kernels that exist: none yet.
#include "kernels/rocm/catalogue.h"

namespace attune {

void add_rocm_page(Catalogue&) {}

}  // namespace attune
