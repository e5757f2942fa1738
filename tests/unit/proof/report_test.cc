// The report as JSON, and what of it is remembered.
#include "proof/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "proof/field_apart.h"

namespace attune {
namespace {

VerifyReport some_report() {
  KernelReport good;
  good.kernel = "cpu.norm.avx2", good.op = "norm", good.reduction = "row", good.version = 2;
  good.cases = 30, good.orders = 10, good.refusals = 4, good.outputs = 999;
  good.max_error_over_bound = 0.25, good.nmse_ratio = 1.5, good.nmse = 1e-9;
  good.worst_case = "x=bf16 hidden=80", good.where = "row 3";
  good.exercised["x_dtype"]["bf16"] = 12;
  KernelReport bad = good;
  bad.kernel = "cpu.norm.plain", bad.status = KernelReport::Status::failed, bad.failed = 1;
  bad.max_error_over_bound = INFINITY, bad.nmse = NAN, bad.max_of_tolerance = 2.5;
  bad.failures.push_back({"row 3: expected 1; got \xff", "attune verify --kernel cpu.norm.plain"});
  bad.suite.push_back({.name = "case 1", .passed = false, .max_error = INFINITY, .atol = 0.01, .rtol = 0.02});
  bad.unexercised = {"hidden=7"};
  KernelReport ended = good;
  ended.kernel = "cpu.norm.avx512", ended.status = KernelReport::Status::ended_early, ended.planned = 90;
  KernelReport absent;
  absent.kernel = "cuda.norm", absent.op = "norm", absent.status = KernelReport::Status::not_run, absent.reason = "built without cuda";
  TagReport tag{.reduction = "row", .kernel = "cpu.norm.avx2", .other = "cpu.norm.plain", .cases = 7};
  tag.failures.push_back({"bits differ", "attune verify --op norm"});
  return {.kernels = {good, bad, absent, ended}, .tags = {tag}, .required_not_run = {{"cuda.norm", "built without cuda"}}, .seconds = 1.5};
}

TEST(VerifyReport, JsonHoldsEveryKernelAndFailure) {
  VerifyOptions options;
  options.seed = 77, options.device.model = "a machine";
  const auto j = nlohmann::json::parse(to_json(some_report(), options, "check"));
  EXPECT_EQ(j["held"], false);
  EXPECT_EQ(j["mode"], "check");
  EXPECT_EQ(j["seed"], 77);
  EXPECT_EQ(j["machine"], "a machine");
  EXPECT_EQ(j["counts"], nlohmann::json::parse(R"({"passed":1,"failed":1,"not_run":1,"ended_early":1,"cases":90})"));
  ASSERT_EQ(j["kernels"].size(), 4u);
  const auto &good = j["kernels"][0], &bad = j["kernels"][1], &absent = j["kernels"][2], &ended = j["kernels"][3];
  EXPECT_EQ(good["status"], "passed");
  EXPECT_EQ(good["exercised"]["x_dtype"]["bf16"], 12);
  EXPECT_FALSE(good.contains("max_error_over_tolerance"));
  EXPECT_EQ(bad["max_error_over_bound"], "infinity");
  EXPECT_EQ(bad["nmse"], "nan");
  EXPECT_EQ(bad["max_error_over_tolerance"], 2.5);
  EXPECT_EQ(bad["unexercised"][0], "hidden=7");
  EXPECT_EQ(bad["suite"][0]["max_error"], "infinity");
  EXPECT_THAT(bad["failures"][0]["text"].get<std::string>(), testing::StartsWith("row 3: expected 1; got "));
  EXPECT_EQ(absent["reason"], "built without cuda");
  EXPECT_FALSE(absent.contains("cases"));
  EXPECT_EQ(ended["status"], "ended_early");
  EXPECT_EQ(ended["planned"], 90);
  EXPECT_EQ(j["tags"][0]["kernels"], nlohmann::json::parse(R"(["cpu.norm.avx2","cpu.norm.plain"])"));
  EXPECT_EQ(j["required_not_run"][0], "cuda.norm");
}

TEST(VerifyReport, AKernelThatWasEndedEarlyNeitherHoldsNorFailed) {
  KernelReport k;
  EXPECT_TRUE(k.held());
  EXPECT_TRUE((VerifyReport{.kernels = {k}}).held());
  k.status = KernelReport::Status::ended_early;
  EXPECT_FALSE(k.held());
  EXPECT_FALSE((VerifyReport{.kernels = {k}}).held());
  EXPECT_EQ((VerifyReport{.kernels = {k}}).failed(), 0);
}

TEST(VerifyReport, ADescThatRanNowhereDoesNotHoldAndTheReportSaysWhy) {
  const VerifyReport none{.nothing_ran = "no kernel ran a case of it"};
  EXPECT_FALSE(none.held());
  EXPECT_EQ(nlohmann::json::parse(to_json(none, {}, "check"))["nothing_ran"], none.nothing_ran);
  EXPECT_FALSE(nlohmann::json::parse(to_json({}, {}, "check")).contains("nothing_ran"));
}

/// A pair of kernels with one tag that nothing compared has not held, unless nothing can compare it.
TEST(VerifyReport, ATagThatNoCaseComparedDoesNotHold) {
  TagReport tag{.reduction = "row", .kernel = "a", .other = "b", .cases = 3};
  EXPECT_TRUE((VerifyReport{.tags = {tag}}).held());
  tag.cases = 0;
  EXPECT_FALSE((VerifyReport{.tags = {tag}}).held());
  tag.reason = "no head_dim is both's";
  EXPECT_TRUE((VerifyReport{.tags = {tag}}).held());
  const auto j = nlohmann::json::parse(to_json({.tags = {tag}}, {}, "check"));
  EXPECT_EQ(j["tags"][0]["not_compared"], tag.reason);
}

TEST(VerifyReport, TheFieldThatKeepsKernelsApart) {
  NormKernel a, b;
  a.can = {.x_dtype = any, .hidden = range{1, 512}}, b.can = {.x_dtype = any, .hidden = range{1024, 4096}};
  EXPECT_EQ(field_apart(a, b), "hidden");
  b.can.hidden = range{512, 4096};
  EXPECT_EQ(field_apart(a, b), "");
}

TEST(VerifyReport, MergeReplacesWhatRanAndKeepsTheRest) {
  VerifyRecord record;
  record["cuda.norm"].cases = 5;
  record["cpu.norm.avx2"].cases = 1;
  record["cpu.norm.avx512"].cases = 7;
  merge(record, some_report(), "a machine", "abc", 1767225600);
  EXPECT_EQ(record.size(), 4u);
  EXPECT_EQ(record.at("cuda.norm").cases, 5);
  EXPECT_EQ(record.at("cpu.norm.avx512").cases, 7) << "a part of its cases says little of it";
  const VerifiedKernel& v = record.at("cpu.norm.avx2");
  EXPECT_TRUE(v.held);
  EXPECT_EQ(v.cases, 30);
  EXPECT_EQ(v.version, 2);
  EXPECT_EQ(v.where, "x=bf16 hidden=80: row 3");
  EXPECT_FALSE(record.at("cpu.norm.plain").held);
  EXPECT_EQ(record_text(parse_record(record_text(record))), record_text(record));
}

}  // namespace
}  // namespace attune
