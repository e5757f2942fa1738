#include "proof/run_case.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/error.h"

namespace attune {
namespace {

char running_line[1024];

/// One launch with a workspace full of `garbage`; the text of what went wrong, or nothing.
template <class Op>
std::string launch(const Kernel<Op>& kernel, const Case<Op>& c, Problem<Op>& problem, ThreadPool& pool, Guard guard, uint8_t garbage) {
  Limits limits = problem.limits();
  limits.threads = pool.size();
  const int64_t bytes = kernel.workspace ? kernel.workspace(c.desc, limits) : 0;
  GuardedBuffer workspace(static_cast<size_t>(bytes), 64, guard, 0xff);
  workspace.fill(garbage);
  ExecContext ctx;
  ctx.pool = &pool;
  if (bytes > 0) ctx.workspace = {workspace.data(), workspace.bytes()};
  try {
    kernel.launch(ctx, c.desc, problem.params);
  } catch (const std::exception& e) {
    return fmt::format("the kernel refused: {}", e.what());
  }
  if (!workspace.surroundings_untouched()) return "wrote outside its workspace";
  if (const std::string damage = problem.memory.damage(); !damage.empty()) return "wrote where it must not: " + damage;
  return "";
}

template <class Op>
void judge(const Kernel<Op>& kernel, const Case<Op>& c, const RunOptions& options, ThreadPool& pool, CaseResult& result) {
  Problem<Op> problem(c, options.style);
  problem.memory.freeze();
  result.text = launch(kernel, c, problem, pool, options.style.guard, 0xff);
  if (!result.text.empty()) return;
  Comparison comparison(options.tolerance);
  problem.compare(kernel.info.reduction, options.samples, comparison);
  result.outputs = comparison.count();
  result.max_error = comparison.max_error();
  result.max_error_over_bound = comparison.max_ratio();
  result.nmse = comparison.nmse();
  result.typical_ratio = comparison.typical_ratio();
  result.max_of_tolerance = comparison.max_of_tolerance();
  result.where = comparison.where();
  result.text = comparison.verdict();
  if (result.text.empty() && result.max_of_tolerance > 1)
    result.text = fmt::format("{:.3g} times the tolerance {} + {}·|x|", result.max_of_tolerance, options.tolerance.atol, options.tolerance.rtol);
  if (!result.text.empty() || !options.twice) return;
  const auto first = problem.memory.written();
  problem.memory.restore();
  ThreadPool alone(1);
  result.text = launch(kernel, c, problem, alone, options.style.guard, 0x3c);
  if (result.text.empty() && problem.memory.written() != first) result.text = "a second run, on one thread, gave other bits";
}

}  // namespace

const char* running_case() { return running_line; }

void note_running_case(const std::string& line) {
  const size_t length = std::min(line.size(), sizeof(running_line) - 1);
  std::memcpy(running_line, line.data(), length);
  running_line[length] = 0;
}

template <class Op>
std::string repro_line(const Kernel<Op>& kernel, const Case<Op>& c) {
  return fmt::format("attune verify --kernel {} --desc \"{}\"", kernel.info.name, to_text(c));
}

template <class Op>
CaseResult run_case(const Kernel<Op>& kernel, const Case<Op>& c, const RunOptions& options) {
  CaseResult result;
  result.repro = repro_line(kernel, c);
  if (kernel.launch == nullptr) {
    result.text = "not built";
    return result;
  }
  note_running_case(result.repro);
  std::optional<ThreadPool> own;
  if (options.pool == nullptr) own.emplace(2);
  judge(kernel, c, options, options.pool ? *options.pool : *own, result);
  result.passed = result.text.empty();
  return result;
}

template CaseResult run_case(const Kernel<Attention>&, const Case<Attention>&, const RunOptions&);
template std::string repro_line(const Kernel<Attention>&, const Case<Attention>&);
template CaseResult run_case(const Kernel<KvWrite>&, const Case<KvWrite>&, const RunOptions&);
template std::string repro_line(const Kernel<KvWrite>&, const Case<KvWrite>&);
template CaseResult run_case(const Kernel<Matmul>&, const Case<Matmul>&, const RunOptions&);
template std::string repro_line(const Kernel<Matmul>&, const Case<Matmul>&);
template CaseResult run_case(const Kernel<Norm>&, const Case<Norm>&, const RunOptions&);
template std::string repro_line(const Kernel<Norm>&, const Case<Norm>&);
template CaseResult run_case(const Kernel<Rope>&, const Case<Rope>&, const RunOptions&);
template std::string repro_line(const Kernel<Rope>&, const Case<Rope>&);
template CaseResult run_case(const Kernel<ActivationOp>&, const Case<ActivationOp>&, const RunOptions&);
template std::string repro_line(const Kernel<ActivationOp>&, const Case<ActivationOp>&);
template CaseResult run_case(const Kernel<Embed>&, const Case<Embed>&, const RunOptions&);
template std::string repro_line(const Kernel<Embed>&, const Case<Embed>&);
template CaseResult run_case(const Kernel<Sample>&, const Case<Sample>&, const RunOptions&);
template std::string repro_line(const Kernel<Sample>&, const Case<Sample>&);

}  // namespace attune
