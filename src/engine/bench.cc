// Times the eligible kernels of an op side by side. The heavy tensors (weights; keys and values) stand in huge pages and in as many copies
// as it takes to leave the caches, as a model's layers do.
#include "attune/bench.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "ops/attention_math.h"
#include "proof/problem.h"
#include "select/desc_text.h"
#include "select/select.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr double kLongestKernel = 2;  // seconds for all launches of one kernel
constexpr int64_t kMaxCopies = 64;

double us_since(Clock::time_point start) { return std::chrono::duration<double, std::micro>(Clock::now() - start).count(); }

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

/// Bytes that evict everything, within reason.
int64_t out_of_cache(const DeviceProps& device) {
  return std::clamp<int64_t>(2 * std::max(device.l2, device.l3), int64_t{64} << 20, int64_t{512} << 20);
}

/// One heavy tensor of a call: where its pointer stands in the params, and its bytes.
template <class Params>
struct Heavy {
  const void** (*pointer)(Params&);
  int64_t bytes;
};

std::vector<Heavy<MatmulParams>> heavy_tensors(const MatmulDesc& d, const MatmulParams& p) {
  constexpr const void** (*kPointers[])(MatmulParams&) = {[](MatmulParams& q) { return &q.segments[0].w; },
                                                          [](MatmulParams& q) { return &q.segments[1].w; },
                                                          [](MatmulParams& q) { return &q.segments[2].w; }};
  std::vector<Heavy<MatmulParams>> out;
  for (int64_t s = 0; s < d.segments; ++s) out.push_back({kPointers[s], p.segments[s].rows * d.k * static_cast<int64_t>(size_of(d.w_dtype))});
  return out;
}

std::vector<Heavy<AttentionParams>> heavy_tensors(const AttentionDesc& d, const AttentionParams& p) {
  if (d.kv_source == KvSource::ragged) return {};
  const int64_t bytes = p.num_blocks * d.num_kv_heads * d.block_size * d.head_dim * static_cast<int64_t>(size_of(d.kv_dtype));
  return {{[](AttentionParams& q) { return &q.k; }, bytes}, {[](AttentionParams& q) { return &q.v; }, bytes}};
}

/// Work of one launch: bytes that must be moved at least, and multiplications and additions.
struct Work {
  double bytes = 0, flops = 0;
};

Work work_of(const Case<Matmul>& c) {
  const MatmulDesc& d = c.desc;
  const auto n = static_cast<double>(d.n), k = static_cast<double>(d.k), m = static_cast<double>(c.rows);
  return {n * k * static_cast<double>(size_of(d.w_dtype)) + m * k * static_cast<double>(size_of(d.x_dtype)) +
              m * n * static_cast<double>(size_of(d.out_dtype)),
          2 * m * n * k};
}

Work work_of(const Case<Attention>& c) {
  const AttentionDesc& d = c.desc;
  Work w;
  for (size_t s = 0; s < c.q_lens.size(); ++s) {
    int64_t first = c.kv_lens[s], last = 0, pairs = 0;
    for (int64_t i = 0; i < c.q_lens[s]; ++i) {
      const KeySpan span = key_span({.position = c.kv_lens[s] - c.q_lens[s] + i,
                                     .kv_len = c.kv_lens[s],
                                     .q_len = c.q_lens[s],
                                     .causal = d.mask == Mask::causal,
                                     .window = d.window,
                                     .window_right = d.window_right});
      first = std::min(first, span.first), last = std::max(last, span.last), pairs += span.last - span.first;
    }
    const auto keys = static_cast<double>(std::max<int64_t>(last - first, 0)), rows = static_cast<double>(c.q_lens[s]);
    w.bytes += 2 * keys * static_cast<double>(d.num_kv_heads * d.head_dim) * static_cast<double>(size_of(d.kv_dtype));
    w.bytes += rows * static_cast<double>(d.num_q_heads() * d.head_dim) * static_cast<double>(size_of(d.q_dtype) + size_of(d.out_dtype));
    w.flops += 4 * static_cast<double>(pairs) * static_cast<double>(d.num_q_heads() * d.head_dim);
  }
  return w;
}

/// The calls that take turns: one problem, its heavy tensors copied.
template <class Op>
struct Calls {
  Calls(const Case<Op>& c, int64_t target) : problem(c, {Guard::slack, false}) {
    const auto heavy = heavy_tensors(c.desc, problem.params);
    int64_t bytes = 0;
    for (const auto& h : heavy) bytes += h.bytes;
    const int64_t copies = bytes == 0 ? 1 : std::clamp<int64_t>((target + bytes - 1) / bytes, 1, kMaxCopies);
    for (int64_t i = 0; i < copies; ++i) {
      params.push_back(problem.params);
      for (const auto& h : heavy) {
        const void** pointer = h.pointer(params.back());
        memory.emplace_back(static_cast<size_t>(h.bytes), "tensors of the benchmark");
        if (h.bytes > 0) std::memcpy(memory.back().data(), *pointer, static_cast<size_t>(h.bytes));
        *pointer = memory.back().data();
      }
    }
  }

  Problem<Op> problem;
  std::vector<typename Op::Params> params;
  std::vector<Buffer> memory;
};

template <class Op>
Json time_kernel(const Kernel<Op>& kernel, const Case<Op>& c, const Calls<Op>& calls, ThreadPool& pool, int iterations) {
  Limits limits = calls.problem.limits();
  limits.threads = pool.size();
  const Buffer workspace(static_cast<size_t>(kernel.workspace ? std::max<int64_t>(kernel.workspace(c.desc, limits), 1) : 1), "workspace");
  const ExecContext ctx{.pool = &pool, .workspace = {workspace.data(), workspace.bytes()}};
  std::vector<double> times;
  const auto start = Clock::now();
  for (int i = -1; i < iterations; ++i) {
    const auto before = Clock::now();
    kernel.launch(ctx, c.desc, calls.params[static_cast<size_t>(i + 1) % calls.params.size()]);
    if (i >= 0) times.push_back(us_since(before));
    if (us_since(start) > kLongestKernel * 1e6 && (times.size() >= 3 || kernel.info.tier == Tier::reference) && !times.empty()) break;
  }
  const double us = median(times);
  const Work work = work_of(c);
  return {{"kernel", kernel.info.name},
          {"tier", to_text(kernel.info.tier)},
          {"reduction", kernel.info.reduction},
          {"median_us", us},
          {"min_us", *std::min_element(times.begin(), times.end())},
          {"samples", times.size()},
          {"gb_per_s", work.bytes / us / 1e3},
          {"gflop_per_s", work.flops / us / 1e3}};
}

template <class Op>
const Kernel<Op>& kernel_of(const KernelInfo* info) {
  for (const Kernel<Op>* k : catalogue().kernels<Op>())
    if (&k->info == info) return *k;
  fail(ErrorCode::internal, "bench", "a kernel of the catalogue", std::string(info->name));
}

template <class Op>
std::string bench(const BenchQuery& q, const Case<Op>& c, const std::string& call) {
  const DeviceProps device = find_device("cpu");
  const Selection s = select<Op>(catalogue().kernels<Op>(), device, c.desc, "", {q.batch, q.context, q.rows}, {}, {});
  if (s.eligible.empty()) fail(ErrorCode::not_supported, q.op, "a kernel for " + s.desc, "none is eligible:" + refusals_text(s));
  ThreadPool pool(q.threads);
  const Work work = work_of(c);
  Json j{{"op", q.op},     {"desc", s.desc},      {"call", call},       {"device", device.model}, {"threads", pool.size()},
         {"cold", q.cold}, {"bytes", work.bytes}, {"flops", work.flops}};
  const double before = read_bandwidth(pool.size());
  const Calls<Op> calls(c, q.cold ? out_of_cache(device) : 0);
  Json kernels = Json::array();
  for (const auto& e : s.eligible) kernels.push_back(time_kernel(kernel_of<Op>(e.kernel), c, calls, pool, q.iterations));
  const double after = read_bandwidth(pool.size());
  const Json* plainest = &kernels.back();
  for (const Json& k : kernels)
    if (k["tier"] != to_text(Tier::reference)) plainest = &k;
  const double base = (*plainest)["median_us"];
  j["read_gb_per_s"] = {{"before", before}, {"after", after}};
  j["baseline"] = (*plainest)["kernel"];
  for (Json& k : kernels) {
    k["share_of_read"] = k["gb_per_s"].get<double>() / ((before + after) / 2);
    k["speedup"] = base / k["median_us"].get<double>();
  }
  j["kernels"] = std::move(kernels);
  return j.dump();
}

bool names(const std::string& desc, const std::string& key) { return (" " + desc).find(" " + key + "=") != std::string::npos; }

std::string bench_attention(const BenchQuery& q) {
  Case<Attention> c;
  c.desc = parse_attention_desc(q.desc);
  if (!names(q.desc, "phase")) c.desc.phase = q.q_len == 1 ? Phase::decode : q.q_len <= 32 ? Phase::verify : Phase::prefill;
  c.q_lens.assign(static_cast<size_t>(q.batch), q.q_len);
  c.kv_lens.assign(static_cast<size_t>(q.batch), q.context);
  return bench(q, c, fmt::format("{} sequences, {} query tokens, {} keys", q.batch, q.q_len, q.context));
}

std::string bench_matmul(const BenchQuery& q) {
  Case<Matmul> c;
  c.desc = parse_desc<Matmul>(q.desc);
  if (!names(q.desc, "rows")) c.desc.rows = q.rows;
  c.rows = std::min(q.rows, c.desc.rows);
  return bench(q, c, fmt::format("{} rows", c.rows));
}

}  // namespace

std::string bench_json(const BenchQuery& q) {
  if (q.batch < 1 || q.batch > 4096) invalid("--batch-size", "1 to 4096", std::to_string(q.batch));
  if (q.context < 1 || q.context > 1 << 20) invalid("--input-len", "1 to 1048576", std::to_string(q.context));
  if (q.q_len < 1 || q.q_len > q.context) invalid("--q-len", fmt::format("1 to {}, the keys", q.context), std::to_string(q.q_len));
  if (q.rows < 1 || q.rows > 65536) invalid("--rows", "1 to 65536", std::to_string(q.rows));
  if (q.iterations < 1) invalid("--num-iters", "a positive integer", std::to_string(q.iterations));
  if (q.threads < 0 || q.threads > 4096) invalid("--threads", "0 to 4096", std::to_string(q.threads));
  if (q.op == "attention") return bench_attention(q);
  if (q.op == "matmul") return bench_matmul(q);
  invalid("op", "attention or matmul", printable(q.op));
}

double read_bandwidth(int threads) {
  ThreadPool pool(threads);
  const int64_t bytes = out_of_cache(detect_cpu());
  const Buffer memory(static_cast<size_t>(bytes), "memory to read");
  constexpr int64_t kPiece = 1 << 16;
  std::vector<uint64_t> sums(static_cast<size_t>(pool.size()) * 8);
  pool.parallel_for(bytes / kPiece, [&](int64_t i, int) { std::memset(memory.as<char>() + i * kPiece, 1, kPiece); });
  std::vector<double> times;
  for (int pass = 0; pass < 5; ++pass) {
    const auto start = Clock::now();
    pool.parallel_for(bytes / kPiece, [&](int64_t i, int worker) {
      const uint64_t* words = memory.as<uint64_t>() + i * kPiece / 8;
      uint64_t sum[8] = {};
      for (int64_t w = 0; w < kPiece / 8; w += 8)
        for (int64_t lane = 0; lane < 8; ++lane) sum[lane] += words[w + lane];
      for (size_t lane = 0; lane < 8; ++lane) sums[static_cast<size_t>(worker) * 8 + lane] += sum[lane];
    });
    times.push_back(us_since(start));
  }
  uint64_t all = 0;
  for (const uint64_t s : sums) all += s;
  if (all == 0) fail(ErrorCode::internal, "read bandwidth", "the sum of what was written", "0");
  return static_cast<double>(bytes) / median(times) / 1e3;
}

}  // namespace attune
