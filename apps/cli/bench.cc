// attune bench: kernels, or a whole model, timed on this machine.
#include "attune/bench.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "commands.h"
#include "engine_flags.h"
#include "json_lines.h"
#include "terminal.h"

namespace attune::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

int64_t positive(const Arguments& args, std::string_view flag, int64_t fallback) {
  const int64_t x = args.integer(flag, fallback);
  if (x < 1 || x > 1 << 30) fail(ErrorCode::invalid_argument, args.source(flag), "a positive integer", std::to_string(x));
  return x;
}

struct Mean {
  std::vector<double> samples;
  double mean() const {
    double sum = 0;
    for (const double x : samples) sum += x;
    return samples.empty() ? 0 : sum / static_cast<double>(samples.size());
  }
  double deviation() const {
    double sum = 0;
    for (const double x : samples) sum += (x - mean()) * (x - mean());
    return samples.size() < 2 ? 0 : std::sqrt(sum / static_cast<double>(samples.size() - 1));
  }
};

/// Prefill and decode of a batch of equal prompts.
class GenerateBench {
 public:
  explicit GenerateBench(const Arguments& args)
      : args_(args),
        batch_(positive(args, "--batch-size", 1)),
        input_(positive(args, "--input-len", 512)),
        output_(positive(args, "--output-len", 128)),
        engine_(open_engine(options())) {}

  int run() {
    const int runs = static_cast<int>(positive(args_, "--num-iters", 3));
    measure(std::min<int64_t>(input_, 64), std::min<int64_t>(output_, 4));  // pages in, wakes the threads
    prefill_ = {}, decode_ = {}, first_ms_ = {};
    before_ = read_bandwidth(engine_.model().threads);
    for (int i = 0; i < runs; ++i) measure(input_, output_);
    after_ = read_bandwidth(engine_.model().threads);
    if (args_.has("--json"))
      write_out(json_line(result()));
    else
      write_table();
    return 0;
  }

 private:
  EngineOptions options() const {
    EngineOptions o = engine_options(args_, false);
    o.tokenizer = false;
    o.enable_prefix_caching = false;
    if (!args_.has("--max-num-seqs")) o.max_num_seqs = batch_;
    if (!args_.has("--max-model-len")) o.max_model_len = input_ + output_;
    return o;
  }

  void measure(int64_t input, int64_t output) {
    int64_t waiting = batch_, tokens = 0;
    for (int64_t b = 0; b < batch_; ++b) {
      Request r;
      for (int64_t i = 0; i < input; ++i)
        r.token_ids.push_back(static_cast<int32_t>((7919 * (i + 1) + 104729 * (b + 1) + i * i * 31) % engine_.model().vocab_size));
      r.sampling.temperature = 0, r.sampling.ignore_eos = true, r.sampling.max_tokens = output;
      r.on_event = [&](const RequestEvent& e) {
        if (e.completion->finish_reason == FinishReason::error) error_ = e.completion->error;
        ++tokens;
        if (e.completion->token_ids.size() == 1) --waiting;
      };
      engine_.submit(std::move(r));
    }
    const auto start = Clock::now();
    while (waiting > 0 && engine_.step()) {
    }
    const double prefill = seconds_since(start);
    const int64_t before = tokens;
    while (engine_.step()) {
    }
    if (!error_.empty()) fail(ErrorCode::internal, "bench", "tokens", error_);
    prefill_.samples.push_back(static_cast<double>(batch_ * input) / prefill);
    first_ms_.samples.push_back(1e3 * prefill);
    if (tokens > before) decode_.samples.push_back(static_cast<double>(tokens - before) / (seconds_since(start) - prefill));
  }

  /// Bytes that one decoded token reads, in the middle of the output: its share of the weights, and its keys and values.
  double bytes_per_token() const {
    const ModelInfo& m = engine_.model();
    return static_cast<double>(m.weight_bytes_per_token) / static_cast<double>(batch_) +
           static_cast<double>(m.kv_bytes_per_token) * static_cast<double>(input_ + output_ / 2);
  }

  /// Multiplications and additions of the matrices; attention's own are left out.
  double flops_per_token() const {
    const ModelInfo& m = engine_.model();
    return 2.0 * static_cast<double>(m.parameters) * static_cast<double>(m.weight_bytes_per_token) /
           static_cast<double>(std::max<int64_t>(m.weight_bytes, 1));
  }

  double read_share() const { return decode_.mean() * bytes_per_token() / 1e9 / ((before_ + after_) / 2); }

  Json result() const {
    const ModelInfo& m = engine_.model();
    Json j{{"model", m.path},
           {"architecture", m.architecture},
           {"parameters", m.parameters},
           {"weight_bytes", m.weight_bytes},
           {"dtype", m.dtype},
           {"kv_cache_dtype", m.kv_cache_dtype},
           {"device", m.device},
           {"threads", m.threads},
           {"batch_size", batch_},
           {"input_len", input_},
           {"output_len", output_},
           {"prefill_tokens_per_s", prefill_.mean()},
           {"prefill_tokens_per_s_std", prefill_.deviation()},
           {"first_token_ms", first_ms_.mean()}};
    j["decode_tokens_per_s"] = decode_.samples.empty() ? Json(nullptr) : Json(decode_.mean());
    j["decode_tokens_per_s_std"] = decode_.samples.empty() ? Json(nullptr) : Json(decode_.deviation());
    j["samples"] = {{"prefill_tokens_per_s", prefill_.samples}, {"decode_tokens_per_s", decode_.samples}};
    j["bytes_per_token"] = bytes_per_token(), j["matmul_flops_per_token"] = flops_per_token();
    j["prefill_gflop_per_s"] = prefill_.mean() * flops_per_token() / 1e9;
    j["decode_gb_per_s"] = decode_.mean() * bytes_per_token() / 1e9;
    j["read_gb_per_s"] = {{"before", before_}, {"after", after_}};
    j["decode_share_of_read"] = read_share();
    j["kernels"] = engine_.kernels_line(), j["fingerprint"] = m.fingerprint;
    j["load_seconds"] = engine_.stats().load_seconds;
    return j;
  }

  void write_table() const {
    const ModelInfo& m = engine_.model();
    const auto row = [&](const std::string& test, const Mean& rate) {
      write_out(fmt::format("| {} | {:.2f} MiB | {:.2f} M | {} | {} | {} | {:>18} | {:>18} |\n", m.architecture,
                            static_cast<double>(m.weight_bytes) / (1 << 20), static_cast<double>(m.parameters) / 1e6, m.device, m.threads, batch_,
                            test, fmt::format("{:.2f} ± {:.2f}", rate.mean(), rate.deviation())));
    };
    write_out(
        fmt::format("| model | size | params | device | threads | batch | {:>18} | {:>18} |\n| ----- | ---: | -----: | ------ | ------: | ----: | "
                    "-----------------: | -----------------: |\n",
                    "test", "t/s"));
    row(fmt::format("pp{}", input_), prefill_);
    if (!decode_.samples.empty()) row(fmt::format("tg{} @ d{}", output_, input_), decode_);
    write_out(
        fmt::format("\na decoded token reads {:.2f} MB and takes {:.3f} GFLOP; this machine reads {:.1f} GB/s before and {:.1f} after: decode stands "
                    "at {:.0f} % of that\n",
                    bytes_per_token() / 1e6, flops_per_token() / 1e9, before_, after_, 100 * read_share()));
    write_out("kernels: " + engine_.kernels_line() + "\n");
  }

  const Arguments& args_;
  int64_t batch_, input_, output_;
  Engine engine_;
  Mean prefill_, decode_, first_ms_;
  double before_ = 0, after_ = 0;
  std::string error_;
};

void write_kernels(const Json& j) {
  write_out(fmt::format("{} {}\n{}; {:.2f} MB and {:.3f} GFLOP a launch; {} threads; read {:.1f} GB/s before, {:.1f} after\n",
                        j["op"].get<std::string>(), j["desc"].get<std::string>(), j["call"].get<std::string>(), j["bytes"].get<double>() / 1e6,
                        j["flops"].get<double>() / 1e9, j["threads"].get<int>(), j["read_gb_per_s"]["before"].get<double>(),
                        j["read_gb_per_s"]["after"].get<double>()));
  write_out(fmt::format("  {:<32} {:>12} {:>10} {:>10} {:>8} {:>8}\n", "kernel", "median us", "GB/s", "GFLOP/s", "of read", "speed"));
  for (const Json& k : j["kernels"])
    write_out(fmt::format("  {:<32} {:>12.1f} {:>10.2f} {:>10.2f} {:>6.0f} % {:>7.2f}x\n", k["kernel"].get<std::string>(),
                          k["median_us"].get<double>(), k["gb_per_s"].get<double>(), k["gflop_per_s"].get<double>(),
                          100 * k["share_of_read"].get<double>(), k["speedup"].get<double>()));
  write_out(fmt::format("  speed is relative to {}\n\n", j["baseline"].get<std::string>()));
}

int bench_kernels(const Arguments& args, const std::string& op) {
  BenchQuery q;
  q.op = op;
  q.desc = args.text("--desc");
  q.batch = positive(args, "--batch-size", q.batch);
  q.context = positive(args, "--input-len", q.context);
  q.q_len = positive(args, "--q-len", q.q_len);
  q.iterations = static_cast<int>(positive(args, "--num-iters", q.iterations));
  q.threads = static_cast<int>(args.integer("--threads", 0));
  q.cold = !args.has("--warm-cache");
  std::vector<int64_t> rows = args.integers("--rows");
  if (rows.empty()) rows = {1};
  for (const int64_t r : rows) {
    q.rows = r;
    const std::string json = bench_json(q);
    if (args.has("--json"))
      write_out(json + "\n");
    else
      write_kernels(Json::parse(json));
  }
  return 0;
}

}  // namespace

int run_bench(const Arguments& args) {
  const std::string what = args.positionals().empty() ? "" : args.positionals()[0];
  if (args.positionals().size() > 1)
    fail(ErrorCode::invalid_argument, "bench", "one of attention, matmul and generate", args.positionals()[1] + " after " + what);
  if (what == "generate") return GenerateBench(args).run();
  if (what == "attention" || what == "matmul") return bench_kernels(args, what);
  fail(ErrorCode::invalid_argument, "bench", "attention, matmul or generate", what.empty() ? "nothing" : what);
}

}  // namespace attune::cli
