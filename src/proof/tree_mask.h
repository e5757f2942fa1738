#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

namespace attune {

/// Ancestor bits of random trees, (tokens, words): a token's parent is one of its sequence's tokens in front of it, below(n) draws from [0, n), and a
/// token sees what its parent sees and itself. q_start: [sequences + 1].
template <class Below>
void fill_trees(std::span<const int32_t> q_start, int64_t words, Below&& below, uint32_t* bits) {
  std::fill_n(bits, q_start.back() * words, 0u);
  for (size_t s = 0; s + 1 < q_start.size(); ++s) {
    uint32_t* first = bits + q_start[s] * words;
    for (int64_t i = 0; i < q_start[s + 1] - q_start[s]; ++i) {
      if (i > 0) std::copy_n(first + below(i) * words, words, first + i * words);
      first[i * words + i / 32] |= 1u << (i % 32);
    }
  }
}

}  // namespace attune
