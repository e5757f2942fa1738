// How long the matmul kernels take.
#include "matmul_times.h"

#include <fmt/format.h>

#include <functional>
#include <utility>

#include "device_memory.h"
#include "ops/catalogue.h"
#include "proof/cases.h"

namespace attune::device_test {
namespace {

constexpr double kBytesPerUs = 4.35e6, kOverheadUs = 3.5;  // the goal: every byte once at this rate, and so much more
constexpr int64_t kRotated = int64_t{400} << 20;           // bytes of weights that a graph reads before it comes back to the first

constexpr int64_t kWorkspace = int64_t{32} << 20;

struct Layer {
  const char* name;
  int64_t n, k, segments;
  bool gated = false;  ///< n outputs of two matrices, in bf16
};
constexpr Layer kLayers[] = {{"qkv", 6144, 4096, 3},   {"o", 4096, 4096, 1},         {"gate_up", 24576, 4096, 2},
                             {"down", 4096, 12288, 1}, {"lm_head", 151936, 4096, 1}, {"swiglu", 12288, 4096, 1, true}};

template <class Op = Matmul>
const Kernel<Op>* kernel_named(std::string_view name) {
  for (const Kernel<Op>* k : catalogue().kernels<Op>())
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

/// Median µs of a replay of what `work` puts into the stream.
double time_graph(cudaStream_t stream, const std::function<void()>& work) {
  constexpr int kReplays = 15;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t ready = nullptr;
  work();
  check(cudaStreamSynchronize(stream), "a launch");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  work();
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&ready, graph, 0), "cudaGraphInstantiate");
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate"), check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<float> times(kReplays);
  for (int i = 0; i < 2; ++i) check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
  for (float& t : times) {
    check(cudaEventRecord(begin, stream), "cudaEventRecord");
    check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
    check(cudaEventRecord(end, stream), "cudaEventRecord"), check(cudaEventSynchronize(end), "replay");
    check(cudaEventElapsedTime(&t, begin, end), "cudaEventElapsedTime");
  }
  cudaEventDestroy(begin), cudaEventDestroy(end), cudaGraphExecDestroy(ready), cudaGraphDestroy(graph);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2] * 1e3;
}

/// One layer's tensors, several copies of its weights.
class Bench {
 public:
  Bench(const Layer& layer, int64_t most_rows) : layer_(layer), out_dtype_(layer.gated ? DType::bf16 : DType::f32) {
    const int64_t bytes = weight_bytes();
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
            .segments = layer_.segments,
            .activation = layer_.gated ? Activation::silu : Activation::none,
            .gated = layer_.gated};
  }
  MatmulParams params(int64_t m, int64_t copy) const {
    MatmulParams p{.x = x_.get(), .x_stride = layer_.k, .m = m, .out = out_.get(), .out_stride = layer_.n};
    const uint8_t* w = weights_.get() + copy % copies_ * weight_bytes();
    const int64_t rows[3][3] = {{layer_.n, 0, 0}, {layer_.n / 2, layer_.n / 2, 0}, {layer_.n * 2 / 3, layer_.n / 6, layer_.n / 6}};
    for (int64_t s = 0; s < layer_.segments; ++s) {
      p.segments[s] = {w, rows[layer_.segments - 1][s], nullptr, nullptr};
      w += p.segments[s].rows * layer_.k * 2;
    }
    if (layer_.gated) p.segments[0].up = w;
    return p;
  }
  double bytes(int64_t m) const {
    return static_cast<double>(weight_bytes() + m * layer_.k * 2 + m * layer_.n * static_cast<int64_t>(size_of(out_dtype_)));
  }

  /// Median µs of one launch: graphs of `launches` of them, replayed.
  double time(int64_t m, const MatmulKernel& kernel) const {
    const MatmulDesc d = desc(m);
    const double one = bytes(m) / kBytesPerUs + static_cast<double>(m) * static_cast<double>(weight_bytes()) / 6e8;
    const auto launches = std::max<int64_t>(copies_, static_cast<int64_t>(700 / one) / copies_ * copies_);
    return time_graph(ctx_stream_,
                      [&] {
                        for (int64_t i = 0; i < launches; ++i) kernel.launch(ctx_, d, params(m, i));
                      }) /
           static_cast<double>(launches);
  }

 private:
  int64_t weight_bytes() const { return (layer_.gated ? 2 : 1) * layer_.n * layer_.k * 2; }

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
    const Bench bench(layer, 64);
    const bool library_too = with_library && !layer.gated;
    for (int64_t m : {1, 8, 16, 32, 64}) {
      const double us = bench.time(m, ours), goal = bench.bytes(m) / kBytesPerUs + kOverheadUs, library = library_too ? bench.time(m, theirs) : 0;
      fmt::print("{:8} {:>3} | {:8.2f} {:8.2f} {:6.2f} | {:8.2f} {:6.3f} {}\n", layer.name, m, us, goal, bench.bytes(m) / us / 1e6, library,
                 library_too ? us / library : 0, us > goal ? "over" : "");
    }
  }
}

/// The launches of Qwen3-8B's layers but for attention, one after the other, each layer with weights of its own: what they cost in company.
class Layers {
 public:
  enum Part { norms = 1, rope = 2, gating = 4 };

  explicit Layers(int64_t m) : m_(m) {
    constexpr int64_t kFloats = 16384 * 4;
    weights_ = allocate(kCount * kWeights), pages_ = allocate(2 * kPages);
    x_ = allocate(m * kFloats), wide_ = allocate(m * 2 * kFloats), qkv_ = allocate(m * kFloats), hidden_ = allocate(m * kFloats),
    small_ = allocate(1 << 16);
    fill_noise(weights_, kCount * kWeights);
    for (const DeviceMemory* p : {&x_, &qkv_, &hidden_}) check(cudaMemset(p->get(), 0, static_cast<size_t>(m * kFloats)), "cudaMemset");
    check(cudaMemset(wide_.get(), 0, static_cast<size_t>(2 * m * kFloats)), "cudaMemset");
    check(cudaMemset(small_.get(), 0, 1 << 16), "cudaMemset");
    check(cudaStreamCreate(&stream_), "cudaStreamCreate");
    ctx_.stream = stream_;
  }
  ~Layers() { cudaStreamDestroy(stream_); }
  Layers(const Layers&) = delete;
  Layers& operator=(const Layers&) = delete;

  /// µs a layer of a chain with those parts besides the matmuls; without gating the activation is a launch of its own.
  double time(int parts) const {
    return time_graph(stream_,
                      [&] {
                        for (int64_t i = 0; i < kCount; ++i) layer(parts, weights_.get() + i * kWeights);
                      }) /
           static_cast<double>(kCount);
  }

 private:
  static constexpr int64_t kHidden = 4096, kInner = 12288, kQkv = 6144, kHeadDim = 128, kCount = 9;
  static constexpr int64_t kWeights = 2 * (kHidden * (kQkv + kHidden + 3 * kInner) + 2 * kHidden + 2 * kHeadDim);
  static constexpr int64_t kPages = 64 * 8 * 64 * kHeadDim * 2;

  void matmul(MatmulDesc d, const uint8_t* w, const void* x, void* out, const float* residual = nullptr) const {
    static const MatmulKernel& kernel = *kernel_named("cuda.matmul.skinny");
    d.rows = m_, d.residual = residual != nullptr;
    MatmulParams p{.x = x, .x_stride = d.k, .m = m_, .out = out, .out_stride = d.n, .residual = residual};
    p.segments[0] = {.w = w, .rows = d.n, .up = d.gated ? w + d.n * d.k * 2 : nullptr};
    kernel.launch(ctx_, d, p);
  }
  void norm(const void* w) const {
    static const NormKernel& kernel = *kernel_named<Norm>("gpu.norm.rows");
    kernel.launch(ctx_, {.out_dtype = DType::bf16, .hidden = kHidden},
                  {.x = hidden_.get(), .out = x_.get(), .groups = m_, .x_group_stride = kHidden, .out_group_stride = kHidden, .w = w});
  }
  void rope_kv_write(const void* w) const {
    static const RopeKvWriteKernel& kernel = *kernel_named<RopeKvWrite>("gpu.rope_kv_write.heads");
    const auto* zeros = small_.get();
    kernel.launch(ctx_, {.norm = true, .block_size = 64},
                  {.qkv = qkv_.get(),
                   .x_stride = kQkv,
                   .q = x_.get(),
                   .q_stride = kHidden,
                   .tokens = m_,
                   .q_weight = w,
                   .k_weight = w,
                   .positions = reinterpret_cast<const int32_t*>(zeros),
                   .inv_freq = reinterpret_cast<const float*>(zeros),
                   .slot_mapping = reinterpret_cast<const int64_t*>(zeros),
                   .k_cache = pages_.get(),
                   .v_cache = pages_.get() + kPages,
                   .num_blocks = 64});
  }
  void activate(void* out) const {
    static const ActivationKernel& kernel = *kernel_named<ActivationOp>("gpu.activation.elementwise");
    kernel.launch(ctx_, {}, {.x = wide_.get(), .out = out, .rows = m_, .width = kInner});
  }
  void layer(int parts, const uint8_t* w) const {
    auto* hidden = reinterpret_cast<float*>(hidden_.get());
    const auto take = [&w](int64_t elements) { return std::exchange(w, w + elements * 2); };
    const auto *first = take(kHidden), *second = take(kHidden), *heads = take(2 * kHeadDim), *qkv = take(kQkv * kHidden),
               *o = take(kHidden * kHidden), *gate_up = take(2 * kInner * kHidden), *down = take(kHidden * kInner);
    if (parts & norms) norm(first);
    matmul({.n = kQkv, .k = kHidden}, qkv, x_.get(), qkv_.get());
    if (parts & rope) rope_kv_write(heads);
    matmul({.n = kHidden, .k = kHidden}, o, x_.get(), hidden, hidden);
    if (parts & norms) norm(second);
    if (parts & gating) {
      matmul({.out_dtype = DType::bf16, .n = kInner, .k = kHidden, .activation = Activation::silu, .gated = true}, gate_up, x_.get(), qkv_.get());
    } else {
      matmul({.n = 2 * kInner, .k = kHidden}, gate_up, x_.get(), wide_.get());
      activate(qkv_.get());
    }
    matmul({.n = kHidden, .k = kInner}, down, qkv_.get(), hidden, hidden);
  }

  int64_t m_;
  DeviceMemory weights_, pages_, x_, wide_, qkv_, hidden_, small_;
  cudaStream_t stream_ = nullptr;
  ExecContext ctx_;
};

void time_chain() {
  fmt::print("µs a layer of Qwen3-8B without attention\n{:>3} | {:>8} {:>10} {:>10} {:>10} {:>14}\n", "M", "all", "no norms", "no rope", "matmuls",
             "own activation");
  for (const int64_t m : {1, 8, 16, 32, 64}) {
    using enum Layers::Part;
    const Layers layers(m);
    fmt::print("{:>3} | {:8.2f} {:10.2f} {:10.2f} {:10.2f} {:14.2f}\n", m, layers.time(norms | rope | gating), layers.time(rope | gating),
               layers.time(norms | gating), layers.time(gating), layers.time(norms | rope));
  }
}

/// norm and rope_kv_write of the Qwen3-8B shape, one launch after the other on tensors that rotate past the L2 cache: bound by bytes.
class Rows {
 public:
  explicit Rows(int64_t m) : m_(m), copies_(std::clamp<int64_t>(kRotated / (m * kQkv * 4), 1, 64)) {
    x_ = allocate(copies_ * m * kQkv * 4), out_ = allocate(copies_ * m * kHidden * 2), pages_ = allocate(copies_ * 2 * page_bytes());
    w_ = allocate(kHidden * 2), positions_ = allocate(m * 4), slots_ = allocate(m * 8), frequencies_ = allocate(kHeadDim * 2);
    fill_noise(w_, kHidden * 2);
    std::vector<float> x(static_cast<size_t>(m * kQkv)), frequencies(kHeadDim / 2);
    std::vector<int32_t> positions(static_cast<size_t>(m));
    std::vector<int64_t> slots(static_cast<size_t>(m));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 2654435761u % 1024) / 512 - 1;
    for (size_t i = 0; i < frequencies.size(); ++i) frequencies[i] = 1.0f / static_cast<float>(i + 1);
    for (int64_t i = 0; i < m; ++i) positions[static_cast<size_t>(i)] = static_cast<int32_t>(i), slots[static_cast<size_t>(i)] = i;
    for (int64_t i = 0; i < copies_; ++i) to_device(x_.get() + i * m * kQkv * 4, x);
    to_device(positions_.get(), positions), to_device(slots_.get(), slots), to_device(frequencies_.get(), frequencies);
    check(cudaStreamCreate(&stream_), "cudaStreamCreate");
    ctx_.stream = stream_;
  }
  ~Rows() { cudaStreamDestroy(stream_); }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  static double norm_bytes(int64_t m) { return static_cast<double>(m * kHidden * (4 + 2)); }
  static double rope_bytes(int64_t m) { return static_cast<double>(m * (kQkv * 4 + kHidden * 2 + 2 * kHeads * kHeadDim * 2)); }

  double time_norm() const {
    static const NormKernel& kernel = *kernel_named<Norm>("gpu.norm.rows");
    return time([&](int64_t copy) {
      kernel.launch(ctx_, {.out_dtype = DType::bf16, .hidden = kHidden},
                    {.x = x_.get() + copy * m_ * kQkv * 4,
                     .out = out_.get() + copy * m_ * kHidden * 2,
                     .groups = m_,
                     .x_group_stride = kHidden,
                     .out_group_stride = kHidden,
                     .w = w_.get()});
    });
  }
  double time_rope() const {
    static const RopeKvWriteKernel& kernel = *kernel_named<RopeKvWrite>("gpu.rope_kv_write.heads");
    return time([&](int64_t copy) {
      uint8_t* pages = pages_.get() + copy * 2 * page_bytes();
      kernel.launch(ctx_, {.norm = true, .block_size = kBlock},
                    {.qkv = x_.get() + copy * m_ * kQkv * 4,
                     .x_stride = kQkv,
                     .q = out_.get() + copy * m_ * kHidden * 2,
                     .q_stride = kHidden,
                     .tokens = m_,
                     .q_weight = w_.get(),
                     .k_weight = w_.get() + kHeadDim * 2,
                     .positions = reinterpret_cast<const int32_t*>(positions_.get()),
                     .inv_freq = reinterpret_cast<const float*>(frequencies_.get()),
                     .slot_mapping = reinterpret_cast<const int64_t*>(slots_.get()),
                     .k_cache = pages,
                     .v_cache = pages + page_bytes(),
                     .num_blocks = blocks()});
    });
  }

 private:
  static constexpr int64_t kHidden = 4096, kQkv = 6144, kHeads = 8, kHeadDim = 128, kBlock = 64;

  int64_t blocks() const { return (m_ + kBlock - 1) / kBlock; }
  int64_t page_bytes() const { return blocks() * kBlock * kHeads * kHeadDim * 2; }
  template <class T>
  static void to_device(uint8_t* to, const std::vector<T>& from) {
    check(cudaMemcpy(to, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice), "fill");
  }
  double time(const std::function<void(int64_t)>& launch) const {
    const int64_t launches = std::max<int64_t>(copies_, 16);
    return time_graph(stream_,
                      [&] {
                        for (int64_t i = 0; i < launches; ++i) launch(i % copies_);
                      }) /
           static_cast<double>(launches);
  }

  int64_t m_, copies_;
  DeviceMemory x_, out_, pages_, w_, positions_, slots_, frequencies_;
  cudaStream_t stream_ = nullptr;
  ExecContext ctx_;
};

void time_rows() {
  fmt::print("{:>5} | {:>8} {:>6} | {:>13} {:>6}\n", "M", "norm us", "TB/s", "rope_kv_write", "TB/s");
  for (const int64_t m : {1, 8, 16, 32, 64, 128, 256, 512, 2048, 8192}) {
    const Rows rows(m);
    const double norm = rows.time_norm(), rope = rows.time_rope();
    fmt::print("{:>5} | {:8.2f} {:6.2f} | {:13.2f} {:6.2f}\n", m, norm, Rows::norm_bytes(m) / norm / 1e6, rope, Rows::rope_bytes(m) / rope / 1e6);
  }
}

/// Many rows: arithmetic.
void time_wide(bool with_library) {
  const MatmulKernel &ours = *kernel_named("cuda.matmul.wgmma"), &halves = *kernel_named("cuda.matmul.wgmma_halves"),
                     &split = *kernel_named("cuda.matmul.wgmma_split2"), &theirs = *kernel_named("cuda.matmul.cublaslt");
  fmt::print("{:8} {:>5} | {:>8} {:>8} | {:>8} {:>8} | {:>8} {:>6}\n", "layer", "M", "us", "TFLOP/s", "halves", "split2", "cublasLt", "ratio");
  const auto print = [&](const Layer& layer, int64_t m) {
    const Bench bench(layer, m);
    const bool library_too = with_library && !layer.gated, halved = admits(halves, bench.desc(m));
    const double us = bench.time(m, ours), half = halved ? bench.time(m, halves) : 0, other = bench.time(m, split),
                 library = library_too ? bench.time(m, theirs) : 0, first = halved ? half : us;  // of the catalogue
    fmt::print("{:8} {:>5} | {:8.1f} {:8.0f} | {:8.1f} {:8.1f} | {:8.1f} {:6.3f}\n", layer.name, m, us,
               (layer.gated ? 4.0 : 2.0) * static_cast<double>(m) * static_cast<double>(layer.n * layer.k) / first / 1e6, half, other, library,
               library_too ? first / library : 0);
  };
  print({"8192^3", 8192, 8192, 1}, 8192);
  for (const Layer& layer : {kLayers[0], kLayers[1], kLayers[2], kLayers[3], kLayers[5]})
    for (int64_t m : {96, 128, 256, 512, 2048}) print(layer, m);
}

}  // namespace

void time_matmul(const std::string& what, bool with_library) {
  if (what.empty() || what == "skinny") time_layers(with_library);
  if (what.empty() || what == "layer") time_chain();
  if (what.empty() || what == "rows") time_rows();
  if (what.empty() || what == "wide") time_wide(with_library);
}

}  // namespace attune::device_test
