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
  long long samples = 0;  ///< drawn cases a kernel; 0: the usual number
  bool all = false;       ///< every case at every length set
  unsigned long long seed = 0;
  double seconds = 10;                                   ///< fuzz: in all
  int threads = 0;                                       ///< bench: 0 is physical cores
  std::string record;                                    ///< file that remembers what was verified on this machine; empty: none
  std::function<void(const std::string& line)> on_line;  ///< lines for a reader, as results come; may be empty
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

/// The command that repeats the case which runs now: a kernel that faults ends the process, and this line says where. Safe in a signal handler.
const char* verify_running_case();

}  // namespace attune
