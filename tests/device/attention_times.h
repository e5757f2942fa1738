#pragma once

#include <vector>

#include "ops/attention.h"

namespace attune::device_test {

/// One shape to time: lengths of its sequences.
struct Work {
  AttentionDesc desc;
  std::vector<int32_t> q_lens, kv_lens;
};

struct Timing {
  double microseconds = 0;  ///< median of the replays
  double fastest = 0, slowest = 0;
  double gigabytes = 0;  ///< of K and V, read once
};

/// Graph replay, caches that alternate so that none stays in L2, random values, permuted block tables.
Timing time_attention(const AttentionKernel& kernel, const Work& work);

}  // namespace attune::device_test
