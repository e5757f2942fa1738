#include <algorithm>

#include "models/families.h"

namespace attune {

const std::vector<ModelFamily>& model_families() {
  static const std::vector<ModelFamily> families{
      {"Qwen3ForCausalLM", make_qwen3},   {"Qwen2ForCausalLM", make_llama},   {"LlamaForCausalLM", make_llama},
      {"MistralForCausalLM", make_llama}, {"Gemma2ForCausalLM", make_gemma2},
  };
  return families;
}

std::vector<std::string_view> supported_architectures() {
  std::vector<std::string_view> names;
  for (const auto& f : model_families()) names.push_back(f.architecture);
  return names;
}

std::unique_ptr<Model> make_model(ModelBuilder& builder) {
  for (const auto& f : model_families())
    if (f.architecture == builder.config().architecture) return f.make(builder);
  fail(ErrorCode::not_supported, "config.json: architectures", "a supported architecture", builder.config().architecture);
}

std::string layer_name(int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

ModelBuilder::LinearSpec qkv_spec(const ModelConfig& c, const std::string& layer) {
  const std::string at = layer + "self_attn.";
  const int64_t q = c.num_q_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  return {.role = "qkv", .names = {at + "q_proj", at + "k_proj", at + "v_proj"}, .rows = {q, kv, kv}, .k = c.hidden_size, .bias = c.qkv_bias};
}

ModelBuilder::LinearSpec o_spec(const ModelConfig& c, const std::string& layer) {
  return {.role = "o",
          .names = {layer + "self_attn.o_proj"},
          .rows = {c.hidden_size},
          .k = c.num_q_heads * c.head_dim,
          .bias = c.o_bias,
          .residual = true};
}

ModelBuilder::LinearSpec gate_up_spec(const ModelConfig& c, const std::string& layer) {
  return {.role = "gate_up",
          .names = {layer + "mlp.gate_proj", layer + "mlp.up_proj"},
          .rows = {c.intermediate_size, c.intermediate_size},
          .k = c.hidden_size,
          .bias = c.mlp_bias};
}

ModelBuilder::LinearSpec down_spec(const ModelConfig& c, const std::string& layer) {
  return {
      .role = "down", .names = {layer + "mlp.down_proj"}, .rows = {c.hidden_size}, .k = c.intermediate_size, .bias = c.mlp_bias, .residual = true};
}

void head_rows(const ExecContext& ctx, const Linear& head, const Activations& at, int64_t first, int64_t rows, float* out) {
  const auto offset = static_cast<size_t>(first * head.k) * size_of(head.op.variants[0].desc.x_dtype);
  head(ctx, at.final.as<char>() + offset, rows, out);
}

}  // namespace attune
