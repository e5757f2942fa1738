// attune generate on the embedded model and on tiny ones: formats, order, streaming, ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "program.h"

namespace attune::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const char* const kProblem = "Ben has 7 marbles and finds 5 more. How many marbles does Ben have?";

TEST(Generate, StreamsTextThenStatisticsAndKernels) {
  const auto text = attune({"generate", kProblem});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("####"));
  EXPECT_THAT(text.out, EndsWith("\n"));
  EXPECT_THAT(text.err, testing::ContainsRegex("[0-9]+ prompt tokens, [0-9]+ generated; first token after [0-9.]+ ms; [0-9.]+ tokens/s\n"));
  EXPECT_THAT(text.err, testing::ContainsRegex("kernels: attention [a-z._0-9]+ .* matmul .*attune explain"));
  const auto json = attune({"generate", "--json", kProblem}).json();
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["text"].get<std::string>() + "\n", text.out);
  EXPECT_EQ(json[0]["finish_reason"], "stop");
  EXPECT_GT(json[0]["prompt_tokens"], 0);
}

TEST(Generate, NamesTheCommandThatExplainsItsKernels) {
  const std::vector<std::string> flags{"--dtype", "float32", "--kernel", "matmul=prefer:cpu.matmul.plain", "--disable-kernel", "cpu.attention.*"};
  std::vector<std::string> args{"generate", "--max-tokens", "1", "hi"};
  args.insert(args.end(), flags.begin(), flags.end());
  EXPECT_THAT(attune(args).err, EndsWith("kernels: attention ref.attention · matmul cpu.matmul.plain; to see why: attune explain --dtype float32 "
                                         "--kernel matmul=prefer:cpu.matmul.plain --disable-kernel 'cpu.attention.*'\n"));
  args = {"explain", "attention", "--json"};
  args.insert(args.end(), flags.begin(), flags.end());
  EXPECT_EQ(attune(args).json().at(0)["chosen"], "ref.attention");
}

TEST(Generate, ChatIsTheDefaultWhereThereIsATemplate) {
  const auto tokens = [](const std::vector<std::string>& more) {
    std::vector<std::string> args{"generate", "--json", "--max-tokens", "4", kProblem};
    args.insert(args.end(), more.begin(), more.end());
    return attune(args).json().at(0);
  };
  EXPECT_EQ(tokens({}), tokens({"--chat"}));
  EXPECT_NE(tokens({})["prompt_tokens"], tokens({"--raw"})["prompt_tokens"]);
  EXPECT_EQ(attune({"generate", "--raw", "--chat", "x"}).code, 2);
  EXPECT_EQ(attune({"generate", "--chat", "--model", golden("qwen2-linear"), "--prompts", "-"}, "{\"token_ids\":[1]}\n").code, 2);
}

TEST(Generate, MessagesAreThePromptInTheTemplate) {
  const auto out =
      attune({"generate", "--json", "--max-tokens", "8", "--prompts", "-"},
             "{\"id\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"2 and 3 apples?\"}]}\n{\"id\":\"p\",\"prompt\":\"2 and 3 apples?\"}\n")
          .json();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0]["id"], "m");
  EXPECT_EQ(out[0]["token_ids"], out[1]["token_ids"]);
  EXPECT_EQ(out[0]["prompt_tokens"], out[1]["prompt_tokens"]);
}

TEST(Generate, TextPartsOfAMessageAreOneText) {
  const auto out = attune({"generate", "--json", "--max-tokens", "8", "--prompts", "-"},
                          "{\"messages\":[{\"role\":\"user\",\"content\":\"2 and\\n3 apples?\"}]}\n"
                          "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"2 and\"},{\"type\":\"text\",\"text\":\"3 "
                          "apples?\"}]}]}\n")
                       .json();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0]["token_ids"], out[1]["token_ids"]);
  EXPECT_EQ(out[0]["prompt_tokens"], out[1]["prompt_tokens"]);
}

TEST(Generate, AnswersComeInInputOrderWithTheirIds) {
  std::string input;
  for (int i = 0; i < 20; ++i)
    input += Json{{"id", i}, {"token_ids", {i + 1, 2, 3}}, {"max_tokens", 1 + (i * 7) % 13}, {"ignore_eos", true}}.dump() + "\n";
  const auto out = attune({"generate", "--json", "--model", golden("qwen2-linear"), "--max-num-seqs", "3", "--prompts", "-"}, input).json();
  ASSERT_EQ(out.size(), 20u);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(out[i]["id"], i);
    EXPECT_EQ(out[i]["token_ids"].size(), static_cast<size_t>(1 + (i * 7) % 13));
    EXPECT_EQ(out[i]["finish_reason"], "length");
    EXPECT_EQ(out[i]["prompt_tokens"], 3);
    EXPECT_FALSE(out[i].contains("index"));
  }
}

TEST(Generate, SamplesOfOnePromptHaveAnIndexAndTheirLogprobs) {
  const auto out = attune({"generate", "--json", "--model", golden("llama-bias-tied"), "--prompts", "-", "--max-tokens", "6"},
                          "{\"token_ids\":[3,4,5],\"n\":3,\"temperature\":1,\"logprobs\":2,\"ignore_eos\":true,\"seed\":5}\n")
                       .json();
  ASSERT_EQ(out.size(), 3u);
  std::set<std::string> texts;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(out[i]["index"], i);
    ASSERT_EQ(out[i]["logprobs"].size(), 6u);
    ASSERT_EQ(out[i]["top_logprobs"].size(), 6u);
    EXPECT_EQ(out[i]["top_logprobs"][0].size(), 2u);
    EXPECT_GE(out[i]["top_logprobs"][0][0][1], out[i]["top_logprobs"][0][1][1]);
    for (const auto& logprob : out[i]["logprobs"]) EXPECT_LE(logprob, 0);
    texts.insert(out[i]["token_ids"].dump());
  }
  EXPECT_EQ(texts.size(), 3u);
}

TEST(Generate, SamplingFlagsAndFieldsMeanTheSame) {
  const std::vector<std::string> base{"generate", "--json", "--model", golden("qwen2-linear"), "--prompts", "-"};
  const auto run = [&](std::vector<std::string> flags, const std::string& fields) {
    flags.insert(flags.begin(), base.begin(), base.end());
    return attune(flags, "{\"token_ids\":[5,6,7],\"max_tokens\":12" + fields + "}\n").json().at(0)["token_ids"];
  };
  const auto drawn = run({"--temperature", "1.5", "--top-k", "20", "--top-p", "0.9", "--min-p", "0.01", "--seed", "7", "--ignore-eos"}, "");
  EXPECT_EQ(drawn, run({}, ",\"temperature\":1.5,\"top_k\":20,\"top_p\":0.9,\"min_p\":0.01,\"seed\":7,\"ignore_eos\":true"));
  EXPECT_NE(drawn, run({"--seed", "8"}, ",\"temperature\":1.5,\"ignore_eos\":true"));
  const auto greedy = run({"--temperature", "0"}, ",\"ignore_eos\":true");
  const int first = greedy[0];
  EXPECT_NE(run({"--temperature", "0", "--logit-bias", std::to_string(first) + "=-100"}, "")[0], first);
  EXPECT_NE(run({"--temperature", "0"}, ",\"logit_bias\":{\"" + std::to_string(first) + "\":-100}")[0], first);
  EXPECT_EQ(run({"--temperature", "0", "--stop-token-ids", std::to_string(first)}, "").size(), 1u);
}

TEST(Generate, WithoutATokenizerTheTextIsTokenIds) {
  const auto run = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", "--model", golden("qwen2-linear"), "--temperature", "0", "--prompts", "-"});
    return attune(more, "{\"token_ids\":[1,2],\"max_tokens\":3,\"ignore_eos\":true}\n");
  };
  std::string ids;
  const Json answer = run({"--json"}).json().at(0);
  for (const int id : answer["token_ids"]) ids += (ids.empty() ? "" : " ") + std::to_string(id);
  EXPECT_EQ(run({}).out, ids + "\n");
}

/// A model by its id, from each place where the cache may stand; a revision by branch and by commit.
TEST(Generate, AModelOfTheCacheIsFoundByItsId) {
  const TempFolder home;
  const std::string commit = "0123456789abcdef0123456789abcdef01234567";
  const auto hub = home.path() / ".cache" / "huggingface" / "hub", base = hub / "models--some-org--tiny.model";
  std::filesystem::create_directories(base / "refs");
  std::filesystem::create_directories(base / "snapshots");
  std::filesystem::copy(golden("qwen2-linear"), base / "snapshots" / commit);
  std::ofstream(base / "refs" / "main") << commit;
  const auto run = [&](const std::string& model, const std::map<std::string, std::string>& environment) {
    return attune(Call{{"generate", "--json", "--model", model, "--prompts", "-"}, "{\"token_ids\":[1],\"max_tokens\":1}\n", environment, {}});
  };
  const std::string nowhere = home.path() / "nowhere";
  EXPECT_EQ(run("some-org/tiny.model", {{"HF_HUB_CACHE", hub}, {"HOME", nowhere}}).code, 0);
  EXPECT_EQ(run("some-org/tiny.model", {{"HF_HOME", hub.parent_path()}, {"HOME", nowhere}}).code, 0);
  EXPECT_EQ(run("some-org/tiny.model", {{"HOME", home.path()}, {"XDG_CACHE_HOME", ""}}).code, 0);
  EXPECT_EQ(run("some-org/tiny.model@" + commit, {{"HF_HUB_CACHE", hub}}).code, 0);
  const auto missing = run("some-org/tiny.model@other", {{"HF_HUB_CACHE", hub}});
  EXPECT_EQ(missing.code, 5);
  EXPECT_THAT(missing.err, HasSubstr("hf download some-org/tiny.model --revision other"));
}

TEST(Generate, AStopTextEndsBeforeIt) {
  const auto whole = attune({"generate", "--json", kProblem}).json().at(0);
  const auto cut = attune({"generate", "--json", "--stop", "####", kProblem}).json().at(0);
  const std::string text = whole["text"];
  EXPECT_EQ(cut["text"], text.substr(0, text.find("####")));
  EXPECT_EQ(cut["finish_reason"], "stop");
}

TEST(Generate, AnswersALineBeforeTheNextIsWritten) {
  Running program({"generate", "--json", "--model", golden("qwen2-linear"), "--max-tokens", "2", "--prompts", "-"});
  for (int i = 0; i < 3; ++i) {
    program.write("{\"id\":" + std::to_string(i) + ",\"token_ids\":[1,2]}\n");
    EXPECT_EQ(Json::parse(program.read_line())["id"], i);
  }
  program.close_input();
  EXPECT_EQ(program.read_line(), "");
  EXPECT_EQ(program.wait(), 0);
}

TEST(Generate, CtrlCWritesWhatIsFinished) {
  const TempFolder folder;
  folder.write(
      "config.json",
      R"({"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3","hidden_size":256,"intermediate_size":512,"num_hidden_layers":4,"num_attention_heads":4,
                   "num_key_value_heads":2,"head_dim":64,"vocab_size":512,"max_position_embeddings":200000,"rms_norm_eps":1e-6,"rope_theta":10000.0,
                   "tie_word_embeddings":true,"hidden_act":"silu","torch_dtype":"bfloat16","eos_token_id":511})");
  // Line 1 and 3 end in the same step; line 2, in between, would run for minutes.
  const std::string prompts = folder.write("prompts.jsonl",
                                           "{\"id\":1,\"token_ids\":[1,2],\"max_tokens\":3,\"ignore_eos\":true}\n"
                                           "{\"id\":2,\"token_ids\":[1,2],\"max_tokens\":150000,\"ignore_eos\":true}\n"
                                           "{\"id\":3,\"token_ids\":[1,2],\"max_tokens\":3,\"ignore_eos\":true}\n");
  Running program(
      {"generate", "--json", "--load-format", "dummy", "--kv-cache-memory-bytes", "512M", "--model", folder.path().string(), "--prompts", prompts});
  EXPECT_EQ(Json::parse(program.read_line())["id"], 1);
  program.interrupt();
  const auto second = Json::parse(program.read_line()), third = Json::parse(program.read_line());
  EXPECT_EQ(second["id"], 2);
  EXPECT_EQ(second["finish_reason"], "abort");
  EXPECT_GE(second["token_ids"].size(), 3u);
  EXPECT_EQ(third["id"], 3);
  EXPECT_EQ(third["finish_reason"], "length");
  EXPECT_EQ(program.read_line(), "");
  EXPECT_EQ(program.wait(), 130);
}

TEST(Generate, APreferenceThatIsNotFollowedIsToldOnceWithTheReason) {
  const auto run = attune({"generate", "--json", "--model", golden("mistral-window"), "--kernel", "attention=prefer:gpu.attention.split_kv",
                           "--max-tokens", "2", "--prompts", "-"},
                          "{\"token_ids\":[1,2,3]}\n");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("warning: attention.self: --kernel attention=prefer:gpu.attention.split_kv not followed: "));
  EXPECT_EQ(run.err.find("not followed"), run.err.rfind("not followed")) << run.err;
}

TEST(Generate, AnOverrideForARoleThatTheModelLacksIsAnError) {
  const auto with = [](const std::string& kernel) {
    return attune({"generate", "--json", "--model", golden("mistral-window"), "--kernel", kernel, "--max-tokens", "1", "--prompts", "-"},
                  "{\"token_ids\":[1,2,3]}\n");
  };
  const auto wrong = with("matmul.kqv=ref.matmul");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--kernel: expected a role of matmul in this model (down, gate_up, head, o, qkv); got kqv"));
  for (const std::string right : {"matmul.head=ref.matmul", "sample.greedy=ref.sample", "matmul=ref.matmul"}) EXPECT_EQ(with(right).code, 0) << right;
}

TEST(Generate, TheTraceEqualsTheSelection) {
  const std::string model = golden("mistral-window");
  const auto run = attune({"generate", "--json", "--trace-kernels", "--model", model, "--prompts", "-", "--max-tokens", "4"},
                          "{\"token_ids\":[1,2,3,4,5,6,7,8],\"ignore_eos\":true}\n{\"token_ids\":[1,2],\"ignore_eos\":true,\"temperature\":1}\n");
  ASSERT_EQ(run.code, 0) << run.err;
  const auto launches = Json::parse(run.err)["launches"];
  const auto selections = attune({"explain", "--json", "--model", model}).json().at(0);
  std::map<std::string, std::set<std::string>> chosen;
  for (const auto& s : selections) chosen[s["op"].get<std::string>() + "." + s["role"].get<std::string>()].insert(s["chosen"]);
  std::set<std::string> ops;
  for (const auto& l : launches) {
    const std::string use = l["op"].get<std::string>() + "." + l["role"].get<std::string>();
    EXPECT_THAT(chosen[use], testing::Contains(l["kernel"])) << use;
    EXPECT_GE(l["launches"], l["steps"]);
    ops.insert(l["op"]);
  }
  for (const char* op : {"attention", "matmul", "norm", "rope", "kv_write", "embed", "sample"}) EXPECT_EQ(ops.count(op), 1u) << op;
  const auto forced = attune(
      {"generate", "--json", "--trace-kernels", "--model", model, "--prompts", "-", "--max-tokens", "2", "--kernel", "attention=ref.attention"},
      "{\"token_ids\":[1,2]}\n");
  const Json trace = Json::parse(forced.err);
  for (const auto& l : trace["launches"])
    if (l["op"] == "attention") EXPECT_EQ(l["kernel"], "ref.attention");
}

}  // namespace
}  // namespace attune::test
