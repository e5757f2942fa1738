#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace attune {

/// How tokens are chosen. Names and defaults are vLLM's, where the meaning is the same.
struct SamplingParams {
  int n = 1;               ///< samples of one prompt; they share its KV blocks
  double temperature = 1;  ///< 0: greedy
  int top_k = 0;           ///< 0 or −1: all
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_token_ids;
  bool include_stop_str_in_output = false;
  bool ignore_eos = false;
  bool skip_special_tokens = true;
  int64_t max_tokens = 16;
  int64_t min_tokens = 0;
  std::optional<uint64_t> seed;        ///< absent: the engine's --seed
  std::optional<int> logprobs;         ///< top-k log-probabilities of each generated token; 0: the token's own
  std::optional<int> prompt_logprobs;  ///< the same for each prompt position
};

/// Throws InvalidArgument for values no engine could honour: negative, NaN, out of range; names the field.
void validate(const SamplingParams& params);

/// Log-probability of a token and of the most likely alternatives at its position.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top;  ///< best first; the lower id first among equals
};

enum class FinishReason { none, stop, length, abort, error };
const char* to_text(FinishReason reason);

/// What a request has produced so far, for one of its n samples.
struct Completion {
  int index = 0;
  std::string text;  ///< complete characters only; cut before a stop string
  std::vector<int32_t> token_ids;
  std::vector<TokenLogprob> logprobs;
  FinishReason finish_reason = FinishReason::none;
  std::string stop_reason;  ///< the stop string or token id that ended it
  std::string error;        ///< with FinishReason::error
};

/// Told of a request's progress by Engine::step(), on the thread that called it.
struct RequestEvent {
  uint64_t id = 0;
  int index = 0;
  std::string_view new_text;                                   ///< text that became certain in this step
  const Completion* completion = nullptr;                      ///< all so far
  const std::vector<TokenLogprob>* prompt_logprobs = nullptr;  ///< when asked for, once the prompt is done: of each token but the first
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  ///< prompt tokens found in the prefix cache
  bool finished = false;      ///< this sample is finished
};

/// One prompt. Give text or token ids (token ids win; they need no tokenizer).
struct Request {
  std::string prompt;
  std::vector<int32_t> token_ids;
  bool add_special_tokens = true;
  SamplingParams sampling;
  std::function<void(const RequestEvent&)> on_event;  ///< an exception thrown here fails this request only
};

}  // namespace attune
