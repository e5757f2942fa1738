#include "proof/run_case.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "core/error.h"
#include "proof/call.h"

namespace attune {
namespace {

char running_line[1024];

/// A problem's tensors, its call, and their copies where the kernel runs.
template <class Op>
class Trial {
 public:
  Trial(const Kernel<Op>& kernel, const Case<Op>& c, Problem<Op>& problem, const LaunchSite& site, Guard guard) : memory_(&problem.memory) {
    if (site.device) twin_ = std::make_unique<DeviceTwin>(*site.device, problem.memory);
    DeviceTwin* const twins[] = {twin_.get()};
    call_ = std::make_unique<Call<Op>>(kernel, c.desc, problem.params, problem.limits(), site, std::span(twins, twin_ ? 1 : 0), guard);
  }

  std::string launch(uint8_t garbage) {
    return watched([&] { return call_->launch(garbage); });
  }
  void capture() { call_->capture(); }

  /// Replays the captured launch on the tensors of `problem`, which has the sizes of the first.
  std::string replay(Problem<Op>& problem, uint8_t garbage) {
    memory_ = &problem.memory;
    twin_->rebind(problem.memory);
    return watched([&] { return call_->replay(garbage); });
  }

 private:
  template <class F>
  std::string watched(F&& f) {
    if (twin_) twin_->upload();
    try {
      if (std::string outside = f(); !outside.empty()) return outside;
    } catch (const Error& e) {
      if (e.code() == ErrorCode::device_error) throw;
      return fmt::format("the kernel refused: {}", e.what());
    }
    const std::string margin = twin_ ? twin_->download() : "";
    if (const std::string damage = memory_->damage(); !damage.empty()) return "wrote where it must not: " + damage;
    return margin.empty() ? "" : "wrote where it must not: around " + margin;
  }

  Memory* memory_;
  std::unique_ptr<DeviceTwin> twin_;
  std::unique_ptr<Call<Op>> call_;
};

template <class Op>
void compare(const Kernel<Op>& kernel, const Problem<Op>& problem, const RunOptions& options, CaseResult& result) {
  Comparison comparison(options.tolerance);
  problem.compare(kernel.info.reduction, options.samples, comparison);
  result.outputs += comparison.count();
  result.text = comparison.verdict();
  if (comparison.max_ratio() >= result.max_error_over_bound) {
    result.max_error = comparison.max_error();
    result.max_error_over_bound = comparison.max_ratio();
    result.nmse = comparison.nmse();
    result.where = comparison.where();
  }
  result.typical_ratio = std::max(result.typical_ratio, comparison.typical_ratio());
  result.levers.add(comparison.levers());
  result.few.outputs += comparison.few().outputs, result.few.ratios += comparison.few().ratios;
  result.max_of_tolerance = std::max(result.max_of_tolerance, comparison.max_of_tolerance());
  if (result.text.empty() && result.max_of_tolerance > 1)
    result.text = fmt::format("{:.3g} times the tolerance {} + {}·|x|", result.max_of_tolerance, options.tolerance.atol, options.tolerance.rtol);
}

/// Other lengths for a graph captured with those of `c`: none longer, and fewer query tokens only where the kernel declares any mixture.
Case<Attention> shorter(const Case<Attention>& c, GraphLevel level) {
  Case<Attention> out = c;
  Fill draw(c.seed ^ 0x9a4);
  for (int64_t& n : out.kv_lens) n = draw.one_in(3) ? n : draw.below(n + 1);
  if (level == GraphLevel::mixed)
    for (int64_t& n : out.q_lens) {
      n = draw.one_in(2) ? n : draw.below(n + 1);
      if (c.desc.phase == Phase::verify && n == 1) n = 0;  // a single row is a decode step
    }
  return out;
}

/// The launch as a graph: captured once, replayed twice on poisoned outputs, with equal bits; then after other lengths were put into the same
/// memory, judged against the reference.
template <class Op>
void judge_graph(const Kernel<Op>& kernel, const Case<Op>& c, const RunOptions& options, Problem<Op>& problem, Trial<Op>& trial,
                 const std::vector<uint8_t>& expected, CaseResult& result) {
  problem.memory.restore();
  trial.capture();
  for (const uint8_t garbage : {0x3c, 0xff}) {
    problem.memory.restore();
    result.text = trial.replay(problem, garbage);
    ++result.replays;
    if (result.text.empty() && problem.memory.written() != expected) result.text = "gave other bits";
    if (!result.text.empty()) break;
  }
  if constexpr (std::is_same_v<Op, Attention>) {
    if (result.text.empty()) {
      ProblemStyle style = options.style;
      style.room_q = c.q_lens, style.room_kv = c.kv_lens;
      Problem<Op> other(shorter(c, kernel.info.graph), style);
      other.memory.freeze();
      result.text = trial.replay(other, 0x3c);
      ++result.replays;
      if (result.text.empty()) compare(kernel, other, options, result);
      if (!result.text.empty()) result.text = "with other lengths: " + result.text;
    }
  }
  if (!result.text.empty()) result.text = "a replay of the captured launch: " + result.text;
}

template <class Op>
void judge(const Kernel<Op>& kernel, const Case<Op>& c, const RunOptions& options, ThreadPool& pool, CaseResult& result) {
  Problem<Op> problem(c, options.style);
  problem.memory.freeze();
  Trial<Op> trial(kernel, c, problem, LaunchSite(pool, options.device), options.style.guard);
  result.text = trial.launch(0xff);
  if (result.text.empty()) compare(kernel, problem, options, result);
  if (!result.text.empty() || !options.twice) return;
  const auto first = problem.memory.written();
  problem.memory.restore();
  if (options.device) {
    result.text = trial.launch(0x3c);
    if (result.text.empty() && problem.memory.written() != first) result.text = "a second run gave other bits";
    if (result.text.empty() && kernel.info.graph != GraphLevel::none) judge_graph(kernel, c, options, problem, trial, first, result);
    return;
  }
  ThreadPool alone(1);
  result.text = Trial<Op>(kernel, c, problem, alone, options.style.guard).launch(0x3c);
  if (result.text.empty() && problem.memory.written() != first) result.text = "a second run, on one thread, gave other bits";
}

/// judge(), with an Error of the kernel or of the device as the case's failure.
template <class Op>
void judge_safely(const Kernel<Op>& kernel, const Case<Op>& c, const RunOptions& options, ThreadPool& pool, CaseResult& result) {
  try {
    judge(kernel, c, options, pool, result);
  } catch (const Error& e) {
    result.device_lost = e.code() == ErrorCode::device_error;
    result.inconclusive = e.code() == ErrorCode::out_of_memory;
    result.text = e.what();
  } catch (const std::bad_alloc&) {
    result.inconclusive = true, result.text = "no memory";
  } catch (const std::exception& e) {
    result.text = e.what();
  }
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
  if (options.noted) note_running_case(result.repro);
  std::optional<ThreadPool> own;
  if (options.pool == nullptr) own.emplace(2);
  judge_safely(kernel, c, options, options.pool ? *options.pool : *own, result);
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
template CaseResult run_case(const Kernel<RopeKvWrite>&, const Case<RopeKvWrite>&, const RunOptions&);
template std::string repro_line(const Kernel<RopeKvWrite>&, const Case<RopeKvWrite>&);
template CaseResult run_case(const Kernel<ActivationOp>&, const Case<ActivationOp>&, const RunOptions&);
template std::string repro_line(const Kernel<ActivationOp>&, const Case<ActivationOp>&);
template CaseResult run_case(const Kernel<Embed>&, const Case<Embed>&, const RunOptions&);
template std::string repro_line(const Kernel<Embed>&, const Case<Embed>&);
template CaseResult run_case(const Kernel<Sample>&, const Case<Sample>&, const RunOptions&);
template std::string repro_line(const Kernel<Sample>&, const Case<Sample>&);

}  // namespace attune
