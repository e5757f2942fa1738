// The matmul kernels of the cuda page on this machine's device, under the harness of src/proof: each launch copies a case's tensors to the device
// between margins, and copies the output back. Besides what the harness checks: margins and inputs untouched, equal bits when a captured graph is
// replayed, equal bits of a row in calls of every M. `device_matmul [KERNEL|all [CASES [SEED]]]`; `device_matmul times [skinny|layer|rows|wide]`:
// timing alone.
#include <fmt/format.h>

#include <charconv>

#include "device/shared_library.h"
#include "device_memory.h"
#include "matmul_times.h"
#include "proof/order.h"
#include "proof/run_case.h"

namespace attune::device_test {
namespace {

constexpr int64_t kCases = 300, kSeed = 7;

/// What launches have in common: the declared kernel, and what was seen.
struct {
  const MatmulKernel* kernel = nullptr;
  bool plant = false;  ///< spoil the first output
  int64_t launches = 0, shifted = 0, replays = 0;
} run;

bool is_ordered(const MatmulKernel& k) { return k.info.reduction.find("unordered") == std::string_view::npos; }

/// One call's tensors on the device.
class DeviceCall {
 public:
  using Bits = std::vector<uint8_t>;

  DeviceCall(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& host, int64_t shift)
      : desc_(desc),
        params_(host),
        out_(host.out, bytes_of(desc.out_dtype, spanned(host.m, host.out_stride, desc.n))),
        workspace_(ctx.workspace.data, static_cast<int64_t>(ctx.workspace.bytes)) {
    const bool in_place = desc.residual && static_cast<const void*>(host.residual) == host.out;
    copy(params_.x, bytes_of(desc.x_dtype, spanned(host.m, host.x_stride, desc.k)), shift);
    if (desc.residual && !in_place) copy(params_.residual, spanned(host.m, host.out_stride, desc.n) * 4);
    for (int64_t s = 0; s < desc.segments; ++s) {
      auto& segment = params_.segments[s];
      copy(segment.w, bytes_of(desc.w_dtype, segment.rows * desc.k), shift);
      copy(segment.bias, bytes_of(host.bias_dtype, segment.rows));
      if (desc.gated)
        copy(segment.up, bytes_of(desc.w_dtype, segment.rows * desc.k), shift), copy(segment.up_bias, bytes_of(host.bias_dtype, segment.rows));
    }
    params_.out = out_.data<void>();
    if (in_place) params_.residual = out_.data<float>();
    context_.workspace = {workspace_.data<void>(), ctx.workspace.bytes};
  }

  /// A launch on outputs as they were given.
  Bits launch() {
    out_.refill();
    run.kernel->launch(context_, desc_, params_);
    check(cudaDeviceSynchronize(), run.kernel->info.name);
    return out_.contents();
  }

  /// Captured once, replayed twice; a residual that the output overwrites is put back in between.
  Bits replay() {
    out_.refill();
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
    for (int i = 0; i < 2; ++i) {
      out_.refill();
      check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
      check(cudaStreamSynchronize(stream), "replay");
    }
    cudaGraphExecDestroy(ready), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
    return out_.contents();
  }

  bool inputs_untouched() const {
    return std::all_of(inputs_.begin(), inputs_.end(), [](const auto& input) { return input->untouched(); });
  }

 private:
  static int64_t spanned(int64_t rows, int64_t stride, int64_t width) { return rows > 0 ? (rows - 1) * stride + width : 0; }
  template <class T>
  void copy(const T*& pointer, int64_t bytes, int64_t shift = 0) {
    inputs_.push_back(std::make_unique<DeviceArray>(pointer, bytes, shift));
    pointer = inputs_.back()->template data<const T>();
  }

  MatmulDesc desc_;
  MatmulParams params_;
  ExecContext context_;
  DeviceArray out_, workspace_;
  std::vector<std::unique_ptr<DeviceArray>> inputs_;
};

/// What the harness calls in place of the kernel: host pointers in, host output written.
void launch_on_device(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& host) {
  const int64_t number = run.launches++;
  // x and weights that start off a multiple of 16 bytes; a library may then choose another algorithm.
  const int64_t shift = is_ordered(*run.kernel) ? number % 5 == 4 ? 2 : 0 : desc.n % 2 * 2;
  run.shifted += shift > 0;
  DeviceCall call(ctx, desc, host, shift);
  DeviceCall::Bits bits = call.launch();
  if (number % 4 == 3) {
    ++run.replays;
    expect(call.replay() == bits, "equal bits from a replayed graph");
  }
  expect(call.inputs_untouched(), "inputs untouched");
  if (run.plant && !bits.empty()) bits[size_of(desc.out_dtype) - 1] ^= 0x40;
  if (!bits.empty()) std::memcpy(host.out, bits.data(), bits.size());
}

/// Layer sizes, beyond what drawn cases reach: many groups of tiles, rings that go round, ends inside tiles, uneven segments.
std::vector<Case<Matmul>> layer_cases_of(const MatmulKernel& kernel, uint64_t seed) {
  std::vector<Case<Matmul>> out;
  for (const char* text :
       {"n=4096 k=4096 rows=1 m=1", "n=6144 k=4096 rows=64 segments=3 m=64", "n=24576 k=1024 rows=16 m=13", "n=4096 k=12288 rows=32 act=silu m=31",
        "n=4097 k=2048 rows=8 residual=yes bias=yes m=5", "n=1000 k=7992 rows=64 out=bf16 m=50 segments=2", "n=9999 k=520 rows=64 bias=yes m=33",
        "n=130 k=16384 rows=2 m=2", "n=12345 k=264 rows=16 residual=yes m=16", "n=2048 k=5120 rows=64 x=f16 w=f16 m=64",
        "n=3072 k=4096 rows=300 m=300 residual=yes", "n=2056 k=1096 rows=129 m=129 bias=yes act=gelu", "n=5000 k=512 rows=777 m=777 segments=3",
        "n=12288 k=1024 rows=1 m=1 act=silu gated=yes out=bf16", "n=3000 k=2048 rows=64 m=61 act=silu gated=yes out=bf16",
        "n=1100 k=1024 rows=300 m=300 act=gelu_tanh gated=yes segments=2 out=bf16"}) {
    const std::string given(text);
    const std::string types = given.find("x=f16") == std::string::npos ? "x=bf16 w=bf16 " : "";
    Case<Matmul> c = parse_case<Matmul>(types + given);
    c.seed = seed + out.size();
    if (admits(kernel, c.desc)) out.push_back(c);
  }
  return out;
}

/// Number of failures.
int64_t prove(const MatmulKernel& declared, int64_t count, uint64_t seed) {
  run = {.kernel = &declared};
  MatmulKernel kernel = declared;
  kernel.launch = launch_on_device;
  ThreadPool pool(1);
  const RunOptions options{.samples = 512, .pool = &pool};
  const bool ordered = is_ordered(kernel);
  std::vector<Case<Matmul>> cases;
  for (int64_t i = 0; i < count; ++i) {
    const auto c = draw_case(kernel, seed, i);
    expect(c.has_value(), "a case of the kernel's capability");
    cases.push_back(*c);
  }
  if (count >= kCases)
    for (const auto& some : {layer_cases_of(kernel, seed), end_cases(kernel, seed)}) cases.insert(cases.end(), some.begin(), some.end());
  int64_t failures = 0, outputs = 0, in_order = 0;
  double worst = 0, typical = 0;
  for (size_t i = 0; i < cases.size() && failures < 10; ++i) {
    const CaseResult result = run_case(kernel, cases[i], options);
    std::string wrong = result.text;
    const bool small = cases[i].desc.n * cases[i].desc.k * cases[i].rows < int64_t{1} << 28;
    if (wrong.empty() && ordered && small && (i % 3 == 0 || cases[i].desc.n > 512)) ++in_order, wrong = check_order(kernel, cases[i], pool);
    if (!wrong.empty()) ++failures, fmt::print("FAIL {}\n  {}\n", wrong, to_text(cases[i]));
    outputs += result.outputs;
    worst = std::max(worst, result.max_error_over_bound), typical = std::max(typical, result.typical_ratio);
  }
  run.plant = true;
  const bool seen = !run_case(kernel, parse_case<Matmul>("x=bf16 w=bf16 n=200 k=1000 rows=3 m=3 seed=3"), options).passed;
  run.plant = false;
  if (!seen) ++failures, fmt::print("FAIL a spoilt output passed\n");
  const auto never = unexercised(kernel, cases);
  if (count >= kCases && !never.empty()) ++failures, fmt::print("FAIL never ran: {}\n", fmt::join(never, ", "));
  fmt::print(
      "{}: {} cases, {} failures, {} outputs, largest error {:.3f} of its bound, mean square {:.3f} (of 4); {} launches, {} from odd addresses, {} "
      "graph replays (equal bits), {} cases of equal bits over M; {} corners never ran; a spoilt output is seen: {}\n",
      kernel.info.name, cases.size(), failures, outputs, worst, typical, run.launches, run.shifted, run.replays, in_order, never.size(), seen);
  return failures;
}

std::vector<const MatmulKernel*> declared_kernels(std::string_view name) {
  std::vector<const MatmulKernel*> out;
  for (const MatmulKernel* k : catalogue().kernels<Matmul>())
    if (k->info.backend() == "cuda" && k->launch != nullptr && (name == "all" || name == k->info.name)) out.push_back(k);
  return out;
}

/// Kernels with one reduction tag give one call the same bits. Number of failures.
int64_t compare_tags(const std::vector<const MatmulKernel*>& kernels, int64_t count, uint64_t seed) {
  ThreadPool pool(1);
  int64_t failures = 0;
  const auto bits_of = [&](const MatmulKernel& declared, const Case<Matmul>& c) {
    run = {.kernel = &declared};
    MatmulKernel kernel = declared;
    kernel.launch = launch_on_device;
    return output_bits(kernel, c, pool);
  };
  for (size_t i = 0; i < kernels.size(); ++i)
    for (size_t j = i + 1; j < kernels.size(); ++j) {
      const MatmulKernel &a = *kernels[i], &b = *kernels[j];
      if (a.info.reduction != b.info.reduction) continue;
      int64_t compared = 0;
      for (int64_t n = 0; n < count; ++n) {
        const auto c = draw_case(a, seed + 1, n);
        if (!c || !admits(b, c->desc)) continue;
        ++compared;
        if (bits_of(a, *c) == bits_of(b, *c)) continue;
        ++failures;
        fmt::print("FAIL {} and {} share {} but not the bits\n  {}\n", a.info.name, b.info.name, a.info.reduction, to_text(*c));
      }
      fmt::print("{} = {} ({}): {} cases\n", a.info.name, b.info.name, a.info.reduction, compared);
    }
  return failures;
}

int64_t number(const char* text) {
  int64_t n = -1;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), n);
  if (error != std::errc() || *end != 0 || n < 0) invalid("device_matmul", "[KERNEL|all [CASES [SEED]]] | times [skinny|layer|rows|wide]", text);
  return n;
}

int64_t all(int argc, char** argv) {
  cudaDeviceProp device;
  int driver = 0;
  check(cudaGetDeviceProperties(&device, 0), "this machine's first CUDA device");
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  const auto library = detect_library(cublaslt_recipe());
  fmt::print("{}, sm_{}{}, {} multiprocessors, CUDA {} (driver), {} (built), cublasLt {}\n", device.name, device.major, device.minor,
             device.multiProcessorCount, driver, CUDART_VERSION, library ? std::to_string(library->version) : "absent");
  const std::string name = argc > 1 ? argv[1] : "all";
  if (name == "times") return time_matmul(argc > 2 ? argv[2] : "", library.has_value()), 0;
  const auto kernels = declared_kernels(name);
  if (kernels.empty()) invalid("device_matmul", "a kernel of the cuda page that is built", name);
  const int64_t cases = argc > 2 ? number(argv[2]) : kCases;
  const auto seed = static_cast<uint64_t>(argc > 3 ? number(argv[3]) : kSeed);
  int64_t failures = compare_tags(kernels, cases / 3, seed);
  for (const MatmulKernel* k : kernels) {
    if (!k->info.device.library.name.empty() && !library) {
      fmt::print("{}: not run: {} is absent\n", k->info.name, k->info.device.library.name);
      continue;
    }
    failures += prove(*k, cases, seed);
  }
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
