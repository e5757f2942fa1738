#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/model_runner.h"
#include "models/kernel_binder.h"

namespace attune {

/// What came of one row of logits.
struct RowResult {
  int32_t token = 0;
  TokenLogprob logprob;  ///< filled where the request wants it
  bool finite = true;    ///< false: the logits hold a NaN; the token is meaningless
};

/// The kernels that draw.
struct SampleKernels {
  SampleKernels(KernelBinder& binder, int64_t vocab_size);
  Bound<Sample> greedy, full;
  int64_t vocab;
};

/// Draws tokens from rows of logits, and reads log-probabilities off them. On a GPU the draws are made there, and only tokens come back.
class Sampler {
 public:
  /// `drawn` has room for `most_rows` rows.
  Sampler(Device& device, const Stream& stream, SampleKernels kernels, int64_t most_rows, const DrawnRows& drawn, std::vector<int32_t> eos_ids,
          uint64_t default_seed);

  /// One result a row of `logits` (rows, vocab), which is changed.
  std::vector<RowResult> sample(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits);

  /// The two halves of sample(), for rows whose requests draws_ahead(): the draws are put into the stream, and read later. Two may be unread.
  void draw(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits, int slot);
  std::vector<RowResult> read(int64_t rows, int slot);

 private:
  /// A row's law and the lists that it points to.
  struct Law {
    SampleRow row;
    std::vector<int32_t> banned, bias_ids;
    std::vector<float> bias;
  };
  Law law(const RowUse& use) const;
  /// What is read off a row before a draw changes it.
  RowResult read_row(const RowUse& use, const float* logits) const;
  std::vector<RowResult> sample_on_cpu(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits);
  std::vector<RowResult> sample_on_gpu(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits);
  void draw_on_gpu(const ExecContext& ctx, const RowUse* uses, int64_t rows, float* logits, int slot);
  const SampleRow* place_laws(const RowUse* uses, int64_t rows);

  Bound<Sample> greedy_, full_;
  Device& device_;
  const Stream& stream_;
  int64_t vocab_;
  /// Draws on their way to the host, as they stand in DrawnRows; on the CPU they are results at once.
  struct Unread {
    Buffer on_host;
    Event copied;
    std::vector<RowResult> results;
  };
  DrawnRows drawn_;
  int64_t first_token_;  ///< in Unread::on_host, in elements
  Unread unread_[2];
  Stream to_host_;  ///< drawn tokens travel here, beside the next step
  Event drew_;
  std::optional<StepInputs> laws_;
  size_t laws_bytes_ = 0;
  std::vector<int32_t> eos_ids_;
  uint64_t default_seed_;
};

/// log softmax of a row in double, rounded once: of `token` (none if negative) and of the `top` likeliest, the lower id first among equals.
TokenLogprob log_probabilities(std::span<const float> logits, int32_t token, int top);

/// True if a request draws greedily without penalties, bias or bans.
bool plain_greedy(const SamplingParams& params);

/// True if a draw needs neither the tokens drawn before it, which penalties count, nor logits on the host.
bool draws_ahead(const SamplingParams& params);

}  // namespace attune
