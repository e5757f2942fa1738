#include "proof/probe.h"

#include <chrono>

namespace attune {

template <class Op>
ProbeResult probe(const Kernel<Op>& kernel, const typename Op::Desc&) {
  const auto start = std::chrono::steady_clock::now();
  ProbeResult result;
  result.passed = kernel.launch != nullptr;
  if (!result.passed) result.text = "not built";
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

template ProbeResult probe<Attention>(const Kernel<Attention>&, const AttentionDesc&);
template ProbeResult probe<KvWrite>(const Kernel<KvWrite>&, const KvWriteDesc&);
template ProbeResult probe<Matmul>(const Kernel<Matmul>&, const MatmulDesc&);
template ProbeResult probe<Norm>(const Kernel<Norm>&, const NormDesc&);
template ProbeResult probe<Rope>(const Kernel<Rope>&, const RopeDesc&);
template ProbeResult probe<ActivationOp>(const Kernel<ActivationOp>&, const ActivationDesc&);
template ProbeResult probe<Embed>(const Kernel<Embed>&, const EmbedDesc&);
template ProbeResult probe<Sample>(const Kernel<Sample>&, const SampleDesc&);

}  // namespace attune
