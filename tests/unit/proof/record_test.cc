// The file in which verify remembers what held: a round trip, and what a hostile one does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "proof/fill.h"
#include "proof/report.h"

namespace attune {
namespace {

VerifyRecord two_kernels() {
  return {{"cpu.a.b",
           {.version = 3,
            .time = 1767225600,
            .machine = "a \"machine\"",
            .commit = "abc",
            .held = true,
            .cases = 170,
            .max_error_over_bound = 0.5,
            .nmse_ratio = 0.25,
            .where = "row 3"}},
          {"cpu.a.c",
           {.version = 1,
            .time = 0,
            .machine = "",
            .commit = "",
            .held = false,
            .cases = 0,
            .max_error_over_bound = INFINITY,
            .nmse_ratio = 0,
            .where = ""}}};
}

TEST(Record, RoundTrip) {
  const std::string text = record_text(two_kernels());
  const VerifyRecord again = parse_record(text);
  EXPECT_EQ(record_text(again), text);
  EXPECT_EQ(again.at("cpu.a.b").cases, 170);
  EXPECT_TRUE(std::isinf(again.at("cpu.a.c").max_error_over_bound));
}

TEST(Record, SaysWhenAndWhatChanged) {
  const VerifiedKernel v = two_kernels().at("cpu.a.b");
  EXPECT_EQ(to_text(v, 3, v.machine), "2026-01-01 00:00 UTC, 170 cases, largest error 0.500 of its bound");
  EXPECT_THAT(to_text(v, 4, v.machine), testing::HasSubstr("version 3 then, 4 now"));
  EXPECT_THAT(to_text(v, 3, "another"), testing::HasSubstr("on a \"machine\""));
  EXPECT_THAT(to_text(two_kernels().at("cpu.a.c"), 1, ""), testing::StartsWith("FAILED 1970-01-01"));
}

TEST(Record, HostileTextIsRefused) {
  const std::string deep(100000, '['), good = record_text(two_kernels());
  for (const std::string& bad :
       std::vector<std::string>{"", "x", "[]", "null", "{}", R"({"format":2,"kernels":{}})", R"({"format":1})", R"({"format":1,"kernels":[]})",
                                R"({"format":1,"kernels":{"a":1}})", R"({"format":1,"kernels":{"a":{}}})", R"({"format":-1,"kernels":{}})",
                                R"({"format":1e400,"kernels":{}})", deep, R"({"format":1,"kernels":)" + deep, std::string(5 << 20, ' ')})
    EXPECT_THROW(parse_record(bad), Error) << bad.substr(0, 60);
  // Each value of a good record put out of its range.
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"1767225600", "-1"},
                                                                                 {"1767225600", "18446744073709551615"},
                                                                                 {"1767225600", "1e9"},
                                                                                 {"1767225600", "253402300800"},
                                                                                 {"\"version\": 3", "\"version\": 4294967296"},
                                                                                 {"170", "\"170\""},
                                                                                 {"0.5", "-0.5"},
                                                                                 {"0.25", "null"},
                                                                                 {"true", "1"},
                                                                                 {"\"row 3\"", "3"},
                                                                                 {"\"row 3\"", '"' + std::string(5000, 'x') + '"'}}) {
    std::string text = good;
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    EXPECT_THROW(parse_record(text), Error) << from << " -> " << to.substr(0, 30);
  }
}

TEST(Record, DamagedTextNeverDoesMoreThanThrow) {
  const std::string good = record_text(two_kernels());
  Fill fill(9);
  for (int i = 0; i < 5000; ++i) {
    std::string text = good;
    for (int64_t n = 1 + fill.below(4); n > 0; --n) {
      const auto at = static_cast<size_t>(fill.below(static_cast<int64_t>(text.size())));
      if (fill.one_in(3))
        text.erase(at, static_cast<size_t>(1 + fill.below(20)));
      else
        text[at] = fill.one_in(2) ? "{}[]\",:\\0-9e"[fill.below(12)] : static_cast<char>(fill.below(256));
      if (text.empty()) text = "{";
    }
    try {
      record_text(parse_record(text));
    } catch (const Error&) {
    }
  }
}

TEST(Record, FilesThatAreNoFilesGiveNothing) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / ("attune-record-" + std::to_string(getpid()));
  const std::string path = (folder / "deep" / "verify.json").string();
  std::string complaint;
  EXPECT_TRUE(read_record(path, &complaint).empty());
  EXPECT_EQ(complaint, "");
  write_record(path, two_kernels());
  EXPECT_EQ(record_text(read_record(path, &complaint)), record_text(two_kernels()));
  std::ofstream(path) << "{";
  EXPECT_TRUE(read_record(path, &complaint).empty());
  EXPECT_THAT(complaint, testing::HasSubstr("verify record"));
  complaint.clear();
  EXPECT_TRUE(read_record(folder.string(), &complaint).empty());
  EXPECT_NE(complaint, "");
  EXPECT_THROW(write_record("/proc/none/verify.json", two_kernels()), Error);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace attune
