#include "engine_flags.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "attune/model.h"
#include "attune/options.h"
#include "commands.h"
#include "terminal.h"

namespace attune::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNoLimit = 1'000'000'000;  // the end of the context comes first

std::vector<std::pair<int32_t, float>> logit_bias(const Arguments& args) {
  std::vector<std::pair<int32_t, float>> out;
  for (const std::string& value : args.list("--logit-bias")) {
    const size_t eq = value.find('=');
    int32_t id = 0;
    float bias = 0;
    const char *begin = value.data(), *end = begin + value.size();
    const bool has_id = eq != std::string::npos && std::from_chars(begin, begin + eq, id).ptr == begin + eq;
    if (!has_id || std::from_chars(begin + eq + 1, end, bias).ptr != end)
      fail(ErrorCode::invalid_argument, args.source("--logit-bias"), "ID=BIAS", "'" + value + "'");
    out.emplace_back(id, bias);
  }
  return out;
}

template <class T>
T narrow(const Arguments& args, std::string_view flag, T fallback) {
  const int64_t x = args.integer(flag, fallback);
  if (x != static_cast<T>(x)) fail(ErrorCode::invalid_argument, args.source(flag), "an integer of 32 bits", std::to_string(x));
  return static_cast<T>(x);
}

}  // namespace

std::string model_path(const Arguments& args, bool required) {
  if (args.has("--model")) return args.text("--model");
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const char* relative : {"../../../models/abacus", "../share/attune/models/abacus"}) {
    const fs::path folder = fs::weakly_canonical(program / relative, ignored);
    if (fs::exists(folder / "config.json", ignored)) return folder.string();
  }
  if (!required) return "";
  fail(ErrorCode::invalid_argument, "--model", "a folder or a Hugging Face id", "nothing, and the embedded model is not beside " + program.string());
}

EngineOptions engine_options(const Arguments& args, bool text) {
  EngineOptions o;
  o.model = model_path(args);
  o.hf_cache = hf_cache_folder();
  o.device = args.text("--device", o.device);
  o.child = {"/proc/self/exe", std::string(kVerifyChild)};
  o.cache_folder = cache_folder();
  o.plant = args.text("--plant");
  o.dtype = args.text("--dtype", o.dtype);
  o.kv_cache_dtype = args.text("--kv-cache-dtype", o.kv_cache_dtype);
  o.load_format = args.text("--load-format", o.load_format);
  o.weights = args.text("--weights", o.weights);
  o.block_size = args.integer("--block-size", o.block_size);
  o.max_model_len = args.integer("--max-model-len", o.max_model_len);
  o.max_num_seqs = args.integer("--max-num-seqs", o.max_num_seqs);
  o.max_num_batched_tokens = args.integer("--max-num-batched-tokens", o.max_num_batched_tokens);
  o.kv_cache_memory_bytes = args.bytes("--kv-cache-memory-bytes", o.kv_cache_memory_bytes);
  o.gpu_memory_utilization = args.number("--gpu-memory-utilization", o.gpu_memory_utilization);
  if (args.has("--invariant")) o.invariant = true;
  o.graphs = !args.has("--enforce-eager");
  if (args.has("--no-async-scheduling")) o.async_scheduling = false;
  o.enable_prefix_caching = !args.has("--no-enable-prefix-caching");
  o.probe = !args.has("--no-probe");
  o.threads = narrow<int>(args, "--threads", o.threads);
  o.seed = args.natural("--seed", o.seed);
  o.kernels = args.list("--kernel");
  o.disable_kernels = args.list("--disable-kernel");
  o.trace_kernels = args.has("--trace-kernels");
  std::error_code ignored;
  if (!text) o.tokenizer = fs::exists(fs::path(model_folder(o.model)) / "tokenizer.json", ignored);
  return o;
}

/// What a GPU holds once a model is loaded, as operators look for it.
std::string loaded_text(const Engine& engine) {
  const ModelInfo& m = engine.model();
  const int64_t tokens = (m.num_blocks - 1) * m.block_size;
  const std::string scratch =
      m.workspace_bytes == 0 ? "" : fmt::format(", {:.1f} MB of scratch (for {})", 1e-6 * static_cast<double>(m.workspace_bytes), m.workspace_kernel);
  const std::string probes = m.probe_seconds < 0.05 ? "" : fmt::format(", probes {:.1f} s", m.probe_seconds);
  const std::string kv = m.kv_cache_dtype + (m.kv_scales.empty() ? "" : ", ") + m.kv_scales;
  return fmt::format(
      "{} ({}): {}, {:.2f} GB of weights in {:.1f} s, {:.2f} GB of KV cache ({}, {} tokens, {:.1f} sequences of {}), {} graphs in {:.1f} s{}{}; {}; "
      "ready in {:.1f} s",
      m.device, m.device_model, m.dtype, 1e-9 * static_cast<double>(m.weight_bytes), m.weight_seconds,
      1e-9 * static_cast<double>(m.num_blocks * m.block_size * m.kv_bytes_per_token), kv, tokens,
      static_cast<double>(tokens) / static_cast<double>(m.max_model_len), m.max_model_len, m.graphs, m.graph_seconds, probes, scratch,
      engine.kernels_line(), engine.stats().load_seconds);
}

Engine open_engine(const EngineOptions& options) {
  end_at_interrupt();
  Engine engine(options);
  end_progress();
  if (engine.model().device != "cpu") write_note(loaded_text(engine));
  return engine;
}

SamplingParams sampling_params(const Arguments& args, SamplingParams p) {
  p.temperature = args.number("--temperature", p.temperature);
  p.top_k = narrow<int>(args, "--top-k", p.top_k);
  p.top_p = args.number("--top-p", p.top_p);
  p.min_p = args.number("--min-p", p.min_p);
  p.repetition_penalty = args.number("--repetition-penalty", p.repetition_penalty);
  p.presence_penalty = args.number("--presence-penalty", p.presence_penalty);
  p.frequency_penalty = args.number("--frequency-penalty", p.frequency_penalty);
  p.logit_bias = logit_bias(args);
  p.stop = args.list("--stop");
  for (const int64_t id : args.integers("--stop-token-ids")) p.stop_token_ids.push_back(static_cast<int32_t>(id));
  p.include_stop_str_in_output = args.has("--include-stop-str-in-output");
  p.ignore_eos = args.has("--ignore-eos");
  p.skip_special_tokens = !args.has("--no-skip-special-tokens");
  p.max_tokens = args.integer("--max-tokens", -1);
  if (p.max_tokens == -1) p.max_tokens = kNoLimit;
  p.min_tokens = args.integer("--min-tokens", p.min_tokens);
  p.n = narrow<int>(args, "--n", p.n);
  if (args.has("--logprobs")) p.logprobs = narrow<int>(args, "--logprobs", 0);
  validate(p);
  return p;
}

bool use_chat(const Arguments& args, const Engine& engine, bool fallback) {
  if (args.has("--chat") && args.has("--raw")) fail(ErrorCode::invalid_argument, args.source("--raw"), "either --chat or --raw", "both");
  if (args.has("--chat") && !engine.has_chat_template())
    fail(ErrorCode::invalid_argument, args.source("--chat"), "a model with a chat template", engine.model().path + ", which has none");
  return args.has("--chat") || (!args.has("--raw") && fallback && engine.has_chat_template());
}

void write_trace(const Arguments& args, const Engine& engine) {
  if (!args.has("--trace-kernels")) return;
  struct Row {
    const LaunchRecord* first;
    int64_t launches = 0, steps = 0, last_step = -1;
  };
  std::vector<Row> rows;
  for (const LaunchRecord& l : engine.launches()) {
    const auto same = [&](const Row& r) {
      return r.first->op == l.op && r.first->role == l.role && r.first->variant == l.variant && r.first->kernel == l.kernel;
    };
    auto row = std::find_if(rows.begin(), rows.end(), same);
    if (row == rows.end()) row = rows.insert(rows.end(), Row{&l});
    ++row->launches;
    row->steps += row->last_step != l.step, row->last_step = l.step;
  }
  nlohmann::ordered_json launches = nlohmann::ordered_json::array();
  for (const Row& r : rows) {
    if (args.has("--json"))
      launches.push_back({{"op", r.first->op},
                          {"role", r.first->role},
                          {"variant", r.first->variant},
                          {"kernel", r.first->kernel},
                          {"launches", r.launches},
                          {"steps", r.steps}});
    else
      write_note(fmt::format("launched {:<28} {:<12} {:<34} {} times in {} steps", r.first->op + "." + r.first->role, r.first->variant,
                             r.first->kernel, r.launches, r.steps));
  }
  if (args.has("--json")) write_note(nlohmann::ordered_json{{"launches", launches}}.dump());
}

}  // namespace attune::cli
