#include "engine/load.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "engine/memory_plan.h"
#include "loader/hf_cache.h"
#include "tune/tuning_table.h"

namespace attune {
namespace {

/// A model that is no folder and no cached id ends here; a dummy needs config.json alone.
std::filesystem::path find_folder(const EngineOptions& o) {
  if (o.model.empty()) invalid("--model", "a folder or a Hugging Face id", "nothing");
  return resolve_model(o.model, o.hf_cache);
}

std::vector<int32_t> end_ids(const ModelConfig& config, const GenerationConfig& generation) {
  const auto& ids = generation.eos_token_ids.empty() ? config.eos_token_ids : generation.eos_token_ids;
  return {ids.begin(), ids.end()};
}

int64_t context_length(const EngineOptions& o, const ModelConfig& config) {
  const int64_t longest = config.max_context();
  if (o.max_model_len < 0 || o.max_model_len > longest)
    invalid("--max-model-len", fmt::format("1 to {} (the model's context)", longest), std::to_string(o.max_model_len));
  return o.max_model_len == 0 ? longest : o.max_model_len;
}

/// Blocks for max_num_seqs full contexts, or as many as there is memory for; those of --kv-cache-memory-bytes.
int64_t count_blocks(const EngineOptions& o, const PageMemory& memory, int64_t bytes_per_block, int64_t blocks_of_a_context) {
  const int64_t most = memory.bytes / bytes_per_block;
  return std::min<int64_t>(o.kv_cache_memory_bytes > 0 ? most : std::min(o.max_num_seqs * blocks_of_a_context, most), INT32_MAX - 1);
}

[[noreturn]] void pages_do_not_fit(const PageMemory& memory, int64_t tokens, int64_t needed, int64_t two_blocks) {
  const std::string shorter = memory.bytes >= two_blocks ? "lower --max-model-len" : "";
  std::string advice = memory.raise.empty() ? shorter : "raise " + memory.raise + (shorter.empty() ? "" : " or " + shorter);
  if (advice.empty()) advice = "choose a device with more free memory by --device, or a smaller --dtype";
  fail(ErrorCode::out_of_memory, "KV cache", fmt::format("room for {} tokens ({} bytes)", tokens, needed),
       fmt::format("{} bytes{}, {} missing; {}", memory.bytes, memory.reckoned, needed - memory.bytes, advice));
}

void make_kv_cache(LoadedModel& m, const EngineOptions& o, const KvPlan& plan, KernelBinder& binder) {
  Device& runtime = binder.runtime();
  const auto layers = m.model->kv_layers();
  const int64_t per_token = KvCache::bytes_per_token(layers, plan.dtype, plan.scales), per_block = per_token * plan.block_size;
  m.info.max_model_len = context_length(o, m.config);
  const int64_t wanted = (m.info.max_model_len + plan.block_size - 1) / plan.block_size + 1;  // one more for copy-on-write
  const auto limits = runner_limits(o, runtime.props().kind, m.info.max_model_len, m.config.vocab_size);
  const PageMemory memory = page_memory(o, runtime, scratch_bytes(limits, plan.block_size, binder.workspace_bytes(), o.graphs), wanted * per_block);
  const int64_t blocks = count_blocks(o, memory, per_block, wanted), capacity = (blocks - 1) * plan.block_size;
  if (capacity < m.info.max_model_len) {
    if (o.max_model_len > 0 || capacity < plan.block_size) pages_do_not_fit(memory, m.info.max_model_len, wanted * per_block, 2 * per_block);
    log_info("context shortened from {} to {} tokens: that is what the KV cache holds", m.info.max_model_len, capacity);
    m.info.max_model_len = capacity;
  }
  m.kv = std::make_unique<KvCache>(runtime, layers, plan.dtype, plan.scales, blocks, plan.block_size);
  m.info.num_blocks = blocks, m.info.block_size = plan.block_size, m.info.block_size_set_by = plan.set_by;
  m.info.kv_bytes_per_token = per_token, m.info.kv_cache_dtype = to_text(plan.dtype), m.info.kv_scales = scales_text(plan.scales);
  if (!m.info.kv_scales.empty()) log_info("KV cache: {}, {}", m.info.kv_cache_dtype, m.info.kv_scales);
}

void check_tokenizer(const LoadedModel& m) {
  if (m.tokenizer && m.tokenizer->vocab_size() > m.config.vocab_size)
    invalid("tokenizer.json", fmt::format("ids below the model's vocab_size {}", m.config.vocab_size),
            fmt::format("{} ids", m.tokenizer->vocab_size()));
}

}  // namespace

EngineOptions with_device_defaults(EngineOptions o) {
  if (o.max_num_batched_tokens == -1) o.max_num_batched_tokens = o.device == "cpu" ? 512 : 2048;
  return o;
}

Override parse_override(const std::string& text) {
  const size_t eq = text.find('=');
  if (eq == std::string::npos || eq == 0 || eq + 1 == text.size()) invalid("--kernel", "OP[.ROLE]=NAME or OP[.ROLE]=prefer:NAME", printable(text));
  Override o;
  o.op = text.substr(0, eq);
  o.kernel = text.substr(eq + 1);
  if (const size_t dot = o.op.find('.'); dot != std::string::npos) o.role = o.op.substr(dot + 1), o.op.resize(dot);
  if (o.kernel.starts_with("prefer:")) o.kernel.erase(0, 7), o.prefer = true;
  bool op_known = false, kernel_known = false;
  for_each_op([&]<class Op>() {
    if (Op::kName != o.op) return;
    op_known = true;
    for (const auto* k : catalogue().kernels<Op>()) kernel_known |= k->info.name == o.kernel;
  });
  if (!op_known) invalid("--kernel", "the name of an op before the '='", printable(o.op));
  if (!kernel_known) invalid("--kernel", "a kernel of " + o.op + " (attune kernels lists them)", printable(o.kernel));
  return o;
}

void check_roles(const std::vector<std::string>& kernels, const std::vector<Selection>& selections) {
  for (const std::string& text : kernels) {
    const Override o = parse_override(text);
    std::set<std::string> roles;
    for (const Selection& s : selections)
      if (s.op == o.op) roles.insert(s.role);
    if (!o.role.empty() && !roles.contains(o.role))
      invalid("--kernel", fmt::format("a role of {} in this model ({})", o.op, fmt::join(roles, ", ")), printable(o.role));
  }
}

Policy make_policy(const std::vector<std::string>& kernels, const std::vector<std::string>& disable_kernels) {
  Policy policy;
  for (const auto& text : kernels) policy.overrides.push_back(parse_override(text));
  for (const auto& glob : disable_kernels) {
    bool matches = false;
    for_each_op([&]<class Op>() {
      for (const auto* k : catalogue().kernels<Op>()) matches |= glob_matches(glob, k->info.name);
    });
    if (!matches) invalid("--disable-kernel", "a pattern that some kernel's name has (attune kernels lists them)", printable(glob));
  }
  policy.disabled = disable_kernels;
  return policy;
}

std::function<std::vector<Measurement>(std::string_view, const std::string&, const Bucket&)> measurements_of(const std::string& path,
                                                                                                             const DeviceProps& device, int threads) {
  std::string complaint;
  auto table = std::make_shared<const TuningTable>(read_tuning_table(path, &complaint));
  if (!complaint.empty()) log_warning("measured times are unknown: {}: {}", path, complaint);
  return [table, machine = tuning_device(device, threads)](std::string_view op, const std::string& desc, const Bucket& bucket) {
    return table->find(machine, std::string(op), desc, bucket);
  };
}

KernelBinder::Options binder_options(const EngineOptions& o, int threads) {
  KernelBinder::Options b;
  b.device = find_present_device(o.device);
  b.runtime = open_device(b.device);
  const bool gpu = b.device.kind != DeviceKind::cpu;
  b.invariant = o.invariant.value_or(!gpu);
  if (!b.invariant && !gpu) invalid("--invariant", "on: the CPU has one order of arithmetic", "off");
  b.policy = make_policy(o.kernels, o.disable_kernels);
  b.limits = {.tokens = o.max_num_batched_tokens,
              .sequences = o.max_num_seqs,
              .longest_kv = std::max<int64_t>(o.max_model_len, 1),
              .threads = gpu ? b.device.cores : threads};
  check_plant(o.plant, b.device);
  b.plant = o.plant;
  b.measurements = measurements_of(tuning_table_path(o.cache_folder), b.device, threads);
  b.probe = o.probe;
  if (gpu && o.probe && !o.child.empty()) {
    const std::string record = o.cache_folder.empty() ? "" : o.cache_folder + "/probes.json";
    b.probe_apart = [probes = std::make_shared<LoadProbes>(LoadProbes::Options{o.child, record, b.device})](const ProbeQuestion& q) {
      return probes->probe(q);
    };
  }
  return b;
}

Error with_memory_advice(const Error& e, const EngineOptions& o) {
  if (e.code() != ErrorCode::out_of_memory || e.message().find("--") != std::string::npos) return e;
  const std::string cache = o.device == "cpu" || o.kv_cache_memory_bytes > 0 ? "--kv-cache-memory-bytes" : "--gpu-memory-utilization";
  if (e.message().find(" of the host; ") != std::string::npos)
    return Error(e.code(), e.message() + "; free memory of the host, or lower --max-num-seqs or --max-num-batched-tokens");
  const std::pair<std::string_view, std::string> advice[] = {{"weights", "choose a device with more free memory by --device, or a smaller --dtype"},
                                                             {"KV", "lower " + cache},
                                                             {"activations", "lower --max-num-batched-tokens"},
                                                             {"logits", "lower --max-num-seqs"},
                                                             {"graph", "lower " + cache + ", or give --enforce-eager"},
                                                             {"", "lower " + cache + ", --max-num-seqs or --max-num-batched-tokens"}};
  for (const auto& [what, text] : advice)
    if (e.message().starts_with(what)) return Error(e.code(), e.message() + "; " + text);
  return e;
}

DType compute_dtype(const std::string& asked, std::optional<DType> checkpoint) {
  if (asked == "auto") return checkpoint.value_or(DType::f32);
  const auto dtype = parse_dtype(asked);
  if (!dtype || (*dtype != DType::f32 && *dtype != DType::bf16 && *dtype != DType::f16))
    invalid("--dtype", "auto, float32, bfloat16 or float16", printable(asked));
  return *dtype;
}

DType kv_dtype(const std::string& asked, DType compute) {
  if (asked == "auto") return compute;
  const auto dtype = parse_dtype(asked);
  if (!dtype || (*dtype != DType::f32 && *dtype != DType::bf16 && *dtype != DType::f16 && *dtype != DType::f8_e4m3))
    invalid("--kv-cache-dtype", "auto, float32, bfloat16, float16 or fp8", printable(asked));
  return *dtype;
}

LoadedModel load_model(const EngineOptions& o, KernelBinder& binder, ThreadPool& pool) {
  LoadedModel m;
  m.folder = find_folder(o);
  m.config = ModelConfig::load(m.folder, supported_architectures());
  m.generation = GenerationConfig::load(m.folder);
  m.eos_ids = end_ids(m.config, m.generation);
  const bool dummy = o.load_format == "dummy";
  if (!dummy && o.load_format != "auto" && o.load_format != "safetensors")
    invalid("--load-format", "auto, safetensors or dummy", printable(o.load_format));
  if (o.tokenizer && !(dummy && !std::filesystem::exists(m.folder / "tokenizer.json"))) {
    m.tokenizer = Tokenizer::load(m.folder);
    m.chat_template = load_chat_template(m.folder);
    check_tokenizer(m);
  }
  const DType stored = m.config.dtype.value_or(DType::f32);
  const DType made = o.dtype == "auto" ? stored : compute_dtype(o.dtype, stored);
  m.weights = std::make_unique<Weights>(dummy ? Weights::dummy(made, o.seed) : Weights::open(m.folder));
  binder.limits().longest_kv = context_length(o, m.config);
  LoadOptions l;
  l.compute = compute_dtype(o.dtype, m.config.dtype);
  l.kv_dtype = kv_dtype(o.kv_cache_dtype, l.compute);
  l.block_size = o.block_size, l.max_tokens = o.max_num_batched_tokens;
  if (binder.device().kind != DeviceKind::cpu) l.logits_rows = std::max(l.logits_rows, o.max_num_seqs);
  if (o.weights != "auto" && o.weights != "copy" && o.weights != "mmap") invalid("--weights", "auto, copy or mmap", printable(o.weights));
  l.copy_weights = !dummy && o.weights != "mmap";
  l.pool = &pool;
  const auto start = std::chrono::steady_clock::now();
  if (binder.runtime().props().kind != DeviceKind::cpu)
    need_memory(binder.runtime(), static_cast<size_t>(stored_weight_bytes(m.config, *m.weights, dummy, made, l)), "weights");
  ModelBuilder builder(m.config, *m.weights, binder, l);
  m.model = make_model(builder);
  builder.check_nothing_left();
  m.memory = builder.take_memory();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() - binder.probe_seconds();
  m.info = {.path = m.folder.string(),
            .architecture = m.config.architecture,
            .dtype = std::string(to_text(l.compute)),
            .device = binder.device().name,
            .device_model = binder.device().model,
            .num_layers = m.config.num_layers,
            .hidden_size = m.config.hidden_size,
            .vocab_size = m.config.vocab_size,
            .parameters = builder.parameters(),
            .weight_bytes = builder.weight_bytes(),
            .weight_bytes_per_token = builder.streamed_bytes(),
            .weight_seconds = seconds};
  m.sample_kernels.emplace(binder, m.config.vocab_size);  // before the pages: then all scratch is known
  make_kv_cache(m, o, builder.kv_plan(), binder);
  return m;
}

}  // namespace attune
