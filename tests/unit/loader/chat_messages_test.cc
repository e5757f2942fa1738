// Messages of a request before a template sees them.
#include "loader/chat_messages.h"

#include <gtest/gtest.h>

#include "loader_files.h"

namespace attune {
namespace {

std::string refusal(const std::string& text) {
  return error_of([&] { parse_messages(text); });
}

TEST(ChatMessages, PartsBecomeOneText) {
  const auto m = parse_messages(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])");
  EXPECT_EQ(m[0]["content"], "a\nb");
  EXPECT_EQ(parse_messages(R"([{"role":"assistant","tool_calls":[1]}])").size(), 1u);
}

TEST(ChatMessages, WhatIsRefusedIsNamed) {
  EXPECT_EQ(refusal("["), "InvalidArgument messages: expected a JSON array of {\"role\", \"content\"}; got [");
  EXPECT_EQ(refusal("[]"), "InvalidArgument messages: expected an array of {\"role\", \"content\"}; got []");
  EXPECT_EQ(refusal(R"([{"role":"user"}])"), "InvalidArgument messages[0].content: expected a string; got none");
  EXPECT_EQ(refusal(R"([{"role":"assistant","tool_calls":5}])"), "InvalidArgument messages[0].content: expected a string; got none");
  EXPECT_EQ(refusal(R"([{"role":"user","content":"a"},{"role":"","content":"a"}])"),
            "InvalidArgument messages[1].role: expected a string such as user; got an empty one");
  EXPECT_NE(refusal(std::string("[{\"role\":\"user\",\"content\":\"a\"}]\0x", 34)), "");
}

/// An error that shows the value must not walk down so far.
TEST(ChatMessages, DeepNestingIsRefused) {
  const std::string open(200000, '['), close(200000, ']');
  EXPECT_EQ(refusal(R"([{"role":"user","content":)" + open + close + "}]"), "InvalidArgument messages: expected at most 64 levels of JSON; got more");
  EXPECT_EQ(refusal(open), "InvalidArgument messages: expected at most 64 levels of JSON; got more");
}

}  // namespace
}  // namespace attune
