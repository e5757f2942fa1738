#pragma once

#include "proof/cases.h"

namespace attune {

/// The descs that cases cover all pairs with, each at every length set (attention), number of rows, layer of a model (matmul) and large pool
/// (kv_write) that the kernel admits with it, in a fixed order and without repetitions. What would be over `most_flops` is taken with fewer heads, or
/// left out and counted.
template <class Op>
struct Product {
  int64_t descs = 0, lengths = 0;
  int64_t too_large = 0;
  std::vector<Case<Op>> cases;
};
template <class Op>
Product<Op> product_of(const Kernel<Op>& kernel, const std::vector<Case<Op>>& covering, uint64_t seed, double most_flops);

}  // namespace attune
