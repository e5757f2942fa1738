// Times the eligible kernels of an op side by side, on the CPU or on a GPU, against the ceilings of the machine.
#include "attune/bench.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <numeric>

#include "attune/options.h"
#include "core/log.h"
#include "engine/bench_site.h"
#include "engine/explain.h"
#include "proof/planted.h"
#include "proof/probe.h"
#include "select/desc_text.h"
#include "select/select.h"
#include "tune/tuning_table.h"

namespace attune {
namespace {

using Json = nlohmann::ordered_json;

/// Work of one launch: bytes that must be moved at least, and multiplications and additions.
struct Work {
  double bytes = 0, flops = 0;
};

Work work_of(const Case<Matmul>& c) {
  const MatmulDesc& d = c.desc;
  const auto n = static_cast<double>(d.n), k = static_cast<double>(d.k), m = static_cast<double>(c.rows);
  const double read = d.gated ? 2 * n : n;  // rows of weights
  return {read * k * static_cast<double>(size_of(d.w_dtype)) + m * k * static_cast<double>(size_of(d.x_dtype)) +
              m * n * static_cast<double>(size_of(d.out_dtype)),
          2 * m * read * k};
}

Work work_of(const Case<Attention>& c) {
  const AttentionDesc& d = c.desc;
  const AttentionWork work = work_of_attention(c);
  const auto rows = static_cast<double>(std::accumulate(c.q_lens.begin(), c.q_lens.end(), int64_t{0}));
  return {work.kv_bytes + rows * static_cast<double>(d.num_q_heads() * d.head_dim) * static_cast<double>(size_of(d.q_dtype) + size_of(d.out_dtype)),
          work.flops};
}

double bytes_of(DType t, int64_t elements) { return static_cast<double>(size_of(t)) * static_cast<double>(elements); }

// The other ops move bytes: what a call reads and writes.
Work work_of(const NormDesc& d, const NormParams& p) {
  const int64_t elements = p.groups * p.rows * d.hidden;
  return {bytes_of(d.x_dtype, elements) + bytes_of(d.out_dtype, elements) + (d.residual ? bytes_of(DType::f32, elements) : 0) +
          bytes_of(d.w_dtype, d.hidden)};
}
Work work_of(const RopeDesc& d, const RopeParams& p) {
  const int64_t elements = p.tokens * p.heads * d.head_dim;
  return {bytes_of(d.x_dtype, elements) + bytes_of(d.out_dtype, elements)};
}
Work work_of(const KvWriteDesc& d, const KvWriteParams& p) {
  const int64_t elements = 2 * p.tokens * d.num_kv_heads * d.head_dim;
  return {bytes_of(d.x_dtype, elements) + bytes_of(d.kv_dtype, elements)};
}
Work work_of(const RopeKvWriteDesc& d, const RopeKvWriteParams& p) {
  const int64_t q = p.tokens * d.num_q_heads() * d.head_dim, kv = 2 * p.tokens * d.num_kv_heads * d.head_dim;
  return {bytes_of(d.x_dtype, q + kv) + bytes_of(d.out_dtype, q) + bytes_of(d.kv_dtype, kv)};
}
Work work_of(const ActivationDesc& d, const ActivationParams& p) {
  const int64_t elements = p.rows * p.width;
  return {bytes_of(d.x_dtype, d.gated ? 2 * elements : elements) + bytes_of(d.out_dtype, elements)};
}
Work work_of(const EmbedDesc& d, const EmbedParams& p) {
  return {bytes_of(d.w_dtype, p.tokens * d.hidden) + bytes_of(d.out_dtype, p.tokens * d.hidden)};
}
Work work_of(const SampleDesc& d, const SampleParams& p) { return {bytes_of(DType::f32, p.rows * d.vocab)}; }

/// Ops whose work their lengths tell.
template <class Op>
inline constexpr bool kMultiplies = std::is_same_v<Op, Matmul> || std::is_same_v<Op, Attention>;

/// GFLOP/s of the fastest matmul kernel on a problem that the caches hold: what this machine multiplies at. 0 if no kernel takes these types.
double multiply_rate(BenchSite& site, DType dtype) {
  const int64_t size = site.on_gpu() ? 4096 : 512;
  Case<Matmul> c{.desc = {.x_dtype = dtype, .w_dtype = dtype, .n = size, .k = size, .rows = size}, .rows = size};
  double best = 0;
  const Selection s = select<Matmul>(catalogue().kernels<Matmul>(), site.props(), c.desc, "", {}, {}, {});
  if (s.eligible.empty() || s.eligible.front().kernel->tier == Tier::reference) return 0;
  BenchCalls<Matmul> calls(c, site, 0);
  for (const auto& e : s.eligible)
    if (e.kernel->tier != Tier::reference)
      best = std::max(best, work_of(c).flops / calls.time(*find_kernel<Matmul>(e.kernel), {5}).median_us() / 1e3);
  return best;
}

/// What the machine can do at most.
struct Ceilings {
  double before = 0, after = 0;  ///< GB/s, around the measurement
  double gflop = 0;              ///< GFLOP/s; 0: unknown

  double bandwidth() const { return (before + after) / 2; }
  /// The least time of a launch in µs.
  double us(const Work& w) const { return std::max(w.bytes / bandwidth() / 1e3, gflop > 0 ? w.flops / gflop / 1e3 : 0); }
};

struct Timed {
  const KernelInfo* kernel;
  LaunchTimes times;
};

Json kernel_json(const Timed& t, const std::vector<Timed>& all, double base, const Work& work, const Ceilings& ceilings) {
  const double us = t.times.median_us();
  Json j{{"kernel", t.kernel->name},
         {"tier", to_text(t.kernel->tier)},
         {"reduction", t.kernel->reduction},
         {"median_us", us},
         {"min_us", *std::min_element(t.times.us.begin(), t.times.us.end())},
         {"spread", t.times.spread()},
         {"samples", t.times.us.size()},
         {"graph", t.times.graph},
         {"gb_per_s", work.bytes / us / 1e3},
         {"gflop_per_s", work.flops / us / 1e3},
         {"speedup", base / us},
         {"ratios", Json::object()}};
  if (ceilings.after > 0) {
    j["share_of_read"] = work.bytes / us / 1e3 / ceilings.bandwidth();
    j["share_of_ceiling"] = ceilings.us(work) / us;
  }
  for (const Timed& other : all)
    if (other.kernel != t.kernel) j["ratios"][std::string(other.kernel->name)] = other.times.median_us() / us;
  return j;
}

/// Adds the times to the table in the file.
void save(const BenchQuery& q, const BenchSite& site, int threads, const Selection& s, const std::vector<Timed>& all) {
  std::string complaint;
  TuningTable table = read_tuning_table(q.save, &complaint);
  if (!complaint.empty()) log_warning("{}: written anew: {}", q.save, complaint);
  for (const Timed& t : all)
    if (t.kernel->tier != Tier::reference)
      table.add(tuning_device(site.props(), threads), s.op, s.desc, s.bucket, std::string(t.kernel->name),
                {.version = t.kernel->version,
                 .median_us = t.times.median_us(),
                 .spread = t.times.spread(),
                 .samples = static_cast<int64_t>(t.times.us.size()),
                 .time = static_cast<int64_t>(std::time(nullptr))});
  write_tuning_table(q.save, table);
}

bool asked(const BenchQuery& q, std::string_view kernel) {
  return q.kernels.empty() || std::any_of(q.kernels.begin(), q.kernels.end(), [&](const std::string& g) { return glob_matches(g, kernel); });
}

int64_t power_of_two(int64_t n) {
  int64_t p = 1;
  while (p < n) p *= 2;
  return p;
}

/// From where on a kernel cannot be chosen, however its times vary; 0: nothing is timed yet.
double hopeless_us(const std::vector<Timed>& so_far) {
  constexpr double kTimes = 20;
  double least = 0;
  for (const Timed& t : so_far)
    if (const double us = t.times.median_us(); least == 0 || us < least) least = us;
  return kTimes * least;
}

template <class Op>
std::string bench(const BenchQuery& q, const Case<Op>& c, const std::string& call) {
  BenchSite site(find_present_device(q.device), q.threads);
  check_plant(q.plant);
  const auto kernels = kernels_with<Op>(q.plant);
  Bucket bucket{1, 1, 1};
  if constexpr (std::is_same_v<Op, Matmul>) bucket = {1, 1, c.desc.rows};
  if constexpr (std::is_same_v<Op, Attention>)
    bucket = {power_of_two(static_cast<int64_t>(c.q_lens.size())), power_of_two(*std::max_element(c.kv_lens.begin(), c.kv_lens.end())), 1};
  const Selection s = select<Op>(kernels, site.props(), c.desc, "", bucket, {}, {});
  if (s.eligible.empty()) fail(ErrorCode::not_supported, q.op, "a kernel for " + s.desc, "none is eligible:" + refusals_text(s));
  BenchCalls<Op> calls(c, site, q.cold ? out_of_cache(site.props()) : 0);
  Work work;
  if constexpr (kMultiplies<Op>)
    work = work_of(c);
  else
    work = work_of(c.desc, calls.params());
  Json j{{"op", q.op},     {"desc", s.desc},      {"call", call},        {"device", site.props().model}, {"threads", site.pool().size()},
         {"cold", q.cold}, {"bytes", work.bytes}, {"flops", work.flops}, {"bucket", to_text(bucket)}};
  DType multiplied = DType::bf16;
  if constexpr (std::is_same_v<Op, Matmul>)
    multiplied = c.desc.w_dtype;
  else if constexpr (std::is_same_v<Op, Attention>)
    multiplied = c.desc.q_dtype == c.desc.kv_dtype ? c.desc.q_dtype : multiplied;
  Ceilings ceilings;
  if (q.ceilings) ceilings = {.before = site.bandwidth(), .gflop = kMultiplies<Op> ? multiply_rate(site, multiplied) : 0};
  std::vector<Timed> all;
  j["refused"] = Json::object();
  for (const auto& e : s.eligible) {
    if (!asked(q, e.kernel->name) || (!q.ceilings && e.kernel->tier == Tier::reference)) continue;
    const Kernel<Op>& kernel = *find_kernel<Op>(e.kernel);
    // What is remembered decides later: a wrong kernel must not be among it, however fast.
    const ProbeResult probed = q.save.empty() ? ProbeResult{.passed = true} : probe<Op>(kernel, c.desc, site.on_gpu() ? &site.device() : nullptr);
    if (probed.passed)
      all.push_back({e.kernel, calls.time(kernel, {q.iterations, q.save.empty() ? 0 : hopeless_us(all)})});
    else
      j["refused"][std::string(e.kernel->name)] = "failed its probe: " + probed.text;
  }
  if (q.ceilings) {
    ceilings.after = site.bandwidth();
    j["read_gb_per_s"] = {{"before", ceilings.before}, {"after", ceilings.after}};
    j["ceiling"] = {{"bandwidth", site.on_gpu() ? "copy" : "read"}, {"gflop_per_s", ceilings.gflop}, {"us", ceilings.us(work)}};
  }
  const Timed* plainest = all.empty() ? nullptr : &all.back();
  for (const Timed& t : all)
    if (t.kernel->tier != Tier::reference) plainest = &t;
  j["baseline"] = plainest ? Json(plainest->kernel->name) : Json(nullptr);
  j["kernels"] = Json::array();
  for (const Timed& t : all) j["kernels"].push_back(kernel_json(t, all, plainest->times.median_us(), work, ceilings));
  if (!q.save.empty()) save(q, site, site.pool().size(), s, all), j["saved"] = q.save;
  return j.dump();
}

bool names(const std::string& desc, const std::string& key) { return (" " + desc).find(" " + key + "=") != std::string::npos; }

constexpr int64_t kMostRows = 65536;

/// The rows that case text names, which are to be timed.
void check_rows(const char* key, int64_t rows) {
  if (rows < 1 || rows > kMostRows) invalid(key, fmt::format("1 to {} rows of a call that is timed", kMostRows), std::to_string(rows));
}

/// What is timed is copied until it leaves the caches: a sparse pool cannot be.
template <class Op>
void check_pool(const Case<Op>& c) {
  if constexpr (kHasPool<Op>) {
    constexpr int64_t kMostBytes = int64_t{1} << 31;
    if (pool_bytes(c) > kMostBytes)
      invalid("pool", fmt::format("blocks of at most {} bytes in a call that is timed, whose pool is copied", kMostBytes),
              fmt::format("{} blocks, {} bytes", c.pool, pool_bytes(c)));
  }
}

template <class Op>
std::string bench_rows(const BenchQuery& q) {
  Case<Op> c = parse_case<Op>(q.desc);
  if (!names(q.desc, "rows")) c.rows = std::max<int64_t>(q.rows, 1);
  check_rows("rows", c.rows);
  check_pool(c);
  return bench(q, c, fmt::format("{} rows, in the caches", c.rows));
}

void check_timeable(const Case<Attention>& c) {
  if (*std::max_element(c.q_lens.begin(), c.q_lens.end()) == 0) invalid("q_lens", "a query token, for the call to be timed", "none");
  check_pool(c);
}

std::string bench_attention(const BenchQuery& q) {
  Case<Attention> c = parse_case<Attention>(q.desc);
  const bool named = names(q.desc, "q_lens") || names(q.desc, "kv_lens");
  if (!named) {
    c.q_lens.assign(static_cast<size_t>(q.batch), q.q_len);
    c.kv_lens.assign(static_cast<size_t>(q.batch), q.context);
  }
  check_timeable(c);
  if (names(q.desc, "phase")) check_phase(c, "--q-len");
  if (!named && !names(q.desc, "phase")) c.desc.phase = q.q_len == 1 ? Phase::decode : q.q_len <= 32 ? Phase::verify : Phase::prefill;
  const std::string text = to_text(c);
  return bench(q, c, named ? text.substr(text.find("q_lens=")) : fmt::format("{} sequences, {} query tokens, {} keys", q.batch, q.q_len, q.context));
}

std::string bench_matmul(const BenchQuery& q) {
  Case<Matmul> c = parse_case<Matmul>(q.desc);
  const bool named = names(q.desc, "rows"), case_text = names(q.desc, "m");
  const int64_t rows = case_text ? c.rows : q.rows > 0 ? q.rows : named ? std::min<int64_t>(c.desc.rows, kMostRows) : 1;
  check_rows("m", rows);
  if (!named) c.desc.rows = rows;
  if (case_text && rows > c.desc.rows) invalid("m", fmt::format("at most the desc's rows, {}", c.desc.rows), std::to_string(rows));
  c.rows = std::min(rows, c.desc.rows);
  return bench(q, c, fmt::format("{} rows", c.rows));
}

}  // namespace

std::string bench_json(const BenchQuery& q) {
  if (q.batch < 1 || q.batch > 4096) invalid("--batch-size", "1 to 4096", std::to_string(q.batch));
  if (q.context < 1 || q.context > 1 << 20) invalid("--input-len", "1 to 1048576", std::to_string(q.context));
  if (q.q_len < 1 || q.q_len > q.context) invalid("--q-len", fmt::format("1 to {}, the keys", q.context), std::to_string(q.q_len));
  if (q.rows < 0 || q.rows > kMostRows) invalid("--rows", "1 to 65536", std::to_string(q.rows));
  if (q.iterations < 1) invalid("--num-iters", "a positive integer", std::to_string(q.iterations));
  if (q.threads < 0 || q.threads > 4096) invalid("--threads", "0 to 4096", std::to_string(q.threads));
  if (q.op == "attention") return bench_attention(q);
  if (q.op == "matmul") return bench_matmul(q);
  std::string out;
  for_each_op([&]<class Op>() {
    if constexpr (!kMultiplies<Op>)
      if (q.op == Op::kName) out = bench_rows<Op>(q);
  });
  if (out.empty()) invalid("op", "the name of an op", printable(q.op));
  return out;
}

std::vector<BenchQuery> bench_queries(const ExplainQuery& model) {
  std::vector<BenchQuery> out;
  for (const Selection& s : model_selections(model)) {
    if (s.op != "attention" && s.op != "matmul") continue;
    BenchQuery q{.op = s.op, .desc = s.desc, .threads = model.threads, .device = model.device, .plant = model.plant};
    if (s.op == "attention") {
      const Phase phase = parse_desc<Attention>(s.desc).phase;
      q.batch = s.bucket.sequences, q.context = s.bucket.longest_kv;
      q.q_len = phase == Phase::decode ? 1 : std::min<int64_t>(phase == Phase::verify ? 8 : 512, q.context);
    } else {
      q.rows = s.bucket.rows;
    }
    const auto same = [&](const BenchQuery& o) { return o.op == q.op && o.desc == q.desc && o.batch == q.batch && o.context == q.context; };
    if (std::none_of(out.begin(), out.end(), same)) out.push_back(std::move(q));
  }
  return out;
}

std::string tuning_table_file() { return tuning_table_path(cache_folder()); }

double read_bandwidth(int threads, const std::string& device) { return BenchSite(find_present_device(device), threads).bandwidth(); }

}  // namespace attune
