#include "loader/tokenizer_unicode.h"

#include <attune/error.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/tokenizer_regex.h"

namespace attune {
namespace {

using testing::ElementsAre;

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  const TokenizerRegex regex(pattern, "test");
  std::vector<std::string> out;
  regex.for_each_match(text, [&](size_t begin, size_t end) { out.emplace_back(text.substr(begin, end - begin)); });
  return out;
}

TEST(TokenizerUnicode, NormalForms) {
  EXPECT_EQ(normalized("e\xcc\x81", NormalForm::nfc), "\xc3\xa9");
  EXPECT_EQ(normalized("\xc3\xa9", NormalForm::nfd), "e\xcc\x81");
  EXPECT_EQ(normalized("\xef\xac\x81\xc2\xbd", NormalForm::nfkc),
            "fi1\xe2\x81\x84"
            "2");
  EXPECT_EQ(normalized("\xea\xb0\x81", NormalForm::nfd), "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8");
  EXPECT_EQ(normalized("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", NormalForm::nfc), "\xea\xb0\x81");
  EXPECT_EQ(normalized("a\xcc\x81\xcc\x96", NormalForm::nfd), "a\xcc\x96\xcc\x81") << "marks are ordered by class";
  EXPECT_EQ(normalized(std::string_view("\0e\xcc\x81", 4), NormalForm::nfc), std::string_view("\0\xc3\xa9", 3));
  EXPECT_EQ(normalized("", NormalForm::nfkd), "");
}

TEST(TokenizerUnicode, CharactersYoungerThanTheNormaliserAreLeftAlone) {
  const std::string pair = "\xf0\x91\xa4\xb5\xf0\x91\xa4\xb0";  // U+11935 U+11930, which Unicode 13 composes
  EXPECT_EQ(normalized(pair, NormalForm::nfc), pair);
}

TEST(TokenizerUnicode, Lowercase) {
  EXPECT_EQ(lowercase("AÉΣİ"), "aéσi\xcc\x87");
  EXPECT_EQ(lowercase("\xea\x9f\x8b"), "\xc9\xa4") << "U+A7CB, of Unicode 16";
}

TEST(TokenizerUnicode, CategoriesAreThoseOfUnicode16) {
  EXPECT_THAT(matches(R"(\p{N}+)", "x\xf0\x90\xb5\x80\xf0\x90\xb5\x81y"), ElementsAre("\xf0\x90\xb5\x80\xf0\x90\xb5\x81"));  // Garay digits
  EXPECT_THAT(matches(R"(\p{Lu})", "\xe1\xb2\x89"), ElementsAre("\xe1\xb2\x89"));
  EXPECT_THAT(matches(R"(\s)", "\xe1\xa0\x8e \xc2\x85"), ElementsAre(" ", "\xc2\x85")) << "U+180E is no space";
  EXPECT_THAT(matches(R"(\w+)", "a\xcc\x81\xc2\xbd_9-"), ElementsAre("a\xcc\x81\xc2\xbd_9"));
  EXPECT_THAT(matches(R"(\p{Han})", "\xe3\x80\x81\xe4\xb8\xad"), ElementsAre("\xe4\xb8\xad")) << "the script, not its extensions";
  EXPECT_TRUE(is_numeric(0x10d40));
  EXPECT_TRUE(is_word(0x24b6));
  EXPECT_FALSE(is_white_space(0x180e));
}

TEST(TokenizerUnicode, Repair) {
  EXPECT_EQ(utf8_valid_prefix("ab\xc3\xa9\xff"), 4u);
  EXPECT_EQ(utf8_repaired("a\xf0\x9f\x98"
                          "b\xc3"),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
}

TEST(TokenizerRegex, EmptyMatches) {
  EXPECT_THAT(matches("x*", "axxb"), ElementsAre("", "xx", ""));
  EXPECT_THAT(matches("", "é"), ElementsAre("", ""));
}

TEST(TokenizerRegex, Translation) {
  EXPECT_EQ(oniguruma_to_pcre2(R"([\w.]\W\u00e9\p{^Han}[^\]\[])", "t"),
            R"([\p{L}\p{M}\p{N}\p{Pc}.][^\p{L}\p{M}\p{N}\p{Pc}]\x{00e9}\p{^sc:Han}[^\]\[])");
  for (const char* pattern :
       {R"(\b)", R"(\h)", R"([\W])", "[a[b]]", "[]a]", "a{,3}", "a{1,2}+", "(?m)a", "(?<n>a)", "(*SKIP)", R"(\p{Alpha})", R"(\X)", "\\", R"(\u12)"}) {
    EXPECT_THROW(oniguruma_to_pcre2(pattern, "t"), Error) << pattern;
  }
}

TEST(TokenizerRegex, ManySpacesInGoodTime) {
  const std::string text = std::string(300000, ' ') + "x";
  EXPECT_EQ(matches(R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", text).size(), 2u);
}

}  // namespace
}  // namespace attune
