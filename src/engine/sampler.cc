#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace attune {

bool plain_greedy(const SamplingParams& p) {
  return p.temperature == 0 && p.repetition_penalty == 1 && p.presence_penalty == 0 && p.frequency_penalty == 0 && p.logit_bias.empty() &&
         p.min_tokens == 0;
}

bool draws_ahead(const SamplingParams& p) { return p.repetition_penalty == 1 && p.presence_penalty == 0 && p.frequency_penalty == 0 && !p.logprobs; }

SampleKernels::SampleKernels(KernelBinder& binder, int64_t vocab_size)
    : greedy(binder.bind<Sample>("greedy", {{"rows", SampleDesc{.vocab = vocab_size, .greedy_only = true}, {}}})),
      full(binder.bind<Sample>("full", {{"rows", SampleDesc{.vocab = vocab_size, .greedy_only = false}, {}}})),
      vocab(vocab_size) {}

Sampler::Sampler(Device& device, const Stream& stream, SampleKernels kernels, int64_t most_rows, const DrawnRows& drawn, std::vector<int32_t> eos_ids,
                 uint64_t default_seed)
    : greedy_(std::move(kernels.greedy)),
      full_(std::move(kernels.full)),
      device_(device),
      stream_(stream),
      vocab_(kernels.vocab),
      drawn_(drawn),
      first_token_(drawn.token - reinterpret_cast<int32_t*>(drawn.logprob)),
      eos_ids_(std::move(eos_ids)),
      default_seed_(default_seed) {
  if (device_.props().kind == DeviceKind::cpu) return;
  const size_t bytes = static_cast<size_t>(first_token_ + most_rows) * sizeof(int32_t);
  to_host_ = device_.make_stream(), drew_ = device_.make_event();
  for (Unread& u : unread_) u.on_host = device_.allocate_pinned(bytes, "drawn tokens"), u.copied = device_.make_event();
  device_.fill(drawn_.logprob, 0, bytes, stream_);  // all of it is copied back, however few rows are drawn
  device_.synchronize(stream_);                     // ids are written there from another stream
}

Sampler::Law Sampler::law(const RowUse& use) const {
  const RequestState& r = *use.sequence->request;
  const SamplingParams& p = r.sampling();
  Law law;
  SampleRow& row = law.row;
  row.temperature = static_cast<float>(p.temperature);
  row.top_k = p.top_k < 0 ? 0 : p.top_k;
  row.top_p = static_cast<float>(p.top_p), row.min_p = static_cast<float>(p.min_p);
  row.repetition_penalty = static_cast<float>(p.repetition_penalty);
  row.presence_penalty = static_cast<float>(p.presence_penalty), row.frequency_penalty = static_cast<float>(p.frequency_penalty);
  row.seed = p.seed.value_or(default_seed_);
  row.sample_index = static_cast<uint32_t>(use.sample);
  row.position = static_cast<uint64_t>(use.position);
  row.prompt = use.sequence->tokens.data(), row.prompt_tokens = r.prompt_tokens;
  row.output = row.prompt + r.prompt_tokens, row.output_tokens = use.position - r.prompt_tokens;
  if (row.output_tokens < p.min_tokens) {
    if (!p.ignore_eos) law.banned.insert(law.banned.end(), eos_ids_.begin(), eos_ids_.end());
    law.banned.insert(law.banned.end(), p.stop_token_ids.begin(), p.stop_token_ids.end());
    std::erase_if(law.banned, [this](int32_t id) { return id < 0 || id >= vocab_; });
  }
  for (const auto& [id, value] : p.logit_bias) law.bias_ids.push_back(id), law.bias.push_back(value);
  row.banned = law.banned.data(), row.num_banned = static_cast<int64_t>(law.banned.size());
  row.bias_ids = law.bias_ids.data(), row.bias = law.bias.data(), row.num_bias = static_cast<int64_t>(law.bias.size());
  return law;
}

TokenLogprob log_probabilities(std::span<const float> logits, int32_t token, int top) {
  const double peak = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - peak);
  const auto logit = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
  const auto logprob = [&](int32_t id) { return static_cast<float>(logit(id) - peak - std::log(sum)); };
  TokenLogprob out{token, token >= 0 ? logprob(token) : 0, {}};
  if (top <= 0) return out;
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = order.begin() + std::min<int64_t>(top, static_cast<int64_t>(order.size()));
  std::partial_sort(order.begin(), kept, order.end(), [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  for (auto it = order.begin(); it != kept; ++it) out.top.emplace_back(*it, logprob(*it));
  return out;
}

RowResult Sampler::read_row(const RowUse& use, const float* logits) const {
  const SamplingParams& p = use.sequence->request->sampling();
  RowResult result;
  result.finite = std::none_of(logits, logits + vocab_, [](float x) { return std::isnan(x); });
  if (!result.finite) return result;
  const std::span<const float> row(logits, static_cast<size_t>(vocab_));
  if (use.sample < 0)
    result.logprob = log_probabilities(row, use.sequence->tokens[static_cast<size_t>(use.position)], *p.prompt_logprobs);
  else if (p.logprobs)
    result.logprob = log_probabilities(row, -1, *p.logprobs);
  return result;
}

std::vector<RowResult> Sampler::sample_on_cpu(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits) {
  std::vector<RowResult> results(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    float* row = logits + i * vocab_;
    const SamplingParams& p = uses[i].sequence->request->sampling();
    RowResult& result = results[static_cast<size_t>(i)] = read_row(uses[i], row);
    if (!result.finite || uses[i].sample < 0) continue;
    const Law l = law(uses[i]);
    float logprob = 0;
    (plain_greedy(p) ? greedy_ : full_)(
        ctx, {.logits = row, .rows = 1, .row = &l.row, .token = &result.token, .logprob = p.logprobs ? &logprob : nullptr});
    result.logprob.token = result.token, result.logprob.logprob = logprob;
  }
  return results;
}

/// The rows' laws in device memory. Token lists travel only where a penalty counts them.
const SampleRow* Sampler::place_laws(const RowUse* uses, int64_t rows) {
  std::vector<Law> laws;
  size_t bytes = static_cast<size_t>(rows) * (sizeof(SampleRow) + 80) + 64;
  for (int64_t i = 0; i < rows; ++i) {
    Law& l = laws.emplace_back(uses[i].sample < 0 ? Law{} : law(uses[i]));
    SampleRow& r = l.row;
    if (r.repetition_penalty == 1) r.prompt_tokens = 0;
    if (r.repetition_penalty == 1 && r.presence_penalty == 0 && r.frequency_penalty == 0) r.output_tokens = 0;
    bytes += 4 * static_cast<size_t>(r.prompt_tokens + r.output_tokens) + 4 * l.banned.size() + 8 * l.bias.size();
  }
  if (bytes > laws_bytes_) {
    if (laws_) device_.synchronize(stream_);  // a step in flight may read them
    laws_bytes_ = 0;                          // there are none if memory is short
    laws_.emplace(device_, 2 * bytes);
    laws_bytes_ = 2 * bytes;
  }
  laws_->clear();
  std::vector<SampleRow> on_device;
  for (Law& l : laws) {
    SampleRow r = l.row;
    r.prompt = laws_->add(std::span(r.prompt, static_cast<size_t>(r.prompt_tokens)));
    r.output = laws_->add(std::span(r.output, static_cast<size_t>(r.output_tokens)));
    r.banned = laws_->add(std::span<const int32_t>(l.banned));
    r.bias_ids = laws_->add(std::span<const int32_t>(l.bias_ids));
    r.bias = laws_->add(std::span<const float>(l.bias));
    on_device.push_back(r);
  }
  const SampleRow* first = laws_->add(std::span<const SampleRow>(on_device));
  laws_->upload(stream_);
  return first;
}

/// Draws into `drawn_` and sends that on its way to the host.
void Sampler::draw_on_gpu(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits, int slot) {
  const bool plain =
      std::all_of(uses, uses + rows, [](const RowUse& use) { return use.sample < 0 || plain_greedy(use.sequence->request->sampling()); });
  SampleParams p{.logits = logits, .rows = rows, .token = drawn_.token, .logprob = drawn_.logprob};
  if (!plain) p.row = place_laws(uses, rows);
  device_.wait(stream_, unread_[1 - slot].copied);  // until then what was drawn before is still read
  (plain ? greedy_ : full_)(ctx, p);
  device_.record(drew_, stream_);
  device_.wait(to_host_, drew_);
  device_.copy(unread_[slot].on_host.data(), drawn_.logprob, static_cast<size_t>(first_token_ + rows) * sizeof(int32_t), to_host_);
  device_.record(unread_[slot].copied, to_host_);
}

std::vector<RowResult> Sampler::sample_on_gpu(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits) {
  std::vector<RowResult> on_host(static_cast<size_t>(rows));
  std::vector<float> host;
  for (int64_t i = 0; i < rows; ++i) {
    if (uses[i].sample >= 0 && !uses[i].sequence->request->sampling().logprobs) continue;
    host.resize(static_cast<size_t>(vocab_));
    device_.copy(host.data(), logits + i * vocab_, host.size() * sizeof(float), stream_);
    device_.synchronize(stream_);
    on_host[static_cast<size_t>(i)] = read_row(uses[i], host.data());
  }
  draw_on_gpu(ctx, uses, rows, logits, 0);
  std::vector<RowResult> results = read(rows, 0);
  for (int64_t i = 0; i < rows; ++i) {
    RowResult& result = results[static_cast<size_t>(i)];
    RowResult& seen = on_host[static_cast<size_t>(i)];
    if (uses[i].sample < 0)
      result = std::move(seen);
    else if (uses[i].sequence->request->sampling().logprobs)
      result.logprob.top = std::move(seen.logprob.top);
  }
  return results;
}

void Sampler::draw(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits, int slot) {
  if (device_.props().kind != DeviceKind::cpu) return draw_on_gpu(ctx, uses, rows, logits, slot);
  std::vector<RowResult>& results = unread_[slot].results = sample_on_cpu(ctx, uses, rows, logits);
  for (size_t i = 0; i < results.size(); ++i) drawn_.token[i] = results[i].token;
}

std::vector<RowResult> Sampler::read(int64_t rows, int slot) {
  Unread& u = unread_[slot];
  if (device_.props().kind == DeviceKind::cpu) return std::move(u.results);
  device_.wait(u.copied);
  std::vector<RowResult> results(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) {
    RowResult& result = results[static_cast<size_t>(i)];
    const float logprob = u.on_host.as<float>()[i];
    result.token = result.logprob.token = u.on_host.as<int32_t>()[first_token_ + i];
    result.logprob.logprob = logprob;
    result.finite = !std::isnan(logprob);  // the sum of the exponentials has met every logit
  }
  return results;
}

std::vector<RowResult> Sampler::sample(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits) {
  return device_.props().kind == DeviceKind::cpu ? sample_on_cpu(ctx, uses, rows, logits) : sample_on_gpu(ctx, uses, rows, logits);
}

}  // namespace attune
