#pragma once

#include "ops/catalogue.h"

namespace attune {

/// Appends the declared kernels of the cpu backend.
void add_cpu_page(Catalogue& catalogue);

}  // namespace attune
