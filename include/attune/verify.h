#pragma once

#include <functional>
#include <string>
#include <vector>

namespace attune {

/// What `attune verify` is asked.
struct VerifyQuery {
  std::string mode = "check";                 ///< check, support (the values that cases exercised), fuzz, bench
  std::string op;                             ///< empty: all
  std::vector<std::string> kernels, require;  ///< globs; a kernel of `require` must run, else the check does not hold
  std::string desc;                           ///< a case, or a desc for which lengths are drawn
  std::string suite;                          ///< empty: everything; seed, lengths, laws
  std::string plant;                          ///< a planted defect that joins the run (test builds only)
  std::string device = "cpu";
  long long samples = 0;  ///< drawn cases a kernel; with `all` cases of its product; 0: the usual number, and all
  bool all = false;       ///< every covering desc at every length set, longer cases, more compared
  std::string shard;      ///< "I/N": the I-th of N parts of every kernel's cases; empty: all
  unsigned long long seed = 0;
  double seconds = 10;  ///< fuzz: in all
  int threads = 0;      ///< bench: 0 is physical cores
  bool cold = true;     ///< bench: walk through copies of the tensors larger than the caches
  /// Program and arguments of a process that calls verify_child(): kernels run there, so that a fault is a failed case. Empty: in this process.
  std::vector<std::string> child;
  std::string record;                                    ///< file that remembers what was verified on this machine; empty: none
  std::function<void(const std::string& line)> on_line;  ///< lines for a reader, as results come; may be empty
  std::function<void(const std::string& line)> on_plan;  ///< with `all`: what is going to be run, before it is; may be empty
  std::function<bool()> stop;                            ///< true: no further case, and a report of those that ran; may be empty
};

struct VerifyOutcome {
  bool held = false;  ///< everything asked for
  std::string json;
};

/// Runs the declared kernels of this machine against the reference. InvalidArgument for what names nothing.
VerifyOutcome verify(const VerifyQuery& query);

/// Runs the planted defects: each must be caught, or `held` is false.
VerifyOutcome verify_planted(const VerifyQuery& query);

/// What verify() would run: kernels with their number of cases, and the cases themselves where `kernels` is given.
VerifyOutcome verify_list(const VerifyQuery& query);

/// The file that explain reads: attune/verify.json in $XDG_CACHE_HOME or ~/.cache; empty if neither is known.
std::string verify_record_path();

/// The side of the child process: runs the cases that come through `socket`, on `device`, until it is closed.
void verify_child(int socket, const std::string& device);

}  // namespace attune
