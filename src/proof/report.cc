#include "proof/report.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "proof/cache_file.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

constexpr CacheFileLimits kLimits{.what = "verify record"};
constexpr size_t kLongestText = 4096, kMostKernels = 4096;

Json failures_json(const std::vector<Failure>& failures) {
  Json out = Json::array();
  for (const Failure& f : failures) out.push_back({{"text", f.text}, {"repro", f.repro}});
  return out;
}

Json kernel_json(const KernelReport& k) {
  Json j{{"kernel", k.kernel}, {"op", k.op}, {"version", k.version}, {"reduction", k.reduction}, {"status", to_text(k.status)}};
  if (k.status == KernelReport::Status::not_run) {
    j["reason"] = k.reason;
    return j;
  }
  j["cases"] = k.cases, j["planned"] = k.planned, j["order_cases"] = k.orders, j["graph_replays"] = k.replays, j["refusals"] = k.refusals,
  j["draws"] = k.draws, j["outputs"] = k.outputs;
  j["max_error_over_bound"] = cache_number(k.max_error_over_bound), j["nmse_ratio"] = cache_number(k.nmse_ratio), j["nmse"] = cache_number(k.nmse);
  j["lean_ratio"] = cache_number(k.lean_ratio);
  if (k.max_of_tolerance > 0) j["max_error_over_tolerance"] = cache_number(k.max_of_tolerance);
  j["worst_case"] = k.worst_case, j["where"] = k.where;
  j["pairs"] = {{"covered", k.pairs_covered}, {"possible", k.pairs_possible}, {"too_large", k.pairs_too_large}};
  j["declared"] = Json(k.declared);
  j["exercised"] = Json::object();
  for (const auto& [field, values] : k.exercised) j["exercised"][field] = Json(values);
  j["unexercised"] = k.unexercised;
  for (const SuiteResult& c : k.suite)
    j["suite"].push_back({{"case", c.name},
                          {"passed", c.passed},
                          {"max_error", cache_number(c.max_error)},
                          {"over_bound", cache_number(c.error_over_bound)},
                          {"over_tolerance", cache_number(c.error_over_tolerance)},
                          {"atol", c.atol},
                          {"rtol", c.rtol}});
  j["skipped"] = Json::array();
  for (const Failure& f : k.skipped) j["skipped"].push_back({{"reason", f.text}, {"case", f.repro}});
  j["failed"] = k.failed, j["failures"] = failures_json(k.failures), j["seconds"] = k.seconds;
  return j;
}

int64_t count_of(const VerifyReport& r, KernelReport::Status status) {
  return std::count_if(r.kernels.begin(), r.kernels.end(), [&](const auto& k) { return k.status == status; });
}

VerifiedKernel kernel_of(const Json& j) {
  const CacheObject of(kLimits, j);
  constexpr int64_t kMostCases = int64_t{1} << 50, kYear9999 = 253402300799;
  VerifiedKernel v;
  v.version = static_cast<int>(of.integer("version", INT32_MAX));
  v.time = of.integer("time", kYear9999);
  v.machine = of.text("machine", kLongestText), v.commit = of.text("commit", kLongestText), v.where = of.text("where", kLongestText);
  v.held = of.flag("held");
  v.cases = of.integer("cases", kMostCases);
  v.max_error_over_bound = of.real("max_error_over_bound"), v.nmse_ratio = of.real("nmse_ratio");
  return v;
}

}  // namespace

std::string to_json(const VerifyReport& r, const VerifyOptions& o, const std::string& mode) {
  Json j{{"held", r.held()}, {"mode", mode}, {"seed", o.seed}, {"machine", o.device.model}};
  if (o.shard.of > 1) j["shard"] = fmt::format("{}/{}", o.shard.index, o.shard.of);
  int64_t cases = 0;
  for (const auto& k : r.kernels) cases += k.cases;
  using enum KernelReport::Status;
  j["counts"] = {{"passed", count_of(r, passed)},
                 {"failed", count_of(r, failed)},
                 {"not_run", count_of(r, not_run)},
                 {"ended_early", count_of(r, ended_early)},
                 {"cases", cases}};
  j["kernels"] = Json::array(), j["tags"] = Json::array();
  for (const auto& k : r.kernels) j["kernels"].push_back(kernel_json(k));
  for (const auto& t : r.tags)
    j["tags"].push_back({{"reduction", t.reduction},
                         {"kernels", {t.kernel, t.other}},
                         {"cases", t.cases},
                         {"not_compared", t.reason.empty() ? Json(nullptr) : Json(t.reason)},
                         {"failures", failures_json(t.failures)}});
  j["required_not_run"] = Json::array();
  for (const auto& [name, why] : r.required_not_run) j["required_not_run"].push_back(name);
  j["stopped"] = r.stopped;
  if (!r.nothing_ran.empty()) j["nothing_ran"] = r.nothing_ran;
  j["seconds"] = r.seconds;
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

VerifyRecord parse_record(std::string_view text) {
  const Json j = parse_cache_text(kLimits, text);
  const CacheObject whole(kLimits, j);
  const Json& kernels = whole.member("kernels");
  if (!kernels.is_object() || kernels.size() > kMostKernels)
    whole.bad(fmt::format("\"kernels\" with at most {} of them", kMostKernels), "something else");
  VerifyRecord out;
  for (const auto& [name, value] : kernels.items()) {
    if (name.size() > 200) whole.bad("kernel names of at most 200 bytes", fmt::format("{} bytes", name.size()));
    out[name] = kernel_of(value);
  }
  return out;
}

std::string record_text(const VerifyRecord& record) {
  Json kernels = Json::object();
  for (const auto& [name, v] : record)
    kernels[name] = {{"version", v.version},
                     {"time", v.time},
                     {"machine", v.machine},
                     {"commit", v.commit},
                     {"held", v.held},
                     {"cases", v.cases},
                     {"max_error_over_bound", cache_number(v.max_error_over_bound)},
                     {"nmse_ratio", cache_number(v.nmse_ratio)},
                     {"where", v.where}};
  return Json{{"format", 1}, {"kernels", kernels}}.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

VerifyRecord read_record(const std::string& path, std::string* complaint) {
  try {
    const auto text = read_cache_file(kLimits, path);
    return text ? parse_record(*text) : VerifyRecord{};
  } catch (const Error& e) {
    if (complaint) *complaint = e.message();
    return {};
  }
}

void write_record(const std::string& path, const VerifyRecord& record) { write_cache_file(path, record_text(record)); }

void merge(VerifyRecord& record, const VerifyReport& report, const std::string& machine, const std::string& commit, int64_t time) {
  for (const KernelReport& k : report.kernels) {
    if (k.status == KernelReport::Status::not_run || k.status == KernelReport::Status::ended_early) continue;
    record[k.kernel] = {k.version, time, machine, commit, k.held(), k.cases, k.max_error_over_bound, k.nmse_ratio, k.worst_case + ": " + k.where};
  }
}

std::string to_text(const VerifiedKernel& v, int version, const std::string& machine) {
  const auto when = std::chrono::sys_seconds(std::chrono::seconds(v.time));
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(when - day);
  std::string out = fmt::format("{}{:04}-{:02}-{:02} {:02}:{:02} UTC, {} cases, largest error {:.3f} of its bound", v.held ? "" : "FAILED ",
                                static_cast<int>(date.year()), static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                clock.hours().count(), clock.minutes().count(), v.cases, v.max_error_over_bound);
  if (v.version != version) out += fmt::format(" (version {} then, {} now)", v.version, version);
  if (v.machine != machine) out += fmt::format(" (on {})", v.machine);
  return out;
}

}  // namespace attune
