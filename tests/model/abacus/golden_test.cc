// The embedded model, token for token against Transformers, and its bf16 run against f32.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "attune/engine.h"

namespace attune {
namespace {

const std::string kModel = std::string(ATTUNE_SOURCE_DIR) + "/models/abacus";

struct Problem {
  std::string prompt;
  std::vector<int32_t> prompt_ids, ids;
  double margin = 0;
};

std::vector<Problem> problems() {
  std::vector<Problem> out;
  std::ifstream in(kModel + "/golden.jsonl");
  for (std::string line; std::getline(in, line);) {
    const auto j = nlohmann::json::parse(line);
    out.push_back({j["prompt"], j["prompt_token_ids"], j["token_ids"], j["min_margin"]});
  }
  return out;
}

struct Answer {
  std::vector<int32_t> ids;
  std::string text, streamed;
};

std::vector<Answer> answer(Engine& engine, const std::vector<Problem>& all) {
  std::vector<Answer> out(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    Request r;
    r.prompt = engine.apply_chat_template(nlohmann::json::array({{{"role", "user"}, {"content", all[i].prompt}}}).dump());
    r.sampling.temperature = 0;
    r.sampling.max_tokens = 256;
    r.on_event = [&out, i](const RequestEvent& e) {
      out[i].streamed += e.new_text;
      if (e.finished) out[i].ids = e.completion->token_ids, out[i].text = e.completion->text;
    };
    engine.submit(std::move(r));
  }
  while (engine.step()) {
  }
  return out;
}

EngineOptions options(const char* dtype) {
  EngineOptions o;
  o.model = kModel;
  o.dtype = dtype;
  o.kv_cache_memory_bytes = 256 << 20;
  return o;
}

TEST(Abacus, PromptsTokenizeAsInTransformers) {
  Engine engine(options("float32"));
  for (const Problem& p : problems()) {
    const std::string text = engine.apply_chat_template(nlohmann::json::array({{{"role", "user"}, {"content", p.prompt}}}).dump());
    EXPECT_EQ(engine.tokenizer()->encode(text, true), p.prompt_ids);
  }
}

TEST(Abacus, GreedyTokensInFloatEqualTransformers) {
  Engine engine(options("float32"));
  const auto all = problems();
  ASSERT_EQ(all.size(), 32u);
  const auto answers = answer(engine, all);
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_GE(all[i].margin, 1e-4);
    EXPECT_EQ(answers[i].ids, all[i].ids) << all[i].prompt;
    EXPECT_EQ(answers[i].text, answers[i].streamed);
  }
}

std::string number_of(const std::string& text) {
  const size_t at = text.rfind("####");
  return at == std::string::npos ? "" : text.substr(at + 4);
}

/// Rounding to bf16 may word a step differently; the number that a problem asks for must not change.
TEST(Abacus, Bfloat16GivesTheSameAnswers) {
  Engine exact(options("float32")), rounded(options("auto"));
  EXPECT_EQ(rounded.model().dtype, "bf16");
  const auto all = problems();
  const auto expected = answer(exact, all), got = answer(rounded, all);
  int equal = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_FALSE(number_of(expected[i].text).empty()) << all[i].prompt;
    EXPECT_EQ(number_of(got[i].text), number_of(expected[i].text)) << all[i].prompt;
    equal += got[i].ids == all[i].ids;
  }
  EXPECT_GE(equal, 28) << "of " << all.size() << " are equal token for token";
}

}  // namespace
}  // namespace attune
