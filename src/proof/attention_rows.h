#pragma once

#include <utility>
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
  /// The same, seen in the direction of out, and of the sum of weights. Weights that coincide round alike: Σ (Σ p·(v·out))² and Σ (Σ p)², the inner
  /// sums over weights that differ by less than half a rounding. A small softcap makes most of them equal.
  double along = 0, alike = 0;
  double share = 0;  ///< Σ p: below 1 with a sink
  double lse = 0;
  AttentionRowFacts facts;
};

/// Evaluates single rows of a call by the formula of ops/attention_ref.cc; keeps the keys and values of one (sequence, KV head), so that
/// rows asked for in order cost little. A test holds it equal to the reference.
class AttentionRows {
 public:
  /// `spread`: `squares`, `along` and `alike` are asked for; they stay 0 otherwise. `roundoff`: of the weights.
  AttentionRows(const AttentionDesc& desc, const AttentionParams& params, bool spread = false, double roundoff = 0)
      : d_(desc), p_(params), spread_(spread), roundoff_(roundoff) {}

  const AttentionRow& row(int64_t seq, int64_t token, int64_t head);

  /// What the mask knows of a row.
  static RowView view(const AttentionDesc& d, const AttentionParams& p, int64_t seq, int64_t token);

 private:
  void load_head(int64_t seq, int64_t kv_head);
  double query(int64_t seq, int64_t token, int64_t head);
  void score_keys(const RowView& view, int64_t head, double q_norm);
  void add_values();
  void add_spread();

  const AttentionDesc& d_;
  const AttentionParams& p_;
  bool spread_;
  double roundoff_;
  int64_t seq_ = -1, kv_head_ = -1;
  std::vector<double> k_, v_, k_norm_;  // (keys, head_dim), scaled; ‖k‖
  std::vector<double> q_;
  struct Scored {
    int64_t key;
    double score;  ///< then the weight p
  };
  std::vector<Scored> scored_;
  std::vector<std::pair<int64_t, std::pair<double, double>>> alike_;  // by which weights round alike: p·(v·out), p
  AttentionRow row_;
};

}  // namespace attune
