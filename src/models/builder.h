#pragma once

#include <set>
#include <string>
#include <vector>

#include "device/upload.h"
#include "loader/kv_scales.h"
#include "loader/weights.h"
#include "models/layers.h"
#include "models/model.h"

namespace attune {

/// What a model is loaded with.
struct LoadOptions {
  DType compute = DType::bf16;  ///< dtype of matmul inputs and of q
  DType kv_dtype = DType::bf16;
  int64_t block_size = 0;      ///< 0: solved with the kernels
  int64_t max_tokens = 512;    ///< of a step
  int64_t logits_rows = 64;    ///< that the head computes at once
  bool copy_weights = true;    ///< into huge pages, else used in place
  ThreadPool* pool = nullptr;  ///< whose threads read weights; null: the caller's
};

/// KV geometry that serves kv_write and every phase of every layer's attention, and who decided it.
struct KvPlan {
  DType dtype = DType::bf16;
  Scales scales = Scales::none;
  int64_t block_size = 16;
  std::string set_by;
};

/// Who scales 8-bit keys and values: "scales of the checkpoint, one a layer", "a scale for each token and head"; empty for wider ones.
std::string scales_text(Scales scales);

/// Makes layers: finds and places their weights, selects their kernels. Keeps the weights' memory.
class ModelBuilder {
 public:
  ModelBuilder(const ModelConfig& config, const Weights& weights, KernelBinder& binder, const LoadOptions& options);

  const ModelConfig& config() const { return config_; }
  DType compute() const { return options_.compute; }

  struct LinearSpec {
    std::string role;
    std::vector<std::string> names;  ///< tensors without ".weight": rows of one matrix
    std::vector<int64_t> rows;
    int64_t k = 0;
    bool bias = false;
    bool residual = false;
  };
  Linear linear(const LinearSpec& spec);
  /// The two matrices of `spec`, gate and up, with the activation between: fused where kernels other than the reference gate in their epilogue
  /// for every bucket of rows and no override asks for one that does not.
  GatedLinear gated_linear(const LinearSpec& spec, Activation act);
  /// The output head: the embedding table where it is tied.
  Linear head(const std::string& name);
  RmsNorm norm(const std::string& role, const std::string& name, int64_t hidden, DType out, bool unit_offset = false, bool residual = false);
  Embedding embedding(const std::string& name, float scale = 1);
  RowGather row_gather();
  Elementwise activation(const std::string& role, Activation activation, int64_t width, DType out, bool gated, double softcap = 0);

  /// Attention of `layer`, with the window, softcap and scale of the config. `head_norms`: what stands before "q_norm" and "k_norm" in the names
  /// of their tensors; empty: the heads of q and k are not normed.
  SelfAttention self_attention(size_t layer, const std::string& head_norms = "");

  /// Buffers for the largest step.
  Activations activations() const;
  const KvPlan& kv_plan();
  std::vector<KvLayer> kv_layers() const;

  /// Refuses a checkpoint whose layers hold a weight or a bias that was not placed: its config speaks of another model (fewer layers, no biases).
  void check_nothing_left() const;

  int64_t weight_bytes() const { return weight_bytes_; }
  int64_t streamed_bytes() const { return streamed_bytes_; }
  int64_t parameters() const { return parameters_; }
  /// Hands over the memory that the layers' pointers stand on.
  std::vector<Buffer> take_memory() {
    upload_.finish();
    return std::move(memory_);
  }

 private:
  TensorView place(const std::string& name, const Shape& shape, bool streamed);
  Linear placed(const LinearSpec& spec, MatmulDesc& d);
  std::vector<Ask<Matmul>> row_asks(Linear& l, MatmulDesc d, int64_t most) const;
  TensorView store(const TensorView& view, DType stored);
  void* allocate(size_t bytes);
  Device& device() const { return binder_.runtime(); }
  RmsNorm bound_norm(const std::string& role, const TensorView& w, DType out, bool unit_offset, bool residual);
  void bind_prepare(SelfAttention& a, const TensorView& q_weight, const TensorView& k_weight);
  bool on_cpu() const { return binder_.device().kind == DeviceKind::cpu; }
  DType stored_dtype(DType source) const;
  std::vector<Ask<Attention>> attention_asks(int64_t window, int64_t block_size, Scales scales) const;
  KvWriteDesc kv_write_desc(int64_t block_size, Scales scales) const;
  bool kv_served(int64_t block_size, Scales scales, std::string& why) const;

  const ModelConfig& config_;
  const Weights& weights_;
  KernelBinder& binder_;
  LoadOptions options_;
  Upload upload_;
  std::vector<Buffer> memory_;
  size_t memory_used_ = 0;
  std::set<std::string> placed_;
  std::vector<LayerKvScales> kv_scales_;  // of the checkpoint, for an 8-bit KV dtype
  TensorView embedding_table_;
  const float* inv_freq_;
  std::unique_ptr<KvPlan> kv_plan_;
  bool gates_apart_ = false;  // a layer's gated product is not fused
  int64_t weight_bytes_ = 0, streamed_bytes_ = 0, parameters_ = 0;
};

/// Inverse frequencies [head_dim / 2] of a rope config, scaling applied (linear; Llama 3; YaRN, Peng et al. 2023).
std::vector<float> rope_inverse_frequencies(const RopeConfig& rope, int64_t head_dim);

}  // namespace attune
