#include "attention_times.h"

#include <numeric>
#include <random>

#include "device_memory.h"

namespace attune::device_test {
namespace {

constexpr int64_t kMostL2 = 200 << 20;  ///< caches that alternate are this large together
constexpr int kReplays = 60;

/// Normal values, or bytes of e4m3 in ±2.
std::vector<uint8_t> noise_of(DType t) {
  constexpr size_t kElements = 1 << 22;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<uint8_t> out(kElements * size_of(t));
  for (size_t i = 0; i < kElements; ++i) store_from_float(out.data(), t, static_cast<int64_t>(i), normal(random));
  return out;
}

DeviceMemory filled(const std::vector<uint8_t>& noise, int64_t bytes) {
  DeviceMemory m = allocate(bytes);
  const auto most = static_cast<int64_t>(noise.size());
  check(cudaMemcpy(m.get(), noise.data(), static_cast<size_t>(std::min(bytes, most)), cudaMemcpyHostToDevice), "fill");
  for (int64_t done = std::min(bytes, most); done < bytes; done += std::min(done, bytes - done))
    check(cudaMemcpy(m.get() + done, m.get(), static_cast<size_t>(std::min(done, bytes - done)), cudaMemcpyDeviceToDevice), "fill");
  return m;
}

template <class T>
DeviceMemory uploaded(const std::vector<T>& host) {
  DeviceMemory m = allocate(static_cast<int64_t>(host.size() * sizeof(T)) + 1);
  check(cudaMemcpy(m.get(), host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice), "upload");
  return m;
}

template <class T>
T* as(const DeviceMemory& m) {
  return reinterpret_cast<T*>(m.get());
}

std::vector<int32_t> permuted_table(const Work& w, int64_t max_blocks, int64_t& blocks) {
  const int64_t size = w.desc.block_size;
  for (const int32_t n : w.kv_lens) blocks += (n + size - 1) / size;
  std::vector<int32_t> order(static_cast<size_t>(blocks)), table(w.kv_lens.size() * static_cast<size_t>(max_blocks), -1);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(3));
  size_t next = 0;
  for (size_t s = 0; s < w.kv_lens.size(); ++s)
    for (int64_t b = 0; b < (w.kv_lens[s] + size - 1) / size; ++b)
      table[s * static_cast<size_t>(max_blocks) + static_cast<size_t>(b)] = order[next++];
  return table;
}

struct Graph {
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t ready = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  Graph() {
    check(cudaStreamCreate(&stream), "cudaStreamCreate");
    check(cudaEventCreate(&begin), "cudaEventCreate"), check(cudaEventCreate(&end), "cudaEventCreate");
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    if (ready != nullptr) cudaGraphExecDestroy(ready);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaEventDestroy(begin), cudaEventDestroy(end), cudaStreamDestroy(stream);
  }
  /// Milliseconds of one replay.
  float replay() const {
    float ms = 0;
    check(cudaEventRecord(begin, stream), "cudaEventRecord");
    check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
    check(cudaEventRecord(end, stream), "cudaEventRecord"), check(cudaEventSynchronize(end), "replay");
    check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    return ms;
  }
};

}  // namespace

namespace {

struct Setup {
  AttentionParams p;
  int64_t bytes = 0, caches = 0, room = 0;
  DeviceMemory k, v, out, q, q_start, lens, pages, scales, per_head, workspace;
  Setup(const AttentionKernel& kernel, const Work& w) {
    const AttentionDesc& d = w.desc;
    const int64_t heads = d.num_q_heads(), sequences = static_cast<int64_t>(w.kv_lens.size());
    std::vector<int32_t> starts{0};
    for (const int32_t n : w.q_lens) starts.push_back(starts.back() + n);
    p.num_seqs = sequences, p.total_q = starts.back(), p.scale = 0.0883883f;
    p.longest_q = *std::max_element(w.q_lens.begin(), w.q_lens.end()), p.longest_kv = *std::max_element(w.kv_lens.begin(), w.kv_lens.end());
    p.max_blocks = (p.longest_kv + d.block_size - 1) / d.block_size;
    const auto table = permuted_table(w, p.max_blocks, p.num_blocks);
    const int64_t slots = p.num_blocks * d.num_kv_heads * d.block_size;
    bytes = bytes_of(d.kv_dtype, slots * d.head_dim);
    caches = std::max<int64_t>(1, (kMostL2 + 2 * bytes - 1) / (2 * bytes));
    const auto noise = noise_of(d.kv_dtype);
    k = filled(noise, bytes * caches), v = filled(noise, bytes * caches), out = allocate(bytes_of(d.out_dtype, p.total_q * heads * d.head_dim));
    q = filled(noise_of(d.q_dtype), bytes_of(d.q_dtype, p.total_q * heads * d.head_dim)), q_start = uploaded(starts), lens = uploaded(w.kv_lens),
    pages = uploaded(table), scales = uploaded(std::vector<float>(static_cast<size_t>(slots), 0.7f)),
    per_head = uploaded(std::vector<float>(static_cast<size_t>(heads), 0.3f));
    p.q = q.get(), p.q_stride = p.out_stride = heads * d.head_dim, p.out = out.get();
    p.q_start = as<int32_t>(q_start), p.kv_lens = as<int32_t>(lens), p.block_table = as<int32_t>(pages);
    p.k_scale = p.v_scale = as<float>(scales), p.sinks = p.alibi_slopes = as<float>(per_head);
    room = kernel.workspace(d, {.tokens = p.total_q, .sequences = sequences, .longest_kv = p.longest_kv});
    workspace = allocate(room + 1);
  }
};

}  // namespace

Timing time_attention(const AttentionKernel& kernel, const Work& w) {
  Setup s(kernel, w);
  AttentionParams& p = s.p;
  const AttentionDesc& d = w.desc;
  Graph g;
  ExecContext ctx;
  ctx.stream = g.stream, ctx.workspace = {s.workspace.get(), static_cast<size_t>(s.room)};
  const int64_t launches = std::max<int64_t>(s.caches, std::min<int64_t>(20, (int64_t{4} << 30) / (2 * s.bytes)));
  check(cudaStreamBeginCapture(g.stream, cudaStreamCaptureModeGlobal), "capture");
  for (int64_t i = 0; i < launches; ++i) {
    p.k = s.k.get() + i % s.caches * s.bytes, p.v = s.v.get() + i % s.caches * s.bytes;
    kernel.launch(ctx, d, p);
  }
  check(cudaStreamEndCapture(g.stream, &g.graph), "capture");
  check(cudaGraphInstantiate(&g.ready, g.graph, 0), "cudaGraphInstantiate");
  for (int i = 0; i < 3; ++i) g.replay();
  std::vector<double> us;
  for (int i = 0; i < kReplays; ++i) us.push_back(g.replay() * 1e3 / static_cast<double>(launches));
  std::sort(us.begin(), us.end());
  double keys = 0;
  for (const int32_t n : w.kv_lens) keys += d.window > 0 ? std::min<double>(n, static_cast<double>(d.window)) : n;
  const double read = 2 * keys * static_cast<double>(d.num_kv_heads * d.head_dim) * static_cast<double>(size_of(d.kv_dtype));
  return {us[us.size() / 2], us.front(), us.back(), read / 1e9};
}

}  // namespace attune::device_test
