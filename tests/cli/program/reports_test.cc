// attune score, eval, tokenize, kernels, explain, bench.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <map>
#include <thread>

#include "program.h"

namespace attune::test {
namespace {

using testing::HasSubstr;

TEST(Score, LogprobsAndPerplexityBelongTogether) {
  const std::string input =
      "{\"id\":\"x\",\"token_ids\":[59,21,57,81,20]}\n{\"token_ids\":[3]}\n{\"oops\":1}\n{\"token_ids\":[9,8,7],\"max_tokens\":0,\"temperature\":-3}"
      "\n";
  const auto o = attune({"score", "--json", "--model", golden("qwen2-linear"), "--input", "-", "--top-logprobs", "103", "--dtype", "float32"}, input);
  EXPECT_EQ(o.code, 1);
  const auto lines = o.json();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0]["id"], "x");
  EXPECT_EQ(lines[0]["token_ids"], Json({59, 21, 57, 81, 20}));
  EXPECT_EQ(lines[1]["logprobs"], Json::array({nullptr}));
  EXPECT_EQ(lines[2]["line"], 3);
  double sum = 0;
  int count = 0;
  for (const size_t i : {0, 3}) {
    const auto& logprobs = lines[i]["logprobs"];
    const auto& top = lines[i]["top_logprobs"];
    ASSERT_EQ(logprobs.size(), lines[i]["token_ids"].size());
    ASSERT_EQ(top.size(), logprobs.size());
    EXPECT_TRUE(logprobs[0].is_null() && top[0].is_null());
    for (size_t t = 1; t < logprobs.size(); ++t) {
      sum += logprobs[t].get<double>(), ++count;
      double mass = 0;
      bool found = false;
      for (const auto& [id, logprob] : top[t].get<std::vector<std::pair<int, double>>>())
        mass += std::exp(logprob), found |= id == lines[i]["token_ids"][t] && logprob == logprobs[t];
      EXPECT_NEAR(mass, 1, 1e-4);
      EXPECT_TRUE(found);
    }
  }
  double perplexity = 0;
  int tokens = 0, texts = 0;
  ASSERT_EQ(std::sscanf(o.err.c_str(), "perplexity %lf over %d tokens in %d texts", &perplexity, &tokens, &texts), 3) << o.err;
  EXPECT_NEAR(perplexity, std::exp(-sum / count), 1e-3 * perplexity);
  EXPECT_EQ(tokens, count);
  EXPECT_EQ(texts, 3);
}

TEST(Score, GeneratedTokensAreAsLikelyAsGenerateSaid) {
  const std::string model = golden("llama-bias-tied");
  const auto generated =
      attune({"generate", "--json", "--model", model, "--prompts", "-", "--logprobs", "0", "--max-tokens", "5", "--temperature", "0"},
             "{\"token_ids\":[4,5,6],\"ignore_eos\":true}\n")
          .json()
          .at(0);
  std::vector<int> ids{4, 5, 6};
  for (const int id : generated["token_ids"]) ids.push_back(id);
  const auto scored = attune({"score", "--json", "--model", model, "--input", "-"}, Json{{"token_ids", ids}}.dump() + "\n").json().at(0);
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(scored["logprobs"][3 + i].get<double>(), generated["logprobs"][i].get<double>(), 1e-5);
}

TEST(Eval, CountsExactMatchesAfterTheLastMark) {
  std::string data;
  std::istringstream all(read_file(embedded_model() + "/eval.jsonl"));
  for (int i = 0; i < 4; ++i) {
    std::string line;
    std::getline(all, line);
    Json problem = Json::parse(line);
    if (i == 3) problem["answer"] = "no number";
    data += problem.dump() + "\n";
  }
  data += "{\"prompt\":\"x\"}\n";
  const auto o = attune({"eval", "--json", "--data", "-"}, data);
  EXPECT_EQ(o.code, 1);
  const auto lines = o.json();
  ASSERT_EQ(lines.size(), 6u);
  int correct = 0;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(lines[i]["correct"], lines[i]["answer"] == lines[i]["expected"]);
    correct += lines[i]["correct"].get<bool>();
  }
  EXPECT_GE(correct, 2);
  EXPECT_EQ(lines[3]["correct"], false);
  EXPECT_EQ(lines[4]["error"]["code"], "InvalidArgument");
  EXPECT_EQ(lines[5]["correct"], correct);
  EXPECT_EQ(lines[5]["total"], 5);
  EXPECT_DOUBLE_EQ(lines[5]["exact_match"], correct / 5.0);
  EXPECT_GT(lines[5]["tokens_per_s"], 0);
  EXPECT_THAT(attune({"eval", "--data", "-", "--limit", "1"}, data).out, HasSubstr("of 1;"));
}

TEST(Eval, TokenIdsNeedNoTokenizer) {
  const std::vector<std::string> args{"eval", "--json", "--model", golden("qwen2-linear"), "--max-tokens", "3", "--ignore-eos", "--data", "-"};
  const auto asked = [&](const std::string& answer) { return attune(args, "{\"token_ids\":[5,6,7],\"answer\":" + answer + "}\n"); };
  const auto first = asked("[1]");
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.json().at(1)["exact_match"], 0);
  const auto right = asked(first.json().at(0)["answer"]);
  EXPECT_EQ(right.json().at(1)["exact_match"], 1);
  EXPECT_THAT(asked("\"5\"").out, HasSubstr("answer: expected a list of token ids, as the model has no tokenizer"));
}

/// What was finished before counts; the rest is no wrong answer.
TEST(Eval, InterruptedItReportsThoseFinished) {
  const std::vector<std::string> args{"eval", "--json", "--model", golden("qwen2-linear"), "--max-tokens", "3", "--ignore-eos", "--data", "-"};
  const std::string answer = attune(args, "{\"token_ids\":[5,6,7],\"answer\":[1]}\n").json().at(0)["answer"];
  Running program(args);
  program.write("{\"token_ids\":[5,6,7],\"answer\":" + answer + "}\n");
  EXPECT_EQ(Json::parse(program.read_line())["line"], 1);
  program.interrupt();
  const Json report = Json::parse(program.read_line());
  EXPECT_EQ(report["exact_match"], 1);
  EXPECT_EQ(report["total"], 1);
  EXPECT_EQ(report["interrupted"], true);
  EXPECT_EQ(program.wait(), 130);
}

TEST(Score, WhatHasNoTokenToScoreSaysSo) {
  const auto o = attune({"score", "--model", golden("qwen2-linear"), "--input", "-"}, "{\"token_ids\":[5]}\n");
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.err, HasSubstr("no token was scored"));
  EXPECT_THAT(o.out + o.err, testing::Not(HasSubstr("perplexity 1")));
}

TEST(Tokenize, ThereAndBack) {
  const std::string text = "Ben has 12 marbles, caf\xc3\xa9 \xf0\x9f\x98\x80";
  const auto ids = attune({"tokenize", "--json", text}).json().at(0);
  EXPECT_EQ(ids["token_ids"].size(), ids["tokens"].size());
  std::vector<std::string> back{"detokenize"};
  for (const int id : ids["token_ids"]) back.push_back(std::to_string(id));
  EXPECT_EQ(attune(back).out, text + "\n");
  EXPECT_EQ(attune({"detokenize", "--json"}, ids["token_ids"].dump() + "\n").json().at(0)["text"], text);
  EXPECT_EQ(attune({"tokenize"}, text + "\n" + text + "\n").lines().size(), 2u);
  EXPECT_EQ(attune({"detokenize", "1", "two"}).code, 2);
  EXPECT_EQ(attune({"tokenize", "bad \xff"}).code, 2);
  EXPECT_EQ(attune({"tokenize", "--model", golden("qwen2-linear"), "x"}).code, 5);
}

TEST(Kernels, EveryFieldOfEveryKernel) {
  const auto kernels = attune({"kernels", "--op", "attention", "--json"}).json().at(0);
  bool cpu = false, gpu = false;
  for (const auto& k : kernels) {
    for (const char* field : {"kernel", "op", "tier", "version", "reduction", "device", "built", "can", "rules"})
      EXPECT_TRUE(k.contains(field)) << field;
    for (const char* field : {"head_dim", "kv_source", "sinks", "mask", "kv_scale"}) EXPECT_TRUE(k["can"].contains(field)) << field;
    cpu |= k["kernel"] == "cpu.attention.plain", gpu |= k["kernel"] == "gpu.attention.split_kv";
  }
  EXPECT_TRUE(cpu && gpu);
  EXPECT_THAT(attune({"kernels", "--markdown", "--op", "matmul"}).out, HasSubstr("| `cpu.matmul.plain` |"));
  EXPECT_EQ(attune({"kernels", "--op", "convolution"}).code, 2);
}

TEST(Explain, OneObjectNamesTheOtherUsesOfAnOp) {
  const auto o = attune({"explain", "attention", "--json", "--model", golden("gemma2-gqa7")}).json();
  ASSERT_EQ(o.size(), 1u);
  ASSERT_EQ(o[0]["others"].size(), 1u) << "layers with a window, and layers without";
  EXPECT_NE(o[0]["desc"], o[0]["others"][0]["desc"]);
  EXPECT_EQ(o[0]["others"][0]["op"], "attention");
  EXPECT_FALSE(attune({"explain", "attention", "--json"}).json()[0].contains("others"));
}

TEST(Explain, APatternThatDisablesNothingIsAnError) {
  for (const char* pattern : {"nothing*", ""}) {
    const auto o = attune({"explain", "attention", "--disable-kernel", pattern});
    EXPECT_EQ(o.code, 2) << pattern;
    EXPECT_THAT(o.err, HasSubstr("--disable-kernel: expected")) << pattern;
  }
}

TEST(Explain, WhatADescWouldHideIsAnError) {
  for (const std::vector<std::string>& flag :
       {std::vector<std::string>{"--model", embedded_model()}, {"--dtype", "float32"}, {"--block-size", "32"}}) {
    std::vector<std::string> words{"explain", "attention", "--desc", "head_dim=64"};
    words.insert(words.end(), flag.begin(), flag.end());
    const auto o = attune(words);
    EXPECT_EQ(o.code, 2) << flag[0];
    EXPECT_EQ(o.err, "attune: --desc: expected no " + flag[0] + " beside it, for a desc names all that is asked; got both\n");
  }
  const Call call{{"explain", "attention", "--desc", "head_dim=64"}, "", {{"ATTUNE_MODEL", embedded_model()}}, {}};
  EXPECT_EQ(attune(call).code, 0) << "a variable is a default";
}

TEST(Explain, JsonHasEveryPart) {
  const auto one = attune({"explain", "attention", "--json"}).json();
  ASSERT_EQ(one.size(), 1u);
  ASSERT_TRUE(one[0].is_object());
  for (const char* field : {"op", "desc", "device", "chosen", "eligible", "rejected", "rule", "override"})
    EXPECT_TRUE(one[0].contains(field)) << field;
  EXPECT_EQ(one[0]["op"], "attention");
  EXPECT_THAT(one[0]["desc"].get<std::string>(), HasSubstr("head_dim=64"));
  for (const auto& e : one[0]["eligible"]) EXPECT_TRUE(e.contains("kernel") && e.contains("tier"));
  bool not_built = false;
  ASSERT_FALSE(one[0]["rejected"].empty());
  for (const auto& r : one[0]["rejected"]) {
    ASSERT_FALSE(r["reasons"].empty());
    for (const auto& reason : r["reasons"]) {
      for (const char* field : {"code", "field", "asked", "allowed", "text"}) EXPECT_TRUE(reason.contains(field)) << field;
      not_built |= reason["code"] == "not_built";
    }
  }
  EXPECT_TRUE(not_built);
  const auto all = attune({"explain", "--json", "--model", golden("gemma2-gqa7")}).json();
  ASSERT_TRUE(all.at(0).is_array());
  EXPECT_GT(all[0].size(), 5u);
}

/// A desc alone is decided as a load would decide it: on the CPU all phases share one order of arithmetic, also when a kernel is disabled.
TEST(Explain, ADescIsDecidedUnderTheRuleOfALoad) {
  const auto ask = [](std::vector<std::string> words) {
    words.insert(words.begin(), "explain"), words.push_back("--json");
    const auto o = attune(words);
    EXPECT_EQ(o.code, 0) << o.err;
    return o.json().at(0);
  };
  for (const std::string& model : {golden("gemma2-gqa7"), golden("mistral-window"), embedded_model()}) {
    for (const std::string phase : {"decode", "verify", "prefill"}) {
      const auto loaded = ask({"attention", "--model", model, "--phase", phase});
      const auto alone = ask({"attention", "--phase", phase, "--desc", loaded["desc"]});
      EXPECT_EQ(alone["chosen"], loaded["chosen"]) << phase;
      EXPECT_EQ(alone["eligible"], loaded["eligible"]) << phase;
      EXPECT_EQ(alone["rejected"], loaded["rejected"]) << phase;
    }
    const auto loaded = ask({"matmul", "--model", model, "--role", "down"});
    EXPECT_EQ(ask({"matmul", "--role", "down", "--desc", loaded["desc"]})["rejected"], loaded["rejected"]);
  }
  const auto invented = ask({"attention", "--device", "cpu-avx2", "--desc", "q=bf16 kv=bf16 head_dim=64"});
  bool shared = false;
  for (const auto& r : invented["rejected"])
    for (const auto& reason : r["reasons"]) shared |= reason["text"].get<std::string>().find("order of arithmetic") != std::string::npos;
  EXPECT_TRUE(shared);
}

/// A gated product is one launch where kernels gate, and says so; two where they do not, or where the user names one that does not.
TEST(Explain, GatedProductsAreFusedWhereKernelsGate) {
  const auto uses = [](std::vector<std::string> words) {
    words.insert(words.begin(), {"explain", "--json", "--model", embedded_model(), "--device"});
    const auto o = attune(words);
    EXPECT_EQ(o.code, 0) << o.err;
    std::map<std::string, std::string> descs;
    const auto all = o.json();
    for (const auto& s : all.at(0)) descs[s["op"].get<std::string>() + "." + s["role"].get<std::string>()] += s["desc"].get<std::string>() + "\n";
    return descs;
  };
  auto fused = uses({"h200"});
  EXPECT_THAT(fused["matmul.gate_up"], HasSubstr(" act=silu gated=yes"));
  EXPECT_FALSE(fused.contains("activation.mlp"));
  fused = uses({"mi300x", "--kernel", "matmul=gpu.matmul.plain"});
  EXPECT_THAT(fused["matmul.gate_up"], HasSubstr("gated=yes"));
  auto apart = uses({"h200", "--kernel", "matmul.gate_up=prefer:cuda.matmul.cublaslt"});
  EXPECT_THAT(apart["matmul.gate_up"], testing::Not(HasSubstr("gated")));
  EXPECT_TRUE(apart.contains("activation.mlp"));
  apart = uses({"cpu-avx2"});
  EXPECT_THAT(apart["matmul.gate_up"], testing::AllOf(HasSubstr("segments=2"), testing::Not(HasSubstr("gated"))));
  EXPECT_TRUE(apart.contains("activation.mlp"));
}

TEST(Explain, AnInventedDeviceIsJudgedAsIfBuiltAndSaysSo) {
  const auto o = attune({"explain", "attention", "--device", "mi300x", "--desc", "q=bf16 kv=bf16 heads=32:8 head_dim=128"});
  EXPECT_EQ(o.code, 0) << o.err;
  EXPECT_THAT(o.out, HasSubstr("as if built"));
  EXPECT_THAT(o.out, HasSubstr("gpu.attention.split_kv"));
  EXPECT_EQ(attune({"explain", "attention", "--device", "mi300x"}).code, 0);
  EXPECT_EQ(attune({"explain", "attention", "--device", "h200", "--model", golden("mistral-window")}).code, 0);
}

TEST(Explain, OneOrderOfArithmeticHoldsOnAGpuWhereAsked) {
  const auto chosen = [](const std::string& device, bool invariant) {
    std::vector<std::string> words{
        "explain", "attention", "--json", "--phase", "prefill", "--device", device, "--desc", "q=bf16 kv=bf16 heads=32:8 head_dim=128"};
    if (invariant) words.push_back("--invariant");
    const auto o = attune(words);
    EXPECT_EQ(o.code, 0) << o.err;
    return o.json().at(0)["chosen"].get<std::string>();
  };
  EXPECT_EQ(chosen("h200", false), "cuda.attention.wgmma_prefill");
  EXPECT_EQ(chosen("h200", true), "cuda.attention.wgmma_split_kv");  // that of decode
  EXPECT_EQ(chosen("cpu-avx2", true), chosen("cpu-avx2", false));
  const auto model = attune({"explain", "matmul", "--json", "--device", "h200", "--invariant", "--model", embedded_model()});
  EXPECT_EQ(model.code, 0) << model.err;
  EXPECT_THAT(model.out, HasSubstr("order of arithmetic"));
}

TEST(Explain, ReasonsNameWhatWasAskedAndAllowed) {
  const auto phase = attune({"explain", "attention", "--phase", "prefill", "--json"}).json().at(0);
  EXPECT_THAT(phase["desc"].get<std::string>(), HasSubstr("phase=prefill"));
  const auto o = attune({"explain", "attention", "--desc", "q=bf16 kv=bf16 head_dim=600", "--json"}).json().at(0);
  bool found = false;
  for (const auto& r : o["rejected"])
    for (const auto& reason : r["reasons"]) found |= reason["field"] == "head_dim" && reason["asked"] == "600" && reason["code"] == "problem";
  EXPECT_TRUE(found);
  EXPECT_EQ(attune({"explain", "attention", "--desc", "head_dmi=64"}).code, 2);
  EXPECT_EQ(attune({"explain", "attention", "--phase", "decoding"}).code, 2);
  EXPECT_EQ(attune({"explain", "attend"}).code, 2);
  const auto forced = attune({"explain", "attention", "--kernel", "attention=ref.attention", "--desc", "head_dim=64", "--json"}).json().at(0);
  EXPECT_EQ(forced["chosen"], "ref.attention");
  EXPECT_FALSE(forced["override"].is_null());
}

/// A long run that is ended reports what ran until then, and does not hold.
TEST(Verify, InterruptedItReportsWhatRan) {
  Running program({"verify", "--mode", "fuzz", "--seconds", "3600", "--kernel", "cpu.norm.plain", "--kernel", "cpu.rope.plain"});
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  program.interrupt();
  EXPECT_THAT(program.read_line(), testing::ContainsRegex("^cpu.norm.plain +ENDED EARLY +[0-9]+ cases"));
  EXPECT_THAT(program.read_line(), HasSubstr("cpu.rope.plain                 not run: the run was ended before it"));
  EXPECT_THAT(program.read_line(), HasSubstr("ENDED EARLY, what ran held: 1 kernels, 1 not run"));
  EXPECT_EQ(program.wait(), 130);
  Json report;
  for (auto wait = std::chrono::milliseconds(1500); wait < std::chrono::minutes(2); wait *= 2) {  // a sanitized first case may take long
    Running all({"verify", "--all", "--json", "--kernel", "cpu.attention.plain"});
    std::this_thread::sleep_for(wait);
    all.interrupt();
    report = Json::parse(all.read_line());
    EXPECT_EQ(all.wait(), 130);
    if (report["kernels"][0]["status"] != "not run") break;
  }
  EXPECT_EQ(report["stopped"], true);
  EXPECT_EQ(report["held"], false);
  EXPECT_EQ(report["kernels"][0]["status"], "ended_early");
  EXPECT_EQ(report["counts"]["ended_early"], 1);
  EXPECT_EQ(report["counts"]["passed"], 0);
  EXPECT_LT(report["kernels"][0]["cases"], report["kernels"][0]["planned"]);
  EXPECT_TRUE(report["kernels"][0]["unexercised"].empty()) << "what did not run is no failure";
}

TEST(Bench, TimesEveryEligibleKernel) {
  const auto o = attune({"bench", "attention", "--json", "--warm-cache", "--input-len", "64", "--num-iters", "3", "--threads", "1"}).json().at(0);
  EXPECT_GT(o["bytes"], 0);
  EXPECT_GT(o["flops"], 0);
  EXPECT_GT(o["read_gb_per_s"]["before"], 0);
  bool reference = false;
  for (const auto& k : o["kernels"]) {
    EXPECT_GT(k["median_us"], 0);
    EXPECT_GT(k["speedup"], 0);
    reference |= k["kernel"] == "ref.attention";
  }
  EXPECT_TRUE(reference);
  const auto rows =
      attune({"bench", "matmul", "--json", "--warm-cache", "--desc", "n=64 k=64", "--rows", "1,3", "--num-iters", "3", "--threads", "1"}).json();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1]["flops"], 2 * 64 * 64 * 3);
  EXPECT_EQ(attune({"bench", "attention", "--input-len", "8", "--q-len", "9"}).code, 2);
  EXPECT_EQ(attune({"bench", "sorting"}).code, 2);
}

TEST(Bench, GenerateReportsPrefillAndDecode) {
  const std::vector<std::string> args{
      "bench", "generate",  "--model", golden("llama-d96-llama3"), "--input-len", "24", "--output-len", "6", "--batch-size", "2", "--num-iters",
      "2",     "--threads", "1"};
  auto json = args;
  json.push_back("--json");
  const auto o = attune(json).json().at(0);
  for (const char* field : {"prefill_tokens_per_s", "decode_tokens_per_s", "bytes_per_token", "matmul_flops_per_token", "decode_share_of_read",
                            "first_token_ms", "decode_alone_tokens_per_s"})
    EXPECT_GT(o[field], 0) << field;
  EXPECT_EQ(o["samples"]["decode_tokens_per_s"].size(), 2u);
  const auto table = attune(args).out;
  EXPECT_THAT(table, testing::ContainsRegex("pp24 \\| +[0-9.]+ ± [0-9.]+ \\|"));
  EXPECT_THAT(table, HasSubstr("tg6 @ d24"));
  EXPECT_THAT(table, testing::ContainsRegex("\\| +tg6 \\| +[0-9.]+ ± [0-9.]+ \\|")) << "as llama-bench names it: behind one token";
  EXPECT_THAT(table, testing::ContainsRegex("which allows [0-9.]+ tokens/s: decode stands at [0-9]+ % of that"));
  EXPECT_NEAR(o["decode_limit_tokens_per_s"].get<double>() * o["decode_share_of_read"].get<double>() / o["decode_tokens_per_s"].get<double>(), 1,
              1e-9);
  EXPECT_FALSE(o.contains("invariant"));
  EXPECT_THAT(table, testing::Not(HasSubstr("order of arithmetic")));
}

TEST(Bench, GenerateSaysWhatOneOrderOfArithmeticCosts) {
  const std::vector<std::string> args{
      "bench",     "generate", "--model",    golden("llama-d96-llama3"), "--input-len", "8", "--output-len", "4", "--num-iters", "1",
      "--threads", "1",        "--invariant"};
  EXPECT_THAT(attune(args).out, HasSubstr("one order of arithmetic costs nothing: the CPU has no other\n"));
  auto json = args;
  json.push_back("--json");
  const auto o = attune(json).json().at(0)["invariant"];
  EXPECT_EQ(o["prefill_cost"], 0);
  EXPECT_EQ(o["decode_cost"], 0);
  EXPECT_TRUE(o["without"].is_null());
}

}  // namespace
}  // namespace attune::test
