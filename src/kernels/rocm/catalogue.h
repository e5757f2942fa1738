#pragma once

#include "ops/catalogue.h"

namespace attune {

/// Appends the declared kernels of the rocm backend.
void add_rocm_page(Catalogue& catalogue);

}  // namespace attune
