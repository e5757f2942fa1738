#pragma once

#include <array>
#include <cstdint>

namespace attune {

/// Counter-based random numbers: Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11).
/// The value depends on key and counter alone, so draws do not depend on order, batch or thread.
constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b), static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// What a draw is for: the last part of its key.
enum class Draw : uint32_t { sample = 0, accept = 1, draft = 2, fill = 3 };

/// A uniform draw in [0, 1) with 53 random bits, keyed by (the request's seed, sample index, absolute position, kind of draw).
constexpr double uniform(uint64_t seed, uint32_t sample, uint64_t position, Draw kind) {
  const auto r = philox({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), sample, static_cast<uint32_t>(kind)},
                        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint64_t bits = (uint64_t{r[0]} << 32 | r[1]) >> 11;
  return static_cast<double>(bits) * 0x1.0p-53;
}

/// A sequential view of the same generator, for fills and sampled test cases.
class Rng {
 public:
  explicit constexpr Rng(uint64_t seed) : seed_(seed) {}
  constexpr double uniform01() { return uniform(seed_, 0, next_++, Draw::fill); }
  /// Uniform in [0, n), n ≥ 1.
  constexpr int64_t below(int64_t n) { return static_cast<int64_t>(uniform01() * static_cast<double>(n)); }
  constexpr float between(float lo, float hi) { return lo + (hi - lo) * static_cast<float>(uniform01()); }

 private:
  uint64_t seed_;
  uint64_t next_ = 0;
};

}  // namespace attune
