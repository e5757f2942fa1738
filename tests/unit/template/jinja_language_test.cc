#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "loader/chat_template.h"
#include "loader/jinja_number.h"
#include "loader/jinja_print.h"
#include "loader/jinja_text.h"

namespace attune::jinja {
namespace {

std::string render(std::string_view source) { return ChatTemplate::parse(source).render(nlohmann::ordered_json::array({"m", "n"}), false); }

using Pairs = std::vector<std::pair<const char*, const char*>>;

void expect_all(const Pairs& pairs) {
  for (const auto& [source, text] : pairs) EXPECT_EQ(render(source), text) << source;
}

TEST(JinjaSpace, BlocksAreTrimmed) {
  expect_all({
      {"a\n  {% if 1 %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
      {"a {%- if 1 -%} b {%- endif %} c", "ab c"},
      {"  {%+ if 1 %}x{% endif +%}\ny", "  x\ny"},
      {" {{ 1 }}\n{# c #}\nx", " 1\nx"},
      {"{% raw %}\n{{ x }}{% endraw %}\ny", "\n{{ x }}y"},
      {"a\r\nb\rc\r\n", "a\nb\nc"},
      {"x\n\n", "x\n"},
  });
}

TEST(JinjaScope, LoopsAndBlocksKeepWhatTheySet) {
  expect_all({
      {"{% set x = 0 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}", "120"},
      {"{% if true %}{% set x = 1 %}{% endif %}{{ x }}", "1"},
      {"{% for i in [1] %}{{ tools }}{% endfor %}{% set tools = 2 %}", ""},
      {"{% for i in [1] %}{% if false %}{% set tools = 2 %}{% endif %}{{ tools }}{% endfor %}", "None"},
      {"{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}", "2"},
      {"{% set x %}{% set y = 1 %}a{% endset %}{{ x }}{{ y is defined }}", "aFalse"},
  });
}

TEST(JinjaLoop, ControlsAndProperties) {
  expect_all({
      {"{% for i in [5, 6, 7] %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.last }} {% endfor %}", "12False 21False 30True "},
      {"{% for i in range(9) if i is odd %}{{ i }}{% if loop.index == 2 %}{% break %}{% endif %}{% endfor %}", "13"},
      {"{% for i in [1, 2] %}{% continue %}{% else %}none{% endfor %}", "none"},
      {"{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"},
      {"{% set ns = namespace(n=0) %}{% for i in range(5) if ns.n < 2 %}{% set ns.n = ns.n + 1 %}{{ i }}{% endfor %}", "01"},
  });
}

TEST(JinjaExpression, PythonsPrecedence) {
  expect_all({
      {"{{ 2 + 3 * 4 ** 2 }}", "50"},
      {"{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}", "-4 2 3.5"},
      {"{{ 1 < 2 < 3 }}{{ not 1 == 2 }}{{ 'a' not in 'bc' }}", "TrueTrueTrue"},
      {"{{ 1 ~ 2 * 3 }}", "16"},
      {"{{ 'a' ~ 1 | string ~ none }}", "a1None"},
      {"{{ 1 if false }}|{{ 1 if false else 2 if true else 3 }}", "|2"},
      {"{{ 'héllo'[::-1] }}{{ 'héllo'[1:3] }}{{ [1, 2, 3][-1] }}", "olléhél3"},
  });
}

TEST(JinjaPrint, AsPythonPrints) {
  expect_all({
      {"{{ [1, 2.0, none, true, 'a', \"it's\", (1,), {'k': []}] }}", "[1, 2.0, None, True, 'a', \"it's\", (1,), {'k': []}]"},
      {"{{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 0.1 + 0.2 }}", "1e+16 1000000000000000.0 0.0001 1e-05 0.30000000000000004"},
      {"{{ {'a': [1, {'b': '\"<é>'}]} | tojson }}", "{\"a\": [1, {\"b\": \"\\\"<é>\"}]}"},
      {"{{ {'a': [1, []]} | tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    []\n  ]\n}"},
  });
}

TEST(JinjaText, Case) {
  EXPECT_EQ(upper("straße ǆ ﬁ"), "STRASSE Ǆ FI");
  EXPECT_EQ(lower("ΟΔΟΣ Σ ΣΑ"), "οδος σ σα");
  EXPECT_EQ(title("they're ǆ"), "They'Re ǅ");
  EXPECT_EQ(capitalize("ÉCOLE"), "École");
}

TEST(JinjaText, SplitsAndStrips) {
  EXPECT_EQ(split(" a  b ", std::nullopt, 1), (std::vector<std::string_view>{"a", "b "}));
  EXPECT_EQ(rsplit("a,b,c", ",", 1), (std::vector<std::string_view>{"a,b", "c"}));
  EXPECT_EQ(split_lines("a\r\nb\u2028c\n", false), (std::vector<std::string_view>{"a", "b", "c"}));
  EXPECT_EQ(strip("éaé", "é", true, true), "a");
  EXPECT_EQ(strip("\u3000x\u00a0", std::nullopt, true, true), "x");
  EXPECT_EQ(replace("aé", "", ".", -1, 100), ".a.é.");
}

TEST(JinjaNumber, ReadsAsPythonReads) {
  EXPECT_EQ(parse_integer(" -1_0 ", 10), -10);
  EXPECT_EQ(parse_integer("0xFf", 16), 255);
  EXPECT_EQ(parse_integer("1__0", 10), std::nullopt);
  EXPECT_EQ(parse_integer("-9223372036854775808", 10), INT64_MIN);
  EXPECT_THROW(parse_integer("9223372036854775808", 10), Mistake);
  EXPECT_EQ(parse_real(".5e1"), 5.0);
  EXPECT_EQ(parse_real("0x10"), std::nullopt);
  EXPECT_EQ(float_text(5e-324), "5e-324");
  EXPECT_EQ(float_text(-HUGE_VAL), "-inf");
}

}  // namespace
}  // namespace attune::jinja
