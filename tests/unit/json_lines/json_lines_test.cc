// JSON Lines of the command line: every field of a request, and what is refused.
#include "../../../apps/cli/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

namespace attune::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

PromptStyle style(bool chat = false, bool raw = false) {
  return {.render = [](const std::string& messages) { return "<" + messages + ">"; }, .chat = chat, .raw_asked = raw};
}

Request request(const std::string& line, const PromptStyle& s = style()) { return make_request(parse_object(line), s, {}); }

std::string refusal(const std::string& line, const PromptStyle& s = style()) {
  try {
    request(line, s);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    return e.message();
  }
  return "";
}

TEST(JsonLines, EveryFieldOfARequest) {
  const SamplingParams p = request(R"({"prompt":"x","n":2,"temperature":0.5,"top_k":7,"top_p":0.9,"min_p":0.1,"repetition_penalty":1.1,
    "presence_penalty":0.2,"frequency_penalty":0.3,"logit_bias":{"5":-1.5,"7":2},"stop":["a","b"],"stop_token_ids":[3,4],
    "include_stop_str_in_output":true,"ignore_eos":true,"skip_special_tokens":false,"max_tokens":9,"min_tokens":1,"seed":18446744073709551615,
    "logprobs":3,"id":"mine"})")
                               .sampling;
  EXPECT_EQ(p.n, 2);
  EXPECT_EQ(p.temperature, 0.5);
  EXPECT_EQ(p.top_k, 7);
  EXPECT_EQ(p.top_p, 0.9);
  EXPECT_EQ(p.min_p, 0.1);
  EXPECT_EQ(p.repetition_penalty, 1.1);
  EXPECT_EQ(p.presence_penalty, 0.2);
  EXPECT_EQ(p.frequency_penalty, 0.3);
  EXPECT_THAT(p.logit_bias, ElementsAre(Pair(5, -1.5f), Pair(7, 2.0f)));
  EXPECT_THAT(p.stop, ElementsAre("a", "b"));
  EXPECT_THAT(p.stop_token_ids, ElementsAre(3, 4));
  EXPECT_TRUE(p.include_stop_str_in_output);
  EXPECT_TRUE(p.ignore_eos);
  EXPECT_FALSE(p.skip_special_tokens);
  EXPECT_EQ(p.max_tokens, 9);
  EXPECT_EQ(p.min_tokens, 1);
  EXPECT_EQ(p.seed, UINT64_MAX);
  EXPECT_EQ(p.logprobs, 3);
  EXPECT_THAT(request(R"({"prompt":"x","stop":"one"})").sampling.stop, ElementsAre("one"));
  EXPECT_EQ(request(R"({"prompt":"x","temperature":null})").sampling.temperature, SamplingParams{}.temperature);
}

TEST(JsonLines, PromptsMessagesAndIds) {
  EXPECT_EQ(request(R"({"prompt":"x"})").prompt, "x");
  const Request chat = request(R"({"prompt":"x"})", style(true));
  EXPECT_EQ(chat.prompt, R"(<[{"role":"user","content":"x"}]>)");
  EXPECT_FALSE(chat.add_special_tokens);
  EXPECT_EQ(request(R"({"messages":[{"role":"user"}]})").prompt, R"(<[{"role":"user"}]>)");
  EXPECT_THAT(request(R"({"token_ids":[1,2]})").token_ids, ElementsAre(1, 2));
}

TEST(JsonLines, RefusalsNameTheField) {
  for (const auto& [line, part] :
       std::vector<std::pair<std::string, std::string>>{{"x", "JSON"},
                                                        {"", "JSON"},
                                                        {"[1]", "an object"},
                                                        {std::string(40, '['), "at most 32 levels"},
                                                        {"{}", "one of prompt, messages and token_ids"},
                                                        {R"({"prompt":"a","token_ids":[1]})", "2 of them"},
                                                        {R"({"prompt":""})", "an empty prompt"},
                                                        {R"({"prompt":1})", "a string"},
                                                        {R"({"token_ids":[]})", "at least one token id"},
                                                        {R"({"token_ids":1})", "an array of token ids"},
                                                        {R"({"token_ids":[99999999999]})", "token ids"},
                                                        {R"({"token_ids":[1.5]})", "an integer"},
                                                        {R"({"token_ids":[18446744073709551615]})", "an integer"},
                                                        {R"({"messages":[]})", "messages"},
                                                        {R"({"prompt":"a","temprature":1})", "did you mean temperature?"},
                                                        {R"({"prompt":"a","temperature":"hot"})", "temperature: expected a number"},
                                                        {R"({"prompt":"a","ignore_eos":1})", "true or false"},
                                                        {R"({"prompt":"a","stop":1})", "a string or an array of strings"},
                                                        {R"({"prompt":"a","stop":[1]})", "a string"},
                                                        {R"({"prompt":"a","seed":-1})", "from 0"},
                                                        {R"({"prompt":"a","logit_bias":[]})", "logit_bias: expected an object"},
                                                        {R"({"prompt":"a","logit_bias":{"x":1}})", "token ids"},
                                                        {R"({"prompt":"a","logit_bias":{"1":"x"}})", "a number"}})
    EXPECT_THAT(refusal(line), HasSubstr(part)) << line;
  EXPECT_THAT(refusal(R"({"messages":[{"role":"user"}]})", style(false, true)), HasSubstr("--raw"));
  EXPECT_THAT(refusal(R"({"prompt":"a","mine":{"x":[1]}})"), HasSubstr("mine"));
  PromptStyle labelled = style();
  labelled.labels = {"mine"};
  EXPECT_EQ(refusal(R"({"prompt":"a","mine":{"x":[1]}})", labelled), "");
}

TEST(JsonLines, OutputIsOneLineOfUtf8) {
  EXPECT_EQ(json_line({{"a", "\xff\n"}}), "{\"a\":\"\xef\xbf\xbd\\n\"}\n");
  EXPECT_EQ(error_json(Error(ErrorCode::io_error, "m")).dump(), R"({"code":"IoError","message":"m"})");
  EXPECT_EQ(top_json({{.token = 1, .logprob = -1, .top = {{3, -0.5f}}}}, true).dump(), "[null,[[3,-0.5]]]");
}

TEST(JsonLines, ReaderGivesLinesAndDoesNotWait) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const auto write_text = [&](std::string_view s) { ASSERT_EQ(write(ends[1], s.data(), s.size()), static_cast<ssize_t>(s.size())); };
  {
    LineReader reader("/proc/self/fd/" + std::to_string(ends[0]));
    std::string line;
    EXPECT_EQ(reader.next(false, line), LineReader::Status::not_yet);
    write_text("one\r\n\n \t\ntw");
    EXPECT_EQ(reader.next(false, line), LineReader::Status::line);
    EXPECT_EQ(line, "one");
    EXPECT_EQ(reader.number(), 1);
    EXPECT_EQ(reader.next(false, line), LineReader::Status::not_yet);
    write_text("o");
    close(ends[1]);
    EXPECT_EQ(reader.next(true, line), LineReader::Status::line);
    EXPECT_EQ(line, "two");
    EXPECT_EQ(reader.number(), 4);
    EXPECT_EQ(reader.next(true, line), LineReader::Status::end);
  }
  close(ends[0]);
  EXPECT_THROW(LineReader("/nonexistent"), Error);
  LineReader folder("/");
  std::string line;
  EXPECT_THROW(folder.next(true, line), Error);
}

}  // namespace
}  // namespace attune::cli
