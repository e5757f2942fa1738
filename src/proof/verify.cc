#include "proof/verify.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>

#include "core/error.h"
#include "proof/covering.h"
#include "proof/field_apart.h"
#include "proof/length_sets.h"
#include "proof/planted.h"
#include "proof/product.h"
#include "proof/suites.h"
#include "select/select.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kFailuresKept = 5;
constexpr double kWholeReference = 20e6, kWholeReferenceOfAll = 1e9;  // FLOP up to which every output is compared
constexpr double kSlowest = 20e6;                                     // FLOP that a reference kernel is asked for
constexpr double kLargestOfAll = 4e10;                                // FLOP of a case of attention with --all

/// Kernels made to be read, or to be wrong: they are asked for small problems only.
bool is_slow(const KernelInfo& kernel) { return kernel.tier == Tier::reference || kernel.backend() == "planted"; }

/// A tag that says so promises no equal bits between calls of different shape.
bool is_ordered(const KernelInfo& kernel) { return kernel.reduction.find("unordered") == std::string_view::npos; }

template <class Op>
constexpr bool kHasLengthSets = std::is_same_v<Op, Attention> || std::is_same_v<Op, Matmul> || std::is_same_v<Op, KvWrite>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

bool matches_any(const std::vector<std::string>& globs, std::string_view name) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& g) { return glob_matches(g, name); });
}

/// A problem with how it is to be judged.
template <class Op>
struct Planned {
  Case<Op> problem;
  Guard guard = Guard::after;
  bool order = false;  ///< also alone, in chunks, as decode steps
  Tolerance tolerance;
  std::string name;  ///< in a suite
};

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
      : o_(options), fuzz_share_(fuzz_share), perform_(perform), course_(course), report_(report) {}

  void run() {
    std::vector<const Kernel<Op>*> ran;
    for (const Kernel<Op>* kernel : asked()) {
      KernelReport r = verify(*kernel);
      if (r.status != KernelReport::Status::not_run) ran.push_back(kernel);
      if (o_.on_kernel) o_.on_kernel(r);
      report_.kernels.push_back(std::move(r));
    }
    for_each_pair(ran, [&](const Kernel<Op>& a, const Kernel<Op>& b) {
      if (course_.stopped()) return;
      TagReport t = compare(a, b);
      if (t.cases == 0 && course_.stopped()) return;
      if (o_.on_tag) o_.on_tag(t);
      report_.tags.push_back(std::move(t));
    });
  }

  /// What run() would do.
  void announce(std::vector<PlannedWork>& out) const {
    std::vector<const Kernel<Op>*> runnable;
    for (const Kernel<Op>* kernel : asked()) {
      if (!check_device(kernel->info, kernel->launch != nullptr, o_.device).empty()) continue;
      PlannedWork w{.kernel = std::string(kernel->info.name)};
      KernelReport unused;
      w.cases = static_cast<int64_t>(plan_of(*kernel, unused, &w).size());
      if (w.cases == 0) continue;
      runnable.push_back(kernel), out.push_back(std::move(w));
    }
    for_each_pair(runnable, [&](const Kernel<Op>& a, const Kernel<Op>& b) {
      out.push_back(
          {.kernel = std::string(a.info.name), .other = std::string(b.info.name), .cases = static_cast<int64_t>(common_cases(a, b).size())});
    });
  }

  void list(std::vector<ListedKernel>& out) const {
    for (const Kernel<Op>* kernel : asked()) {
      ListedKernel l{.kernel = std::string(kernel->info.name), .op = std::string(Op::kName), .reason = {}, .cases = {}};
      l.reason = to_text(check_device(kernel->info, kernel->launch != nullptr, o_.device));
      for (const Case<Op>& c : problems_of(*kernel)) l.cases.push_back(to_text(c));
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
    std::vector<Planned<Op>> plan = plan_of(kernel, r, nullptr);
    if (plan.empty() && o_.suite != VerifySuite::laws && o_.fuzz_seconds == 0) {
      r.status = KernelReport::Status::not_run, r.reason = o_.desc.empty() ? "no case of this suite suits it" : refusal(kernel);
      return r;
    }
    r.planned = static_cast<int64_t>(plan.size());
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

  // ---- plans -------------------------------------------------------------------------------------------------------------------------------

  std::vector<Planned<Op>> plan_of(const Kernel<Op>& kernel, KernelReport& r, PlannedWork* work) const {
    if (o_.fuzz_seconds > 0 || o_.suite == VerifySuite::laws) return {};
    if (!o_.desc.empty()) return plan_of_desc(kernel);
    if (o_.suite == VerifySuite::seed) return plan_of_seed_suite(kernel);
    std::vector<Planned<Op>> plan;
    if (o_.suite == VerifySuite::everything) add_covering(kernel, plan, r, work);
    add_length_sets(kernel, plan);
    if (is_slow(kernel.info)) std::erase_if(plan, [](const auto& p) { return flops_of(p.problem) > kSlowest; });
    return plan;
  }

  /// The case itself; or, where the text has no lengths, some.
  std::vector<Planned<Op>> plan_of_desc(const Kernel<Op>& kernel) const {
    constexpr int64_t kOfDesc = 8;
    const Case<Op> given = parse_case<Op>(o_.desc);
    std::vector<Planned<Op>> plan;
    if (!admits(kernel, given.desc)) return plan;
    std::vector<Case<Op>> cases;
    const std::string words = " " + o_.desc;
    const bool has_lengths = words.find(" q_lens=") != std::string::npos || words.find(" kv_lens=") != std::string::npos ||
                             words.find(" m=") != std::string::npos ||
                             words.find(std::is_same_v<Op, Matmul> ? " seed=" : " rows=") != std::string::npos;
    if (has_lengths) cases.push_back(given);
    for (int64_t i = 0; !has_lengths && i < (o_.samples > 0 ? o_.samples : kOfDesc); ++i)
      cases.push_back(case_of<Op>(given.desc, o_.seed * 1000 + static_cast<uint64_t>(i) + 1));
    for (const auto& c : cases) {
      plan.push_back({c, Guard::after, true, {}, {}});
      plan.push_back({c, Guard::before, false, {}, {}});
    }
    return plan;
  }

  std::vector<Planned<Op>> plan_of_seed_suite(const Kernel<Op>& kernel) const {
    std::vector<Planned<Op>> plan;
    if constexpr (std::is_same_v<Op, Attention>)
      for (const SuiteCase& s : seed_suite())
        if (kernel.info.tier != Tier::reference && admits(kernel, s.problem.desc))
          plan.push_back({s.problem, Guard::after, false, s.tolerance, s.name});
    (void)kernel;
    return plan;
  }

  void add_covering(const Kernel<Op>& kernel, std::vector<Planned<Op>>& plan, KernelReport& r, PlannedWork* work) const {
    PairCoverage coverage;
    std::vector<Case<Op>> cases = covering_cases(kernel, o_.seed, &coverage);
    r.pairs_covered = coverage.covered, r.pairs_possible = coverage.possible, r.pairs_too_large = coverage.too_large;
    const int64_t usual = kUsualDraws * (o_.all ? 10 : 1), drawn = o_.samples > 0 && !o_.all ? o_.samples : usual;
    const std::vector<Case<Op>> covering = cases;
    for (int64_t i = 0; i < drawn; ++i)
      if (auto c = draw_case(kernel, o_.seed, i)) cases.push_back(std::move(*c));
    for (Case<Op>& c : end_cases(kernel, o_.seed)) cases.push_back(std::move(c));
    // Half of the cases have the forbidden page before their data; every third is also run in pieces (of a reference, which is slow, every 12th).
    const size_t pieces = is_slow(kernel.info) ? 12 : 3;
    for (size_t i = 0; i < cases.size(); ++i)
      plan.push_back({std::move(cases[i]), i % 2 == 0 ? Guard::after : Guard::before, o_.all || i % pieces == 0, {}, {}});
    if (o_.all) add_product(kernel, covering, plan, work);
  }

  /// Every covering desc at every length; of a bounded run so many cases, spread over them.
  void add_product(const Kernel<Op>& kernel, const std::vector<Case<Op>>& covering, std::vector<Planned<Op>>& plan, PlannedWork* work) const {
    const double most = is_slow(kernel.info) ? kSlowest : kLargestOfAll;
    Product<Op> all = product_of(kernel, covering, o_.seed, most);
    const auto found = static_cast<int64_t>(all.cases.size());
    std::vector<Case<Op>> cases = spread(std::move(all.cases), o_.samples);
    if (work)
      work->descs = all.descs, work->lengths = all.lengths, work->product = found, work->too_large = all.too_large,
      work->left_out = found - static_cast<int64_t>(cases.size());
    for (size_t i = 0; i < cases.size(); ++i) {
      const bool order = !is_slow(kernel.info) && flops_of(cases[i]) <= (std::is_same_v<Op, Attention> ? kWholeReferenceOfAll : kWholeReference);
      plan.push_back({std::move(cases[i]), i % 2 == 0 ? Guard::after : Guard::before, order, {}, {}});
    }
  }

  /// At most so many (0: all), spread evenly.
  static std::vector<Case<Op>> spread(std::vector<Case<Op>> cases, int64_t most) {
    const auto kept = static_cast<size_t>(most);
    if (most == 0 || cases.size() <= kept) return cases;
    std::vector<Case<Op>> out;
    for (size_t i = 0; i < kept; ++i) out.push_back(std::move(cases[i * cases.size() / kept]));
    return out;
  }

  void add_length_sets(const Kernel<Op>& kernel, std::vector<Planned<Op>>& plan) const {
    if constexpr (std::is_same_v<Op, Attention>) {
      const double most = is_slow(kernel.info) ? kSlowest : o_.all ? kLargestOfAll : 2e8;
      for (auto& c : length_set_cases(kernel, o_.seed, most, o_.all ? 12 : 1, o_.all)) {
        const bool order = !is_slow(kernel.info) && flops_of(c) <= (o_.all ? 1e9 : kWholeReference);
        plan.push_back({std::move(c), Guard::after, order, {}, {}});
      }
    } else if constexpr (std::is_same_v<Op, Matmul>) {
      for (auto& c : layer_cases(kernel, o_.seed, is_slow(kernel.info) ? kSlowest : 1e11, o_.all)) {
        const bool order = flops_of(c) <= kWholeReference;
        plan.push_back({std::move(c), Guard::after, order, {}, {}});
      }
    } else if constexpr (std::is_same_v<Op, KvWrite>) {
      for (auto& c : large_pool_cases(kernel, o_.seed)) plan.push_back({std::move(c), Guard::after, false, {}, {}});
    }
    (void)kernel, (void)plan;
  }

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
    if (whole) judge_declaration(kernel, plan, r);
    return judge_laws(kernel, r);
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

  /// Calls f with each two kernels whose tag promises equal bits.
  template <class F>
  void for_each_pair(const std::vector<const Kernel<Op>*>& kernels, F&& f) const {
    if (o_.suite == VerifySuite::laws || o_.fuzz_seconds > 0) return;
    for (size_t a = 0; a < kernels.size(); ++a)
      for (size_t b = a + 1; b < kernels.size(); ++b)
        if (kernels[a]->info.reduction == kernels[b]->info.reduction && is_ordered(kernels[a]->info)) f(*kernels[a], *kernels[b]);
  }

  /// The problems of a kernel's plan, made once: each pair that it is in asks for them.
  const std::vector<Case<Op>>& problems_of(const Kernel<Op>& kernel) const {
    const auto [found, is_new] = problems_.try_emplace(&kernel);
    KernelReport unused;
    if (is_new)
      for (auto& p : plan_of(kernel, unused, nullptr)) found->second.push_back(std::move(p.problem));
    return found->second;
  }

  /// Cases of either plan that both admit, each once; else drawn ones.
  std::vector<Case<Op>> common_cases(const Kernel<Op>& a, const Kernel<Op>& b) const {
    std::vector<Case<Op>> out;
    std::set<std::string> seen;
    for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)})
      for (const Case<Op>& c : problems_of(*one))
        if (admits(*other, c.desc) && seen.insert(to_text(c)).second) out.push_back(c);
    constexpr uint64_t kDraws = 2000;
    const bool whole = o_.desc.empty() && o_.suite == VerifySuite::everything;
    for (uint64_t i = 0; whole && out.empty() && i < kDraws; ++i)
      if (auto c = random_case(a, o_.seed * kDraws + i); c && admits(b, c->desc)) out.push_back(std::move(*c));
    return o_.all ? spread(std::move(out), o_.samples) : out;
  }

  TagReport compare(const Kernel<Op>& a, const Kernel<Op>& b) {
    TagReport t{.reduction = std::string(a.info.reduction), .kernel = std::string(a.info.name), .other = std::string(b.info.name)};
    for (const Case<Op>& c : common_cases(a, b)) {
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
  mutable std::map<const Kernel<Op>*, std::vector<Case<Op>>> problems_;
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
