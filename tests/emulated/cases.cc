// Cases of the portable kernels as HIP, run by an emulator and judged as everywhere: the entry of scripts/emulate_amd.py.
#include <fmt/format.h>

#include <string>

#include "hip_launches.h"
#include "ops/catalogue.h"
#include "proof/run_case.h"

namespace attune::emulated {
namespace {

/// "gpu.norm.rows x=f32 …": runs one case; what went wrong, or nothing.
std::string run(const std::string& line, CaseResult& result) {
  const size_t space = line.find(' ');
  const std::string name = line.substr(0, space), text = space == std::string::npos ? "" : line.substr(space + 1);
  std::string problem = "no such kernel";
  for_each_op([&]<class Op>() {
    for (const auto* k : catalogue().kernels<Op>()) {
      if (k->info.name != name || k->info.device.kind != DeviceKind::hip) continue;
      const Case<Op> c = parse_case<Op>(text);
      if (!admits(*k, c.desc)) {
        problem = "the kernel does not admit this desc";
        return;
      }
      ThreadPool alone(1);
      result = run_case(*k, c, {.style = {}, .samples = 0, .noted = false, .pool = &alone});
      problem = result.text;
    }
  });
  return problem;
}

}  // namespace
}  // namespace attune::emulated

/// Runs a case; writes what it showed to `out` and returns 0 if the kernel's outputs are within their bounds and bit-equal the second time.
extern "C" __attribute__((visibility("default"))) int attune_emulated_case(attune::emulated::Execute execute, const char* architecture,
                                                                           const char* line, char* out, uint64_t size) {
  using namespace attune;
  emulated::launch_by(execute, architecture);
  const int64_t before = emulated::launches();
  CaseResult result;
  std::string problem;
  try {
    problem = emulated::run(line, result);
  } catch (const std::exception& e) {
    problem = e.what();
  }
  const int64_t launches = emulated::launches() - before;
  if (problem.empty() && launches == 0) problem = "nothing was launched";
  const std::string text =
      problem.empty() ? fmt::format("{} outputs, error {:.2g} of the bound, {} launches", result.outputs, result.max_error_over_bound, launches)
                      : problem;
  const size_t length = text.copy(out, size - 1);
  out[length] = 0;
  return problem.empty() ? 0 : 1;
}
