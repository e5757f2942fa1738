#include "loader/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "loader_files.h"

namespace attune {
namespace {

std::string refusal(std::string_view header, std::string_view data = std::string_view("\0\0\0\0", 4)) {
  const std::string file = safetensors_bytes(header, data);
  return error_of([&] { parse_safetensors(std::as_bytes(std::span(file)), "f"); });
}

TEST(Safetensors, FindsTensorsOfAFile) {
  const TestFolder folder;
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},)"
                             R"("a":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}})";
  const float values[3] = {0, 1.5f, -2};
  const Safetensors file = Safetensors::open(folder.write("x.safetensors", safetensors_bytes(header, {reinterpret_cast<const char*>(values), 12})));
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
  const auto b = file.find("b");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->dtype, DType::f32);
  EXPECT_EQ(b->shape, Shape({2}));
  EXPECT_EQ(std::memcmp(b->data, values + 1, 8), 0);
  EXPECT_EQ(file.find("a")->shape, Shape({1, 2}));
  EXPECT_FALSE(file.find("c"));
}

TEST(Safetensors, UnusualTensorsAreErrorsOnlyWhenAskedFor) {
  const TestFolder folder;
  const std::string header =
      R"({"five":{"dtype":"U8","shape":[1,1,1,1,1],"data_offsets":[0,1]},"c":{"dtype":"C64","shape":[1],"data_offsets":[1,9]},)"
      R"("wide":{"dtype":"F4","shape":[0,9223372036854775808],"data_offsets":[9,9]},)"
      R"("far":{"dtype":"U8","shape":[0,9223372036854775808],"data_offsets":[9,9]}})";
  const Safetensors file = Safetensors::open(folder.write("x.safetensors", safetensors_bytes(header, std::string(9, 'x'))));
  EXPECT_EQ(error_of([&] { file.find("five"); }), "NotSupported x.safetensors: five: expected at most 4 dimensions; got 5");
  EXPECT_EQ(error_of([&] { file.find("c"); }), "NotSupported x.safetensors: c: expected a dtype of this program; got C64");
  EXPECT_NE(error_of([&] { file.find("wide"); }).find("got F4"), std::string::npos);
  EXPECT_NE(error_of([&] { file.find("far"); }).find("63-bit"), std::string::npos);
}

TEST(Safetensors, ErrorsNameTheRule) {
  EXPECT_EQ(error_of([] { parse_safetensors({}, "f"); }), "InvalidArgument f: expected at least 8 bytes; got 0 bytes");
  const std::string large = safetensors_bytes("{}", "", 100'000'001);
  EXPECT_NE(error_of([&] { parse_safetensors(std::as_bytes(std::span(large)), "f"); }).find("a header of at most 100000000 bytes"),
            std::string::npos);
  const std::string beyond = safetensors_bytes("{}", "", 3);
  EXPECT_NE(error_of([&] { parse_safetensors(std::as_bytes(std::span(beyond)), "f"); }).find("a header of at most 2 bytes"), std::string::npos);
  const std::string huge = safetensors_bytes("{}", "", ~uint64_t{0});
  EXPECT_NE(error_of([&] { parse_safetensors(std::as_bytes(std::span(huge)), "f"); }), "");
  EXPECT_NE(refusal("\xff").find("UTF-8"), std::string::npos);
  EXPECT_NE(refusal("{").find("syntax error at byte 1"), std::string::npos);
  EXPECT_NE(refusal("[]").find("expected a JSON object; got a list"), std::string::npos);
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})"), "InvalidArgument f: a: expected a dtype of the format; got 'F99'");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[1]}})"), "InvalidArgument f: a: expected dtype, shape and data_offsets; got no data_offsets");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})"),
            "InvalidArgument f: a: expected 8 bytes of data for its dtype and shape; got 4");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "12345"),
            "InvalidArgument f: expected 4 bytes of data behind the header; got 5");
  EXPECT_EQ(refusal(R"({"a":{"dtype":"F4","shape":[1],"data_offsets":[0,1]}})", "1"), "InvalidArgument f: a: expected whole bytes; got 4 bits");
  EXPECT_NE(refusal(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "").find("an overflow"), std::string::npos);
}

TEST(Safetensors, RefusesHolesAndOverlaps) {
  const auto two = [](int b, int e) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}},"b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})", e - b,
                       b, e);
  };
  EXPECT_EQ(refusal(two(2, 4)), "");
  EXPECT_EQ(refusal(two(1, 4)), "InvalidArgument f: b: expected data_offsets that start at 2; got [1, 4]");
  EXPECT_EQ(refusal(two(3, 4)), "InvalidArgument f: b: expected data_offsets that start at 2; got [3, 4]");
  EXPECT_NE(refusal(two(0, 4)), "");
}

TEST(Safetensors, OfANameGivenTwiceTheLastOneStands) {
  const std::string first = R"("a":{"dtype":"I8","shape":[9],"data_offsets":[2,4]})",
                    last = R"("\u0061":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  const std::string file = safetensors_bytes(R"({"__metadata__":{"k":"1","k":"2"},)" + first + "," + last + "}", "1234");
  const SafetensorsHeader header = parse_safetensors(std::as_bytes(std::span(file)), "f");
  ASSERT_EQ(header.entries.size(), 1u);
  EXPECT_EQ(header.entries.at("a").dtype, "U8");
  EXPECT_EQ(header.entries.at("a").shape, std::vector<uint64_t>{4});
  EXPECT_EQ(header.metadata.at("k"), "2");
  EXPECT_NE(refusal("{" + last + "," + first + "}"), "");  // what stands must fill the file
}

TEST(Safetensors, EveryTruncationIsRefused) {
  const std::string whole = safetensors_bytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", std::string(4, '\0'));
  EXPECT_NO_THROW(parse_safetensors(std::as_bytes(std::span(whole)), "f"));
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(parse_safetensors(std::as_bytes(std::span(whole.data(), n)), "f"), Error) << n;
}

}  // namespace
}  // namespace attune
