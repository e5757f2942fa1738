#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "loader/model_config.h"

namespace attune::test {

/// Where a run in a narrow dtype rounds (section 6 of the design): the inputs of matmuls, what attention reads, and, in kernels whose
/// reduction tag says p_bf16, the softmax weights.
enum class Point { normed, q, k, v, softmax_weight, attended, activated, final_normed };

using Round = std::function<double(Point, double)>;

/// What is read back of a key or value (k or v) of a layer and KV head that was stored.
using Store = std::function<double(Point, size_t layer, size_t head, double)>;

/// A decoder of any supported architecture, written down again in double, with a hook at every rounding point.
class RoundingModel {
 public:
  /// Reads a Hugging Face folder. `bf16_weights`: weights, and Gemma's embedding scale, are rounded to bf16 as a bf16 run rounds them once.
  RoundingModel(const std::filesystem::path& folder, bool bf16_weights);

  /// log p(token i + 1 | tokens <= i) of every position but the last.
  std::vector<double> logprobs(const std::vector<int32_t>& tokens, const Round& round, const Store& store = {}) const;
  const ModelConfig& config() const { return config_; }

 private:
  using Rows = std::vector<std::vector<double>>;  ///< (tokens, width)

  const std::vector<double>& weight(const std::string& name) const { return weights_.at(name); }
  Rows linear(const Rows& x, const std::string& name, size_t rows) const;
  Rows norm(const Rows& x, const std::string& name, const Round& round, Point point) const;
  void norm_heads(Rows& x, const std::string& name) const;
  void rotate(Rows& x) const;
  Rows attend(const Rows& q, const Rows& k, const Rows& v, int64_t window, const Round& round) const;
  void add_attention(Rows& x, int64_t layer, const Round& round, const Store& store) const;
  void add_mlp(Rows& x, int64_t layer, const Round& round) const;

  ModelConfig config_;
  bool gemma_ = false;
  double embedding_scale_ = 1;
  std::vector<float> inv_freq_;
  std::map<std::string, std::vector<double>> weights_;
};

/// The nearest bf16.
double to_bf16(double x);

/// The distance of two neighbouring bf16 values at x: 2^(e - 7) for 2^e <= |x| < 2^(e + 1).
double bf16_ulp(double x);

}  // namespace attune::test
