// Timing of launches: one at a time on the CPU, in rounds of many in a GPU's stream.
#include "engine/bench_site.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/error.h"
#include "ops/attention_math.h"

namespace attune {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLongestKernel = 2;  // seconds for all launches of one kernel

double us_since(Clock::time_point start) { return std::chrono::duration<double, std::micro>(Clock::now() - start).count(); }

double read_rate(ThreadPool& pool, int64_t bytes) {
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

double copy_rate(CaseDevice& site) {
  constexpr size_t kBytes = size_t{1} << 28;
  Device& d = site.device();
  const Buffer from = d.allocate(kBytes, "memory to copy"), to = d.allocate(kBytes, "memory to copy");
  d.fill(from.data(), 1, kBytes, site.stream());
  const LaunchTimes times = time_in_stream(site, false, 1, {7}, [&](int64_t) { d.copy(to.data(), from.data(), kBytes, site.stream()); });
  return 2.0 * static_cast<double>(kBytes) / times.median_us() / 1e3;
}

}  // namespace

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.size() % 2 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

double LaunchTimes::spread() const {
  std::vector<double> v = us;
  std::sort(v.begin(), v.end());
  return v.size() < 2 ? 0 : (v[v.size() * 3 / 4] - v[v.size() / 4]) / median_us();
}

int64_t out_of_cache(const DeviceProps& device) {
  const int64_t cache = std::max(device.l2, device.l3), times = device.kind == DeviceKind::cpu ? 2 : 8;
  return std::clamp<int64_t>(times * cache, int64_t{64} << 20, int64_t{512} << 20);
}

BenchSite::BenchSite(const DeviceProps& device, int threads) : props_(device), pool_(threads) {
  if (!device.present) fail(ErrorCode::not_supported, "--device", "a device of this machine", device.name);
  if (device.kind == DeviceKind::cpu) return;
  opened_ = open_device(device);
  device_.emplace(*opened_);
}

Buffer BenchSite::copy_of(const void* from, int64_t bytes) {
  const auto size = static_cast<size_t>(bytes);
  Buffer out = on_gpu() ? opened_->allocate(size, "tensors of the benchmark") : Buffer(size, "tensors of the benchmark");
  if (on_gpu())
    opened_->copy(out.data(), from, size, device_->stream()), opened_->synchronize(device_->stream());
  else if (bytes > 0)
    std::memcpy(out.data(), from, size);
  return out;
}

Buffer BenchSite::filled(const std::vector<uint8_t>& pattern, int64_t bytes) {
  const auto size = static_cast<size_t>(bytes);
  Buffer out = on_gpu() ? opened_->allocate(size, "tensors of the benchmark") : Buffer(size, "tensors of the benchmark");
  const auto copy = [&](size_t at, const void* from, size_t n) {
    if (on_gpu())
      opened_->copy(out.as<char>() + at, from, n, device_->stream());
    else
      std::memcpy(out.as<char>() + at, from, n);
  };
  size_t done = std::min(size, pattern.size());
  copy(0, pattern.data(), done);
  for (; done < size; done += std::min(done, size - done)) copy(done, out.data(), std::min(done, size - done));
  if (on_gpu()) opened_->synchronize(device_->stream());
  return out;
}

LaunchTimes BenchSite::time(ExecContext& ctx, const KernelInfo& kernel, int64_t copies, const Rounds& rounds,
                            const std::function<void(int64_t)>& launch) {
  if (on_gpu()) {
    opened_->make_current();
    ctx.stream = device_->stream().get();
    return time_in_stream(*device_, kernel.graph != GraphLevel::none, copies, rounds, launch);
  }
  ctx.pool = &pool_;
  return collect_times(rounds, kernel.tier == Tier::reference, [&](int i) {
    const auto start = Clock::now();
    launch(i);
    return us_since(start);
  });
}

double BenchSite::bandwidth() { return on_gpu() ? copy_rate(*device_) : read_rate(pool_, out_of_cache(props_)); }

AttentionWork work_of_attention(const Case<Attention>& c) {
  const AttentionDesc& d = c.desc;
  AttentionWork w;
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
    const auto keys = static_cast<double>(std::max<int64_t>(last - first, 0));
    w.kv_bytes += 2 * keys * static_cast<double>(d.num_kv_heads * d.head_dim) * static_cast<double>(size_of(d.kv_dtype));
    w.flops += 4 * static_cast<double>(pairs) * static_cast<double>(d.num_q_heads() * d.head_dim);
  }
  return w;
}

LaunchTimes collect_times(const Rounds& rounds, bool short_of_time, const std::function<double(int)>& timed) {
  LaunchTimes out;
  const auto start = Clock::now();
  for (int i = 0; i <= rounds.iterations; ++i) {
    const double us = timed(i);
    const bool hopeless = rounds.hopeless_us > 0 && us > rounds.hopeless_us;
    if (i > 0 || hopeless) out.us.push_back(us);  // the first one wakes threads and fetches code
    if (hopeless) break;
    if (us_since(start) > kLongestKernel * 1e6 && (out.us.size() >= 3 || short_of_time) && !out.us.empty()) break;
  }
  return out;
}

LaunchTimes time_in_stream(CaseDevice& site, bool as_graph, int64_t copies, const Rounds& rounds, const std::function<void(int64_t)>& launch) {
  constexpr double kRound = 700;  // µs: the events' own time must not count
  constexpr int64_t kMostLaunches = 2000;
  Device& d = site.device();
  const Event begin = d.make_timer(), end = d.make_timer();
  const auto timed = [&](const std::function<void()>& work) {
    d.record(begin, site.stream());
    work();
    d.record(end, site.stream());
    d.wait(end);
    return d.elapsed_us(begin, end);
  };
  const auto round = [&](int64_t launches) {
    for (int64_t i = 0; i < launches; ++i) launch(i);
  };
  if (const double first = timed([&] { round(1); }); rounds.hopeless_us > 0 && first > rounds.hopeless_us) return {.us = {first}};
  const double one = std::max(timed([&] { round(copies); }) / static_cast<double>(copies), 0.5);
  const int64_t launches = std::clamp(static_cast<int64_t>(kRound / one) / copies * copies, copies, std::max(copies, kMostLaunches));
  Graph graph;
  if (as_graph) {
    d.begin_capture(site.stream());
    round(launches);
    graph = d.end_capture(site.stream());
  }
  LaunchTimes out = collect_times(
      rounds, true, [&](int) { return timed([&] { as_graph ? d.replay(graph, site.stream()) : round(launches); }) / static_cast<double>(launches); });
  out.graph = as_graph;
  return out;
}

std::vector<Heavy<MatmulParams>> heavy_tensors(const MatmulDesc& d, const MatmulParams& p) {
  constexpr const void** (*kPointers[])(MatmulParams&) = {[](MatmulParams& q) { return &q.segments[0].w; },
                                                          [](MatmulParams& q) { return &q.segments[1].w; },
                                                          [](MatmulParams& q) { return &q.segments[2].w; }};
  constexpr const void** (*kUp[])(MatmulParams&) = {[](MatmulParams& q) { return &q.segments[0].up; },
                                                    [](MatmulParams& q) { return &q.segments[1].up; },
                                                    [](MatmulParams& q) { return &q.segments[2].up; }};
  std::vector<Heavy<MatmulParams>> out;
  for (int64_t s = 0; s < d.segments; ++s) {
    const int64_t bytes = p.segments[s].rows * d.k * static_cast<int64_t>(size_of(d.w_dtype));
    out.push_back({kPointers[s], bytes});
    if (d.gated) out.push_back({kUp[s], bytes});
  }
  return out;
}

std::vector<Heavy<AttentionParams>> heavy_tensors(const AttentionDesc& d, const AttentionParams& p) {
  if (d.kv_source == KvSource::ragged) return {};
  const int64_t bytes = p.num_blocks * d.num_kv_heads * d.block_size * d.head_dim * static_cast<int64_t>(size_of(d.kv_dtype));
  return {{[](AttentionParams& q) { return &q.k; }, bytes}, {[](AttentionParams& q) { return &q.v; }, bytes}};
}

}  // namespace attune
