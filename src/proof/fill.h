#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace attune {

/// A fast seeded generator for the contents of problems (SplitMix64; Steele, Lea and Flood, 2014).
class Fill {
 public:
  explicit Fill(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x1234567) {}

  uint64_t bits();
  /// Uniform in [0, n), n ≥ 1.
  int64_t below(int64_t n) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(n)); }
  /// Uniform in [lo, hi).
  double between(double lo, double hi) { return lo + (hi - lo) * (static_cast<double>(bits() >> 11) * 0x1.0p-53); }
  bool one_in(int64_t n) { return below(n) == 0; }

  /// Stores `count` values, uniform in ±amplitude, from element `first` on.
  void values(void* data, DType t, int64_t first, int64_t count, double amplitude);

  /// Stores `count` values of the standard normal law, clamped to ±limit.
  void normal(void* data, DType t, int64_t first, int64_t count, double limit);

  /// Stores scales, uniform in [lo, hi): never all equal.
  void scales(float* data, int64_t count, double lo, double hi);

 private:
  uint64_t state_;
};

/// Reads `count` elements from `first` on as double.
void load_values(const void* data, DType t, int64_t first, int64_t count, double* out);

}  // namespace attune
