#include "rounding_model.h"

#include <cmath>

#include "loader/weights.h"
#include "models/builder.h"
#include "models/families.h"

namespace attune::test {
namespace {

double activation(Activation a, double x) {
  switch (a) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::gelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    default: return x;
  }
}

void add(std::vector<std::vector<double>>& x, const std::vector<std::vector<double>>& branch) {
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t i = 0; i < x[t].size(); ++i) x[t][i] += branch[t][i];
}

double capped(double x, double cap) { return cap > 0 ? cap * std::tanh(x / cap) : x; }

}  // namespace

double to_bf16(double x) {
  uint32_t stored = 0;
  store_from_float(&stored, DType::bf16, 0, static_cast<float>(x));
  return static_cast<double>(load_as_float(&stored, DType::bf16, 0));
}

double bf16_ulp(double x) { return x == 0 ? 0 : std::ldexp(1.0, std::ilogb(x) - 7); }

RoundingModel::RoundingModel(const std::filesystem::path& folder, bool bf16_weights)
    : config_(ModelConfig::load(folder, supported_architectures())),
      gemma_(config_.architecture == "Gemma2ForCausalLM"),
      inv_freq_(rope_inverse_frequencies(config_.rope, config_.head_dim)) {
  const Weights all = Weights::open(folder);
  for (const std::string& name : all.names()) {
    const TensorView view = *all.find(name);
    std::vector<double>& w = weights_[name];
    for (int64_t i = 0; i < view.shape.count(); ++i) {
      const double x = static_cast<double>(load_as_float(view.data, view.dtype, i));
      w.push_back(bf16_weights ? to_bf16(x) : x);
    }
  }
  if (gemma_) embedding_scale_ = std::sqrt(static_cast<double>(config_.hidden_size));
  if (gemma_ && bf16_weights) embedding_scale_ = to_bf16(embedding_scale_);
}

RoundingModel::Rows RoundingModel::linear(const Rows& x, const std::string& name, size_t rows) const {
  const std::vector<double>& w = weight(name + ".weight");
  const auto bias = weights_.find(name + ".bias");
  const size_t k = x[0].size();
  Rows out(x.size(), std::vector<double>(rows));
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t r = 0; r < rows; ++r) {
      double sum = bias == weights_.end() ? 0 : bias->second[r];
      for (size_t i = 0; i < k; ++i) sum += w[r * k + i] * x[t][i];
      out[t][r] = sum;
    }
  return out;
}

RoundingModel::Rows RoundingModel::norm(const Rows& x, const std::string& name, const Round& round, Point point) const {
  const std::vector<double>& w = weight(name + ".weight");
  Rows out = x;
  for (auto& row : out) {
    double square = 0;
    for (const double v : row) square += v * v;
    const double scale = 1 / std::sqrt(square / static_cast<double>(row.size()) + config_.rms_norm_eps);
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] *= scale * ((gemma_ ? 1 : 0) + w[i]);
      if (round) row[i] = round(point, row[i]);
    }
  }
  return out;
}

void RoundingModel::norm_heads(Rows& x, const std::string& name) const {
  const auto d = static_cast<size_t>(config_.head_dim);
  for (auto& row : x)
    for (size_t at = 0; at < row.size(); at += d) {
      const Rows head = norm({{row.begin() + static_cast<int64_t>(at), row.begin() + static_cast<int64_t>(at + d)}}, name, {}, Point::q);
      std::copy(head[0].begin(), head[0].end(), row.begin() + static_cast<int64_t>(at));
    }
}

void RoundingModel::rotate(Rows& x) const {
  const auto d = static_cast<size_t>(config_.head_dim), half = d / 2;
  for (size_t t = 0; t < x.size(); ++t)
    for (size_t at = 0; at < x[t].size(); at += d)
      for (size_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(t) * static_cast<double>(inv_freq_[i]);
        const double c = std::cos(angle) * config_.rope.attention_factor, s = std::sin(angle) * config_.rope.attention_factor;
        const double a = x[t][at + i], b = x[t][at + half + i];
        x[t][at + i] = a * c - b * s, x[t][at + half + i] = b * c + a * s;
      }
}

RoundingModel::Rows RoundingModel::attend(const Rows& q, const Rows& k, const Rows& v, int64_t window, const Round& round) const {
  const auto d = static_cast<size_t>(config_.head_dim), heads = static_cast<size_t>(config_.num_q_heads);
  const size_t group = heads / static_cast<size_t>(config_.num_kv_heads);
  const double scale = 1 / std::sqrt(config_.query_pre_attn_scalar);
  Rows out(q.size(), std::vector<double>(heads * d));
  for (size_t t = 0; t < q.size(); ++t) {
    const size_t first = window > 0 && t + 1 > static_cast<size_t>(window) ? t + 1 - static_cast<size_t>(window) : 0;
    for (size_t h = 0; h < heads; ++h) {
      const size_t kv = h / group * d;
      std::vector<double> p;
      double peak = -1e300, sum = 0;
      for (size_t j = first; j <= t; ++j) {
        double s = 0;
        for (size_t i = 0; i < d; ++i) s += q[t][h * d + i] * k[j][kv + i];
        p.push_back(capped(scale * s, config_.attn_logit_softcapping)), peak = std::max(peak, p.back());
      }
      for (double& x : p) x = std::exp(x - peak), sum += x;
      for (size_t j = first; j <= t; ++j) {
        const double weight = round(Point::softmax_weight, p[j - first]) / sum;
        for (size_t i = 0; i < d; ++i) out[t][h * d + i] += weight * v[j][kv + i];
      }
    }
    for (double& x : out[t]) x = round(Point::attended, x);
  }
  return out;
}

void RoundingModel::add_attention(Rows& x, int64_t layer, const Round& round, const Store& store) const {
  const std::string at = layer_name(layer);
  const auto q_rows = static_cast<size_t>(config_.num_q_heads * config_.head_dim);
  const auto kv_rows = static_cast<size_t>(config_.num_kv_heads * config_.head_dim);
  const Rows normed = norm(x, at + "input_layernorm", round, Point::normed);
  Rows q = linear(normed, at + "self_attn.q_proj", q_rows), k = linear(normed, at + "self_attn.k_proj", kv_rows);
  Rows v = linear(normed, at + "self_attn.v_proj", kv_rows);
  if (config_.architecture == "Qwen3ForCausalLM") norm_heads(q, at + "self_attn.q_norm"), norm_heads(k, at + "self_attn.k_norm");
  rotate(q), rotate(k);
  for (const auto& [rows, point] : {std::pair{&q, Point::q}, {&k, Point::k}, {&v, Point::v}})
    for (auto& row : *rows)
      for (double& value : row) value = round(point, value);
  if (store)
    for (const auto& [rows, point] : {std::pair{&k, Point::k}, {&v, Point::v}})
      for (auto& row : *rows)
        for (size_t i = 0; i < row.size(); ++i) row[i] = store(point, static_cast<size_t>(layer), i / static_cast<size_t>(config_.head_dim), row[i]);
  Rows branch = linear(attend(q, k, v, config_.windows[static_cast<size_t>(layer)], round), at + "self_attn.o_proj", x[0].size());
  if (gemma_) branch = norm(branch, at + "post_attention_layernorm", {}, Point::normed);
  add(x, branch);
}

void RoundingModel::add_mlp(Rows& x, int64_t layer, const Round& round) const {
  const std::string at = layer_name(layer);
  const auto inner = static_cast<size_t>(config_.intermediate_size);
  const Rows normed = norm(x, at + (gemma_ ? "pre_feedforward_layernorm" : "post_attention_layernorm"), round, Point::normed);
  Rows gate = linear(normed, at + "mlp.gate_proj", inner);
  const Rows up = linear(normed, at + "mlp.up_proj", inner);
  for (size_t t = 0; t < gate.size(); ++t)
    for (size_t i = 0; i < inner; ++i) gate[t][i] = round(Point::activated, activation(config_.hidden_act, gate[t][i]) * up[t][i]);
  Rows branch = linear(gate, at + "mlp.down_proj", x[0].size());
  if (gemma_) branch = norm(branch, at + "post_feedforward_layernorm", {}, Point::normed);
  add(x, branch);
}

std::vector<double> RoundingModel::logprobs(const std::vector<int32_t>& tokens, const Round& round, const Store& store) const {
  const std::vector<double>& table = weight("model.embed_tokens.weight");
  const auto hidden = static_cast<size_t>(config_.hidden_size);
  Rows x;
  for (const int32_t id : tokens) {
    x.emplace_back();
    for (size_t i = 0; i < hidden; ++i) x.back().push_back(embedding_scale_ * table[static_cast<size_t>(id) * hidden + i]);
  }
  for (int64_t layer = 0; layer < config_.num_layers; ++layer) add_attention(x, layer, round, store), add_mlp(x, layer, round);
  const Rows last = norm(x, "model.norm", round, Point::final_normed);
  const Rows logits = linear(last, config_.tie_word_embeddings ? "model.embed_tokens" : "lm_head", static_cast<size_t>(config_.vocab_size));
  std::vector<double> out;
  for (size_t t = 0; t + 1 < tokens.size(); ++t) {
    double sum = 0;
    for (const double z : logits[t]) sum += std::exp(capped(z, config_.final_logit_softcapping));
    out.push_back(capped(logits[t][static_cast<size_t>(tokens[t + 1])], config_.final_logit_softcapping) - std::log(sum));
  }
  return out;
}

}  // namespace attune::test
