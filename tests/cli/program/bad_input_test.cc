// Each bad input gives one clear line `where: expected …; got …` and the right exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "program.h"

namespace attune::test {
namespace {

using testing::HasSubstr;

const std::string kTiny = golden("qwen2-linear");

/// stderr without the lines of a load that takes long, as under a sanitizer on a busy machine.
std::string without_progress(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);)
    if (!line.starts_with("loading weights: ")) out += line + "\n";
  return out;
}

/// One line on stderr in the form of the project, nothing on stdout.
void expect_error(const Outcome& o, int code, const std::vector<std::string>& texts) {
  EXPECT_EQ(o.code, code) << o.err;
  EXPECT_EQ(o.out, "");
  const std::string said = without_progress(o.err);
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << o.err;
  EXPECT_THAT(said, testing::MatchesRegex("attune: [^\n]*: expected [^\n]*; got [^\n]*\n"));
  for (const auto& text : texts) EXPECT_THAT(o.err, HasSubstr(text));
}

Outcome tiny(std::vector<std::string> flags, const std::string& input = "{\"token_ids\":[1,2,3]}\n") {
  const std::vector<std::string> base{"generate", "--json", "--model", kTiny, "--prompts", "-"};
  flags.insert(flags.begin(), base.begin(), base.end());
  return attune(flags, input);
}

TEST(BadInput, SamplingValuesNoEngineCouldHonour) {
  expect_error(tiny({"--max-tokens", "0"}), 2, {"max_tokens", "got 0"});
  expect_error(tiny({"--temperature", "nan"}), 2, {"temperature", "nan"});
  expect_error(tiny({"--temperature", "-1"}), 2, {"temperature", "-1"});
  expect_error(tiny({"--top-p", "0"}), 2, {"top_p"});
  expect_error(tiny({"--top-p", "nan"}), 2, {"top_p"});
  expect_error(tiny({"--min-p", "-0.1"}), 2, {"min_p"});
  expect_error(tiny({"--top-k", "-5"}), 2, {"top_k"});
  expect_error(tiny({"--repetition-penalty", "inf"}), 2, {"repetition_penalty"});
  expect_error(tiny({"--frequency-penalty", "nan"}), 2, {"frequency_penalty"});
  expect_error(tiny({"--n", "0"}), 2, {"n: expected"});
  expect_error(tiny({"--temperature", "warm"}), 2, {"--temperature", "warm"});
  expect_error(tiny({"--seed", "-1"}), 2, {"--seed"});
  expect_error(tiny({"--logit-bias", "5"}), 2, {"--logit-bias"});
  expect_error(tiny({"--min-tokens", "9", "--max-tokens", "3"}), 2, {"min_tokens"});
}

TEST(BadInput, EngineFlagsOutOfRange) {
  expect_error(tiny({"--max-num-seqs", "0"}), 2, {"--max-num-seqs"});
  expect_error(tiny({"--max-num-batched-tokens", "0"}), 2, {"--max-num-batched-tokens"});
  expect_error(tiny({"--threads", "-1"}), 2, {"--threads"});
  expect_error(tiny({"--max-model-len", "100000"}), 2, {"--max-model-len"});
  expect_error(tiny({"--dtype", "int4"}), 2, {"--dtype", "int4"});
  expect_error(tiny({"--kv-cache-dtype", "nvfp4"}), 2, {"--kv-cache-dtype", "nvfp4"});
  expect_error(tiny({"--device", "tpu"}), 2, {"--device", "tpu"});
  expect_error(tiny({"--load-format", "gguf"}), 2, {"--load-format", "gguf"});
  expect_error(tiny({"--kernel", "attention"}), 2, {"--kernel"});
  expect_error(tiny({"--kernel", "attention=no.such"}), 2, {"no.such"});
  expect_error(tiny({"--kv-cache-memory-bytes", "64Q"}), 2, {"--kv-cache-memory-bytes"});
  EXPECT_EQ(tiny({"--kernel", "attention=gpu.attention.split_kv"}).code, 3);
  EXPECT_EQ(tiny({"--kv-cache-memory-bytes", "1K", "--max-model-len", "64"}).code, 4);
}

TEST(BadInput, PromptsOfTheCommandLine) {
  expect_error(attune({"generate"}), 2, {"PROMPT", "neither"});
  expect_error(attune({"generate", ""}), 2, {"PROMPT", "empty"});
  expect_error(attune({"generate", "--raw", "bad \xff byte"}), 2, {"UTF-8"});
  expect_error(attune({"generate", "bad \xff byte"}), 2, {"UTF-8"});
  expect_error(attune({"generate", "--prompts", "/no/such/file"}), 5, {"/no/such/file"});
  expect_error(attune({"generate", "--max-model-len", "16", std::string(400, 'x')}), 2, {"prompt", "16"});
  expect_error(attune({"score", "--input", "/"}), 5, {"/"});
  expect_error(attune({"score"}), 2, {"--input"});
  expect_error(attune({"eval"}), 2, {"--data"});
}

TEST(BadInput, ABrokenLineGetsAnErrorAndTheOthersTheirAnswers) {
  const std::string input =
      "{\"id\":\"a\",\"token_ids\":[1,2,3],\"max_tokens\":2}\n"
      "{\"id\":\"b\",\"token_ids\":[1,2,\n"
      "\n"
      "{\"id\":\"d\",\"token_ids\":[1,2,3],\"max_tokens\":2}\n";
  const auto o = tiny({}, input);
  EXPECT_EQ(o.code, 1);
  const auto lines = o.json();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["id"], "a");
  EXPECT_EQ(lines[1]["line"], 2);
  EXPECT_EQ(lines[1]["error"]["code"], "InvalidArgument");
  EXPECT_THAT(lines[1]["error"]["message"].get<std::string>(), testing::MatchesRegex(".*: expected .*; got .*"));
  EXPECT_EQ(lines[2]["id"], "d");
  EXPECT_EQ(lines[0]["token_ids"], lines[2]["token_ids"]);
}

TEST(BadInput, EveryKindOfBadLine) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"[1,2]", "an object"},
      {"{}", "one of prompt"},
      {"{\"token_ids\":[1],\"prompt\":\"x\"}", "one of prompt"},
      {"{\"token_ids\":[]}", "at least one token"},
      {"{\"token_ids\":[1,-2]}", "ids from 0"},
      {"{\"token_ids\":[99999999999]}", "token ids"},
      {"{\"token_ids\":[1.5]}", "an integer"},
      {"{\"token_ids\":\"1\"}", "array"},
      {"{\"prompt\":\"x\"}", "tokenizer"},
      {"{\"messages\":[]}", "role"},
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "chat template"},
      {"{\"token_ids\":[1],\"temperature\":-1}", "temperature"},
      {"{\"token_ids\":[1],\"temperature\":\"hot\"}", "temperature"},
      {"{\"token_ids\":[1],\"temperature\":NaN}", "JSON"},
      {"{\"token_ids\":[1],\"max_tokens\":0}", "max_tokens"},
      {"{\"token_ids\":[1],\"max_token\":5}", "did you mean max_tokens?"},
      {"{\"token_ids\":[1],\"mine\":5}", "mine: expected one of the fields id, prompt, messages, token_ids, n, temperature"},
      {"{\"token_ids\":[1],\"\":5}", "unknown"},
      {"{\"token_ids\":[1],\"answer\":\"5\"}", "answer: expected one of the fields"},
      {"{\"token_ids\":[1],\"id\":[1]}", "id: expected a string or a number"},
      {"{\"token_ids\":[1],\"token_ids\":[2]}", "token_ids: expected each field once"},
      {"{\"token_ids\":[1],\"stop\":[3]}", "stop"},
      {"{\"token_ids\":[1],\"n\":100000}", "n: expected"},
      {"{\"token_ids\":[1],\"id\":\"\xff\"}", "UTF-8"},
      {std::string(100000, '['), "levels"},
      {"{\"token_ids\":" + std::string(100000, '['), "levels"},
      {"{\"token_ids\":[1" +
           [] {
             std::string s;
             for (int i = 0; i < 400; ++i) s += ",1";
             return s;
           }() +
           "]}",
       "at most"},
  };
  std::string input;
  for (const auto& [line, text] : cases) input += line + "\n";
  const auto o = tiny({}, input);
  EXPECT_EQ(o.code, 1);
  const auto lines = o.json();
  ASSERT_EQ(lines.size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(lines[i]["line"], i + 1);
    EXPECT_THAT(lines[i]["error"]["message"].get<std::string>(), HasSubstr(cases[i].second)) << cases[i].first.substr(0, 80);
  }
}

TEST(BadInput, MessagesThatNoTemplateCanRender) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"([{"role":"user"}])", "messages[0].content: expected a string; got none"},
      {R"([{"role":"user","content":null}])", "messages[0].content: expected a string; got null"},
      {R"([{"role":"user","content":"x"},{"role":"assistant","content":5}])", "messages[1].content: expected a string; got number"},
      {R"([{"content":"x"}])", "messages[0].role: expected a string; got none"},
      {R"([{"role":3,"content":"x"}])", "messages[0].role: expected a string; got number"},
      {R"(["x"])", "messages[0]: expected an object {\"role\", \"content\"}; got string"},
      {R"([{"role":"user","content":[{"type":"image_url"}]}])", "messages[0].content: expected text"},
      {R"({"role":"user"})", "messages: expected an array"},
      {R"("x")", "messages: expected an array"},
  };
  std::string input;
  for (const auto& [messages, text] : cases) input += "{\"messages\":" + messages + "}\n";
  const auto o = attune({"generate", "--json", "--max-tokens", "1", "--prompts", "-"}, input);
  EXPECT_EQ(o.code, 1);
  const auto lines = o.json();
  ASSERT_EQ(lines.size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(lines[i]["error"]["code"], "InvalidArgument");
    EXPECT_THAT(lines[i]["error"]["message"].get<std::string>(), HasSubstr(cases[i].second));
  }
}

TEST(BadInput, AFileWithoutALineIsAnError) {
  for (const std::string input : {"", "\n  \n"}) {
    expect_error(tiny({}, input), 2, {"stdin: expected at least one line"});
    expect_error(attune({"score", "--json", "--model", kTiny, "--input", "-"}, input), 2, {"stdin: expected at least one line"});
    expect_error(attune({"eval", "--json", "--data", "-"}, input), 2, {"stdin: expected at least one line"});
  }
}

TEST(BadInput, IdsThatNameNoToken) {
  expect_error(attune({"detokenize", "1", "99999"}), 2, {"ID: expected ids of tokens, below 4096", "99999"});
  expect_error(attune({"detokenize"}, "-1\n"), 2, {"ID: expected", "-1"});
}

TEST(BadInput, AFullDiskIsNoticed) {
  const auto run = [](std::vector<std::string> args, const std::string& input) { return attune(Call{std::move(args), input, {}, "/dev/full"}); };
  for (const auto& o : {run({"generate", "--json", "--model", kTiny, "--prompts", "-", "--max-tokens", "2"}, "{\"token_ids\":[1,2]}\n"),
                        run({"kernels"}, ""), run({"--help"}, ""), run({"generate", "--max-tokens", "3", "hello"}, ""),
                        run({"score", "--json", "--model", kTiny, "--input", "-"}, "{\"token_ids\":[1,2]}\n")}) {
    EXPECT_EQ(o.code, 5);
    EXPECT_THAT(o.err, HasSubstr("stdout: expected"));
    EXPECT_THAT(o.err, HasSubstr("No space left on device"));
  }
}

TEST(BadInput, AMissingModelIsTheCommandThatFetchesIt) {
  const TempFolder cache;
  const auto o = attune(Call{{"generate", "--model", "some-org/some-model", "x"}, "", {{"HF_HUB_CACHE", cache.path().string()}}, {}});
  expect_error(o, 5, {"hf download some-org/some-model", cache.path().string()});
  expect_error(attune(Call{{"generate", "x"}, "", {{"ATTUNE_MODEL", "other-org/other"}, {"HF_HOME", cache.path().string()}}, {}}), 5,
               {"hf download other-org/other"});
  expect_error(attune({"generate", "--model", "/no/such/folder", "x"}), 2, {"/no/such/folder"});
}

TEST(BadInput, ATextPromptWithoutATokenizer) { expect_error(attune({"generate", "--model", kTiny, "hello"}), 5, {"tokenizer.json"}); }

TEST(BadInput, DamagedModelFolders) {
  const auto damaged = [](const auto& damage) {
    const TempFolder folder;
    folder.copy_model(kTiny);
    damage(folder);
    return attune({"generate", "--json", "--model", folder.path().string(), "--prompts", "-"}, "{\"token_ids\":[1]}\n");
  };
  const auto with_config = [&](const auto& change) {
    return damaged([&](const TempFolder& f) {
      Json config = Json::parse(read_file(f.path() / "config.json"));
      change(config);
      f.write("config.json", config.dump());
    });
  };
  const auto is_error = [](const Outcome& o, const std::string& text) {
    EXPECT_THAT(o.code, testing::AnyOf(2, 3, 5)) << o.err;
    expect_error(o, o.code, {text});
  };
  is_error(damaged([](const TempFolder& f) { f.write("model.safetensors", read_file(f.path() / "model.safetensors").substr(0, 5000)); }),
           "model.safetensors");
  is_error(damaged([](const TempFolder& f) { f.write("model.safetensors", "short"); }), "model.safetensors");
  is_error(damaged([](const TempFolder& f) { std::filesystem::remove(f.path() / "model.safetensors"); }), "model.safetensors");
  is_error(damaged([](const TempFolder& f) { f.write("config.json", "{"); }), "config.json");
  is_error(damaged([](const TempFolder& f) { std::filesystem::remove(f.path() / "config.json"); }), "config.json");
  is_error(with_config([](Json& c) { c["hidden_size"] = 96; }), "[");
  is_error(with_config([](Json& c) { c["num_hidden_layers"] = 3; }), "layers.2");
  is_error(with_config([](Json& c) { c["num_hidden_layers"] = 1; }), "unused tensors, the first model.layers.1.");
  is_error(with_config([](Json& c) { c["dtype"] = "int3"; }), "int3");
  is_error(with_config([](Json& c) { c["architectures"] = {"MambaForCausalLM"}; }), "Qwen3ForCausalLM");
  is_error(with_config([](Json& c) { c.erase("architectures"); }), "config.json: architectures: expected one of Qwen3ForCausalLM");
}

}  // namespace
}  // namespace attune::test
