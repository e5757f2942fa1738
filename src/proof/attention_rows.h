#pragma once

#include <vector>

#include "ops/attention.h"
#include "ops/attention_math.h"
#include "proof/bounds.h"

namespace attune {

/// One output row of attention, one query head: its value and the magnitudes its bound is computed from, all in double.
struct AttentionRow {
  std::vector<double> out;        ///< Σ p·v
  std::vector<double> magnitude;  ///< Σ p·|v|
  std::vector<double> reach;      ///< Σ |v|
  std::vector<double> squares;    ///< Σ (p·v)²: what independent roundings of p add up to
  double along = 0;               ///< Σ p²·(v·out)²: the same, seen in the direction of out
  double share = 0;               ///< Σ p: below 1 with a sink
  double lse = 0;
  AttentionRowFacts facts;
};

/// Evaluates single rows of a call by the formula of ops/attention_ref.cc; keeps the keys and values of one (sequence, KV head), so that
/// rows asked for in order cost little. A test holds it equal to the reference.
class AttentionRows {
 public:
  /// `spread`: `squares` and `along` are asked for; they stay 0 otherwise.
  AttentionRows(const AttentionDesc& desc, const AttentionParams& params, bool spread = false) : d_(desc), p_(params), spread_(spread) {}

  const AttentionRow& row(int64_t seq, int64_t token, int64_t head);

  /// What the mask knows of a row.
  static RowView view(const AttentionDesc& d, const AttentionParams& p, int64_t seq, int64_t token);

 private:
  void load_head(int64_t seq, int64_t kv_head);
  double query(int64_t seq, int64_t token, int64_t head);
  void score_keys(const RowView& view, int64_t head, double q_norm);
  void add_values();

  const AttentionDesc& d_;
  const AttentionParams& p_;
  bool spread_;
  int64_t seq_ = -1, kv_head_ = -1;
  std::vector<double> k_, v_, k_norm_;  // (keys, head_dim), scaled; ‖k‖
  std::vector<double> q_;
  struct Scored {
    int64_t key;
    double score;  ///< then the weight p
  };
  std::vector<Scored> scored_;
  AttentionRow row_;
};

}  // namespace attune
