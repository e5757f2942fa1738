#include "proof/probe.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "core/error.h"
#include "proof/run_case.h"

namespace attune {
namespace {

/// The desc with `field` set to a smaller value, if the kernel admits it.
template <class Op, class Field>
void shrink(const Kernel<Op>& kernel, typename Op::Desc& desc, Field field, int64_t value) {
  if (desc.*field <= value) return;
  const int64_t kept = desc.*field;
  desc.*field = value;
  if (!admits(kernel, desc)) desc.*field = kept;
}

/// Few KV heads, lengths that cross a border of 512 keys and of a block, at most some million multiplications.
std::vector<Case<Attention>> probe_cases(const Kernel<Attention>& kernel, AttentionDesc desc) {
  shrink(kernel, desc, &AttentionDesc::num_kv_heads, 2);
  Case<Attention> c{.desc = desc, .seed = 1};
  switch (desc.phase) {
    case Phase::decode: c.q_lens = {1, 1, 1}, c.kv_lens = {1, 601, 37}; break;
    case Phase::verify: c.q_lens = {5, 2}, c.kv_lens = {530, 17}; break;
    case Phase::prefill: c.q_lens = {33, 4}, c.kv_lens = {40, 530}; break;
  }
  return {c};
}

/// Few rows of W, K cut to at most 1024 with its remainder kept, and M of one row, of part of a tile and of more than a tile.
std::vector<Case<Matmul>> probe_cases(const Kernel<Matmul>& kernel, MatmulDesc desc) {
  shrink(kernel, desc, &MatmulDesc::n, 64 + desc.n % 64);
  shrink(kernel, desc, &MatmulDesc::k, 704 + desc.k % 64);
  std::vector<Case<Matmul>> cases;
  for (int64_t m : {1, 5, 17})
    if (m <= desc.rows) cases.push_back({.desc = desc, .rows = m, .seed = static_cast<uint64_t>(m)});
  return cases;
}

std::vector<Case<KvWrite>> probe_cases(const Kernel<KvWrite>& kernel, KvWriteDesc desc) {
  shrink(kernel, desc, &KvWriteDesc::num_kv_heads, 2);
  return {{.desc = desc, .rows = 5, .seed = 1}};
}

std::vector<Case<Norm>> probe_cases(const Kernel<Norm>&, const NormDesc& desc) { return {{.desc = desc, .rows = 2, .seed = 1}}; }

std::vector<Case<Embed>> probe_cases(const Kernel<Embed>&, const EmbedDesc& desc) { return {{.desc = desc, .rows = 2, .seed = 1}}; }

std::vector<Case<Sample>> probe_cases(const Kernel<Sample>& kernel, SampleDesc desc) {
  shrink(kernel, desc, &SampleDesc::vocab, 4096 + desc.vocab % 64);
  return {{.desc = desc, .rows = 3, .seed = 1}};
}

template <class Op>
std::vector<Case<Op>> probe_cases(const Kernel<Op>&, const typename Op::Desc& desc) {
  return {{.desc = desc, .rows = 3, .seed = 1}};
}

}  // namespace

template <class Op>
ProbeResult probe(const Kernel<Op>& kernel, const typename Op::Desc& desc, CaseDevice* device) {
  const auto start = std::chrono::steady_clock::now();
  ProbeResult result{.passed = true};
  try {
    ThreadPool pool(std::min(2, available_cores()));
    // No guard pages and no wild table entries: a probe must find a fault, not become one.
    RunOptions options{.style = {.guard = Guard::slack, .wild = false}, .samples = Op::kName == "attention" ? 12 : 64, .noted = false, .pool = &pool};
    options.device = device;
    for (const Case<Op>& c : probe_cases(kernel, desc)) {
      const CaseResult r = run_case(kernel, c, options);
      if (r.passed) continue;
      result.passed = false, result.device_lost = r.device_lost, result.inconclusive = r.inconclusive;
      result.text = fmt::format("{}; repeat: {}", r.text, r.repro);
      break;
    }
  } catch (const std::bad_alloc&) {
    result = {.text = "no memory", .inconclusive = true};
  } catch (const Error& e) {  // of the pool
    result = {.text = e.what(), .inconclusive = e.code() == ErrorCode::out_of_memory};
  } catch (const std::exception& e) {
    result = {.text = e.what()};
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

template ProbeResult probe<Attention>(const Kernel<Attention>&, const AttentionDesc&, CaseDevice*);
template ProbeResult probe<KvWrite>(const Kernel<KvWrite>&, const KvWriteDesc&, CaseDevice*);
template ProbeResult probe<Matmul>(const Kernel<Matmul>&, const MatmulDesc&, CaseDevice*);
template ProbeResult probe<Norm>(const Kernel<Norm>&, const NormDesc&, CaseDevice*);
template ProbeResult probe<Rope>(const Kernel<Rope>&, const RopeDesc&, CaseDevice*);
template ProbeResult probe<RopeKvWrite>(const Kernel<RopeKvWrite>&, const RopeKvWriteDesc&, CaseDevice*);
template ProbeResult probe<ActivationOp>(const Kernel<ActivationOp>&, const ActivationDesc&, CaseDevice*);
template ProbeResult probe<Embed>(const Kernel<Embed>&, const EmbedDesc&, CaseDevice*);
template ProbeResult probe<Sample>(const Kernel<Sample>&, const SampleDesc&, CaseDevice*);

}  // namespace attune
