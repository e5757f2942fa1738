#include <attune/error.h>
#include <attune/tokenizer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <thread>

#include "core/utf8.h"
#include "tokenizer_json_text.h"

namespace attune {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> made(const json& j) { return Tokenizer::from_json(j.dump()); }

json added(int id, const char* content, const json& more = {}) {
  json t = {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
            {"rstrip", false}, {"normalized", false}, {"special", false}};
  if (more.is_object()) t.update(more);
  return t;
}

json english() { return byte_level_json({{"h", "e"}, {"Ġ", "t"}, {"Ġt", "he"}, {"l", "l"}}); }

TEST(Tokenizer, MergesByRankNotByPlace) {
  const auto t = made(byte_level_json({{"b", "c"}, {"a", "b"}, {"a", "bc"}}));
  EXPECT_THAT(t->encode("abc", false), ElementsAre(258));
  EXPECT_THAT(t->encode("ab", false), ElementsAre(257));
  EXPECT_THAT(t->encode("abab", false), ElementsAre(257, 257));
  EXPECT_THAT(t->encode("aabcb", false), ElementsAre('a', 258, 'b'));
}

TEST(Tokenizer, LongWordMergesAsShortOnesDo) {
  const auto t = made(byte_level_json({{"a", "a"}, {"aa", "aa"}, {"b", "a"}}));
  std::string text;
  for (int i = 0; i < 200; ++i) text += "aaaab";
  const Ids ids = t->encode(text, false);
  ASSERT_EQ(ids.size(), 400u);
  for (size_t i = 0; i < ids.size(); i += 2) {
    EXPECT_EQ(ids[i], 257);
    EXPECT_EQ(ids[i + 1], 'b');
  }
}

TEST(Tokenizer, ByteLevelCutsAsGpt2) {
  const auto t = made(english());
  EXPECT_THAT(t->encode("the the'll", false), ElementsAre('t', 256, 258, '\'', 259));
  EXPECT_EQ(t->decode(t->encode("the the'll  é\n", false), false), "the the'll  é\n");
}

TEST(Tokenizer, IgnoreMergesTakesWholeWords) {
  json j = english();
  j["model"]["vocab"]["zq"] = 300;
  EXPECT_THAT(made(j)->encode("zq", false), ElementsAre('z', 'q'));
  j["model"]["ignore_merges"] = true;
  EXPECT_THAT(made(j)->encode("zq", false), ElementsAre(300));
}

TEST(Tokenizer, BrokenUtf8NamesItsOffset) {
  const auto t = made(english());
  try {
    t->encode("abc\xff", false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_STREQ(e.what(), "tokenizer: expected UTF-8; got byte 0xff at offset 3");
  }
  for (const char* broken : {"\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xb8", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_THROW(t->encode(broken, false), Error) << broken;
  }
}

TEST(Tokenizer, LossyReplacesMaximalBrokenParts) {
  const auto t = made(english());
  const auto text = [&](std::string_view s) { return t->decode(t->encode(s, {.lossy = true}), false); };
  EXPECT_EQ(text("a\xff\xfe"), "a\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(text("\xe4\xb8z"), "\xef\xbf\xbdz");
  EXPECT_EQ(text("\xf0\x9f\x98"), "\xef\xbf\xbd");
  EXPECT_EQ(text("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Tokenizer, SentencePieceStyle) {
  const auto t = made(sentencepiece_json({"▁", "a", "b", "▁a", "▁ab"}, {{"▁", "a"}, {"▁a", "b"}}));
  EXPECT_THAT(t->encode("ab", true), ElementsAre(1, 263));
  EXPECT_THAT(t->encode("ab a", false), ElementsAre(263, 262));
  EXPECT_THAT(t->encode("aé", false), ElementsAre(262, 3 + 0xc3, 3 + 0xa9));
  EXPECT_THAT(t->encode("", true), ElementsAre(1));
  EXPECT_EQ(t->decode(Ids{1, 263, 262, 3 + 0xc3, 3 + 0xa9, 2}, true), "ab aé");
  EXPECT_EQ(t->decode(Ids{1, 263}, false), "<s> ab");
  EXPECT_EQ(t->decode(Ids{263, 3 + 0xc3, 3 + 0xc3}, true), "ab\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Tokenizer, UnknownCharacters) {
  json j = sentencepiece_json({"▁", "a"}, {});
  j["model"]["byte_fallback"] = false;
  EXPECT_THAT(made(j)->encode("aéé", false), ElementsAre(259, 260, 0));
  j["model"]["fuse_unk"] = false;
  EXPECT_THAT(made(j)->encode("aéé", false), ElementsAre(259, 260, 0, 0));
  j["model"]["unk_token"] = nullptr;
  EXPECT_THAT(made(j)->encode("aéé", false), ElementsAre(259, 260));
}

TEST(Tokenizer, AddedTokens) {
  json j = english();
  j["added_tokens"] = {added(300, "<|end|>", {{"special", true}}), added(301, "<|end|>>"), added(302, "[l]", {{"lstrip", true}}),
                       added(303, "[r]", {{"rstrip", true}}), added(304, "wd", {{"single_word", true}})};
  const auto t = made(j);
  EXPECT_THAT(t->encode("a<|end|>b", false), ElementsAre('a', 300, 'b'));
  EXPECT_THAT(t->encode("<|end|>>", false), ElementsAre(301)) << "the longest wins";
  EXPECT_THAT(t->encode("<|end|", false), ElementsAre('<', '|', 'e', 'n', 'd', '|'));
  EXPECT_THAT(t->encode("a \n [l] b", false), ElementsAre('a', 302, 32, 'b'));
  EXPECT_THAT(t->encode("a [r]\xe3\x80\x80 b", false), ElementsAre('a', 32, 303, 'b'));
  EXPECT_THAT(t->encode("wd xwd wd1 wd", false), ElementsAre(304, 32, 'x', 'w', 'd', 32, 'w', 'd', '1', 32, 304));
  EXPECT_THAT(t->encode("<|end|>", {.parse_special = false}), ElementsAre('<', '|', 'e', 'n', 'd', '|', '>'));
  EXPECT_TRUE(t->is_special(300));
  EXPECT_FALSE(t->is_special(301));
  EXPECT_FALSE(t->is_special(-1));
  EXPECT_FALSE(t->is_special(1 << 30));
  EXPECT_EQ(t->decode(Ids{'a', 300, 301}, true), "a<|end|>>");
  EXPECT_EQ(t->decode(Ids{'a', 300, 301}, false), "a<|end|><|end|>>");
  EXPECT_EQ(t->vocab_size(), 305);
  EXPECT_EQ(t->token(300), "<|end|>");
  EXPECT_EQ(t->token(299), "");
  EXPECT_EQ(t->id("<|end|>"), 300);
  EXPECT_EQ(t->id("Ġthe"), 258);
  EXPECT_EQ(t->id("nothing"), std::nullopt);
}

TEST(Tokenizer, NormalizedAddedTokenIsFoundInItsNormalForm) {
  json j = english();
  j["normalizer"] = {{"type", "NFC"}};
  j["added_tokens"] = {added(300, "\xc3\x85ng", {{"normalized", true}})};
  EXPECT_THAT(made(j)->encode("A\xcc\x8ang", false), ElementsAre(300));
}

TEST(Tokenizer, NormalFormSortsMarksInGoodTime) {
  json j = english();
  j["normalizer"] = {{"type", "NFC"}};
  const auto t = made(j);
  std::string text = "a";
  for (int i = 0; i < 200000; ++i) text += "\xcc\x81";  // class 230
  for (int i = 0; i < 200000; ++i) text += "\xcc\x96";  // class 220: all must move before them
  const std::clock_t begin = std::clock();              // time of computing: a busy machine fails nobody
  const std::string back = t->decode(t->encode(text, false), false);
  EXPECT_LT(std::clock() - begin, 20 * CLOCKS_PER_SEC);
  EXPECT_EQ(back.substr(0, 3), "\xc3\xa1\xcc");
  EXPECT_EQ(back.substr(2, 2), "\xcc\x96");
}

TEST(Tokenizer, OneHugeWordInGoodTime) {
  const std::clock_t begin = std::clock();  // time of computing: a busy machine fails nobody
  const auto t = made(sentencepiece_json({"▁", "a", "b", "ab", "abab"}, {{"a", "b"}, {"ab", "ab"}}));
  std::string text;
  for (int i = 0; i < 500000; ++i) text += "ab";
  EXPECT_EQ(t->encode(text, false).size(), 250001u);
  EXPECT_LT(std::clock() - begin, 20 * CLOCKS_PER_SEC);
}

TEST(Tokenizer, ConfigNamesTokens) {
  const auto t = Tokenizer::from_json(english().dump(), R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null})");
  EXPECT_EQ(t->bos_token(), "<s>");
  EXPECT_EQ(t->eos_token(), "</s>");
  EXPECT_EQ(t->pad_token(), "");
  EXPECT_EQ(t->unk_token(), "");
}

TEST(Tokenizer, LoadsAFolder) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "attune_tokenizer_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  try {
    Tokenizer::load(folder);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::io_error);
    EXPECT_THAT(e.what(), HasSubstr("tokenizer.json: expected"));
  }
  std::ofstream(folder / "tokenizer.json") << english();
  EXPECT_THAT(Tokenizer::load(folder)->encode("the", false), ElementsAre('t', 256));
  std::filesystem::remove_all(folder);
}

TEST(Tokenizer, IsSharedBetweenThreads) {
  const auto t = made(english());
  const std::string text = "the whole the telling of the hell the";
  const Ids expected = t->encode(text, false);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t k = 0; k < wrong.size(); ++k) {
    threads.emplace_back([&, k] {
      for (int i = 0; i < 200; ++i) wrong[k] += t->encode(text, false) != expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST(Tokenizer, DecodeSkipsUnusedIdsAndRefusesNegativeOnes) {
  const auto t = made(english());
  EXPECT_EQ(t->decode(Ids{'a', 100000, 'b'}, false), "ab");
  EXPECT_THROW(t->decode(Ids{-1}, false), Error);
  EXPECT_EQ(t->decode(Ids{}, false), "");
}

/// Pieces of a stream; each must be valid UTF-8.
std::vector<std::string> streamed(const std::shared_ptr<const Tokenizer>& t, const Ids& ids) {
  StreamDecoder stream(t, true);
  std::vector<std::string> pieces;
  for (const int32_t id : ids) pieces.push_back(stream.push(id));
  pieces.push_back(stream.flush());
  for (const std::string& p : pieces) EXPECT_TRUE(utf8_valid(p));
  return pieces;
}

TEST(StreamDecoder, HoldsBackHalfCharacters) {
  const auto t = made(english());
  EXPECT_THAT(streamed(t, {'a', 0xf0, 0x9f, 0x98, 0x80, 'b'}), ElementsAre("a", "", "", "", "\xf0\x9f\x98\x80", "b", ""));
  EXPECT_THAT(streamed(t, {0xf0, 0x9f, 'b'}), ElementsAre("", "",
                                                          "\xef\xbf\xbd"
                                                          "b",
                                                          ""));
  EXPECT_THAT(streamed(t, {0xe4, 0xb8}), ElementsAre("", "", "\xef\xbf\xbd"));
  EXPECT_THAT(streamed(t, {0xff, 0xc3, 0xa9}), ElementsAre("\xef\xbf\xbd", "", "é", ""));
}

TEST(StreamDecoder, HoldsBackByteTokens) {
  const auto t = made(sentencepiece_json({"▁", "a"}, {}));
  EXPECT_THAT(streamed(t, {259, 260, 3 + 0xc3, 3 + 0xa9, 260}), ElementsAre("", "a", "", "", "éa", ""));
  EXPECT_THAT(streamed(t, {3 + 0xc3, 2, 3 + 0xa9}), ElementsAre("", "", "", "é")) << "a skipped special token does not end a run";
  EXPECT_THAT(streamed(t, {260, 259, 3 + 0xc3}), ElementsAre("a", " ", "", "\xef\xbf\xbd"));
}

TEST(StreamDecoder, BeginsAnewAfterFlush) {
  const auto t = made(sentencepiece_json({"▁", "a"}, {}));
  StreamDecoder stream(t, true);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(stream.push(259), "");
    EXPECT_EQ(stream.push(260), "a");
    EXPECT_EQ(stream.flush(), "");
  }
}

TEST(StreamDecoder, EqualsDecodeWithEveryDecoder) {
  const json replace = {{"type", "Replace"}, {"pattern", {{"String", "ab"}}}, {"content", "_"}};
  const json regex = {{"type", "Replace"}, {"pattern", {{"Regex", "a+"}}}, {"content", "-"}};
  const json strip = {{"type", "Strip"}, {"content", "a"}, {"start", 2}, {"stop", 1}};
  const json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}, {"split", true}};
  const json fuse = {{"type", "Fuse"}};
  const json bytes = {{"type", "ByteFallback"}};
  const std::vector<json> chains = {nullptr,
                                    {{"type", "ByteLevel"}},
                                    metaspace,
                                    replace,
                                    strip,
                                    {{"type", "Sequence"}, {"decoders", {fuse, replace, strip}}},
                                    {{"type", "Sequence"}, {"decoders", {fuse, metaspace, regex}}},
                                    {{"type", "Sequence"}, {"decoders", {fuse, bytes}}},
                                    {{"type", "Sequence"}, {"decoders", {bytes, replace, fuse}}}};
  for (const json& chain : chains) {
    json j = sentencepiece_json({"▁", "a", "b"}, {});
    j["decoder"] = chain;
    const auto t = made(j);
    for (const Ids& ids : {Ids{259, 260, 261, 260, 260}, Ids{260, 260, 260, 259, 261}, Ids{3 + 0xc3, 260, 3 + 0xc3, 3 + 0xa9}, Ids{}}) {
      std::string joined;
      for (const std::string& p : streamed(t, ids)) joined += p;
      EXPECT_EQ(joined, t->decode(ids, true)) << chain;
    }
  }
}

}  // namespace
}  // namespace attune
