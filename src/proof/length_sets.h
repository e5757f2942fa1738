#pragma once

#include <optional>
#include <span>

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

/// Blocks of a pool whose offsets leave 32 bits.
inline constexpr int64_t kLargePool = 32768;

/// A set's case of a desc, with what belongs to the set put in; with fewer heads where it would cost more than `most_flops`, as far as the kernel
/// admits. Nothing where the kernel does not admit the set with this desc.
std::optional<Case<Attention>> case_at(const AttentionKernel& kernel, const LengthSet& set, AttentionDesc desc, double most_flops);

/// Cases of a kernel over every length set, with heads, sizes, types and masks in turn; those of more than `most_flops` get fewer heads or are
/// left out. `laps`: how often each set comes, with other fields each time.
std::vector<Case<Attention>> length_set_cases(const AttentionKernel& kernel, uint64_t seed, double most_flops, int laps, bool full);

/// Sizes of matmul in real layers, and the rows of a call.
struct Layer {
  int64_t n, k, m;
};
std::span<const Layer> layers();

/// Matmul at the sizes of real layers, beyond the tiles and strips that the covering cases reach.
std::vector<Case<Matmul>> layer_cases(const MatmulKernel& kernel, uint64_t seed, double most_flops, bool full);

/// kv_write into a pool whose offsets leave 32 bits.
std::vector<Case<KvWrite>> large_pool_cases(const KvWriteKernel& kernel, uint64_t seed);

}  // namespace attune
