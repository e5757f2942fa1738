#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "ops/types.h"

namespace attune {

enum class RopeScaling : uint8_t { none, linear, llama3, yarn };

constexpr std::string_view to_text(RopeScaling s) {
  constexpr std::string_view kNames[] = {"none", "linear", "llama3", "yarn"};
  return kNames[static_cast<int>(s)];
}

/// How positions turn into angles. Fields that a scaling does not use keep their defaults.
struct RopeConfig {
  RopeScaling scaling = RopeScaling::none;
  double theta = 10000;
  double factor = 1;                             ///< linear, llama3, yarn
  double low_freq_factor = 1;                    ///< llama3
  double high_freq_factor = 4;                   ///< llama3
  int64_t original_max_position_embeddings = 0;  ///< llama3, yarn
  double beta_fast = 32;                         ///< yarn
  double beta_slow = 1;                          ///< yarn
  bool truncate = true;                          ///< yarn: round the bounds of the ramp to whole dimensions
  double attention_factor = 1;                   ///< yarn: multiplies cosine and sine; mscale and mscale_all_dim are worked in
  bool operator==(const RopeConfig&) const = default;
};

/// What config.json says about a decoder, checked, with the defaults of its architecture filled in.
struct ModelConfig {
  std::string architecture;  ///< "Qwen3ForCausalLM"
  std::string model_type;    ///< "qwen3"
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_q_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  Activation hidden_act = Activation::silu;
  RopeConfig rope;
  std::vector<int64_t> windows;        ///< one a layer: how many tokens it sees, its own included; 0 = all
  double attn_logit_softcapping = 0;   ///< 0 = none
  double final_logit_softcapping = 0;  ///< 0 = none
  double query_pre_attn_scalar = 0;    ///< the attention scale is 1/sqrt of it; head_dim unless the config says otherwise
  std::optional<DType> dtype;          ///< of the checkpoint: f32, f16 or bf16
  std::optional<int64_t> bos_token_id;
  std::vector<int64_t> eos_token_ids;

  /// Tokens a sequence may have: max_position_embeddings, or more where yarn extends it.
  int64_t max_context() const;

  /// Reads the object of a config.json. `supported` lists the architectures that may be loaded; another one is NotSupported. A value of the
  /// wrong type or size is InvalidArgument: `config.json: hidden_size: expected …; got …`.
  static ModelConfig parse(const nlohmann::json& object, std::span<const std::string_view> supported, const std::string& where = "config.json");
  /// Reads `folder`/config.json.
  static ModelConfig load(const std::filesystem::path& folder, std::span<const std::string_view> supported);
};

}  // namespace attune
