#pragma once

#include <vector>

#include "kv/kv_cache.h"
#include "models/batch.h"
#include "models/kernel_binder.h"

namespace attune {

/// Memory of one step's activations, sized for the largest step. `x` buffers hold matmul inputs in the compute dtype.
struct Activations {
  Buffer hidden;     ///< f32 (tokens, hidden): the residual stream
  Buffer normed;     ///< x (tokens, hidden)
  Buffer qkv;        ///< f32 (tokens, (Hq + 2·Hkv)·head_dim)
  Buffer q;          ///< x (tokens, Hq·head_dim)
  Buffer attended;   ///< x (tokens, Hq·head_dim)
  Buffer gate_up;    ///< f32 (tokens, 2·intermediate); next to nothing where gated products are fused
  Buffer activated;  ///< x (tokens, intermediate)
  Buffer branch;     ///< f32 (tokens, hidden): a sublayer's output before its own norm
  Buffer rows;       ///< f32 (rows, hidden): the residual stream of the rows whose logits are wanted
  Buffer final;      ///< x (rows, hidden)
};

/// What a layer needs to run: the context, the step's batch, the cache and the activations.
struct Step {
  const ExecContext& ctx;
  const Batch& batch;
  KvCache& kv;
  Activations& at;
  int64_t tokens() const { return batch.num_tokens; }
};

/// y = x·Wᵀ (+ bias) (+ residual), W in up to three row segments.
struct Linear {
  Bound<Matmul> op;
  std::vector<int64_t> up_to;  ///< largest M of each variant
  MatmulParams weights;
  int64_t k = 0, n = 0;

  void operator()(const ExecContext& ctx, const void* x, int64_t m, void* out, const float* residual = nullptr) const;
};

/// RMS norm of rows, or (residual) of a branch that is then added to the residual stream.
struct RmsNorm {
  Bound<Norm> op;
  const void* w = nullptr;
  float eps = 1e-6f;
  int64_t hidden = 0;

  void operator()(const ExecContext& ctx, const void* x, int64_t rows, void* out) const;
  void add_to(const ExecContext& ctx, const void* x, int64_t rows, float* residual) const;
  /// In place over the heads of `tokens` rows of f32, `stride` elements apart.
  void heads(const ExecContext& ctx, float* x, int64_t tokens, int64_t heads, int64_t stride) const;
};

/// Token embedding, times a scale.
struct Embedding {
  Bound<Embed> op;
  const void* table = nullptr;
  int64_t vocab = 0;
  float scale = 1;

  void operator()(const Step& s, float* out) const;
};

/// Gated or plain element-wise activation.
struct Elementwise {
  Bound<ActivationOp> op;
  int64_t width = 0;

  void operator()(const ExecContext& ctx, const void* x, int64_t rows, void* out) const;
};

/// out = act(x · gateᵀ) · (x · upᵀ): by products that gate in their epilogue, or by products side by side in s.at.gate_up and then an activation.
struct GatedLinear {
  Linear fused;  ///< without variants: the two below
  Linear gate_up;
  Elementwise activation;

  void operator()(const Step& s, const void* x, void* out) const;
};

/// Norms the heads of q and k (or not), rotates them, stores k and v in the pages, attends: from s.at.qkv to s.at.attended.
struct SelfAttention {
  Bound<RopeKvWrite> prepare;  ///< all before the attention in one launch; without variants: the ops below, one by one
  bool head_norms = false;
  RmsNorm q_norm, k_norm;
  Bound<Rope> rope_q, rope_k;
  Bound<KvWrite> write;
  Bound<Attention> attend;  ///< one variant a phase
  size_t layer = 0;
  int64_t num_q_heads = 0, num_kv_heads = 0, head_dim = 0;
  DType x_dtype = DType::f32;
  const float* inv_freq = nullptr;
  float attention_factor = 1;
  float scale = 0;

  void operator()(const Step& s) const;

 private:
  void prepare_all(const Step& s, int64_t stride) const;
  void norm(const Step& s, int64_t stride) const;
  void rotate(const Step& s, int64_t stride) const;
  void store(const Step& s, int64_t stride) const;
};

/// The residual stream's rows that need logits: copied to s.at.rows by an embedding whose table is the stream, or all as they stand. Null: none does.
struct RowGather {
  Bound<Embed> op;

  const float* operator()(const Step& s) const;
};

}  // namespace attune
