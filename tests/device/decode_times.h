#pragma once

#include "ops/attention.h"

namespace attune::device_test {

/// Prints the median time of a decode step, over four caches in turn so that none stays in L2.
void time_decode(const AttentionKernel& kernel, int64_t batch, int64_t kv_len, DType kv, int64_t block);

}  // namespace attune::device_test
