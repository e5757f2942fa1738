// gpu.attention.split_kv on this machine's CUDA device, under the harness of src/proof: each launch copies a case's tensors to the device between
// margins, and copies the outputs back. Besides what the harness checks: margins and inputs untouched, equal bits when keys are not split, equal
// bits when a captured graph is replayed. `device_split_kv [CASES [SEED]]`; 0 cases: timing alone; a number of cases: no timing.
#include <fmt/format.h>

#include <charconv>

#include "decode_times.h"
#include "device_memory.h"
#include "proof/order.h"
#include "proof/run_case.h"

namespace attune::device_test {
namespace {

constexpr int64_t kCases = 300, kSeed = 7;

/// What launches have in common: the declared kernel, and what was seen.
struct {
  const AttentionKernel* kernel = nullptr;
  bool plant = false;  ///< spoil the first output
  int64_t launches = 0, split = 0, replays = 0;
} run;

int64_t spanned(int64_t rows, int64_t stride, int64_t width) { return rows > 0 ? (rows - 1) * stride + width : 0; }

int64_t scale_bytes(Scales s, int64_t sequences, int64_t tokens, int64_t heads) {
  switch (s) {
    case Scales::tensor: return 4;
    case Scales::head: return heads * 4;
    case Scales::seq_head: return sequences * heads * 4;
    case Scales::token_head: return tokens * heads * 4;
    default: return 0;
  }
}

/// One call's tensors on the device.
class DeviceCall {
 public:
  using Bits = std::array<std::vector<uint8_t>, 2>;  // out, lse

  DeviceCall(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& host, int64_t kv_shift)
      : desc_(desc),
        params_(host),
        out_(host.out, bytes_of(desc.out_dtype, spanned(host.total_q, host.out_stride, desc.num_q_heads() * desc.head_dim))),
        lse_(desc.lse ? host.lse : nullptr, host.total_q * desc.num_q_heads() * 4),
        workspace_(ctx.workspace.data, static_cast<int64_t>(ctx.workspace.bytes)) {
    const int64_t n = host.num_seqs, heads = desc.num_q_heads(), kv_heads = desc.num_kv_heads, dim = desc.head_dim;
    const bool ragged = desc.kv_source == KvSource::ragged;
    const int64_t tokens = ragged ? host.kv_start[n] : host.num_blocks * desc.block_size;
    const int64_t kv_bytes = bytes_of(desc.kv_dtype, ragged ? spanned(tokens, host.kv_stride, kv_heads * dim) : tokens * kv_heads * dim);
    copy(params_.q, bytes_of(desc.q_dtype, spanned(host.total_q, host.q_stride, heads * dim)));
    copy(params_.k, kv_bytes, kv_shift);
    copy(params_.v, kv_bytes, kv_shift);
    copy(params_.q_start, (n + 1) * 4);
    copy(params_.kv_lens, n * 4);
    copy(params_.kv_start, (n + 1) * 4);
    copy(params_.block_table, n * host.max_blocks * 4);
    copy(params_.q_scale, scale_bytes(desc.q_scale, n, host.total_q, heads));
    copy(params_.k_scale, scale_bytes(desc.kv_scale, n, tokens, kv_heads));
    copy(params_.v_scale, scale_bytes(desc.kv_scale, n, tokens, kv_heads));
    copy(params_.out_scale, 4);
    copy(params_.causal, n);
    copy(params_.tree, host.total_q * host.tree_words * 4);
    copy(params_.ranges, n * host.num_ranges * 8);
    copy(params_.sinks, heads * 4);
    copy(params_.alibi_slopes, heads * 4);
    params_.out = out_.data<void>();
    params_.lse = lse_.data<float>();
    context_.workspace = {workspace_.data<void>(), ctx.workspace.bytes};
  }

  /// A launch on outputs as they were given.
  Bits launch(bool may_split = true) {
    refill();
    ExecContext ctx = context_;
    if (!may_split) ctx.workspace = {};
    run.kernel->launch(ctx, desc_, params_);
    check(cudaDeviceSynchronize(), kName);
    return {out_.contents(), lse_.contents()};
  }

  /// Captured once, replayed twice.
  Bits replay() {
    refill();
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    check(cudaStreamCreate(&stream), "cudaStreamCreate");
    ExecContext ctx = context_;
    ctx.stream = stream;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
    run.kernel->launch(ctx, desc_, params_);
    check(cudaStreamEndCapture(stream, &graph), "capture");
    check(cudaGraphInstantiate(&ready, graph, 0), "cudaGraphInstantiate");
    for (int i = 0; i < 2; ++i) check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
    check(cudaStreamSynchronize(stream), "replay");
    cudaGraphExecDestroy(ready), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
    return {out_.contents(), lse_.contents()};
  }

  bool inputs_untouched() const {
    return std::all_of(inputs_.begin(), inputs_.end(), [](const auto& input) { return input->untouched(); });
  }
  bool workspace_used() const { return !workspace_.untouched(); }

 private:
  template <class T>
  void copy(const T*& pointer, int64_t bytes, int64_t shift = 0) {
    inputs_.push_back(std::make_unique<DeviceArray>(pointer, bytes, shift));
    pointer = inputs_.back()->template data<const T>();
  }
  void refill() const {
    out_.refill();
    if (desc_.lse) lse_.refill();
  }

  AttentionDesc desc_;
  AttentionParams params_;
  ExecContext context_;
  DeviceArray out_, lse_, workspace_;
  std::vector<std::unique_ptr<DeviceArray>> inputs_;
};

/// What the harness calls in place of the kernel: host pointers in, host outputs written.
void launch_on_device(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& host) {
  const int64_t number = run.launches++;
  const int64_t shift = number % 3 == 2 ? bytes_of(desc.kv_dtype, 1) : 0;  // K and V that start off a multiple of 16 bytes
  DeviceCall call(ctx, desc, host, shift);
  DeviceCall::Bits bits = call.launch();
  if (call.workspace_used()) {
    ++run.split;
    expect(call.launch(false) == bits, "equal bits whether or not keys are split");
  }
  if (number % 4 == 3) {
    ++run.replays;
    expect(call.replay() == bits, "equal bits from a replayed graph");
  }
  expect(call.inputs_untouched(), "inputs untouched");
  if (run.plant && !bits[0].empty()) bits[0][size_of(desc.out_dtype) - 1] ^= 0x40;
  if (!bits[0].empty()) std::memcpy(host.out, bits[0].data(), bits[0].size());
  if (!bits[1].empty()) std::memcpy(host.lse, bits[1].data(), bits[1].size());
}

const AttentionKernel& declared_kernel() {
  for (const AttentionKernel* k : catalogue().kernels<Attention>())
    if (k->info.name == kName && k->info.device.kind == DeviceKind::cuda && k->launch != nullptr) return *k;
  fail(ErrorCode::device_error, kName, "a build with the CUDA backend", "none");
}

/// Number of failures.
int64_t prove(const AttentionKernel& kernel, int64_t count, uint64_t seed) {
  ThreadPool pool(1);
  const RunOptions options{.samples = 0, .pool = &pool};
  std::vector<Case<Attention>> cases;
  int64_t failures = 0, outputs = 0;
  double worst = 0;
  for (int64_t i = 0; i < count && failures < 10; ++i) {
    const auto c = draw_case(kernel, seed, i);
    expect(c.has_value(), "a case of the kernel's capability");
    cases.push_back(*c);
    const CaseResult result = run_case(kernel, *c, options);
    std::string wrong = result.text;
    if (wrong.empty() && i % 3 == 0) wrong = check_order(kernel, *c, pool);
    if (!wrong.empty()) ++failures, fmt::print("FAIL {}\n  {}\n", wrong, to_text(*c));
    outputs += result.outputs;
    worst = std::max(worst, result.max_error_over_bound);
  }
  run.plant = true;
  const bool seen = !run_case(kernel, parse_case<Attention>("q_lens=1*3 kv_lens=700,2,90 seed=3"), options).passed;
  run.plant = false;
  if (!seen) ++failures, fmt::print("FAIL a spoilt output passed\n");
  const auto never = unexercised(kernel, cases);
  if (count >= kCases && !never.empty()) ++failures, fmt::print("FAIL never ran: {}\n", fmt::join(never, ", "));
  fmt::print(
      "{} cases, {} failures, {} outputs, largest error {:.3f} of its bound; {} launches, {} split (equal bits unsplit), {} graph replays "
      "(equal bits); {} corners never ran; a spoilt output is seen: {}\n",
      cases.size(), failures, outputs, worst, run.launches, run.split, run.replays, never.size(), seen);
  return failures;
}

int64_t number(const char* text) {
  int64_t n = -1;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), n);
  if (error != std::errc() || *end != 0 || n < 0) invalid("device_split_kv", "[CASES [SEED]]", text);
  return n;
}

int64_t all(int argc, char** argv) {
  cudaDeviceProp device;
  int driver = 0;
  check(cudaGetDeviceProperties(&device, 0), "this machine's first CUDA device");
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  fmt::print("{}, sm_{}{}, CUDA {} (driver), {} (built)\n", device.name, device.major, device.minor, driver, CUDART_VERSION);
  run.kernel = &declared_kernel();
  AttentionKernel kernel = *run.kernel;
  kernel.launch = launch_on_device;
  const int64_t cases = argc > 1 ? number(argv[1]) : kCases;
  const int64_t failures = cases > 0 ? prove(kernel, cases, static_cast<uint64_t>(argc > 2 ? number(argv[2]) : kSeed)) : 0;
  if (argc > 1 && cases > 0) return failures;
  time_decode(*run.kernel, 1, 8192, DType::bf16, 16);
  time_decode(*run.kernel, 8, 4096, DType::bf16, 16);
  time_decode(*run.kernel, 32, 4096, DType::bf16, 64);
  time_decode(*run.kernel, 64, 16384, DType::bf16, 64);
  time_decode(*run.kernel, 32, 4096, DType::f8_e4m3, 64);
  return failures;
}

}  // namespace
}  // namespace attune::device_test

int main(int argc, char** argv) {
  try {
    return attune::device_test::all(argc, argv) == 0 ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print("FAIL {}\n", e.what());
    return 1;
  }
}
