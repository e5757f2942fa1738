#pragma once

#include "core/error.h"
#include "proof/bounds.h"
#include "proof/cases.h"
#include "proof/comparison.h"
#include "proof/fill.h"
#include "proof/memory.h"

namespace attune {

struct AttentionRow;

/// How a problem is laid out in memory. In `wild` problems table tails hold block numbers far outside the pool, else a block of poison.
struct ProblemStyle {
  Guard guard = Guard::after;
  bool wild = true;
  /// Attention: lengths that the tensors have room for, none less than the case's; sizes, strides and upper bounds are then those of a problem
  /// of these lengths, as where a captured graph is replayed. Empty: the case's own.
  std::vector<int64_t> room_q, room_kv;
};

/// The tensors of one case, seeded and poisoned, the call's params, and the judgement of its outputs. One specialisation an op, each with
///   Problem(const Case<Op>&, const ProblemStyle&);
///   Memory memory; typename Op::Params params;
///   Limits limits() const;                                                  // what the workspace is asked for
///   void compare(std::string_view reduction, int64_t samples, Comparison&) const;  // 0 samples: every output
template <class Op>
class Problem;

template <>
class Problem<Attention> {
 public:
  Problem(const Case<Attention>& c, const ProblemStyle& style);
  Memory memory;
  AttentionParams params;
  Limits limits() const;
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  /// What a captured graph would hold on to: drawn from the seed alone.
  struct Layout {
    explicit Layout(uint64_t seed);
    int64_t longest_kv, kv_stride, max_blocks, out_stride, q_stride;
    double scale;
  };

  void size_up(const ProblemStyle& style);
  void place_sequences(Fill& fill, const ProblemStyle& style);
  void place_blocks(Fill& fill, const ProblemStyle& style);
  void fill_queries(Fill& fill);
  void fill_keys(Fill& fill);
  void* add_pool(const char* name, DType t, int64_t elements, int64_t block_elements);
  void add_masks(Fill& fill);
  void add_outputs(Fill& fill);  // and the terms a head or the output has: sinks, slopes, scale
  std::vector<uint8_t> seen_keys(int64_t seq) const;
  void compare_values(const AttentionRow& row, const DeclaredRounding& declared, int64_t seq, int64_t token, int64_t head, Comparison& out) const;

  Case<Attention> case_;
  const AttentionDesc& desc_;
  Layout layout_;
  int64_t tokens_ = 0;  // q_start's last: at most total_q
};

template <>
class Problem<KvWrite> {
 public:
  Problem(const Case<KvWrite>& c, const ProblemStyle& style);
  Memory memory;
  KvWriteParams params;
  Limits limits() const { return {.tokens = case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  const void* add_input(Fill& fill, const char* name);
  void map_slots(Fill& fill);
  void* add_pool(const char* name, DType t, int64_t width, size_t align);
  void* add_cache(const char* name);
  float* add_scales(Fill& fill, const char* name);
  int64_t place(int64_t slot, int64_t head) const;
  void compare_vector(const char* name, const void* x, const void* cache, const float* scales, int64_t token, int64_t head, Comparison& out) const;

  Case<KvWrite> case_;
  std::vector<int64_t> places_;  // (block, head, offset) written, rising
};

template <>
class Problem<Matmul> {
 public:
  Problem(const Case<Matmul>& c, const ProblemStyle& style);
  Memory memory;
  MatmulParams params;
  Limits limits() const { return {.tokens = case_.desc.rows > case_.rows ? case_.desc.rows : case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  void fill_x(Fill& fill);
  struct Side;
  Side side(Fill& fill, const std::string& name, int64_t rows, bool may_lack_bias);
  void add_outputs(Fill& fill);

  Case<Matmul> case_;
  std::vector<float> residual_;  // kept apart: the output may overwrite it
};

template <>
class Problem<Norm> {
 public:
  Problem(const Case<Norm>& c, const ProblemStyle& style);
  Memory memory;
  NormParams params;
  Limits limits() const { return {.tokens = case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  Case<Norm> case_;
  std::vector<float> residual_;
};

template <>
class Problem<Rope> {
 public:
  Problem(const Case<Rope>& c, const ProblemStyle& style);
  Memory memory;
  RopeParams params;
  Limits limits() const { return {.tokens = case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  Case<Rope> case_;
  std::vector<uint8_t> x_;  // kept apart: the output may overwrite it
};

template <>
class Problem<RopeKvWrite> {
 public:
  Problem(const Case<RopeKvWrite>& c, const ProblemStyle& style);

 private:
  Case<RopeKvWrite> case_;
  Problem<KvWrite> pages_;  // the cache, the slots and their watch

 public:
  Memory& memory;
  RopeKvWriteParams params;
  Limits limits() const { return {.tokens = case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  const void* add_weight(Fill& fill, const char* name);
  std::vector<double> head_by_reference(int64_t token, int64_t head, bool rotate) const;
  std::vector<ErrorBound> errors_of(const std::vector<double>& normed) const;
  void compare_query(const std::vector<double>& want, const std::vector<ErrorBound>& errors, int64_t token, int64_t head, Comparison& out) const;
  void compare_page(const char* name, const std::vector<double>& vector, const std::vector<ErrorBound>& errors, int64_t token, int64_t head,
                    Comparison& out) const;
};

template <>
class Problem<ActivationOp> {
 public:
  Problem(const Case<ActivationOp>& c, const ProblemStyle& style);
  Memory memory;
  ActivationParams params;
  Limits limits() const { return {.tokens = case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  Case<ActivationOp> case_;
};

template <>
class Problem<Embed> {
 public:
  Problem(const Case<Embed>& c, const ProblemStyle& style);
  Memory memory;
  EmbedParams params;
  Limits limits() const { return {.tokens = case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  Case<Embed> case_;
};

template <>
class Problem<Sample> {
 public:
  Problem(const Case<Sample>& c, const ProblemStyle& style);
  Memory memory;
  SampleParams params;
  Limits limits() const { return {.tokens = case_.rows}; }
  void compare(std::string_view reduction, int64_t samples, Comparison& out) const;

 private:
  SampleRow draw_law(Fill& fill);

  Case<Sample> case_;
  std::vector<float> logits_;  // as filled: the kernel may change them
  std::vector<SampleRow> rows_;
};

}  // namespace attune
