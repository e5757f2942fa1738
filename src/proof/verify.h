#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proof/task.h"

namespace attune {

/// A case that did not hold, and the command that runs it again.
struct Failure {
  std::string text, repro;
};

/// A case of a suite, judged by its own tolerance beside our bound.
struct SuiteResult {
  std::string name;
  bool passed = false;
  double max_error = 0, error_over_bound = 0, error_over_tolerance = 0;
  double atol = 0, rtol = 0;
};

/// What was asked of one kernel, and what came of it.
struct KernelReport {
  /// ended_early: the run was stopped before all that was to be done, and nothing failed until then.
  enum class Status : uint8_t { passed, failed, not_run, ended_early };
  std::string kernel, op, reduction;
  int version = 0;
  Status status = Status::passed;
  std::string reason;    ///< why it was not run
  int64_t planned = 0;   ///< problems that were to be run; more than `cases` where the run was stopped
  int64_t cases = 0;     ///< problems run against the reference
  int64_t orders = 0;    ///< of these, run again alone, in other batches, phases and chunks
  int64_t replays = 0;   ///< of captured graphs
  int64_t refusals = 0;  ///< descs outside the capability that were refused by name
  int64_t draws = 0;     ///< tokens drawn for the laws of sampling
  int64_t outputs = 0;   ///< elements compared
  double max_error_over_bound = 0;
  double nmse_ratio = 0;  ///< largest mean square error over that of independent roundings; at most 4
  double lean_ratio = 0;  ///< largest lean of errors to one side over what independent roundings allow; at most 1
  Levers levers;          ///< of all cases together
  Comparison::Few few;    ///< outputs that were too few in their case
  double nmse = 0;
  double max_of_tolerance = 0;  ///< a suite's own tolerance; 0 without a suite
  std::string worst_case, where;
  double seconds = 0;
  std::vector<SuiteResult> suite;  ///< each case of the seed suite
  std::vector<Failure> skipped;    ///< cases that the device has no memory for: why, and the case
  int64_t failed = 0;              ///< all failures; the first few follow
  std::vector<Failure> failures;
  int64_t pairs_covered = 0, pairs_possible = 0, pairs_too_large = 0;
  /// field -> what is declared of it, and value -> cases that had it; "field=value" declared but in no case; ends of ranges too large to be run.
  std::map<std::string, std::string> declared;
  std::map<std::string, std::map<std::string, int64_t>> exercised;
  std::vector<std::string> unexercised;

  bool held() const { return status == Status::passed; }
};
std::string_view to_text(KernelReport::Status s);

/// Two kernels that declare one reduction tag: their bits must be equal.
struct TagReport {
  std::string reduction, kernel, other;
  int64_t cases = 0;
  std::string reason;  ///< why no case compares them, where none can; none without a reason is a failure
  std::vector<Failure> failures;

  bool held() const { return failures.empty() && (cases > 0 || !reason.empty()); }
};

struct VerifyReport {
  std::vector<KernelReport> kernels;
  std::vector<TagReport> tags;
  std::map<std::string, std::string> required_not_run;  ///< kernels of --require that did not run, and why
  std::string nothing_ran;                              ///< why an explicit desc ran no case; empty: it did, or none was given
  bool stopped = false;                                 ///< before the end: it does not hold, whatever ran
  double seconds = 0;

  bool held() const;
  int64_t failed() const;  ///< kernels, and pairs of one tag, that ran and failed
};

/// What a run is going to do with one kernel, or with two that share a reduction tag.
struct PlannedWork {
  std::string kernel, other;  ///< `other`: the kernel whose bits must be equal
  int64_t cases = 0;
  /// With `all`: of these, descs at each length; all that the kernel admits, those that cost too much, and those left out by `samples`.
  int64_t descs = 0, lengths = 0, product = 0, too_large = 0, left_out = 0;
};

/// Drawn cases of a kernel unless `samples` says otherwise; 10 times as many with `all`.
inline constexpr int64_t kUsualDraws = 36;

enum class VerifySuite : uint8_t { everything, seed, lengths, laws };

/// A part of a run that several processes share: every `of`-th case of a kernel (and of two of one tag) from the `index`-th on, counted from 1.
/// All parts together run what the whole runs, but for judgements over a kernel's cases as a whole: whether they exercised what is declared.
struct Shard {
  int64_t index = 1, of = 1;
};

struct VerifyOptions {
  std::string op;                    ///< empty: all
  std::vector<std::string> kernels;  ///< globs; empty: all
  std::vector<std::string> require;  ///< globs of kernels that must run
  std::string desc;                  ///< a case, or a desc for which lengths are drawn; needs one op
  VerifySuite suite = VerifySuite::everything;
  /// Drawn cases a kernel beyond the covering ones, or of a desc without lengths; with `all` also cases of the product, and of two kernels together,
  /// spread over all of them. 0: the usual number, and all.
  int64_t samples = 0;
  /// Every covering desc at every length set; each length set 12 times with other descs, 10 times the draws, and more of each output compared.
  bool all = false;
  Shard shard;
  uint64_t seed = 1;
  double fuzz_seconds = 0;  ///< above 0: random cases for so long instead of planned ones
  std::string plant;        ///< a planted defect that joins the run
  DeviceProps device;
  Performer perform;                                                                  ///< who runs the cases; empty: this process, on `device`
  std::function<bool()> stop;                                                         ///< true: no further case; may be empty
  std::function<void(const std::vector<PlannedWork>&)> on_plan;                       ///< with `all`, before anything is run
  std::function<void(const std::string& what, int64_t done, int64_t total)> on_case;  ///< with `all`, after each case
  std::function<void(const KernelReport&)> on_kernel;                                 ///< as each is done
  std::function<void(const TagReport&)> on_tag;
};

/// InvalidArgument for an op, a glob of a kernel or a planted defect that names nothing.
void check_verify_names(const VerifyOptions& options);

/// Runs what is asked. InvalidArgument for what names nothing; a kernel's own failure is in the report.
VerifyReport run_verify(const VerifyOptions& options);

/// A kernel and the cases that run_verify would run, or why it would run none.
struct ListedKernel {
  std::string kernel, op, reason;
  std::vector<std::string> cases;
};
std::vector<ListedKernel> list_verify(const VerifyOptions& options);

}  // namespace attune
