#include "proof/report.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLargestRecord = size_t{4} << 20;
constexpr int kDeepest = 8;
constexpr size_t kLongestText = 4096, kMostKernels = 4096;

/// A number of a report: JSON knows no infinity.
Json number(double x) { return std::isfinite(x) ? Json(x) : Json(x > 0 ? "infinity" : "nan"); }

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
  j["cases"] = k.cases, j["order_cases"] = k.orders, j["graph_replays"] = k.replays, j["refusals"] = k.refusals, j["draws"] = k.draws,
  j["outputs"] = k.outputs;
  j["max_error_over_bound"] = number(k.max_error_over_bound), j["nmse_ratio"] = number(k.nmse_ratio), j["nmse"] = number(k.nmse);
  if (k.max_of_tolerance > 0) j["max_error_over_tolerance"] = number(k.max_of_tolerance);
  j["worst_case"] = k.worst_case, j["where"] = k.where;
  j["pairs"] = {{"covered", k.pairs_covered}, {"possible", k.pairs_possible}};
  j["exercised"] = Json::object();
  for (const auto& [field, values] : k.exercised) j["exercised"][field] = Json(values);
  j["unexercised"] = k.unexercised;
  for (const SuiteResult& c : k.suite)
    j["suite"].push_back({{"case", c.name},
                          {"passed", c.passed},
                          {"max_error", number(c.max_error)},
                          {"over_bound", number(c.error_over_bound)},
                          {"over_tolerance", number(c.error_over_tolerance)},
                          {"atol", c.atol},
                          {"rtol", c.rtol}});
  j["failed"] = k.failed, j["failures"] = failures_json(k.failures), j["seconds"] = k.seconds;
  return j;
}

int64_t count_of(const VerifyReport& r, KernelReport::Status status) {
  return std::count_if(r.kernels.begin(), r.kernels.end(), [&](const auto& k) { return k.status == status; });
}

[[noreturn]] void bad_record(const std::string& expected, const std::string& got) { invalid("verify record", expected, got); }

/// Throws before an input nests deeper than the parser should follow.
void check_depth(std::string_view text) {
  int depth = 0;
  bool in_string = false, escaped = false;
  for (const char c : text) {
    if (in_string) {
      if (escaped)
        escaped = false;
      else if (c == '\\')
        escaped = true;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if ((c == '{' || c == '[') && ++depth > kDeepest) bad_record(fmt::format("at most {} levels", kDeepest), "more");
    if (c == '}' || c == ']') --depth;
  }
}

const Json& member(const Json& j, const char* name) {
  const auto it = j.find(name);
  if (it == j.end()) bad_record(fmt::format("\"{}\"", name), "nothing");
  return *it;
}

int64_t integer(const Json& j, const char* name, int64_t most) {
  const Json& x = member(j, name);
  if (!x.is_number_integer() || (x.is_number_unsigned() && x.get<uint64_t>() > static_cast<uint64_t>(most)) || x.get<int64_t>() < 0 ||
      x.get<int64_t>() > most)
    bad_record(fmt::format("\"{}\" from 0 to {}", name, most), printable(x.dump(-1, ' ', true, Json::error_handler_t::replace)));
  return x.get<int64_t>();
}

double real(const Json& j, const char* name) {
  const Json& x = member(j, name);
  if (x.is_string() && x.get<std::string>() == "infinity") return INFINITY;
  if (!x.is_number() || !(x.get<double>() >= 0)) bad_record(fmt::format("\"{}\" not negative", name), "something else");
  return x.get<double>();
}

std::string text_of(const Json& j, const char* name) {
  const Json& x = member(j, name);
  if (!x.is_string() || x.get_ref<const std::string&>().size() > kLongestText)
    bad_record(fmt::format("\"{}\" of at most {} bytes", name, kLongestText), "something else");
  return printable(x.get_ref<const std::string&>(), kLongestText);
}

VerifiedKernel kernel_of(const Json& j) {
  if (!j.is_object()) bad_record("an object for each kernel", j.type_name());
  constexpr int64_t kMostCases = int64_t{1} << 50, kYear9999 = 253402300799;
  VerifiedKernel v;
  v.version = static_cast<int>(integer(j, "version", INT32_MAX));
  v.time = integer(j, "time", kYear9999);
  v.machine = text_of(j, "machine"), v.commit = text_of(j, "commit"), v.where = text_of(j, "where");
  const Json& held = member(j, "held");
  if (!held.is_boolean()) bad_record("\"held\" true or false", held.type_name());
  v.held = held.get<bool>();
  v.cases = integer(j, "cases", kMostCases);
  v.max_error_over_bound = real(j, "max_error_over_bound"), v.nmse_ratio = real(j, "nmse_ratio");
  return v;
}

}  // namespace

std::string to_json(const VerifyReport& r, const VerifyOptions& o, const std::string& mode) {
  Json j{{"held", r.held()}, {"mode", mode}, {"seed", o.seed}, {"machine", o.device.model}};
  int64_t cases = 0;
  for (const auto& k : r.kernels) cases += k.cases;
  using enum KernelReport::Status;
  j["counts"] = {{"passed", count_of(r, passed)}, {"failed", count_of(r, failed)}, {"not_run", count_of(r, not_run)}, {"cases", cases}};
  j["kernels"] = Json::array(), j["tags"] = Json::array();
  for (const auto& k : r.kernels) j["kernels"].push_back(kernel_json(k));
  for (const auto& t : r.tags)
    j["tags"].push_back({{"reduction", t.reduction}, {"kernels", {t.kernel, t.other}}, {"cases", t.cases}, {"failures", failures_json(t.failures)}});
  j["required_not_run"] = r.required_not_run;
  j["seconds"] = r.seconds;
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

VerifyRecord parse_record(std::string_view text) {
  if (text.size() > kLargestRecord) bad_record(fmt::format("at most {} bytes", kLargestRecord), fmt::format("{} bytes", text.size()));
  check_depth(text);
  const Json j = Json::parse(text, nullptr, false);
  if (j.is_discarded() || !j.is_object()) bad_record("a JSON object", j.is_discarded() ? "no JSON" : j.type_name());
  if (integer(j, "format", INT32_MAX) != 1) bad_record("format 1", "another format");
  const Json& kernels = member(j, "kernels");
  if (!kernels.is_object() || kernels.size() > kMostKernels)
    bad_record(fmt::format("\"kernels\" with at most {} of them", kMostKernels), "something else");
  VerifyRecord out;
  for (const auto& [name, value] : kernels.items()) {
    if (name.size() > 200) bad_record("kernel names of at most 200 bytes", fmt::format("{} bytes", name.size()));
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
                     {"max_error_over_bound", number(v.max_error_over_bound)},
                     {"nmse_ratio", number(v.nmse_ratio)},
                     {"where", v.where}};
  return Json{{"format", 1}, {"kernels", kernels}}.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

namespace {

/// The file's bytes, at most one more than a record may have; false if it cannot be read.
bool read_some(const std::string& path, std::string& out) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  struct stat info {};
  bool good = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  out.resize(kLargestRecord + 1);
  size_t size = 0;
  while (good && size < out.size()) {
    const ssize_t n = ::read(fd, out.data() + size, out.size() - size);
    if (n < 0 && errno == EINTR) continue;
    good = n >= 0;
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  out.resize(size);
  ::close(fd);
  return good;
}

}  // namespace

VerifyRecord read_record(const std::string& path, std::string* complaint) {
  std::string text;
  if (path.empty() || !std::filesystem::exists(path)) return {};
  try {
    if (!read_some(path, text)) fail(ErrorCode::io_error, printable(path), "a file that can be read", std::strerror(errno));
    return parse_record(text);
  } catch (const Error& e) {
    if (complaint) *complaint = e.message();
    return {};
  }
}

void write_record(const std::string& path, const VerifyRecord& record) {
  std::error_code error;
  const std::filesystem::path target(path);
  std::filesystem::create_directories(target.parent_path(), error);
  const std::string fresh = fmt::format("{}.{}", path, ::getpid()), text = record_text(record);
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  bool whole = fd >= 0;
  for (size_t at = 0; whole && at < text.size();) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    whole = n > 0;
    at += whole ? static_cast<size_t>(n) : 0;
  }
  if (fd >= 0 && ::close(fd) != 0) whole = false;
  if (whole && ::rename(fresh.c_str(), path.c_str()) == 0) return;
  const int reason = errno;
  ::unlink(fresh.c_str());
  fail(ErrorCode::io_error, printable(path), "a file that can be written", std::strerror(reason));
}

void merge(VerifyRecord& record, const VerifyReport& report, const std::string& machine, const std::string& commit, int64_t time) {
  for (const KernelReport& k : report.kernels) {
    if (k.status == KernelReport::Status::not_run) continue;
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
