#include "proof/planted_trials.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"
#include "proof/planted.h"

namespace attune {
namespace {

struct Shape {
  std::string_view name, text;
  bool one_row;
};

constexpr Shape kAttention[] = {
    {"q=1", "phase=decode q_lens=1*3 kv_lens=1,37,530", true},
    {"q=1 window", "phase=decode window=100 q_lens=1*3 kv_lens=1,37,530", true},
    {"q>1", "phase=prefill q_lens=33,4 kv_lens=40,530", false},
    {"q>1 window", "phase=prefill window=100 q_lens=33,4 kv_lens=40,530", false},
};
constexpr Shape kMatmul[] = {{"m=17", "m=17", false}};
constexpr Shape kRows[] = {{"12 rows", "rows=12", false}};

template <class Op>
std::span<const Shape> shapes_of() {
  if constexpr (std::is_same_v<Op, Attention>)
    return kAttention;
  else if constexpr (std::is_same_v<Op, Matmul>)
    return kMatmul;
  else
    return kRows;
}

template <class Op>
CaseResult run(const Kernel<Op>& kernel, const Case<Op>& c, const Performer& perform) {
  return perform({.op = std::string(Op::kName), .kernel = std::string(kernel.info.name), .problem = to_text(c), .repro = repro_line(kernel, c)})
      .result;
}

template <class Op>
PlantedReport try_defect(const Planted<Op>& defect, uint64_t seed, const Performer& perform) {
  PlantedReport r{.name = std::string(defect.name), .what = std::string(defect.what), .op = std::string(Op::kName)};
  const auto start = std::chrono::steady_clock::now();
  for (const Shape& shape : shapes_of<Op>()) {
    PlantedTrial t{.shape = std::string(shape.name), .should_show = !(shape.one_row && defect.hidden_at_one_row)};
    const auto c = parse_case<Op>(fmt::format("{} {} seed={}", defect.desc, shape.text, seed));
    const CaseResult result = run(defect.kernel, c, perform);
    t.caught = !result.passed, t.text = result.text;
    t.repro = result.repro + " --plant " + r.name;
    r.trials.push_back(std::move(t));
  }
  r.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return r;
}

/// The same kernel without a defect, on every shape and desc that the defects are shown on.
PlantedReport try_none(uint64_t seed, const Performer& perform) {
  PlantedReport r{.name = "none", .what = "the same kernel without a defect", .op = "attention"};
  for (const auto& defect : planted<Attention>())
    for (const Shape& shape : kAttention) {
      const auto c = parse_case<Attention>(fmt::format("{} {} seed={}", defect.desc, shape.text, seed));
      const CaseResult result = run(unplanted_attention(), c, perform);
      r.trials.push_back({std::string(shape.name), false, !result.passed, result.text, result.repro});
    }
  return r;
}

}  // namespace

bool PlantedReport::caught() const {
  return std::all_of(trials.begin(), trials.end(), [](const PlantedTrial& t) { return t.caught == t.should_show; });
}

std::vector<PlantedReport> run_planted(uint64_t seed, const std::function<void(const PlantedReport&)>& on_defect, const Performer& elsewhere) {
  ThreadPool pool(2);
  const Performer perform = elsewhere ? elsewhere : [&](const Task& task) { return attune::perform(task, pool); };
  std::vector<PlantedReport> out;
  const auto take = [&](PlantedReport r) {
    if (on_defect) on_defect(r);
    out.push_back(std::move(r));
  };
  take(try_none(seed, perform));
  for_each_op([&]<class Op>() {
    for (const auto& defect : planted<Op>())
      if (elsewhere || !defect.faults) take(try_defect(defect, seed, perform));
  });
  return out;
}

}  // namespace attune
