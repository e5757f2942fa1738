#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "attune/request.h"
#include "attune/tokenizer.h"
#include "kv/block_table.h"

namespace attune {

struct RequestState;

/// One sample of one request: its tokens, how many of them have KV, its pages, and its text.
struct Sequence {
  Sequence(RequestState& r, int sample, BlockPool& pool) : request(&r), table(pool) { completion.index = sample; }

  RequestState* request;
  std::vector<int32_t> tokens;  ///< prompt, then output
  int64_t computed = 0;         ///< leading tokens whose KV is in the pages
  BlockTable table;
  Completion completion;
  std::unique_ptr<StreamDecoder> decoder;
  size_t emitted = 0;    ///< bytes of completion.text already handed out
  bool planned = false;  ///< takes part in the step being scheduled
  bool ended = false;    ///< its end has been told
  int in_flight = 0;     ///< launched steps with it that are not collected yet

  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t pending() const { return length() - computed; }
  bool finished() const { return completion.finish_reason != FinishReason::none; }
};

/// One submitted request and its samples; the others than the first exist once the prompt is done.
struct RequestState {
  uint64_t id = 0;
  Request request;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  std::vector<TokenLogprob> prompt_logprobs;
  std::vector<std::unique_ptr<Sequence>> samples;
  bool cancelled = false;

  const SamplingParams& sampling() const { return request.sampling; }
  bool forked() const { return static_cast<int>(samples.size()) == sampling().n; }
  bool in_flight() const {
    return std::any_of(samples.begin(), samples.end(), [](const auto& s) { return s->in_flight > 0; });
  }
  bool finished() const {
    for (const auto& s : samples)
      if (!s->finished()) return false;
    return forked() || samples[0]->completion.finish_reason == FinishReason::abort || samples[0]->completion.finish_reason == FinishReason::error;
  }
};

}  // namespace attune
