#pragma once

#include <string>

#include "ops/types.h"
#include "select/kernel.h"

namespace attune {

/// Chooses one token a row from f32 logits: penalties and bias, then temperature, top-k, top-p, min-p, then a keyed draw.
/// top_k 0 keeps all; a temperature of 0 is greedy (lowest id wins a tie).
struct SampleDesc {
  int64_t vocab = 32000;
  bool greedy_only = true;  ///< every row is greedy without penalties or bias: an argmax
  constexpr bool operator==(const SampleDesc&) const = default;
};

/// One row's law. Order as in vLLM: logit bias, repetition, frequency and presence penalties, temperature, min-p, top-k, top-p.
struct SampleRow {
  float temperature = 0;
  int32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  uint64_t seed = 0;
  uint32_t sample_index = 0;
  uint64_t position = 0;            ///< absolute position of the token being drawn
  const int32_t* prompt = nullptr;  ///< tokens the repetition penalty looks at, besides `output`
  int64_t prompt_tokens = 0;
  const int32_t* output = nullptr;  ///< tokens generated so far: what presence and frequency count
  int64_t output_tokens = 0;
  const int32_t* bias_ids = nullptr;
  const float* bias = nullptr;
  int64_t num_bias = 0;
  const int32_t* banned = nullptr;  ///< ids that must not be drawn (stop ids before min_tokens)
  int64_t num_banned = 0;
};

struct SampleParams {
  float* logits = nullptr;  ///< (rows, vocab); changed by penalties and bias
  int64_t rows = 0;
  const SampleRow* row = nullptr;  ///< [rows]
  int32_t* token = nullptr;        ///< [rows]
  float* logprob = nullptr;        ///< [rows]: log-softmax of the unchanged logits at the token; may be null
};

struct SampleCapability {
  Constraint<int64_t> vocab;
  Constraint<bool> greedy_only;
};

struct Sample {
  static constexpr std::string_view kName = "sample";
  using Desc = SampleDesc;
  using Params = SampleParams;
  using Capability = SampleCapability;

  template <class D, class F>
  static constexpr void for_each_field(const Capability& c, D& d, const Desc& def, F&& f) {
    f(FieldName{"vocab", "vocab", true}, c.vocab, d.vocab, def.vocab, Constraint<int64_t>(range{1, 1 << 20}));
    f(FieldName{"greedy_only", "greedy_only", true}, c.greedy_only, d.greedy_only, def.greedy_only, kYesNo);
  }
};
using SampleKernel = Kernel<Sample>;

std::string to_text(const SampleDesc& desc);
void sample_ref(const ExecContext& ctx, const SampleDesc& desc, const SampleParams& params);

}  // namespace attune
