#include "proof/verify.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "core/error.h"
#include "proof/field_apart.h"
#include "proof/plan.h"
#include "proof/planted.h"
#include "select/select.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kFailuresKept = 5;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

bool matches_any(const std::vector<std::string>& globs, std::string_view name) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& g) { return glob_matches(g, name); });
}

/// How far a run is, and whether it is to end.
class Course {
 public:
  explicit Course(const VerifyOptions& options) : o_(options) {}

  bool stopped() { return stopped_ = stopped_ || (o_.stop && o_.stop()); }
  void expect(int64_t cases) { total_ += cases; }
  void step(std::string_view kernel) {
    ++done_;
    if (o_.on_case && total_ > 0) o_.on_case(std::string(kernel), done_, total_);
  }

 private:
  const VerifyOptions& o_;
  bool stopped_ = false;
  int64_t done_ = 0, total_ = 0;
};

/// Everything about one op.
template <class Op>
class OpVerifier {
 public:
  OpVerifier(const VerifyOptions& options, double fuzz_share, const Performer& perform, Course& course, VerifyReport& report)
      : o_(options), fuzz_share_(fuzz_share), perform_(perform), course_(course), report_(report), planner_(options) {}

  void run() {
    std::vector<const Kernel<Op>*> ran;
    for (const Kernel<Op>* kernel : asked()) {
      KernelReport r = verify(*kernel);
      if (r.status != KernelReport::Status::not_run) ran.push_back(kernel);
      if (o_.on_kernel) o_.on_kernel(r);
      report_.kernels.push_back(std::move(r));
    }
    for (const auto& [a, b] : planner_.pairs_of(ran)) {
      if (course_.stopped()) return;
      TagReport t = compare(*a, *b);
      if (t.cases == 0 && course_.stopped()) return;
      if (o_.on_tag) o_.on_tag(t);
      report_.tags.push_back(std::move(t));
    }
  }

  /// What run() would do.
  void announce(std::vector<PlannedWork>& out) const {
    std::vector<const Kernel<Op>*> runnable;
    for (const Kernel<Op>* kernel : asked()) {
      if (!check_device(kernel->info, kernel->launch != nullptr, o_.device).empty()) continue;
      PlannedWork w = planner_.plan_of(*kernel).work;
      if (w.cases == 0) continue;
      runnable.push_back(kernel), out.push_back(std::move(w));
    }
    for (const auto& [a, b] : planner_.pairs_of(runnable))
      out.push_back({.kernel = std::string(a->info.name),
                     .other = std::string(b->info.name),
                     .cases = static_cast<int64_t>(planner_.common_cases(*a, *b).size())});
  }

  void list(std::vector<ListedKernel>& out) const {
    for (const Kernel<Op>* kernel : asked()) {
      ListedKernel l{.kernel = std::string(kernel->info.name), .op = std::string(Op::kName), .reason = {}, .cases = {}};
      l.reason = to_text(check_device(kernel->info, kernel->launch != nullptr, o_.device));
      for (const Case<Op>& c : planner_.problems_of(*kernel)) l.cases.push_back(to_text(c));
      out.push_back(std::move(l));
    }
  }

 private:
  /// The catalogue's kernels that are asked for, and the planted one.
  std::vector<const Kernel<Op>*> asked() const {
    std::vector<const Kernel<Op>*> out;
    for (const Kernel<Op>* k : catalogue().template kernels<Op>())
      if (o_.kernels.empty() || matches_any(o_.kernels, k->info.name) || matches_any(o_.require, k->info.name)) out.push_back(k);
    if (const Kernel<Op>* k = find_planted<Op>(o_.plant)) out.push_back(k);
    return out;
  }

  KernelReport verify(const Kernel<Op>& kernel) {
    KernelReport r{.kernel = std::string(kernel.info.name), .op = std::string(Op::kName), .reduction = std::string(kernel.info.reduction)};
    r.version = kernel.info.version;
    const auto start = Clock::now();
    const auto reasons = check_device(kernel.info, kernel.launch != nullptr, o_.device);
    if (!reasons.empty()) {
      r.status = KernelReport::Status::not_run, r.reason = to_text(reasons);
      return r;
    }
    if (course_.stopped()) {
      r.status = KernelReport::Status::not_run, r.reason = "the run was ended before it";
      return r;
    }
    auto [plan, pairs, work] = planner_.plan_of(kernel);
    r.pairs_covered = pairs.covered, r.pairs_possible = pairs.possible, r.pairs_too_large = pairs.too_large;
    if (plan.empty() && o_.suite != VerifySuite::laws && o_.fuzz_seconds == 0) {
      r.status = KernelReport::Status::not_run, r.reason = o_.desc.empty() ? "" : refusal(kernel);
      if (r.reason.empty()) r.reason = o_.shard.of > 1 ? "no case of it is in this part of the run" : "no case of this suite suits it";
      return r;
    }
    r.planned = work.cases;
    std::erase_if(plan, [&](const auto& p) {
      if (course_.stopped()) return true;
      const bool ran = run_one(kernel, p, r);
      course_.step(kernel.info.name);
      return !ran;
    });
    bool done = r.cases + static_cast<int64_t>(r.skipped.size()) == r.planned;
    if (o_.fuzz_seconds > 0) done = fuzz(kernel, r);
    if (r.cases == 0 && o_.suite != VerifySuite::laws) {
      r.status = KernelReport::Status::not_run, r.reason = course_.stopped()   ? "the run was ended in its first case"
                                                           : r.skipped.empty() ? "no random case of it was found in its time"
                                                                               : r.skipped[0].text;
      return r;
    }
    judge_together(kernel, r);
    done &= judge_whole(kernel, plan, r);
    r.status = r.failed > 0 ? KernelReport::Status::failed : done ? KernelReport::Status::passed : KernelReport::Status::ended_early;
    r.seconds = seconds_since(start);
    return r;
  }

  std::string refusal(const Kernel<Op>& kernel) const { return to_text(check(kernel, o_.device, parse_case<Op>(o_.desc).desc)); }

  // ---- running -----------------------------------------------------------------------------------------------------------------------------

  void fail(KernelReport& r, std::string text, std::string repro) const {
    if (++r.failed <= static_cast<int64_t>(kFailuresKept)) r.failures.push_back({std::move(text), std::move(repro)});
  }

  std::string repro(const Kernel<Op>& kernel, const Case<Op>& c) const {
    return repro_line(kernel, c) + with_plant(kernel) + (o_.all ? " --all" : "") + on_device();
  }

  /// Of the planted kernel alone: a plant is part of every run that names it.
  std::string with_plant(const Kernel<Op>& kernel) const { return find_planted<Op>(o_.plant) == &kernel ? " --plant " + o_.plant : ""; }

  std::string on_device() const { return o_.device.name == "cpu" ? "" : " --device " + o_.device.name; }

  Task task_of(const Kernel<Op>& kernel, const std::string& repro) const {
    return {.op = std::string(Op::kName), .kernel = std::string(kernel.info.name), .repro = repro};
  }

  /// False if the case was skipped: a device has not the memory for its pool.
  bool run_one(const Kernel<Op>& kernel, const Planned<Op>& p, KernelReport& r) {
    if (const std::string reason = lacks_memory(p.problem); !reason.empty()) return skip(r, p.problem, reason);
    Task task = task_of(kernel, repro(kernel, p.problem));
    task.problem = to_text(p.problem), task.guard = p.guard, task.order = p.order && is_ordered(kernel.info), task.tolerance = p.tolerance;
    task.samples = flops_of(p.problem) <= (o_.all ? kWholeReferenceOfAll : kWholeReference) ? 0 : 64;
    const TaskResult done = perform_(task);
    const CaseResult& result = done.result;
    if (result.inconclusive && course_.stopped()) return false;  // Ctrl-C ends the process that runs cases, too
    if (result.inconclusive && !result.device_lost && p.problem.pool > 0) return skip(r, p.problem, result.text);
    ++r.cases;
    r.orders += done.ordered, r.outputs += result.outputs, r.replays += result.replays;
    note_values(kernel, p.problem, r);
    if (result.max_error_over_bound > r.max_error_over_bound || r.worst_case.empty()) {
      r.max_error_over_bound = result.max_error_over_bound;
      r.worst_case = task.problem, r.where = result.where, r.nmse = result.nmse;
    }
    r.nmse_ratio = std::max(r.nmse_ratio, result.typical_ratio), r.lean_ratio = std::max(r.lean_ratio, result.levers.ratio());
    r.levers.add(result.levers);
    r.few.outputs += result.few.outputs, r.few.ratios += result.few.ratios;
    r.max_of_tolerance = std::max(r.max_of_tolerance, result.max_of_tolerance);
    if (!p.name.empty())
      r.suite.push_back(
          {p.name, result.passed, result.max_error, result.max_error_over_bound, result.max_of_tolerance, p.tolerance.atol, p.tolerance.rtol});
    if (!result.passed) fail(r, result.text, task.repro);
    return true;
  }

  bool skip(KernelReport& r, const Case<Op>& c, std::string reason) const {
    r.skipped.push_back({std::move(reason), to_text(c)});
    return false;
  }

  /// A GPU holds the whole of a large pool, which is address space alone on a CPU.
  std::string lacks_memory(const Case<Op>& c) const {
    constexpr double kShare = 0.8;
    if constexpr (kHasPool<Op>) {
      const auto needed = static_cast<double>(pool_bytes(c)), there = kShare * static_cast<double>(o_.device.memory);
      if (o_.device.kind != DeviceKind::cpu && needed > there)
        return fmt::format("its pool needs {:.1f} GB, {:.0f} % of the device's memory are {:.1f} GB", needed / 1e9, 100 * kShare, there / 1e9);
    }
    (void)c;
    return "";
  }

  void note_values(const Kernel<Op>& kernel, const Case<Op>& c, KernelReport& r) const {
    const typename Op::Desc defaults{};
    Op::for_each_field(kernel.can, c.desc, defaults, [&](FieldName name, const auto&, const auto& value, const auto&, const auto&) {
      ++r.exercised[std::string(name.field)][value_text(value)];
    });
  }

  /// What one case is too small to show: the mean square of outputs that come in small numbers, and how far errors lean.
  void judge_together(const Kernel<Op>& kernel, KernelReport& r) const {
    constexpr int64_t kEnough = 64;
    const auto again = [&] {
      return fmt::format("attune verify --kernel {} --seed {}{}{}{}", kernel.info.name, o_.seed, with_plant(kernel), o_.all ? " --all" : "",
                         on_device());
    };
    r.lean_ratio = std::max(r.lean_ratio, r.levers.ratio());
    if (const std::string text = r.levers.verdict(); !text.empty() && r.failed == 0) fail(r, "over all cases " + text, again());
    if (r.few.outputs < kEnough) return;
    const double ratio = r.few.ratios / static_cast<double>(r.few.outputs);
    r.nmse_ratio = std::max(r.nmse_ratio, ratio);
    if (ratio > 4)
      fail(r,
           fmt::format("mean square error {:.3g} times that of independent roundings, expected at most 4, over {} outputs of many cases", ratio,
                       r.few.outputs),
           again());
  }

  /// A new random case until the time is over; the seeds follow from the first. False if the run was ended before that.
  bool fuzz(const Kernel<Op>& kernel, KernelReport& r) {
    const auto start = Clock::now();
    for (uint64_t i = 0; seconds_since(start) < fuzz_share_ && r.failed < static_cast<int64_t>(kFailuresKept); ++i) {
      if (course_.stopped()) return false;
      const auto c = random_case(kernel, o_.seed * 1'000'000'007 + i);
      if (!c) continue;
      static_cast<void>(run_one(kernel, {*c, i % 2 == 0 ? Guard::after : Guard::before, i % 4 == 0, {}}, r));
    }
    return true;
  }

  // ---- what is declared --------------------------------------------------------------------------------------------------------------------

  /// What a run of planned cases says of a kernel beyond them. False if the run was ended before that.
  bool judge_whole(const Kernel<Op>& kernel, const std::vector<Planned<Op>>& plan, KernelReport& r) {
    const bool whole = o_.suite == VerifySuite::everything;
    if (!o_.desc.empty() || o_.fuzz_seconds > 0 || (!whole && o_.suite != VerifySuite::laws)) return true;
    if (course_.stopped()) return false;
    if (whole && o_.shard.of == 1) judge_declaration(kernel, plan, r);
    return o_.shard.index > 1 || judge_laws(kernel, r);
  }

  void judge_declaration(const Kernel<Op>& kernel, const std::vector<Planned<Op>>& plan, KernelReport& r) {
    std::vector<Case<Op>> cases;
    for (const auto& p : plan) cases.push_back(p.problem);
    r.unexercised = unexercised(kernel, cases);
    for (auto& [field, text] : declared_fields(kernel)) r.declared[field] = text;
    const std::string again =
        fmt::format("attune verify --mode support --kernel {} --seed {}{}{}", kernel.info.name, o_.seed, with_plant(kernel), on_device());
    for (const std::string& value : r.unexercised) fail(r, "declared, but in no case: " + value, again);
    for (const Outside<Op>& outside : outside_descs(kernel, o_.seed)) {
      const auto reasons = check(kernel, o_.device, outside.desc);
      const bool named = std::any_of(reasons.begin(), reasons.end(), [&](const Reason& reason) { return reason.field == outside.field; });
      ++r.refusals;
      if (!named)
        fail(r, fmt::format("admits {} outside its capability: {}", outside.field, to_text(outside.desc)),
             fmt::format("attune explain {} --desc \"{}\"", Op::kName, to_text(outside.desc)));
    }
  }

  bool judge_laws(const Kernel<Op>& kernel, KernelReport& r) {
    if constexpr (std::is_same_v<Op, Sample>) {
      Task task = task_of(kernel, fmt::format("attune verify --kernel {} --suite laws --seed {}{}", kernel.info.name, o_.seed, on_device()));
      task.kind = Task::Kind::laws, task.seed = o_.seed;
      const TaskResult done = perform_(task);
      if (done.laws.empty() && done.result.inconclusive && course_.stopped()) return false;
      if (done.laws.empty()) fail(r, done.result.text, task.repro);
      for (const LawResult& law : done.laws) {
        r.draws += law.draws;
        if (!law.text.empty()) fail(r, fmt::format("{}: {}", law.law, law.text), task.repro);
      }
    }
    (void)kernel, (void)r;
    return true;
  }

  // ---- equal tags, equal bits --------------------------------------------------------------------------------------------------------------

  TagReport compare(const Kernel<Op>& a, const Kernel<Op>& b) {
    TagReport t{.reduction = std::string(a.info.reduction), .kernel = std::string(a.info.name), .other = std::string(b.info.name)};
    for (const Case<Op>& c : planner_.common_cases(a, b)) {
      if (course_.stopped()) return t;
      Task task = task_of(a, repro_line(a, c) + fmt::format(" --kernel {}{}{}{}", b.info.name, with_plant(a), with_plant(b), on_device()));
      task.kind = Task::Kind::tag, task.other = b.info.name, task.problem = to_text(c);
      const TaskResult done = perform_(task);
      if (done.result.inconclusive && course_.stopped()) return t;
      ++t.cases, course_.step(a.info.name);
      if (!done.result.passed && t.failures.size() < kFailuresKept) t.failures.push_back({done.result.text, task.repro});
    }
    if (t.cases == 0) judge_uncompared(a, b, t);
    return t;
  }

  /// Nothing compared is a failure, unless nothing can be.
  void judge_uncompared(const Kernel<Op>& a, const Kernel<Op>& b, TagReport& t) const {
    const std::string field = field_apart(a, b);
    if (!field.empty())
      t.reason = fmt::format("no {} is both's", field);
    else if (!o_.desc.empty())
      t.reason = "the desc is not both's";
    else if (o_.shard.of > 1)
      t.reason = "no case of this part of the run is both's";
    else if (o_.suite != VerifySuite::everything)
      t.reason = "no case of this suite is both's";
    else
      t.failures.push_back({fmt::format("{} and {} share the tag {}, but no case compares them", t.kernel, t.other, t.reduction),
                            fmt::format("attune verify --kernel {} --kernel {} --seed {}{}{}{}", t.kernel, t.other, o_.seed, with_plant(a),
                                        with_plant(b), on_device())});
  }

  const VerifyOptions& o_;
  double fuzz_share_;  ///< seconds
  const Performer& perform_;
  Course& course_;
  VerifyReport& report_;
  Planner<Op> planner_;
};

}  // namespace

void check_verify_names(const VerifyOptions& o) {
  check_plant(o.plant);
  bool op_known = o.op.empty();
  std::string known_ops;
  std::vector<std::string> globs = o.kernels;
  globs.insert(globs.end(), o.require.begin(), o.require.end());
  std::vector<bool> used(globs.size(), false);
  for_each_op([&]<class Op>() {
    known_ops += (known_ops.empty() ? "" : ", ") + std::string(Op::kName);
    op_known |= o.op == Op::kName;
    const auto see = [&](std::string_view name) {
      for (size_t i = 0; i < globs.size(); ++i) used[i] = used[i] || glob_matches(globs[i], name);
    };
    for (const auto* k : catalogue().kernels<Op>())
      if (o.op.empty() || o.op == Op::kName) see(k->info.name);
    if (const Kernel<Op>* k = find_planted<Op>(o.plant)) see(k->info.name);
  });
  if (!op_known) invalid("--op", "one of " + known_ops, printable(o.op));
  const std::string of_op = o.op.empty() ? "some kernel has" : fmt::format("some kernel of op {} has", o.op);
  for (size_t i = 0; i < globs.size(); ++i)
    if (!used[i])
      invalid(i < o.kernels.size() ? "--kernel" : "--require",
              fmt::format("a name, or a glob such as cpu.attention.*, that {} (attune kernels)", of_op), printable(globs[i]));
}

namespace {

/// True if the suite has cases of the op.
template <class Op>
bool has_cases(VerifySuite suite) {
  if (suite == VerifySuite::seed) return std::is_same_v<Op, Attention>;
  if (suite == VerifySuite::lengths) return kHasLengthSets<Op>;
  return suite != VerifySuite::laws || std::is_same_v<Op, Sample>;
}

std::string_view to_text(VerifySuite suite) {
  constexpr std::string_view kNames[] = {"everything", "seed", "lengths", "laws"};
  return kNames[static_cast<int>(suite)];
}

/// The ops that have a kernel asked for, of those that the suite has cases of.
std::vector<std::string> ops_of(const VerifyOptions& o) {
  std::vector<std::string> out, of_suite, left_out;
  bool plant_is_run = o.plant.empty();
  std::vector<std::string> globs = o.kernels;
  globs.insert(globs.end(), o.require.begin(), o.require.end());
  for_each_op([&]<class Op>() {
    if (has_cases<Op>(o.suite)) of_suite.emplace_back(Op::kName);
    if (!o.op.empty() && o.op != Op::kName) return;
    bool any_kernel = globs.empty();
    for (const auto* k : catalogue().kernels<Op>()) any_kernel = any_kernel || matches_any(globs, k->info.name);
    const bool planted_here = find_planted<Op>(o.plant) != nullptr;
    plant_is_run |= planted_here && has_cases<Op>(o.suite);
    if (any_kernel || planted_here) (has_cases<Op>(o.suite) ? out : left_out).emplace_back(Op::kName);
  });
  if (out.empty())
    invalid(fmt::format("--suite {}", to_text(o.suite)), fmt::format("an op that it has cases of: {}", fmt::join(of_suite, ", ")),
            fmt::format("{}", fmt::join(left_out, ", ")));
  if (!plant_is_run) invalid("--plant", fmt::format("a planted kernel of {}", fmt::join(out, ", ")), printable(o.plant));
  return out;
}

}  // namespace

std::string_view to_text(KernelReport::Status s) {
  constexpr std::string_view kNames[] = {"passed", "failed", "not run", "ended_early"};
  return kNames[static_cast<int>(s)];
}

int64_t VerifyReport::failed() const {
  return std::count_if(kernels.begin(), kernels.end(), [](const auto& k) { return k.status == KernelReport::Status::failed; }) +
         std::count_if(tags.begin(), tags.end(), [](const auto& t) { return !t.held(); });
}

bool VerifyReport::held() const {
  const bool ended_early = std::any_of(kernels.begin(), kernels.end(), [](const auto& k) { return k.status == KernelReport::Status::ended_early; });
  return failed() == 0 && !stopped && !ended_early && required_not_run.empty() && nothing_ran.empty();
}

namespace {

/// Kernels that can run here, of these ops.
int64_t runnable_kernels(const VerifyOptions& o, const std::vector<std::string>& ops) {
  int64_t count = 0;
  for_each_op([&]<class Op>() {
    if (std::find(ops.begin(), ops.end(), Op::kName) == ops.end()) return;
    for (const auto* k : catalogue().kernels<Op>())
      count += (o.kernels.empty() || matches_any(o.kernels, k->info.name)) && check_device(k->info, k->launch != nullptr, o.device).empty();
  });
  return std::max<int64_t>(count, 1);
}

/// Calls f with a verifier of each op that is asked for.
template <class F>
void for_each_verifier(const VerifyOptions& options, const Performer& perform, Course& course, VerifyReport& report, F&& f) {
  check_verify_names(options);
  const auto ops = ops_of(options);
  if (!options.desc.empty() && options.suite != VerifySuite::everything) invalid("--desc", "no --suite, which has its own cases", "both");
  if (!options.desc.empty() && ops.size() != 1)
    invalid("--desc", "the one op that it is a desc of, by --op or --kernel", fmt::format("{} ops", ops.size()));
  const double fuzz_share = options.fuzz_seconds / static_cast<double>(runnable_kernels(options, ops));
  for_each_op([&]<class Op>() {
    if (std::find(ops.begin(), ops.end(), Op::kName) != ops.end()) f(OpVerifier<Op>(options, fuzz_share, perform, course, report));
  });
}

}  // namespace

namespace {

/// This process as the place where cases run.
class Here {
 public:
  explicit Here(const DeviceProps& device) : pool_(std::max(2, available_cores())) {
    if (device.kind == DeviceKind::cpu) return;
    opened_ = open_device(device);
    on_ = std::make_unique<CaseDevice>(*opened_);
  }
  LaunchSite site() const { return {pool_, on_.get()}; }

 private:
  mutable ThreadPool pool_;
  std::unique_ptr<Device> opened_;
  std::unique_ptr<CaseDevice> on_;
};

}  // namespace

namespace {

/// Why none of the entries of a kernel ran (it may have one for each kind of device); nothing if one did.
std::optional<std::string> why_not_run(const VerifyReport& report, std::string_view kernel) {
  std::string why;
  for (const KernelReport& k : report.kernels) {
    if (k.kernel != kernel) continue;
    if (k.status != KernelReport::Status::not_run) return std::nullopt;
    if (why.find(k.reason) == std::string::npos) why += (why.empty() ? "" : "; ") + k.reason;
  }
  return why.empty() ? "this suite has no case of its op" : why;
}

void note_required(const VerifyOptions& o, VerifyReport& report) {
  for_each_op([&]<class Op>() {
    if (!o.op.empty() && o.op != Op::kName) return;
    for (const Kernel<Op>* k : kernels_with<Op>(o.plant))
      if (matches_any(o.require, k->info.name))
        if (const auto why = why_not_run(report, k->info.name)) report.required_not_run[std::string(k->info.name)] = *why;
  });
}

}  // namespace

std::vector<ListedKernel> list_verify(const VerifyOptions& options) {
  VerifyReport unused;
  Course course(options);
  std::vector<ListedKernel> out;
  for_each_verifier(options, {}, course, unused, [&](const auto& verifier) { verifier.list(out); });
  return out;
}

VerifyReport run_verify(const VerifyOptions& options) {
  const auto start = Clock::now();
  VerifyReport report;
  const Here here(options.perform ? detect_cpu() : options.device);
  const Performer perform = options.perform ? options.perform : [&](const Task& task) { return attune::perform(task, here.site()); };
  Course course(options);
  if (options.all && options.fuzz_seconds == 0) {
    std::vector<PlannedWork> work;
    for_each_verifier(options, perform, course, report, [&](const auto& verifier) { verifier.announce(work); });
    for (const PlannedWork& w : work) course.expect(w.cases);
    if (options.on_plan) options.on_plan(work);
  }
  for_each_verifier(options, perform, course, report, [](auto&& verifier) { verifier.run(); });
  report.stopped = course.stopped();
  note_required(options, report);
  const auto ran = [](const KernelReport& k) { return k.status != KernelReport::Status::not_run; };
  if (!options.desc.empty() && std::none_of(report.kernels.begin(), report.kernels.end(), ran)) report.nothing_ran = "no kernel ran a case of it";
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace attune
