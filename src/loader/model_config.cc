#include "loader/model_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "loader/json_file.h"
#include "loader/rope_config.h"

namespace attune {

namespace {

using nlohmann::json;

enum class WindowRule : uint8_t { never, upper_layers, every_layer, even_layers };
enum class Bias : uint8_t { never, qkv, by_config };

/// What an architecture's configuration class in Transformers takes for a member that the file leaves out.
struct Defaults {
  std::string_view architecture, model_type;
  int64_t vocab_size, hidden_size, intermediate_size, num_layers, num_q_heads;
  int64_t num_kv_heads;  ///< 0: as many as query heads
  int64_t head_dim;      ///< 0: hidden_size / query heads
  int64_t max_position_embeddings;
  bool tie_word_embeddings;
  Bias bias;
  bool mlp_bias;  ///< whether the file may ask for it
  WindowRule window;
  int64_t bos, eos;                          ///< −1: none
  double attn_cap, final_cap, query_scalar;  ///< 0: none; the scalar: head_dim
};

constexpr std::array<Defaults, 5> kDefaults{{
    {"Qwen3ForCausalLM", "qwen3", 151936, 4096, 22016, 32, 32, 32, 128, 32768, false, Bias::by_config, false, WindowRule::upper_layers, -1, -1, 0, 0,
     0},
    {"Qwen2ForCausalLM", "qwen2", 151936, 4096, 22016, 32, 32, 32, 0, 32768, false, Bias::qkv, false, WindowRule::upper_layers, -1, -1, 0, 0, 0},
    {"LlamaForCausalLM", "llama", 32000, 4096, 11008, 32, 32, 0, 0, 2048, false, Bias::by_config, true, WindowRule::never, 1, 2, 0, 0, 0},
    {"MistralForCausalLM", "mistral", 32000, 4096, 14336, 32, 32, 8, 0, 131072, false, Bias::never, false, WindowRule::every_layer, 1, 2, 0, 0, 0},
    {"Gemma2ForCausalLM", "gemma2", 256000, 2304, 9216, 26, 8, 4, 256, 8192, true, Bias::by_config, false, WindowRule::even_layers, 2, 1, 50, 30,
     256},
}};

constexpr double kLeastEps = 1e-30;  // a norm of zeros divides by its root, in f32
constexpr int64_t kMaxLayers = 1024, kMaxHidden = int64_t{1} << 20, kMaxIntermediate = int64_t{1} << 22, kMaxHeads = int64_t{1} << 14,
                  kMaxHeadDim = int64_t{1} << 12, kMaxVocabulary = int64_t{1} << 24, kMaxPosition = int64_t{1} << 30,
                  kMaxTokenId = std::numeric_limits<int32_t>::max();

constexpr const char* kFull = "full_attention";
constexpr const char* kSliding = "sliding_attention";

std::string joined(std::span<const std::string_view> names) {
  std::string out;
  for (std::string_view name : names) out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
  return out;
}

/// The row of the first supported architecture that the file names.
const Defaults& find_architecture(const JsonFields& fields, std::span<const std::string_view> supported) {
  const auto is_supported = [&](std::string_view name) { return std::find(supported.begin(), supported.end(), name) != supported.end(); };
  const auto names = fields.strings("architectures").value_or(std::vector<std::string>{});
  for (const Defaults& row : kDefaults) {
    const bool named = std::find(names.begin(), names.end(), row.architecture) != names.end();
    if (named && is_supported(row.architecture)) return row;
  }
  if (names.empty()) invalid(fields.where() + ": architectures", "one of " + joined(supported), "none");
  fail(ErrorCode::not_supported, fields.where() + ": architectures", "one of " + joined(supported), printable(names[0]));
}

int64_t positive(const JsonFields& fields, const char* key, int64_t hi, int64_t otherwise) { return fields.integer(key, 1, hi).value_or(otherwise); }

/// A number that the file may switch off by null: 0 then.
double softcap(const JsonFields& fields, const char* key, double otherwise) {
  return fields.is_null(key) ? 0 : fields.number(key, 1e-3, 1e6).value_or(otherwise);
}

void read_sizes(const JsonFields& fields, const Defaults& row, ModelConfig& c) {
  c.vocab_size = positive(fields, "vocab_size", kMaxVocabulary, row.vocab_size);
  c.hidden_size = positive(fields, "hidden_size", kMaxHidden, row.hidden_size);
  c.intermediate_size = positive(fields, "intermediate_size", kMaxIntermediate, row.intermediate_size);
  c.num_layers = positive(fields, "num_hidden_layers", kMaxLayers, row.num_layers);
  c.num_q_heads = positive(fields, "num_attention_heads", kMaxHeads, row.num_q_heads);
  const bool as_many = fields.is_null("num_key_value_heads") || row.num_kv_heads == 0;
  c.num_kv_heads = positive(fields, "num_key_value_heads", kMaxHeads, as_many ? c.num_q_heads : row.num_kv_heads);
  if (c.num_q_heads % c.num_kv_heads != 0)
    invalid(fields.where() + ": num_key_value_heads", fmt::format("a divisor of num_attention_heads, {}", c.num_q_heads),
            fmt::format("{}", c.num_kv_heads));
  c.head_dim = positive(fields, "head_dim", kMaxHeadDim, row.head_dim);
  if (c.head_dim == 0) {
    if (c.hidden_size % c.num_q_heads != 0 || c.hidden_size / c.num_q_heads > kMaxHeadDim)
      invalid(fields.where() + ": hidden_size",
              fmt::format("1 to {} times num_attention_heads, {}, as there is no head_dim", kMaxHeadDim, c.num_q_heads),
              fmt::format("{}", c.hidden_size));
    c.head_dim = c.hidden_size / c.num_q_heads;
  }
  if (c.head_dim % 2 != 0) invalid(fields.where() + ": head_dim", "an even number, as position embedding turns pairs", fmt::format("{}", c.head_dim));
  c.max_position_embeddings = positive(fields, "max_position_embeddings", kMaxPosition, row.max_position_embeddings);
}

void read_layer_details(const JsonFields& fields, const Defaults& row, ModelConfig& c) {
  c.rms_norm_eps = fields.number("rms_norm_eps", kLeastEps, 1).value_or(1e-6);
  c.tie_word_embeddings = fields.boolean("tie_word_embeddings").value_or(row.tie_word_embeddings);
  const bool attention_bias = fields.boolean("attention_bias").value_or(false);
  c.qkv_bias = row.bias == Bias::qkv || (row.bias == Bias::by_config && attention_bias);
  c.o_bias = row.bias == Bias::by_config && attention_bias;
  c.mlp_bias = row.mlp_bias && fields.boolean("mlp_bias").value_or(false);
  const bool gemma = row.window == WindowRule::even_layers;
  const char* key = gemma ? "hidden_activation" : "hidden_act";
  const std::string act = fields.string(key).value_or(gemma ? "gelu_pytorch_tanh" : "silu");
  if (act == "silu" || act == "swish")
    c.hidden_act = Activation::silu;
  else if (act == "gelu_pytorch_tanh" || act == "gelu_new")
    c.hidden_act = Activation::gelu_tanh;
  else if (act == "gelu")
    c.hidden_act = Activation::gelu;
  else
    fail(ErrorCode::not_supported, fmt::format("{}: {}", fields.where(), key), "silu, gelu or gelu_pytorch_tanh", printable(act));
  c.query_pre_attn_scalar = static_cast<double>(c.head_dim);
  if (!gemma) return;
  c.query_pre_attn_scalar = fields.number("query_pre_attn_scalar", 1e-3, 1e9).value_or(row.query_scalar);
  c.attn_logit_softcapping = softcap(fields, "attn_logit_softcapping", row.attn_cap);
  c.final_logit_softcapping = softcap(fields, "final_logit_softcapping", row.final_cap);
  if (fields.boolean("use_bidirectional_attention").value_or(false))
    fail(ErrorCode::not_supported, fields.where() + ": use_bidirectional_attention", "false", "true");
}

/// The kind of each layer: as the file lists them, or by the architecture's rule.
std::vector<std::string> layer_kinds(const JsonFields& fields, const Defaults& row, bool has_window, int64_t layers) {
  const bool by_file = row.window == WindowRule::upper_layers || row.window == WindowRule::even_layers;
  if (const auto listed = by_file ? fields.strings("layer_types") : std::nullopt) {
    if (static_cast<int64_t>(listed->size()) != layers)
      invalid(fields.where() + ": layer_types", fmt::format("{} entries, one a layer", layers), fmt::format("{}", listed->size()));
    for (const std::string& kind : *listed)
      if (kind != kFull && kind != kSliding)
        fail(ErrorCode::not_supported, fields.where() + ": layer_types", "full_attention or sliding_attention", printable(kind));
    return *listed;
  }
  const int64_t first = fields.integer("max_window_layers", 0, std::numeric_limits<int32_t>::max()).value_or(28);
  std::vector<std::string> kinds;
  for (int64_t i = 0; i < layers; ++i) {
    const bool sliding = (row.window == WindowRule::upper_layers && has_window && i >= first) ||
                         (row.window == WindowRule::every_layer && has_window) || (row.window == WindowRule::even_layers && i % 2 == 0);
    kinds.emplace_back(sliding ? kSliding : kFull);
  }
  return kinds;
}

/// Fills `windows` and returns the kinds of layers that occur.
std::vector<std::string> read_windows(const JsonFields& fields, const Defaults& row, ModelConfig& c) {
  const bool may_have = row.window != WindowRule::never;
  const bool wanted = row.window != WindowRule::upper_layers || fields.boolean("use_sliding_window").value_or(false);
  const bool has_window = may_have && wanted && !fields.is_null("sliding_window");
  const int64_t window = has_window ? positive(fields, "sliding_window", kMaxPosition, 4096) : 0;
  std::vector<std::string> kinds = layer_kinds(fields, row, has_window, c.num_layers);
  for (const std::string& kind : kinds) {
    if (kind == kSliding && !has_window) invalid(fields.where() + ": sliding_window", "a window, as some layers are sliding_attention", "none");
    c.windows.push_back(kind == kSliding ? window : 0);
  }
  std::sort(kinds.begin(), kinds.end());
  kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
  return kinds;
}

void read_tokens_and_dtype(const JsonFields& fields, const Defaults& row, ModelConfig& c) {
  if (const auto bos = fields.integer("bos_token_id", 0, kMaxTokenId))
    c.bos_token_id = bos;
  else if (!fields.is_null("bos_token_id") && row.bos >= 0)
    c.bos_token_id = row.bos;
  if (auto eos = fields.integers("eos_token_id", 0, kMaxTokenId))
    c.eos_token_ids = std::move(*eos);
  else if (!fields.is_null("eos_token_id") && row.eos >= 0)
    c.eos_token_ids = {row.eos};
  const char* key = fields.has("dtype") ? "dtype" : "torch_dtype";
  if (const auto name = fields.string(key)) {
    const auto dtype = parse_dtype(*name);
    if (!dtype || (*dtype != DType::f32 && *dtype != DType::f16 && *dtype != DType::bf16)) fields.refuse(key, "float32, float16 or bfloat16");
    c.dtype = dtype;
  }
}

/// A checkpoint of compressed-tensors whose weights are as they were, with scales for 8-bit float keys and values beside them.
bool scales_keys_and_values_alone(const json& quantization) {
  const auto member = [](const json& of, const char* key) { return of.is_object() && of.contains(key) ? of[key] : json(); };
  const json groups = member(quantization, "config_groups"), scheme = member(quantization, "kv_cache_scheme");
  return member(quantization, "quant_method") == "compressed-tensors" && (groups.is_null() || groups.empty()) && member(scheme, "num_bits") == 8 &&
         member(scheme, "type") == "float" && member(scheme, "symmetric") != false;
}

void refuse_quantization(const JsonFields& fields) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    const json* quantization = fields.find(key);
    if (!quantization || scales_keys_and_values_alone(*quantization)) continue;
    const bool named = quantization->is_object() && quantization->contains("quant_method");
    fail(ErrorCode::not_supported, fmt::format("{}: {}", fields.where(), key), "weights that are not quantized",
         named ? "quant_method " + printable_json((*quantization)["quant_method"]) : "a quantized checkpoint");
  }
}

}  // namespace

int64_t ModelConfig::max_context() const {
  if (rope.scaling != RopeScaling::yarn) return max_position_embeddings;
  const double extended = std::min(rope.factor * static_cast<double>(rope.original_max_position_embeddings), static_cast<double>(kMaxPosition));
  return std::max(max_position_embeddings, static_cast<int64_t>(extended));
}

ModelConfig ModelConfig::parse(const json& object, std::span<const std::string_view> supported, const std::string& where) {
  const JsonFields fields(object, where);
  const Defaults& row = find_architecture(fields, supported);
  refuse_quantization(fields);
  ModelConfig c;
  c.architecture = row.architecture;
  c.model_type = row.model_type;
  read_sizes(fields, row, c);
  read_layer_details(fields, row, c);
  const std::vector<std::string> kinds = read_windows(fields, row, c);
  c.rope = parse_rope(fields, c.max_position_embeddings, kinds);
  read_tokens_and_dtype(fields, row, c);
  return c;
}

ModelConfig ModelConfig::load(const std::filesystem::path& folder, std::span<const std::string_view> supported) {
  return parse(read_json_file(folder / "config.json", {.bytes = size_t{4} << 20}), supported);
}

}  // namespace attune
