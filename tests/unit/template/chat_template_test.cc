#include "loader/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "attune/error.h"

namespace attune {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;
using testing::StartsWith;

const ordered_json kMessages = {{{"role", "user"}, {"content", "Wie geht's? é"}}, {{"role", "assistant"}, {"content", nullptr}}};

std::string render(std::string_view source, const ordered_json& variables = ordered_json::object()) {
  return ChatTemplate::parse(source).render(kMessages, true, variables);
}

/// The message of the InvalidArgument that parsing or rendering ends with.
std::string error_of(std::string_view source, const TemplateLimits& limits = {}) {
  try {
    ChatTemplate::parse(source, limits).render(kMessages, false);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    return e.message();
  }
  return "no error";
}

TEST(ChatTemplate, RendersMessagesAndVariables) {
  EXPECT_EQ(render("{{ bos_token }}{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}{{ 'go' if add_generation_prompt }}",
                   {{"bos_token", "<s>"}}),
            "<s>[user:Wie geht's? é][assistant:None]go");
}

TEST(ChatTemplate, ToolsAndDocumentsAreNoneWhenNotGiven) {
  EXPECT_EQ(render("{{ tools is none }}{{ documents is none }}{{ enable_thinking is defined }}"), "TrueTrueFalse");
  EXPECT_EQ(render("{{ tools }}", {{"tools", {1}}}), "[1]");
}

TEST(ChatTemplate, KeepsTheOrderOfKeys) {
  EXPECT_EQ(render("{{ x | tojson }}", {{"x", {{"zebra", 1}, {"ant", 2.0}}}}), R"({"zebra": 1, "ant": 2.0})");
}

TEST(ChatTemplate, RendersAgainFromTheSameStart) {
  const ChatTemplate t = ChatTemplate::parse("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}");
  EXPECT_EQ(t.render(kMessages, false), "2");
  EXPECT_EQ(t.render(kMessages, false), "2");
}

TEST(ChatTemplate, PrintsTheTimeItIsGiven) {
  std::tm now{};
  now.tm_year = 124;
  now.tm_mon = 1;
  now.tm_mday = 29;
  EXPECT_EQ(ChatTemplate::parse("{{ strftime_now('%d %b %Y') }}").render(kMessages, false, ordered_json::object(), now), "29 Feb 2024");
}

TEST(ChatTemplate, TheTemplatesOwnExceptionIsTheMessage) {
  EXPECT_EQ(error_of("{% if messages[0].role != 'system' %}{{ raise_exception('Say ' ~ 1) }}{% endif %}"), "Say 1");
}

TEST(ChatTemplate, ErrorsNameLineAndCause) {
  EXPECT_EQ(error_of("a\n{{ x.y }}"), "chat_template line 2: expected a defined value before .y; got x, which is undefined");
  EXPECT_EQ(error_of("\n\n{{ messages[7].role }}"), "chat_template line 3: expected a defined value before .role; got 7 of list, which is undefined");
  EXPECT_EQ(error_of("{% if 1 %}\n"), "chat_template line 1: expected {% elif %} or {% else %} or {% endif %}; got the end of the template");
  EXPECT_EQ(error_of("\n{{ 1 | nope }}"), "chat_template line 2: expected the name of a filter; got 'nope'");
  EXPECT_EQ(error_of("{{ 'a' + 1 }}"), "chat_template line 1: expected values that + works on; got str and int");
  EXPECT_THAT(error_of("{% include 'x' %}"), StartsWith("chat_template line 1: expected if, for, set"));
  EXPECT_THAT(error_of("{{ 1 // 0 }}"), HasSubstr("expected a divisor other than 0; got 0"));
  EXPECT_THAT(error_of("{{ 9223372036854775807 + 1 }}"), HasSubstr("64 bits"));
  EXPECT_THAT(error_of("{{ 92233720368547758070 }}"), HasSubstr("64 bits"));
  EXPECT_THAT(error_of("{% set x = [] %}{{ x.append(1) }}"), HasSubstr("list.append, which templates may not use"));
  EXPECT_EQ(error_of("\xff"), "chat_template: expected a template in UTF-8; got other bytes");
}

TEST(ChatTemplate, MessagesMustBeText) {
  const ordered_json broken = {{{"role", "user"}, {"content", "\xc3"}}};
  EXPECT_THROW(ChatTemplate::parse("x").render(broken, false), Error);
  ordered_json deep = 1;
  for (int i = 0; i < 300; ++i) deep = ordered_json::array({deep});
  EXPECT_THROW(ChatTemplate::parse("x").render(deep, false), Error);
  EXPECT_THROW(ChatTemplate::parse("x").render(kMessages, false, ordered_json::array()), Error);
}

TEST(TemplateLimits, EachIsAnError) {
  TemplateLimits steps;
  steps.max_steps = 1000;
  EXPECT_EQ(error_of("{% for i in range(100000) %}{% endfor %}", steps), "chat_template: expected at most 1000 steps; got more");
  TemplateLimits output;
  output.max_output_bytes = 10;
  EXPECT_EQ(error_of("{{ 'a' * 11 }}", output), "chat_template: expected at most 10 bytes of output; got more");
  TemplateLimits text;
  text.max_text_bytes = 100;
  EXPECT_THAT(error_of("{{ ('a' * 101) | length }}", text), HasSubstr("text of at most 100 bytes"));
  EXPECT_THAT(error_of("{{ ('ab' * 40).replace('a', 'xyz') | length }}", text), HasSubstr("text of at most 100 bytes"));
  EXPECT_THAT(error_of("{{ '%200d' % 1 }}", text), HasSubstr("text of at most 100 bytes"));
  TemplateLimits items;
  items.max_items = 10;
  EXPECT_THAT(error_of("{{ ([1] * 11) | length }}", items), HasSubstr("lists of at most 10 items"));
  TemplateLimits size;
  size.max_template_bytes = 3;
  EXPECT_EQ(error_of("abcd", size), "chat_template: expected a template of at most 3 bytes; got 4");
}

std::string repeated(std::string_view s, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += s;
  return out;
}

TEST(TemplateLimits, NestingIsBounded) {
  const int n = 5000;
  for (const std::string& source : {
           "{{ " + repeated("(", n) + "1" + repeated(")", n) + " }}",
           "{{ " + repeated("[", n) + repeated("]", n) + " }}",
           "{{ " + repeated("{1:", n) + "1" + repeated("}", n) + " }}",
           "{{ " + repeated("not ", n) + "1 }}",
           "{{ " + repeated("-", n) + "1 }}",
           "{{ 1" + repeated(" + 1", n) + " }}",
           "{{ 1" + repeated(" or 1", n) + " }}",
           "{{ 1" + repeated(" if 1 else 1", n) + " }}",
           "{{ x" + repeated(".a", n) + " }}",
           "{{ x" + repeated("[0]", n) + " }}",
           "{{ x" + repeated("()", n) + " }}",
           "{{ " + repeated("f(", n) + repeated(")", n) + " }}",
           "{{ x" + repeated("|string", n) + " }}",
           "{{ x" + repeated(" is defined is defined", n) + " }}",
           repeated("{% if 1 %}", n) + repeated("{% endif %}", n),
           repeated("{% for x in y %}", n) + repeated("{% endfor %}", n),
           repeated("{% macro m() %}", n) + repeated("{% endmacro %}", n),
           "{% set " + repeated("(", n) + "a" + repeated(")", n) + " = 1 %}",
       }) {
    EXPECT_THAT(error_of(source), StartsWith("chat_template line 1: expected")) << source.substr(0, 40);
  }
}

TEST(TemplateLimits, HostileProgramsEnd) {
  for (const char* source : {
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
           "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
           "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ "
           "ns.x == ns.y }}",
           "{% set ns = namespace(x=[1]) %}{% for i in range(90) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
           "{% set ns = namespace(x=(1, 2)) %}{% for i in range(90) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}",
           "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}",
           "{% set ns = namespace(x='aaaaaaaaaa') %}{% for i in range(100) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
           "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
           "{{ 'x' * 9999999999 }}",
           "{{ [0] * 9999999999 }}",
           "{{ '{:9999999999}'.format(1) }}",
           "{{ 'a'.center(9999999999) }}",
           "{{ [1] | batch(9999999999, 1) | list }}",
           "{{ ' ' | indent(9999999999, true) }}",
           "{{ 10 ** 10 ** 10 }}",
           "{{ range(0, 4611686018427387904, 4611686018427387904) }}",
       }) {
    EXPECT_THAT(error_of(source), StartsWith("chat_template")) << source;
  }
}

TEST(TemplateLimits, ObjectsThatPointAtEachOtherAreFreed) {
  EXPECT_EQ(render("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{{ a.b.a == a }}"), "True");
  EXPECT_EQ(render("{% for i in [1] %}{{ loop.changed(loop) }}{{ loop.changed([loop.cycle]) }}{% endfor %}"), "TrueTrue");
  EXPECT_EQ(render("{% set ns = namespace() %}{% macro m() %}{{ ns.m is defined }}{% endmacro %}{% set ns.m = m %}{{ ns.m() }}"), "True");
}

TEST(TemplateLimits, WhatOutlivesItsScopeIsSafe) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% macro m(x) %}{% macro inner() %}{{ x }}{% endmacro %}{% set ns.f = inner %}{% endmacro %}{{ m(7) "
                   "}}{{ ns.f() }}"),
            "7");
  EXPECT_EQ(
      render("{% set ns = namespace() %}{% macro m(x) %}{% for i in [1, 2, 3] if i > x %}{% set ns.l = loop %}{% break %}{% endfor %}{% endmacro %}"
             "{{ m(1) }}{{ ns.l.index }}{{ ns.l.last }}"),
      "1True");
}

class FolderTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) { std::ofstream(folder_ / name) << text; }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / ("attune_template_" + std::to_string(getpid()));
};

TEST_F(FolderTest, NoTemplate) {
  EXPECT_FALSE(load_chat_template(folder_).has_value());
  write("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_FALSE(load_chat_template(folder_).has_value());
}

TEST_F(FolderTest, TemplateAndSpecialTokens) {
  write(
      "tokenizer_config.json",
      R"({"chat_template": "{{ bos_token }}|{{ eos_token }}|{{ pad_token is defined }}|{{ unk_token }}", "bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null})");
  write("special_tokens_map.json", R"({"bos_token": "other", "unk_token": {"content": "<unk>"}, "pad_token": "<pad>"})");
  const auto t = load_chat_template(folder_);
  ASSERT_TRUE(t.has_value());
  EXPECT_EQ(t->render(kMessages, false), "<s>|</s>|False|<unk>");
  EXPECT_EQ(t->render(kMessages, false, {{"bos_token", "mine"}}), "mine|</s>|False|<unk>");
}

TEST_F(FolderTest, NamedTemplates) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]})");
  const auto t = load_chat_template(folder_);
  ASSERT_TRUE(t.has_value());
  EXPECT_EQ(t->render(kMessages, false), "D");
  EXPECT_EQ(t->render(kMessages, false, {{"tools", ordered_json::array()}}), "T");
}

TEST_F(FolderTest, TemplateFiles) {
  write("chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(load_chat_template(folder_)->render(kMessages, false), "json");
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(load_chat_template(folder_)->render(kMessages, false), "config");
  write("chat_template.jinja", "jinja\n");
  EXPECT_EQ(load_chat_template(folder_)->render(kMessages, false), "jinja");
}

TEST_F(FolderTest, BrokenFiles) {
  write("tokenizer_config.json", "{");
  EXPECT_THROW(load_chat_template(folder_), Error);
  write("tokenizer_config.json", "[1]");
  EXPECT_THROW(load_chat_template(folder_), Error);
  write("tokenizer_config.json", R"({"chat_template": "{{"})");
  EXPECT_THROW(load_chat_template(folder_), Error);
}

}  // namespace
}  // namespace attune
