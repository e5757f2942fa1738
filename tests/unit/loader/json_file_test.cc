#include "loader/json_file.h"

#include <gtest/gtest.h>

#include "loader_files.h"

namespace attune {
namespace {

using nlohmann::json;

TEST(JsonFile, BuildsTheSameValueAsTheLibrary) {
  const std::string text = R"({"a":[1,-2,3.5,1e3,true,false,null,"x\u00e9\n"],"b":{"c":{"d":[[],{}]}},"a2":18446744073709551615})";
  EXPECT_EQ(parse_json(text, "x.json"), json::parse(text));
  for (const char* scalar : {"1", "\"s\"", "null", "[]", "{}", " [ ] "}) EXPECT_EQ(parse_json(scalar, "x.json"), json::parse(scalar));
  EXPECT_EQ(parse_json(R"({"a":1,"a":2})", "x.json")["a"], 2);
}

TEST(JsonFile, ErrorsNameTheFileAndTheByte) {
  const auto text_of = [](std::string_view text) { return error_of([&] { parse_json(text, "config.json"); }); };
  EXPECT_EQ(text_of(R"({"hidden": 1x})"), "InvalidArgument config.json: expected JSON; got 'x' at byte 12");
  EXPECT_EQ(text_of(""), "InvalidArgument config.json: expected JSON; got the end of the text at byte 0");
  EXPECT_EQ(text_of("[1,"), "InvalidArgument config.json: expected JSON; got the end of the text at byte 3");
  EXPECT_EQ(text_of("[1]é"), "InvalidArgument config.json: expected JSON; got 'é' at byte 3");
  EXPECT_EQ(text_of(std::string_view("{}\0{}", 5)), "InvalidArgument config.json: expected JSON; got '\\x00' at byte 2");
  for (const char* bad : {"{a:1}", "[1,]", "{\"a\":}", "\"\\ud800\"", "\"\xff\"", "nan", "01", "1e999", "// c\n1", "[1] 2", "{\"a\":1,}", "\"\n\""})
    EXPECT_NE(text_of(bad).find("expected JSON"), std::string::npos) << bad;
}

TEST(JsonFile, LimitsDepthSizeAndKeys) {
  const auto nested = [](int depth) { return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "x"));
  EXPECT_NE(error_of([&] { parse_json(nested(65), "x"); }).find("at most 64 levels"), std::string::npos);
  EXPECT_NE(error_of([&] { parse_json(std::string(1 << 20, '['), "x"); }).find("at most 64 levels"), std::string::npos);
  EXPECT_NO_THROW(parse_json("[1,2]", "x", {.bytes = 5}));
  EXPECT_EQ(error_of([] { parse_json("[1,23]", "x", {.bytes = 5}); }), "InvalidArgument x: expected at most 5 bytes; got 6 bytes");
  EXPECT_EQ(error_of([] { parse_json(R"({"a":1,"b":{"a":2,"a":3}})", "x", {.unique_keys = true}); }),
            "InvalidArgument x: expected each key once; got key 'a' twice");
}

TEST(JsonFile, ReadsFilesAndRefusesOtherThings) {
  const TestFolder folder;
  EXPECT_EQ(read_json_file(folder.write("a.json", "[7]")), json::parse("[7]"));
  EXPECT_EQ(error_of([&] { read_json_file(folder.write("b.json", "[7")); }),
            "InvalidArgument b.json: expected JSON; got the end of the text at byte 2");
  EXPECT_NE(error_of([&] { read_json_file(folder.path() / "none.json"); }).find("IoError"), std::string::npos);
  EXPECT_NE(error_of([&] { read_json_file(folder.path()); }).find("expected a regular file; got a folder"), std::string::npos);
}

TEST(JsonFields, ReadsTypedMembers) {
  const json object = json::parse(R"({"i":5,"n":null,"d":2.5,"b":true,"s":"x","l":[1,2],"t":["a"],"big":18446744073709551615,"f":5.0})");
  const JsonFields fields(object, "c.json");
  EXPECT_EQ(fields.integer("i", 1, 5), 5);
  EXPECT_EQ(fields.integer("absent", 1, 5), std::nullopt);
  EXPECT_EQ(fields.integer("n", 1, 5), std::nullopt);
  EXPECT_TRUE(fields.is_null("n"));
  EXPECT_FALSE(fields.is_null("absent"));
  EXPECT_EQ(fields.number("i", 0, 9), 5.0);
  EXPECT_EQ(fields.number("d", 0, 9), 2.5);
  EXPECT_EQ(fields.boolean("b"), true);
  EXPECT_EQ(fields.string("s"), "x");
  EXPECT_EQ(fields.integers("i", 0, 9), std::vector<int64_t>{5});
  EXPECT_EQ(fields.integers("l", 0, 9), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(fields.strings("t"), std::vector<std::string>{"a"});
}

TEST(JsonFields, NamesTheMemberThatIsWrong) {
  const json object = json::parse(R"({"i":5,"s":"x","l":[1,"2"],"big":18446744073709551615,"f":5.0,"o":{}})");
  const JsonFields fields(object, "c.json");
  EXPECT_EQ(error_of([&] { fields.integer("i", 6, 9); }), "InvalidArgument c.json: i: expected an integer from 6 to 9; got 5");
  EXPECT_EQ(error_of([&] { fields.integer("s", 6, 9); }), "InvalidArgument c.json: s: expected an integer from 6 to 9; got \"x\"");
  EXPECT_NE(error_of([&] { fields.integer("big", 0, INT64_MAX); }), "");
  EXPECT_NE(error_of([&] { fields.integer("f", 0, 9); }), "");
  EXPECT_NE(error_of([&] { fields.number("s", 0, 9); }), "");
  EXPECT_NE(error_of([&] { fields.boolean("i"); }), "");
  EXPECT_NE(error_of([&] { fields.string("o"); }), "");
  EXPECT_NE(error_of([&] { fields.integers("l", 0, 9); }), "");
  EXPECT_NE(error_of([&] { fields.strings("l"); }), "");
  const json list = json::array();
  EXPECT_EQ(error_of([&] { JsonFields(list, "c.json"); }), "InvalidArgument c.json: expected a JSON object; got []");
}

}  // namespace
}  // namespace attune
