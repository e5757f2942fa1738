// Times the anchors of attention: calls of fixed shapes over large caches, which the harness's problems would take minutes to fill.
#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "attune/bench.h"
#include "attune/options.h"
#include "core/error.h"
#include "core/rng.h"
#include "engine/bench_site.h"
#include "proof/attention_anchors.h"
#include "proof/planted.h"
#include "proof/tree_mask.h"
#include "select/select.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

/// A million normal values of a dtype.
std::vector<uint8_t> noise_of(DType t, uint64_t seed) {
  constexpr int64_t kElements = 1 << 20;
  Rng random(seed);
  const auto normal = [&] {  // Box and Muller
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform01()));
    return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random.uniform01()));
  };
  std::vector<uint8_t> out(static_cast<size_t>(kElements) * size_of(t));
  for (int64_t i = 0; i < kElements; ++i) store_from_float(out.data(), t, i, normal());
  return out;
}

/// Pages in a random order, table after table.
std::vector<int32_t> permuted_tables(const Case<Attention>& c, int64_t max_blocks, int64_t& blocks) {
  const auto blocks_of = [&](int64_t tokens) { return (tokens + c.desc.block_size - 1) / c.desc.block_size; };
  blocks = std::accumulate(c.kv_lens.begin(), c.kv_lens.end(), int64_t{0}, [&](int64_t sum, int64_t n) { return sum + blocks_of(n); });
  std::vector<int32_t> order(static_cast<size_t>(blocks)), tables(c.kv_lens.size() * static_cast<size_t>(max_blocks), -1);
  std::iota(order.begin(), order.end(), 0);
  Rng random(3);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  size_t next = 0;
  for (size_t s = 0; s < c.kv_lens.size(); ++s)
    for (int64_t b = 0; b < blocks_of(c.kv_lens[s]); ++b) tables[s * static_cast<size_t>(max_blocks) + static_cast<size_t>(b)] = order[next++];
  return tables;
}

std::vector<uint32_t> drawn_trees(const std::vector<int32_t>& q_start, int64_t words) {
  Rng random(5);
  std::vector<uint32_t> bits(static_cast<size_t>(q_start.back() * words));
  fill_trees(
      q_start, words, [&](int64_t n) { return random.below(n); }, bits.data());
  return bits;
}

/// One anchor's tensors where kernels run, its cache in as many copies as leave the processor's caches.
class AnchorCall {
 public:
  AnchorCall(const Case<Attention>& c, BenchSite& site, bool cold) : case_(c), site_(site) {
    const AttentionDesc& d = c.desc;
    std::vector<int32_t> starts{0}, lens(c.kv_lens.begin(), c.kv_lens.end());
    for (const int64_t n : c.q_lens) starts.push_back(starts.back() + static_cast<int32_t>(n));
    p_.num_seqs = static_cast<int64_t>(lens.size()), p_.total_q = starts.back();
    p_.scale = 1 / std::sqrt(static_cast<float>(d.head_dim));
    p_.longest_q = *std::max_element(c.q_lens.begin(), c.q_lens.end()), p_.longest_kv = *std::max_element(c.kv_lens.begin(), c.kv_lens.end());
    p_.max_blocks = (p_.longest_kv + d.block_size - 1) / d.block_size;
    p_.block_table = place(permuted_tables(c, p_.max_blocks, p_.num_blocks));
    p_.q_start = place(starts), p_.kv_lens = place(lens);
    const int64_t heads = d.num_q_heads(), slots = p_.num_blocks * d.num_kv_heads * d.block_size, rows = p_.total_q * heads * d.head_dim;
    p_.q_stride = p_.out_stride = heads * d.head_dim;
    p_.q = fill(noise_of(d.q_dtype, 7), bytes_of(d.q_dtype, rows)), p_.out = const_cast<void*>(fill({0}, bytes_of(d.out_dtype, rows)));
    p_.k_scale = p_.v_scale = place(std::vector<float>(d.kv_scale == Scales::token_head ? static_cast<size_t>(slots) : 1, 0.7f));
    if (d.mask == Mask::tree) p_.tree_words = (p_.longest_q + 31) / 32, p_.tree = place(drawn_trees(starts, p_.tree_words));
    p_.sinks = p_.alibi_slopes = place(std::vector<float>(static_cast<size_t>(heads), 0.3f));
    bytes_ = bytes_of(d.kv_dtype, slots * d.head_dim);
    copies_ = cold ? std::clamp<int64_t>((out_of_cache(site.props()) + 2 * bytes_ - 1) / (2 * bytes_), 1, 64) : 1;
    p_.k = fill(noise_of(d.kv_dtype, 8), bytes_ * copies_), p_.v = fill(noise_of(d.kv_dtype, 9), bytes_ * copies_);
  }

  LaunchTimes time(const AttentionKernel& kernel, int iterations) {
    const Limits limits{.tokens = p_.total_q, .sequences = p_.num_seqs, .longest_kv = p_.longest_kv, .threads = site_.workers()};
    const Buffer scratch = site_.filled({0}, kernel.workspace ? std::max<int64_t>(kernel.workspace(case_.desc, limits), 1) : 1);
    ExecContext ctx;
    ctx.workspace = {scratch.data(), scratch.bytes()};
    return site_.time(ctx, kernel.info, copies_, {iterations}, [&](int64_t i) {
      AttentionParams p = p_;
      const int64_t at = i % copies_ * bytes_;
      p.k = static_cast<const char*>(p_.k) + at, p.v = static_cast<const char*>(p_.v) + at;
      kernel.launch(ctx, case_.desc, p);
    });
  }

 private:
  static int64_t bytes_of(DType t, int64_t elements) { return elements * static_cast<int64_t>(size_of(t)); }
  const void* fill(const std::vector<uint8_t>& pattern, int64_t bytes) { return memory_.emplace_back(site_.filled(pattern, bytes)).data(); }
  template <class T>
  const T* place(const std::vector<T>& host) {
    return memory_.emplace_back(site_.copy_of(host.data(), static_cast<int64_t>(host.size() * sizeof(T)))).template as<T>();
  }

  const Case<Attention>& case_;
  BenchSite& site_;
  std::vector<Buffer> memory_;
  AttentionParams p_;
  int64_t bytes_ = 0, copies_ = 1;
};

/// The kernels to time: those that were asked for; else the specialized ones, or the first where there is none.
std::vector<const KernelInfo*> kernels_of(const Selection& s, const std::vector<std::string>& globs) {
  std::vector<const KernelInfo*> out;
  for (const Eligible& e : s.eligible) {
    const auto matches = [&](const std::string& g) { return glob_matches(g, e.kernel->name); };
    if (globs.empty() ? e.kernel->tier == Tier::specialized : std::any_of(globs.begin(), globs.end(), matches)) out.push_back(e.kernel);
  }
  if (out.empty() && globs.empty() && s.chosen && s.chosen->tier != Tier::reference) out.push_back(s.chosen);
  return out;
}

Json goal_json(const AttentionAnchor& a) {
  if (a.goal_us > 0) return {{"us", a.goal_us}};
  if (a.goal_tflop > 0) return {{"tflop_per_s", a.goal_tflop}};
  return a.goal_of_plain > 0 ? Json{{"share_of_plain", a.goal_of_plain}} : Json(nullptr);
}

/// True, false, or null where nothing is aimed at or the plain row was not timed.
Json met(const AttentionAnchor& a, const Json& row) {
  if (a.goal_us > 0) return row["median_us"].get<double>() <= a.goal_us;
  if (a.goal_tflop > 0) return row["tflop_per_s"].get<double>() >= a.goal_tflop;
  if (a.goal_of_plain > 0 && row["share_of_plain"].is_number()) return row["share_of_plain"].get<double>() >= a.goal_of_plain;
  return nullptr;
}

Json peer_json(const AttentionAnchor& a) {
  if (a.peer.empty()) return nullptr;
  Json j{{"name", a.peer}};
  if (a.peer_us > 0) j["us"] = a.peer_us;
  if (a.peer_tflop > 0) j["tflop_per_s"] = a.peer_tflop;
  return j;
}

}  // namespace

void bench_anchors(const AnchorQuery& q, const std::function<void(const std::string& json)>& on_row) {
  if (q.iterations < 1) invalid("--num-iters", "a positive integer", std::to_string(q.iterations));
  check_plant(q.plant);
  BenchSite site(find_present_device(q.device), q.threads);
  std::map<std::pair<std::string, std::string>, double> rates;  // row, kernel -> GB/s
  bool found = false;
  for (const AttentionAnchor& a : attention_anchors(site.props().kind)) {
    if (a.name.find(q.row) == std::string::npos) continue;
    found = true;
    const AttentionDesc& d = a.call.desc;
    const Bucket bucket{a.call.desc.phase == Phase::prefill ? 1 : static_cast<int64_t>(a.call.kv_lens.size()), a.call.kv_lens[0], 1};
    const Selection s = select<Attention>(kernels_with<Attention>(q.plant), site.props(), d, "", bucket, {}, {});
    const auto kernels = kernels_of(s, q.kernels);
    if (kernels.empty()) continue;
    AnchorCall call(a.call, site, q.cold);
    const AttentionWork work = work_of_attention(a.call);
    for (const KernelInfo* kernel : kernels) {
      const LaunchTimes times = call.time(*find_kernel<Attention>(kernel), q.iterations);
      const double us = times.median_us(), rate = work.kv_bytes / us / 1e3;
      rates[{a.name, std::string(kernel->name)}] = rate;
      const auto plain = rates.find({a.plain, std::string(kernel->name)});
      Json j{{"row", a.name},
             {"kernel", kernel->name},
             {"desc", s.desc},
             {"median_us", us},
             {"spread", times.spread()},
             {"samples", times.us.size()},
             {"gb_per_s", rate},
             {"tflop_per_s", work.flops / us / 1e6},
             {"share_of_plain", plain != rates.end() ? Json(rate / plain->second) : Json(nullptr)},
             {"goal", goal_json(a)}};
      j["met"] = met(a, j);
      j["peer"] = peer_json(a);
      j["device"] = site.props().model, j["threads"] = site.pool().size(), j["cold"] = q.cold, j["graph"] = times.graph;
      on_row(j.dump());
    }
  }
  if (!found) invalid("--row", "part of the name of an anchor", printable(q.row));
}

}  // namespace attune
