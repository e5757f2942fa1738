#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "guarded.h"
#include "ops/catalogue.h"

namespace attune {

/// One sequence of a problem. Its content (keys, values, queries by position, scales, flags, ranges) depends on `content` and the seed alone, so
/// that the same rows can be asked for alone, in a batch, or in pieces.
struct SequenceSpec {
  uint64_t content = 0;
  int64_t q_len = 1;
  int64_t kv_len = 1;
  int64_t full_len = 0;  ///< the length that ranges are drawn for; 0: kv_len
};

/// Guarded buffers of one call of attention. Every slot that no row may see is NaN, table tails hold INT32_MAX, gaps between rows hold NaN.
class Problem {
 public:
  Problem(const AttentionDesc& desc, std::vector<SequenceSpec> sequences, uint64_t seed);

  AttentionDesc desc;
  std::vector<SequenceSpec> sequences;
  AttentionParams params;
  double largest_value = 0;  ///< of |v|, scales included
  double largest_score = 0;  ///< a bound of |scale · q·k| from the largest elements, and of the bias

  /// Launches into cleared outputs and returns the rows of the output (storage bytes) followed by the LSE; gaps are checked to be untouched.
  std::string run(const AttentionKernel& kernel, ThreadPool& pool, size_t workspace_limit = SIZE_MAX);
  /// The bytes of sequence s in what run() returned.
  std::string rows_of(const std::string& result, size_t s, int64_t first = 0, int64_t count = -1) const;
  /// An element of the output in what run() returned.
  float output(const std::string& result, int64_t token, int64_t head, int64_t d) const;
  float lse(const std::string& result, int64_t token, int64_t head) const;

 private:
  void fill_queries();
  void fill_cache();
  void fill_masks();
  void fill_slot(size_t s, int64_t key, int64_t element, int64_t scale, int64_t head);
  bool anyone_sees(size_t s, int64_t key) const;
  float draw(uint64_t content, int what, int64_t position, int64_t head, int64_t d) const;
  void poison(Guarded& memory, DType type);
  Guarded& make(size_t bytes);
  template <class T>
  T* make_array(size_t count);

  uint64_t seed_;
  int64_t row_elements_ = 0;
  std::vector<std::unique_ptr<Guarded>> buffers_;
  Guarded* out_ = nullptr;
  Guarded* lse_ = nullptr;
};

/// The CPU attention kernels that this machine can run.
std::vector<const AttentionKernel*> runnable_kernels();
/// Those of them that admit the desc.
std::vector<const AttentionKernel*> kernels_for(const AttentionDesc& desc);

/// Empty if `got` agrees with `expected` within the bound computed from types, lengths and sizes; else where and by how much.
std::string compare(const Problem& problem, const AttentionKernel& kernel, const std::string& got, const std::string& expected);

/// The problem as one line.
std::string describe(const Problem& problem);

}  // namespace attune
