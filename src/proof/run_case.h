#pragma once

#include <string>

#include "core/thread_pool.h"
#include "proof/cases.h"
#include "proof/device_twin.h"
#include "proof/problem.h"

namespace attune {

/// What running one case showed.
struct CaseResult {
  bool passed = false;
  int64_t outputs = 0;  ///< compared with the reference
  double max_error = 0;
  double max_error_over_bound = 0;
  double nmse = 0;
  double typical_ratio = 0;     ///< mean square error over that of independent roundings, at most 4
  Comparison::Few few;          ///< outputs too few for a mean square of their own: judged over many cases
  Levers levers;                ///< how far errors lean to one side
  double max_of_tolerance = 0;  ///< largest error over RunOptions::tolerance
  std::string where;            ///< the output nearest to (or farthest beyond) its bound
  std::string text;             ///< what is wrong; empty if passed
  bool device_lost = false;     ///< the device reported an error: this process can use it no more
  bool inconclusive = false;    ///< it failed, but not by the kernel's doing: memory was lacking, or somebody ended the process
  int64_t replays = 0;          ///< of a captured graph
  std::string repro;            ///< the command that runs this case again
};

struct RunOptions {
  ProblemStyle style;
  int64_t samples = 64;        ///< outputs (attention: query heads of a row) compared; 0: all
  bool twice = true;           ///< run again, on one thread, with other garbage in the workspace: the bits must agree
  Tolerance tolerance;         ///< exceeding it fails the case, too; none if 0
  bool noted = true;           ///< running_case() tells of it; off where several threads run cases (probes)
  ThreadPool* pool = nullptr;  ///< null: one of two threads is made
  /// For a kernel of a GPU: the tensors are copied there and the outputs back, and the same judgement follows. Null: the host's tensors.
  CaseDevice* device = nullptr;
};

/// Seeded fill, poison, run, inputs and padding untouched, outputs finite, comparison with the reference, run again bit-equal; on a device
/// also as a captured graph, if the kernel declares that it can be one. An Error of the kernel is a failure of the case.
template <class Op>
CaseResult run_case(const Kernel<Op>& kernel, const Case<Op>& c, const RunOptions& options = {});

/// "attune verify --kernel NAME --desc "…"".
template <class Op>
std::string repro_line(const Kernel<Op>& kernel, const Case<Op>& c);

/// The repro line of the case that runs now (or ran last), for a handler that reports a fault: a kernel may run into a guard page.
const char* running_case();
void note_running_case(const std::string& line);

}  // namespace attune
