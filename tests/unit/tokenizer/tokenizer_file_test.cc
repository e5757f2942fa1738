#include <attune/error.h>
#include <attune/tokenizer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tokenizer_json_text.h"

namespace attune {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct BadFile {
  const char* name;
  std::function<void(json&)> spoil;
  ErrorCode code;
  const char* message;
};

class BadTokenizer : public testing::TestWithParam<BadFile> {};

TEST_P(BadTokenizer, IsRefusedByName) {
  json j = byte_level_json({{"h", "e"}});
  GetParam().spoil(j);
  try {
    Tokenizer::from_json(j.dump());
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), GetParam().code) << e.what();
    EXPECT_THAT(e.what(), HasSubstr(GetParam().message));
    EXPECT_THAT(e.what(), HasSubstr(": expected "));
    EXPECT_THAT(e.what(), HasSubstr("; got "));
  }
}

json split(const char* pattern) { return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}}; }

json token(int id, const char* content) { return {{"id", id}, {"content", content}, {"special", true}}; }

constexpr ErrorCode kInvalid = ErrorCode::invalid_argument;
constexpr ErrorCode kNot = ErrorCode::not_supported;

INSTANTIATE_TEST_SUITE_P(
    File, BadTokenizer,
    testing::Values(
        BadFile{"no_model", [](json& j) { j.erase("model"); }, kInvalid, "model"},
        BadFile{"model_type", [](json& j) { j["model"]["type"] = "Unigram"; }, kNot, "expected one of BPE; got \"Unigram\""},
        BadFile{"no_vocab", [](json& j) { j["model"].erase("vocab"); }, kInvalid, "vocab"},
        BadFile{"vocab_list", [](json& j) { j["model"]["vocab"] = {1, 2}; }, kInvalid, "vocab"},
        BadFile{"no_merges", [](json& j) { j["model"].erase("merges"); }, kInvalid, "merges"},
        BadFile{"merges_object", [](json& j) { j["model"]["merges"] = json::object(); }, kInvalid, "merges"},
        BadFile{"empty", [](json& j) { j["model"]["vocab"] = json::object(), j["model"]["merges"] = json::array(); }, kInvalid, "at least one token"},
        BadFile{"id_text", [](json& j) { j["model"]["vocab"]["x"] = "7"; }, kInvalid, "model.vocab[\"x\"]: expected an id; got string"},
        BadFile{"id_float", [](json& j) { j["model"]["vocab"]["x"] = 7.5; }, kInvalid, "model.vocab[\"x\"]"},
        BadFile{"id_negative", [](json& j) { j["model"]["vocab"]["x"] = -1; }, kInvalid, "model.vocab[\"x\"]: expected an id from 0 to 16777215; got -1"},
        BadFile{"id_far", [](json& j) { j["model"]["vocab"]["x"] = (1 << 24) - 1; }, kInvalid, "got 16777215"},
        BadFile{"added_id_far", [](json& j) { j["added_tokens"].push_back({{"id", (1 << 24) - 1}, {"content", "<far>"}}); }, kInvalid, "got 16777215"},
        BadFile{"id_huge", [](json& j) { j["model"]["vocab"]["x"] = 1 << 24; }, kInvalid, "got 16777216"},
        BadFile{"id_64_bits", [](json& j) { j["model"]["vocab"]["x"] = UINT64_MAX; }, kInvalid, "model.vocab[\"x\"]"},
        BadFile{"id_object", [](json& j) { j["model"]["vocab"]["x"] = json::object(); }, kInvalid, "model.vocab[\"x\"]"},
        BadFile{"id_twice", [](json& j) { j["model"]["vocab"]["xx"] = 7; }, kInvalid, "expected one token an id; got id 7"},
        BadFile{"merge_unknown", [](json& j) { j["model"]["merges"].push_back({"h", "nope"}); }, kInvalid, "model.merges[1]: expected tokens of the vocabulary; got \"nope\""},
        BadFile{"merge_result", [](json& j) { j["model"]["merges"].push_back({"q", "q"}); }, kInvalid, "model.merges[1]: expected tokens of the vocabulary; got \"qq\""},
        BadFile{"merge_three", [](json& j) { j["model"]["merges"].push_back({"h", "e", "l"}); }, kInvalid, "model.merges[1]"},
        BadFile{"merge_one", [](json& j) { j["model"]["merges"].push_back(json::array({"h"})); }, kInvalid, "model.merges[1]: expected a pair of tokens; got 1"},
        BadFile{"merge_number", [](json& j) { j["model"]["merges"].push_back(7); }, kInvalid, "model.merges[1]"},
        BadFile{"merge_spaces", [](json& j) { j["model"]["merges"].push_back("h e l"); }, kInvalid, "model.merges[1]"},
        BadFile{"merge_empty", [](json& j) { j["model"]["merges"].push_back("h "); }, kInvalid, "model.merges[1]"},
        BadFile{"merge_nested", [](json& j) { j["model"]["merges"].push_back(json::array({"h", json::array({"e"})})); }, kInvalid, "model.merges[1]"},
        BadFile{"dropout", [](json& j) { j["model"]["dropout"] = 0.1; }, kNot, "model.dropout: expected null or 0; got 0.1"},
        BadFile{"suffix", [](json& j) { j["model"]["end_of_word_suffix"] = "</w>"; }, kNot, "end_of_word_suffix"},
        BadFile{"unk_absent", [](json& j) { j["model"]["unk_token"] = "<unk>"; }, kInvalid, "unk_token"},
        BadFile{"unk_type", [](json& j) { j["model"]["unk_token"] = 3; }, kInvalid, "model.unk_token: expected text; got number"},
        BadFile{"fuse_type", [](json& j) { j["model"]["fuse_unk"] = "yes"; }, kInvalid, "model.fuse_unk"},
        BadFile{"normalizer", [](json& j) { j["normalizer"] = {{"type", "Nmt"}}; }, kNot, "normalizer.type: expected one of NFC,"},
        BadFile{"normalizer_type", [](json& j) { j["normalizer"] = 7; }, kInvalid, "normalizer: expected an object"},
        BadFile{"pre_tokenizer", [](json& j) { j["pre_tokenizer"] = {{"type", "UnicodeScripts"}}; }, kNot, "got \"UnicodeScripts\""},
        BadFile{"nested", [](json& j) { j["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {split("a"), {{"type", "Zzz"}}}}}; }, kNot, "pre_tokenizer.pretokenizers[1].type"},
        BadFile{"decoder", [](json& j) { j["decoder"] = {{"type", "WordPiece"}}; }, kNot, "decoder.type"},
        BadFile{"post", [](json& j) { j["post_processor"] = {{"type", "BertProcessing"}}; }, kNot, "post_processor.type"},
        BadFile{"regex", [](json& j) { j["pre_tokenizer"] = split("(a"); }, kInvalid, "expected a regular expression; got \"(a\""},
        BadFile{"regex_boundary", [](json& j) { j["pre_tokenizer"] = split("\\bx"); }, kNot, "\\b at offset 0"},
        BadFile{"regex_class", [](json& j) { j["pre_tokenizer"] = split("[a&&b]"); }, kNot, "&&"},
        BadFile{"regex_flag", [](json& j) { j["pre_tokenizer"] = split("(?m:a)"); }, kNot, "(?m:"},
        BadFile{"regex_depth", [](json& j) { j["pre_tokenizer"] = split((std::string(5000, '(') + std::string(5000, ')')).c_str()); }, kInvalid, "nested"},
        BadFile{"behavior", [](json& j) { j["pre_tokenizer"] = split("a"), j["pre_tokenizer"]["behavior"] = "Loud"; }, kNot, "behavior"},
        BadFile{"pattern_empty", [](json& j) { j["pre_tokenizer"] = split("a"), j["pre_tokenizer"]["pattern"] = {{"String", ""}}; }, kInvalid, "pattern.String"},
        BadFile{"pattern_both", [](json& j) { j["pre_tokenizer"] = split("a"), j["pre_tokenizer"]["pattern"]["String"] = "b"; }, kInvalid, "pattern"},
        BadFile{"metaspace", [](json& j) { j["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "ab"}}; }, kInvalid, "expected one character"},
        BadFile{"added_type", [](json& j) { j["added_tokens"] = json::object(); }, kInvalid, "added_tokens: expected an array"},
        BadFile{"added_id", [](json& j) { j["added_tokens"] = {token(-4, "<x>")}; }, kInvalid, "added_tokens[0].id"},
        BadFile{"added_no_id", [](json& j) { j["added_tokens"] = {{{"content", "<x>"}}}; }, kInvalid, "expected a member \"id\""},
        BadFile{"added_taken", [](json& j) { j["added_tokens"] = {token(7, "<x>")}; }, kInvalid, "expected an id of its own"},
        BadFile{"added_other", [](json& j) { j["added_tokens"] = {token(300, "he")}; }, kInvalid, "expected id 256, as in the vocabulary; got 300"},
        BadFile{"added_twice", [](json& j) { j["added_tokens"] = {token(300, "<x>"), token(301, "<x>")}; }, kInvalid, "expected one id"},
        BadFile{"added_long", [](json& j) { j["added_tokens"] = {token(300, std::string(5000, 'x').c_str())}; }, kInvalid, "at most 4096 bytes"},
        BadFile{"template_id",
                [](json& j) {
                  const json single = {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}};
                  j["post_processor"] = {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", {{"<s>", {{"ids", {999}}}}}}};
                },
                kInvalid, "expected ids below 257; got 999"},
        BadFile{"template_name",
                [](json& j) {
                  const json single = {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}};
                  j["post_processor"] = {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", json::object()}};
                },
                kInvalid, "expected a member \"<s>\""},
        BadFile{"template_text",
                [](json& j) { j["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::array()}, {"special_tokens", json::object()}}; },
                kInvalid, "the sequence \"A\""}),
    [](const auto& bad) { return bad.param.name; });

TEST(TokenizerFile, BrokenText) {
  for (const char* text : {"", "{", "[]", "7", "{\"a\": 1, \"a\": 2}", "{} x", "{\"a\": \"\xff\"}", "{\"model\": {\"vocab\": {\"a\": 0", "nul",
                           "{\"model\":{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}"}) {
    EXPECT_THROW(Tokenizer::from_json(text), Error) << text;
  }
}

TEST(TokenizerFile, Depth) {
  const std::string text = "{\"x\": " + std::string(1000000, '[') + std::string(1000000, ']') + "}";
  try {
    Tokenizer::from_json(text);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("expected at most 64 levels of nesting"));
  }
}

TEST(TokenizerFile, RunawayPatternIsAnError) {
  json j = byte_level_json({});
  j["pre_tokenizer"] = split("(?:a|aa)+[xy]");
  const auto t = Tokenizer::from_json(j.dump());
  try {
    t->encode(std::string(200, 'a'), false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), kNot);
    EXPECT_THAT(e.what(), HasSubstr("within its limits"));
  }
}

TEST(TokenizerFile, BadConfig) {
  const std::string good = byte_level_json({}).dump();
  EXPECT_THROW(Tokenizer::from_json(good, "[]"), Error);
  EXPECT_THROW(Tokenizer::from_json(good, R"({"bos_token": 7})"), Error);
  EXPECT_THROW(Tokenizer::from_json(good, R"({"bos_token": {"text": "x"}})"), Error);
}

}  // namespace
}  // namespace attune
