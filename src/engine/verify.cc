// What `attune verify` says: the harness of src/proof over the catalogue, as lines and as JSON.
#include "attune/verify.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "attune/bench.h"
#include "attune/options.h"
#include "build_info.h"
#include "core/log.h"
#include "proof/cases.h"
#include "proof/planted.h"
#include "proof/planted_trials.h"
#include "proof/report.h"
#include "proof/task_child.h"
#include "select/select.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

VerifySuite parse_suite(const std::string& text) {
  if (text.empty()) return VerifySuite::everything;
  if (text == "seed") return VerifySuite::seed;
  if (text == "lengths") return VerifySuite::lengths;
  if (text == "laws") return VerifySuite::laws;
  invalid("--suite", "one of {seed, lengths, laws}", printable(text));
}

void say(const VerifyQuery& q, const std::string& line) {
  if (q.on_line) q.on_line(line);
}

void say_failures(const VerifyQuery& q, const std::vector<Failure>& failures, int64_t all) {
  for (const Failure& f : failures) say(q, fmt::format("  FAILED {}\n    {}", f.text, f.repro));
  if (all > static_cast<int64_t>(failures.size())) say(q, fmt::format("  … and {} more", all - static_cast<int64_t>(failures.size())));
}

std::string_view status_word(KernelReport::Status s) {
  return s == KernelReport::Status::passed ? "passed" : s == KernelReport::Status::ended_early ? "ENDED EARLY" : "FAILED";
}

std::string kernel_line(const KernelReport& k) {
  if (k.status == KernelReport::Status::not_run) return fmt::format("{:<30} not run: {}", k.kernel, k.reason);
  std::string out = fmt::format("{:<30} {} {:>5} cases, error {:.3f} of the bound, mean square {:.2f} of 4, {:.1f} s", k.kernel,
                                status_word(k.status), k.cases, k.max_error_over_bound, k.nmse_ratio, k.seconds);
  if (k.lean_ratio > 0) out += fmt::format("; lean {:.2f} of the allowed", k.lean_ratio);
  if (k.max_of_tolerance > 0) out += fmt::format("; {:.3f} of the suite's tolerance", k.max_of_tolerance);
  if (k.orders > 0) out += fmt::format("; {} in other orders", k.orders);
  if (k.replays > 0) out += fmt::format("; {} graph replays", k.replays);
  if (k.cases < k.planned && k.cases + static_cast<int64_t>(k.skipped.size()) < k.planned)
    out += fmt::format("; {}{} cases were planned", k.status == KernelReport::Status::failed ? "ENDED EARLY: " : "", k.planned);
  if (!k.skipped.empty()) out += fmt::format("; {} cases skipped: {}", k.skipped.size(), k.skipped[0].text);
  if (k.draws > 0) out += fmt::format("; {} draws", k.draws);
  if (!k.where.empty()) out += "; worst at " + k.where;
  return out;
}

void say_support(const VerifyQuery& q, const KernelReport& k) {
  if (k.status == KernelReport::Status::not_run) return;
  for (const auto& [field, values] : k.exercised) {
    std::string out;
    for (const auto& [value, cases] : values) out += fmt::format("{}{} ×{}", out.empty() ? "" : ", ", value, cases);
    const auto declared = k.declared.find(field);
    say(q, fmt::format("  {:<14} {}{}", field, out, declared == k.declared.end() ? "" : fmt::format("  (declared: {})", declared->second)));
  }
  say(q, fmt::format("  pairs of values {} of {} possible{}", k.pairs_covered, k.pairs_possible,
                     k.pairs_too_large > 0 ? fmt::format(", and {} too large to be run", k.pairs_too_large) : ""));
  for (const std::string& missing : k.unexercised) say(q, "  NOT EXERCISED " + missing);
}

/// Who runs the cases: a child process where the application names one, else this process.
Performer performer(const VerifyQuery& q, const std::string& device) {
  if (q.child.empty()) return {};
  std::vector<std::string> command = q.child;
  command.push_back(device);
  return [child = std::make_shared<TaskChild>(std::move(command))](const Task& task) { return child->perform(task); };
}

/// "I/N".
Shard parse_shard(const std::string& text) {
  constexpr int64_t kMost = 10000;
  Shard s;
  if (text.empty()) return s;
  const auto number = [&](std::string_view digits) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() ? value : 0;
  };
  const size_t slash = std::min(text.find('/'), text.size());
  const std::string_view all = text;
  s = {number(all.substr(0, slash)), slash < all.size() ? number(all.substr(slash + 1)) : 0};
  if (s.index < 1 || s.index > s.of || s.of > kMost) invalid("--shard", fmt::format("I/N with 1 ≤ I ≤ N ≤ {}", kMost), printable(text));
  return s;
}

VerifyOptions options_of(const VerifyQuery& q) {
  VerifyOptions o;
  o.op = q.op, o.kernels = q.kernels, o.require = q.require, o.desc = q.desc, o.suite = parse_suite(q.suite);
  o.samples = q.samples, o.all = q.all, o.shard = parse_shard(q.shard), o.seed = q.seed, o.plant = q.plant;
  o.device = find_present_device(q.device);
  if (q.seed >> 32 != 0) invalid("--seed", "0 to 4294967295", std::to_string(q.seed));
  if (q.samples < 0 || q.samples > 1'000'000) invalid("--samples", "0 to 1000000", std::to_string(q.samples));
  check_plant(q.plant, o.device);
  return o;
}

void remember(const VerifyQuery& q, const VerifyOptions& o, const VerifyReport& report) {
  // A part of a kernel's cases says little of it.
  if (report.stopped || o.shard.of > 1 || (!q.all && q.samples > 0 && q.samples < kUsualDraws)) return;
  if (q.record.empty() || q.mode == "fuzz" || !q.desc.empty() || o.suite != VerifySuite::everything || !q.plant.empty()) return;
  VerifyRecord record = read_record(q.record);
  merge(record, report, o.device.model, build::kCommit, static_cast<int64_t>(std::time(nullptr)));
  write_record(q.record, record);
}

/// The kernels that a bench is asked for: which were timed, and why the others were not.
class BenchedKernels {
 public:
  BenchedKernels(const VerifyQuery& q, const VerifyOptions& o) : o_(o), globs_(q.kernels) {
    check_verify_names(o);
    if (!globs_.empty()) {
      globs_.insert(globs_.end(), q.require.begin(), q.require.end());
      if (!q.plant.empty()) globs_.push_back("planted.*." + q.plant);
    }
    for_each_op([&]<class Op>() {
      for (const Kernel<Op>* k : kernels_with<Op>(o.plant)) add(Op::kName, k->info.name);
    });
    bool plant_is_timed = q.plant.empty();
    for_each_op([&]<class Op>() { plant_is_timed |= asks(Op::kName) && find_planted<Op>(q.plant) != nullptr; });
    if (!plant_is_timed) invalid("--plant", "a planted kernel of an op that is timed", printable(q.plant));
    if (!q.desc.empty() && ops_.size() != 1)
      invalid("--desc", "the one op that it is a desc of, by --op or --kernel", fmt::format("{} ops", ops_.size()));
  }

  const std::vector<std::string>& globs() const { return globs_; }
  const std::string& only_op() const { return *ops_.begin(); }
  bool asks(std::string_view op) const { return ops_.contains(std::string(op)); }

  /// What one problem came to: the JSON of bench_json.
  void note(const Json& problem) {
    std::set<std::string> here;
    for (const Json& k : problem["kernels"]) here.insert(k["kernel"].get<std::string>());
    for_each_op([&]<class Op>() {
      if (problem["op"] == Op::kName) note_others<Op>(problem["desc"].get<std::string>(), here);
    });
    timed_.merge(here);
  }

  bool anything_timed() const { return !timed_.empty(); }

  /// Kernels asked for by name that no problem timed, and why; `required`: those of --require alone.
  std::map<std::string, std::string> untimed(bool required) const {
    std::map<std::string, std::string> out;
    for (const auto& [name, why] : reasons_)
      if (!timed_.contains(name) && (required ? matches(o_.require, name) : true)) out[name] = why;
    return out;
  }

 private:
  static bool matches(const std::vector<std::string>& globs, std::string_view name) {
    return std::any_of(globs.begin(), globs.end(), [&](const std::string& g) { return glob_matches(g, name); });
  }

  void add(std::string_view op, std::string_view kernel) {
    if ((!o_.op.empty() && o_.op != op) || (!globs_.empty() && !matches(globs_, kernel))) return;
    ops_.emplace(op);
  }

  /// A name may have an entry for each kind of device: what keeps that of this device from the desc says more.
  template <class Op>
  void note_others(const std::string& desc, const std::set<std::string>& here) {
    for (const Kernel<Op>* k : kernels_with<Op>(o_.plant)) {
      const std::string name(k->info.name);
      if (here.contains(name) || (!globs_.empty() && !matches(globs_, name))) continue;
      const bool of_this_device = check_device(k->info, k->launch != nullptr, o_.device).empty();
      if (of_this_device || !reasons_.contains(name)) reasons_[name] = to_text(check(*k, o_.device, parse_case<Op>(desc).desc));
    }
  }

  const VerifyOptions& o_;
  std::vector<std::string> globs_;  ///< empty: every kernel
  std::set<std::string> ops_, timed_;
  std::map<std::string, std::string> reasons_;
};

/// Problems that bench times unless --desc names one.
std::vector<BenchQuery> bench_problems(const VerifyQuery& q, const BenchedKernels& benched) {
  std::vector<BenchQuery> out;
  const bool attention = benched.asks("attention"), matmul = benched.asks("matmul");
  const std::string heads = "heads=16:8 head_dim=128";
  if (attention && q.desc.empty())
    for (const BenchQuery& b : {BenchQuery{.batch = 1, .context = 8192}, BenchQuery{.batch = 8, .context = 2048},
                                BenchQuery{.batch = 1, .context = 2048, .q_len = 8}, BenchQuery{.batch = 1, .context = 512, .q_len = 512}})
      out.push_back(b), out.back().op = "attention", out.back().desc = heads;
  if (matmul && q.desc.empty())
    for (const int64_t rows : {1, 8, 512}) out.push_back({.op = "matmul", .desc = "n=3072 k=1024", .rows = rows});
  constexpr std::pair<std::string_view, std::string_view> kRowOps[] = {{"norm", "hidden=1024"},   {"rope", ""},       {"rope_kv_write", ""},
                                                                       {"kv_write", ""},          {"activation", ""}, {"embed", "hidden=1024"},
                                                                       {"sample", "vocab=151936"}};
  for (const auto& [op, desc] : kRowOps)
    if (benched.asks(op) && q.desc.empty())
      for (const int64_t rows : {1, 64}) out.push_back({.op = std::string(op), .desc = std::string(desc), .rows = rows});
  if (!q.desc.empty()) out.push_back({.op = benched.only_op(), .desc = q.desc});
  for (BenchQuery& b : out)
    b.threads = q.threads, b.cold = q.cold, b.iterations = 11, b.device = q.device, b.kernels = benched.globs(), b.plant = q.plant;
  return out;
}

/// What multiplies nothing is timed in the caches, where memory's bandwidth is no ceiling.
std::string time_line(const Json& k) {
  const std::string out =
      fmt::format("  {:<30} {:>10.1f} us (least {:.1f}, spread {:.1f} %), {:.1f} GB/s, ", k["kernel"].get<std::string>(),
                  k["median_us"].get<double>(), k["min_us"].get<double>(), 100 * k["spread"].get<double>(), k["gb_per_s"].get<double>());
  const double rate = k["gflop_per_s"].get<double>(), speedup = k["speedup"].get<double>();
  if (rate == 0) return out + fmt::format("{:.2f}×", speedup);
  return out + fmt::format("{:.1f} GFLOP/s, {:.0f} % of the ceiling, {:.2f}×", rate, 100 * k["share_of_ceiling"].get<double>(), speedup);
}

VerifyOutcome bench(const VerifyQuery& q, const VerifyOptions& o) {
  BenchedKernels benched(q, o);
  Json all = Json::array();
  for (const BenchQuery& problem : bench_problems(q, benched)) {
    Json j = Json::parse(bench_json(problem));
    say(q, fmt::format("{} {}: {}", j["op"].get<std::string>(), j["desc"].get<std::string>(), j["call"].get<std::string>()));
    for (const Json& k : j["kernels"]) say(q, time_line(k));
    benched.note(j);
    all.push_back(std::move(j));
  }
  const bool nothing = !benched.anything_timed();
  const auto untimed = benched.untimed(!nothing);
  for (const auto& [name, why] : untimed) say(q, fmt::format("{}: {}not timed: {}", name, nothing ? "" : "required, but ", why));
  if (nothing) say(q, "DID NOT HOLD: no kernel was timed");
  const bool held = !nothing && untimed.empty();
  return {held, Json{{"held", held}, {"mode", q.mode}, {"problems", all}, {"not_timed", Json(untimed)}}.dump()};
}

/// "cpu.attention.avx2: 4,939 cases; 4,032 of them are 112 descs at 36 lengths, where admitted; …"
std::string plan_line(const PlannedWork& w) {
  if (!w.other.empty()) return fmt::format("{} = {}: {} cases", w.kernel, w.other, w.cases);
  std::string out = fmt::format("{}: {} cases", w.kernel, w.cases);
  if (w.product == 0) return out;
  out += fmt::format("; {} of them are {} descs at {} lengths, where admitted", w.product - w.left_out, w.descs, w.lengths);
  if (w.left_out > 0) out += fmt::format(", spread over {}", w.product);
  if (w.too_large > 0) out += fmt::format("; {} more would cost too much", w.too_large);
  return out;
}

void say_plan(const VerifyQuery& q, const std::vector<PlannedWork>& work) {
  if (!q.on_plan) return;
  int64_t cases = 0;
  for (const PlannedWork& w : work) q.on_plan(plan_line(w)), cases += w.cases;
  q.on_plan(fmt::format("{} cases in all; Ctrl-C ends them with a report of what ran", cases));
}

VerifyOutcome check(const VerifyQuery& q, VerifyOptions o) {
  const bool support = q.mode == "support";
  o.stop = q.stop;
  o.on_plan = [&](const std::vector<PlannedWork>& work) { say_plan(q, work); };
  o.on_case = [](const std::string& kernel, int64_t done, int64_t total) {
    report_progress(fmt::format("{}, case {} of {}", kernel, done, total), done, total);
  };
  o.on_kernel = [&](const KernelReport& k) {
    say(q, kernel_line(k));
    if (support) say_support(q, k);
    for (const SuiteResult& c : k.suite)
      say(q, fmt::format("  {} {:<70} error {:.2e}: {:.3f} of the bound, {:.3f} of {} + {}·|x|", c.passed ? "passed" : "FAILED", c.name, c.max_error,
                         c.error_over_bound, c.error_over_tolerance, c.atol, c.rtol));
    say_failures(q, k.failures, k.failed);
  };
  o.on_tag = [&](const TagReport& t) {
    const std::string found = !t.reason.empty()    ? "not compared: " + t.reason
                              : t.cases == 0       ? "NOT COMPARED"
                              : t.failures.empty() ? fmt::format("{} cases, equal bits", t.cases)
                                                   : fmt::format("{} cases, OTHER BITS", t.cases);
    say(q, fmt::format("{} = {} ({}): {}", t.kernel, t.other, t.reduction, found));
    say_failures(q, t.failures, static_cast<int64_t>(t.failures.size()));
  };
  o.perform = performer(q, o.device.name);
  const VerifyReport report = run_verify(o);
  for (const auto& [name, why] : report.required_not_run) say(q, fmt::format("{}: required, but not run: {}", name, why));
  if (!report.nothing_ran.empty()) say(q, "--desc: " + report.nothing_ran);
  int64_t cases = 0, ran = 0;
  for (const auto& k : report.kernels) cases += k.cases, ran += k.status != KernelReport::Status::not_run;
  const std::string_view verdict = report.held() ? "held" : report.stopped && report.failed() == 0 ? "ENDED EARLY, what ran held" : "DID NOT HOLD";
  say(q, fmt::format("{}: {} kernels, {} not run, {} cases, {:.1f} s", verdict, ran, static_cast<int64_t>(report.kernels.size()) - ran, cases,
                     report.seconds));
  remember(q, o, report);
  return {report.held(), to_json(report, o, q.mode)};
}

/// "caught  mask_off_by_one  a row does not see its own key: q=1, q=1 window, q>1, q>1 window"
std::string planted_line(const PlantedReport& r) {
  std::string seen, hidden;
  for (const PlantedTrial& t : r.trials)
    if (r.name != "none") (t.caught ? seen : hidden) += ((t.caught ? seen : hidden).empty() ? "" : ", ") + t.shape;
  std::string out = fmt::format("{}  {:<18} {}",
                                r.name == "none" ? (r.caught() ? "passes" : "FAILED")
                                : r.caught()     ? "caught"
                                                 : "MISSED",
                                r.name, r.what);
  if (!seen.empty()) out += fmt::format(": {}at {}", hidden.empty() ? "" : "only ", seen);
  if (!hidden.empty()) out += fmt::format("; passes at {}", hidden);
  return out;
}

Json planted_json(const PlantedReport& r) {
  Json j{{"defect", r.name}, {"what", r.what}, {"op", r.op}, {"caught", r.caught()}, {"trials", Json::array()}};
  for (const PlantedTrial& t : r.trials)
    j["trials"].push_back({{"shape", t.shape}, {"should_show", t.should_show}, {"caught", t.caught}, {"text", t.text}, {"repro", t.repro}});
  return j;
}

}  // namespace

VerifyOutcome verify(const VerifyQuery& q) {
  VerifyOptions o = options_of(q);
  if (q.mode == "fuzz") {
    if (!(q.seconds > 0 && q.seconds <= 1e7)) invalid("--seconds", "above 0, up to 10000000", std::to_string(q.seconds));
    if (!q.desc.empty()) invalid("--mode fuzz", "no --desc: the cases are random", q.desc);
    o.fuzz_seconds = q.seconds;
  }
  if (q.mode == "check" || q.mode == "support" || q.mode == "fuzz") return check(q, std::move(o));
  if (q.mode == "bench") return bench(q, o);
  invalid("--mode", "one of {check, support, fuzz, bench}", printable(q.mode));
}

VerifyOutcome verify_list(const VerifyQuery& q) {
  if (!q.require.empty()) invalid("--list", "no --require: nothing is run", printable(q.require[0]));
  Json kernels = Json::array();
  for (const ListedKernel& k : list_verify(options_of(q))) {
    say(q, fmt::format("{:<30} {:>5} cases{}", k.kernel, k.cases.size(), k.reason.empty() ? "" : "; not run: " + k.reason));
    if (!q.kernels.empty())
      for (const std::string& c : k.cases) say(q, "  " + c);
    kernels.push_back({{"kernel", k.kernel}, {"op", k.op}, {"not_run", k.reason.empty() ? Json(nullptr) : Json(k.reason)}, {"cases", k.cases}});
  }
  return {true, kernels.dump()};
}

VerifyOutcome verify_planted(const VerifyQuery& q) {
  if (q.seed >> 32 != 0) invalid("--seed", "0 to 4294967295", std::to_string(q.seed));
  Json defects = Json::array();
  const auto reports = run_planted(
      q.seed,
      [&](const PlantedReport& r) {
        say(q, planted_line(r));
        for (const PlantedTrial& t : r.trials)
          if (t.caught != t.should_show) say(q, fmt::format("  {}: {}\n    {}", t.shape, t.caught ? t.text : "passed", t.repro));
        defects.push_back(planted_json(r));
      },
      performer(q, "cpu"));
  const auto missed = std::count_if(reports.begin(), reports.end(), [](const PlantedReport& r) { return !r.caught(); });
  say(q, fmt::format("{} defects, {} MISSED", reports.size() - 1, missed));
  return {missed == 0, Json{{"held", missed == 0}, {"seed", q.seed}, {"planted", defects}}.dump()};
}

std::string verify_record_path() {
  const std::string folder = cache_folder();
  return folder.empty() ? "" : folder + "/verify.json";
}

void verify_child(int socket, const std::string& device) { serve_tasks(socket, device); }

}  // namespace attune
