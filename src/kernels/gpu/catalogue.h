#pragma once

#include "ops/catalogue.h"

namespace attune {

/// Appends the declared kernels of the gpu backend.
void add_gpu_page(Catalogue& catalogue);

}  // namespace attune
