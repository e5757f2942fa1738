#pragma once

#include "ops/catalogue.h"

namespace attune {

/// Appends the declared kernels of the cuda backend.
void add_cuda_page(Catalogue& catalogue);

}  // namespace attune
