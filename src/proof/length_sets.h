#pragma once

#include "proof/cases.h"

namespace attune {

/// Lengths of a batch worth a name: those that the tests of others use, and those in which kernels have been wrong.
struct LengthSet {
  std::string_view name;
  Phase phase;
  std::vector<int64_t> q_lens, kv_lens;
  std::string_view desc;      ///< fields that belong to the set, such as "mask=none kv_source=cross_paged"
  int64_t pool = 0;           ///< blocks of the KV pool; 0: as few as needed
  bool only_in_full = false;  ///< too long for a default run
};

const std::vector<LengthSet>& length_sets();

/// Cases of a kernel over every length set, with heads, sizes, types and masks in turn; those of more than `most_flops` get fewer heads or are
/// left out. `laps`: how often each set comes, with other fields each time.
std::vector<Case<Attention>> length_set_cases(const AttentionKernel& kernel, uint64_t seed, double most_flops, int laps, bool full);

/// Matmul at the sizes of real layers, beyond the tiles and strips that the covering cases reach.
std::vector<Case<Matmul>> layer_cases(const MatmulKernel& kernel, uint64_t seed, double most_flops, bool full);

/// kv_write into a pool whose offsets leave 32 bits.
std::vector<Case<KvWrite>> large_pool_cases(const KvWriteKernel& kernel, uint64_t seed);

}  // namespace attune
