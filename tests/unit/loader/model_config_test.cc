#include "loader/model_config.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "loader_files.h"

namespace attune {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kAll{"Qwen3ForCausalLM", "Qwen2ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "Gemma2ForCausalLM"};

/// A config of `architecture` with the members of `text` on top.
json config(const char* architecture, const char* text = "{}") {
  json c = json::parse(text);
  c["architectures"] = {architecture};
  return c;
}
ModelConfig parse(const json& c) { return ModelConfig::parse(c, kAll); }
std::string refusal(const json& c) {
  return error_of([&] { parse(c); });
}

TEST(ModelConfig, DefaultsAreThoseOfEachArchitecture) {
  const ModelConfig qwen3 = parse(config("Qwen3ForCausalLM"));
  EXPECT_EQ(qwen3.model_type, "qwen3");
  EXPECT_EQ(qwen3.head_dim, 128);
  EXPECT_EQ(qwen3.vocab_size, 151936);
  EXPECT_FALSE(qwen3.qkv_bias || qwen3.o_bias || qwen3.tie_word_embeddings);
  EXPECT_EQ(qwen3.windows, std::vector<int64_t>(32, 0));
  EXPECT_EQ(qwen3.rope, RopeConfig{});
  EXPECT_TRUE(qwen3.eos_token_ids.empty());
  EXPECT_EQ(qwen3.query_pre_attn_scalar, 128);
  const ModelConfig qwen2 = parse(config("Qwen2ForCausalLM"));
  EXPECT_EQ(qwen2.head_dim, 4096 / 32);
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.o_bias);
  const ModelConfig llama = parse(config("LlamaForCausalLM"));
  EXPECT_EQ(llama.num_kv_heads, 32);
  EXPECT_EQ(llama.max_position_embeddings, 2048);
  EXPECT_EQ(llama.bos_token_id, 1);
  EXPECT_EQ(llama.eos_token_ids, std::vector<int64_t>{2});
  const ModelConfig mistral = parse(config("MistralForCausalLM"));
  EXPECT_EQ(mistral.num_kv_heads, 8);
  EXPECT_EQ(mistral.windows, std::vector<int64_t>(32, 4096));
  const ModelConfig gemma = parse(config("Gemma2ForCausalLM"));
  EXPECT_EQ(gemma.head_dim, 256);
  EXPECT_EQ(gemma.query_pre_attn_scalar, 256);
  EXPECT_EQ(gemma.attn_logit_softcapping, 50);
  EXPECT_EQ(gemma.final_logit_softcapping, 30);
  EXPECT_EQ(gemma.hidden_act, Activation::gelu_tanh);
  EXPECT_TRUE(gemma.tie_word_embeddings);
  EXPECT_EQ(gemma.windows[0], 4096);
  EXPECT_EQ(gemma.windows[1], 0);
  EXPECT_EQ(gemma.bos_token_id, 2);
  EXPECT_EQ(gemma.eos_token_ids, std::vector<int64_t>{1});
}

TEST(ModelConfig, ReadsAPublishedShape) {
  const ModelConfig c = parse(config("Qwen3ForCausalLM", R"({"model_type":"qwen3","hidden_size":1024,"intermediate_size":3072,"num_hidden_layers":28,
      "num_attention_heads":16,"num_key_value_heads":8,"head_dim":128,"max_position_embeddings":40960,"rms_norm_eps":1e-06,"rope_scaling":null,
      "rope_theta":1000000,"sliding_window":null,"tie_word_embeddings":true,"torch_dtype":"bfloat16","use_sliding_window":false,"vocab_size":151936,
      "bos_token_id":151643,"eos_token_id":151645,"max_window_layers":28,"attention_bias":false,"hidden_act":"silu"})"));
  EXPECT_EQ(c.num_q_heads, 16);
  EXPECT_EQ(c.num_kv_heads, 8);
  EXPECT_EQ(c.rope.theta, 1e6);
  EXPECT_EQ(c.dtype, DType::bf16);
  EXPECT_TRUE(c.tie_word_embeddings);
  EXPECT_EQ(c.max_context(), 40960);
  EXPECT_EQ(c.eos_token_ids, std::vector<int64_t>{151645});
}

TEST(ModelConfig, BiasesFollowTheArchitecture) {
  const char* asked = R"({"attention_bias":true,"mlp_bias":true})";
  for (const char* name : {"Qwen3ForCausalLM", "LlamaForCausalLM", "Gemma2ForCausalLM"})
    EXPECT_TRUE(parse(config(name, asked)).qkv_bias && parse(config(name, asked)).o_bias);
  EXPECT_FALSE(parse(config("MistralForCausalLM", asked)).qkv_bias);
  EXPECT_TRUE(parse(config("LlamaForCausalLM", asked)).mlp_bias);
  EXPECT_FALSE(parse(config("Qwen3ForCausalLM", asked)).mlp_bias);
}

TEST(ModelConfig, Windows) {
  const auto windows = [](const char* name, const char* text) { return parse(config(name, text)).windows; };
  using W = std::vector<int64_t>;
  EXPECT_EQ(windows("Qwen2ForCausalLM", R"({"num_hidden_layers":4,"use_sliding_window":true,"sliding_window":7,"max_window_layers":2})"),
            (W{0, 0, 7, 7}));
  EXPECT_EQ(windows("Qwen2ForCausalLM", R"({"num_hidden_layers":4,"use_sliding_window":false,"sliding_window":7,"max_window_layers":2})"),
            (W{0, 0, 0, 0}));
  EXPECT_EQ(windows("Qwen3ForCausalLM",
                    R"({"num_hidden_layers":2,"use_sliding_window":true,"sliding_window":7,"layer_types":["sliding_attention","full_attention"]})"),
            (W{7, 0}));
  EXPECT_EQ(windows("MistralForCausalLM", R"({"num_hidden_layers":2,"sliding_window":9})"), (W{9, 9}));
  EXPECT_EQ(windows("MistralForCausalLM", R"({"num_hidden_layers":2,"sliding_window":null})"), (W{0, 0}));
  EXPECT_EQ(windows("LlamaForCausalLM", R"({"num_hidden_layers":2,"sliding_window":9})"), (W{0, 0}));
  EXPECT_EQ(windows("Gemma2ForCausalLM", R"({"num_hidden_layers":3,"sliding_window":5})"), (W{5, 0, 5}));
  EXPECT_EQ(windows("Gemma2ForCausalLM", R"({"num_hidden_layers":2,"sliding_window":5,"layer_types":["full_attention","sliding_attention"]})"),
            (W{0, 5}));
  EXPECT_NE(refusal(config("Gemma2ForCausalLM", R"({"sliding_window":null})")).find("sliding_window: expected a window"), std::string::npos);
  EXPECT_NE(refusal(config("Qwen3ForCausalLM", R"({"num_hidden_layers":1,"layer_types":["sliding_attention"]})")).find("sliding_window"),
            std::string::npos);
  EXPECT_NE(
      refusal(config("Gemma2ForCausalLM", R"({"layer_types":["full_attention"]})")).find("layer_types: expected 26 entries, one a layer; got 1"),
      std::string::npos);
  EXPECT_NE(refusal(config("Gemma2ForCausalLM", R"({"num_hidden_layers":1,"layer_types":["chunked_attention"]})")).find("NotSupported"),
            std::string::npos);
}

TEST(ModelConfig, RopeInBothSpellings) {
  const auto rope = [](const char* text) { return parse(config("LlamaForCausalLM", text)).rope; };
  const RopeConfig old = rope(R"({"rope_theta":500000.0,"rope_scaling":{"factor":8.0,"high_freq_factor":4.0,"low_freq_factor":1.0,
      "original_max_position_embeddings":8192,"rope_type":"llama3"},"max_position_embeddings":131072})");
  EXPECT_EQ(old.scaling, RopeScaling::llama3);
  EXPECT_EQ(old.theta, 500000);
  EXPECT_EQ(old.factor, 8);
  EXPECT_EQ(old.original_max_position_embeddings, 8192);
  EXPECT_EQ(rope(R"({"rope_parameters":{"rope_theta":500000.0,"factor":8.0,"high_freq_factor":4.0,"low_freq_factor":1.0,
      "original_max_position_embeddings":8192,"rope_type":"llama3"},"max_position_embeddings":131072})"),
            old);
  EXPECT_EQ(rope(R"({"rope_scaling":{"type":"linear","factor":4}})").scaling, RopeScaling::linear);
  EXPECT_EQ(rope(R"({"rope_scaling":{"type":"linear","factor":4}})").factor, 4);
  EXPECT_EQ(rope(R"({"rope_parameters":{"rope_type":"default","rope_theta":1e6}})").theta, 1e6);
  EXPECT_EQ(rope(R"({"rope_parameters":{"rope_type":"default"},"rope_theta":3e4})").theta, 3e4);
  EXPECT_EQ(rope(R"({"rope_scaling":{},"rope_parameters":{"rope_type":"linear","factor":2}})").scaling, RopeScaling::linear);
}

TEST(ModelConfig, YarnWorksItsFactorsOut) {
  const auto rope = [](const char* text) { return parse(config("Qwen3ForCausalLM", text)).rope; };
  const RopeConfig plain =
      rope(R"({"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768},"max_position_embeddings":40960})");
  EXPECT_EQ(plain.factor, 4);
  EXPECT_NEAR(plain.attention_factor, 0.1 * std::log(4.0) + 1, 1e-15);
  EXPECT_EQ(plain.beta_fast, 32);
  EXPECT_TRUE(plain.truncate);
  EXPECT_EQ(parse(config("Qwen3ForCausalLM", R"({"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768},
      "max_position_embeddings":40960})"))
                .max_context(),
            131072);
  EXPECT_EQ(rope(R"({"rope_scaling":{"rope_type":"yarn","factor":4,"attention_factor":1.5,"beta_fast":16,"beta_slow":2,"truncate":false}})")
                .attention_factor,
            1.5);
  const RopeConfig scaled = rope(R"({"rope_scaling":{"rope_type":"yarn","factor":40,"mscale":0.707,"mscale_all_dim":1.0}})");
  EXPECT_NEAR(scaled.attention_factor, (0.0707 * std::log(40.0) + 1) / (0.1 * std::log(40.0) + 1), 1e-15);
  EXPECT_EQ(rope(R"({"rope_scaling":{"rope_type":"yarn","original_max_position_embeddings":1024},"max_position_embeddings":8192})").factor, 8);
  EXPECT_EQ(rope(R"({"rope_scaling":{"rope_type":"yarn","factor":0.5}})").attention_factor, 1);
}

TEST(ModelConfig, RopeParametersOfEachKindOfLayerMustAgree) {
  const char* agree = R"({"num_hidden_layers":2,"rope_parameters":{"full_attention":{"rope_type":"default","rope_theta":7e4},
      "sliding_attention":{"rope_type":"default","rope_theta":7e4}}})";
  EXPECT_EQ(parse(config("Gemma2ForCausalLM", agree)).rope.theta, 7e4);
  const char* differ = R"({"num_hidden_layers":2,"rope_parameters":{"full_attention":{"rope_theta":1e6},"sliding_attention":{"rope_theta":1e4}}})";
  EXPECT_NE(refusal(config("Gemma2ForCausalLM", differ)).find("NotSupported config.json: rope_parameters: expected the same parameters"),
            std::string::npos);
  const char* broken = R"({"rope_parameters":{"full_attention":null,"sliding_attention":{}}})";
  EXPECT_NE(refusal(config("Gemma2ForCausalLM", broken)).find("rope_parameters.full_attention: expected a JSON object"), std::string::npos);
}

TEST(ModelConfig, RefusesRopeItCannotDo) {
  const auto rope = [](const char* text) { return refusal(config("LlamaForCausalLM", text)); };
  EXPECT_EQ(rope(R"({"rope_scaling":{"type":"dynamic","factor":2}})"),
            "NotSupported config.json: rope_scaling: type: expected default, linear, llama3 or yarn; got dynamic");
  EXPECT_NE(rope(R"({"rope_scaling":{"rope_type":"longrope"}})").find("NotSupported"), std::string::npos);
  EXPECT_NE(rope(R"({"partial_rotary_factor":0.5})").find("NotSupported"), std::string::npos);
  EXPECT_EQ(rope(R"({"rope_scaling":{"type":"linear"}})"), "InvalidArgument config.json: rope_scaling: factor: expected a number; got nothing");
  EXPECT_NE(rope(R"({"rope_scaling":{"type":"linear","factor":0}})").find("factor"), std::string::npos);
  EXPECT_NE(rope(R"({"rope_scaling":"yarn"})").find("a JSON object"), std::string::npos);
  EXPECT_NE(rope(R"({"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4}})").find("high_freq_factor"),
            std::string::npos);
  EXPECT_NE(rope(R"({"rope_theta":-1})").find("rope_theta"), std::string::npos);
  EXPECT_NE(rope(R"({"rope_theta":"1e6"})").find("rope_theta"), std::string::npos);
}

TEST(ModelConfig, ErrorsNameTheMember) {
  EXPECT_EQ(refusal(config("Qwen3ForCausalLM", R"({"hidden_size":"x"})")),
            "InvalidArgument config.json: hidden_size: expected an integer from 1 to 1048576; got \"x\"");
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
                          "vocab_size", "max_position_embeddings"})
    for (const char* value : {"0", "-1", "1.5", "\"8\"", "[8]", "{}", "true", "1099511627776", "18446744073709551615", "1e300"})
      EXPECT_NE(refusal(config("Qwen3ForCausalLM", fmt::format(R"({{"{}":{}}})", key, value).c_str()))
                    .find(fmt::format("InvalidArgument config.json: {}: ", key)),
                std::string::npos)
          << key << value;
  EXPECT_EQ(refusal(config("LlamaForCausalLM", R"({"num_attention_heads":6,"num_key_value_heads":4,"hidden_size":12})")),
            "InvalidArgument config.json: num_key_value_heads: expected a divisor of num_attention_heads, 6; got 4");
  EXPECT_NE(refusal(config("LlamaForCausalLM", R"({"num_attention_heads":7})")).find("hidden_size: expected"), std::string::npos);
  EXPECT_NE(refusal(config("Qwen3ForCausalLM", R"({"head_dim":65})")).find("an even number"), std::string::npos);
  EXPECT_EQ(refusal(config("Qwen3ForCausalLM", R"({"torch_dtype":"int4"})")),
            "InvalidArgument config.json: torch_dtype: expected float32, float16 or bfloat16; got \"int4\"");
  EXPECT_NE(refusal(config("Qwen3ForCausalLM", R"({"eos_token_id":[1,-1]})")).find("eos_token_id"), std::string::npos);
  EXPECT_NE(refusal(config("Qwen3ForCausalLM", R"({"tie_word_embeddings":1})")).find("tie_word_embeddings: expected true or false; got 1"),
            std::string::npos);
  EXPECT_NE(refusal(config("Gemma2ForCausalLM", R"({"attn_logit_softcapping":0})")).find("attn_logit_softcapping"), std::string::npos);
  EXPECT_NE(refusal(json::array()).find("a JSON object"), std::string::npos);
}

TEST(ModelConfig, RefusesWhatNoModelDoes) {
  EXPECT_EQ(error_of([] {
              ModelConfig::parse(config("FooForCausalLM"), std::array<std::string_view, 2>{"A", "B"});
            }),
            "NotSupported config.json: architectures: expected one of A, B; got FooForCausalLM");
  EXPECT_NE(error_of([] {
              ModelConfig::parse(config("Gemma2ForCausalLM"), std::array<std::string_view, 1>{"LlamaForCausalLM"});
            }).find("expected one of LlamaForCausalLM"),
            std::string::npos);
  for (const char* text : {R"({"model_type":"qwen2"})", R"({"architectures":[]})", R"({"architectures":null})", "{}"})
    EXPECT_EQ(refusal(json::parse(text)),
              "InvalidArgument config.json: architectures: expected one of Qwen3ForCausalLM, Qwen2ForCausalLM, LlamaForCausalLM, MistralForCausalLM, "
              "Gemma2ForCausalLM; got none")
        << text;
  EXPECT_EQ(refusal(config("Qwen3ForCausalLM", R"({"quantization_config":{"quant_method":"gptq"}})")),
            "NotSupported config.json: quantization_config: expected weights that are not quantized; got quant_method \"gptq\"");
  const auto scheme = [](const std::string& groups, const std::string& kv) {
    return config("Qwen3ForCausalLM", fmt::format(R"({{"quantization_config":{{"quant_method":"compressed-tensors","config_groups":{},
                                                      "kv_cache_scheme":{}}}}})",
                                                  groups, kv)
                                          .c_str());
  };
  const std::string f8 = R"({"num_bits":8,"type":"float","symmetric":true,"strategy":"tensor"})";
  EXPECT_EQ(refusal(scheme("{}", f8)), "") << "scales of keys and values alone";
  EXPECT_EQ(refusal(scheme("null", f8)), "");
  const std::string refused =
      "NotSupported config.json: quantization_config: expected weights that are not quantized; got quant_method \"compressed-tensors\"";
  EXPECT_EQ(refusal(scheme(R"({"group_0":{}})", f8)), refused);
  EXPECT_EQ(refusal(scheme("{}", R"({"num_bits":8,"type":"int"})")), refused);
  EXPECT_EQ(refusal(scheme("{}", R"({"num_bits":8,"type":"float","symmetric":false})")), refused);
  EXPECT_EQ(refusal(scheme("{}", "8")), refused);
  EXPECT_NE(refusal(config("Qwen3ForCausalLM", R"({"hidden_act":"relu"})")).find("NotSupported config.json: hidden_act"), std::string::npos);
  EXPECT_NE(refusal(config("Gemma2ForCausalLM", R"({"use_bidirectional_attention":true})")).find("NotSupported"), std::string::npos);
}

TEST(ModelConfig, NullSwitchesOff) {
  const ModelConfig gemma =
      parse(config("Gemma2ForCausalLM", R"({"attn_logit_softcapping":null,"final_logit_softcapping":null,"eos_token_id":null,"bos_token_id":null})"));
  EXPECT_EQ(gemma.attn_logit_softcapping, 0);
  EXPECT_EQ(gemma.final_logit_softcapping, 0);
  EXPECT_TRUE(gemma.eos_token_ids.empty());
  EXPECT_FALSE(gemma.bos_token_id);
  EXPECT_EQ(parse(config("MistralForCausalLM", R"({"num_key_value_heads":null})")).num_kv_heads, 32);
}

TEST(ModelConfig, LoadsAFolder) {
  const TestFolder folder;
  EXPECT_NE(error_of([&] { ModelConfig::load(folder.path(), kAll); }).find("IoError"), std::string::npos);
  folder.write("config.json", R"({"architectures":["LlamaForCausalLM"],"dtype":"float16","eos_token_id":[1,2]})");
  const ModelConfig c = ModelConfig::load(folder.path(), kAll);
  EXPECT_EQ(c.dtype, DType::f16);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int64_t>{1, 2}));
}

}  // namespace
}  // namespace attune
