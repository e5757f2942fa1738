#include "engine/request_checks.h"

#include <cmath>

#include "loader/chat_messages.h"

namespace attune {
namespace {

constexpr int kMaxN = 1024;
constexpr size_t kMaxStops = 128;

void in_range(const char* field, double value, double lo, double hi, const char* text) {
  if (!(value >= lo && value <= hi)) invalid(field, text, fmt::format("{}", value));  // NaN fails, too
}

}  // namespace

const char* to_text(FinishReason reason) {
  switch (reason) {
    case FinishReason::none: return "";
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
    case FinishReason::abort: return "abort";
    case FinishReason::error: return "error";
  }
  return "";
}

void validate(const SamplingParams& p) {
  in_range("n", p.n, 1, kMaxN, "an integer from 1 to 1024");
  in_range("temperature", p.temperature, 0, 1000, "a number from 0 to 1000");
  in_range("top_k", p.top_k, -1, 1 << 24, "-1, 0 or a positive integer");
  if (!(p.top_p > 0 && p.top_p <= 1)) invalid("top_p", "a number above 0 and up to 1", fmt::format("{}", p.top_p));
  in_range("min_p", p.min_p, 0, 1, "a number from 0 to 1");
  if (!(p.repetition_penalty > 0 && p.repetition_penalty <= 1000))
    invalid("repetition_penalty", "a number above 0 and up to 1000", fmt::format("{}", p.repetition_penalty));
  in_range("presence_penalty", p.presence_penalty, -2, 2, "a number from -2 to 2");
  in_range("frequency_penalty", p.frequency_penalty, -2, 2, "a number from -2 to 2");
  in_range("max_tokens", static_cast<double>(p.max_tokens), p.prompt_logprobs ? 0 : 1, 1e9, "a positive integer");
  in_range("min_tokens", static_cast<double>(p.min_tokens), 0, static_cast<double>(p.max_tokens), "an integer from 0 to max_tokens");
  if (p.logprobs) in_range("logprobs", *p.logprobs, 0, 1024, "an integer from 0 to 1024");
  if (p.prompt_logprobs) in_range("prompt_logprobs", *p.prompt_logprobs, 0, 1024, "an integer from 0 to 1024");
  if (p.prompt_logprobs && p.n > 1) invalid("prompt_logprobs", "n = 1", fmt::format("n = {}", p.n));
  if (p.stop.size() > kMaxStops || p.stop_token_ids.size() > kMaxStops)
    invalid("stop", "at most 128 stop strings and 128 stop ids", fmt::format("{} and {}", p.stop.size(), p.stop_token_ids.size()));
  for (const auto& s : p.stop)
    if (s.empty() || s.size() > 4096) invalid("stop", "strings of 1 to 4096 bytes", fmt::format("{} bytes", s.size()));
  if (p.logit_bias.size() > 4096) invalid("logit_bias", "at most 4096 entries", fmt::format("{}", p.logit_bias.size()));
  for (const auto& [id, bias] : p.logit_bias) in_range("logit_bias", bias, -100, 100, "numbers from -100 to 100");
}

void validate(const EngineOptions& o) {
  in_range("--max-num-seqs", static_cast<double>(o.max_num_seqs), 1, 65536, "an integer from 1 to 65536");
  if (o.max_num_batched_tokens != -1)
    in_range("--max-num-batched-tokens", static_cast<double>(o.max_num_batched_tokens), 1, 1 << 20, "an integer from 1 to 1048576");
  in_range("--gpu-memory-utilization", o.gpu_memory_utilization, 0.01, 1, "a number from 0.01 to 1");
  in_range("--block-size", static_cast<double>(o.block_size), 0, 4096, "a multiple of 16 up to 4096");
  if (o.block_size % 16 != 0) invalid("--block-size", "a multiple of 16 up to 4096", std::to_string(o.block_size));
  in_range("--threads", o.threads, 0, 4096, "an integer from 0 to 4096");
  in_range("--kv-cache-memory-bytes", static_cast<double>(o.kv_cache_memory_bytes), 0, 1e15, "a number of bytes");
}

void check_prompt(const Request& r, const ModelInfo& m) {
  const auto tokens = static_cast<int64_t>(r.token_ids.size());
  if (tokens == 0) invalid("prompt", "at least one token", "an empty prompt");
  const int64_t longest = m.max_model_len - (r.sampling.max_tokens > 0 ? 1 : 0);
  if (tokens > longest) invalid("prompt", fmt::format("at most {} tokens (context {})", longest, m.max_model_len), fmt::format("{} tokens", tokens));
  for (const int32_t id : r.token_ids)
    if (id < 0 || id >= m.vocab_size) invalid("token_ids", fmt::format("ids from 0 to {}", m.vocab_size - 1), std::to_string(id));
  for (const auto& [id, bias] : r.sampling.logit_bias)
    if (id < 0 || id >= m.vocab_size) invalid("logit_bias", fmt::format("ids from 0 to {}", m.vocab_size - 1), std::to_string(id));
}

SamplingParams sampling_defaults(const GenerationConfig& g) {
  SamplingParams p;
  if (g.do_sample && !*g.do_sample) p.temperature = 0;
  if (g.temperature && p.temperature > 0) p.temperature = *g.temperature;
  if (g.top_k) p.top_k = static_cast<int>(*g.top_k);
  if (g.top_p) p.top_p = *g.top_p;
  if (g.min_p) p.min_p = *g.min_p;
  if (g.repetition_penalty) p.repetition_penalty = *g.repetition_penalty;
  return p;
}

std::string render_chat(const LoadedModel& m, const std::string& messages) {
  if (!m.chat_template) invalid("--chat", "a model with a chat template", m.info.path);
  return m.chat_template->render(parse_messages(messages), true);
}

}  // namespace attune
