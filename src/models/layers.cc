#include "models/layers.h"

namespace attune {

void Linear::operator()(const ExecContext& ctx, const void* x, int64_t m, void* out, const float* residual) const {
  size_t variant = 0;
  while (variant + 1 < up_to.size() && m > up_to[variant]) ++variant;
  MatmulParams p = weights;
  p.x = x, p.x_stride = k, p.m = m;
  p.out = out, p.out_stride = n, p.residual = residual;
  op(ctx, p, variant);
}

void RmsNorm::operator()(const ExecContext& ctx, const void* x, int64_t rows, void* out) const {
  op(ctx, {.x = x, .out = out, .groups = rows, .x_group_stride = hidden, .out_group_stride = hidden, .w = w, .eps = eps});
}

void RmsNorm::add_to(const ExecContext& ctx, const void* x, int64_t rows, float* residual) const {
  op(ctx, {.x = x, .groups = rows, .x_group_stride = hidden, .out_group_stride = hidden, .w = w, .residual = residual, .eps = eps});
}

void RmsNorm::heads(const ExecContext& ctx, float* x, int64_t tokens, int64_t heads, int64_t stride) const {
  op(ctx, {.x = x, .out = x, .groups = tokens, .rows = heads, .x_group_stride = stride, .out_group_stride = stride, .w = w, .eps = eps});
}

void Embedding::operator()(const Step& s, float* out) const {
  op(s.ctx, {.ids = s.batch.ids, .table = table, .out = out, .tokens = s.tokens(), .vocab = vocab, .scale = scale});
}

void Elementwise::operator()(const ExecContext& ctx, const void* x, int64_t rows, void* out) const {
  op(ctx, {.x = x, .out = out, .rows = rows, .width = width});
}

void GatedLinear::operator()(const Step& s, const void* x, void* out) const {
  if (!fused.op.variants.empty()) return fused(s.ctx, x, s.tokens(), out);
  gate_up(s.ctx, x, s.tokens(), s.at.gate_up.data());
  activation(s.ctx, s.at.gate_up.data(), s.tokens(), out);
}

void SelfAttention::prepare_all(const Step& s, int64_t stride) const {
  prepare(s.ctx, {.qkv = s.at.qkv.data(),
                  .x_stride = stride,
                  .q = s.at.q.data(),
                  .q_stride = num_q_heads * head_dim,
                  .tokens = s.tokens(),
                  .q_weight = q_norm.w,
                  .k_weight = k_norm.w,
                  .eps = q_norm.eps,
                  .positions = s.batch.positions,
                  .inv_freq = inv_freq,
                  .attention_factor = attention_factor,
                  .slot_mapping = s.batch.slot_mapping,
                  .k_cache = s.kv.k(layer),
                  .v_cache = s.kv.v(layer),
                  .num_blocks = s.kv.num_blocks(),
                  .k_scale = s.kv.k_scale(layer),
                  .v_scale = s.kv.v_scale(layer)});
}

void SelfAttention::norm(const Step& s, int64_t stride) const {
  float* qkv = s.at.qkv.as<float>();
  q_norm.heads(s.ctx, qkv, s.tokens(), num_q_heads, stride);
  k_norm.heads(s.ctx, qkv + num_q_heads * head_dim, s.tokens(), num_kv_heads, stride);
}

void SelfAttention::rotate(const Step& s, int64_t stride) const {
  float* qkv = s.at.qkv.as<float>();
  RopeParams p{.x = qkv,
               .out = s.at.q.data(),
               .tokens = s.tokens(),
               .heads = num_q_heads,
               .x_stride = stride,
               .out_stride = num_q_heads * head_dim,
               .positions = s.batch.positions,
               .inv_freq = inv_freq,
               .attention_factor = attention_factor};
  rope_q(s.ctx, p);
  p.x = p.out = qkv + num_q_heads * head_dim;
  p.heads = num_kv_heads, p.out_stride = stride;
  rope_k(s.ctx, p);
}

void SelfAttention::store(const Step& s, int64_t stride) const {
  const float* k = s.at.qkv.as<float>() + num_q_heads * head_dim;
  write(s.ctx, {.k = k,
                .v = k + num_kv_heads * head_dim,
                .x_stride = stride,
                .tokens = s.tokens(),
                .slot_mapping = s.batch.slot_mapping,
                .k_cache = s.kv.k(layer),
                .v_cache = s.kv.v(layer),
                .num_blocks = s.kv.num_blocks(),
                .k_scale = s.kv.k_scale(layer),
                .v_scale = s.kv.v_scale(layer)});
}

void SelfAttention::operator()(const Step& s) const {
  const int64_t stride = (num_q_heads + 2 * num_kv_heads) * head_dim;
  const int64_t width = num_q_heads * head_dim;
  if (!prepare.variants.empty()) {
    prepare_all(s, stride);
  } else {
    if (head_norms) norm(s, stride);
    rotate(s, stride);
    store(s, stride);
  }
  for (const PhaseBatch& b : s.batch.phases) {
    const int64_t offset = b.first_token * width * static_cast<int64_t>(size_of(x_dtype));
    AttentionParams p;
    p.q = s.at.q.as<char>() + offset, p.q_stride = width;
    p.out = s.at.attended.as<char>() + offset, p.out_stride = width;
    p.num_seqs = b.num_seqs, p.total_q = b.num_tokens;
    p.q_start = b.q_start, p.kv_lens = b.kv_lens;
    p.k = s.kv.k(layer), p.v = s.kv.v(layer), p.num_blocks = s.kv.num_blocks();
    p.k_scale = s.kv.k_scale(layer), p.v_scale = s.kv.v_scale(layer);
    p.block_table = b.block_table, p.max_blocks = b.max_blocks;
    p.scale = scale;
    p.longest_q = b.longest_q, p.longest_kv = b.longest_kv;
    p.past_stands = true;  // earlier steps wrote it, and a step begins with a copy that waits for them
    attend(s.ctx, p, static_cast<size_t>(b.phase));
  }
}

const float* RowGather::operator()(const Step& s) const {
  const int64_t rows = s.batch.num_logits_rows;
  if (s.batch.every_row) return s.at.hidden.as<float>();
  if (rows == 0) return nullptr;
  op(s.ctx, {.ids = s.batch.logits_rows, .table = s.at.hidden.data(), .out = s.at.rows.data(), .tokens = rows, .vocab = s.tokens()});
  return s.at.rows.as<float>();
}

}  // namespace attune
