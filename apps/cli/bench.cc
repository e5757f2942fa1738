// attune bench: kernels, or a whole model, timed on this machine.
#include "attune/bench.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <optional>

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

/// How results are written.
enum class Form : uint8_t { text, markdown, csv, json };

Form form_of(const Arguments& args) {
  Form form = Form::text;
  int asked = 0;
  for (const auto& [flag, f] : {std::pair{"--markdown", Form::markdown}, std::pair{"--csv", Form::csv}, std::pair{"--json", Form::json}})
    if (args.has(flag)) form = f, ++asked;
  if (asked > 1) fail(ErrorCode::invalid_argument, "bench", "one of --markdown, --csv and --json", "more");
  return form;
}

/// A field of CSV: quoted where it must be.
std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

/// Prefill and decode of a batch of equal prompts.
class GenerateBench {
 public:
  explicit GenerateBench(const Arguments& args)
      : args_(args),
        batch_(positive(args, "--batch-size", 1)),
        input_(positive(args, "--input-len", 512)),
        output_(positive(args, "--output-len", 128)),
        any_order_(without_one_order()),
        engine_(open_engine(options())) {}

  int run() {
    const Form form = form_of(args_);
    warm_up(engine_);
    before_ = read_bandwidth(engine_.model().threads, engine_.model().device);
    rates_ = measure_all(engine_);
    after_ = read_bandwidth(engine_.model().threads, engine_.model().device);
    if (form == Form::json)
      write_out(json_line(result()));
    else if (form == Form::csv)
      write_rows();
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

  /// Tokens a second of each run, and what a first token takes.
  struct Rates {
    Mean prefill, decode, first_ms;
    Mean alone;  ///< decode behind one token: nothing but weights to read
  };

  /// With --invariant on a GPU: the same rows where each phase and batch size has its own kernels. Before the other engine, for both do not fit.
  std::optional<Rates> without_one_order() {
    EngineOptions o = options();
    if (!o.invariant || o.device == "cpu") return {};
    o.invariant = false;
    Engine engine = open_engine(o);
    warm_up(engine);
    return measure_all(engine);
  }

  /// Pages in, wakes the threads. A GPU loads each kernel when it is first launched, and other lengths have other kernels.
  void warm_up(Engine& engine) {
    Rates unused;
    const int64_t most = engine.model().device == "cpu" ? 64 : input_;
    measure(engine, std::min(input_, most), std::min<int64_t>(output_, 4), unused);
    measure_alone(engine, std::min<int64_t>(output_, 4), unused);
  }

  Rates measure_all(Engine& engine) {
    Rates rates;
    const int64_t runs = positive(args_, "--num-iters", 3);
    for (int64_t i = 0; i < runs; ++i) measure(engine, input_, output_, rates), measure_alone(engine, output_, rates);
    return rates;
  }

  /// Seconds until every sequence has its first token, and for those that follow.
  struct Times {
    double first, rest;
    int64_t tokens;  ///< that follow
  };

  void measure(Engine& engine, int64_t input, int64_t output, Rates& rates) {
    const Times t = time(engine, input, output);
    rates.prefill.samples.push_back(static_cast<double>(batch_ * input) / t.first);
    rates.first_ms.samples.push_back(1e3 * t.first);
    if (t.tokens > 0) rates.decode.samples.push_back(static_cast<double>(t.tokens) / t.rest);
  }

  /// As llama-bench's tg: one token is the prompt, and every step, that of the first token too, is one of decode.
  void measure_alone(Engine& engine, int64_t output, Rates& rates) {
    const Times t = time(engine, 1, output);
    rates.alone.samples.push_back(static_cast<double>(batch_ + t.tokens) / (t.first + t.rest));
  }

  Times time(Engine& engine, int64_t input, int64_t output) {
    int64_t waiting = batch_, tokens = 0;
    std::string error;
    for (int64_t b = 0; b < batch_; ++b) {
      Request r;
      for (int64_t i = 0; i < input; ++i)
        r.token_ids.push_back(static_cast<int32_t>((7919 * (i + 1) + 104729 * (b + 1) + i * i * 31) % engine.model().vocab_size));
      r.sampling.temperature = 0, r.sampling.ignore_eos = true, r.sampling.max_tokens = output;
      r.on_event = [&](const RequestEvent& e) {
        if (e.completion->finish_reason == FinishReason::error) error = e.completion->error;
        ++tokens;
        if (e.completion->token_ids.size() == 1) --waiting;
      };
      engine.submit(std::move(r));
    }
    const auto start = Clock::now();
    while (waiting > 0 && engine.step()) {
    }
    const double first = seconds_since(start);
    const int64_t before = tokens;
    while (engine.step()) {
    }
    if (!error.empty()) fail(ErrorCode::internal, "bench", "tokens", error);
    return {first, seconds_since(start) - first, tokens - before};
  }

  /// Bytes that one decoded token reads, in the middle of the output: its share of the weights, and its keys and values.
  double bytes_per_token() const {
    const ModelInfo& m = engine_.model();
    return static_cast<double>(m.weight_bytes_per_token) / static_cast<double>(batch_) +
           static_cast<double>(m.kv_bytes_per_token) * (static_cast<double>(input_) + static_cast<double>(output_) / 2);
  }

  /// Multiplications and additions of the matrices; attention's own are left out.
  double flops_per_token() const {
    const ModelInfo& m = engine_.model();
    return 2.0 * static_cast<double>(m.parameters) * static_cast<double>(m.weight_bytes_per_token) /
           static_cast<double>(std::max<int64_t>(m.weight_bytes, 1));
  }

  /// Decoded tokens a second that the measured bandwidth allows.
  double decode_limit() const { return (before_ + after_) / 2 * 1e9 / bytes_per_token(); }
  double read_share() const { return rates_.decode.mean() / decode_limit(); }

  /// The share of a rate that one order of arithmetic takes.
  static double cost(const Mean& with, const Mean& without) { return 1 - with.mean() / without.mean(); }

  Json invariant_json() const {
    if (!any_order_) return {{"prefill_cost", 0}, {"decode_cost", 0}, {"without", nullptr}};
    Json j{{"prefill_cost", cost(rates_.prefill, any_order_->prefill)}};
    j["decode_cost"] = rates_.decode.samples.empty() ? Json(nullptr) : Json(cost(rates_.decode, any_order_->decode));
    j["without"] = {{"prefill_tokens_per_s", any_order_->prefill.samples},
                    {"decode_tokens_per_s", any_order_->decode.samples},
                    {"decode_alone_tokens_per_s", any_order_->alone.samples}};
    return j;
  }

  std::string invariant_text() const {
    if (!any_order_) return "one order of arithmetic costs nothing: the CPU has no other\n";
    const auto part = [](const Mean& with, const Mean& without, const char* phase) {
      return fmt::format("{:.1f} % of {} ({:.2f} ± {:.2f} t/s without)", 100 * cost(with, without), phase, without.mean(), without.deviation());
    };
    const std::string decode = rates_.decode.samples.empty() ? "" : part(rates_.decode, any_order_->decode, "decode") + ", ";
    return "one order of arithmetic costs " + decode + part(rates_.prefill, any_order_->prefill, "prefill") + "\n";
  }

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
           {"prefill_tokens_per_s", rates_.prefill.mean()},
           {"prefill_tokens_per_s_std", rates_.prefill.deviation()},
           {"first_token_ms", rates_.first_ms.mean()}};
    j["decode_tokens_per_s"] = rates_.decode.samples.empty() ? Json(nullptr) : Json(rates_.decode.mean());
    j["decode_tokens_per_s_std"] = rates_.decode.samples.empty() ? Json(nullptr) : Json(rates_.decode.deviation());
    j["decode_alone_tokens_per_s"] = rates_.alone.mean(), j["decode_alone_tokens_per_s_std"] = rates_.alone.deviation();
    j["samples"] = {{"prefill_tokens_per_s", rates_.prefill.samples},
                    {"decode_tokens_per_s", rates_.decode.samples},
                    {"decode_alone_tokens_per_s", rates_.alone.samples}};
    j["bytes_per_token"] = bytes_per_token(), j["matmul_flops_per_token"] = flops_per_token();
    j["prefill_gflop_per_s"] = rates_.prefill.mean() * flops_per_token() / 1e9;
    j["decode_gb_per_s"] = rates_.decode.mean() * bytes_per_token() / 1e9;
    j["read_gb_per_s"] = {{"before", before_}, {"after", after_}};
    j["decode_limit_tokens_per_s"] = decode_limit(), j["decode_share_of_read"] = read_share();
    if (args_.has("--invariant")) j["invariant"] = invariant_json();
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
    row(fmt::format("pp{}", input_), rates_.prefill);
    row(fmt::format("tg{}", output_), rates_.alone);
    if (!rates_.decode.samples.empty()) row(fmt::format("tg{} @ d{}", output_, input_), rates_.decode);
    write_out(
        fmt::format("\na decoded token reads {:.2f} MB and takes {:.3f} GFLOP; this machine reads {:.1f} GB/s before and {:.1f} after, "
                    "which allows {:.2f} tokens/s: decode stands at {:.0f} % of that\n",
                    bytes_per_token() / 1e6, flops_per_token() / 1e9, before_, after_, decode_limit(), 100 * read_share()));
    if (args_.has("--invariant")) write_out(invariant_text());
    write_out("kernels: " + engine_.kernels_line() + "\n");
  }

  void write_rows() const {
    const ModelInfo& m = engine_.model();
    write_out("model,weight_bytes,parameters,device,threads,batch,test,tokens_per_s,deviation\n");
    const auto row = [&](const std::string& test, const Mean& rate) {
      write_out(fmt::format("{},{},{},{},{},{},{},{:.6g},{:.6g}\n", csv_field(m.architecture), m.weight_bytes, m.parameters, csv_field(m.device),
                            m.threads, batch_, test, rate.mean(), rate.deviation()));
    };
    row(fmt::format("pp{}", input_), rates_.prefill);
    row(fmt::format("tg{}", output_), rates_.alone);
    if (!rates_.decode.samples.empty()) row(fmt::format("tg{} @ d{}", output_, input_), rates_.decode);
    if (!any_order_) return;
    row(fmt::format("pp{} without --invariant", input_), any_order_->prefill);
    row(fmt::format("tg{} without --invariant", output_), any_order_->alone);
    if (!any_order_->decode.samples.empty()) row(fmt::format("tg{} @ d{} without --invariant", output_, input_), any_order_->decode);
  }

  const Arguments& args_;
  int64_t batch_, input_, output_;
  std::optional<Rates> any_order_;  ///< what --invariant is compared with
  Engine engine_;
  Rates rates_;
  double before_ = 0, after_ = 0;
};

double number(const Json& j, const char* name) { return j[name].get<double>(); }
std::string word(const Json& j, const char* name) { return j[name].get<std::string>(); }

std::string machine_line(const Json& j) {
  const Json& ceiling = j["ceiling"];
  std::string out = fmt::format("{}; {:.2f} MB and {:.3f} GFLOP a launch; {}, {} threads; {} {:.1f} GB/s before, {:.1f} after", word(j, "call"),
                                number(j, "bytes") / 1e6, number(j, "flops") / 1e9, word(j, "device"), j["threads"].get<int>(),
                                word(ceiling, "bandwidth"), number(j["read_gb_per_s"], "before"), number(j["read_gb_per_s"], "after"));
  if (number(ceiling, "gflop_per_s") > 0) out += fmt::format("; multiplies {:.1f} GFLOP/s", number(ceiling, "gflop_per_s"));
  return out + fmt::format("; ceiling {:.1f} us", number(ceiling, "us"));
}

void write_text(const Json& j) {
  write_out(fmt::format("{} {}\n{}\n", word(j, "op"), word(j, "desc"), machine_line(j)));
  write_out(
      fmt::format("  {:<32} {:>12} {:>8} {:>10} {:>10} {:>10} {:>8}\n", "kernel", "median us", "spread", "GB/s", "GFLOP/s", "of ceiling", "speed"));
  for (const Json& k : j["kernels"])
    write_out(fmt::format("  {:<32} {:>12.1f} {:>6.1f} % {:>10.2f} {:>10.2f} {:>8.0f} % {:>7.2f}x\n", word(k, "kernel"), number(k, "median_us"),
                          100 * number(k, "spread"), number(k, "gb_per_s"), number(k, "gflop_per_s"), 100 * number(k, "share_of_ceiling"),
                          number(k, "speedup")));
  for (const auto& [kernel, why] : j["refused"].items()) write_out(fmt::format("  {:<32} not timed: {}\n", kernel, why.get<std::string>()));
  if (j["baseline"].is_string()) write_out(fmt::format("  speed is relative to {}\n", word(j, "baseline")));
  if (j.contains("saved")) write_out(fmt::format("  remembered in {}\n", word(j, "saved")));
  write_out("\n");
}

/// One row a kernel; the last columns say how many times the time of this kernel each other kernel takes.
void write_markdown(const Json& j) {
  write_out(fmt::format("**{}** `{}`: {}\n\n", word(j, "op"), word(j, "desc"), machine_line(j)));
  std::string head = "| kernel | median us | spread | GB/s | GFLOP/s | of ceiling |", line = "|---|---:|---:|---:|---:|---:|";
  for (const Json& k : j["kernels"]) head += fmt::format(" {} / this |", word(k, "kernel")), line += "---:|";
  write_out(head + "\n" + line + "\n");
  for (const Json& k : j["kernels"]) {
    std::string row = fmt::format("| `{}` | {:.1f} | {:.1f} % | {:.2f} | {:.2f} | {:.0f} % |", word(k, "kernel"), number(k, "median_us"),
                                  100 * number(k, "spread"), number(k, "gb_per_s"), number(k, "gflop_per_s"), 100 * number(k, "share_of_ceiling"));
    for (const Json& other : j["kernels"])
      row += other["kernel"] == k["kernel"] ? " 1 |" : fmt::format(" {:.2f} |", k["ratios"][word(other, "kernel")].get<double>());
    write_out(row + "\n");
  }
  for (const auto& [kernel, why] : j["refused"].items()) write_out(fmt::format("\n`{}` was not timed: {}\n", kernel, why.get<std::string>()));
  write_out("\n");
}

constexpr std::string_view kCsvHead =
    "op,desc,call,device,threads,cold,kernel,median_us,min_us,spread,samples,gb_per_s,gflop_per_s,share_of_read,share_of_ceiling,speedup,ratios\n";

void write_csv(const Json& j) {
  for (const Json& k : j["kernels"]) {
    std::string ratios;
    for (const auto& [other, ratio] : k["ratios"].items())
      ratios += fmt::format("{}{}={:.4g}", ratios.empty() ? "" : " ", other, ratio.get<double>());
    write_out(fmt::format("{},{},{},{},{},{},{},{:.6g},{:.6g},{:.4g},{},{:.6g},{:.6g},{:.4g},{:.4g},{:.4g},{}\n", word(j, "op"),
                          csv_field(word(j, "desc")), csv_field(word(j, "call")), csv_field(word(j, "device")), j["threads"].get<int>(),
                          j["cold"].get<bool>() ? "yes" : "no", word(k, "kernel"), number(k, "median_us"), number(k, "min_us"), number(k, "spread"),
                          k["samples"].get<int64_t>(), number(k, "gb_per_s"), number(k, "gflop_per_s"), number(k, "share_of_read"),
                          number(k, "share_of_ceiling"), number(k, "speedup"), ratios));
  }
}

void write_result(const std::string& json, Form form) {
  if (form == Form::json) return write_out(json + "\n");
  const Json j = Json::parse(json);
  if (form == Form::text) write_text(j);
  if (form == Form::markdown) write_markdown(j);
  if (form == Form::csv) write_csv(j);
}

/// Columns of an anchor's row, as text.
std::vector<std::string> anchor_cells(const Json& j) {
  const double tflop = number(j, "tflop_per_s");
  std::string rate = fmt::format("{:.0f} GB/s", number(j, "gb_per_s"));
  if (word(j, "row").starts_with("prefill")) rate = tflop < 1 ? fmt::format("{:.0f} GFLOP/s", 1e3 * tflop) : fmt::format("{:.0f} TFLOP/s", tflop);
  const auto aim = [&](const Json& x) {
    if (x.contains("us")) return fmt::format("{:g} us", x["us"].get<double>());
    if (x.contains("tflop_per_s")) return fmt::format("{:g} TFLOP/s", x["tflop_per_s"].get<double>());
    if (x.contains("share_of_plain")) return fmt::format("{:g} % of plain", 100 * x["share_of_plain"].get<double>());
    return std::string();
  };
  std::string peer = aim(j["peer"]), verdict = j["met"].is_null() ? "" : j["met"].get<bool>() ? "met" : "missed";
  if (!peer.empty()) peer += fmt::format(" ({})", word(j["peer"], "name"));
  if (j["share_of_plain"].is_number() && j["goal"].contains("share_of_plain"))
    verdict += fmt::format("{}{:.0f} %", verdict.empty() ? "" : ", ", 100 * number(j, "share_of_plain"));
  return {word(j, "row"),
          word(j, "kernel"),
          fmt::format("{:.1f}", number(j, "median_us")),
          fmt::format("{:.1f} %", 100 * number(j, "spread")),
          rate,
          aim(j["goal"]),
          verdict,
          peer};
}

constexpr const char* kAnchorHead[] = {"row", "kernel", "median us", "spread", "rate", "goal", "", "fastest peer"};
constexpr int kAnchorWidths[] = {58, 32, 9, 7, 12, 13, 12, 0};

void write_anchor(const std::vector<std::string>& cells, Form form) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (form == Form::csv) line += (i > 0 ? "," : "") + csv_field(cells[i]);
    if (form == Form::markdown) line += "| " + cells[i] + (i + 1 < cells.size() ? " " : " |");
    if (form == Form::text)
      line += i >= 2 && i <= 4 ? fmt::format("{:>{}}  ", cells[i], kAnchorWidths[i]) : fmt::format("{:<{}}  ", cells[i], kAnchorWidths[i]);
  }
  write_out(line.substr(0, line.find_last_not_of(' ') + 1) + "\n");
}

int bench_anchor_rows(const Arguments& args) {
  const Form form = form_of(args);
  AnchorQuery q;
  q.device = args.text("--device", q.device);
  q.row = args.text("--row");
  q.kernels = args.list("--kernel");
  q.plant = args.text("--plant");
  q.threads = static_cast<int>(args.integer("--threads", 0));
  q.iterations = static_cast<int>(positive(args, "--num-iters", q.iterations));
  q.cold = !args.has("--warm-cache");
  bool first = true;
  bench_anchors(q, [&](const std::string& json) {
    if (form == Form::json) return write_out(json + "\n");
    if (std::exchange(first, false)) {
      write_anchor({std::begin(kAnchorHead), std::end(kAnchorHead)}, form);
      if (form == Form::markdown) write_out("|---|---|---:|---:|---:|---|---|---|\n");
    }
    write_anchor(anchor_cells(Json::parse(json)), form);
  });
  return 0;
}

int bench_kernels(const Arguments& args, const std::string& op) {
  const Form form = form_of(args);
  BenchQuery q;
  q.op = op;
  q.desc = args.text("--desc");
  for (const char* key : {"q_lens=", "kv_lens=", "m="})
    for (const char* flag : {"--batch-size", "--input-len", "--q-len", "--rows"})
      if ((" " + q.desc).find(std::string(" ") + key) != std::string::npos && args.has(flag))
        fail(ErrorCode::invalid_argument, args.source(flag), fmt::format("no {} beside it in --desc", key), "both");
  q.batch = positive(args, "--batch-size", q.batch);
  // Times to be remembered are those of the bucket that a load asks for, unless another is named.
  q.context = positive(args, "--input-len", args.has("--save") ? 1024 : q.context);
  q.q_len = positive(args, "--q-len", q.q_len);
  q.iterations = static_cast<int>(positive(args, "--num-iters", q.iterations));
  q.threads = static_cast<int>(args.integer("--threads", 0));
  q.cold = !args.has("--warm-cache");
  q.device = args.text("--device", q.device);
  q.kernels = args.list("--kernel");
  q.plant = args.text("--plant");
  if (args.has("--save")) q.save = tuning_table_file();
  std::vector<int64_t> rows = args.integers("--rows");
  for (const int64_t r : rows)
    if (r < 1) fail(ErrorCode::invalid_argument, args.source("--rows"), "1 to 65536", std::to_string(r));
  if (rows.empty()) rows = {0};
  if (form == Form::csv) write_out(std::string(kCsvHead));
  for (const int64_t r : rows) {
    q.rows = r;
    write_result(bench_json(q), form);
  }
  return 0;
}

/// Times every eligible kernel of the calls that the model makes, and remembers the times: the next load chooses by them.
void tune_model(const Arguments& args) {
  const EngineOptions o = engine_options(args, false);
  ExplainQuery model;
  model.model = o.model, model.hf_cache = o.hf_cache, model.device = o.device, model.dtype = o.dtype, model.kv_cache_dtype = o.kv_cache_dtype;
  model.block_size = o.block_size, model.threads = o.threads, model.plant = o.plant;
  for (BenchQuery q : bench_queries(model)) {
    q.save = tuning_table_file(), q.iterations = 11, q.ceilings = false;
    const Json j = Json::parse(bench_json(q));
    std::string line;
    for (const Json& k : j["kernels"]) line += fmt::format("{}{} {:.1f} us", line.empty() ? "" : ", ", word(k, "kernel"), number(k, "median_us"));
    write_note(fmt::format("{} {}: {}", word(j, "op"), word(j, "desc"), line));
  }
}

}  // namespace

bool wants_bench_tables(const Arguments& args) {
  const Form form = form_of(args);
  return form == Form::markdown || form == Form::csv;
}

void write_bench_tables(const Arguments& args, const std::string& json) {
  const Form form = form_of(args);
  if (form == Form::csv) write_out(std::string(kCsvHead));
  const Json report = Json::parse(json);
  for (const Json& problem : report["problems"]) write_result(problem.dump(), form);
}

int run_bench(const Arguments& args) {
  const std::string what = args.positionals().empty() ? "" : args.positionals()[0];
  if (args.positionals().size() > 1)
    fail(ErrorCode::invalid_argument, "bench", "one of attention, matmul and generate", args.positionals()[1] + " after " + what);
  if (args.has("--anchors") && what != "attention") fail(ErrorCode::invalid_argument, args.source("--anchors"), "bench attention", "bench " + what);
  if (what == "generate") {
    if (args.has("--save")) tune_model(args);
    return GenerateBench(args).run();
  }
  if (args.has("--anchors")) return bench_anchor_rows(args);
  if (what == "attention" || what == "matmul") return bench_kernels(args, what);
  fail(ErrorCode::invalid_argument, "bench", "attention, matmul or generate", what.empty() ? "nothing" : what);
}

}  // namespace attune::cli
