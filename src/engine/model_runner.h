#pragma once

#include <vector>

#include "engine/scheduler.h"
#include "models/model.h"

namespace attune {

/// What a row of logits is for.
struct RowUse {
  Sequence* sequence;
  int sample;        ///< which of the request's n samples draws from it; −1: a prompt position's log-probability
  int64_t position;  ///< of the token that the row predicts
};

/// Turns the slices of a step into a batch and runs the model over it.
class ModelRunner {
 public:
  ModelRunner(Model& model, KvCache& kv) : model_(model), kv_(kv) {}

  /// Runs the layers. rows() then tells what each wanted row of logits is for.
  void forward(const ExecContext& ctx, const std::vector<Slice>& slices);
  const std::vector<RowUse>& rows() const { return rows_; }
  void logits(const ExecContext& ctx, int64_t first, int64_t rows, float* out) { model_.logits(ctx, first, rows, out); }

 private:
  void add(const Slice& slice);
  void want_rows(const Slice& slice, int64_t first_row);

  Model& model_;
  KvCache& kv_;
  Batch batch_;
  std::vector<RowUse> rows_;
};

}  // namespace attune
