#include "loader/generation_config.h"

#include <gtest/gtest.h>

#include "loader_files.h"

namespace attune {
namespace {

TEST(GenerationConfig, ReadsWhatTheFileSays) {
  const TestFolder folder;
  EXPECT_FALSE(GenerationConfig::load(folder.path()).temperature);
  folder.write("generation_config.json",
               R"({"bos_token_id":151643,"do_sample":true,"eos_token_id":[151645,151643],"temperature":0.6,"top_k":20,"top_p":0.95,
      "min_p":null,"repetition_penalty":1.05,"max_new_tokens":2048,"transformers_version":"4.51.0"})");
  const GenerationConfig c = GenerationConfig::load(folder.path());
  EXPECT_EQ(c.do_sample, true);
  EXPECT_EQ(c.temperature, 0.6);
  EXPECT_EQ(c.top_k, 20);
  EXPECT_EQ(c.top_p, 0.95);
  EXPECT_FALSE(c.min_p);
  EXPECT_EQ(c.repetition_penalty, 1.05);
  EXPECT_EQ(c.max_new_tokens, 2048);
  EXPECT_EQ(c.bos_token_id, 151643);
  EXPECT_EQ(c.eos_token_ids, (std::vector<int64_t>{151645, 151643}));
}

TEST(GenerationConfig, RefusesWhatIsOutOfBounds) {
  for (const char* bad :
       {R"("temperature":-1)", R"("temperature":"x")", R"("top_p":1.5)", R"("top_p":-0.1)", R"("top_k":-2)", R"("top_k":1.5)", R"("min_p":2)",
        R"("repetition_penalty":0)", R"("max_new_tokens":0)", R"("do_sample":1)", R"("eos_token_id":"x")", R"("eos_token_id":[1,2.5])"})
    EXPECT_NE(error_of([&] {
                GenerationConfig::parse(nlohmann::json::parse(std::string("{") + bad + "}"));
              }).find("InvalidArgument generation_config.json: "),
              std::string::npos)
        << bad;
}

}  // namespace
}  // namespace attune
