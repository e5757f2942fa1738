#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proof/laws.h"
#include "proof/run_case.h"

namespace attune {

/// A piece of proof as plain text and numbers, so that another process can do it: a kernel that faults ends that process, and no more.
struct Task {
  enum class Kind : uint8_t { run, laws, tag, probe };
  Kind kind = Kind::run;
  std::string op, kernel;
  std::string other;    ///< tag: the kernel whose bits must be equal
  std::string problem;  ///< case text; probe: desc text
  Guard guard = Guard::after;
  bool order = false;  ///< also alone, in chunks, as decode steps
  int64_t samples = 0;
  Tolerance tolerance;
  uint64_t seed = 1;  ///< laws
  std::string repro;  ///< the command that repeats it
};

struct TaskResult {
  CaseResult result;     ///< run and probe; `passed` and `text` speak for every kind
  bool ordered = false;  ///< the case was also run in other orders
  std::vector<LawResult> laws;
  double seconds = 0;
};

/// Does a task on a site: the kernel of the catalogue, or the planted one, that has this name and the site's kind of device. Never throws for
/// what the kernel does; `device_lost` says that the site is of no further use.
TaskResult perform(const Task& task, const LaunchSite& site);

/// Who does tasks: this process or another.
using Performer = std::function<TaskResult(const Task&)>;

// One line of JSON each. InvalidArgument for text that is none of ours.
std::string to_line(const Task& task);
std::string to_line(const TaskResult& result);
Task parse_task(std::string_view line);
TaskResult parse_task_result(std::string_view line);

}  // namespace attune
