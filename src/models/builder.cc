#include "models/builder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace attune {
namespace {

constexpr size_t kChunk = size_t{64} << 20;
constexpr int64_t kRowBuckets[] = {1, 64};                  // M ≤ 1, M ≤ 64, the rest
constexpr int64_t kGpuRowBuckets[] = {1, 16, 32, 64, 256};  // finer: more kernels compete, and graphs come in these sizes

Phase phase_at(int i) { return static_cast<Phase>(i); }

}  // namespace

std::string scales_text(Scales scales) {
  switch (scales) {
    case Scales::none: return "";
    case Scales::tensor: return "scales of the checkpoint, one a layer";
    case Scales::head: return "scales of the checkpoint, one a head";
    default: return "a scale for each token and head";
  }
}

ModelBuilder::ModelBuilder(const ModelConfig& config, const Weights& weights, KernelBinder& binder, const LoadOptions& options)
    : config_(config), weights_(weights), binder_(binder), options_(options), upload_(binder.runtime(), options.pool) {
  const std::vector<float> inv_freq = rope_inverse_frequencies(config.rope, config.head_dim);
  const size_t bytes = inv_freq.size() * sizeof(float);
  memory_.push_back(device().allocate(bytes, "rope frequencies"));
  memory_used_ = memory_.back().bytes();
  inv_freq_ = memory_.back().as<float>();
  upload_.send(memory_.back().data(), inv_freq.data(), bytes);
  if (is_f8(options.kv_dtype)) kv_scales_ = read_kv_scales(weights, config.num_layers, config.num_kv_heads);
}

void* ModelBuilder::allocate(size_t bytes) {
  const size_t aligned = (bytes + 127) / 128 * 128;
  if (memory_.back().bytes() - memory_used_ < aligned) {
    memory_.push_back(device().allocate(std::max(aligned, kChunk), "weights"));
    memory_used_ = 0;
  }
  void* p = memory_.back().as<char>() + memory_used_;
  memory_used_ += aligned;
  return p;
}

/// Weights stay as stored, unless a narrower compute dtype was asked for: f32 files run in bf16 by rounding them once.
DType ModelBuilder::stored_dtype(DType source) const {
  return size_of(options_.compute) < size_of(source) || (options_.compute != DType::f32 && options_.compute != source) ? options_.compute : source;
}

TensorView ModelBuilder::place(const std::string& name, const Shape& shape, bool streamed) {
  TensorView view = weights_.get(name, shape);
  placed_.insert(name);
  if (view.dtype != DType::f32 && view.dtype != DType::bf16 && view.dtype != DType::f16)
    fail(ErrorCode::not_supported, name, "f32, bf16 or f16 weights", std::string(to_text(view.dtype)));
  const DType stored = stored_dtype(view.dtype);
  if (options_.copy_weights || stored != view.dtype || !on_cpu()) {
    const TensorView copy = store(view, stored);
    weights_.release(view);
    view = copy;
  }
  parameters_ += shape.count();
  weight_bytes_ += view.bytes();
  if (streamed) streamed_bytes_ += view.bytes();
  if (view.data != nullptr) report_progress("loading weights", weight_bytes_, weights_.total_bytes());
  return view;
}

void ModelBuilder::check_nothing_left() const {
  std::string first;
  int64_t left = 0;
  for (const std::string& name : weights_.names()) {
    if (!name.starts_with("model.layers.") || !(name.ends_with(".weight") || name.ends_with(".bias")) || placed_.contains(name)) continue;
    if (left++ == 0) first = name;
  }
  if (left > 0)
    invalid("weights", "layers that hold what config.json says and no more", fmt::format("{} unused tensors, the first {}", left, printable(first)));
}

/// A copy on the device, rounded where `stored` is narrower.
TensorView ModelBuilder::store(const TensorView& view, DType stored) {
  if (view.data == nullptr) return {nullptr, stored, view.shape};  // a question about a config alone
  const size_t element = size_of(stored);
  const TensorView copy{allocate(static_cast<size_t>(view.shape.count()) * element), stored, view.shape};
  void* to = const_cast<void*>(copy.data);
  if (stored == view.dtype) {
    upload_.send(to, view.data, static_cast<size_t>(view.bytes()));
    return copy;
  }
  upload_.send(to, static_cast<size_t>(copy.bytes()), [&](void* part, size_t first, size_t bytes) {
    const auto begin = static_cast<int64_t>(first / element);
    for (int64_t i = 0; i < static_cast<int64_t>(bytes / element); ++i)
      store_from_float(part, stored, i, load_as_float(view.data, view.dtype, begin + i));
  });
  return copy;
}

/// One variant a range of M, up to `most`.
std::vector<Ask<Matmul>> ModelBuilder::row_asks(Linear& l, MatmulDesc d, int64_t most) const {
  const std::span<const int64_t> buckets = on_cpu() ? std::span<const int64_t>(kRowBuckets) : kGpuRowBuckets;
  for (const int64_t up_to : buckets)
    if (up_to < most || l.up_to.empty()) l.up_to.push_back(up_to);
  if (l.up_to.back() < most) l.up_to.push_back(on_cpu() && most <= 64 ? 64 : most);
  std::vector<Ask<Matmul>> asks;
  for (const int64_t up_to : l.up_to) {
    d.rows = up_to;
    asks.push_back({fmt::format("rows<={}", up_to), d, {.sequences = 1, .longest_kv = 1, .rows = up_to}});
  }
  return asks;
}

/// The weights of a layer on the device, and the desc that they make.
Linear ModelBuilder::placed(const LinearSpec& spec, MatmulDesc& d) {
  Linear l;
  l.k = spec.k;
  DType w_dtype = DType::f32;
  for (size_t i = 0; i < spec.names.size(); ++i) {
    const TensorView w = place(spec.names[i] + ".weight", {spec.rows[i], spec.k}, true);
    if (i > 0 && w.dtype != w_dtype) fail(ErrorCode::not_supported, spec.names[i], "the dtype of its neighbours", std::string(to_text(w.dtype)));
    w_dtype = w.dtype;
    auto& segment = l.weights.segments[i];
    segment.w = w.data, segment.rows = spec.rows[i];
    l.n += spec.rows[i];
    if (!spec.bias) continue;
    const TensorView bias = place(spec.names[i] + ".bias", {spec.rows[i]}, true);
    segment.bias = bias.data;
    l.weights.bias_dtype = bias.dtype;
  }
  d.x_dtype = options_.compute, d.w_dtype = w_dtype, d.out_dtype = DType::f32;
  d.n = l.n, d.k = l.k, d.segments = static_cast<int64_t>(spec.names.size());
  d.bias = spec.bias, d.residual = spec.residual;
  return l;
}

Linear ModelBuilder::linear(const LinearSpec& spec) {
  MatmulDesc d;
  Linear l = placed(spec, d);
  l.op = binder_.bind<Matmul>(spec.role, row_asks(l, d, options_.max_tokens));
  return l;
}

GatedLinear ModelBuilder::gated_linear(const LinearSpec& spec, Activation act) {
  GatedLinear g;
  MatmulDesc d;
  Linear both = placed(spec, d);
  const int64_t width = both.n / 2;
  Linear fused;
  fused.weights.bias_dtype = both.weights.bias_dtype, fused.k = both.k, fused.n = width;
  const auto &gate = both.weights.segments[0], &up = both.weights.segments[1];
  fused.weights.segments[0] = {.w = gate.w, .rows = width, .bias = gate.bias, .up = up.w, .up_bias = up.bias};
  MatmulDesc gated = d;
  gated.out_dtype = options_.compute, gated.n = width, gated.segments = 1, gated.activation = act, gated.gated = true;
  const auto asks = row_asks(fused, gated, options_.max_tokens);
  if (binder_.can_follow_overrides<Matmul>(spec.role, asks))
    if (auto bound = binder_.bind_above_reference<Matmul>(spec.role, asks)) {
      fused.op = *bound;
      g.fused = fused;
      return g;
    }
  gates_apart_ = true;
  both.op = binder_.bind<Matmul>(spec.role, row_asks(both, d, options_.max_tokens));
  g.gate_up = both;
  g.activation = activation("mlp", act, width, options_.compute, true);
  return g;
}

Linear ModelBuilder::head(const std::string& name) {
  if (!config_.tie_word_embeddings) return linear({.role = "head", .names = {name}, .rows = {config_.vocab_size}, .k = config_.hidden_size});
  Linear l;
  l.k = config_.hidden_size, l.n = config_.vocab_size;
  l.weights.segments[0] = {.w = embedding_table_.data, .rows = config_.vocab_size};
  streamed_bytes_ += embedding_table_.bytes();
  MatmulDesc d;
  d.x_dtype = options_.compute, d.w_dtype = embedding_table_.dtype, d.out_dtype = DType::f32, d.n = l.n, d.k = l.k;
  l.op = binder_.bind<Matmul>("head", row_asks(l, d, options_.logits_rows));
  return l;
}

RmsNorm ModelBuilder::norm(const std::string& role, const std::string& name, int64_t hidden, DType out, bool unit_offset, bool residual) {
  return bound_norm(role, place(name + ".weight", {hidden}, true), out, unit_offset, residual);
}

RmsNorm ModelBuilder::bound_norm(const std::string& role, const TensorView& w, DType out, bool unit_offset, bool residual) {
  const int64_t hidden = w.shape.count();
  NormDesc d{.x_dtype = DType::f32, .w_dtype = w.dtype, .out_dtype = out, .hidden = hidden, .unit_offset = unit_offset, .residual = residual};
  return {binder_.bind<Norm>(role, {{"rows", d, {}}}), w.data, static_cast<float>(config_.rms_norm_eps), hidden};
}

Embedding ModelBuilder::embedding(const std::string& name, float scale) {
  embedding_table_ = place(name + ".weight", {config_.vocab_size, config_.hidden_size}, false);
  EmbedDesc d{.w_dtype = embedding_table_.dtype, .out_dtype = DType::f32, .hidden = config_.hidden_size};
  return {binder_.bind<Embed>("tokens", {{"rows", d, {}}}), embedding_table_.data, config_.vocab_size, scale};
}

RowGather ModelBuilder::row_gather() {
  return {binder_.bind<Embed>("logits_rows", {{"rows", {.w_dtype = DType::f32, .out_dtype = DType::f32, .hidden = config_.hidden_size}, {}}})};
}

Elementwise ModelBuilder::activation(const std::string& role, Activation activation, int64_t width, DType out, bool gated, double softcap) {
  ActivationDesc d{.x_dtype = DType::f32, .out_dtype = out, .activation = activation, .gated = gated, .softcap = softcap};
  return {binder_.bind<ActivationOp>(role, {{"rows", d, {}}}), width};
}

std::vector<Ask<Attention>> ModelBuilder::attention_asks(int64_t window, int64_t block_size, Scales scales) const {
  AttentionDesc d;
  d.q_dtype = d.out_dtype = options_.compute;
  d.kv_dtype = options_.kv_dtype;
  d.num_kv_heads = config_.num_kv_heads;
  d.gqa_group = config_.num_q_heads / config_.num_kv_heads;
  d.head_dim = config_.head_dim;
  d.block_size = block_size;
  d.kv_scale = scales;
  d.window = window;
  d.softcap = config_.attn_logit_softcapping;
  std::vector<Ask<Attention>> asks;
  for (int i = 0; i < 3; ++i) {
    d.phase = phase_at(i);
    asks.push_back({std::string(to_text(d.phase)), d, {.sequences = 1, .longest_kv = 1024, .rows = 1}});
  }
  return asks;
}

KvWriteDesc ModelBuilder::kv_write_desc(int64_t block_size, Scales scales) const {
  return {.x_dtype = DType::f32,
          .kv_dtype = options_.kv_dtype,
          .num_kv_heads = config_.num_kv_heads,
          .head_dim = config_.head_dim,
          .block_size = block_size,
          .kv_scale = scales};
}

bool ModelBuilder::kv_served(int64_t block_size, Scales scales, std::string& why) const {
  const auto write = binder_.select_all<KvWrite>("self", {{"rows", kv_write_desc(block_size, scales), {}}});
  std::vector<Selection> all = write;
  for (const int64_t window : config_.windows)
    for (const auto& s : binder_.select_all<Attention>("self", attention_asks(window, block_size, scales))) all.push_back(s);
  for (const auto& s : all) {
    if (s.chosen) continue;
    why = fmt::format("no kernel for {} [{}]:{}", s.op, s.desc, refusals_text(s));
    return false;
  }
  return true;
}

const KvPlan& ModelBuilder::kv_plan() {
  if (kv_plan_) return *kv_plan_;
  KvPlan plan;
  plan.dtype = options_.kv_dtype;
  if (is_f8(plan.dtype)) plan.scales = kv_scales_.empty() ? Scales::token_head : kv_scales_[0].k.size() == 1 ? Scales::tensor : Scales::head;
  std::string why;
  if (options_.block_size > 0) {
    if (!kv_served(options_.block_size, plan.scales, why))
      fail(ErrorCode::not_supported, "--block-size", "a size that kernels of every phase admit", fmt::format("{}: {}", options_.block_size, why));
    plan.block_size = options_.block_size, plan.set_by = "--block-size";
  } else {
    const int64_t usual = binder_.device().kind == DeviceKind::cpu ? 16 : 64;
    const auto decode = binder_.select_all<Attention>("self", {attention_asks(config_.windows[0], usual, plan.scales)[0]});
    const int64_t wished = decode[0].chosen ? decode[0].chosen->preferred_block_size : 0;
    std::vector<std::pair<int64_t, std::string>> candidates;
    if (wished > 0) candidates.emplace_back(wished, fmt::format("preferred by {}", decode[0].chosen->name));
    for (const int64_t size : {usual, int64_t{16}, int64_t{32}, int64_t{64}, int64_t{128}, int64_t{256}})
      candidates.emplace_back(
          size, size == usual ? fmt::format("default for {}", to_text(binder_.device().kind)) : "the first size that every kernel admits");
    auto served = std::find_if(candidates.begin(), candidates.end(), [&](const auto& c) { return kv_served(c.first, plan.scales, why); });
    if (served == candidates.end() && !binder_.required()) served = candidates.begin();
    if (served == candidates.end()) fail(ErrorCode::not_supported, "KV layout", "a block size that kernels of every phase admit", why);
    plan.block_size = served->first, plan.set_by = served->second;
  }
  kv_plan_ = std::make_unique<KvPlan>(plan);
  return *kv_plan_;
}

/// One launch from qkv to the attention where a kernel other than the reference does it; else op by op.
void ModelBuilder::bind_prepare(SelfAttention& a, const TensorView& q_weight, const TensorView& k_weight) {
  const KvPlan& plan = kv_plan();
  const KvWriteDesc write = kv_write_desc(plan.block_size, plan.scales);
  RopeKvWriteDesc all{.x_dtype = DType::f32,
                      .out_dtype = options_.compute,
                      .kv_dtype = write.kv_dtype,
                      .num_kv_heads = config_.num_kv_heads,
                      .gqa_group = config_.num_q_heads / config_.num_kv_heads,
                      .head_dim = config_.head_dim,
                      .rotary_dim = config_.head_dim,
                      .norm = a.head_norms,
                      .block_size = write.block_size,
                      .kv_layout = write.kv_layout,
                      .kv_scale = write.kv_scale};
  if (a.head_norms) all.w_dtype = q_weight.dtype;
  if (q_weight.dtype == k_weight.dtype)
    if (auto bound = binder_.bind_above_reference<RopeKvWrite>("self", {{"rows", all, {}}})) {
      a.prepare = *bound;
      a.q_norm = {{}, q_weight.data, static_cast<float>(config_.rms_norm_eps), config_.head_dim};
      a.k_norm = {{}, k_weight.data, static_cast<float>(config_.rms_norm_eps), config_.head_dim};
      return;
    }
  if (a.head_norms) {
    a.q_norm = bound_norm("q", q_weight, DType::f32, false, false);
    a.k_norm = bound_norm("k", k_weight, DType::f32, false, false);
  }
  RopeDesc rope{.x_dtype = DType::f32, .out_dtype = options_.compute, .head_dim = config_.head_dim, .rotary_dim = config_.head_dim};
  a.rope_q = binder_.bind<Rope>("q", {{"rows", rope, {}}});
  rope.out_dtype = DType::f32;
  a.rope_k = binder_.bind<Rope>("k", {{"rows", rope, {}}});
  a.write = binder_.bind<KvWrite>("self", {{"rows", write, {}}});
}

SelfAttention ModelBuilder::self_attention(size_t layer, const std::string& head_norms) {
  const KvPlan& plan = kv_plan();
  SelfAttention a;
  a.head_norms = !head_norms.empty();
  TensorView q_weight, k_weight;
  if (a.head_norms) {
    q_weight = place(head_norms + "q_norm.weight", {config_.head_dim}, true);
    k_weight = place(head_norms + "k_norm.weight", {config_.head_dim}, true);
  }
  bind_prepare(a, q_weight, k_weight);
  a.attend = binder_.bind<Attention>("self", attention_asks(config_.windows[layer], plan.block_size, plan.scales));
  a.layer = layer;
  a.num_q_heads = config_.num_q_heads, a.num_kv_heads = config_.num_kv_heads, a.head_dim = config_.head_dim;
  a.x_dtype = options_.compute;
  a.inv_freq = inv_freq_;
  a.attention_factor = static_cast<float>(config_.rope.attention_factor);
  a.scale = static_cast<float>(1 / std::sqrt(config_.query_pre_attn_scalar));
  return a;
}

std::vector<KvLayer> ModelBuilder::kv_layers() const {
  std::vector<KvLayer> layers;
  for (const int64_t window : config_.windows) layers.push_back({config_.num_kv_heads, config_.head_dim, window, {}, {}});
  for (size_t i = 0; i < kv_scales_.size(); ++i) layers[i].k_scale = kv_scales_[i].k, layers[i].v_scale = kv_scales_[i].v;
  return layers;
}

Activations ModelBuilder::activations() const {
  const auto t = static_cast<size_t>(options_.max_tokens);
  const size_t x = size_of(options_.compute);
  const auto hidden = static_cast<size_t>(config_.hidden_size), inner = static_cast<size_t>(config_.intermediate_size);
  const auto q = static_cast<size_t>(config_.num_q_heads * config_.head_dim), kv = static_cast<size_t>(config_.num_kv_heads * config_.head_dim);
  Activations a;
  const std::pair<Buffer*, size_t> sizes[] = {{&a.hidden, t * hidden * 4},    {&a.normed, t * hidden * x},
                                              {&a.qkv, t * (q + 2 * kv) * 4}, {&a.q, t * q * x},
                                              {&a.attended, t * q * x},       {&a.gate_up, gates_apart_ ? t * 2 * inner * 4 : 1},
                                              {&a.activated, t * inner * x},  {&a.branch, t * hidden * 4},
                                              {&a.rows, t * hidden * 4},      {&a.final, t * hidden * x}};
  size_t total = 0;
  for (const auto& [buffer, bytes] : sizes) total += bytes;
  need_memory(device(), total, "activations");
  for (const auto& [buffer, bytes] : sizes) *buffer = device().allocate(bytes, "activations");
  return a;
}

}  // namespace attune
