// An attention kernel on this machine's CUDA device, under the harness of src/proof: each launch copies a case's tensors to the device between
// margins, and copies the outputs back. Besides what the harness checks: margins and inputs untouched, equal bits whatever the workspace lets
// it split, equal bits when a graph that was captured and run with other lengths is replayed. `device_attention KERNEL [CASES [SEED]]`.
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "device_memory.h"
#include "proof/order.h"
#include "proof/run_case.h"

namespace attune::device_test {
namespace {

constexpr int64_t kCases = 300, kSeed = 7;

/// What launches have in common: the declared kernel, and what was seen.
struct {
  const AttentionKernel* kernel = nullptr;
  bool plant = false;    ///< spoil the first output
  bool aligned = false;  ///< K and V must start at a multiple of 16 bytes
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

  /// A launch on outputs as they were given, with the first 2⁻ⁿ of the workspace; nothing if the kernel refuses so little.
  std::optional<Bits> launch(int halvings = 0) {
    refill();
    ExecContext ctx = context_;
    ctx.workspace.bytes >>= halvings;
    try {
      run.kernel->launch(ctx, desc_, params_);
    } catch (const Error&) {
      if (halvings == 0) throw;
      return std::nullopt;
    }
    check(cudaDeviceSynchronize(), "a launch");
    return Bits{out_.contents(), lse_.contents()};
  }

  /// Captured once, replayed while every sequence has no keys, and again with the real lengths.
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
    const auto bytes = static_cast<size_t>(params_.num_seqs) * 4;
    const DeviceMemory lengths = allocate(static_cast<int64_t>(bytes));
    auto* used = const_cast<int32_t*>(params_.kv_lens);
    check(cudaMemcpyAsync(lengths.get(), used, bytes, cudaMemcpyDeviceToDevice, stream), "copy");
    check(cudaMemsetAsync(used, 0, bytes, stream), "clear");
    check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
    check(cudaMemcpyAsync(used, lengths.get(), bytes, cudaMemcpyDeviceToDevice, stream), "copy");
    check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
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
  const int64_t shift = number % 3 == 2 && !run.aligned ? bytes_of(desc.kv_dtype, 1) : 0;  // K and V that start off a multiple of 16 bytes
  DeviceCall call(ctx, desc, host, shift);
  DeviceCall::Bits bits = *call.launch();
  if (call.workspace_used()) {
    ++run.split;
    for (int halvings = 1; halvings < 16 && number % 4 == 0; ++halvings) {
      const auto again = call.launch(halvings);
      if (!again) break;
      expect(*again == bits, "equal bits however keys are split");
    }
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

const AttentionKernel& declared_kernel(std::string_view name) {
  for (const AttentionKernel* k : catalogue().kernels<Attention>())
    if (k->info.name == name && k->info.device.kind == DeviceKind::cuda && k->launch != nullptr) return *k;
  fail(ErrorCode::device_error, "device_attention", "a kernel of the CUDA backends of this build", name);
}

/// Batches that drawn cases are too small for: many chunks, deep trees, many sequences, keys that a window has left behind.
constexpr std::string_view kLong[] = {
    "q=bf16 kv=bf16 heads=8:2 head_dim=128 block=16 q_lens=1*4 kv_lens=60000,10,4097,513 seed=3",
    "q=bf16 kv=bf16 heads=8:2 head_dim=128 block=64 lse=yes q_lens=1*7 kv_lens=0,1,511,512,513,1024,9000 seed=4",
    "q=bf16 kv=bf16 heads=4:1 head_dim=128 block=256 window=1024 q_lens=1*3 kv_lens=20000,1024,3000 seed=5",
    "q=bf16 kv=bf16 heads=4:1 head_dim=128 block=16 phase=verify q_lens=16*2,3,32 kv_lens=5000,700,12,2049 seed=6",
    "q=bf16 kv=bf16 heads=8:2 head_dim=128 block=16 phase=verify mask=none sinks=yes q_lens=16,5 kv_lens=3000,1500 seed=7",
    "q=f16 kv=f16 heads=7:1 head_dim=128 block=48 phase=verify q_lens=9*3 kv_lens=6000,5,1000 seed=8",
    "q=bf16 kv=bf16 heads=8:2 head_dim=128 block=16 phase=verify mask=tree q_lens=20,7 kv_lens=1550,900 seed=9",
    "q=bf16 kv=bf16 heads=4:1 head_dim=128 block=16 q_lens=1*300 kv_lens=40*100,700*100,0*50,1600*50 seed=10",
    "q=bf16 kv=f8_e4m3 kv_scale=token_head heads=8:2 head_dim=128 block=16 q_lens=1*4 kv_lens=20000,10,4097,513 seed=11",
    "q=bf16 kv=f8_e4m3 kv_scale=head heads=4:1 head_dim=128 block=64 phase=verify q_lens=16*2,3 kv_lens=5000,700,12 seed=12",
    "q=bf16 kv=bf16 heads=16:1 head_dim=128 block=16 phase=verify q_lens=32,1 kv_lens=1200,2000 seed=13",
};

/// Number of failures.
int64_t prove(const AttentionKernel& kernel, int64_t count, uint64_t seed) {
  ThreadPool pool(1);
  const RunOptions options{.samples = 0, .pool = &pool};
  std::vector<Case<Attention>> cases;
  int64_t failures = 0, outputs = 0;
  double worst = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto c = draw_case(kernel, seed, i);
    expect(c.has_value(), "a case of the kernel's capability");
    cases.push_back(*c);
  }
  if (count >= kCases)
    for (const auto& c : end_cases(kernel, seed)) cases.push_back(c);
  for (size_t i = 0; i < cases.size() && failures < 10; ++i) {
    const CaseResult result = run_case(kernel, cases[i], options);
    std::string wrong = result.text;
    if (wrong.empty() && i % 3 == 0) wrong = check_order(kernel, cases[i], pool);
    if (!wrong.empty()) ++failures, fmt::print("FAIL {}\n  {}\n", wrong, to_text(cases[i]));
    outputs += result.outputs;
    worst = std::max(worst, result.max_error_over_bound);
  }
  for (const std::string_view text : kLong) {
    const auto c = parse_case<Attention>(text);
    if (count < kCases || !admits(kernel, c.desc)) continue;
    const CaseResult result = run_case(kernel, c, options);
    std::string wrong = result.text;
    if (wrong.empty() && c.desc.phase == Phase::verify) wrong = check_order(kernel, c, pool);
    if (!wrong.empty()) ++failures, fmt::print("FAIL {}\n  {}\n", wrong, to_text(c));
    worst = std::max(worst, result.max_error_over_bound);
  }
  run.plant = true;
  const bool seen = !run_case(kernel, parse_case<Attention>("q_lens=1*3 kv_lens=700,2,90 seed=3"), options).passed;
  run.plant = false;
  if (!seen) ++failures, fmt::print("FAIL a spoilt output passed\n");
  const auto never = unexercised(kernel, cases);
  if (count >= kCases && !never.empty()) ++failures, fmt::print("FAIL never ran: {}\n", fmt::join(never, ", "));
  fmt::print(
      "{} cases, {} failures, {} outputs, largest error {:.3f} of its bound; {} launches, {} split (equal bits with less workspace), {} graph "
      "replays "
      "(equal bits); {} corners never ran; a spoilt output is seen: {}\n",
      cases.size(), failures, outputs, worst, run.launches, run.split, run.replays, never.size(), seen);
  return failures;
}

int64_t number(const char* text) {
  int64_t n = -1;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), n);
  if (error != std::errc() || *end != 0 || n < 0) invalid("device_attention", "KERNEL [CASES [SEED]]", text);
  return n;
}

int64_t all(int argc, char** argv) {
  cudaDeviceProp device;
  int driver = 0;
  check(cudaGetDeviceProperties(&device, 0), "this machine's first CUDA device");
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  fmt::print("{}, sm_{}{}, CUDA {} (driver), {} (built)\n", device.name, device.major, device.minor, driver, CUDART_VERSION);
  run.kernel = &declared_kernel(argc > 1 ? argv[1] : "gpu.attention.split_kv");
  run.aligned = run.kernel->info.tier == Tier::specialized;
  AttentionKernel kernel = *run.kernel;
  kernel.launch = launch_on_device;
  return prove(kernel, argc > 2 ? number(argv[2]) : kCases, static_cast<uint64_t>(argc > 3 ? number(argv[3]) : kSeed));
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
