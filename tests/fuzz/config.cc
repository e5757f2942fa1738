// config.json and generation_config.json, and the JSON reader below them.
#include <array>

#include "harness.h"
#include "loader/generation_config.h"
#include "loader/json_file.h"
#include "loader/model_config.h"

namespace attune::fuzz {
namespace {

constexpr std::array<std::string_view, 5> kArchitectures = {"Qwen3ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                                                            "Gemma2ForCausalLM"};

void check_model(const nlohmann::json& object) {
  ModelConfig c;
  if (!accepted([&] { c = ModelConfig::parse(object, kArchitectures); })) return;
  for (const int64_t size : {c.hidden_size, c.intermediate_size, c.num_layers, c.num_q_heads, c.num_kv_heads, c.head_dim, c.vocab_size,
                             c.max_position_embeddings, c.max_context()})
    promise(size > 0, "sizes are positive", std::to_string(size));
  promise(c.num_q_heads % c.num_kv_heads == 0, "query heads are a multiple of KV heads");
  promise(c.windows.size() == static_cast<size_t>(c.num_layers), "one window a layer");
  for (const int64_t w : c.windows) promise(w >= 0, "windows are not negative");
  for (const int64_t id : c.eos_token_ids) promise(id >= 0, "token ids are not negative");
  for (const double x : {c.rms_norm_eps, c.rope.theta, c.rope.factor, c.query_pre_attn_scalar}) promise(x > 0 && x < 1e300, "positive numbers");
  promise(c.attn_logit_softcapping >= 0 && c.final_logit_softcapping >= 0, "softcaps are not negative");
}

void check_generation(const nlohmann::json& object) {
  GenerationConfig c;
  if (!accepted([&] { c = GenerationConfig::parse(object); })) return;
  promise(!c.temperature || *c.temperature >= 0, "temperature is not negative");
  promise(!c.top_p || (*c.top_p >= 0 && *c.top_p <= 1), "top_p is a probability");
  promise(!c.top_k || *c.top_k >= -1, "top_k is from -1");
  for (const int64_t id : c.eos_token_ids) promise(id >= 0, "token ids are not negative");
}

}  // namespace

void check(std::string_view input) {
  nlohmann::json value;
  const bool taken = accepted([&] { value = parse_json(input, "config.json"); });
  const bool strict = accepted([&] { parse_json(input, "config.json", {.unique_keys = true}); });
  promise(taken || !strict, "what the strict reader takes the other takes, too");
  if (!taken) return;
  printable_json(value);
  const std::string text = value.dump(-1, ' ', true);
  promise(parse_json(text, "config.json", {.unique_keys = true}) == value, "parse(text(x)) == x", text);
  check_model(value);
  check_generation(value);
}

}  // namespace attune::fuzz
