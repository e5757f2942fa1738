// How long the matmul kernels take.
#include "matmul_times.h"

#include <fmt/format.h>

#include "device_memory.h"
#include "ops/catalogue.h"

namespace attune::device_test {
namespace {

constexpr double kBytesPerUs = 4.35e6, kOverheadUs = 3.5;  // the goal: every byte once at this rate, and so much more
constexpr int64_t kRotated = int64_t{400} << 20;           // bytes of weights that a graph reads before it comes back to the first

constexpr int64_t kWorkspace = int64_t{32} << 20;

struct Layer {
  const char* name;
  int64_t n, k, segments;
};
constexpr Layer kLayers[] = {
    {"qkv", 6144, 4096, 3}, {"o", 4096, 4096, 1}, {"gate_up", 24576, 4096, 2}, {"down", 4096, 12288, 1}, {"lm_head", 151936, 4096, 1}};

const MatmulKernel* kernel_named(std::string_view name) {
  for (const MatmulKernel* k : catalogue().kernels<Matmul>())
    if (k->info.name == name && k->launch != nullptr) return k;
  fail(ErrorCode::device_error, name, "a kernel of this build", "none");
}

/// Random bf16 in ±1, from a block that is repeated with an odd period.
void fill_noise(const DeviceMemory& to, int64_t bytes) {
  static const std::vector<uint16_t> noise = [] {
    std::vector<uint16_t> out((int64_t{16} << 20) + 4098);
    uint64_t state = 1;
    for (uint16_t& x : out) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const float value = static_cast<float>(static_cast<int32_t>(state >> 33) - (1 << 30)) * 0x1.0p-30f;
      x = to_bf16(value).bits;
    }
    return out;
  }();
  const auto period = static_cast<int64_t>(noise.size() * 2);
  check(cudaMemcpy(to.get(), noise.data(), static_cast<size_t>(std::min(period, bytes)), cudaMemcpyHostToDevice), "fill");
  for (int64_t at = period; at < bytes; at += period)
    check(cudaMemcpy(to.get() + at, to.get(), static_cast<size_t>(std::min(period, bytes - at)), cudaMemcpyDeviceToDevice), "fill");
}

/// One layer's tensors, several copies of its weights.
class Bench {
 public:
  Bench(const Layer& layer, int64_t most_rows, DType out) : layer_(layer), out_dtype_(out) {
    const int64_t bytes = layer.n * layer.k * 2;
    copies_ = std::max<int64_t>(2, (kRotated + bytes - 1) / bytes);
    weights_ = allocate(bytes * copies_), x_ = allocate(most_rows * layer.k * 2), out_ = allocate(most_rows * layer.n * 4);
    workspace_ = allocate(kWorkspace);
    fill_noise(weights_, bytes * copies_), fill_noise(x_, most_rows * layer.k * 2);
    check(cudaMemset(out_.get(), 0, static_cast<size_t>(most_rows * layer.n * 4)), "cudaMemset");
    check(cudaStreamCreate(&ctx_stream_), "cudaStreamCreate");
    ctx_.stream = ctx_stream_;
    ctx_.workspace = {workspace_.get(), static_cast<size_t>(kWorkspace)};
  }
  ~Bench() { cudaStreamDestroy(ctx_stream_); }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  MatmulDesc desc(int64_t m) const {
    return {.x_dtype = DType::bf16,
            .w_dtype = DType::bf16,
            .out_dtype = out_dtype_,
            .n = layer_.n,
            .k = layer_.k,
            .rows = m,
            .segments = layer_.segments};
  }
  MatmulParams params(int64_t m, int64_t copy) const {
    MatmulParams p{.x = x_.get(), .x_stride = layer_.k, .m = m, .out = out_.get(), .out_stride = layer_.n};
    const uint8_t* w = weights_.get() + copy % copies_ * layer_.n * layer_.k * 2;
    const int64_t rows[3][3] = {{layer_.n, 0, 0}, {layer_.n / 2, layer_.n / 2, 0}, {layer_.n * 2 / 3, layer_.n / 6, layer_.n / 6}};
    for (int64_t s = 0; s < layer_.segments; ++s) {
      p.segments[s] = {w, rows[layer_.segments - 1][s], nullptr, nullptr};
      w += p.segments[s].rows * layer_.k * 2;
    }
    return p;
  }
  double bytes(int64_t m) const {
    return static_cast<double>(layer_.n * layer_.k * 2 + m * layer_.k * 2 + m * layer_.n * static_cast<int64_t>(size_of(out_dtype_)));
  }

  /// Median µs of one launch: graphs of `launches` of them, replayed.
  double time(int64_t m, const MatmulKernel& kernel) const {
    constexpr int kReplays = 15;
    const MatmulDesc d = desc(m);
    const double one = bytes(m) / kBytesPerUs + 2.0 * static_cast<double>(m) * static_cast<double>(layer_.n * layer_.k) / 6e8;
    const auto launches = std::max<int64_t>(copies_, static_cast<int64_t>(700 / one) / copies_ * copies_);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t ready = nullptr;
    kernel.launch(ctx_, d, params(m, 0));
    check(cudaStreamSynchronize(ctx_stream_), "a launch");
    check(cudaStreamBeginCapture(ctx_stream_, cudaStreamCaptureModeGlobal), "capture");
    for (int64_t i = 0; i < launches; ++i) kernel.launch(ctx_, d, params(m, i));
    check(cudaStreamEndCapture(ctx_stream_, &graph), "capture");
    check(cudaGraphInstantiate(&ready, graph, 0), "cudaGraphInstantiate");
    cudaEvent_t begin, end;
    check(cudaEventCreate(&begin), "cudaEventCreate"), check(cudaEventCreate(&end), "cudaEventCreate");
    std::vector<float> times(static_cast<size_t>(kReplays));
    for (int i = 0; i < 2; ++i) check(cudaGraphLaunch(ready, ctx_stream_), "cudaGraphLaunch");
    for (float& t : times) {
      check(cudaEventRecord(begin, ctx_stream_), "cudaEventRecord");
      check(cudaGraphLaunch(ready, ctx_stream_), "cudaGraphLaunch");
      check(cudaEventRecord(end, ctx_stream_), "cudaEventRecord"), check(cudaEventSynchronize(end), "replay");
      check(cudaEventElapsedTime(&t, begin, end), "cudaEventElapsedTime");
    }
    cudaEventDestroy(begin), cudaEventDestroy(end), cudaGraphExecDestroy(ready), cudaGraphDestroy(graph);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2] * 1e3 / static_cast<double>(launches);
  }

 private:
  Layer layer_;
  DType out_dtype_;
  int64_t copies_ = 0;
  DeviceMemory weights_, x_, out_, workspace_;
  cudaStream_t ctx_stream_ = nullptr;
  ExecContext ctx_;
};

/// At most 64 rows of x: one reading of the weights.
void time_layers(bool with_library) {
  const MatmulKernel &ours = *kernel_named("cuda.matmul.skinny"), &theirs = *kernel_named("cuda.matmul.cublaslt");
  fmt::print("{:8} {:>3} | {:>8} {:>8} {:>6} | {:>8} {:>6}\n", "layer", "M", "us", "goal", "TB/s", "cublasLt", "ratio");
  for (const Layer& layer : kLayers) {
    const Bench bench(layer, 64, DType::f32);
    for (int64_t m : {1, 8, 16, 32, 64}) {
      const double us = bench.time(m, ours), goal = bench.bytes(m) / kBytesPerUs + kOverheadUs, library = with_library ? bench.time(m, theirs) : 0;
      fmt::print("{:8} {:>3} | {:8.2f} {:8.2f} {:6.2f} | {:8.2f} {:6.3f} {}\n", layer.name, m, us, goal, bench.bytes(m) / us / 1e6, library,
                 with_library ? us / library : 0, us > goal ? "over" : "");
    }
  }
}

/// Many rows: arithmetic.
void time_wide(bool with_library) {
  const MatmulKernel &ours = *kernel_named("cuda.matmul.wgmma"), &split = *kernel_named("cuda.matmul.wgmma_split2"),
                     &theirs = *kernel_named("cuda.matmul.cublaslt");
  fmt::print("{:8} {:>5} | {:>8} {:>8} | {:>8} | {:>8} {:>6}\n", "layer", "M", "us", "TFLOP/s", "split2", "cublasLt", "ratio");
  const auto print = [&](const Layer& layer, int64_t m) {
    const Bench bench(layer, m, DType::f32);
    const double us = bench.time(m, ours), other = bench.time(m, split), library = with_library ? bench.time(m, theirs) : 0;
    fmt::print("{:8} {:>5} | {:8.1f} {:8.0f} | {:8.1f} | {:8.1f} {:6.3f}\n", layer.name, m, us,
               2.0 * static_cast<double>(m) * static_cast<double>(layer.n * layer.k) / us / 1e6, other, library, with_library ? us / library : 0);
  };
  print({"8192^3", 8192, 8192, 1}, 8192);
  for (const Layer& layer : {kLayers[0], kLayers[1], kLayers[2], kLayers[3]})
    for (int64_t m : {128, 512, 2048}) print(layer, m);
}

}  // namespace

void time_matmul(const std::string& what, bool with_library) {
  if (what.empty() || what == "skinny") time_layers(with_library);
  if (what.empty() || what == "wide") time_wide(with_library);
}

}  // namespace attune::device_test
