#pragma once

#include <memory>

#include "loader/weights.h"

namespace attune {

/// The source behind Weights::dummy.
std::unique_ptr<WeightSource> make_dummy_weights(DType dtype, uint64_t seed);

}  // namespace attune
