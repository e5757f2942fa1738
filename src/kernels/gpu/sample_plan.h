#pragma once

// What the page and the kernel of gpu.sample.rows agree on: shared memory and scratch. Plain C++.

#include "ops/sample.h"

namespace attune::gpu {

inline constexpr int64_t kSampleChunk = 8192;                    ///< logits that a block reduces
inline constexpr int64_t kMostSampleScratch = int64_t{1} << 26;  ///< bytes for rows under the full law, unless one row needs more

/// A chunk's result: largest logit, the lowest id that has it (INT32_MAX: no logit above −∞), and Σ exp(logit − largest).
struct SamplePartial {
  float largest;
  int32_t id;
  float sum;
};

inline constexpr int kSampleReduceThreads = 256;  ///< of a block that reduces chunks
inline constexpr int kSampleLawThreads = 1024;    ///< of a block under the full law: one a bin of a histogram

constexpr int64_t sample_chunks(int64_t vocab) { return (vocab + kSampleChunk - 1) / kSampleChunk; }
constexpr int64_t sample_partial_bytes(int64_t vocab, int64_t rows) {
  return (rows * sample_chunks(vocab) * static_cast<int64_t>(sizeof(SamplePartial)) + 15) / 16 * 16;
}

/// A row under the full law: a mark and a list entry for each token.
constexpr int64_t sample_row_bytes(int64_t vocab) { return vocab * 2 * static_cast<int64_t>(sizeof(uint32_t)); }

/// Two results a warp.
inline constexpr int64_t kSampleReduceBytes = 2 * (kSampleReduceThreads / 32) * static_cast<int64_t>(sizeof(SamplePartial));
/// Two histograms of four words a bin, two sums a warp, and what a search found.
inline constexpr int64_t kSampleLawBytes = 2 * 4 * kSampleLawThreads * 4 + kSampleLawThreads / 32 * 32 + 128;
constexpr int64_t sample_shared_memory(const SampleDesc& d) { return d.greedy_only ? kSampleReduceBytes : kSampleLawBytes; }
static_assert(kSampleReduceBytes <= kSampleLawBytes, "the full law reduces chunks as well");

constexpr int64_t sample_workspace(const SampleDesc& d, const Limits& limits) {
  const int64_t rows = limits.tokens > limits.sequences ? limits.tokens : limits.sequences;
  const int64_t fitting = kMostSampleScratch / sample_row_bytes(d.vocab), most = fitting > 1 ? fitting : 1;
  return sample_partial_bytes(d.vocab, rows) + (d.greedy_only ? 0 : (rows < most ? rows : most) * sample_row_bytes(d.vocab));
}

}  // namespace attune::gpu
