#pragma once

#include "loader/weights.h"

namespace attune {

/// A weight source that answers every question with a view of the right shape and no memory: for decisions from a config alone. What decisions
/// read of a checkpoint (scales of keys and values), find() finds in `stored`, where there is one.
class ShapesOnly final : public WeightSource {
 public:
  explicit ShapesOnly(DType dtype, std::optional<Weights> stored = {}) : dtype_(dtype), stored_(std::move(stored)) {}
  std::optional<TensorView> find(const std::string& name) override { return stored_ ? stored_->find(name) : std::nullopt; }
  std::optional<TensorView> get(const std::string&, const Shape& shape) override { return TensorView{nullptr, dtype_, shape}; }
  std::vector<std::string> names() const override { return {}; }
  int64_t total_bytes() const override { return 0; }
  void release(const TensorView&) override {}
  std::string title() const override { return "config.json"; }

 private:
  DType dtype_;
  std::optional<Weights> stored_;
};

}  // namespace attune
