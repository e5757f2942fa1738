#pragma once

#include <algorithm>
#include <functional>
#include <optional>

#include "proof/call.h"
#include "proof/device_params.h"
#include "select/kernel.h"

namespace attune {

double median(std::vector<double> v);

/// How often to time, and when once says enough: a first round longer than this many µs. 0: never.
struct Rounds {
  int iterations = 0;
  double hopeless_us = 0;
};

/// Times of single launches in µs.
struct LaunchTimes {
  std::vector<double> us;
  bool graph = false;  ///< launches of a replayed graph

  double median_us() const { return median(us); }
  double spread() const;  ///< distance of the quartiles over the median
};

/// Where kernels are timed: this machine's CPU with so many threads, or one of its GPUs.
class BenchSite {
 public:
  BenchSite(const DeviceProps& device, int threads);

  const DeviceProps& props() const { return props_; }
  bool on_gpu() const { return device_.has_value(); }
  ThreadPool& pool() { return pool_; }
  CaseDevice& device() { return *device_; }
  int workers() const { return on_gpu() ? props_.cores : pool_.size(); }

  /// Memory with the bytes at `from`, where kernels run.
  Buffer copy_of(const void* from, int64_t bytes);

  /// Memory where kernels run that holds a pattern again and again.
  Buffer filled(const std::vector<uint8_t>& pattern, int64_t bytes);

  /// Times of a kernel's launches, which `launch(i)` makes in `ctx`: this sets its stream or threads. On a GPU in rounds of a multiple of `copies`.
  LaunchTimes time(ExecContext& ctx, const KernelInfo& kernel, int64_t copies, const Rounds& rounds, const std::function<void(int64_t)>& launch);

  /// GB/s at which memory larger than the caches is read; on a GPU, at which it is copied, both directions counted.
  double bandwidth();

 private:
  DeviceProps props_;
  ThreadPool pool_;
  std::unique_ptr<Device> opened_;
  std::optional<CaseDevice> device_;
};

/// What a call of attention moves and multiplies at least: K and V that are visible, once; two products a visible pair.
struct AttentionWork {
  double kv_bytes = 0, flops = 0;
};
AttentionWork work_of_attention(const Case<Attention>& c);

/// Bytes that evict everything, within reason.
int64_t out_of_cache(const DeviceProps& device);

/// Runs `timed(i)`, which returns the µs of its i-th round, until there are enough rounds or it takes too long.
LaunchTimes collect_times(const Rounds& rounds, bool short_of_time, const std::function<double(int)>& timed);

/// Rounds of launches on a GPU: `launch(i)` puts the i-th into the stream. One launch takes the time of a round over its launches.
LaunchTimes time_in_stream(CaseDevice& site, bool as_graph, int64_t copies, const Rounds& rounds, const std::function<void(int64_t)>& launch);

/// One heavy tensor of a call: where its pointer stands in the params, and its bytes.
template <class Params>
struct Heavy {
  const void** (*pointer)(Params&);
  int64_t bytes;
};
std::vector<Heavy<MatmulParams>> heavy_tensors(const MatmulDesc& d, const MatmulParams& p);
std::vector<Heavy<AttentionParams>> heavy_tensors(const AttentionDesc& d, const AttentionParams& p);
/// The other ops have none: their tensors are what the launch in front wrote.
template <class Desc, class Params>
std::vector<Heavy<Params>> heavy_tensors(const Desc&, const Params&) {
  return {};
}

/// The calls that take turns: one problem, its heavy tensors in as many copies as it takes to leave the caches, as a model's layers do.
template <class Op>
class BenchCalls {
 public:
  BenchCalls(const Case<Op>& c, BenchSite& site, int64_t target) : case_(c), site_(site), problem_(c, {.guard = Guard::slack, .wild = false}) {
    constexpr int64_t kMostCopies = 64;
    const auto heavy = heavy_tensors(c.desc, problem_.params);
    int64_t bytes = 0;
    for (const auto& h : heavy) bytes += h.bytes;
    typename Op::Params there = problem_.params;
    if constexpr (requires { there.past_stands; }) there.past_stands = false;  // else a launch would read in the time of the one before
    if (site.on_gpu()) {
      twin_ = std::make_unique<DeviceTwin>(site.device(), problem_.memory);
      twin_->upload();
      DeviceTwin* const twins[] = {twin_.get()};
      for_each_pointer(there, [&]<class T>(T*& p) { p = static_cast<T*>(const_cast<void*>(find_in(twins, p))); });
    }
    const int64_t copies = bytes == 0 ? 1 : std::clamp<int64_t>((target + bytes - 1) / bytes, 1, kMostCopies);
    for (int64_t i = 0; i < copies; ++i) {
      params_.push_back(there);
      for (const auto& h : heavy) {
        const void** pointer = h.pointer(params_.back());
        memory_.push_back(site.copy_of(*pointer, h.bytes));
        *pointer = memory_.back().data();
      }
    }
  }

  const typename Op::Params& params() const { return problem_.params; }

  LaunchTimes time(const Kernel<Op>& kernel, const Rounds& rounds) {
    Limits limits = problem_.limits();
    limits.threads = site_.workers();
    const auto bytes = static_cast<size_t>(kernel.workspace ? std::max<int64_t>(kernel.workspace(case_.desc, limits), 1) : 1);
    const Buffer scratch = site_.on_gpu() ? site_.device().device().allocate(bytes, "workspace") : Buffer(bytes, "workspace");
    ExecContext ctx;
    ctx.workspace = {scratch.data(), scratch.bytes()};
    return site_.time(ctx, kernel.info, static_cast<int64_t>(params_.size()), rounds,
                      [&](int64_t i) { kernel.launch(ctx, case_.desc, params_[static_cast<size_t>(i) % params_.size()]); });
  }

 private:
  Case<Op> case_;
  BenchSite& site_;
  Problem<Op> problem_;
  std::unique_ptr<DeviceTwin> twin_;
  std::vector<typename Op::Params> params_;
  std::vector<Buffer> memory_;
};

}  // namespace attune
